//! Recordings in files: what they say about themselves, and their frames, block by block.
//!
//! Whatever the bytes of a file are, its reader gives frames or an error. It never allocates more than a window, or
//! than the file is long.

mod choose;
mod csv;
mod date;
mod edf;
mod gap;
mod marker;
mod sigmf;
mod wav;
mod xdf;

pub(crate) use self::csv::Csv;
pub(crate) use edf::Edf;
pub(crate) use gap::{Cause, Gap};
pub(crate) use marker::Marker;
pub(crate) use sigmf::Sigmf;
pub(crate) use wav::Wav;
pub(crate) use xdf::Xdf;

use annulus::{Channel, SampleFormat};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What a file says about its signals.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) format: SampleFormat,
    pub(crate) channels: Vec<Channel>,
    pub(crate) rate: f64,
    /// How many there are; text must be read to the end to know that.
    pub(crate) frames: Option<u64>,
    pub(crate) device: String,
    pub(crate) start_time: Option<SystemTime>,
    /// What is in the file and does not get into the frames.
    pub(crate) notes: Vec<String>,
}

impl Recording {
    pub(crate) fn frame_bytes(&self) -> usize {
        self.channels.len() * self.format.bytes().unwrap_or(1)
    }
}

/// A file that is being read.
pub(crate) trait Reader: fmt::Debug {
    fn recording(&self) -> &Recording;

    /// What is missing between the frames, as far as it is known: at least up to the next frame. Positions count the
    /// frames of the file.
    fn gaps(&self) -> &[Gap] {
        &[]
    }

    /// What happened, as far as it is known: at least up to the frames that were read. In order.
    fn markers(&self) -> &[Marker] {
        &[]
    }

    /// Whether there is anything among the markers, or will be.
    fn is_marked(&self) -> bool {
        !self.markers().is_empty()
    }

    /// Appends the next frames, `most` at most. Fewer mean nothing, none is the end.
    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Goes back to the first frame.
    fn rewind(&mut self) -> Result<(), Error>;
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Labels or numbers of the channels that are wanted; empty means all.
    pub(crate) channels: Vec<String>,
    /// The name or number of the stream that is wanted, of several.
    pub(crate) stream: Option<String>,
    /// A file that was cut off is read as far as it goes.
    pub(crate) truncated: bool,
    /// Of text that has no times.
    pub(crate) rate: Option<f64>,
    /// What the numbers of a text become.
    pub(crate) format: Option<SampleFormat>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system's reason, or what is wrong with the bytes.
    Bad(String),
    /// The options do not fit the file.
    Usage(String),
}

impl Error {
    fn bad(why: impl Into<String>) -> Self {
        Self::Bad(why.into())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::bad("it has become shorter while it was read"),
            _ => Self::Bad(error.to_string()),
        }
    }
}

/// Opens a file, by its ending if that says what it is, else by its first bytes.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Box<dyn Reader>, Error> {
    // Looked at before it is opened: a pipe without a writer would never open.
    // The name of the pair, as `record` takes it. (A file of that name would be an archive.)
    let pair = path.with_extension("sigmf-data");
    let is_pair = path.extension().is_some_and(|ending| ending == "sigmf") && !path.exists();
    let path = if is_pair { &pair } else { path };
    if !path.metadata()?.is_file() {
        return Err(Error::bad("it is no file; a program's output goes into annulus push"));
    }
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(Error::bad("it is empty"));
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
    let kind = match &*ending {
        "edf" | "bdf" | "rec" => Some(Kind::Edf),
        "wav" | "wave" | "rf64" | "bw64" => Some(Kind::Wav),
        "csv" | "tsv" | "txt" => Some(Kind::Csv),
        "xdf" => Some(Kind::Xdf),
        "sigmf-data" | "sigmf-meta" => Some(Kind::Sigmf),
        _ if edf::begins(&mut file)? => Some(Kind::Edf),
        _ if wav::begins(&mut file)? => Some(Kind::Wav),
        _ if xdf::begins(&mut file)? => Some(Kind::Xdf),
        _ => None,
    };
    if options.stream.is_some() && !matches!(kind, Some(Kind::Xdf)) {
        return Err(Error::Usage("--stream is for XDF: other files have one".to_owned()));
    }
    let is_text = || Error::Usage("--rate and --type are for CSV: this file says both itself".to_owned());
    match kind {
        Some(Kind::Csv) => Ok(Box::new(Csv::new(file, options)?)),
        Some(_) if options.rate.is_some() || options.format.is_some() => Err(is_text()),
        Some(Kind::Edf) => Ok(Box::new(Edf::new(file, options)?)),
        Some(Kind::Wav) => Ok(Box::new(Wav::new(file, options)?)),
        Some(Kind::Xdf) => Ok(Box::new(Xdf::new(file, options)?)),
        Some(Kind::Sigmf) => {
            let meta = fs::read(path.with_extension("sigmf-meta"))?;
            Ok(Box::new(Sigmf::new(&meta, File::open(path.with_extension("sigmf-data"))?, options)?))
        }
        None => {
            Err(Error::bad("it is neither EDF, BDF, XDF nor WAV, and it does not end in .csv or .sigmf-data"))
        }
    }
}

enum Kind {
    Edf,
    Wav,
    Csv,
    Xdf,
    Sigmf,
}
