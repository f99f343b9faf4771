//! Which signals of a file can be one stream, and what their counts mean.

use super::header::{Header, Signal, finite};
use crate::files::Error;
use crate::files::choose::{self, Names};
use annulus::Channel;

/// The samples that each of these signals has in a record, if it is the same number.
pub(super) fn one_rate(header: &Header, chosen: &[usize]) -> Result<u64, Error> {
    let mut rates: Vec<(u64, Vec<&str>)> = Vec::new();
    for &index in chosen {
        let signal = &header.signals[index];
        match rates.iter_mut().find(|(per_record, _)| *per_record == signal.per_record) {
            Some((_, labels)) => labels.push(&signal.label),
            None => rates.push((signal.per_record, vec![&signal.label])),
        }
    }
    match &rates[..] {
        [(per_record, _)] => Ok(*per_record),
        [] => Err(Error::bad("it has no signals")),
        [(first, _), ..] => {
            let group = |(per_record, labels): &(u64, Vec<&str>)| {
                format!("{}: {}", hertz(header, *per_record), choose::short(labels))
            };
            let all: Vec<String> = rates.iter().take(6).map(group).collect();
            let why = format!(
                "its signals have several rates, and a stream has one. Say which, as in --channels {}: {}",
                hertz(header, *first),
                all.join("; ")
            );
            Err(Error::Bad(why))
        }
    }
}

fn hertz(header: &Header, per_record: u64) -> String {
    format!("{}Hz", per_record as f64 / header.duration)
}

pub(super) fn names(header: &Header, signal: &Signal) -> Names {
    Names {
        label: split(&signal.label).1.to_owned(),
        verbatim: signal.label.clone(),
        group: hertz(header, signal.per_record),
    }
}

/// Type and sensor of a standard label, `ECG MLII`; others stay as they are.
fn split(label: &str) -> (&str, &str) {
    const TYPES: [&str; 8] = ["EEG", "ECG", "EOG", "ERG", "EMG", "MEG", "MCG", "EP"];
    match label.split_once(' ') {
        Some((kind, sensor)) if TYPES.contains(&kind) => (kind, sensor.trim_start()),
        _ => ("", label),
    }
}

/// What the raw counts of a signal mean.
pub(super) fn channel(signal: &Signal, width: usize) -> Result<Channel, String> {
    let number = |name: &str, text: &str| {
        finite(text).ok_or_else(|| format!("its {name} is '{text}', which is no number"))
    };
    let [low, high] = &signal.physical;
    let (low, high) = (number("physical minimum", low)?, number("physical maximum", high)?);
    let [least, most] = &signal.digital;
    let (least, most) = (number("digital minimum", least)?, number("digital maximum", most)?);
    if low == high {
        return Err(format!("its physical minimum and maximum are both {low}: that is no scale"));
    }
    if least >= most || least.fract() != 0.0 || most.fract() != 0.0 {
        return Err(format!("its digital range is {least} to {most}: whole numbers, the smaller one first"));
    }
    let scale = (high - low) / (most - least);
    let offset = low - least * scale;
    if !scale.is_finite() || scale == 0.0 || !offset.is_finite() {
        return Err(format!("{low} to {high} over {least} to {most} counts is no scale"));
    }
    let (kind, label) = split(&signal.label);
    let channel = Channel::new(label)
        .kind(kind)
        .unit(&*signal.unit)
        .transducer(&*signal.transducer)
        .prefilter(&*signal.prefilter)
        .scaled(scale, offset)
        // Amplifiers that invert have them the other way round; the scale keeps that.
        .physical_range(low.min(high), low.max(high))
        .digital_range(least as i64, most as i64);
    Ok(if width == 3 { channel.significant_bits(24) } else { channel })
}
