//! Recordings that are being made: files of several formats, readable at any moment, whatever happens to the process.
//!
//! A [`Writer`] gathers what it is given, and [`flush`](Writer::flush) brings it into the file: first the samples at
//! the end, in one write, then the lengths in the header, in another. The kernel keeps what a killed process wrote. So
//! the file always has what the last flush brought, and at most the beginning of what the next one would have.

mod bits;
mod csv;
mod edf;
mod growing;
mod marking;
mod session;
mod sigmf;
mod timeline;
mod wav;
mod xdf;

pub(crate) use marking::Marks;
pub(crate) use session::{Limit, Session, Take};

use crate::failure::Failure;
use crate::files::Gap;
use annulus::{Channel, Info, SampleFormat};
use growing::Growing;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// One stream of a recording, as it describes itself.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) name: String,
    pub(crate) format: SampleFormat,
    pub(crate) channels: Vec<Channel>,
    pub(crate) rate: f64,
    pub(crate) device: String,
    /// Anything else, as JSON text.
    pub(crate) metadata: String,
    /// Names the object that the frames come from.
    pub(crate) instance: [u8; 16],
}

impl Track {
    pub(crate) fn of(info: &Info) -> Self {
        Self {
            name: info.full_name(),
            format: info.format,
            channels: info.channels.clone(),
            rate: info.rate,
            device: info.device.clone(),
            metadata: info.metadata_json.clone(),
            instance: info.instance,
        }
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        self.channels.len() * self.format.bytes().unwrap_or(1)
    }
}

/// Where a stream's part of a recording begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// The first frame's.
    pub(crate) position: u64,
    /// When it was sampled.
    pub(crate) time: SystemTime,
    /// The same by the monotonic clock, in seconds.
    pub(crate) clock: f64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    /// Of the first frame that it concerns.
    pub(crate) position: u64,
    pub(crate) duration: Duration,
    pub(crate) text: String,
}

/// A recording that is being made, of as many streams as it was created for. After an error the file is valid, and ends
/// with what fitted.
pub(crate) trait Writer: fmt::Debug + Send {
    /// Comes once for each stream, before anything else about it.
    fn begin(&mut self, stream: usize, begin: Begin) -> io::Result<()>;

    /// Whole frames, the first of which is at `position`.
    fn frames(&mut self, stream: usize, position: u64, frames: &[u8]) -> io::Result<()>;

    /// Comes between the frames before it and those after it.
    fn gap(&mut self, stream: usize, gap: &Gap) -> io::Result<()>;

    fn marker(&mut self, stream: usize, marker: Marker) -> io::Result<()>;

    /// Brings everything so far into the file, and makes that valid.
    fn flush(&mut self) -> io::Result<()>;

    /// As [`flush`](Self::flush), for the last time.
    fn finish(&mut self) -> io::Result<()>;

    /// Bytes so far.
    fn bytes(&self) -> u64;

    /// Removes the file: nothing came of it.
    fn discard(&self);
}

/// What a recording can be, by the ending of its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Edf,
    Bdf,
    Xdf,
    Wav,
    Sigmf,
    Csv,
}

impl Form {
    const ALL: [(Self, &str); 6] = [
        (Self::Edf, ".edf"),
        (Self::Bdf, ".bdf"),
        (Self::Xdf, ".xdf"),
        (Self::Wav, ".wav"),
        (Self::Sigmf, ".sigmf"),
        (Self::Csv, ".csv"),
    ];

    /// What a file of this name is to be.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
        match &*ending {
            "edf" => Ok(Self::Edf),
            "bdf" => Ok(Self::Bdf),
            "xdf" => Ok(Self::Xdf),
            "wav" | "wave" | "rf64" => Ok(Self::Wav),
            "sigmf" | "sigmf-data" | "sigmf-meta" => Ok(Self::Sigmf),
            "csv" => Ok(Self::Csv),
            _ => {
                let endings: Vec<&str> = Self::ALL.iter().map(|(_, ending)| *ending).collect();
                let why = "its ending says what it is to be";
                Err(Failure::Usage(format!("{}: {why}: {}", path.display(), endings.join(", "))))
            }
        }
    }

    /// Why it cannot hold that; nothing if it can.
    fn refuses(self, track: &Track) -> Option<String> {
        match self {
            Self::Edf => edf::refuses(2, track),
            Self::Bdf => edf::refuses(3, track),
            Self::Xdf => xdf::refuses(track),
            Self::Wav => wav::refuses(track),
            Self::Sigmf => sigmf::refuses(track),
            Self::Csv => csv::refuses(track),
        }
    }

    /// Whether it can hold these streams; else the error says which forms can.
    pub(crate) fn check(self, tracks: &[Track]) -> Result<(), Failure> {
        let mine = self.ending();
        if tracks.len() > 1 && self != Self::Xdf {
            return Err(Failure::Usage(format!("{mine} holds one stream, .xdf holds several")));
        }
        for track in tracks {
            let Some(why) = self.refuses(track) else { continue };
            let can = Self::ALL.iter().filter(|(form, _)| form.refuses(track).is_none());
            let can: Vec<&str> = can.map(|(_, ending)| *ending).collect();
            let can =
                if can.is_empty() { "nor can any other form".to_owned() } else { can.join(", ") + " can" };
            return Err(Failure::Usage(format!("{}: {mine} cannot hold it: {why}; {can}", track.name)));
        }
        Ok(())
    }

    /// Whether it has a place for what happened.
    pub(crate) fn keeps_markers(self) -> bool {
        self != Self::Csv
    }

    fn ending(self) -> &'static str {
        Self::ALL.iter().find(|(form, _)| *form == self).map_or("", |(_, ending)| ending)
    }
}

/// Makes the file of a recording of these streams, which it [can hold](Form::check). The texts say what it cannot keep.
pub(crate) fn create(
    path: &Path,
    tracks: &[Track],
    force: bool,
) -> Result<(Box<dyn Writer>, Vec<String>), Failure> {
    let form = Form::of(path)?;
    form.check(tracks)?;
    let made = |path: &Path| {
        Growing::create(path, force).map_err(|error| {
            let why = if error.kind() == io::ErrorKind::AlreadyExists {
                "it exists already; --force overwrites it".to_owned()
            } else {
                error.to_string()
            };
            Failure::Failed(format!("{}: {why}", path.display()))
        })
    };
    let mut notes = Vec::new();
    let writer: Box<dyn Writer> = match form {
        Form::Edf => Box::new(edf::Edf::new(made(path)?, 2, &tracks[0], &mut notes)),
        Form::Bdf => Box::new(edf::Edf::new(made(path)?, 3, &tracks[0], &mut notes)),
        Form::Xdf => Box::new(xdf::Xdf::new(made(path)?, tracks)),
        Form::Wav => Box::new(wav::Wav::new(made(path)?, &tracks[0], &mut notes)),
        Form::Csv => Box::new(csv::Csv::new(made(path)?, &tracks[0])),
        Form::Sigmf => {
            let (data, meta) = sigmf::paths(path);
            let meta = made(&meta)?;
            let data = made(&data).inspect_err(|_| meta.discard())?;
            Box::new(sigmf::Sigmf::new(data, meta, &tracks[0]))
        }
    };
    Ok((writer, notes))
}
