//! A first column of times: its unit, and the rate that it tells.

use super::clock::Clock;

/// How many of its times are a second, by what their column is called: `time`, `Time (ms)`, `t_us`. `None` if it is no
/// column of times; an error if their unit is none that is known.
pub(super) fn per_second(label: &str) -> Option<Result<f64, ()>> {
    let label = label.to_lowercase();
    let mut words = label.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next()?;
    let rest = label.strip_prefix(first)?;
    let named = match (first, words.next_back()) {
        ("time" | "times" | "t" | "timestamp" | "timestamps", None) => Some(1.0),
        ("time" | "times" | "t" | "timestamp" | "timestamps", Some(last)) => unit(last),
        (last, _) if last.ends_with("seconds") => unit(last),
        _ => return None,
    };
    // `t_max` and `T-wave` are names of something else, but `t (h)` is a time.
    if named.is_none() && rest.starts_with(['_', '-']) { None } else { Some(named.ok_or(())) }
}

fn unit(word: &str) -> Option<f64> {
    match word {
        "s" | "sec" | "second" | "seconds" => Some(1.0),
        "ms" | "msec" | "millisecond" | "milliseconds" => Some(1e3),
        // The micro sign and the Greek letter look the same.
        "us" | "\u{b5}s" | "\u{3bc}s" | "usec" | "microsecond" | "microseconds" => Some(1e6),
        "ns" | "nsec" | "nanosecond" | "nanoseconds" => Some(1e9),
        _ => None,
    }
}

/// The first times of a table.
#[derive(Debug)]
pub(super) struct Times {
    times: Vec<f64>,
    /// Digits after the point, as many as any of them has.
    digits: i32,
}

impl Default for Times {
    fn default() -> Self {
        Self { times: Vec::new(), digits: i32::MIN }
    }
}

impl Times {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether that is a number at all.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let number = text.parse();
        self.times.extend(&number);
        self.digits = self.digits.max(digits(text));
        number.is_ok()
    }

    /// Frames in a second, and what the times after these are held against.
    pub(super) fn rate(&self, per_second: f64) -> Result<(f64, Clock), &'static str> {
        let unit = 10_f64.powi(-self.digits.max(-300));
        let mut steps: Vec<f64> = self.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable_by(f64::total_cmp);
        let usual = steps.get(steps.len() / 2).copied().unwrap_or(f64::NAN);
        // Frames that are missing here do not change the rate.
        steps.retain(|step| (step - usual).abs() <= (usual / 2.0).max(1.5 * unit));
        let span: f64 = steps.iter().sum();
        let mean = span / steps.len() as f64;
        let rate = per_second / mean;
        if !rate.is_finite() || rate <= 0.0 {
            return Err("its times do not tell the rate: at least two are needed, going up; or --rate");
        }
        let clock = Clock::timing(&self.times, unit, mean).ok_or(
            "its times have too few digits to tell the rate, and whether frames are missing; \
             --rate plays it regardless",
        )?;
        // Times are rounded to so many digits, and so is what follows from them. 255.98 was meant to be 256.
        let rate = per_second / clock.step();
        let doubt = rate * unit / span;
        let rate = if (rate.round() - rate).abs() <= doubt && rate >= 1.0 { rate.round() } else { rate };
        Ok((rate, clock))
    }
}

/// Digits after the point: of 0.10 there are two, of 1e-3 three, and of 1e3 less than none.
fn digits(number: &str) -> i32 {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len() as i64);
    let exponent: i64 = exponent.parse().unwrap_or(0);
    places.saturating_sub(exponent).clamp(-300, 300) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_tells_the_unit() {
        for (label, wanted) in [
            ("time", 1.0),
            ("Time [s]", 1.0),
            ("t(sec)", 1.0),
            ("time_s", 1.0),
            ("Seconds", 1.0),
            ("Time (ms)", 1e3),
            ("time_ms", 1e3),
            ("Timestamp in ms", 1e3),
            ("time since start [msec]", 1e3),
            ("milliseconds", 1e3),
            ("time [us]", 1e6),
            ("Time/\u{b5}s", 1e6),
            ("T (\u{3bc}s)", 1e6),
            ("timestamps-ns", 1e9),
        ] {
            assert_eq!(per_second(label), Some(Ok(wanted)), "{label}");
        }
        for label in ["Time (min)", "t [h]", "time (HH:MM:SS)", "Time stamp", "time (UTC)"] {
            assert_eq!(per_second(label), Some(Err(())), "{label}");
        }
        for label in
            ["", "ECG", "t2", "t_max", "T-wave", "timer", "ms (time)", "(time)", "\u{2192}t h", "position"]
        {
            assert_eq!(per_second(label), None, "{label}");
        }
    }

    #[test]
    fn exponents_move_the_point() {
        for (number, wanted) in [
            ("12", 0),
            ("0.10", 2),
            ("-1.5", 1),
            ("1e-3", 3),
            ("1.25E-3", 5),
            ("1.5e+1", 0),
            ("1e3", -3),
            ("1.000e03", 0),
            ("1e-999", 300),
            ("1e9223372036854775807", -300),
        ] {
            assert_eq!(digits(number), wanted, "{number}");
        }
    }
}
