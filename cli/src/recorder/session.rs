//! From streams into a file: a thread reads each stream, and one brings the file up to date and tells how it goes.

use super::marking::{Marking, Marks};
use super::{Begin, Marker, Track, Writer};
use crate::describe;
use crate::failure::{self, Failure, note};
use crate::files::{Cause, Gap};
use crate::names::Stream;
use crate::progress::{Line, clock};
use crate::source::Source;
use crate::stop::{SLICE, Stop};
use annulus::{Frames, Info, ProducerState, ReadError, Wait, monotonic_ns};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How often the file is brought up to date: a recorder that is killed has lost no more.
const UPDATES: Duration = Duration::from_millis(250);

/// How often we look whether there is something to do.
const LOOKS: Duration = Duration::from_millis(20);

/// Frames are read in blocks of about so many bytes, and in so much time.
const BLOCK: usize = 256 << 10;
const PART: f64 = 0.02;

/// Where to stop, if not at the end of the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    pub(crate) frames: Option<u64>,
    /// Of signal; of a stream without a rate, of our own clock.
    pub(crate) duration: Option<Duration>,
}

/// A stream that is recorded.
#[derive(Debug)]
pub(crate) struct Take {
    pub(crate) name: Stream,
    pub(crate) source: Source,
    pub(crate) limit: Limit,
    /// Wait for frames that are to come; else only what is there now.
    pub(crate) follow: bool,
    /// The stream's own start time counts, not when we record.
    pub(crate) as_recorded: bool,
    /// How long ago the last frame that is there was pushed.
    pub(crate) age: Duration,
}

/// A recording that is being made.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    path: &'a Path,
    stop: &'a Stop,
    writer: Mutex<Box<dyn Writer>>,
    broken: Mutex<Option<io::Error>>,
    tallies: Vec<Tally>,
    /// On a terminal.
    line: Mutex<Option<Line>>,
}

/// What has come of a stream.
#[derive(Debug, Default)]
pub(super) struct Tally {
    frames: AtomicU64,
    lost: AtomicU64,
    missing: AtomicU64,
    restarts: AtomicU64,
    /// Positions that the recording has: from, to.
    pub(super) from: AtomicU64,
    pub(super) to: AtomicU64,
    /// Nothing more comes.
    pub(super) done: AtomicBool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(path: &'a Path, stop: &'a Stop, writer: Box<dyn Writer>, streams: usize) -> Self {
        let tallies = (0..streams).map(|_| Tally::default()).collect();
        let line = Mutex::new(Line::on_terminal());
        Self { path, stop, writer: Mutex::new(writer), broken: Mutex::new(None), tallies, line }
    }

