//! What is told beside a stream: streams of texts, each with its time.

use super::{Contents, Header, varlen};
use crate::files::{Error, Gap, marker};
use std::collections::{HashMap, HashSet};
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

/// The streams of texts that concern this one, with the number of texts in a sample: those that are named after it, as
/// `record` does, and those that are named after no other.
pub(super) fn beside(headers: &[(u32, Header)], signal: &Header) -> Vec<(u32, usize)> {
    let (texts, others): (Vec<_>, Vec<_>) = headers.iter().partition(|(_, header)| header.number.is_none());
    let others: HashSet<&str> = others.iter().map(|(_, header)| &*header.name).collect();
    let concerns = |header: &Header| {
        let of = header.name.strip_suffix(" markers").filter(|of| others.contains(of));
        of.is_none_or(|of| of == signal.name)
    };
    let texts = texts.into_iter().filter(|(_, header)| concerns(header));
    texts.map(|(id, header)| (*id, header.samples)).collect()
}

/// The texts of these streams, in order, without what tells of gaps.
pub(super) fn read(
    file: &mut (impl Read + Seek),
    contents: &Contents,
    streams: &[(u32, usize)],
) -> Result<Vec<Text>, Error> {
    let mut streams: HashMap<u32, Stream<'_>> = streams
        .iter()
        .map(|&(id, fields)| (id, Stream { fields, time: None, offsets: contents.offsets.get(&id) }))
        .collect();
    let mut texts = Vec::new();
    for (id, chunk) in &contents.samples {
        let Some(stream) = streams.get_mut(id) else { continue };
        let (mut at, end) = (chunk.start, chunk.start + chunk.bytes);
        for _ in 0..chunk.frames {
            let text = stream.read(file, &mut at, end)?;
            if let Some(time) = stream.time
                && Gap::told_in(&text).is_none()
                && texts.len() < marker::MOST
            {
                let offset = stream.offsets.map_or(0.0, |offsets| offsets.at(time));
                texts.push(Text { time: time + offset, text });
            }
        }
    }
    texts.sort_by(|one, other| one.time.total_cmp(&other.time));
    Ok(texts)
}

/// A stream of texts that is being read.
struct Stream<'a> {
    /// Texts of a sample.
    fields: usize,
    /// The last sample's, by its host's clock.
    time: Option<f64>,
    offsets: Option<&'a Offsets>,
}

impl Stream<'_> {
    /// The next sample, in a chunk that ends there.
    fn read(&mut self, file: &mut (impl Read + Seek), at: &mut u64, end: u64) -> Result<String, Error> {
        let damaged = || Error::bad("a chunk of texts contradicts itself");
        let mut stamp = [0; 9];
        let there = stamp.len().min((end - *at) as usize);
        file.seek(SeekFrom::Start(*at))?;
        file.read_exact(&mut stamp[..there])?;
        *at += match stamp {
            [0, ..] if there > 0 => 1,
            [8, ref stamp @ ..] if there == 9 => {
                self.time = Some(f64::from_le_bytes(*stamp)).filter(|time| time.is_finite());
                9
            }
            _ => return Err(damaged()),
        };
        let mut words = Vec::new();
        for _ in 0..self.fields {
            let (bytes, begin) = varlen(file, *at, end)?.ok_or_else(damaged)?;
            if bytes > end - begin {
                return Err(damaged());
            }
            let mut word = vec![0; bytes as usize];
            file.seek(SeekFrom::Start(begin))?;
            file.read_exact(&mut word)?;
            words.push(String::from_utf8_lossy(&word).into_owned());
            *at = begin + bytes;
        }
        Ok(words.join(" "))
    }
}
