//! What the header says about each signal.

use super::super::Track;
use super::header::{ascii, number};
use crate::sample::{Number, with_number};
use annulus::{Channel, SampleType};

/// Above this the scale that the header says is another one.
const WORST_ERROR: f64 = 1e-3;

/// Above this it is not quite the same.
const NOTED_ERROR: f64 = 1e-6;

/// The texts of one signal.
#[derive(Debug)]
pub(super) struct Signal {
    label: String,
    transducer: String,
    unit: String,
    physical: [String; 2],
    digital: [String; 2],
    prefilter: String,
    samples: String,
}

/// A field of the header.
type Part = fn(&Signal) -> &str;

impl Signal {
    /// The fields in the order of the header, with their lengths: all labels stand together, then all transducers, and so on.
    pub(super) const PARTS: [(Part, usize); 10] = [
        (|signal| &signal.label, 16),
        (|signal| &signal.transducer, 80),
        (|signal| &signal.unit, 8),
        (|signal| &signal.physical[0], 8),
        (|signal| &signal.physical[1], 8),
        (|signal| &signal.digital[0], 8),
        (|signal| &signal.digital[1], 8),
        (|signal| &signal.prefilter, 80),
        (|signal| &signal.samples, 8),
        (|_| "", 32),
    ];

    pub(super) fn annotations(width: usize, samples: usize) -> Self {
        let limit = 1_i64 << (8 * width - 1);
        Self {
            label: if width == 3 { "BDF Annotations" } else { "EDF Annotations" }.to_owned(),
            transducer: String::new(),
            unit: String::new(),
            physical: ["-1", "1"].map(str::to_owned),
            digital: [-limit, limit - 1].map(|count| count.to_string()),
            prefilter: String::new(),
            samples: samples.to_string(),
        }
    }

    /// Of one channel. What the header cannot say is noted.
    pub(super) fn of(
        channel: &Channel,
        track: &Track,
        width: usize,
        samples: usize,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut note =
            |why: String| notes.push(format!("{}: channel '{}': {why}", track.name, channel.label));
        let channel = &in_microvolts(channel);
        let label = label(channel);
        for (what, text, length) in [
            ("label", &label, 16),
            ("unit", &channel.unit, 8),
            ("prefilter", &channel.prefilter, 80),
            ("transducer", &channel.transducer, 80),
        ] {
            let field = ascii(text, length);
            if field != text.replace(['\u{b5}', '\u{3bc}'], "u") {
                note(format!("its {what} becomes '{field}'"));
            }
        }
        let range = Range::of(channel, track, width);
        let error = range.error(channel);
        if error > NOTED_ERROR {
            note(format!("the file says its scale in a few digits, which are off by {error:.1e} of it"));
        }
        Self {
            label,
            transducer: channel.transducer.clone(),
            unit: channel.unit.clone(),
            physical: range.physical,
            digital: range.digital.map(|count| count.to_string()),
            prefilter: channel.prefilter.clone(),
            samples: samples.to_string(),
        }
    }
}

/// A channel whose scale the header has no digits for.
pub(super) fn unscalable(track: &Track, width: usize) -> Option<&Channel> {
    track.channels.iter().find(|channel| {
        let channel = &in_microvolts(channel);
        let range = Range::of(channel, track, width);
        let fits = range.physical.iter().all(|text| text.len() <= 8);
        !fits || range.error(channel).is_nan() || range.error(channel) > WORST_ERROR
    })
}

/// Type and sensor, as in `EEG Fp1`, if that has room.
fn label(channel: &Channel) -> String {
    const TYPES: [&str; 8] = ["EEG", "ECG", "EOG", "ERG", "EMG", "MEG", "MCG", "EP"];
    let whole = format!("{} {}", channel.kind, channel.label);
    let typed = TYPES.contains(&&*channel.kind) && whole.chars().count() <= 16;
    if typed { whole } else { channel.label.clone() }
}

/// Few volts have too few digits in a header: there they are microvolts.
fn in_microvolts(channel: &Channel) -> Channel {
    let mut channel = channel.clone();
    match &*channel.unit {
        "V" | "volts" if channel.scale.abs() < 1e-3 => {
            channel.unit = "uV".to_owned();
            channel.scale *= 1e6;
            channel.offset *= 1e6;
        }
        "volts" => channel.unit = "V".to_owned(),
        "millivolts" => channel.unit = "mV".to_owned(),
        "microvolts" => channel.unit = "uV".to_owned(),
        _ => {}
    }
    channel
}

