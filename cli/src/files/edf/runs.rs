//! Which frames of an EDF+ file follow each other, by its annotations: when each data record begins, and what in it is
//! no signal.

use super::super::{Cause, Error, Gap, Marker, marker};
use super::Layout;
use super::header::{Header, finite};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::time::Duration;

/// What an annotation's text begins with where the samples are none: MNE's word, and `record`'s.
const SKIP: &str = "BAD_ACQ_SKIP";

/// No frame is later: nothing is lasting that long, and sums of such numbers are numbers.
const LATEST: f64 = (1_u64 << 60) as f64;

/// What the annotations of a file tell.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Frames of the file that follow each other, in the file and in time.
    pub(super) runs: Vec<Range<u64>>,
    /// What is missing between them.
    pub(super) gaps: Vec<Gap>,
    /// How much later than the header says the first of them begins: a fraction of a second, if it is no skipped one.
    pub(super) first: Duration,
    pub(super) markers: Vec<Marker>,
    /// There are more.
    pub(super) too_many: bool,
    /// Frames from the first record's to the first that is signal.
    begin: u64,
    /// Frames in the runs, and missing between them.
    pub(super) frames: u64,
    missing: u64,
}

/// An entry among the annotations.
#[derive(Debug)]
struct Entry {
    onset: f64,
    duration: Option<f64>,
    text: String,
}

/// A part of the signal, in frames since the first one, that is none.
#[derive(Debug)]
struct Skip {
    frames: Range<u64>,
    cause: Cause,
}

