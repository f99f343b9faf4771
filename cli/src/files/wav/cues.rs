//! What comes after the samples: cue points, some of which tell of gaps.

use super::word;
use crate::files::{Cause, Error, Gap};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// More chunks than this after the samples tell nothing that a recorder wrote.
const MOST_CHUNKS: usize = 64;

/// No list of cue points is longer.
const LONGEST: u32 = 16 << 20;

/// The gaps that cue points of `record` tell. What is damaged here concerns no sample, and tells none.
pub(super) fn gaps(
    file: &mut (impl Read + Seek),
    after: u64,
    length: u64,
    frames: u64,
    rate: f64,
) -> Result<Vec<Gap>, Error> {
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    let mut at = after.next_multiple_of(2);
    for _ in 0..MOST_CHUNKS {
        let mut head = [0; 8];
        if length < at.saturating_add(8) {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let bytes = word(&head, 4);
        if u64::from(bytes) > length - at - 8 || bytes > LONGEST {
            break;
        }
        let mut body = vec![0; bytes as usize];
        file.read_exact(&mut body)?;
        match &head[..4] {
            b"cue " => points = body,
            b"LIST" if body.starts_with(b"adtl") => labels = body.split_off(4),
            _ => {}
        }
        at = (at + 8 + u64::from(bytes)).next_multiple_of(2);
    }
    let mut gaps: Vec<Gap> = Vec::new();
    let mut before = 0;
    for point in points.get(4..).unwrap_or_default().as_chunks::<24>().0 {
        let (id, position) = (word(point, 0), u64::from(word(point, 20)));
        let Some((missing, cause)) = label(&labels, id).and_then(|text| missing(&text)) else { continue };
        if position == 0 || position >= frames || gaps.last().is_some_and(|last| last.position > position) {
            continue;
        }
        before += missing.unwrap_or(0);
        let time = Duration::try_from_secs_f64((position + before) as f64 / rate).unwrap_or_default();
        gaps.push(Gap { position, missing, cause, time });
    }
    Ok(gaps)
}

/// The text of a cue point.
fn label(labels: &[u8], id: u32) -> Option<String> {
    let mut at = 0;
    loop {
        let head = labels.get(at..at + 8)?;
        let bytes = word(head, 4) as usize;
        let body = labels.get(at + 8..(at + 8).checked_add(bytes)?)?;
        if &head[..4] == b"labl" && bytes >= 4 && word(body, 0) == id {
            return Some(String::from_utf8_lossy(&body[4..]).trim_end_matches('\0').to_owned());
        }
        at = (at + 8 + bytes).next_multiple_of(2);
    }
}

/// `47 frames missing: lapped`
fn missing(text: &str) -> Option<(Option<u64>, Cause)> {
    let (before, _) = text.split_once("frames missing")?;
    let missing = if before.is_empty() { None } else { Some(before.trim().parse().ok()?) };
    Some((missing, Cause::named_in(text)))
}
