//! Frames as text or as the bytes they are.

use crate::plain::plain;
use crate::sample::{Number, with_number};
use annulus::{Channel, Info, Marker, SampleFormat, SampleType};
use std::time::UNIX_EPOCH;

/// How `cat` writes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// A header line, then a line for each frame: its position, then each channel
    Csv,
    /// The bytes of the frames, as they are in the ring
    Raw,
}

/// Turns frames of one stream into lines of CSV.
#[derive(Debug)]
pub(crate) struct Csv {
    /// `None` for frames of which nothing but the size is known.
    number: Option<SampleType>,
    frame_bytes: usize,
    first: First,
    header: String,
    /// For each number of a frame, if physical values are wanted.
    scales: Option<Vec<Scale>>,
    /// Each frame is a marker, of that signal, if it is there.
    marks: Option<Option<Info>>,
}

/// What a line begins with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    Position,
    LaneAndPosition,
    /// In seconds, with so many digits.
    Time {
        rate: f64,
        digits: usize,
    },
}

impl Csv {
    pub(crate) fn new(info: &Info, physical: bool) -> Self {
        let samples = info.format.bytes().map_or(1, |bytes| info.frame_bytes / bytes);
        let one = Self::with(info.format, &info.channels, samples, physical);
        match &info.marks {
            None => Self { frame_bytes: info.frame_bytes, ..one },
            Some(name) => {
                let signal = annulus::open(name).scope(info.scope).status().ok().map(|signal| signal.info);
                let header = "position,at,frames,code,utc,text\n".to_owned();
                Self { frame_bytes: info.frame_bytes, header, marks: Some(signal), ..one }
            }
        }
    }

    fn with(format: SampleFormat, channels: &[Channel], samples: usize, physical: bool) -> Self {
        let number = format.sample_type();
        let mut header = "position".to_owned();
        let mut scales = Vec::new();
        for index in 0..samples {
            let channel = channels.get(index);
            let label = match (channel, number) {
                (Some(channel), _) => plain(&channel.label),
                (None, Some(_)) => format!("ch{}", index + 1),
                (None, None) => "bytes".to_owned(),
            };
            let parts = if format.is_complex() { &[".re", ".im"][..] } else { &[""][..] };
            for part in parts {
                header.push(',');
                header.push_str(&quoted(&format!("{label}{part}")));
                scales.push(Scale::new(channel, format, part == &".im"));
            }
        }
        header.push('\n');
        let scales = (physical && number.is_some()).then_some(scales);
        let frame_bytes = samples * format.bytes().unwrap_or(1);
        Self { number, frame_bytes, first: First::Position, header, scales, marks: None }
    }

    /// Of frames from all lanes of a work queue, with the lane before the position.
    pub(crate) fn of_lanes(info: &Info) -> Self {
        let one = Self::new(info, false);
        Self { header: format!("lane,{}", one.header), first: First::LaneAndPosition, ..one }
    }

    /// Of raw counts, each with its time since the first one, if there is a rate.
    pub(crate) fn of_times(format: SampleFormat, channels: &[Channel], rate: f64) -> Self {
        let one = Self::with(format, channels, channels.len(), false);
        if rate <= 0.0 {
            return one;
        }
        // A thousandth of a frame: whoever reads this can tell the rate, and a missing frame.
        let digits = (rate.log10().ceil() as i32 + 3).clamp(3, 15) as usize;
        let header = one.header.replacen("position", "time", 1);
        Self { header, first: First::Time { rate, digits }, ..one }
    }

    /// The header line.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// Appends a line for each of `frames` of `lane`, the first of which is at `position`.
    pub(crate) fn lines(&self, lane: u32, position: u64, frames: &[u8], out: &mut Vec<u8>) {
        for (frame, at) in frames.chunks_exact(self.frame_bytes).zip(position..) {
            if self.first == First::LaneAndPosition {
                out.extend_from_slice(itoa::Buffer::new().format(lane).as_bytes());
                out.push(b',');
            }
            if let First::Time { rate, digits } = self.first {
                out.extend_from_slice(format!("{:.digits$}", at as f64 / rate).as_bytes());
            } else {
                out.extend_from_slice(itoa::Buffer::new().format(at).as_bytes());
            }
            if let Some(signal) = &self.marks {
                marker(frame, signal.as_ref(), out);
                continue;
            }
            match (self.number, &self.scales) {
                (None, _) => {
                    out.push(b',');
                    out.extend_from_slice(crate::describe::hex(frame).as_bytes());
                }
                (Some(number), None) => with_number!(number, N => raw::<N>(frame, out)),
                (Some(number), Some(scales)) => with_number!(number, N => physical::<N>(frame, scales, out)),
            }
            out.push(b'\n');
        }
    }
}