impl Runs {
    /// Of so many records of so many frames.
    pub(super) fn read(
        file: &mut (impl Read + Seek),
        header: &Header,
        layout: &Layout,
        records: u64,
        per_record: u64,
    ) -> Result<Self, Error> {
        let annotated: Vec<usize> =
            (0..header.signals.len()).filter(|&index| header.signals[index].is_annotations()).collect();
        let rate = per_record as f64 / header.duration;
        let mut all = Self::default();
        let (mut begins, mut skipped, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for record in 0..records {
            let mut onset = None;
            for (nth, &index) in annotated.iter().enumerate() {
                let found = entries_in(&area(file, header, layout, record, index)?);
                if nth == 0 {
                    onset = found.first().map(|entry| entry.onset);
                }
                let (skips, others): (Vec<_>, Vec<_>) = found.into_iter().partition(Entry::is_skip);
                skipped.extend(skips.into_iter().filter(|skip| skip.duration.is_some()));
                let room = marker::MOST - texts.len();
                let mut others = others.into_iter().filter(|entry| !entry.text.is_empty());
                texts.extend(others.by_ref().take(room));
                all.too_many |= others.next().is_some();
            }
            let first = *begins.first().unwrap_or(&onset);
            let expected = first.map(|first| first + record as f64 * header.duration);
            match (header.interrupted, onset) {
                (true, None) => {
                    let why = "it is interrupted (EDF+D), and nothing says when data record";
                    return Err(Error::Bad(format!("{why} {} begins", record + 1)));
                }
                (true, onset) => begins.push(onset),
                // The records follow each other, whatever they say.
                (false, onset) => begins.push(if record == 0 { onset } else { expected }),
            }
        }
        let first = begins.first().copied().flatten();
        let zero = first.unwrap_or(0.0);
        let frame = |seconds: f64| ((seconds - zero) * rate).round().clamp(0.0, LATEST) as u64;
        let skip = |entry: &Entry| Skip {
            frames: frame(entry.onset)..frame(entry.onset + entry.duration.unwrap_or(0.0)),
            cause: Cause::named_in(&entry.text),
        };
        let skips = Skip::apart(skipped.iter().map(skip).collect());
        let mut after = 0;
        for (record, begin) in (0..).zip(begins) {
            let begin = begin.map_or(record * per_record, frame);
            // Half a frame is rounding.
            if begin < after {
                let (at, expected) = (begin as f64 / rate + zero, after as f64 / rate + zero);
                return Err(Error::Bad(format!(
                    "it is interrupted (EDF+D), and data record {} begins at {at} s, before the last one has ended, \
                     at {expected} s",
                    record + 1
                )));
            }
            after = begin + per_record;
            all.add(record * per_record..(record + 1) * per_record, begin, &skips, rate);
        }
        all.first = Duration::try_from_secs_f64(zero + all.begin as f64 / rate).unwrap_or_default();
        all.mark(texts, zero, rate);
        Ok(all)
    }

    /// Finds the frames that these belong to. What happened while frames were missing belongs to the next one.
    fn mark(&mut self, mut entries: Vec<Entry>, zero: f64, rate: f64) {
        entries.sort_by(|one, other| one.onset.total_cmp(&other.onset));
        let (mut before, mut gaps) = (self.begin, self.gaps.iter().peekable());
        for entry in entries {
            let index = ((entry.onset - zero) * rate).round();
            let index = (index >= 0.0).then_some(index as u64);
            while let Some(gap) = gaps.peek()
                && let Some(missing) = gap.missing
                && Some(gap.position + before + missing) <= index
            {
                before += missing;
                gaps.next();
            }
            let position = index.and_then(|index| index.checked_sub(before));
            let next = gaps.peek().map_or(u64::MAX, |gap| gap.position);
            let position = position.map(|position| position.min(next));
            let lasts = (entry.duration.unwrap_or(0.0) * rate).round() as u64;
            self.markers.push(Marker::within(self.frames, position, lasts, &entry.text));
        }
    }

    /// Frames of the file, the first of which is `begin` in time, without those that are skipped.
    fn add(&mut self, frames: Range<u64>, begin: u64, skips: &[Skip], rate: f64) {
        let from_file = frames.start;
        let end = begin + (frames.end - frames.start);
        let mut at = begin;
        for skip in &skips[skips.partition_point(|skip| skip.frames.end <= begin)..] {
            if skip.frames.start >= end {
                break;
            }
            let (from, to) = (skip.frames.start.clamp(at, end), skip.frames.end.clamp(at, end));
            self.push(from_file + (at - begin)..from_file + (from - begin), at, skips, rate);
            at = to;
        }
        self.push(from_file + (at - begin)..from_file + (end - begin), at, skips, rate);
    }

    fn push(&mut self, frames: Range<u64>, begin: u64, skips: &[Skip], rate: f64) {
        if frames.is_empty() {
            return;
        }
        if self.runs.is_empty() {
            self.begin = begin;
        }
        let (so_far, after) = (self.frames, self.begin + self.frames + self.missing);
        self.frames += frames.end - frames.start;
        match self.runs.last_mut() {
            Some(last) if after == begin && last.end == frames.start => last.end = frames.end,
            None => self.runs.push(frames),
            Some(_) => {
                let next = skips.get(skips.partition_point(|skip| skip.frames.end <= after));
                let cause = next
                    .filter(|skip| skip.frames.contains(&after))
                    .map_or(Cause::Unknown, |skip| skip.cause);
                let time =
                    Duration::try_from_secs_f64((begin - self.begin) as f64 / rate).unwrap_or_default();
                self.missing += begin - after;
                self.gaps.push(Gap { position: so_far, missing: Some(begin - after), cause, time });
                self.runs.push(frames);
            }
        }
    }
}

impl Skip {
    /// In order, and none within another.
    fn apart(mut all: Vec<Self>) -> Vec<Self> {
        all.sort_by_key(|skip| skip.frames.start);
        let mut apart: Vec<Self> = Vec::new();
        for skip in all.into_iter().filter(|skip| !skip.frames.is_empty()) {
            match apart.last_mut() {
                Some(last) if skip.frames.start < last.frames.end => {
                    last.frames.end = last.frames.end.max(skip.frames.end);
                }
                _ => apart.push(skip),
            }
        }
        apart
    }
}

impl Entry {
    fn is_skip(&self) -> bool {
        self.text.starts_with(SKIP)
    }
}

/// The annotations of one signal in one record, as they are.
fn area(
    file: &mut (impl Read + Seek),
    header: &Header,
    layout: &Layout,
    record: u64,
    index: usize,
) -> io::Result<Vec<u8>> {
    let bytes = header.signals[index].per_record * header.width as u64;
    let mut area = vec![0; bytes as usize];
    file.seek(SeekFrom::Start(header.bytes + record * layout.record_bytes + layout.offsets[index]))?;
    file.read_exact(&mut area)?;
    Ok(area)
}

/// Each `+onset\x15duration\x14text\x14text\x14\0`, where there need be neither a duration nor a text.
fn entries_in(area: &[u8]) -> Vec<Entry> {
    let mut all = Vec::new();
    for list in area.split(|&byte| byte == 0).filter(|list| !list.is_empty()) {
        let mut parts = list.split(|&byte| byte == 0x14).map(String::from_utf8_lossy);
        let time = parts.next().unwrap_or_default();
        let (onset, duration) = match time.split_once('\x15') {
            Some((onset, duration)) => (onset, finite(duration)),
            None => (&*time, None),
        };
        let onset = if onset.starts_with(['+', '-']) { finite(onset) } else { None };
        let Some(onset) = onset else { continue };
        // What comes first in a record says its time, and has no text.
        let texts: Vec<String> =
            parts.map(std::borrow::Cow::into_owned).filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            all.push(Entry { onset, duration, text: String::new() });
        }
        all.extend(texts.into_iter().map(|text| Entry { onset, duration, text }));
    }
    all
}
