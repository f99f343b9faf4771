//! Markers, on their way into the recording of the signal that they belong to.

use super::Marker;
use super::session::{Session, Tally};
use crate::failure::Failure;
use crate::marks;
use crate::names::Stream;
use crate::stop::SLICE;
use annulus::{Info, Observer, ReadError, Wait};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A stream of markers.
#[derive(Debug)]
pub(crate) struct Marks {
    pub(crate) name: Stream,
    pub(crate) observer: Observer<annulus::Marker>,
    /// The signal that they belong to, and which of those that are recorded it is.
    pub(crate) signal: Stream,
    pub(crate) stream: usize,
}

/// How many are read at once.
const BLOCK: usize = 64;

/// A thread's work.
pub(super) struct Marking<'a> {
    session: &'a Session<'a>,
    marks: Marks,
    info: Info,
    /// Those whose frames the recording does not have yet.
    waiting: Vec<(u64, annulus::Marker)>,
}

impl<'a> Marking<'a> {
    pub(super) fn new(session: &'a Session<'a>, marks: Marks, info: Info) -> Self {
        Self { session, marks, info, waiting: Vec::new() }
    }

    fn tally(&self) -> &'a Tally {
        self.session.tally(self.marks.stream)
    }

    pub(super) fn record(mut self) -> Result<(), Failure> {
        let mut room = [annulus::Marker::default(); BLOCK];
        loop {
            // What was made before the signal ended is there by now.
            let done = self.tally().done.load(Relaxed) || self.session.is_broken();
            let read = match done {
                true => self.marks.observer.try_read(&mut room),
                false => self.marks.observer.read(&mut room, Wait::new().timeout(SLICE)),
            };
            let more = read.is_ok();
            match read {
                Ok(frames) => room[..frames.frames].iter().for_each(|marker| self.take(*marker)),
                Err(ReadError::Timeout | ReadError::Empty | ReadError::ProducerGone { .. }) => {}
                Err(ReadError::Lapped { lost }) => {
                    self.session.note(format!("{}: lost {lost} markers", self.marks.name));
                }
                Err(ReadError::Ended { .. } | ReadError::Replaced) => return self.wait_for_signal(),
                Err(error) => return Err(Failure::Failed(format!("{}: {error}", self.marks.name))),
            }
            self.pass_on();
            if done && !more {
                return self.end();
            }
        }
    }

    /// No more markers come, but frames that some belong to may.
    fn wait_for_signal(mut self) -> Result<(), Failure> {
        while !self.tally().done.load(Relaxed) && !self.session.is_broken() {
            std::thread::sleep(SLICE);
            self.pass_on();
        }
        self.pass_on();
        self.end()
    }

    fn end(self) -> Result<(), Failure> {
        let left = self.waiting.len();
        if left > 0 {
            self.session
                .note(format!("{}: {left} markers lie behind the end of the recording", self.marks.name));
        }
        Ok(())
    }

    /// Where it belongs: as it says, or by when it was made.
    fn take(&mut self, marker: annulus::Marker) {
        let by_time = || {
            let status = self.marks.signal.open().status().ok()?;
            Some(status.lanes.first()?.clock?.position_at(marker.moment()))
        };
        match marker.position(&self.info).or_else(by_time) {
            Some(position) => self.waiting.push((position, marker)),
            None => self.session.note(format!(
                "{}: nobody knows where \"{}\" belongs",
                self.marks.name,
                marks::written(&marker)
            )),
        }
    }

    /// Writes those whose frames the recording has; those before its first frame are not its own.
    fn pass_on(&mut self) {
        let (from, to) = (self.tally().from.load(Relaxed), self.tally().to.load(Relaxed));
        if to == 0 {
            return;
        }
        let ready: Vec<_> = self.waiting.extract_if(.., |(position, _)| *position < to).collect();
        for (position, marker) in ready.into_iter().filter(|(position, _)| *position >= from) {
            let seconds = if self.info.rate > 0.0 { marker.frames() as f64 / self.info.rate } else { 0.0 };
            let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let marker = Marker { position, duration, text: marks::written(&marker) };
            self.session.write(|writer| writer.marker(self.marks.stream, marker));
        }
    }
}
