//! SigMF: samples in one file, and what they mean in another, as JSON.

use super::choose::{self, Names};
use super::{Cause, Error, Gap, Marker, Options, Reader, Recording, date, marker};
use crate::plain::plain;
use annulus::{Channel, SampleFormat, SampleType};
use serde_json::Value;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// Frames are taken from the file in windows of about this many bytes.
const WINDOW: usize = 1 << 18;

/// No more channels than a stream has.
const MOST_CHANNELS: u64 = 1 << 20;

/// The frames of the channels that were chosen.
#[derive(Debug)]
pub(crate) struct Sigmf<R> {
    file: R,
    recording: Recording,
    /// Bytes of a number, and of a frame in the file.
    width: usize,
    frame: usize,
    /// The most significant byte comes first.
    big: bool,
    /// Where each chosen channel is in a frame.
    offsets: Vec<usize>,
    frames: u64,
    gaps: Vec<Gap>,
    markers: Vec<Marker>,
    /// The next frame.
    next: u64,
    window: Vec<u8>,
}

impl<R: Read + Seek> Sigmf<R> {
    /// `meta` is the text of the other file.
    pub(crate) fn new(meta: &[u8], mut file: R, options: &Options) -> Result<Self, Error> {
        let meta: Value = serde_json::from_slice(meta)
            .map_err(|error| Error::Bad(format!("what describes it is no JSON: {error}")))?;
        let global = &meta["global"];
        let (format, big) = datatype(global["core:datatype"].as_str().unwrap_or(""))?;
        let count = global.get("core:num_channels").map_or(Some(1), Value::as_u64);
        let count = count.filter(|count| (1..=MOST_CHANNELS).contains(count));
        let count =
            count.ok_or_else(|| Error::bad("its core:num_channels is no number of channels"))? as usize;
        let rate = global["core:sample_rate"].as_f64().filter(|rate| rate.is_finite() && *rate > 0.0);
        let rate = rate.ok_or_else(|| Error::bad("it has no core:sample_rate, and a stream needs one"))?;
        let captures = meta["captures"].as_array().map_or(&[][..], |captures| captures);
        if captures.iter().any(|capture| capture["core:header_bytes"].as_u64().is_some_and(|bytes| bytes > 0))
        {
            return Err(Error::bad(
                "it has headers among its samples (core:header_bytes), which cannot be played",
            ));
        }

        let size = format.bytes().unwrap_or(1);
        let frame = size * count;
        let bytes = file.seek(SeekFrom::End(0))?;
        let behind = global["core:trailing_bytes"].as_u64().unwrap_or(0);
        let (frames, rest) =
            (bytes.saturating_sub(behind) / frame as u64, bytes.saturating_sub(behind) % frame as u64);
        if frames == 0 {
            return Err(Error::bad("it has no samples"));
        }
        let mut notes = Vec::new();
        if rest > 0 {
            notes.push(format!("{rest} bytes of a frame that is not whole skipped"));
        }
        let annotations = meta["annotations"].as_array().map_or(&[][..], |annotations| annotations);
        if annotations.len() > marker::MOST {
            notes.push(marker::too_many());
        }

        let own = global["annulus:channels"].as_array().filter(|own| own.len() == count);
        let all: Vec<Channel> = (0..count)
            .map(|index| {
                own.map_or_else(
                    || Channel::new(format!("ch{}", index + 1)),
                    |own| channel(&own[index], index),
                )
            })
            .collect();
        let names = |channel: &Channel| Names {
            label: channel.label.clone(),
            verbatim: channel.label.clone(),
            group: String::new(),
        };
        let chosen = choose::choose(&options.channels, &all.iter().map(names).collect::<Vec<_>>())?;
        let start_time = captures.first().and_then(|first| date::iso(first["core:datetime"].as_str()?));
        let device = plain(global["core:hw"].as_str().unwrap_or(""));
        Ok(Self {
            file,
            width: format.sample_type().map_or(1, SampleType::bytes),
            frame,
            big,
            offsets: chosen.iter().map(|index| index * size).collect(),
            frames,
            gaps: gaps(captures, frames, rate),
            markers: markers(annotations, frames),
            next: 0,
            window: Vec::new(),
            recording: Recording {
                format,
                channels: chosen.iter().map(|&index| all[index].clone()).collect(),
                rate,
                frames: Some(frames),
                device,
                start_time,
                notes,
            },
        })
    }
}

