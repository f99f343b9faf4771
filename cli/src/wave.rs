//! What `gen` plays: samples as a function of their position, so that a resumed producer carries on seamlessly.

use crate::embedded;
use crate::sample::{Number, with_number};
use annulus::{Channel, SampleType};
use clap::ValueEnum;
use std::f64::consts::TAU;

/// The kinds of signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wave {
    /// Channel c is a sine of c Hz; a complex sample turns: cos + i sin
    Sine,
    /// A recorded ECG, one sample per frame; channel c runs c - 1 seconds ahead
    Ecg,
    /// Channel c is position + c - 1, modulo the largest power of two that the type counts exactly
    Counter,
    /// White noise, uniform between -1 and 1
    Noise,
}

/// What the samples of a stream are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) number: SampleType,
    pub(crate) complex: bool,
    pub(crate) channels: usize,
    pub(crate) rate: f64,
}

/// Makes the frames of one stream, block by block. No system call, and no allocation after the first block.
#[derive(Debug)]
pub(crate) struct Source {
    shape: Shape,
    maker: Maker,
    block: Vec<u8>,
}

#[derive(Debug)]
enum Maker {
    Counter,
    Noise { seed: u64 },
    Table(Table),
}

impl Source {
    pub(crate) fn new(wave: Wave, shape: Shape, seed: u64) -> Self {
        let maker = match wave {
            Wave::Counter => Maker::Counter,
            Wave::Noise => Maker::Noise { seed },
            Wave::Sine => Maker::Table(with_number!(shape.number, N => sine::<N>(shape))),
            Wave::Ecg => Maker::Table(with_number!(shape.number, N => ecg::<N>(shape))),
        };
        Self { shape, maker, block: Vec::new() }
    }

    /// The bytes of the `frames` frames from `position` on.
    pub(crate) fn block(&mut self, position: u64, frames: usize) -> &[u8] {
        let Shape { number, complex, channels, .. } = self.shape;
        let numbers = frames * channels * (1 + usize::from(complex));
        self.block.resize(numbers * number.bytes(), 0);
        let block = &mut self.block[..];
        match &mut self.maker {
            Maker::Counter => with_number!(number, N => counter::<N>(block, position, channels, complex)),
            Maker::Noise { seed } => {
                let first = position.wrapping_mul((numbers / frames.max(1)) as u64);
                with_number!(number, N => noise::<N>(block, *seed, first));
            }
            Maker::Table(table) => table.fill(block, position),
        }
        &self.block
    }
}

/// The channel table that fits the samples.
pub(crate) fn channels(wave: Wave, shape: Shape) -> Vec<Channel> {
    let (zero, one) = with_number!(shape.number, N => (N::ZERO, N::ONE));
    let plain = |label: String| Channel::new(label);
    let make = |index: usize| match wave {
        Wave::Counter => plain(format!("ch{}", index + 1)),
        Wave::Sine | Wave::Noise => plain(format!("ch{}", index + 1)).scaled(1.0 / one, 0.0 - zero / one),
        Wave::Ecg => {
            let mut channel = embedded::ecg().channel.clone();
            let (zero, step) = ecg_step(shape.number);
            (channel.offset, channel.scale) = (channel.to_physical(zero), channel.scale * step);
            if step != 1.0 {
                channel.digital_range = None;
            }
            if shape.channels > 1 {
                channel.label = format!("{}-{}", channel.label, index + 1);
            }
            channel
        }
    };
    (0..shape.channels).map(make).collect()
}

fn counter<N: Number>(block: &mut [u8], position: u64, channels: usize, complex: bool) {
    let mask = (1_u64 << N::COUNTER_BITS) - 1;
    let sample = N::BYTES * (1 + usize::from(complex));
    for (frame, at) in block.chunks_exact_mut(sample * channels).zip(position..) {
        for (sample, channel) in frame.chunks_exact_mut(sample).zip(0_u64..) {
            let (real, imaginary) = sample.split_at_mut(N::BYTES);
            N::from_count(at.wrapping_add(channel) & mask).write(real);
            if complex {
                N::from_count(channel & mask).write(imaginary);
            }
        }
    }
}