    /// Records until all streams have ended, their limits are reached, the user has had enough, or the file takes no
    /// more. It is valid then.
    pub(crate) fn run(self, takes: Vec<Take>, marks: Vec<Marks>) -> Result<(), Failure> {
        let tracks: Vec<Track> = takes.iter().map(|take| Track::of(take.source.info())).collect();
        let infos: Vec<Info> = takes.iter().map(|take| take.source.info().clone()).collect();
        let done = thread::scope(|threads| {
            let session = &self;
            let reading: Vec<_> = takes
                .into_iter()
                .enumerate()
                .map(|(stream, take)| threads.spawn(move || Reading::new(session, stream, take).record()))
                .collect();
            let marking = marks.into_iter().map(|marks| {
                let info = infos[marks.stream].clone();
                threads.spawn(move || Marking::new(session, marks, info).record())
            });
            let marking: Vec<_> = marking.collect();
            let (mut updated, mut begun) = (Instant::now(), false);
            while !reading.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(LOOKS);
                // The first frames are in the file at once.
                if updated.elapsed() >= UPDATES || (!begun && self.frames() > 0) {
                    (updated, begun) = (Instant::now(), self.frames() > 0);
                    self.write(|writer| writer.flush());
                }
                if let Some(line) = &mut *self.line() {
                    line.show(|| self.progress(&tracks));
                }
            }
            failure::first(reading.into_iter().chain(marking).collect())
        });
        if let Some(line) = &mut *self.line() {
            line.clear();
        }
        self.end(&tracks, done.map(drop))
    }

    fn end(self, tracks: &[Track], done: Result<(), Failure>) -> Result<(), Failure> {
        let (frames, path) = (self.frames(), self.path.display());
        let broken = self.broken.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        if frames == 0 {
            writer.discard();
            let why = done.err().map_or_else(|| "no frames came".to_owned(), |failure| failure.to_string());
            return Err(Failure::Failed(format!("{path}: {why}: nothing was recorded")));
        }
        // What a sample did to the file does not concern those before it; a file that takes no more is done.
        let usable = broken.as_ref().is_none_or(|error| error.kind() == io::ErrorKind::InvalidData);
        let finished = if usable { writer.finish() } else { Ok(()) };
        for (track, tally) in tracks.iter().zip(&self.tallies) {
            let [frames, lost, missing, restarts] =
                [&tally.frames, &tally.lost, &tally.missing, &tally.restarts]
                    .map(|count| count.load(Relaxed));
            let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
            note(format!("{}: {frames} frames, {lost} lost, {restarts} restarts{missing}", track.name));
        }
        match broken.or(finished.err()) {
            // It took nothing at all.
            Some(error) if writer.bytes() == 0 => {
                writer.discard();
                Err(Failure::Failed(format!("{path}: {error}: nothing was recorded")))
            }
            Some(error) => {
                let state = "what is in it is whole and can be read";
                Err(Failure::Failed(format!("{path}: {error}; the recording ends here, {state}")))
            }
            None => {
                note(format!("{path}: {}", size(writer.bytes())));
                done
            }
        }
    }

    pub(super) fn tally(&self, stream: usize) -> &Tally {
        &self.tallies[stream]
    }

    fn writer(&self) -> MutexGuard<'_, Box<dyn Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the user something in a line of its own.
    pub(super) fn note(&self, text: String) {
        let mut line = self.line();
        if let Some(line) = &mut *line {
            line.clear();
        }
        note(text);
    }

    /// Does that to the file, unless it takes no more: the first error ends the recording, and nothing may come after
    /// what is missing. False: it does not, or not any more.
    pub(super) fn write(&self, what: impl FnOnce(&mut dyn Writer) -> io::Result<()>) -> bool {
        let mut writer = self.writer();
        if self.is_broken() {
            return false;
        }
        let written = what(&mut **writer);
        let fine = written.is_ok();
        if let Err(error) = written {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        fine
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn frames(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.frames.load(Relaxed)).sum()
    }

    fn progress(&self, tracks: &[Track]) -> String {
        let (track, tally) = (&tracks[0], &self.tallies[0]);
        let frames = tally.frames.load(Relaxed);
        let name = if tracks.len() > 1 {
            format!("{} and {} more", track.name, tracks.len() - 1)
        } else {
            track.name.clone()
        };
        let long =
            if track.rate > 0.0 { clock(frames as f64 / track.rate) } else { format!("{frames} frames") };
        let lost: u64 = self.tallies.iter().map(|tally| tally.lost.load(Relaxed)).sum();
        let bytes = size(self.writer().bytes());
        format!("{name}   {long}   {} Hz   {lost} lost   {bytes}", track.rate)
    }
}

/// `12.3 MB`
fn size(bytes: u64) -> String {
    let kilo = bytes as f64 / 1e3;
    match bytes {
        0..1_000_000 => format!("{kilo:.1} kB"),
        1_000_000..1_000_000_000 => format!("{:.1} MB", kilo / 1e3),
        _ => format!("{:.2} GB", kilo / 1e6),
    }
}

/// A thread's work.
struct Reading<'a> {
    session: &'a Session<'a>,
    stream: usize,
    take: Take,
    /// The next frame's position, once there was one.
    next: Option<u64>,
    /// When the first frame was sampled, by the monotonic clock.
    began: f64,
    deadline: Option<Instant>,
    /// Whether the producer had left when we last looked.
    left: bool,
}

/// Something between two frames.
enum Event {
    Gap(Gap),
    Marker(Marker),
}

impl<'a> Reading<'a> {
    fn new(session: &'a Session<'a>, stream: usize, take: Take) -> Self {
        let rated = take.source.info().rate > 0.0;
        let deadline = take.limit.duration.filter(|_| !rated).map(|time| Instant::now() + time);
        Self { session, stream, take, next: None, began: 0.0, deadline, left: false }
    }

