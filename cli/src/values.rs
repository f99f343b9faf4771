//! The values that options take: durations, spans of frames or time, rates, speeds.

use std::str::FromStr;
use std::time::Duration;

/// Above this a rate is a slip of the finger: the fastest digitisers make some 10^10 samples a second.
const FASTEST: f64 = 1e11;

/// `20s`, `250ms`, `40m`, `1h`, `50us`; a number alone is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("'{other}' is no unit of time: use us, ms, s, m or h")),
    };
    let seconds = digits.parse::<f64>().map_err(|_| "give a time like 20s, 250ms or 40m".to_owned())? * unit;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        _ => Err("must be above zero and below the age of the universe".to_owned()),
    }
}

/// Frames per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= FASTEST => Ok(rate),
        Ok(_) => Err(format!("must be above 0 and at most {FASTEST:e} Hz")),
        Err(_) => Err("give frames per second, like 360 or 48000".to_owned()),
    }
}

/// So many frames, or what a rate makes of so much time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Span {
    Frames(u64),
    Time(Duration),
}

impl Span {
    /// In frames, at least one; a time needs a rate.
    pub(crate) fn frames(self, rate: f64) -> Result<u64, String> {
        match self {
            Self::Frames(frames) => Ok(frames),
            Self::Time(time) if rate > 0.0 => Ok(((time.as_secs_f64() * rate).round() as u64).max(1)),
            Self::Time(_) => Err("the stream has no rate: give frames instead of a time".to_owned()),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("must be at least 1".to_owned()),
            Ok(frames) => Ok(Self::Frames(frames)),
            Err(_) if text.ends_with(|c: char| c.is_ascii_alphabetic()) => duration(text).map(Self::Time),
            Err(_) => Err("give frames like 48, or a time like 20ms".to_owned()),
        }
    }
}

/// How fast a source plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// Times real time.
    Times(f64),
    /// As fast as it goes.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err("give a factor above 0, like 1 or 2.5, or max".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in
            [("20s", 20_000), ("250ms", 250), ("2", 2000), ("40m", 2_400_000), ("1.5h", 5_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("50us"), Ok(Duration::from_micros(50)));
        for text in ["", "s", "0s", "-1s", "1d", "nans", "infs", "1e300s", "1 s", "ms"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn absurd_rates_are_refused() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["0", "-1", "nan", "inf", "1e12", "fast", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_is_frames_or_time() {
        assert_eq!("48".parse(), Ok(Span::Frames(48)));
        assert_eq!("20ms".parse(), Ok(Span::Time(Duration::from_millis(20))));
        assert_eq!("20ms".parse::<Span>().unwrap().frames(1000.0), Ok(20));
        assert_eq!("1us".parse::<Span>().unwrap().frames(1000.0), Ok(1));
        assert!("20ms".parse::<Span>().unwrap().frames(0.0).is_err());
        for text in ["0", "-3", "1.5", "0ms", "x", ""] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_speed_is_a_factor_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for text in ["0", "-1", "nan", "inf", "maximum", ""] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
