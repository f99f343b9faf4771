//! Samples depend on nothing but their position, and each wave is what its help text says.

use super::*;
use annulus::SampleType::{F32, F64, I8, I16, I32, I64, U8, U16, U32};

const ALL: [SampleType; 9] = [I8, U8, I16, U16, I32, U32, I64, F32, F64];

fn shape(number: SampleType, complex: bool) -> Shape {
    Shape { number, complex, channels: 3, rate: 250.0 }
}

fn numbers(bytes: &[u8], number: SampleType) -> Vec<f64> {
    with_number!(number, N => bytes.chunks_exact(N::BYTES).map(|bytes| N::read(bytes).to_f64()).collect())
}

#[test]
fn blocks_join_seamlessly_at_any_position() {
    for wave in [Wave::Sine, Wave::Ecg, Wave::Counter, Wave::Noise] {
        for number in ALL {
            for complex in [false, true] {
                let shape = shape(number, complex);
                let frame = number.bytes() * shape.channels * (1 + usize::from(complex));
                for start in [0, 249, 107_990, u64::from(u32::MAX) - 5] {
                    let whole = Source::new(wave, shape, 1).block(start, 20).to_vec();
                    assert_eq!(whole.len(), 20 * frame);
                    let mut source = Source::new(wave, shape, 1);
                    let mut parts = source.block(start, 7).to_vec();
                    parts.extend_from_slice(source.block(start + 7, 13));
                    assert_eq!(whole, parts, "{wave:?} {number} {complex} {start}");
                    let late = Source::new(wave, shape, 1).block(start + 13, 7).to_vec();
                    assert_eq!(whole[13 * frame..], late, "{wave:?} {number} {complex} {start}");
                }
            }
        }
    }
}

#[test]
fn the_counter_counts_and_wraps() {
    for (number, bits) in ALL.into_iter().zip([7, 8, 15, 16, 31, 32, 53, 24, 53]) {
        let start = (1_u64 << bits) - 2;
        let block = Source::new(Wave::Counter, shape(number, false), 0).block(start, 3).to_vec();
        let wanted: Vec<f64> = (0..3)
            .flat_map(|frame| (0..3).map(move |channel| ((start + frame + channel) % (1 << bits)) as f64))
            .collect();
        assert_eq!(numbers(&block, number), wanted, "{number}");
    }
    let block = Source::new(Wave::Counter, shape(I16, true), 0).block(10, 1).to_vec();
    assert_eq!(numbers(&block, I16), [10.0, 0.0, 11.0, 1.0, 12.0, 2.0]);
}

#[test]
fn sine_and_noise_fill_the_range_that_their_channels_describe() {
    for wave in [Wave::Sine, Wave::Noise] {
        for number in ALL {
            let shape = shape(number, false);
            let channel = channels(wave, shape).remove(1);
            let block = Source::new(wave, shape, 7).block(0, 2000).to_vec();
            let physical: Vec<f64> = numbers(&block, number)
                .iter()
                .skip(1)
                .step_by(3)
                .map(|&raw| channel.to_physical(raw))
                .collect();
            let (mut low, mut high, mut sum) = (f64::MAX, f64::MIN, 0.0);
            for value in physical {
                (low, high, sum) = (low.min(value), high.max(value), sum + value);
            }
            assert!(
                (-1.01..-0.98).contains(&low) && (0.98..1.01).contains(&high),
                "{wave:?} {number}: {low}..{high}"
            );
            assert!((sum / 2000.0).abs() < 0.05, "{wave:?} {number}: mean {}", sum / 2000.0);
        }
    }
}

#[test]
fn channel_c_of_the_sine_has_c_hertz() {
    let block = Source::new(Wave::Sine, shape(F64, false), 0).block(0, 250).to_vec();
    for (index, value) in numbers(&block, F64).into_iter().enumerate() {
        let (frame, channel) = (index / 3, index % 3);
        let wanted = (TAU * (channel + 1) as f64 * frame as f64 / 250.0).sin();
        assert!((value - wanted).abs() < 1e-9, "frame {frame} channel {channel}");
    }
}

#[test]
fn the_ecg_is_in_millivolts_in_every_type() {
    let record = embedded::ecg();
    for number in ALL {
        let shape = Shape { channels: 1, rate: 360.0, ..shape(number, false) };
        let channel = channels(Wave::Ecg, shape).remove(0);
        assert_eq!((&*channel.label, &*channel.unit), ("MLII", "mV"));
        let block = Source::new(Wave::Ecg, shape, 0).block(0, 108_001).to_vec();
        let raw = numbers(&block, number);
        assert_eq!(raw[0], raw[108_000], "it repeats");
        for (raw, &count) in raw.iter().zip(&record.samples) {
            let wanted = record.channel.to_physical(f64::from(count));
            assert!((channel.to_physical(*raw) - wanted).abs() <= channel.scale / 2.0 + 1e-9, "{number}");
        }
    }
}

#[test]
fn noise_depends_on_its_seed() {
    let block = |seed| Source::new(Wave::Noise, shape(I32, false), seed).block(0, 10).to_vec();
    assert_ne!(block(1), block(2));
}
