//! The texts of an XDF file, in XML: LSL's description of a stream.

use super::super::{Begin, Track};
use crate::describe::{hex, utc_exact};
use annulus::{Channel, SampleType};
use std::fmt::Write;
use std::time::SystemTime;

const XML: &str = "<?xml version=\"1.0\"?>\n";

pub(super) fn of_file(time: SystemTime) -> String {
    format!("{XML}<info><version>1.0</version><datetime>{}</datetime></info>", utc_exact(time))
}

/// Of a stream of samples. LSL has no word for scales, so they are said as some of its programs say them:
/// `scaling_factor`, and likewise the rest of what a channel says.
pub(super) fn of_stream(track: &Track, begin: Begin, held_as: &dyn Fn(SampleType) -> SampleType) -> String {
    let number = track.format.sample_type().map(held_as);
    let format = match number {
        Some(SampleType::I8) => "int8",
        Some(SampleType::I16) => "int16",
        Some(SampleType::I32) => "int32",
        Some(SampleType::I64) => "int64",
        Some(SampleType::F32) => "float32",
        _ => "double64",
    };
    let parts = if track.format.is_complex() { &[".re", ".im"][..] } else { &[""][..] };
    let mut desc = String::new();
    if !track.device.is_empty() {
        desc += &element("acquisition", &element("model", &escaped(&track.device)));
    }
    let mut channels = String::new();
    for one in &track.channels {
        for part in parts {
            channels += &element("channel", &channel(one, part));
        }
    }
    desc += &element("channels", &channels);
    // Stamps are counted from the first one: nothing has to be smoothed, and gaps must not be.
    desc += &element("synchronization", "<can_drop_samples>true</can_drop_samples>");
    let mut own =
        element("start_time", &utc_exact(begin.time)) + &element("position", &begin.position.to_string());
    own += &element("sample_format", &track.format.to_string());
    if !track.metadata.is_empty() {
        own += &element("metadata", &escaped(&track.metadata));
    }
    desc += &element("annulus", &own);
    let count = track.channels.len() * parts.len();
    info(track, &track.name, &kind(track), count, &track.rate.to_string(), format, begin.clock, &desc)
}

/// Of the texts beside a stream.
pub(super) fn of_texts(track: &Track, clock: f64) -> String {
    info(track, &format!("{} markers", track.name), "Markers", 1, "0", "string", clock, "")
}

#[expect(clippy::too_many_arguments, reason = "the fields of LSL's description, each once")]
fn info(
    track: &Track,
    name: &str,
    kind: &str,
    channels: usize,
    rate: &str,
    format: &str,
    clock: f64,
    desc: &str,
) -> String {
    let mut all = XML.to_owned() + "<info>";
    for (field, text) in [
        ("name", name),
        ("type", kind),
        ("channel_count", &channels.to_string()),
        ("nominal_srate", rate),
        ("channel_format", format),
        ("source_id", &format!("annulus-{}-{name}", hex(&track.instance))),
        ("version", "1.1"),
        ("created_at", &clock.to_string()),
        ("uid", &hex(&track.instance)),
        ("session_id", "default"),
    ] {
        all += &element(field, &escaped(text));
    }
    all + &element("desc", desc) + "</info>"
}

/// What the channels have in common, in upper case as LSL has it.
fn kind(track: &Track) -> String {
    match &track.channels[..] {
        [first, rest @ ..] if !first.kind.is_empty() && rest.iter().all(|one| one.kind == first.kind) => {
            first.kind.clone()
        }
        _ => "Signal".to_owned(),
    }
}

fn channel(channel: &Channel, part: &str) -> String {
    let mut all = element("label", &escaped(&format!("{}{part}", channel.label)));
    for (field, text) in [
        ("unit", &channel.unit),
        ("type", &channel.kind),
        ("prefilter", &channel.prefilter),
        ("transducer", &channel.transducer),
        ("reference", &channel.reference),
        ("description", &channel.description),
    ] {
        if !text.is_empty() {
            all += &element(field, &escaped(text));
        }
    }
    let offset = if part == ".im" { 0.0 } else { channel.offset };
    all += &element("scaling_factor", &channel.scale.to_string());
    all += &element("offset", &offset.to_string());
    if let Some((low, high)) = channel.physical_range {
        all += &(element("physical_min", &low.to_string()) + &element("physical_max", &high.to_string()));
    }
    if let Some((low, high)) = channel.digital_range {
        all += &(element("digital_min", &low.to_string()) + &element("digital_max", &high.to_string()));
    }
    if channel.significant_bits > 0 {
        all += &element("significant_bits", &channel.significant_bits.to_string());
    }
    all
}

pub(super) fn footer((first, last): (f64, f64), count: u64, offsets: &[f64]) -> String {
    let mut clocks = String::new();
    for time in offsets {
        let _ = write!(clocks, "<offset><time>{time}</time><value>0</value></offset>");
    }
    format!(
        "{XML}<info><first_timestamp>{first}</first_timestamp><last_timestamp>{last}</last_timestamp>\
         <sample_count>{count}</sample_count>{}</info>",
        element("clock_offsets", &clocks)
    )
}

fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// XML has no place for most control characters.
fn escaped(text: &str) -> String {
    let plain = crate::plain::plain(text);
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("a<b>&\u{1}\u{e4}"), "a&lt;b&gt;&amp; \u{e4}");
    }
}
