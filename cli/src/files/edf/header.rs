//! What the header of an EDF or BDF file says, as far as that makes sense.

use crate::files::{Error, date};
use crate::plain::plain;
use std::io::{Read, Seek, SeekFrom};
use std::time::SystemTime;

/// Bytes of the fixed part, and of the part of each signal.
const PART: u64 = 256;

#[derive(Debug)]
pub(super) struct Header {
    /// Bytes of one sample: 2 in EDF, 3 in BDF.
    pub(super) width: usize,
    /// Gaps between data records are allowed.
    pub(super) interrupted: bool,
    pub(super) device: String,
    pub(super) start_time: Option<SystemTime>,
    /// `None` while a recording is made, or if that was never finished.
    pub(super) records: Option<u64>,
    /// Seconds of a data record.
    pub(super) duration: f64,
    pub(super) signals: Vec<Signal>,
    /// Where the data begin.
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(super) struct Signal {
    pub(super) label: String,
    pub(super) transducer: String,
    pub(super) unit: String,
    pub(super) physical: [String; 2],
    pub(super) digital: [String; 2],
    pub(super) prefilter: String,
    /// Samples in each data record.
    pub(super) per_record: u64,
}

impl Signal {
    /// Texts and times, instead of samples.
    pub(super) fn is_annotations(&self) -> bool {
        matches!(&*self.label, "EDF Annotations" | "BDF Annotations")
    }
}

impl Header {
    /// `length` is the file's.
    pub(super) fn read(file: &mut (impl Read + Seek), length: u64) -> Result<Self, Error> {
        let mut fixed = [0; PART as usize];
        file.seek(SeekFrom::Start(0))?;
        if length < PART {
            let why = "it is no EDF file, or cut off within its header: it has only";
            return Err(Error::Bad(format!("{why} {length} bytes")));
        }
        file.read_exact(&mut fixed)?;
        let Some(width) = super::width(&fixed) else {
            return Err(Error::bad("it is no EDF or BDF file: it does not begin like one"));
        };
        let fields = Fields(&fixed);
        let count = fields.whole(252, 4, "number of signals")?;
        let count = u64::try_from(count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| Error::bad("its header says that it has no signals"))?;
        let bytes = PART * (count + 1);
        let said = fields.whole(184, 8, "header length")?;
        if said != bytes as i64 {
            let why = format!("its header says that it has {said} bytes, but {count} signals make {bytes}");
            return Err(Error::Bad(why));
        }
        if bytes > length {
            let why = format!("it is cut off within its header: {length} of {bytes} bytes are there");
            return Err(Error::Bad(why));
        }
        let records = fields.whole(236, 8, "number of data records")?;
        if records < -1 {
            return Err(Error::Bad(format!("its header says that it has {records} data records")));
        }
        let duration = fields.number(244, 8, "duration of a data record")?;

        let mut signals = vec![0; (bytes - PART) as usize];
        file.read_exact(&mut signals)?;
        let signals = Signal::all(&signals, count as usize)?;
        // A file of annotations alone has records without a duration.
        if duration <= 0.0 && signals.iter().any(|signal| !signal.is_annotations()) {
            return Err(Error::Bad(format!("its header says that a data record lasts {duration} s")));
        }
        let (device, start_date) = recording(&fields.text(88, 80));
        let start_time = start_time(start_date, &fields.text(168, 8), &fields.text(176, 8));
        Ok(Self {
            width,
            interrupted: matches!(fields.text(192, 5).as_str(), "EDF+D" | "BDF+D"),
            device,
            start_time,
            records: u64::try_from(records).ok(),
            duration,
            signals,
            bytes,
        })
    }
}

impl Signal {
    /// All labels stand together, then all transducers, and so on.
    fn all(bytes: &[u8], count: usize) -> Result<Vec<Self>, Error> {
        let fields = Fields(bytes);
        let text =
            |before: usize, length: usize, index: usize| fields.text(before * count + index * length, length);
        let mut signals = Vec::with_capacity(count);
        for index in 0..count {
            let per_record = text(216, 8, index);
            let samples = per_record.parse().ok().filter(|samples| *samples > 0);
            let per_record = samples.ok_or_else(|| {
                Error::Bad(format!("signal {} has '{per_record}' samples in a data record", index + 1))
            })?;
            signals.push(Self {
                label: text(0, 16, index),
                transducer: text(16, 80, index),
                unit: text(96, 8, index),
                physical: [text(104, 8, index), text(112, 8, index)],
                digital: [text(120, 8, index), text(128, 8, index)],
                prefilter: text(136, 80, index),
                per_record,
            });
        }
        Ok(signals)
    }
}

/// Fields of ASCII, padded with blanks.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Some write UTF-8 or Latin-1, and some pad with zeros. What would control a terminal becomes a blank.
    fn text(&self, at: usize, length: usize) -> String {
        let bytes = &self.0[at..at + length];
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        };
        plain(&text).trim().to_owned()
    }

    fn whole(&self, at: usize, length: usize, what: &str) -> Result<i64, Error> {
        let text = self.text(at, length);
        text.parse().map_err(|_| Error::Bad(format!("the {what} in its header is '{text}'")))
    }

    fn number(&self, at: usize, length: usize, what: &str) -> Result<f64, Error> {
        let text = self.text(at, length);
        finite(&text).ok_or_else(|| Error::Bad(format!("the {what} in its header is '{text}'")))
    }
}