/// `ri16_le`, and whether it is in the other order.
fn datatype(text: &str) -> Result<(SampleFormat, bool), Error> {
    let unknown = || Error::Bad(format!("samples of type '{}' cannot be played", plain(text)));
    let (kind, big) = match text.strip_suffix("_be") {
        Some(kind) => (kind, true),
        None => (text.strip_suffix("_le").unwrap_or(text), false),
    };
    let kind = match kind.split_at_checked(1) {
        Some(("r", number)) => number,
        Some(("c", _)) => kind,
        _ => return Err(unknown()),
    };
    let format: SampleFormat = kind.parse().map_err(|_| unknown())?;
    if format == SampleFormat::Opaque { Err(unknown()) } else { Ok((format, big)) }
}

/// As `record` wrote it; what is missing or makes no sense is left out.
fn channel(own: &Value, index: usize) -> Channel {
    let text = |name: &str| plain(own[name].as_str().unwrap_or(""));
    let number = |name: &str| own[name].as_f64().filter(|number| number.is_finite());
    let label = own["label"].as_str().map_or_else(|| format!("ch{}", index + 1), plain);
    let scale = number("scale").filter(|scale| *scale != 0.0).unwrap_or(1.0);
    let mut channel = Channel::new(label)
        .unit(text("unit"))
        .kind(text("kind"))
        .prefilter(text("prefilter"))
        .transducer(text("transducer"))
        .reference(text("reference"))
        .description(text("description"))
        .scaled(scale, number("offset").unwrap_or(0.0));
    let range = own["physical_range"].as_array().map_or(&[][..], |range| range);
    if let [Some(low), Some(high)] = [0, 1].map(|at| range.get(at).and_then(Value::as_f64)) {
        channel = channel.physical_range(low, high);
    }
    let range = own["digital_range"].as_array().map_or(&[][..], |range| range);
    if let [Some(low), Some(high)] = [0, 1].map(|at| range.get(at).and_then(Value::as_i64)) {
        channel = channel.digital_range(low, high);
    }
    let bits = own["significant_bits"].as_u64().and_then(|bits| u32::try_from(bits).ok());
    channel.significant_bits(bits.filter(|bits| *bits <= 64).unwrap_or(0))
}

/// Where a capture's index leaps further than the samples between them go.
fn gaps(captures: &[Value], frames: u64, rate: f64) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let places = captures.iter().filter_map(|capture| {
        Some((capture["core:sample_start"].as_u64()?, capture["core:global_index"].as_u64()?, capture))
    });
    let mut first = None;
    let mut last: Option<(u64, u64)> = None;
    for (start, index, capture) in places {
        let begin = *first.get_or_insert(index.saturating_sub(start));
        let missing = last.and_then(|(before, at)| {
            index.checked_sub(at)?.checked_sub(start.checked_sub(before)?).filter(|missing| *missing > 0)
        });
        if missing.is_some() && start < frames {
            let cause = Cause::named_in(capture["annulus:gap"]["cause"].as_str().unwrap_or(""));
            let seconds = index.saturating_sub(begin) as f64 / rate;
            let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            gaps.push(Gap { position: start, missing, cause, time });
        }
        last = Some((start, index));
    }
    gaps
}

/// What annotations say: a short word, or more of them.
fn markers(annotations: &[Value], frames: u64) -> Vec<Marker> {
    let marker = |annotation: &Value| {
        let position = annotation["core:sample_start"].as_u64();
        let lasts = annotation["core:sample_count"].as_u64().unwrap_or(0);
        let words = ["core:label", "core:comment"].map(|name| annotation[name].as_str().unwrap_or(""));
        let words: Vec<&str> = words.into_iter().filter(|words| !words.is_empty()).collect();
        Marker::within(frames, position, lasts, &words.join(": "))
    };
    let mut markers: Vec<Marker> = annotations.iter().take(marker::MOST).map(marker).collect();
    markers.sort_by_key(|marker| marker.position);
    markers
}

