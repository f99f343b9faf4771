//! The recording that is part of the program: an ECG with arrhythmia, from the MIT-BIH Arrhythmia Database.
//!
//! This reads what the one embedded file needs, a plain EDF with one signal, and no other. The credit is in
//! `data/README.md`.

use annulus::Channel;
use std::sync::LazyLock;

const FILE: &[u8] = include_bytes!("../data/mitdb-208.edf");

/// Lengths in bytes of the fixed header, and of the header of each signal.
const HEADER: usize = 256;

/// One recorded signal: raw counts, and what they mean.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) samples: Vec<i16>,
    pub(crate) rate: f64,
    pub(crate) channel: Channel,
    pub(crate) device: &'static str,
}

/// The embedded recording: 5 minutes at 360 Hz.
pub(crate) fn ecg() -> &'static Record {
    static ECG: LazyLock<Record> = LazyLock::new(|| {
        let (samples, rate, channel) = parse(FILE).expect("a test reads the embedded file whole");
        let device = "MIT-BIH Arrhythmia Database, record 208, 19:35 to 24:35";
        Record { samples, rate, channel, device }
    });
    &ECG
}

/// The raw counts, the rate and the channel of a plain EDF file with one signal.
fn parse(file: &[u8]) -> Option<(Vec<i16>, f64, Channel)> {
    // Fixed-width ASCII fields, padded with blanks.
    let text = |from: usize, length: usize| -> Option<&str> {
        Some(std::str::from_utf8(file.get(from..from + length)?).ok()?.trim())
    };
    let number = |from: usize, length: usize| -> Option<f64> { text(from, length)?.parse().ok() };

    let records = number(236, 8)?;
    let seconds = number(244, 8)?;
    if number(252, 4)? != 1.0 || number(184, 8)? != (2 * HEADER) as f64 || seconds <= 0.0 {
        return None;
    }
    let signal = |offset: usize| HEADER + offset;
    let (physical_min, physical_max) = (number(signal(104), 8)?, number(signal(112), 8)?);
    let (digital_min, digital_max) = (number(signal(120), 8)?, number(signal(128), 8)?);
    let per_record = number(signal(216), 8)?;

    let data = file.get(2 * HEADER..)?;
    if data.len() as f64 != 2.0 * records * per_record {
        return None;
    }
    let samples = data.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect();

    // EDF labels start with the type of signal: "ECG MLII".
    let label = text(signal(0), 16)?;
    let (kind, label) = label.split_once(' ').unwrap_or(("", label));
    let scale = (physical_max - physical_min) / (digital_max - digital_min);
    let channel = Channel::new(label)
        .kind(kind)
        .unit(text(signal(96), 8)?)
        .transducer(text(signal(16), 80)?)
        .scaled(scale, physical_min - digital_min * scale)
        .physical_range(physical_min, physical_max)
        .digital_range(digital_min as i64, digital_max as i64);
    Some((samples, per_record / seconds, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_recording_is_whole() {
        let record = ecg();
        assert_eq!((record.samples.len(), record.rate), (108_000, 360.0));
        assert!(record.samples.iter().all(|count| (0..=2047).contains(count)));
        let channel = &record.channel;
        assert_eq!((&*channel.label, &*channel.unit, &*channel.kind), ("MLII", "mV", "ECG"));
        assert!((channel.scale - 1.0 / 200.0).abs() < 1e-12);
        assert!(channel.to_physical(1024.0).abs() < 1e-9, "the zero is at 1024");
    }

    #[test]
    fn a_cut_or_damaged_file_is_none() {
        for length in [0, 100, 256, 511, 512, FILE.len() - 2] {
            assert!(parse(&FILE[..length]).is_none(), "{length}");
        }
        for damaged in [185, 237, 245, 252, 360, 473] {
            let mut file = FILE.to_vec();
            file[damaged] = b'?';
            assert!(parse(&file).is_none(), "{damaged}");
        }
    }
}
