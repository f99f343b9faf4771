//! `annulus record`: streams into a file.

use crate::failure::{Failure, note};
use crate::names::{Place, Stream};
use crate::recorder::{self, Form, Limit, Marks, Session, Take, Track};
use crate::source::{Lane, Reading, Source};
use crate::stop::Stop;
use crate::values;
use annulus::{Error, Kind, Marker, ProducerState, Scope, Start, Status};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Record streams into a file, by its ending: .edf, .bdf, .xdf, .wav, .sigmf or .csv
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Raw counts stay raw; labels, units and scales are kept where the file has a place for them. It can be read at any moment,
also after kill -9, up to the last half second. Frames that are missing are not made up: EDF+ and BDF+ are interrupted
there (EDF+D), with an annotation, XDF has other time stamps, SigMF a new capture, WAV a cue point, CSV other times.

A seat for recorders (gen --recorders) is taken where there is one. Of a stream with one reader (gen --lossless) that is
this one, unless --from says where to begin. Ends with the stream, at a limit, or on Ctrl-C.")]
pub(crate) struct Args {
    /// The streams: ecg@v2, or ecg where that is clear; only XDF holds several
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    into: Into,
    /// Where to begin: now, oldest, a position, or so much time back, like 10s [default: now; oldest if it has ended]
    #[arg(long)]
    from: Option<From>,
    /// Stop after so much signal: 20s, 5m
    #[arg(long, value_parser = values::duration)]
    duration: Option<Duration>,
    /// Stop after so many frames
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    #[command(flatten)]
    lane: Lane,
}

/// What a recording goes into.
#[derive(Debug, clap::Args)]
pub(super) struct Into {
    /// The file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
    /// The recording begins when the stream says that its signal did, not when it is recorded
    #[arg(long)]
    as_recorded: bool,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Now,
    Oldest,
    Position(u64),
    Back(Duration),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("now", _) => Ok(Self::Now),
            ("oldest", _) => Ok(Self::Oldest),
            (_, Ok(position)) => Ok(Self::Position(position)),
            _ => values::duration(text)
                .map(Self::Back)
                .map_err(|_| "give now, oldest, a position, or a time back, like 10s".to_owned()),
        }
    }
}