/// Two counts, and what they are.
#[derive(Clone, Debug)]
struct Range {
    digital: [i64; 2],
    physical: [String; 2],
}

impl Range {
    /// What the channel says itself, as where a file was the source; or all that its samples can be, if that says the
    /// scale better.
    fn of(channel: &Channel, track: &Track, width: usize) -> Self {
        let all = Self::scaled(channel, counts(channel, track.format.sample_type(), width));
        let limit = 1_i64 << (8 * width - 1);
        let own = channel.digital_range.filter(|(low, high)| *low >= -limit && *high < limit && low < high);
        let own = own.map(|(low, high)| Self::scaled(channel, [low, high]));
        match own {
            Some(own) if own.error(channel) <= all.error(channel).max(1e-9) => own,
            _ => all,
        }
    }

    fn scaled(channel: &Channel, digital: [i64; 2]) -> Self {
        Self { digital, physical: digital.map(|count| number(channel.to_physical(count as f64))) }
    }

    /// How far what follows from it is from the channel's scale and offset, relatively.
    fn error(&self, channel: &Channel) -> f64 {
        let [low, high] = self.physical.each_ref().map(|text| text.parse::<f64>().unwrap_or(f64::NAN));
        let [least, most] = self.digital.map(|count| count as f64);
        let scale = (high - low) / (most - least);
        let offset = low - least * scale - channel.offset;
        let off = offset / ((most - least) * channel.scale);
        (scale / channel.scale - 1.0).abs() + off.abs()
    }
}

/// The least and the most that a sample can be.
fn counts(channel: &Channel, number: Option<SampleType>, width: usize) -> [i64; 2] {
    let limit = 1_i64 << (8 * width - 1);
    let Some(number) = number else { return [-limit, limit - 1] };
    let (least, most) = with_number!(number, N => (N::LEAST.to_f64() as i64, N::MOST.to_f64() as i64));
    let bits = channel.significant_bits;
    let (least, most) = match (1..=24).contains(&bits) {
        true if least < 0 => (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1),
        true => (0, (1_i64 << bits) - 1),
        false => (least, most),
    };
    [least.max(-limit), most.min(limit - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(channel: Channel, format: &str) -> Track {
        Track {
            name: "x@v1".to_owned(),
            format: format.parse().unwrap(),
            channels: vec![channel],
            rate: 250.0,
            device: String::new(),
            metadata: String::new(),
            instance: [0; 16],
        }
    }

    #[test]
    fn the_scale_is_kept() {
        let exact = |channel: Channel, format: &str, width: usize| {
            let track = track(channel, format);
            let mut notes = Vec::new();
            let signal = Signal::of(&track.channels[0], &track, width, 25, &mut notes);
            assert!(unscalable(&track, width).is_none());
            (signal.physical.join(" "), signal.digital.join(" "), signal.unit, notes)
        };
        let (physical, digital, ..) = exact(Channel::new("x").scaled(0.005, -5.12), "i16", 2);
        assert_eq!((&*physical, &*digital), ("-168.96 158.715", "-32768 32767"));
        let file = Channel::new("x").scaled(10.235 / 2047.0, -5.12).digital_range(0, 2047);
        let (physical, digital, _, notes) = exact(file, "i16", 2);
        assert_eq!((&*physical, &*digital), ("-5.12 5.115", "0 2047"));
        assert!(notes.is_empty(), "{notes:?}");
        let amplifier =
            Channel::new("x").unit("V").scaled(4.5 / 24.0 / 8_388_607.0, 0.0).significant_bits(24);
        let (physical, digital, unit, notes) = exact(amplifier, "i32", 3);
        assert_eq!((&*physical, &*digital, &*unit), ("-187500 187500", "-8388608 8388607", "uV"));
        assert!(notes.is_empty(), "{notes:?}");
        let odd = Channel::new("x").scaled(1.0 / 3e7, 0.0);
        assert!(unscalable(&track(odd, "i16"), 2).is_some());
        assert!(unscalable(&track(Channel::new("x").scaled(1e6, 0.0), "i16"), 2).is_some());
    }
}
