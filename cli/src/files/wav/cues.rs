//! What comes after the samples: cue points, some of which tell of gaps.

use super::word;
use crate::files::{Error, Gap, Marker};
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// More chunks than this after the samples tell nothing that a recorder wrote.
const MOST_CHUNKS: usize = 64;

/// No list of cue points is longer.
const LONGEST: u32 = 16 << 20;

/// The gaps that cue points of `record` tell, and what the others say. What is damaged here concerns no sample, and
/// tells nothing.
pub(super) fn read(
    file: &mut (impl Read + Seek),
    after: u64,
    length: u64,
    frames: u64,
    rate: f64,
) -> Result<(Vec<Gap>, Vec<Marker>), Error> {
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
    let labels = read_labels(&labels);
    let (mut gaps, mut markers): (Vec<Gap>, Vec<Marker>) = (Vec::new(), Vec::new());
    let mut before = 0;
    for point in points.get(4..).unwrap_or_default().as_chunks::<24>().0 {
        let (id, position) = (word(point, 0), u64::from(word(point, 20)));
        let Label { text, frames: lasts } = labels.get(&id).cloned().unwrap_or_default();
        let Some((missing, cause)) = Gap::told_in(&text) else {
            markers.push(Marker::within(frames, Some(position), u64::from(lasts), &text));
            continue;
        };
        if position == 0 || position >= frames || gaps.last().is_some_and(|last| last.position > position) {
            continue;
        }
        before += missing.unwrap_or(0);
        let time = Duration::try_from_secs_f64((position + before) as f64 / rate).unwrap_or_default();
        gaps.push(Gap { position, missing, cause, time });
    }
    markers.sort_by_key(|marker| marker.position);
    Ok((gaps, markers))
}

/// What is said of a cue point.
#[derive(Clone, Debug, Default)]
struct Label {
    text: String,
    /// Frames from it on.
    frames: u32,
}

/// By the number of the cue point.
fn read_labels(list: &[u8]) -> HashMap<u32, Label> {
    let mut labels: HashMap<u32, Label> = HashMap::new();
    let mut at = 0;
    while let Some(head) = list.get(at..at + 8) {
        let bytes = word(head, 4) as usize;
        let Some(body) = list.get(at + 8..(at + 8).saturating_add(bytes)) else { break };
        match &head[..4] {
            b"labl" if bytes >= 4 => {
                let text = String::from_utf8_lossy(&body[4..]);
                labels.entry(word(body, 0)).or_default().text = text.trim_end_matches('\0').to_owned();
            }
            b"ltxt" if bytes >= 8 => labels.entry(word(body, 0)).or_default().frames = word(body, 4),
            _ => {}
        }
        at = (at + 8 + bytes).next_multiple_of(2);
    }
    labels
}