/// A number, but not what Rust also takes for one: `nan`, `inf`.
pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The device and the date that an EDF+ recording field tells: `Startdate 02-MAR-2002 PSG-1234 NN Telemetry03`. In
/// plain EDF the field is anybody's free text, perhaps with a name in it: it stays where it is.
fn recording(field: &str) -> (String, StartDate) {
    let mut words = field.split_whitespace();
    if words.next() != Some("Startdate") {
        return (String::new(), StartDate::NotSaid);
    }
    let start = match words.next() {
        Some("X") => StartDate::Unknown,
        Some(text) => long_date(text).map_or(StartDate::NotSaid, StartDate::Known),
        None => StartDate::NotSaid,
    };
    let device = words.nth(2).filter(|word| *word != "X").unwrap_or("");
    (device.replace('_', " "), start)
}

#[derive(Debug, PartialEq)]
enum StartDate {
    Known((i64, u32, u32)),
    /// The file says that nobody shall know.
    Unknown,
    NotSaid,
}

/// `02-MAR-2002`
fn long_date(text: &str) -> Option<(i64, u32, u32)> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let mut parts = text.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    Some((year.parse().ok()?, month as u32 + 1, day.parse().ok()?))
}

/// When the first record begins; `None` if the header does not know. `16.09.87`, `20.35.00`.
fn start_time(start: StartDate, date: &str, time: &str) -> Option<SystemTime> {
    let three = |text: &str| -> Option<(u32, u32, u32)> {
        let mut parts = text.split(['.', ':']).map(|part| part.trim().parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    };
    let date = match start {
        StartDate::Known(date) => date,
        StartDate::Unknown => return None,
        StartDate::NotSaid => {
            let (day, month, year) = three(date)?;
            // Two digits last from 1985 to 2084.
            let year = i64::from(year);
            (if year < 85 { 2000 + year } else { 1900 + year }, month, day)
        }
    };
    date::utc(date, three(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_field_tells_the_device() {
        let known = StartDate::Known((2002, 3, 2));
        assert_eq!(
            recording("Startdate 02-MAR-2002 PSG-1234/2002 NN Telemetry_03"),
            ("Telemetry 03".to_owned(), known)
        );
        assert_eq!(recording("Startdate X X X X"), (String::new(), StartDate::Unknown));
        assert_eq!(recording("Dr. Who, bedside"), (String::new(), StartDate::NotSaid));
        assert_eq!(recording(""), (String::new(), StartDate::NotSaid));
    }

    #[test]
    fn two_digit_years_last_from_1985_to_2084() {
        let year = |text: &str| {
            let time = start_time(StartDate::NotSaid, text, "00.00.00")?;
            (1980..2090).find(|&year| date::utc((year, 1, 1), (0, 0, 0)) == Some(time))
        };
        assert_eq!((year("01.01.85"), year("01.01.99")), (Some(1985), Some(1999)));
        assert_eq!((year("01.01.00"), year("01.01.84")), (Some(2000), Some(2084)));
        assert_eq!(start_time(StartDate::NotSaid, "", ""), None);
        assert_eq!(start_time(StartDate::Unknown, "01.01.85", "00.00.00"), None);
        let known = start_time(StartDate::Known((2002, 3, 2)), "XX", "01.02.03");
        assert_eq!(known, date::utc((2002, 3, 2), (1, 2, 3)));
    }
}
