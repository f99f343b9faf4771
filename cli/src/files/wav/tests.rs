//! Samples come as they are, whatever the header's form; `hound` writes the files that it can write.

use super::*;
use std::io::Cursor;
use std::time::{Duration, UNIX_EPOCH};

type File = Wav<Cursor<Vec<u8>>>;

fn open(bytes: Vec<u8>) -> Result<File, String> {
    open_with(bytes, &Options::default())
}

fn open_with(bytes: Vec<u8>, options: &Options) -> Result<File, String> {
    Wav::new(Cursor::new(bytes), options).map_err(|error| match error {
        Error::Bad(why) | Error::Usage(why) => why,
    })
}

fn all(file: &mut File, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        file.read(most, &mut all).unwrap();
        if all.len() == before {
            return all;
        }
    }
}

/// A file of these samples, as hound writes it.
fn hound<S: hound::Sample + Copy>(channels: u16, bits: u16, float: bool, samples: &[S]) -> Vec<u8> {
    let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    let spec = hound::WavSpec { channels, sample_rate: 48_000, bits_per_sample: bits, sample_format };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = id.to_vec();
    chunk.extend_from_slice(&(body.len() as u32).to_le_bytes());
    chunk.extend_from_slice(body);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// A `fmt ` chunk of 16 bytes.
fn form(format: u16, channels: u16, bits: u16) -> Vec<u8> {
    let frame = channels * bits.div_ceil(8);
    let mut body = Vec::new();
    for half in [format, channels] {
        body.extend_from_slice(&half.to_le_bytes());
    }
    for word in [8000, 8000 * u32::from(frame)] {
        body.extend_from_slice(&word.to_le_bytes());
    }
    for half in [frame, bits] {
        body.extend_from_slice(&half.to_le_bytes());
    }
    chunk(b"fmt ", &body)
}

fn file(id: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [&id[..], &(body.len() as u32 + 4).to_le_bytes(), b"WAVE", &body].concat()
}

#[test]
fn samples_of_every_width_are_exact() {
    let counts: Vec<i32> = vec![0, 1, -1, 127, -128, 100, -7, 64];
    for bits in [8, 16, 24, 32] {
        let step = 1_i32 << (bits - 8);
        let counts: Vec<i32> = counts.iter().map(|count| count * step + (step - 1)).collect();
        let mut file = open(hound(2, bits, false, &counts)).unwrap();
        assert_eq!(file.recording.frames, Some(4));
        let bytes = all(&mut file, 3);
        let read: Vec<i32> = match bits {
            8 => bytes.iter().map(|&byte| i32::from(byte) - 128).collect(),
            16 => bytes.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes).into()).collect(),
            _ => bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect(),
        };
        assert_eq!(read, counts, "{bits}");
        let channel = &file.recording.channels[1];
        assert_eq!((&*channel.label, &*channel.kind), ("R", "AUDIO"));
        assert_eq!(channel.significant_bits, if bits == 24 { 24 } else { 0 }, "{bits}");
        let raw = if bits == 8 { 0.0 } else { -(2_f64.powi(i32::from(bits) - 1)) };
        assert_eq!(channel.to_physical(raw), -1.0, "{bits}");
    }
    let values = [0.0_f32, -1.5, 1e-30, f32::MAX, 0.1, 0.2];
    let mut file = open(hound(3, 32, true, &values)).unwrap();
    let read: Vec<f32> = all(&mut file, 1).as_chunks().0.iter().map(|one| f32::from_le_bytes(*one)).collect();
    assert_eq!(read, values);
    assert_eq!(file.recording.rate, 48_000.0);
    assert_eq!(file.recording.channels[2].label, "ch3");
}

#[test]
fn doubles_are_read() {
    let values = [0.1_f64, -2.5];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut file = open(file(b"RIFF", &[form(3, 1, 64), chunk(b"data", &data)])).unwrap();
    assert_eq!(file.recording.format, SampleFormat::Real(SampleType::F64));
    assert_eq!(all(&mut file, 10), data);
}

#[test]
fn channels_can_be_chosen_and_files_be_played_again() {
    let counts: Vec<i16> = (0..3 * 50_000).map(|count| count as i16).collect();
    let options = Options { channels: vec!["ch3".to_owned(), "1".to_owned()], ..Options::default() };
    let mut file = open_with(hound(3, 16, false, &counts), &options).unwrap();
    let wanted: Vec<u8> =
        counts.as_chunks::<3>().0.iter().flat_map(|[a, _, c]| [*c, *a]).flat_map(i16::to_le_bytes).collect();
    for most in [7, 99_999] {
        assert!(all(&mut file, most) == wanted, "{most}");
        file.rewind().unwrap();
    }
}

