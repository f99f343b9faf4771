//! Whether samples fit into fewer bits than they come in.

use super::Track;
use crate::sample::{Number, with_number};
use annulus::{Channel, SampleType};
use std::io;

/// Whether whole numbers of so many bits are enough for all samples of a track, by what it says of them.
pub(super) fn enough(track: &Track, most: u32) -> bool {
    let Some((bits, sign)) = track.format.sample_type().and_then(size) else { return false };
    let limit = 1_i64 << (most - 1);
    bits + sign <= most
        || track.channels.iter().all(|channel| {
            (1..=most - sign).contains(&channel.significant_bits)
                || channel.digital_range.is_some_and(|(low, high)| low >= -limit && high < limit)
        })
}

/// Bits of a whole number, and one more for the sign that it would need.
fn size(number: SampleType) -> Option<(u32, u32)> {
    match number {
        SampleType::I8 => Some((8, 0)),
        SampleType::I16 => Some((16, 0)),
        SampleType::I32 => Some((32, 0)),
        SampleType::I64 => Some((64, 0)),
        SampleType::U8 => Some((8, 1)),
        SampleType::U16 => Some((16, 1)),
        SampleType::U32 => Some((32, 1)),
        SampleType::F32 | SampleType::F64 => None,
    }
}

/// Holds samples against the bits that there are for them.
#[derive(Debug)]
pub(super) struct Bits {
    /// `None` where every sample fits.
    number: Option<SampleType>,
    channels: Vec<Channel>,
    most: u32,
}

impl Bits {
    pub(super) fn new(track: &Track, most: u32) -> Self {
        let number = track.format.sample_type();
        let wide = number.filter(|number| size(*number).is_some_and(|(bits, sign)| bits + sign > most));
        Self { number: wide, channels: track.channels.clone(), most }
    }

    /// The frames before the first one with a sample that does not fit, and an error if there is one: what the stream
    /// said was not true, and a sample must not become another.
    pub(super) fn fitting<'a>(&self, position: u64, frames: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        let Some(number) = self.number else { return (frames, Ok(())) };
        let limit = 1_i64 << (self.most - 1);
        with_number!(number, N => {
            for (sample, bytes) in frames.chunks_exact(N::BYTES).enumerate() {
                let value = N::read(bytes).to_f64();
                if value < -limit as f64 || value >= limit as f64 {
                    let (frame, channel) = (sample / self.channels.len(), sample % self.channels.len());
                    let (label, at) = (&self.channels[channel].label, position + frame as u64);
                    let why = format!(
                        "the stream says that {} bits are enough, but '{label}' is {value} at position {at}",
                        self.most
                    );
                    let whole = frame * self.channels.len() * N::BYTES;
                    return (&frames[..whole], Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
            }
        });
        (frames, Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(format: &str, channels: Vec<Channel>) -> Track {
        Track {
            name: String::new(),
            format: format.parse().unwrap(),
            channels,
            rate: 1.0,
            device: String::new(),
            metadata: String::new(),
            instance: [0; 16],
        }
    }

    #[test]
    fn a_track_says_how_many_bits_are_enough() {
        let plain = || vec![Channel::new("a"), Channel::new("b")];
        for (format, most, wanted) in [
            ("i8", 16, true),
            ("u8", 16, true),
            ("i16", 16, true),
            ("u16", 16, false),
            ("u16", 24, true),
            ("i32", 24, false),
            ("i64", 24, false),
            ("f32", 24, false),
        ] {
            assert_eq!(enough(&track(format, plain()), most), wanted, "{format} {most}");
        }
        let few = |bits| plain().into_iter().map(|channel| channel.significant_bits(bits)).collect();
        assert!(enough(&track("i32", few(24)), 24) && !enough(&track("u32", few(24)), 24));
        assert!(enough(&track("i32", vec![Channel::new("a").digital_range(-32768, 32767)]), 16));
        assert!(!enough(&track("i32", vec![Channel::new("a").digital_range(-32768, 32768)]), 16));
    }

    #[test]
    fn a_sample_that_does_not_fit_is_told() {
        let channels = vec![Channel::new("a").significant_bits(24), Channel::new("b").significant_bits(24)];
        let bits = Bits::new(&track("i32", channels), 24);
        let frames: Vec<u8> =
            [1, -8_388_608, 8_388_607, 8_388_608, 5, 5_i32].iter().flat_map(|v| v.to_le_bytes()).collect();
        let (fitting, error) = bits.fitting(100, &frames);
        assert_eq!(fitting, &frames[..8]);
        let said = error.unwrap_err().to_string();
        assert!(said.contains("'b' is 8388608 at position 101"), "{said}");
        assert!(bits.fitting(0, &frames[..8]).1.is_ok());
    }
}
