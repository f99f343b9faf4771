//! What is told beside a stream: streams of texts, each with its time.

use super::{Contents, Header, varlen};
use crate::files::{Error, Gap, marker};
use std::io::{Read, Seek, SeekFrom};

#[derive(Debug)]
pub(super) struct Text {
    /// By the clock of whoever recorded the file.
    pub(super) time: f64,
    pub(super) text: String,
}

/// How much the clock of a stream's host was behind that of whoever recorded the file: when, and how much.
#[derive(Debug, Default)]
pub(super) struct Offsets(Vec<[f64; 2]>);

impl Offsets {
    pub(super) fn add(&mut self, pair: [u8; 16]) {
        let &[when, offset] = pair.as_chunks::<8>().0 else { return };
        let pair = [when, offset].map(f64::from_le_bytes);
        // They come in order.
        let in_order = self.0.last().is_none_or(|last| last[0] <= pair[0]);
        if in_order && pair.iter().all(|number| number.is_finite()) {
            self.0.push(pair);
        }
    }

    /// What was measured closest to that time; nothing, if nobody measured.
    pub(super) fn at(&self, time: f64) -> f64 {
        let after = self.0.partition_point(|pair| pair[0] < time);
        let around = &self.0[after.saturating_sub(1)..(after + 1).min(self.0.len())];
        let closest =
            around.iter().min_by(|one, other| (one[0] - time).abs().total_cmp(&(other[0] - time).abs()));
        closest.map_or(0.0, |pair| pair[1])
    }
}

/// The streams of texts that concern this one: those that are named after it, as `record` does, and those that are named
/// after no other.
pub(super) fn beside(headers: &[(u32, Header)], signal: &Header) -> Vec<u32> {
    let concerns = |header: &&(u32, Header)| {
        let of = header.1.name.strip_suffix(" markers");
        let of = of.filter(|of| headers.iter().any(|(_, other)| other.number.is_some() && other.name == *of));
        header.1.number.is_none() && of.is_none_or(|of| of == signal.name)
    };
    headers.iter().filter(concerns).map(|(id, _)| *id).collect()
}

/// The texts of these streams, in order, without what tells of gaps.
pub(super) fn read(
    file: &mut (impl Read + Seek),
    contents: &Contents,
    streams: &[u32],
) -> Result<Vec<Text>, Error> {
    let damaged = || Error::bad("a chunk of texts contradicts itself");
    let none = Offsets::default();
    let mut texts = Vec::new();
    for id in streams {
        let offsets = contents.offsets.get(id).unwrap_or(&none);
        let fields = contents.headers.iter().find(|(of, _)| of == id).map_or(1, |(_, header)| header.samples);
        let mut time = None;
        for (_, chunk) in contents.samples.iter().filter(|(of, _)| of == id) {
            let (mut at, end) = (chunk.start, chunk.start + chunk.bytes);
            for _ in 0..chunk.frames {
                let mut stamp = [0; 9];
                let most = stamp.len().min((end - at) as usize);
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut stamp[..most])?;
                at += match stamp {
                    [0, ..] if most > 0 => 1,
                    [8, ref stamp @ ..] if most == 9 => {
                        time = Some(f64::from_le_bytes(*stamp)).filter(|time| time.is_finite());
                        9
                    }
                    _ => return Err(damaged()),
                };
                let mut words = Vec::new();
                for _ in 0..fields {
                    let (bytes, begin) = varlen(file, at, end)?.ok_or_else(damaged)?;
                    if bytes > end - begin {
                        return Err(damaged());
                    }
                    let mut word = vec![0; bytes as usize];
                    file.seek(SeekFrom::Start(begin))?;
                    file.read_exact(&mut word)?;
                    words.push(String::from_utf8_lossy(&word).into_owned());
                    at = begin + bytes;
                }
                let text = words.join(" ");
                if let Some(time) = time
                    && Gap::told_in(&text).is_none()
                    && texts.len() < marker::MOST
                {
                    texts.push(Text { time: time + offsets.at(time), text });
                }
            }
        }
    }
    texts.sort_by(|one, other| one.time.total_cmp(&other.time));
    Ok(texts)
}
