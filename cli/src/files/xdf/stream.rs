//! What a stream says about itself: LSL's description, in XML.

use super::restored;
use crate::files::{Error, date};
use crate::plain::plain;
use annulus::{Channel, SampleFormat, SampleType};
use roxmltree::{Document, Node};
use std::fmt;
use std::time::SystemTime;

/// No more channels than a stream has.
const MOST_CHANNELS: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: String,
    /// Nothing if it is a stream of texts.
    pub(super) number: Option<SampleType>,
    /// Numbers of a frame.
    pub(super) samples: usize,
    pub(super) rate: f64,
    /// What the numbers are to become.
    pub(super) format: SampleFormat,
    /// Numbers of a sample: two of a complex one.
    pub(super) parts: usize,
    /// Those that are described.
    described: Vec<Channel>,
    pub(super) device: String,
    pub(super) start_time: Option<SystemTime>,
    /// Its stamps tell each sample that is missing.
    pub(super) exact: bool,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number.map_or_else(|| "texts".to_owned(), |number| number.to_string());
        write!(f, "{} ({} ch x {number} @ {} Hz)", self.name, self.samples, self.rate)
    }
}

impl Header {
    pub(super) fn read(text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        let bad = |why: String| Error::Bad(format!("the description of a stream {why}"));
        let document = Document::parse(&text).map_err(|error| bad(format!("is no XML: {error}")))?;
        let info = document.root_element();
        let samples = child(info, "channel_count").parse().ok();
        let samples = samples.filter(|count| (1..=MOST_CHANNELS).contains(count));
        let samples =
            samples.ok_or_else(|| bad(format!("has '{}' channels", child(info, "channel_count"))))?;
        let rate: f64 = child(info, "nominal_srate").parse().unwrap_or(0.0);
        let number = match &*child(info, "channel_format") {
            "int8" => Some(SampleType::I8),
            "int16" => Some(SampleType::I16),
            "int32" => Some(SampleType::I32),
            "int64" => Some(SampleType::I64),
            "float32" => Some(SampleType::F32),
            "double64" => Some(SampleType::F64),
            "string" => None,
            other => return Err(bad(format!("has samples of type '{other}'"))),
        };
        let own = element(info, &["desc", "annulus"]);
        let was = own.and_then(|own| child(own, "sample_format").parse().ok());
        let format = number.map_or(SampleFormat::Opaque, |number| restored(number, was));
        let parts = if format.is_complex() && samples.is_multiple_of(2) { 2 } else { 1 };
        let format = match format {
            SampleFormat::Complex(number) if parts == 1 => SampleFormat::Real(number),
            format => format,
        };
        let described: Vec<Node<'_, '_>> = element(info, &["desc", "channels"])
            .map(|all| all.children().filter(|one| one.has_tag_name("channel")).collect())
            .unwrap_or_default();
        let described = described.into_iter().step_by(parts).take(samples / parts);
        let described = described.enumerate().map(|(at, node)| channel(node, at, parts)).collect();
        Ok(Self {
            name: child(info, "name"),
            number,
            samples,
            rate: if rate.is_finite() && rate > 0.0 { rate } else { 0.0 },
            format,
            parts,
            described,
            device: element(info, &["desc", "acquisition"])
                .map_or(String::new(), |found| child(found, "model")),
            start_time: own.and_then(|own| date::iso(&child(own, "start_time"))),
            exact: element(info, &["desc", "synchronization"])
                .is_some_and(|found| child(found, "can_drop_samples") == "true"),
        })
    }
}

impl Header {
    /// All of them.
    pub(super) fn channels(&self) -> Vec<Channel> {
        let numbered = (self.described.len()..self.samples / self.parts).map(|at| Channel::new(numbered(at)));
        self.described.iter().cloned().chain(numbered).collect()
    }
}

fn numbered(at: usize) -> String {
    format!("ch{}", at + 1)
}

fn element<'a, 'b>(from: Node<'a, 'b>, path: &[&str]) -> Option<Node<'a, 'b>> {
    path.iter().try_fold(from, |node, name| node.children().find(|child| child.has_tag_name(*name)))
}

/// The text of a child; nothing if there is none.
fn child(of: Node<'_, '_>, name: &str) -> String {
    let text = element(of, &[name]).and_then(|child| child.text()).unwrap_or("");
    plain(text).trim().to_owned()
}

fn channel(node: Node<'_, '_>, at: usize, parts: usize) -> Channel {
    let label = child(node, "label");
    let label = if parts == 2 { label.strip_suffix(".re").unwrap_or(&label) } else { &label };
    let number = |name: &str| child(node, name).parse().ok().filter(|number: &f64| number.is_finite());
    let mut channel = Channel::new(if label.is_empty() { numbered(at) } else { label.to_owned() })
        .unit(child(node, "unit"))
        .kind(child(node, "type"))
        .prefilter(child(node, "prefilter"))
        .transducer(child(node, "transducer"))
        .reference(child(node, "reference"))
        .description(child(node, "description"))
        .significant_bits(
            child(node, "significant_bits").parse().ok().filter(|bits| *bits <= 64).unwrap_or(0),
        );
    let scale = number("scaling_factor").filter(|scale| *scale != 0.0).unwrap_or(1.0);
    channel = channel.scaled(scale, number("offset").unwrap_or(0.0));
    if let (Some(low), Some(high)) = (number("physical_min"), number("physical_max")) {
        channel = channel.physical_range(low, high);
    }
    if let (Ok(low), Ok(high)) = (child(node, "digital_min").parse(), child(node, "digital_max").parse()) {
        channel = channel.digital_range(low, high);
    }
    channel
}
