//! `annulus play`: a recorded file as a live stream.

use crate::failure::{Failure, note};
use crate::feed::RingArgs;
use crate::files::{self, Error, Gap, Options, Reader};
use crate::marks;
use crate::player::{PlayArgs, Player, Signal};
use crate::progress::Progress;
use crate::values;
use annulus::{Info, Marker, Producer, SampleFormat};
use std::path::{Path, PathBuf};

/// Play a file (EDF, EDF+, BDF, XDF, SigMF, WAV, CSV) as if it were acquired now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EDF, EDF+, BDF: raw counts stay raw; the channels keep their labels, units, scales, filters; the date and time of the
  recording become the stream's start time, taken as UTC. Nothing about the patient is kept. What an annotation
  BAD_ACQ_SKIP covers is no signal, and is left out.
XDF: a stream of numbers with a rate (--stream says which); what is written by annulus record comes back as it was.
SigMF: the pair of files, by the name of either. Of both, gaps are told, as of EDF+D.
What happened (annotations, cue points of WAV, texts of XDF) becomes markers, in the stream NAME.markers.
WAV: PCM of 8, 16, 24 (as i32) or 32 bits, f32, f64, also RF64. --physical values are full scale, -1 to 1.
CSV: a line for each frame, columns separated by comma, semicolon or tab. The first line has the labels if none of its
  fields is a number. A first column labelled 'position', as annulus cat writes it, or 'time' (or t, timestamp, seconds)
  is no channel. Times are in seconds, or in ms, us or ns where the label says so: Time (ms), t_us. They give the rate,
  and are held against it, rounded as they may be: where frames are missing that is told, and where it cannot be told how
  many the stream ends, with an error. With --rate the times are not looked at.")]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// The stream's name: ecg, or ecg@v2 [default: the file's, without its ending]
    #[arg(long)]
    name: Option<String>,
    /// Only these channels, by label or number: Fp1,Fp2; in EDF also by rate: 256Hz
    #[arg(long, value_delimiter = ',')]
    channels: Vec<String>,
    /// Of an XDF file with several streams, the one: by its name or number
    #[arg(long)]
    stream: Option<String>,
    /// Start over at the end, again and again; positions go on
    #[arg(long)]
    repeat: bool,
    /// Play a file that was cut off as far as it goes
    #[arg(long)]
    truncated: bool,
    /// Frames per second of a CSV file
    #[arg(long, value_parser = values::rate)]
    rate: Option<f64>,
    /// What the numbers of a CSV file become: i8 ... f64, or complex, two columns each: cf32 [default: f64]
    #[arg(long = "type", value_name = "TYPE")]
    format: Option<SampleFormat>,
    #[command(flatten)]
    play: PlayArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let options = Options {
        channels: args.channels.clone(),
        stream: args.stream.clone(),
        truncated: args.truncated,
        rate: args.rate,
        format: args.format,
    };
    let path = args.file.clone();
    let reader = files::open(&path, &options).map_err(|error| failure(&path, error))?;
    let name = args.name.clone().unwrap_or_else(|| name_of(&path));

    let recording = reader.recording();
    let (rate, frames) = (recording.rate, recording.frames);
    for one in &recording.notes {
        note(format!("{}: {one}", path.display()));
    }
    let mut builder = annulus::create(&name).device(&*recording.device);
    if let Some(time) = recording.start_time {
        builder = builder.start_time(time);
    }
    let mut player = Player::new(builder, recording.format, recording.channels.clone(), rate, &args.play)?;
    player.feed.progress = Progress::on_terminal(player.feed.info().full_name(), rate, frames);
    let marking =
        if reader.is_marked() { Some(Marking::new(player.feed.info(), &args.play.ring)?) } else { None };
    let base = player.feed.position();
    let mut playing = Playing {
        reader,
        path,
        repeat: args.repeat,
        block: Vec::new(),
        held: false,
        broken: None,
        base,
        played: 0,
        told: 0,
        marking,
    };
    player.play(&mut playing, u64::MAX)
}

/// A file that is being played.
struct Playing {
    reader: Box<dyn Reader>,
    path: PathBuf,
    repeat: bool,
    block: Vec<u8>,
    /// The position that its first frame got.
    base: u64,
    /// The block comes behind a gap that was found with it, and is to be told first.
    held: bool,
    /// Frames so far, and gaps.
    played: u64,
    told: usize,
    /// If it tells what happened.
    marking: Option<Marking>,
    /// What ended it in the middle of the last block, to be told when that has been played.
    broken: Option<Error>,
}

impl Playing {
    fn read(&mut self, most: usize) -> Result<(), Error> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let most = self
            .next_gap()
            .map_or(most, |gap| most.min(usize::try_from(gap.position - self.played).unwrap_or(most)));
        let read = self.reader.read(most, &mut self.block);
        let whole = self.block.len() - self.block.len() % self.reader.recording().frame_bytes();
        match read {
            Err(error) if whole > 0 => {
                self.block.truncate(whole);
                self.broken = Some(error);
                Ok(())
            }
            read => read,
        }
    }
}