#[test]
fn chunks_of_odd_length_are_padded() {
    let data = [1, 2, 3, 4];
    let bytes = file(
        b"RIFF",
        &[
            chunk(b"LIST", b"odd"),
            form(1, 1, 16),
            chunk(b"junk", b"x"),
            chunk(b"data", &data),
            chunk(b"id3 ", b"y"),
        ],
    );
    assert_eq!(all(&mut open(bytes).unwrap(), 10), data);
}

#[test]
fn long_files_tell_their_length_elsewhere() {
    let data = [1, 2, 3, 4, 5, 6];
    let mut long = vec![0; 28];
    long[8..16].copy_from_slice(&4_u64.to_le_bytes());
    let mut samples = chunk(b"data", &data);
    samples[4..8].copy_from_slice(&UNKNOWN.to_le_bytes());
    for id in [b"RF64", b"BW64"] {
        let bytes = file(id, &[chunk(b"ds64", &long), form(1, 1, 16), samples.clone()]);
        assert_eq!(all(&mut open(bytes).unwrap(), 10), data[..4]);
    }
}

#[test]
fn a_header_that_was_never_completed_is_played_to_the_end() {
    let data = [1, 2, 3, 4, 5];
    for said in [0, UNKNOWN] {
        let mut bytes = file(b"RIFF", &[form(1, 1, 16), chunk(b"data", &data)]);
        bytes.truncate(12 + 24 + 8 + 5);
        bytes[4..8].copy_from_slice(&said.to_le_bytes());
        bytes[40..44].copy_from_slice(&said.to_le_bytes());
        let mut file = open(bytes).unwrap();
        assert_eq!(all(&mut file, 10), data[..4]);
        let notes = file.recording.notes.join("; ");
        assert!(notes.contains("does not say how long") && notes.contains("1 bytes of a frame"), "{notes}");
    }
    // One that is complete may be empty, with something behind.
    let bytes = file(b"RIFF", &[form(1, 1, 16), chunk(b"data", b""), chunk(b"LIST", b"text")]);
    assert_eq!(open(bytes).unwrap_err(), "it has no samples");
}

/// A file that is longer than memory should be: zeros from some place on.
#[derive(Debug)]
struct Holes {
    start: Vec<u8>,
    length: u64,
    at: u64,
}

impl Read for Holes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (into.len() as u64).min(self.length - self.at) as usize;
        for (byte, at) in into[..count].iter_mut().zip(self.at..) {
            *byte = self.start.get(at as usize).copied().unwrap_or(0);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Holes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(at) => self.length.saturating_add_signed(at),
            SeekFrom::Current(at) => self.at.saturating_add_signed(at),
        };
        Ok(self.at)
    }
}

#[test]
fn a_length_that_was_never_known_is_none() {
    let data: Vec<u8> = (0..7 * 6).collect();
    let play = |bytes: Vec<u8>| -> Result<Vec<u8>, String> {
        let mut file = open(bytes)?;
        assert!(file.recording.notes.join("; ").contains("does not say how long"));
        Ok(all(&mut file, 10))
    };
    // What sox writes, as many frames as fit below it.
    let streamed = |said: u32| {
        let mut bytes = file(b"RIFF", &[form(1, 3, 16), chunk(b"data", &data)]);
        bytes[4..8].copy_from_slice(&(said + 36).to_le_bytes());
        bytes[40..44].copy_from_slice(&said.to_le_bytes());
        play(bytes)
    };
    for said in [0x7FFF_F000, 0x7FFF_F000 - 0x7FFF_F000 % 6, 0x7FFF_F000 - 5] {
        assert_eq!(streamed(said), Ok(data.clone()), "{said:#x}");
    }
    for said in [0x7FFF_F000 - 6, 0x7FFF_F001, u32::MAX - 1000] {
        assert!(streamed(said).unwrap_err().contains("was cut off"), "{said:#x}");
    }
    // A pipe may have given more.
    let mut bytes = file(b"RIFF", &[form(1, 3, 16), chunk(b"data", &[])]);
    bytes[4..8].copy_from_slice(&0x7FFF_F024_u32.to_le_bytes());
    bytes[40..44].copy_from_slice(&0x7FFF_F000_u32.to_le_bytes());
    let frames = (1_u64 << 32) / 6;
    let file_of_holes = Holes { start: bytes, length: 44 + frames * 6, at: 0 };
    let file_of_holes = Wav::new(file_of_holes, &Options::default()).unwrap();
    assert_eq!(file_of_holes.recording.frames, Some(frames));
    // What ffmpeg leaves, if it cannot fill in the lengths.
    let mut samples = chunk(b"data", &data);
    samples[4..8].copy_from_slice(&UNKNOWN.to_le_bytes());
    let mut long = vec![0; 28];
    let unfinished = |long: &[u8]| file(b"RF64", &[chunk(b"ds64", long), form(1, 3, 16), samples.clone()]);
    assert_eq!(play(unfinished(&long)), Ok(data.clone()));
    // One that was finished may be empty.
    long[0] = 100;
    assert_eq!(open(unfinished(&long)).unwrap_err(), "it has no samples");
}

