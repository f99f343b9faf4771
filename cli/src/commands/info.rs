//! `annulus info`: everything about one stream.

use crate::failure::Failure;
use crate::names::Named;
use crate::plain::plain;
use crate::{describe, users};
use annulus::{Backend, Cause, Channel, Gap, Info, Kind, ProducerState, Role, Status};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

/// Gaps that are told one by one; --json tells all that are known.
const NEWEST: usize = 5;

/// Tell everything about a stream: its channels, who is attached, how far it is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: Named,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let status = args.stream.resolve()?.open().status()?;
    let text = if args.json {
        describe::json(&describe::status(&status))?
    } else {
        text(&status).map_err(|error| Failure::Failed(error.to_string()))?
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// With whom, and how; nothing for a stream that is its user's alone.
fn shared(info: &Info) -> String {
    if info.mode & 0o077 == 0 {
        return String::new();
    }
    let (owner, group) = (users::user(info.owner), users::group(info.group));
    format!("by user {owner} with group {group}, mode {:o}", info.mode)
}

/// Where it is, if not in the object's file on tmpfs.
fn memory(info: &Info) -> String {
    match info.backend {
        Backend::Posix => String::new(),
        Backend::File if info.earlier_boot => {
            "a file, from before the machine was started anew: what it holds may be incomplete".to_owned()
        }
        Backend::File => "a file".to_owned(),
        _ => describe::memory(info),
    }
}

fn text(status: &Status) -> Result<String, std::fmt::Error> {
    let info = &status.info;
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        // With --system these are any user's texts.
        if value.is_empty() { Ok(()) } else { writeln!(text, "{key:<12}{}", plain(&value)) }
    };
    line("name", info.full_name())?;
    line("signal", info.summary())?;
    line("rate", describe::rates(status))?;
    line("kind", describe::kind(info))?;
    line("producer", producer(status.producer, status.seen))?;
    line("position", status.position.to_string())?;
    line("oldest", status.oldest.to_string())?;
    let left = |position, head| {
        describe::backlog(position, head).map_or_else(String::new, |left| format!(", {left} left"))
    };
    let taken = |head| format!("up to {head}{}", left(status.position, Some(head)));
    line("taken", status.head.map_or_else(String::new, taken))?;
    line("epoch", status.epoch.to_string())?;
    line("retains", format!("{} ({} frames)", describe::retained(info), info.capacity))?;
    line("frame", format!("{} bytes", info.frame_bytes))?;
    line("device", info.device.clone())?;
    if let Some(of) = &info.marks {
        line("marks", of.clone())?;
    }
    line("metadata", info.metadata_json.clone())?;
    line("started", info.start_time.map_or_else(String::new, describe::utc))?;
    line("created", format!("{} by {}", describe::utc(info.created), info.program))?;
    line("instance", describe::hex(&info.instance))?;
    line("object", format!("{} ({} bytes)", info.path.display(), info.bytes))?;
    line("memory", memory(info))?;
    line("shared", shared(info))?;
    line("kept", if info.keep { "yes, until it is removed".to_owned() } else { String::new() })?;
    for (number, lane) in status.lanes.iter().enumerate().filter(|_| status.lanes.len() > 1) {
        let (producer, left) = (producer(lane.producer, lane.seen), left(lane.position, lane.head));
        let rate =
            describe::measured(lane.clock.as_ref()).map_or_else(String::new, |rate| format!(", {rate}"));
        line(&format!("  lane {number}"), format!("{producer}; {} pushed{left}{rate}", lane.position))?;
    }
    line("gaps", gaps(status))?;
    for (lane, gap) in newest_gaps(status) {
        line("  gap", self::gap((status.lanes.len() > 1).then_some(lane), gap))?;
    }
    line("seats", format!("{} of {} taken", describe::readers(status), info.readers))?;
    if info.kind == Kind::Mpmc {
        let consumers = describe::holders(status, Role::Consumer);
        line("consumers", format!("{consumers} of {} there", info.consumers))?;
    }
    line("recorders", recorders(status))?;
    line("breaches", describe::breaches(status))?;
    for attached in &status.attached {
        line(&format!("  {}", attached.role), describe::place(attached, status))?;
    }
    for (number, channel) in (1..).zip(&info.channels) {
        line(&format!("channel {number}"), self::channel(channel))?;
    }
    Ok(text)
}

/// How many there were, and what they miss in all; nothing if there were none.
fn gaps(status: &Status) -> String {
    let gaps: u64 = status.lanes.iter().map(|lane| describe::gaps(&lane.gaps)).sum();
    let missing: u64 = status.lanes.iter().map(|lane| lane.missing).sum();
    if gaps > 0 { format!("{gaps}, {missing} frames missing") } else { String::new() }
}

/// The newest few, of whichever lanes, in order.
fn newest_gaps(status: &Status) -> Vec<(usize, &Gap)> {
    let mut gaps = Vec::new();
    for (number, lane) in status.lanes.iter().enumerate() {
        gaps.extend(lane.gaps.iter().map(|gap| (number, gap)));
    }
    gaps.sort_by_key(|(_, gap)| gap.monotonic_ns);
    gaps.split_off(gaps.len().saturating_sub(NEWEST))
}

fn gap(lane: Option<usize>, gap: &Gap) -> String {
    let lane = lane.map_or_else(String::new, |lane| format!("lane {lane} "));
    // Nobody knows when these were.
    let forgotten = matches!(gap.cause, Cause::Forgotten { .. });
    let when = if forgotten { String::new() } else { format!(", {}", describe::utc(gap.utc())) };
    format!("{lane}before {}: {}{when}", gap.position, describe::gap(gap))
}

fn recorders(status: &Status) -> String {
    let (taken, info) = (describe::recorders(status).count(), &status.info);
    match info.lossless {
        0 => String::new(),
        seats => format!("{taken} of {seats} seats taken; at their limit: {}", describe::at_limit(info)),
    }
}

fn producer(state: ProducerState, seen: Duration) -> String {
    let seen = describe::seconds(seen);
    match state {
        ProducerState::Never => "none yet".to_owned(),
        ProducerState::Live { pid } => format!("live, process {pid}"),
        ProducerState::Left => format!("left {seen} ago; another may carry on"),
        ProducerState::Dead { pid } => {
            format!("dead, was process {pid}, last seen {seen} ago; another may carry on")
        }
        ProducerState::Ended { position } => format!("ended the stream at {position}"),
    }
}

fn channel(channel: &Channel) -> String {
    let mut parts = vec![channel.label.clone()];
    let mut part = |name: &str, value: &str| {
        if !value.is_empty() {
            parts.push(if name.is_empty() { value.to_owned() } else { format!("{name} {value}") });
        }
    };
    part("", &channel.kind);
    part("in", &channel.unit);
    if (channel.scale, channel.offset) != (1.0, 0.0) {
        let sign = if channel.offset < 0.0 { '-' } else { '+' };
        part("=", &format!("raw * {} {sign} {}", channel.scale, channel.offset.abs()));
    }
    if let Some((low, high)) = channel.physical_range {
        part("from", &format!("{low} to {high}"));
    }
    if let Some((low, high)) = channel.digital_range {
        part("raw", &format!("{low} to {high}"));
    }
    part("filtered", &channel.prefilter);
    part("by", &channel.transducer);
    part("against", &channel.reference);
    part("", &channel.description);
    if channel.significant_bits > 0 {
        part("", &format!("{} significant bits", channel.significant_bits));
    }
    parts.join(", ")
}
