//! What one sample is: its number type, real or complex.

use bytemuck::Pod;
use core::any::TypeId;
use core::fmt;
use core::str::FromStr;
use num_complex::Complex;

/// The number type of a sample, little-endian in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SampleType {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F32,
    F64,
}

/// What one element of a frame is.
///
/// The text forms are SigMF's: `i16`, `ci16`. The spellings of SDR programs (`cs16`, `cu8`, `cf32`) parse too.
///
/// ```
/// use annulus::{SampleFormat, SampleType};
/// let format: SampleFormat = "cs16".parse().unwrap();
/// assert_eq!(format, SampleFormat::Complex(SampleType::I16));
/// assert_eq!(format.to_string(), "ci16");
/// assert_eq!(format.bytes(), Some(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// One number.
    Real(SampleType),
    /// Two numbers, real part first (I and Q).
    Complex(SampleType),
    /// An element of a plain ring, known by its size only.
    Opaque,
}

const TYPES: [(SampleType, &str, usize); 9] = [
    (SampleType::I8, "i8", 1),
    (SampleType::U8, "u8", 1),
    (SampleType::I16, "i16", 2),
    (SampleType::U16, "u16", 2),
    (SampleType::I32, "i32", 4),
    (SampleType::U32, "u32", 4),
    (SampleType::I64, "i64", 8),
    (SampleType::F32, "f32", 4),
    (SampleType::F64, "f64", 8),
];

/// Added to a type's code for its complex form.
const COMPLEX: u32 = 0x100;

impl SampleType {
    /// Bytes of one number.
    pub const fn bytes(self) -> usize {
        TYPES[self as usize].2
    }
}

impl fmt::Display for SampleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(TYPES[*self as usize].1)
    }
}

impl SampleFormat {
    /// Bytes of one sample; `None` for an opaque element.
    pub const fn bytes(self) -> Option<usize> {
        match self {
            Self::Real(number) => Some(number.bytes()),
            Self::Complex(number) => Some(2 * number.bytes()),
            Self::Opaque => None,
        }
    }

    /// The number type; `None` for an opaque element.
    pub const fn sample_type(self) -> Option<SampleType> {
        match self {
            Self::Real(number) | Self::Complex(number) => Some(number),
            Self::Opaque => None,
        }
    }

    /// Whether a sample is two numbers.
    pub const fn is_complex(self) -> bool {
        matches!(self, Self::Complex(_))
    }

    /// The format of the Rust type `T`, if it is one of the sample types.
    pub fn of<T: Pod>() -> Option<Self> {
        use SampleFormat::{Complex as C, Real as R};
        use SampleType::*;
        let id = TypeId::of::<T>();
        macro_rules! find {
            ($($number:ty => $name:ident),*) => {
                $(if id == TypeId::of::<$number>() { return Some(R($name)); }
                  if id == TypeId::of::<Complex<$number>>() { return Some(C($name)); })*
            };
        }
        find!(i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64, f32 => F32, f64 => F64);
        None
    }

    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Opaque => 0,
            Self::Real(number) => number as u32 + 1,
            Self::Complex(number) => COMPLEX + number as u32 + 1,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        if code == 0 {
            return Some(Self::Opaque);
        }
        let number = TYPES.get((code & !COMPLEX).checked_sub(1)? as usize)?.0;
        Some(if code & COMPLEX == 0 { Self::Real(number) } else { Self::Complex(number) })
    }
}

impl fmt::Display for SampleFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(number) => number.fmt(f),
            Self::Complex(number) => f.pad(&format!("c{number}")),
            Self::Opaque => f.pad("opaque"),
        }
    }
}

/// The text is no sample format; its display lists those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = TYPES.iter().map(|(_, name, _)| *name).collect();
        write!(f, "unknown sample format '{}': use one of {}, with a 'c' before it for complex", self.0, names.join(" "))
    }
}

impl core::error::Error for UnknownFormat {}

impl FromStr for SampleFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        if text == "opaque" {
            return Ok(Self::Opaque);
        }
        let (complex, number) = match text.strip_prefix('c') {
            Some(number) => (true, number.replacen('s', "i", 1)),
            None => (false, text.replacen('s', "i", 1)),
        };
        let found = TYPES.iter().find(|(_, name, _)| *name == number).ok_or_else(|| UnknownFormat(text.into()))?.0;
        Ok(if complex { Self::Complex(found) } else { Self::Real(found) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_survives_its_text_and_its_code() {
        for (number, ..) in TYPES {
            for format in [SampleFormat::Real(number), SampleFormat::Complex(number)] {
                assert_eq!(format.to_string().parse(), Ok(format));
                assert_eq!(SampleFormat::from_code(format.code()), Some(format));
            }
        }
        assert_eq!(SampleFormat::from_code(SampleFormat::Opaque.code()), Some(SampleFormat::Opaque));
        for code in [10, 0x100, 0x10A, 0x201, u32::MAX] {
            assert_eq!(SampleFormat::from_code(code), None, "{code:#x}");
        }
        for text in ["", "c", "i7", "cc16", "f16", "complex"] {
            assert!(text.parse::<SampleFormat>().is_err(), "{text}");
        }
    }

    #[test]
    fn rust_types_know_their_format() {
        assert_eq!(SampleFormat::of::<i16>(), Some(SampleFormat::Real(SampleType::I16)));
        assert_eq!(SampleFormat::of::<Complex<f32>>(), Some(SampleFormat::Complex(SampleType::F32)));
        assert_eq!(SampleFormat::of::<[u8; 3]>(), None);
        assert_eq!(SampleFormat::of::<Complex<f64>>().and_then(SampleFormat::bytes), Some(size_of::<Complex<f64>>()));
    }
}