#[test]
fn a_file_that_was_cut_off_is_played_only_if_that_is_wanted() {
    let whole = hound(1, 16, false, &[1_i16, 2, 3, 4]);
    let cut = whole[..whole.len() - 3].to_vec();
    let refusal = open(cut.clone()).unwrap_err();
    assert!(refusal.contains("says 8 bytes of samples, but 5 are there") && refusal.contains("--truncated"));
    let mut file = open_with(cut, &Options { truncated: true, ..Options::default() }).unwrap();
    assert_eq!(all(&mut file, 10), [1, 0, 2, 0]);
    for length in 0..whole.len() {
        assert!(open(whole[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn a_broadcast_file_tells_when_it_began() {
    let mut told = vec![0; 602];
    told[..11].copy_from_slice(b"Who it was ");
    told[320..338].copy_from_slice(b"2002-03-0214:27:00");
    let bytes = file(b"RIFF", &[chunk(b"bext", &told), form(1, 1, 8), chunk(b"data", b"ab")]);
    let file = open(bytes).unwrap();
    assert_eq!(file.recording.start_time, Some(UNIX_EPOCH + Duration::from_secs(1_015_079_220)));
    assert!(!format!("{:?}", file.recording).contains("Who"));
}

#[test]
fn what_cannot_be_played_is_named() {
    let why = |form: Vec<u8>| open(file(b"RIFF", &[form, chunk(b"data", &[0; 64])])).unwrap_err();
    assert!(why(form(2, 1, 4)).contains("compressed, or of a form that cannot be played (format 0x0002)"));
    assert!(why(form(0x55, 2, 16)).contains("(format 0x0055)"));
    assert!(why(form(1, 1, 12)).contains("samples of 12 bits"));
    assert!(why(form(3, 1, 16)).contains("samples of 16 bits"));
    assert!(why(form(1, 0, 16)).contains("contradicts itself: 0 channels of 16 bits at 8000 Hz"));
    let mut odd = form(1, 2, 16);
    odd[8 + 12] = 3;
    assert!(why(odd).contains("in frames of 3 bytes"));
    assert!(why(chunk(b"fmt ", b"short")).contains("'fmt ' chunk is too short"));
    assert!(why(chunk(b"LIST", b"")).contains("no 'fmt ' chunk"));
    assert!(open(b"RIFF\0\0\0\0AVI LIST".to_vec()).unwrap_err().contains("it is no WAV file"));
    let endless = [&b"RIFF\0\0\0\0WAVE"[..], &[0; 50_000]].concat();
    assert!(open(endless).unwrap_err().contains("thousands of chunks"));
}

#[test]
fn cue_points_become_markers() {
    let (mut points, mut labels) = (5_u32.to_le_bytes().to_vec(), b"adtl".to_vec());
    for (id, at) in [(1_u32, 3_u32), (2, 1), (3, 4), (4, 5), (5, 2)] {
        for number in [id, at, 0x6174_6164, 0, 0, at] {
            points.extend_from_slice(&number.to_le_bytes());
        }
    }
    let mut say =
        |kind, id: u32, what: &[u8]| labels.extend(chunk(kind, &[&id.to_le_bytes(), what].concat()));
    say(b"ltxt", 1, b"\x02\0\0\0rgn \0\0\0\0\0\0\0\0");
    say(b"labl", 1, b"long\0");
    say(b"labl", 2, b"47 frames missing: lapped\0");
    say(b"labl", 3, b"47 frames missing?\0");
    say(b"labl", 4, b"after\0");
    let data = chunk(b"data", &[0; 8]);
    let bytes = file(b"RIFF", &[form(1, 1, 16), data, chunk(b"cue ", &points), chunk(b"LIST", &labels)]);
    let file = open(bytes).unwrap();
    let marker = |position, frames, text: &str| Marker { position, frames, text: text.to_owned() };
    let expected = [
        marker(None, 0, "after"),
        marker(Some(2), 0, ""),
        marker(Some(3), 2, "long"),
        marker(Some(4), 0, "47 frames missing?"),
    ];
    assert_eq!(file.markers(), expected);
    assert_eq!(file.gaps().len(), 1);
}
