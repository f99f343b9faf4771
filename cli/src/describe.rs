//! A stream's status in words, and as JSON.

use annulus::{
    AtLimit, Attached, Cause, Channel, Clock, Gap, Info, Kind, LaneStatus, Listed, ProducerState, Role,
    Status,
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the producer is doing, in one word.
pub(crate) fn state(producer: ProducerState) -> &'static str {
    match producer {
        ProducerState::Never => "new",
        ProducerState::Live { .. } => "live",
        ProducerState::Left => "left",
        ProducerState::Dead { .. } => "dead",
        ProducerState::Ended { .. } => "ended",
    }
}

/// The pid of a producer that lives, or of the one that died.
pub(crate) fn producer_pid(producer: ProducerState) -> Option<u32> {
    match producer {
        ProducerState::Live { pid } | ProducerState::Dead { pid } => Some(pid),
        _ => None,
    }
}

/// How many consumers and observers are attached.
pub(crate) fn readers(status: &Status) -> usize {
    let reads = |attached: &&Attached| !matches!(attached.role, Role::Producer | Role::Lossless);
    status.attached.iter().filter(reads).count()
}

/// How many hold seats for `role`.
pub(crate) fn holders(status: &Status, role: Role) -> usize {
    status.attached.iter().filter(|attached| attached.role == role).count()
}

/// The kind, with the lanes of a work queue: `mpmc x 4`.
pub(crate) fn kind(info: &Info) -> String {
    if info.kind == Kind::Mpmc { format!("{} x {}", info.kind, info.lanes) } else { info.kind.to_string() }
}

/// Frames that wait to be taken; `None` where nobody takes any.
pub(crate) fn backlog(position: u64, head: Option<u64>) -> Option<u64> {
    head.map(|head| position.saturating_sub(head))
}

/// How much history the ring holds: `10 s`, or `4096 frames` where there is no rate.
pub(crate) fn retained(info: &Info) -> String {
    info.retained().map_or_else(|| format!("{} frames", info.capacity), seconds)
}

/// What is done at the limit of a recorder.
pub(crate) fn at_limit(info: &Info) -> &'static str {
    match info.at_limit {
        AtLimit::Full => "full",
        _ => "overwrite",
    }
}

/// Those in lossless seats.
pub(crate) fn recorders(status: &Status) -> impl Iterator<Item = &Attached> {
    status.attached.iter().filter(|attached| attached.role == Role::Lossless)
}

/// The rate that was measured: `1000.0121 +- 0.0013 Hz (1.3 ppm)`; nothing if none was.
pub(crate) fn measured(clock: Option<&Clock>) -> Option<String> {
    let (rate, sigma) =
        clock.map(|clock| (clock.rate(), clock.rate_sigma())).filter(|(_, sigma)| sigma.is_finite())?;
    // Two digits of what is uncertain.
    let digits = (1.0 - sigma.max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    Some(format!("{rate:.digits$} +- {sigma:.digits$} Hz ({:.2} ppm)", sigma / rate * 1e6))
}

/// The nominal rate, and the measured one of a stream with one lane.
pub(crate) fn rates(status: &Status) -> String {
    let nominal = (status.info.rate > 0.0).then(|| format!("{} Hz nominal", status.info.rate));
    let measured = match &status.lanes[..] {
        [lane] => measured(lane.clock.as_ref()).map(|rate| format!("measured {rate}")),
        _ => None,
    };
    [nominal, measured].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Where a reader is, how far behind, and what it lost.
pub(crate) fn place(attached: &Attached, status: &Status) -> String {
    let behind = match status.position.saturating_sub(attached.position) {
        0 => String::new(),
        frames => format!(", {frames} behind"),
    };
    let lost = if attached.lost > 0 { format!(", lost {}", attached.lost) } else { String::new() };
    format!("{} {} at {}{behind}{lost}", attached.pid, attached.program, attached.position)
}

/// What recorders lost in all; nothing if they did not.
pub(crate) fn breaches(status: &Status) -> String {
    match (status.breaches.times, status.breaches.frames) {
        (0, 0) => String::new(),
        (times, frames) => format!("recorders lost {frames} frames (overtaken {times}x)"),
    }
}

/// What is missing, and why: `47 frames missing: device loss`.
pub(crate) fn gap(gap: &Gap) -> String {
    let missing = gap.missing.unwrap_or(0);
    match gap.cause {
        Cause::Device => format!("{missing} frames missing: device loss"),
        Cause::Restart { after } => {
            format!("restart, {} after the producer before was last seen", seconds(after))
        }
        Cause::DeviceReset => "frames missing, nobody counted them: device reset".to_owned(),
        Cause::UtcStep { ns } => format!("UTC was set by {:+.3} s", ns as f64 / 1e9),
        Cause::Forgotten { gaps } => format!("{gaps} older gaps, {missing} frames missing"),
        cause => format!("{missing} frames missing: {cause:?}"),
    }
}

/// How many gaps these are, with those that were forgotten.
pub(crate) fn gaps(gaps: &[Gap]) -> u64 {
    let count = |gap: &Gap| if let Cause::Forgotten { gaps } = gap.cause { gaps } else { 1 };
    gaps.iter().map(count).sum()
}

pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let digits = if seconds < 1.0 { 3 } else { usize::from(seconds < 100.0) };
    let text = format!("{seconds:.digits$}");
    // 10.0 is 10; a whole 300 keeps its zeros.
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} s")
}

