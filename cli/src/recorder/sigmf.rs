//! SigMF: the samples as they are in one file, and in another what they mean, as JSON. Each gap begins a new capture,
//! whose `core:global_index` tells how many samples are missing.

use super::timeline::Timeline;
use super::{Begin, Growing, Marker, Track, Writer};
use crate::describe::utc_exact;
use crate::files::Gap;
use annulus::{Channel, SampleType};
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) fn refuses(track: &Track) -> Option<String> {
    match track.format.sample_type() {
        None | Some(SampleType::I64) => Some(format!("its samples are {}", track.format)),
        Some(_) => None,
    }
}

/// The two files of a recording: `x.sigmf-data`, `x.sigmf-meta`.
pub(super) fn paths(path: &Path) -> (PathBuf, PathBuf) {
    (path.with_extension("sigmf-data"), path.with_extension("sigmf-meta"))
}

#[derive(Debug)]
pub(super) struct Sigmf {
    data: Growing,
    meta: Growing,
    frame: usize,
    global: Value,
    captures: Vec<Value>,
    annotations: Vec<Value>,
    /// Whether the meta file does not say everything yet.
    stale: bool,
    begin: Begin,
    rate: f64,
    timeline: Timeline,
}

impl Sigmf {
    pub(super) fn new(data: Growing, meta: Growing, track: &Track) -> Self {
        Self {
            data,
            meta,
            frame: track.frame_bytes(),
            global: global(track),
            captures: Vec::new(),
            annotations: Vec::new(),
            stale: false,
            begin: Begin { position: 0, time: UNIX_EPOCH, clock: 0.0 },
            rate: track.rate,
            timeline: Timeline::new(track.rate, 0),
        }
    }

    /// The samples from that position on.
    fn capture(&self, position: u64) -> Map<String, Value> {
        let index = self.timeline.index(position);
        let mut capture = Map::new();
        capture.insert("core:sample_start".into(), self.timeline.recorded(position).into());
        capture.insert("core:global_index".into(), (self.begin.position + index).into());
        if let Some(time) = self.time(index) {
            capture.insert("core:datetime".into(), utc_exact(time).into());
        }
        capture
    }

    fn time(&self, index: u64) -> Option<SystemTime> {
        let after = Duration::try_from_secs_f64(self.timeline.seconds(index)).ok()?;
        (index == 0 || self.rate > 0.0).then(|| self.begin.time.checked_add(after)).flatten()
    }

    /// What the samples in the file mean, so far.
    fn describe(&mut self) -> io::Result<()> {
        if !self.stale {
            return Ok(());
        }
        let whole =
            json!({ "global": self.global, "captures": self.captures, "annotations": self.annotations });
        let mut text = serde_json::to_vec_pretty(&whole)?;
        text.push(b'\n');
        self.meta.replace(&text)?;
        self.stale = false;
        Ok(())
    }
}

fn global(track: &Track) -> Value {
    let number = track.format.sample_type().map_or(String::new(), |number| number.to_string());
    let kind = if track.format.is_complex() { 'c' } else { 'r' };
    let order = if number.ends_with('8') { "" } else { "_le" };
    let mut global = json!({
        "core:datatype": format!("{kind}{number}{order}"),
        "core:version": "1.2.0",
        "core:num_channels": track.channels.len(),
        "core:recorder": concat!("annulus ", env!("CARGO_PKG_VERSION")),
        "core:extensions": [{ "name": "annulus", "version": "1.0.0", "optional": true }],
        "annulus:name": track.name,
        "annulus:channels": track.channels.iter().map(channel).collect::<Vec<_>>(),
    });
    if track.rate > 0.0 {
        global["core:sample_rate"] = track.rate.into();
    }
    if !track.device.is_empty() {
        global["core:hw"] = (&*track.device).into();
    }
    if let Ok(metadata) = serde_json::from_str::<Value>(&track.metadata) {
        global["annulus:metadata"] = metadata;
    }
    global
}

/// All that a channel says; what it does not say is left out.
fn channel(channel: &Channel) -> Value {
    let mut all = json!({ "label": channel.label, "scale": channel.scale, "offset": channel.offset });
    for (name, text) in [
        ("unit", &channel.unit),
        ("kind", &channel.kind),
        ("prefilter", &channel.prefilter),
        ("transducer", &channel.transducer),
        ("reference", &channel.reference),
        ("description", &channel.description),
    ] {
        if !text.is_empty() {
            all[name] = (&**text).into();
        }
    }
    if let Some((low, high)) = channel.physical_range {
        all["physical_range"] = json!([low, high]);
    }
    if let Some((low, high)) = channel.digital_range {
        all["digital_range"] = json!([low, high]);
    }
    if channel.significant_bits > 0 {
        all["significant_bits"] = channel.significant_bits.into();
    }
    all
}

impl Writer for Sigmf {
    fn begin(&mut self, _: usize, begin: Begin) -> io::Result<()> {
        (self.begin, self.timeline) = (begin, Timeline::new(self.rate, begin.position));
        self.captures = vec![self.capture(begin.position).into()];
        self.stale = true;
        self.describe()
    }

    fn frames(&mut self, _: usize, _: u64, frames: &[u8]) -> io::Result<()> {
        self.data.pending.extend_from_slice(frames);
        if self.data.is_full() { self.flush() } else { Ok(()) }
    }

    fn gap(&mut self, _: usize, gap: &Gap) -> io::Result<()> {
        self.timeline.gap(gap);
        let mut capture = self.capture(gap.position);
        let (mut counted, mut cause) = (gap.missing.map_or(Value::Null, Value::from), gap.cause.to_string());
        // Two gaps without a frame between them.
        if let Some(last) =
            self.captures.pop_if(|last| last["core:sample_start"] == capture["core:sample_start"])
        {
            let before = &last["annulus:gap"];
            counted = match (counted.as_u64(), before["missing"].as_u64()) {
                (Some(counted), Some(before)) => (counted + before).into(),
                _ => Value::Null,
            };
            cause = format!("{}, {cause}", before["cause"].as_str().unwrap_or(""));
        }
        capture.insert("annulus:gap".into(), json!({ "missing": counted, "cause": cause }));
        self.captures.push(capture.into());
        self.stale = true;
        Ok(())
    }

    fn marker(&mut self, _: usize, marker: Marker) -> io::Result<()> {
        let mut annotation = json!({
            "core:sample_start": self.timeline.recorded(marker.position),
            "core:comment": marker.text,
        });
        let count = (marker.duration.as_secs_f64() * self.rate).round();
        if count > 0.0 {
            annotation["core:sample_count"] = (count as u64).into();
        }
        self.annotations.push(annotation);
        self.stale = true;
        Ok(())
    }

    /// What is said about the samples comes first: those after a gap must never seem to follow those before it.
    fn flush(&mut self) -> io::Result<()> {
        let frame = self.frame;
        self.describe()?;
        self.data.flush(|written| written.len() - written.len() % frame)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn bytes(&self) -> u64 {
        self.data.length() + self.meta.length()
    }

    fn discard(&self) {
        self.data.discard();
        self.meta.discard();
    }
}