fn marker(frame: &[u8], signal: Option<&Info>, out: &mut Vec<u8>) {
    let marker: Marker = bytemuck::pod_read_unaligned(frame);
    let at = signal.and_then(|signal| marker.position(signal)).map_or_else(String::new, |at| at.to_string());
    let (frames, code, text) = (marker.frames(), marker.code(), quoted(&plain(marker.text())));
    let utc = marker.utc().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    out.extend_from_slice(format!(",{at},{frames},{code},{utc:.6},{text}\n").as_bytes());
}

fn raw<N: Number>(frame: &[u8], out: &mut Vec<u8>) {
    for bytes in frame.chunks_exact(N::BYTES) {
        out.push(b',');
        N::read(bytes).print(out);
    }
}

fn physical<N: Number>(frame: &[u8], scales: &[Scale], out: &mut Vec<u8>) {
    for (bytes, scale) in frame.chunks_exact(N::BYTES).zip(scales) {
        out.push(b',');
        scale.apply(N::read(bytes).to_f64()).print(out);
    }
}

/// From a raw number to a physical one.
#[derive(Clone, Copy, Debug)]
struct Scale {
    scale: f64,
    offset: f64,
    /// Values are rounded to 1/grid; 0 = not at all.
    grid: f64,
}

impl Scale {
    fn new(channel: Option<&Channel>, format: SampleFormat, imaginary: bool) -> Self {
        let (scale, offset) = channel.map_or((1.0, 0.0), |channel| (channel.scale, channel.offset));
        let whole = format.sample_type().is_some_and(|number| with_number!(number, N => N::WHOLE));
        // An offset belongs to the real axis only.
        Self {
            scale,
            offset: if imaginary { 0.0 } else { offset },
            grid: if whole { grid(scale) } else { 0.0 },
        }
    }

    fn apply(self, raw: f64) -> f64 {
        let value = raw * self.scale + self.offset;
        // Adding zero makes 0 of -0.
        let rounded = (value * self.grid).round() / self.grid + 0.0;
        if rounded.is_finite() { rounded } else { value }
    }
}

/// A whole count times its scale is meant to be a round number, but binary fractions make -0.14500000000000046 of
/// -0.145. A millionth of a count is beyond what the count can say: round there.
fn grid(scale: f64) -> f64 {
    let digits = 6.0 - scale.abs().log10().floor();
    if (0.0..=15.0).contains(&digits) { 10_f64.powf(digits).round() } else { 0.0 }
}

/// RFC 4180: a label with a comma or a quote goes into quotes. Line breaks are none by now.
fn quoted(label: &str) -> String {
    if label.contains(['"', ',']) { format!("\"{}\"", label.replace('"', "\"\"")) } else { label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(number: SampleType, scale: Option<Scale>) -> Csv {
        let frame_bytes = 2 * number.bytes();
        Csv {
            first: First::Position,
            number: Some(number),
            frame_bytes,
            header: String::new(),
            scales: scale.map(|scale| vec![scale; 2]),
            marks: None,
        }
    }

    fn text(csv: &Csv, position: u64, frames: &[u8]) -> String {
        let mut out = Vec::new();
        csv.lines(0, position, frames, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn counts_are_exact() {
        let frames: Vec<u8> =
            [1_i16, -2, i16::MAX, i16::MIN].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(text(&csv(SampleType::I16, None), 99, &frames), "99,1,-2\n100,32767,-32768\n");
        let frames: Vec<u8> = [0.1_f32, -3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(text(&csv(SampleType::F32, None), 7, &frames), "7,0.1,-3.0\n");
    }

    #[test]
    fn physical_values_are_scaled_and_round() {
        let channel = Channel::new("MLII").scaled(10.235 / 2047.0, -5.12);
        let scale = Scale::new(Some(&channel), SampleFormat::Real(SampleType::I16), false);
        let frames: Vec<u8> = [995_i16, 1024].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(text(&csv(SampleType::I16, Some(scale)), 0, &frames), "0,-0.145,0.0\n");
    }

    #[test]
    fn lines_may_have_times() {
        let csv = Csv::of_times(SampleFormat::Real(SampleType::U8), &[Channel::new("a")], 360.0);
        assert_eq!((csv.header(), &*text(&csv, 359, &[7, 8])), ("time,a\n", "0.997222,7\n1.000000,8\n"));
        let csv = Csv::of_times(SampleFormat::Complex(SampleType::I8), &[Channel::new("a")], 0.0);
        assert_eq!((csv.header(), &*text(&csv, 9, &[7, 8])), ("position,a.re,a.im\n", "9,7,8\n"));
    }

    #[test]
    fn odd_scales_do_no_harm() {
        for scale in [0.0, 1e-300, 1e300, -0.5, f64::MIN_POSITIVE] {
            let channel = Channel::new("x").scaled(scale, 0.0);
            let scaled = Scale::new(Some(&channel), SampleFormat::Real(SampleType::I16), false);
            assert_eq!(scaled.apply(3.0), 3.0 * scale, "{scale}");
        }
    }

    #[test]
    fn labels_that_would_break_the_line_are_quoted() {
        assert_eq!(quoted("MLII"), "MLII");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