/// JSON as a text of some lines. It escapes control characters as it must, below the blank; those above it, which a
/// terminal obeys as well, are escaped here: they occur in strings only.
pub(crate) fn json(value: &Value) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| escaped(&text))
}

/// As [`json`], on one line.
pub(crate) fn json_line(value: &Value) -> serde_json::Result<String> {
    serde_json::to_string(value).map(|text| escaped(&text))
}

fn escaped(json: &str) -> String {
    let mut text = String::new();
    for letter in json.chars() {
        match letter {
            '\u{7f}'..='\u{9f}' => text += &format!("\\u{:04x}", u32::from(letter)),
            _ => text.push(letter),
        }
    }
    text + "\n"
}

/// One entry of a listing; an object that is not a stream we understand says why.
pub(crate) fn listed(stream: &Listed) -> Value {
    match &stream.status {
        Ok(status) => self::status(status),
        Err(error) => json!({
            "name": stream.name,
            "path": stream.path.to_string_lossy(),
            "state": "broken",
            "error": error.to_string(),
        }),
    }
}

/// Everything that is known about a stream.
pub(crate) fn status(status: &Status) -> Value {
    let info = &status.info;
    json!({
        "name": info.full_name(),
        "path": info.path.to_string_lossy(),
        "state": state(status.producer),
        "pid": producer_pid(status.producer),
        "kind": info.kind.to_string(),
        "lanes": info.lanes,
        "summary": info.summary(),
        "format": info.format.to_string(),
        "rate": if info.rate > 0.0 { Some(info.rate) } else { None },
        "position": status.position,
        "oldest": status.oldest,
        "head": status.head,
        "backlog": backlog(status.position, status.head),
        "each_lane": status.lanes.iter().map(lane).collect::<Vec<_>>(),
        "consumers": info.consumers,
        "epoch": status.epoch,
        "wakes": status.wakes,
        "end": if let ProducerState::Ended { position } = status.producer { Some(position) } else { None },
        "retired": status.retired,
        "frame_bytes": info.frame_bytes,
        "capacity": info.capacity,
        "requested": info.requested,
        "retained_seconds": info.retained().map(|time| time.as_secs_f64()),
        "contiguous": info.contiguous,
        "seats": info.readers,
        "lossless": if info.lossless > 0 { Some(json!({
            "seats": info.lossless,
            "at_limit": at_limit(info),
            "breaches": status.breaches.times,
            "lost": status.breaches.frames,
        })) } else { None },
        "observable": info.observable,
        "keep": info.keep,
        "memory": memory(info),
        "earlier_boot": info.earlier_boot,
        "bytes": info.bytes,
        "access": json!({ "system": info.scope == annulus::Scope::System, "owner": info.owner, "group": info.group, "mode": format!("{:o}", info.mode) }),
        "seen_seconds": status.seen.as_secs_f64(),
        "device": info.device,
        "metadata": metadata(&info.metadata_json),
        "program": info.program,
        "marks": info.marks,
        "created": utc(info.created),
        "start_time": info.start_time.map(utc),
        "instance": hex(&info.instance),
        "channels": info.channels.iter().map(channel).collect::<Vec<_>>(),
        "attached": status.attached.iter().map(|attached| json!({
            "role": attached.role.to_string(),
            "pid": attached.pid,
            "program": attached.program,
            "position": attached.position,
            "behind": status.position.saturating_sub(attached.position),
            "lost": attached.lost,
        })).collect::<Vec<_>>(),
    })
}

fn lane(lane: &LaneStatus) -> Value {
    json!({
        "state": state(lane.producer),
        "pid": producer_pid(lane.producer),
        "position": lane.position,
        "oldest": lane.oldest,
        "head": lane.head,
        "backlog": backlog(lane.position, lane.head),
        "epoch": lane.epoch,
        "clock": lane.clock.map(|clock| self::clock(&clock, lane.position)),
        "missing": lane.missing,
        "gaps": lane.gaps.iter().map(gap_value).collect::<Vec<_>>(),
    })
}