impl<R: Read + Seek + std::fmt::Debug> Reader for Sigmf<R> {
    fn recording(&self) -> &Recording {
        &self.recording
    }

    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn markers(&self) -> &[Marker] {
        &self.markers
    }

    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut left = (self.frames - self.next).min(most as u64);
        let size = self.recording.format.bytes().unwrap_or(1);
        while left > 0 {
            let count = left.min((WINDOW / self.frame).max(1) as u64) as usize;
            self.window.resize(count * self.frame, 0);
            self.file.seek(SeekFrom::Start(self.next * self.frame as u64))?;
            self.file.read_exact(&mut self.window)?;
            for frame in self.window.chunks_exact(self.frame) {
                for &at in &self.offsets {
                    for number in frame[at..at + size].chunks_exact(self.width) {
                        if self.big {
                            out.extend(number.iter().rev());
                        } else {
                            out.extend_from_slice(number);
                        }
                    }
                }
            }
            self.next += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.next = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn open(meta: &str, data: Vec<u8>) -> Result<Sigmf<Cursor<Vec<u8>>>, String> {
        Sigmf::new(meta.as_bytes(), Cursor::new(data), &Options::default()).map_err(|error| match error {
            Error::Bad(why) | Error::Usage(why) => why,
        })
    }

    #[test]
    fn samples_are_as_they_are_told() {
        let meta = r#"{ "global": { "core:datatype": "ci16_be", "core:num_channels": 2, "core:sample_rate": 10,
            "core:hw": "rx" }, "captures": [
            { "core:sample_start": 0, "core:global_index": 100, "core:datetime": "2026-11-21T02:15:00.5Z" },
            { "core:sample_start": 1, "core:global_index": 101 },
            { "core:sample_start": 2, "core:global_index": 149, "annulus:gap": { "cause": "lapped" } }],
            "annotations": [{ "core:sample_start": 5, "core:sample_count": 1, "core:comment": "b\u0007b" },
            { "core:sample_start": 2, "core:label": "a", "core:comment": "long" }, { "core:sample_start": 7 }, 8] }"#;
        let data: Vec<u8> = (0..24_i16).flat_map(i16::to_be_bytes).collect();
        let mut file = open(meta, data).unwrap();
        let recording = file.recording();
        assert_eq!((recording.format.to_string(), recording.rate), ("ci16".to_owned(), 10.0));
        assert_eq!((recording.frames, &*recording.device), (Some(6), "rx"));
        let start = recording.start_time.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(start.as_millis(), 1_795_227_300_500);
        let gap =
            Gap { position: 2, missing: Some(47), cause: Cause::Lapped, time: Duration::from_millis(4900) };
        assert_eq!(file.gaps(), [gap]);
        let marker = |position, frames, text: &str| Marker { position, frames, text: text.to_owned() };
        let expected = [
            marker(None, 0, ""),
            marker(None, 0, ""),
            marker(Some(2), 0, "a: long"),
            marker(Some(5), 1, "b b"),
        ];
        assert_eq!(file.markers(), expected);
        let mut out = Vec::new();
        file.read(100, &mut out).unwrap();
        assert_eq!(out, (0..24_i16).flat_map(i16::to_le_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let why = |meta: &str| open(meta, vec![0; 8]).unwrap_err();
        assert!(why("{").contains("no JSON"));
        assert!(why("{}").contains("type '' cannot"));
        let global = |fields: &str| format!(r#"{{ "global": {{ "core:datatype": "ri16_le" {fields} }} }}"#);
        assert!(why(&global("")).contains("no core:sample_rate"));
        assert!(why(&global(r#", "core:sample_rate": 0"#)).contains("no core:sample_rate"));
        assert!(why(&global(r#", "core:num_channels": 0"#)).contains("core:num_channels"));
        assert!(why(&global(r#", "core:num_channels": 5, "core:sample_rate": 1"#)).contains("no samples"));
        assert!(open(&global(r#", "core:sample_rate": 1"#), vec![0; 8]).is_ok());
    }
}
