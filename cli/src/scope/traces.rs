//! The traces of a stream: one for each number of a frame, with what its values mean.

use crate::plain::plain;
use crate::sample::{Number, with_number};
use annulus::{Channel, Info, SampleType};

/// What a scope has to know of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) traces: Vec<Trace>,
    /// Of the channels.
    pub(crate) labels: Vec<String>,
    pub(crate) number: SampleType,
    /// Frames per second; 0 = none.
    pub(crate) rate: f64,
    /// Frames that the ring holds.
    pub(crate) capacity: u64,
}

/// One line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trace {
    pub(crate) label: String,
    pub(crate) unit: String,
    /// Which channel it belongs to: both parts of a complex sample do to one.
    pub(crate) channel: usize,
    scale: f64,
    offset: f64,
    /// Digits after the point that tell two neighbouring values apart; `None` for floating point.
    digits: Option<usize>,
}

impl Signal {
    /// Says why, if the stream is none that can be drawn.
    pub(crate) fn of(info: &Info) -> Result<Self, String> {
        let name = plain(&info.full_name());
        let (Some(number), Some(bytes)) = (info.format.sample_type(), info.format.bytes()) else {
            return Err(format!(
                "{name} holds {}: nothing is known of them that could be drawn",
                info.summary()
            ));
        };
        let whole = with_number!(number, N => N::WHOLE);
        let parts = if info.format.is_complex() { &[".re", ".im"][..] } else { &[""][..] };
        let (mut traces, mut labels) = (Vec::new(), Vec::new());
        for index in 0..info.frame_bytes / bytes {
            let unnamed = || Channel::new(format!("ch{}", index + 1));
            let channel = info.channels.get(index).cloned().unwrap_or_else(unnamed);
            let label = plain(&channel.label);
            for part in parts {
                traces.push(Trace {
                    label: format!("{label}{part}"),
                    unit: plain(&channel.unit),
                    channel: index,
                    scale: channel.scale,
                    // An offset belongs to the real axis only.
                    offset: if *part == ".im" { 0.0 } else { channel.offset },
                    digits: whole.then(|| digits(channel.scale)),
                });
            }
            labels.push(label);
        }
        Ok(Self { name, traces, labels, number, rate: info.rate, capacity: info.capacity })
    }
}

impl Trace {
    /// Physical values of the lowest and the highest raw one; a negative scale turns them round.
    pub(crate) fn physical(&self, (low, high): (f64, f64)) -> (f64, f64) {
        let [a, b] = [low, high].map(|raw| raw * self.scale + self.offset);
        if a <= b { (a, b) } else { (b, a) }
    }

    /// The label and the unit: `MLII (mV)`.
    pub(crate) fn title(&self) -> String {
        if self.unit.is_empty() { self.label.clone() } else { format!("{} ({})", self.label, self.unit) }
    }

    /// A value of this trace, without its unit, in all the digits that it has.
    pub(crate) fn value(&self, value: f64) -> String {
        match self.digits {
            Some(digits) if value.abs() < 1e12 => format!("{value:.digits$}"),
            _ => significant(value, 4),
        }
    }

    /// What a column shows of it, without the unit: one value, or from the lowest to the highest.
    pub(crate) fn values(&self, (low, high): (f64, f64)) -> String {
        let (low, high) = (self.value(low), self.value(high));
        if low == high { low } else { format!("{low}..{high}") }
    }
}

/// Digits after the point that show a step of this size.
fn digits(step: f64) -> usize {
    let digits = -step.abs().log10();
    // Scales like 1/204.7 have no last digit: a hundredth more than the step itself is enough.
    if digits.is_finite() { (digits - 0.01).ceil().clamp(0.0, 9.0) as usize } else { 0 }
}

/// So many significant digits, without an exponent where that is readable.
pub(crate) fn significant(value: f64, count: i32) -> String {
    if !value.is_finite() || value == 0.0 {
        return format!("{value}");
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&exponent) {
        return format!("{value:.*e}", (count - 1) as usize);
    }
    format!("{value:.*}", (count - 1 - exponent).max(0) as usize)
}

#[cfg(test)]
impl Trace {
    /// Raw floating point values.
    pub(crate) fn plain(label: &str) -> Self {
        let (label, unit) = (label.to_owned(), String::new());
        Self { label, unit, channel: 0, scale: 1.0, offset: 0.0, digits: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(scale: f64, offset: f64, whole: bool) -> Trace {
        let digits = whole.then(|| digits(scale));
        Trace { label: "MLII".to_owned(), unit: "mV".to_owned(), channel: 0, scale, offset, digits }
    }

    #[test]
    fn values_have_their_digits_and_no_more() {
        let ecg = trace(10.235 / 2047.0, -5.12, true);
        let value = ecg.physical((995.0, 1024.0));
        assert_eq!((ecg.values(value), ecg.title()), ("-0.145..0.000".to_owned(), "MLII (mV)".to_owned()));
        assert_eq!(trace(1.0, 0.0, true).value(-32_768.0), "-32768");
        assert_eq!(trace(1.0, 0.0, false).value(0.000_123_45), "0.0001234");
        assert_eq!(trace(1.0, 0.0, false).value(-1.5e30), "-1.500e30");
        assert_eq!(trace(1.0, 0.0, false).value(f64::NEG_INFINITY), "-inf");
        assert_eq!(trace(0.0, 3.0, true).value(3.0), "3");
    }

    #[test]
    fn a_negative_scale_turns_the_values_round() {
        assert_eq!(trace(-2.0, 1.0, true).physical((3.0, 10.0)), (-19.0, -5.0));
    }
}
