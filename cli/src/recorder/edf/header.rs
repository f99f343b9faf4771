//! The header of EDF+ and BDF+: fields of ASCII, padded with blanks.

use super::super::Track;
use super::signals::Signal;
use super::{Duration, annotations};
use crate::describe::{Civil, civil};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(super) struct Header {
    width: usize,
    device: String,
    signals: Vec<Signal>,
    duration: String,
    /// How much later the first record begins than the header, which knows whole seconds, says.
    pub(super) fraction: f64,
    pub(super) interrupted: bool,
}

impl Header {
    /// Where the number of data records is.
    pub(super) const RECORDS: u64 = 236;
    /// What makes a continuous file an interrupted one, and where: `EDF+C` becomes `EDF+D`.
    pub(super) const INTERRUPTED: (u64, &'static [u8]) = (196, b"D");

    pub(super) fn new(width: usize, track: &Track, duration: &Duration, notes: &mut Vec<String>) -> Self {
        let mut signals: Vec<Signal> = track
            .channels
            .iter()
            .map(|channel| Signal::of(channel, track, width, duration.frames, notes))
            .collect();
        signals.push(Signal::annotations(width, annotations::BYTES / width));
        Self {
            width,
            device: track.device.clone(),
            signals,
            duration: duration.text.clone(),
            fraction: 0.0,
            interrupted: false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        256 * (self.signals.len() as u64 + 1)
    }

    /// The whole of it, of a recording that begins then.
    pub(super) fn begin(&mut self, time: SystemTime) -> Vec<u8> {
        const MONTHS: [&str; 12] =
            ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        let Civil { year, month, day, hour, minute, second, nanosecond } = civil(time.max(UNIX_EPOCH));
        self.fraction = f64::from(nanosecond / 100) / 1e7;
        let device = if self.device.is_empty() { "X".to_owned() } else { self.device.replace(' ', "_") };
        let (version, plus): (&[u8], &str) =
            if self.width == 3 { (b"\xffBIOSEMI", "BDF+C") } else { (b"0       ", "EDF+C") };

        let mut file = version.to_vec();
        let mut field = |text: &str, length: usize| {
            let text = ascii(text, length);
            file.extend_from_slice(format!("{text:<length$}").as_bytes());
        };
        field("X X X X", 80);
        field(&format!("Startdate {day:02}-{}-{year:04} X X {device}", MONTHS[month as usize - 1]), 80);
        field(&format!("{day:02}.{month:02}.{:02}", year % 100), 8);
        field(&format!("{hour:02}.{minute:02}.{second:02}"), 8);
        field(&self.bytes().to_string(), 8);
        field(plus, 44);
        field("0", 8);
        field(&self.duration, 8);
        field(&self.signals.len().to_string(), 4);
        for (part, length) in Signal::PARTS {
            self.signals.iter().for_each(|signal| field(part(signal), length));
        }
        file
    }
}

/// As much of a text as a field holds, in the characters that it may have.
pub(super) fn ascii(text: &str, length: usize) -> String {
    let letter = |letter: char| match letter {
        '\u{b5}' | '\u{3bc}' => 'u',
        ' '..='~' => letter,
        _ => '?',
    };
    text.chars().take(length).map(letter).collect()
}

/// The number in at most eight characters, as well as these can say it; one that is too large in more.
pub(super) fn number(value: f64) -> String {
    let mut text = String::new();
    for digits in (0..=7).rev() {
        text = format!("{value:.digits$}");
        if digits > 0 {
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        if text == "-0" {
            text = "0".to_owned();
        }
        if text.len() <= 8 {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_eight_characters() {
        for (value, text) in [
            (0.1, "0.1"),
            (-168.96, "-168.96"),
            (1.0 / 3.0, "0.333333"),
            (-1.0 / 3.0, "-0.33333"),
            (-0.000_000_01, "0"),
            (12_345_678.9, "12345679"),
            (100.0, "100"),
            (1e10, "10000000000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn fields_are_ascii() {
        assert_eq!(ascii("\u{b5}V", 8), "uV");
        assert_eq!(ascii("\u{e4}\nbcdef", 4), "??bc");
    }
}