impl Playing {
    /// Right before what comes next.
    fn due(&self) -> Option<&Gap> {
        self.reader.gaps().get(self.told).filter(|gap| gap.position <= self.played)
    }

    /// Behind what was played.
    fn next_gap(&self) -> Option<&Gap> {
        self.reader.gaps().get(self.told..)?.iter().find(|gap| gap.position > self.played)
    }
}

impl Signal for Playing {
    fn gap(&mut self) -> Option<Gap> {
        let gap = *self.due()?;
        note(format!("{}: before its frame {}: {gap}", self.path.display(), gap.position + 1));
        self.told += 1;
        Some(gap)
    }

    fn pushed(&mut self, position: u64) -> Result<(), Failure> {
        self.marking.as_mut().map_or(Ok(()), |marking| marking.mark(&*self.reader, self.base, position))
    }

    fn block(&mut self, position: u64, most: usize) -> Result<&[u8], Failure> {
        if !std::mem::take(&mut self.held) {
            self.block.clear();
            let mut read = self.read(most);
            let over = read.is_ok() && self.block.is_empty();
            if over && let Some(marking) = &mut self.marking {
                marking.end(&*self.reader, self.base, &self.path)?;
            }
            if over && self.repeat {
                (self.base, self.played, self.told) = (position, 0, 0);
                read = self.reader.rewind().and_then(|()| self.read(most));
            }
            read.map_err(|error| failure(&self.path, error))?;
            self.held = !self.block.is_empty() && self.due().is_some();
            if self.held {
                return Ok(&[]);
            }
        }
        self.played += (self.block.len() / self.reader.recording().frame_bytes()) as u64;
        Ok(&self.block)
    }
}

/// The stream of markers beside the one that is played.
struct Marking {
    signal: Info,
    markers: Producer<Marker>,
    /// Of the file's, so many were looked at, and so many of those belong to no frame.
    marked: usize,
    outside: usize,
}

impl Marking {
    fn new(signal: &Info, ring: &RingArgs) -> Result<Self, Failure> {
        let builder = ring.share(annulus::create(marks::name(signal)))?;
        let markers = marks::producer(builder, signal)?;
        note(format!("{}: what the file says about {}", markers.info().full_name(), signal.full_name()));
        Ok(Self { signal: signal.clone(), markers, marked: 0, outside: 0 })
    }

    /// Those of the frames before `position`, in a file whose first frame is at `base`.
    fn mark(&mut self, file: &dyn Reader, base: u64, position: u64) -> Result<(), Failure> {
        for marker in &file.markers()[self.marked..] {
            let at = marker.position.map(|at| base + at);
            if at.is_some_and(|at| at >= position) {
                break;
            }
            self.marked += 1;
            match at {
                Some(at) => self.push(marker, at)?,
                None => self.outside += 1,
            }
        }
        Ok(())
    }

    fn push(&mut self, marker: &files::Marker, at: u64) -> Result<(), Failure> {
        let name = self.markers.info().full_name();
        let (text, code) = marks::parts(&marker.text);
        let mut room = text.len().min(Marker::TEXT_MAX);
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        let fits = &text[..room];
        if fits.len() < text.len() {
            note(format!("{name}: a text is too long for a marker, which keeps the beginning: \"{fits}\""));
        }
        let marker = Marker::new(fits)?.with_code(code).at(&self.signal, at).lasting(marker.frames);
        self.markers.push(&[marker]).map_err(|error| Failure::Failed(format!("{name}: {error}")))
    }

    /// What is left, at the end of the file; it may begin anew.
    fn end(&mut self, file: &dyn Reader, base: u64, path: &Path) -> Result<(), Failure> {
        self.mark(file, base, u64::MAX)?;
        if self.outside > 0 {
            let why = "markers lie before its first frame or behind its last one: left out";
            note(format!("{}: {} {why}", path.display(), self.outside));
        }
        (self.marked, self.outside) = (0, 0);
        Ok(())
    }
}

fn failure(path: &Path, error: Error) -> Failure {
    match error {
        Error::Bad(why) => Failure::Failed(format!("{}: {why}", path.display())),
        Error::Usage(why) => Failure::Usage(format!("{}: {why}", path.display())),
    }
}

/// What a stream of that file is called: its stem, with a dash for each character that a name may not have.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    stem.chars().map(legal).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_the_stream_its_name() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(name("/data/mitdb-208.edf"), "mitdb-208");
        assert_eq!(name("My Recording (2).night.edf"), "My-Recording--2-.night");
        assert_eq!(name("ÄÖ.wav"), "--");
        assert_eq!(name(&format!("{}.csv", "x".repeat(200))).len(), 128);
    }
}