/// Number k of the stream is the k-th output of SplitMix64 with that seed; any of them can be computed alone.
fn noise<N: Number>(block: &mut [u8], seed: u64, first: u64) {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = seed.wrapping_add(first.wrapping_mul(GAMMA));
    for bytes in block.chunks_exact_mut(N::BYTES) {
        state = state.wrapping_add(GAMMA);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let uniform = (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        N::from_f64(N::ZERO + N::ONE * uniform).write(bytes);
    }
}

/// One second of a sine of 1 Hz, through which channel c goes in steps of c samples. Very slow streams get a longer
/// one, lest it be a handful of points, and very fast ones a shorter one.
fn sine<N: Number>(shape: Shape) -> Table {
    let length = (shape.rate.round() as usize).clamp(32, 1 << 20);
    let mut samples = Vec::new();
    for index in 0..length {
        let angle = TAU * index as f64 / length as f64;
        let parts = if shape.complex { &[angle.cos(), angle.sin()][..] } else { &[angle.sin()][..] };
        for part in parts {
            append(&mut samples, N::from_f64(N::ZERO + N::ONE * part));
        }
    }
    // Up to a quarter of the rate, beyond which a sine no longer looks like one.
    let steps = (0..shape.channels).map(|channel| Walk { lead: 0, step: channel % (length / 4) + 1 });
    Table::new(samples, length, steps.collect())
}

fn ecg<N: Number>(shape: Shape) -> Table {
    let record = embedded::ecg();
    let (zero, step) = ecg_step(shape.number);
    let mut samples = Vec::new();
    for &count in &record.samples {
        append(&mut samples, N::from_f64((f64::from(count) - zero) / step));
        if shape.complex {
            append(&mut samples, N::from_f64(0.0));
        }
    }
    let length = record.samples.len();
    let second = record.rate as usize;
    let walks = (0..shape.channels).map(|channel| Walk { lead: channel * second % length, step: 1 });
    Table::new(samples, length, walks.collect())
}

/// How the recording's 11-bit counts become numbers of a type: `(count - zero) / step`.
fn ecg_step(number: SampleType) -> (f64, f64) {
    match number {
        SampleType::I8 => (1024.0, 16.0),
        SampleType::U8 => (0.0, 8.0),
        _ => (0.0, 1.0),
    }
}

fn append<N: Number>(bytes: &mut Vec<u8>, number: N) {
    let start = bytes.len();
    bytes.resize(start + N::BYTES, 0);
    number.write(&mut bytes[start..]);
}

/// A stretch of samples that repeats, and each channel's way through it.
#[derive(Debug)]
struct Table {
    samples: Vec<u8>,
    length: usize,
    walks: Vec<Walk>,
    /// Each channel's place at the position `next`; kept between blocks, so that a division is rare.
    places: Vec<usize>,
    next: Option<u64>,
}

/// At position p a channel plays sample `(lead + p * step) mod length`.
#[derive(Clone, Copy, Debug)]
struct Walk {
    lead: usize,
    step: usize,
}

impl Table {
    fn new(samples: Vec<u8>, length: usize, walks: Vec<Walk>) -> Self {
        Self { samples, length, places: vec![0; walks.len()], walks, next: None }
    }

    fn fill(&mut self, block: &mut [u8], position: u64) {
        if self.next != Some(position) {
            let length = self.length as u128;
            for (place, walk) in self.places.iter_mut().zip(&self.walks) {
                *place = ((walk.lead as u128 + u128::from(position) * walk.step as u128) % length) as usize;
            }
        }
        let sample = self.samples.len() / self.length;
        match sample {
            1 => self.walk::<1>(block),
            2 => self.walk::<2>(block),
            4 => self.walk::<4>(block),
            8 => self.walk::<8>(block),
            16 => self.walk::<16>(block),
            _ => unreachable!("a sample is one or two numbers of 1 to 8 bytes"),
        }
        self.next = Some(position + (block.len() / (sample * self.walks.len())) as u64);
    }

    fn walk<const BYTES: usize>(&mut self, block: &mut [u8]) {
        let (samples, _) = self.samples.as_chunks::<BYTES>();
        for frame in block.chunks_exact_mut(BYTES * self.walks.len()) {
            let (frame, _) = frame.as_chunks_mut::<BYTES>();
            for ((sample, place), walk) in frame.iter_mut().zip(&mut self.places).zip(&self.walks) {
                *sample = samples[*place];
                *place += walk.step;
                if *place >= self.length {
                    *place -= self.length;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
