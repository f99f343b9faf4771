//! The recording that is part of the program: an ECG with arrhythmia, from the MIT-BIH Arrhythmia Database.
//! The credit is in `data/README.md`.

use crate::files::{Edf, Options, Reader};
use annulus::Channel;
use std::io::Cursor;
use std::sync::LazyLock;

const FILE: &[u8] = include_bytes!("../data/mitdb-208.edf");

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
        const WHOLE: &str = "a test reads the embedded file whole";
        let mut file = Edf::new(Cursor::new(FILE), &Options::default()).expect(WHOLE);
        let mut bytes = Vec::new();
        file.read(usize::MAX, &mut bytes).expect(WHOLE);
        let samples = bytes.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
        let (rate, channel) = (file.recording().rate, file.recording().channels[0].clone());
        let device = "MIT-BIH Arrhythmia Database, record 208, 19:35 to 24:35";
        Record { samples, rate, channel, device }
    });
    &ECG
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
}