impl From {
    fn start(self, status: &Status) -> Result<Start, Failure> {
        match self {
            Self::Now => Ok(Start::Now),
            Self::Oldest => Ok(Start::Oldest),
            Self::Position(position) => Ok(Start::Position(position)),
            Self::Back(time) if status.info.rate > 0.0 => {
                let back = (time.as_secs_f64() * status.info.rate).round() as u64;
                let position = status.position.saturating_sub(back);
                // What is not there any more was not lost to us.
                Ok(if position <= status.oldest { Start::Oldest } else { Start::Position(position) })
            }
            Self::Back(_) => {
                let name = status.info.full_name();
                Err(Failure::Usage(format!("--from: {name} has no rate: give a position instead of a time")))
            }
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::of_a_writer()?;
    let limit = Limit { frames: args.frames, duration: args.duration };
    let named = |name: &String| -> Result<_, Failure> {
        let name = args.place.resolve(name)?;
        let status = name.open().status()?;
        Ok((name, status))
    };
    let streams = args.names.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    let (marking, streams): (Vec<_>, Vec<_>) =
        streams.into_iter().partition(|(_, status)| status.info.marks.is_some());
    let tracks: Vec<Track> = streams.iter().map(|(_, status)| Track::of(&status.info)).collect();
    Form::of(&args.into.output)?.check(&tracks)?;
    let marks = marks(&streams, marking)?;
    let mut takes = Vec::new();
    for (name, status) in streams {
        let source = attach(&name, &status, args.from, args.lane)?;
        let as_recorded = args.into.as_recorded;
        takes.push(Take { name, source, limit, follow: true, as_recorded, age: Duration::ZERO });
    }
    args.into.record(takes, marks, &stop)
}

impl Into {
    pub(super) fn as_recorded(&self) -> bool {
        self.as_recorded
    }

    /// Records these, and says what the file cannot hold of them.
    pub(super) fn record(&self, takes: Vec<Take>, marks: Vec<Marks>, stop: &Stop) -> Result<(), Failure> {
        let tracks: Vec<Track> = takes.iter().map(|take| Track::of(take.source.info())).collect();
        let (writer, notes) = recorder::create(&self.output, &tracks, self.force)?;
        notes.into_iter().for_each(note);
        for one in &marks {
            let kept = Form::of(&self.output)?.keeps_markers();
            note(format!(
                "{}: its markers are {}",
                one.name,
                if kept { "recorded, too" } else { "not kept: this form has no place for them" }
            ));
        }
        for take in takes.iter().filter(|take| take.as_recorded && take.source.info().start_time.is_none()) {
            note(format!("{}: it does not say when its signal began: the recording begins now", take.name));
        }
        Session::new(&self.output, stop, writer, takes.len()).run(takes, marks)
    }
}

/// The markers of these signals: the streams that were named, and all others that say that they are.
pub(super) fn marks(
    signals: &[(Stream, Status)],
    named: Vec<(Stream, Status)>,
) -> Result<Vec<Marks>, Failure> {
    let of = |marks: &str| signals.iter().position(|(_, status)| status.info.full_name() == marks);
    let mut all: Vec<(Stream, usize)> = Vec::new();
    for (name, status) in named {
        let marked = status.info.marks.unwrap_or_default();
        let why = || Failure::Usage(format!("{name} are markers of {marked}: name that, too"));
        let stream = of(&marked).ok_or_else(why)?;
        all.push((name, stream));
    }
    let scope = signals.first().map_or(Scope::User, |(_, status)| status.info.scope);
    for listed in annulus::list(scope)? {
        let Ok(status) = listed.status else { continue };
        let stream = status.info.marks.as_deref().and_then(of);
        let name = Stream::named_as(&status.info);
        if let Some(stream) = stream
            && all.iter().all(|(other, _)| other.to_string() != name.to_string())
        {
            all.push((name, stream));
        }
    }
    let open = |(name, stream): (Stream, usize)| {
        let observer = name.open().start(Start::Oldest).unseated().observer::<Marker>()?;
        Ok(Marks { name, observer, signal: signals[stream].0.clone(), stream })
    };
    all.into_iter().map(open).collect()
}

/// The way of reading that loses least.
fn attach(name: &Stream, status: &Status, from: Option<From>, lane: Lane) -> Result<Source, Failure> {
    let info = &status.info;
    let ended = matches!(status.producer, ProducerState::Ended { .. });
    // Nothing comes after the end.
    let from = from.or((ended && info.kind != Kind::Spsc).then_some(From::Oldest));
    let start = from.map(|from| from.start(status)).transpose()?;
    let reading = Reading { start, tap: true, recorder: false, lane };
    let (best, why) = match info.kind {
        Kind::Broadcast if info.lossless > 0 => {
            (Reading { tap: false, recorder: true, ..reading }, "its seats for recorders are taken")
        }
        Kind::Spsc if start.is_none() => (Reading { tap: false, ..reading }, "it has a reader already"),
        Kind::Broadcast => (reading, "it has no seats for recorders (--recorders)"),
        _ => (reading, "it is only observed"),
    };
    match Source::open(name, best) {
        Ok(source) if !best.tap => return Ok(source),
        Ok(source) => return Ok(told(name, why, source)),
        Err(Error::NoSeat { .. } | Error::ConsumerBusy { .. }) if !best.tap => {}
        Err(error) => return Err(Source::failure(error)),
    }
    Source::open(name, reading).map(|source| told(name, why, source)).map_err(Source::failure)
}

/// The user knows that it is not the best.
fn told(name: &Stream, why: &str, source: Source) -> Source {
    note(format!("{name}: {why}: frames are lost, and told, if this recorder is a whole ring behind"));
    source
}