/// What does not belong to the cause is null; of those that were forgotten nobody knows when they were.
fn gap_value(gap: &Gap) -> Value {
    let (cause, after, step, forgotten) = match gap.cause {
        Cause::Device => ("device", None, None, None),
        Cause::Restart { after } => ("restart", Some(after.as_secs_f64()), None, None),
        Cause::DeviceReset => ("device_reset", None, None, None),
        Cause::UtcStep { ns } => ("utc_step", None, Some(ns), None),
        Cause::Forgotten { gaps } => ("forgotten", None, None, Some(gaps)),
        _ => ("unknown", None, None, None),
    };
    let noticed = forgotten.is_none();
    json!({
        "position": gap.position,
        "cause": cause,
        "missing": gap.missing,
        "missing_in_all": gap.missing_in_all,
        "after_seconds": after,
        "step_ns": step,
        "forgotten": forgotten,
        "monotonic_ns": noticed.then_some(gap.monotonic_ns),
        "utc_ns": noticed.then_some(gap.utc_ns),
        "utc": noticed.then(|| utc_exact(gap.utc())),
    })
}

/// What was measured is null until it was.
fn clock(clock: &Clock, position: u64) -> Value {
    let last = clock.time_of(position.saturating_sub(1));
    let measured = clock.rate_sigma().is_finite();
    json!({
        "nominal_rate": clock.nominal(),
        "rate": measured.then(|| clock.rate()),
        "rate_sigma": clock.rate_sigma(),
        "rate_sigma_ppm": clock.rate_sigma() / clock.rate() * 1e6,
        "since": clock.since(),
        "last_frame": {
            "monotonic_ns": last.monotonic_ns,
            "utc_ns": last.utc_ns,
            "utc": utc(last.utc()),
            "sigma_ns": last.sigma_ns,
        },
    })
}

fn channel(channel: &Channel) -> Value {
    json!({
        "label": channel.label,
        "unit": channel.unit,
        "kind": channel.kind,
        "scale": channel.scale,
        "offset": channel.offset,
        "physical_range": channel.physical_range,
        "digital_range": channel.digital_range,
        "prefilter": channel.prefilter,
        "transducer": channel.transducer,
        "reference": channel.reference,
        "description": channel.description,
        "significant_bits": channel.significant_bits,
    })
}

/// The user's own JSON as what it says; if it is none, as text.
fn metadata(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or_else(|_| text.into()) }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a calendar and a clock show, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanosecond: u32,
}

pub(crate) fn civil(time: SystemTime) -> Civil {
    let nanoseconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    let seconds = nanoseconds.div_euclid(1_000_000_000) as i64;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
    // Years that begin in March, in eras of 400, so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    Civil {
        year: year + era * 400 + i64::from(month <= 2),
        month: month as u32,
        day: day as u32,
        hour: second / 3600,
        minute: second / 60 % 60,
        second: second % 60,
        nanosecond: nanoseconds.rem_euclid(1_000_000_000) as u32,
    }
}

/// ISO 8601, to the second: `2026-11-21T02:15:00Z`.
pub(crate) fn utc(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// ISO 8601, with as many digits of a second as it has: `2026-11-21T02:15:00.25Z`.
pub(crate) fn utc_exact(time: SystemTime) -> String {
    let (text, digits) = (utc(time), format!("{:09}", civil(time).nanosecond));
    match digits.trim_end_matches('0') {
        "" => text,
        digits => format!("{}.{digits}Z", &text[..text.len() - 1]),
    }
}

/// Where its memory is, for who opens it by itself.
pub(crate) fn memory(info: &Info) -> String {
    info.memory.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        let at = |seconds: i64| {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            utc(if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance })
        };
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(at(-473_385_600), "1955-01-01T00:00:00Z");
        let exact = |nanoseconds| utc_exact(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        assert_eq!(exact(3_000_000_000), "1970-01-01T00:00:03Z");
        assert_eq!(exact(3_025_000_000), "1970-01-01T00:00:03.025Z");
        assert_eq!(utc_exact(UNIX_EPOCH - Duration::from_millis(1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn json_commands_no_terminal() {
        let value = Value::from("a\u{1b}[2J\u{7f}\u{9b}\n\u{e4}\\");
        let text = json(&json!([value])).unwrap();
        assert_eq!(text, "[\n  \"a\\u001b[2J\\u007f\\u009b\\n\u{e4}\\\\\"\n]\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!([value]));
    }

    #[test]
    fn spans_of_time_are_short() {
        for (milliseconds, text) in [(10_000, "10 s"), (100, "0.1 s"), (1_500, "1.5 s"), (300_000, "300 s")] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
        }
    }
}
