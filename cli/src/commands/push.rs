//! `annulus push`: the bytes that another program writes become a stream.

use crate::failure::Failure;
use crate::feed::{Feed, RingArgs};
use crate::output::unbuffered;
#[cfg(unix)]
use crate::stop::SLICE;
use crate::values;
use annulus::{Channel, SampleFormat};
#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(unix)]
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IsTerminal, Read};

/// Push the frames that come from stdin: rtl_sdr - | annulus push sdr --rate 2.4e6 --type cu8
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream's name: sdr, or sdr@v2
    name: String,
    /// How many channels take turns in the bytes [default: as many as --label names, or 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    channels: Option<u32>,
    /// Frames per second [default: none]
    #[arg(long, value_parser = values::rate)]
    rate: Option<f64>,
    /// What a sample is, little-endian: i8 u8 i16 u16 i32 u32 i64 f32 f64, or complex: ci16 (or cs16), cu8, cf32, ...
    #[arg(long = "type", value_name = "TYPE")]
    format: SampleFormat,
    /// What the channels are called: Fp1,Fp2
    #[arg(long, value_delimiter = ',')]
    label: Vec<String>,
    /// Unit of the physical values: uV
    #[arg(long, default_value = "", hide_default_value = true)]
    unit: String,
    /// Physical units per raw count
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    scale: f64,
    /// Physical value of a raw zero
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    offset: f64,
    /// What the samples come from
    #[arg(long, default_value = "", hide_default_value = true)]
    device: String,
    #[command(flatten)]
    ring: RingArgs,
}

/// Take this many bytes at a time: as many as a pipe holds.
const BLOCK: usize = 64 << 10;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        let why = "stdin is a terminal: give it a program's output, as in";
        let name = &args.name;
        let format = args.format;
        return Err(Failure::Usage(format!("{why} PROGRAM | annulus push {name} --type {format}")));
    }
    let builder = annulus::create(&args.name)
        .channels(channels(args)?)
        .rate(args.rate.unwrap_or(0.0))
        .device(&*args.device);
    let mut feed = Feed::new(builder, args.format, &args.ring)?;
    let frame = feed.info().frame_bytes;
    let done = pass_on(&mut feed);
    let name = feed.info().full_name();
    let ended = feed.end();
    match done? {
        0 => ended,
        left => Err(Failure::Failed(format!(
            "{name}: stdin ended within a frame: {left} of its {frame} bytes were left over, and not pushed"
        ))),
    }
}

/// Pushes whole frames as they come, to the end of stdin. Gives the number of bytes that were left over.
fn pass_on(feed: &mut Feed) -> Result<usize, Failure> {
    let mut stdin = unbuffered(io::stdin())?;
    let frame = feed.info().frame_bytes;
    let mut block = vec![0; BLOCK.max(frame)];
    let mut filled = 0;
    while !feed.stop().raised() {
        if !readable(&stdin)? {
            continue;
        }
        let count = match stdin.read(&mut block[filled..]) {
            Ok(0) => return Ok(filled),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Failed(format!("cannot read stdin: {error}"))),
        };
        filled += count;
        let whole = filled - filled % frame;
        if whole > 0 {
            feed.push(&block[..whole])?;
            block.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
    // Whoever ends it in the middle of a frame knows that.
    Ok(0)
}

/// Windows cannot ask that of a pipe, so a read may wait: a second Ctrl-C ends it.
#[cfg(windows)]
fn readable(_: &File) -> Result<bool, Failure> {
    Ok(true)
}

/// Whether a read would not wait; looked at for a while only, since a signal does not end a read.
#[cfg(unix)]
fn readable(stdin: &File) -> Result<bool, Failure> {
    let mut sets = [PollFd::new(stdin, PollFlags::IN)];
    let slice = Timespec { tv_sec: 0, tv_nsec: SLICE.subsec_nanos().into() };
    match poll(&mut sets, Some(&slice)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::Failed(format!("cannot wait for stdin: {error}"))),
    }
}

fn channels(args: &Args) -> Result<Vec<Channel>, Failure> {
    let count = args.channels.map_or(args.label.len().max(1), |count| count as usize);
    if !args.label.is_empty() && args.label.len() != count {
        let why = format!("--label: {} labels for {count} channels", args.label.len());
        return Err(Failure::Usage(why));
    }
    let label = |index: usize| args.label.get(index).cloned().unwrap_or_else(|| format!("ch{}", index + 1));
    let channel = |index| Channel::new(label(index)).unit(&*args.unit).scaled(args.scale, args.offset);
    Ok((0..count).map(channel).collect())
}