    fn tally(&self) -> &'a Tally {
        &self.session.tallies[self.stream]
    }

    fn record(mut self) -> Result<(), Failure> {
        let done = self.read();
        self.tally().done.store(true, Relaxed);
        done
    }

    fn read(&mut self) -> Result<(), Failure> {
        let source = &mut self.take.source;
        let until =
            if self.take.follow { u64::MAX } else { source.position().saturating_add(source.available()) };
        let info = self.take.source.info().clone();
        let most = self.most(info.rate);
        let part = ((info.rate * PART) as u64).clamp(1, (info.capacity / 8).max(1));
        let block = ((BLOCK / info.frame_bytes) as u64).max(part);
        let mut room = Vec::new();
        while !self.session.stop.raised() && !self.session.is_broken() {
            let left = most - self.tally().frames.load(Relaxed);
            let now = block.min(left).min(until.saturating_sub(self.take.source.position()));
            if now == 0 || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let wait = Wait::new().frames(part.min(now)).timeout(SLICE);
            match self.take.source.read(now as usize, self.take.follow.then_some(wait), &mut room) {
                Ok(frames) => {
                    let bytes = &room[..frames.frames * info.frame_bytes];
                    if !self.write(frames, bytes) {
                        break;
                    }
                }
                Err(ReadError::Timeout) => self.look_for_producer(),
                // The next read begins where that led to.
                Err(ReadError::Lapped { .. }) => {}
                Err(ReadError::ProducerGone { pid, position }) => self.gone(pid, position),
                Err(ReadError::Empty | ReadError::Ended { .. }) => break,
                Err(ReadError::Replaced) => {
                    self.session.note(format!(
                        "{}: the stream was replaced or removed: its recording ends here",
                        self.take.name
                    ));
                    break;
                }
                Err(error) => return Err(Failure::Failed(format!("{}: {error}", self.take.name))),
            }
        }
        Ok(())
    }

    /// Frames at most.
    fn most(&self, rate: f64) -> u64 {
        let Limit { frames, duration } = self.take.limit;
        let long = duration.filter(|_| rate > 0.0).map(|time| (time.as_secs_f64() * rate).round() as u64);
        frames.unwrap_or(u64::MAX).min(long.unwrap_or(u64::MAX))
    }

    /// How long ago the frame was sampled that so many others are behind, those included that are still in the ring.
    fn age(&mut self, behind: u64) -> Duration {
        let rate = self.take.source.info().rate;
        let behind = behind + self.take.source.available();
        let frames = if rate > 0.0 {
            Duration::try_from_secs_f64(behind as f64 / rate).unwrap_or_default()
        } else {
            Duration::ZERO
        };
        frames + self.take.age
    }

    /// False: the file takes no more.
    fn write(&mut self, frames: Frames, bytes: &[u8]) -> bool {
        let (first, count) = (frames.first_position, frames.frames as u64);
        if let Some(restart) = frames.restarted {
            self.tally().restarts.fetch_add(1, Relaxed);
            self.session.note(format!(
                "{}: a new producer carries on at position {}",
                self.take.name, restart.position
            ));
        }
        let begin = self.next.is_none().then(|| self.begin(first, count));
        let lapped = first.saturating_sub(self.next.unwrap_or(first - frames.lost_before.min(first)));
        if lapped > 0 {
            self.tally().lost.fetch_add(lapped, Relaxed);
            self.session
                .note(format!("{}: lost {lapped} frames before position {first}: lapped", self.take.name));
        }
        let mut events = Vec::new();
        // Where the recording begins, nothing is missing before it.
        if lapped > 0 && begin.is_none() {
            events.push((first, Event::Gap(self.gap(first, Some(lapped), Cause::Lapped, count, 0))));
        }
        for gap in self.take.source.gaps().to_vec() {
            if gap.position > first || begin.is_none() {
                let at = gap.position.max(first);
                events.push((at, self.event(&gap, at, first + count - at)));
            }
        }
        self.next = Some(first + count);

        let stream = self.stream;
        self.tally().frames.fetch_add(count, Relaxed);
        let written = self.session.write(|writer| {
            if let Some(begin) = begin {
                writer.begin(stream, begin)?;
            }
            let frame = bytes.len() / count.max(1) as usize;
            let mut at = first;
            for (position, event) in events {
                if position > at {
                    let before = (at - first) as usize * frame..(position - first) as usize * frame;
                    writer.frames(stream, at, &bytes[before])?;
                    at = position;
                }
                match event {
                    Event::Gap(gap) => writer.gap(stream, &gap)?,
                    Event::Marker(marker) => writer.marker(stream, marker)?,
                }
            }
            writer.frames(stream, at, &bytes[(at - first) as usize * frame..])
        });
        if begin.is_some() {
            self.tally().from.store(first, Relaxed);
        }
        self.tally().to.store(first + count, Relaxed);
        written
    }

    /// What the stream says of its source, before the frame `at`, which so many frames of the block begin with.
    fn event(&mut self, gap: &annulus::Gap, at: u64, count: u64) -> Event {
        let (missing, cause) = match gap.cause {
            annulus::Cause::UtcStep { .. } => {
                let text = describe::gap(gap);
                return Event::Marker(Marker { position: at, duration: Duration::ZERO, text });
            }
            annulus::Cause::Restart { .. } => (None, Cause::Restart),
            annulus::Cause::DeviceReset => (None, Cause::Reset),
            _ => (gap.missing, Cause::Device),
        };
        self.tally().missing.fetch_add(missing.unwrap_or(0), Relaxed);
        // Frames may be there before their producer has told its clock.
        let since = if missing.is_none() { gap.position } else { 0 };
        let gap = self.gap(at, missing, cause, count, since);
        if cause != Cause::Restart {
            self.session.note(format!("{}: before position {at}: {gap}", self.take.name));
        }
        Event::Gap(gap)
    }

    /// The first frames have come, so many.
    fn begin(&mut self, position: u64, count: u64) -> Begin {
        self.began = self.sampled(position, count, 0);
        let (now, age) = (SystemTime::now(), monotonic_ns() as f64 / 1e9 - self.began);
        let live = Duration::try_from_secs_f64(age).ok().and_then(|age| now.checked_sub(age)).unwrap_or(now);
        let info = self.take.source.info();
        let recorded = info.start_time.filter(|_| self.take.as_recorded).and_then(|start| {
            let after = if info.rate > 0.0 { position as f64 / info.rate } else { 0.0 };
            start.checked_add(Duration::try_from_secs_f64(after).ok()?)
        });
        Begin { position, time: recorded.unwrap_or(live), clock: self.began }
    }

    /// When the frame at `position` was sampled, in seconds of the monotonic clock: as the stream's clock says, if it knows;
    /// else from so many frames that are behind it. A clock that began before `since` does not.
    fn sampled(&mut self, position: u64, behind: u64, since: u64) -> f64 {
        match self.take.source.clock() {
            Some(clock) if (since..=position).contains(&clock.since()) && clock.rate_sigma().is_finite() => {
                clock.time_of(position).monotonic_ns as f64 / 1e9
            }
            _ => monotonic_ns() as f64 / 1e9 - self.age(behind).as_secs_f64(),
        }
    }

    /// Before `position`, which so many frames of the block begin with.
    fn gap(&mut self, position: u64, missing: Option<u64>, cause: Cause, count: u64, since: u64) -> Gap {
        let time = self.sampled(position, count, since) - self.began;
        Gap { position, missing, cause, time: Duration::try_from_secs_f64(time).unwrap_or_default() }
    }

    /// One that leaves without finishing makes no noise; say it once.
    fn look_for_producer(&mut self) {
        let left = self.take.source.producer() == ProducerState::Left;
        if left && !self.left {
            self.session.note(format!(
                "{}: the producer left; waiting for the next one (Ctrl-C ends)",
                self.take.name
            ));
        }
        self.left = left;
    }

    fn gone(&self, pid: u32, position: u64) {
        let what = format!("the producer, process {pid}, died at position {position}");
        self.session.note(format!("{}: {what}; waiting for the next one (Ctrl-C ends)", self.take.name));
        if self.next.is_some() {
            let text = "the producer died".to_owned();
            let marker = Marker { position, duration: Duration::ZERO, text };
            self.session.write(|writer| writer.marker(self.stream, marker));
        }
    }
}
