//! When each data record of an EDF+ file begins: the first entry of its first signal of annotations says it.

use super::super::Error;
use super::Layout;
use super::header::{Header, finite};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// How much later than the header says the first record begins: a fraction of a second. `None` if nothing says it.
pub(super) fn first(
    file: &mut (impl Read + Seek),
    header: &Header,
    layout: &Layout,
    records: u64,
) -> io::Result<Option<Duration>> {
    let onset = if records > 0 { onset(file, header, layout, 0)? } else { None };
    Ok(onset.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Whether each record begins where the last one ended, although the file says that gaps may be.
pub(super) fn contiguous(
    file: &mut (impl Read + Seek),
    header: &Header,
    layout: &Layout,
    records: u64,
    per_record: u64,
) -> Result<(), Error> {
    let mut start = None;
    for record in 0..records {
        let Some(at) = onset(file, header, layout, record)? else {
            let why = "it is interrupted (EDF+D), and nothing says when data record";
            return Err(Error::Bad(format!("{why} {} begins", record + 1)));
        };
        let expected = *start.get_or_insert(at) + record as f64 * header.duration;
        // Half a sample: what is nearer is the same sample.
        if (at - expected).abs() * per_record as f64 > 0.5 * header.duration {
            return Err(Error::Bad(format!(
                "it is interrupted (EDF+D): data record {} begins at {at} s instead of {expected} s. \
                 Gaps cannot be played yet",
                record + 1
            )));
        }
    }
    Ok(())
}

/// `+onset\x14\x14`, or `+onset\x15duration\x14...`
fn onset(
    file: &mut (impl Read + Seek),
    header: &Header,
    layout: &Layout,
    record: u64,
) -> io::Result<Option<f64>> {
    let Some(index) = header.signals.iter().position(|signal| signal.is_annotations()) else {
        return Ok(None);
    };
    // No onset is as long as that.
    let mut text = [0; 32];
    let bytes = header.signals[index].per_record.saturating_mul(header.width as u64);
    let text = &mut text[..bytes.min(32) as usize];
    file.seek(SeekFrom::Start(header.bytes + record * layout.record_bytes + layout.offsets[index]))?;
    file.read_exact(text)?;
    let end = text.iter().position(|byte| matches!(byte, 0x14 | 0x15));
    let onset = end.and_then(|end| std::str::from_utf8(&text[..end]).ok());
    Ok(onset.filter(|text| text.starts_with(['+', '-'])).and_then(finite))
}
