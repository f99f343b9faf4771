//! The number types of samples: their bytes, their text, and the range that a generator may use.

/// A number as streams carry it, little-endian.
pub(crate) trait Number: Copy + PartialOrd {
    const BYTES: usize;
    /// No value is below the first or above the second.
    const LEAST: Self;
    const MOST: Self;
    /// Counting up from 0, how many bits are exact and not negative.
    const COUNTER_BITS: u32;
    /// What a generator's 0 and the step from 0 to 1 are in this type; leaves some headroom.
    const ZERO: f64;
    const ONE: f64;
    /// Whether a physical value is a multiple of the channel's scale.
    const WHOLE: bool;

    /// The nearest value; saturates.
    fn from_f64(value: f64) -> Self;
    /// Exact below `2^COUNTER_BITS`.
    fn from_count(count: u64) -> Self;
    fn to_f64(self) -> f64;
    /// `bytes` is `BYTES` long.
    fn read(bytes: &[u8]) -> Self;
    /// `bytes` is `BYTES` long.
    fn write(self, bytes: &mut [u8]);
    /// The shortest text that reads back as the same value.
    fn print(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($($number:ty: counter $bits:expr, zero $zero:expr, one $one:expr, whole $whole:expr, from $least:ident to $most:ident, $printer:ident;)*) => {$(
        impl Number for $number {
            const BYTES: usize = size_of::<$number>();
            const LEAST: Self = <$number>::$least;
            const MOST: Self = <$number>::$most;
            const COUNTER_BITS: u32 = $bits;
            const ZERO: f64 = $zero;
            const ONE: f64 = $one;
            const WHOLE: bool = $whole;

            fn from_f64(value: f64) -> Self {
                (if $whole { value.round() } else { value }) as $number
            }

            fn from_count(count: u64) -> Self {
                count as $number
            }

            fn to_f64(self) -> f64 {
                self as f64
            }

            fn read(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$number>()];
                own.copy_from_slice(bytes);
                <$number>::from_le_bytes(own)
            }

            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }

            fn print(self, out: &mut Vec<u8>) {
                out.extend_from_slice($printer::Buffer::new().format(self).as_bytes());
            }
        }
    )*};
}

number! {
    i8: counter 7, zero 0.0, one 100.0, whole true, from MIN to MAX, itoa;
    u8: counter 8, zero 128.0, one 100.0, whole true, from MIN to MAX, itoa;
    i16: counter 15, zero 0.0, one 25e3, whole true, from MIN to MAX, itoa;
    u16: counter 16, zero 32_768.0, one 25e3, whole true, from MIN to MAX, itoa;
    i32: counter 31, zero 0.0, one 2e9, whole true, from MIN to MAX, itoa;
    u32: counter 32, zero 2_147_483_648.0, one 2e9, whole true, from MIN to MAX, itoa;
    i64: counter 53, zero 0.0, one 4e15, whole true, from MIN to MAX, itoa;
    f32: counter 24, zero 0.0, one 1.0, whole false, from NEG_INFINITY to INFINITY, zmij;
    f64: counter 53, zero 0.0, one 1.0, whole false, from NEG_INFINITY to INFINITY, zmij;
}

/// Evaluates `$body` with the type alias `$name` set to the Rust type of an [`annulus::SampleType`].
macro_rules! with_number {
    ($sample_type:expr, $name:ident => $body:expr) => {
        match $sample_type {
            annulus::SampleType::I8 => {
                type $name = i8;
                $body
            }
            annulus::SampleType::U8 => {
                type $name = u8;
                $body
            }
            annulus::SampleType::I16 => {
                type $name = i16;
                $body
            }
            annulus::SampleType::U16 => {
                type $name = u16;
                $body
            }
            annulus::SampleType::I32 => {
                type $name = i32;
                $body
            }
            annulus::SampleType::U32 => {
                type $name = u32;
                $body
            }
            annulus::SampleType::I64 => {
                type $name = i64;
                $body
            }
            annulus::SampleType::F32 => {
                type $name = f32;
                $body
            }
            annulus::SampleType::F64 => {
                type $name = f64;
                $body
            }
        }
    };
}
pub(crate) use with_number;

#[cfg(test)]
mod tests {
    use super::*;

    fn text<N: Number>(value: N) -> String {
        let mut out = Vec::new();
        value.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_exact() {
        assert_eq!(text(i64::MIN), "-9223372036854775808");
        assert_eq!(text(u32::MAX), "4294967295");
        for value in [0.1_f32, -1.5e-30, 16_777_215.0, f32::MAX, f32::MIN_POSITIVE] {
            assert_eq!(text(value).parse(), Ok(value));
        }
        for value in [0.1_f64, -0.14500000000000046, 9_007_199_254_740_991.0, f64::MAX] {
            assert_eq!(text(value).parse(), Ok(value));
        }
        assert_eq!((text(f32::NAN), text(f64::NEG_INFINITY)), ("NaN".to_owned(), "-inf".to_owned()));
    }

    #[test]
    fn the_counter_range_is_exact() {
        fn check<N: Number>() {
            let last = (1_u64 << N::COUNTER_BITS) - 1;
            for count in [0, 1, last - 1, last] {
                assert_eq!(N::from_count(count).to_f64(), count as f64);
            }
            let mut bytes = vec![0; N::BYTES];
            N::from_count(last).write(&mut bytes);
            assert_eq!(N::read(&bytes).to_f64(), last as f64);
        }
        for number in ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "f32", "f64"] {
            let format: annulus::SampleFormat = number.parse().unwrap();
            with_number!(format.sample_type().unwrap(), N => check::<N>());
        }
    }
}
