//! `annulus drain`: the consumers of a work queue.

use crate::failure::{self, Failure, note};
use crate::names::{Named, Stream};
use crate::output::Output;
use crate::print::{Csv, Form};
use crate::stop::{SLICE, Stop};
use annulus::{Error, Frames, GroupConsumer, Kind, ReadError, Strategy, Wait};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// Take frames out of a work queue, each once, until its producers have finished
///
/// What was taken is gone: if the reader of stdout ends early, or we are killed, up to a batch of each consumer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    queue: Named,
    /// How many consumers share the work
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    consumers: u32,
    /// Most frames to take at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch: u32,
    /// Write the frames to stdout as well, as they come; in CSV with the lane before the position [default: only count
    /// them]
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// How to wait for frames: spin, adaptive or block
    #[arg(long, default_value = "adaptive")]
    wait: Strategy,
    /// Stop when what is there now was taken
    #[arg(long)]
    no_follow: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let queue = args.queue.resolve()?;
    if queue.open().status()?.info.kind != Kind::Mpmc {
        return Err(Failure::Failed(format!("{queue} is no work queue: annulus cat {queue} reads it")));
    }
    let consumers: Vec<GroupConsumer<u8>> =
        (0..args.consumers).map(|_| queue.open().group_consumer_bytes()).collect::<Result<_, Error>>()?;
    let info = consumers[0].info().clone();
    let out = args.format.map(|_| Output::stdout()).transpose()?;
    let mut out = out.map(Mutex::new);
    if let (Some(out), Some(Form::Csv)) = (&mut out, args.format) {
        out.get_mut().expect("nobody has it yet").turn_to(Csv::of_lanes(&info))?;
    }
    let began = Instant::now();
    let until = AtomicU64::new(if args.no_follow { consumers[0].available() } else { u64::MAX });
    let work =
        Work { args, queue: &queue, stop: &stop, out: out.as_ref(), left: until, told: Mutex::default() };
    let done = thread::scope(|threads| {
        let working =
            consumers.into_iter().map(|consumer| threads.spawn(|| work.take_all(consumer))).collect();
        failure::first(working)
    });
    let taken = match done {
        Err(failure) => {
            return Err(failure);
        }
        Ok(taken) => taken,
    };
    let all: u64 = taken.iter().sum();
    let each: Vec<String> = taken.iter().map(u64::to_string).collect();
    let seconds = began.elapsed().as_secs_f64();
    note(format!(
        "{queue}: took {all} frames in {seconds:.3} s ({:.1} Hz), each consumer: {}",
        all as f64 / seconds,
        each.join(" ")
    ));
    Ok(())
}

/// What all consumers have in common.
struct Work<'a> {
    args: &'a Args,
    queue: &'a Stream,
    stop: &'a Stop,
    out: Option<&'a Mutex<Output>>,
    /// Frames that may still be taken.
    left: AtomicU64,
    /// What the user knows already, from whichever consumer noticed it first.
    told: Mutex<HashSet<String>>,
}

impl Work<'_> {
    /// Takes until the end: how many frames.
    fn take_all(&self, mut consumer: GroupConsumer<u8>) -> Result<u64, Failure> {
        let frame_bytes = consumer.info().frame_bytes;
        let most = u64::from(self.args.batch).min(consumer.info().capacity);
        let mut batch = vec![0; most as usize * frame_bytes];
        let wait = Wait::new().strategy(self.args.wait).timeout(SLICE);
        while !self.stop.raised() {
            let share = self.reserve(most);
            if share == 0 {
                break;
            }
            let batch = &mut batch[..share as usize * frame_bytes];
            let taken =
                if self.args.no_follow { consumer.try_read(batch) } else { consumer.read(batch, wait) };
            self.give_back(share - taken.map_or(0, |taken| taken.frames as u64));
            match taken {
                Ok(taken) => self.pass_on(taken, &batch[..taken.frames * frame_bytes])?,
                Err(ReadError::Empty | ReadError::Ended { .. }) => break,
                Err(ReadError::Timeout) => {}
                Err(ReadError::ProducerGone { pid, position }) => {
                    self.tell(format!(
                        "{}: a producer, process {pid}, died after {position} frames; waiting for the next one",
                        self.queue
                    ));
                }
                Err(ReadError::Replaced) => {
                    self.tell(format!("{}: the queue was removed", self.queue));
                    break;
                }
                Err(error) => {
                    self.stop.raise();
                    return Err(Failure::Failed(format!("{}: {error}", self.queue)));
                }
            }
        }
        Ok(consumer.taken())
    }

    /// How many of `most` frames one may take.
    fn reserve(&self, most: u64) -> u64 {
        let left = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(most)));
        left.map_or(0, |left| left.min(most))
    }

    fn give_back(&self, frames: u64) {
        self.left.fetch_add(frames, Relaxed);
    }

    /// Says it once, whichever consumer notices it.
    fn tell(&self, text: String) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone()) {
            note(text);
        }
    }

    fn pass_on(&self, taken: Frames, frames: &[u8]) -> Result<(), Failure> {
        let Some(out) = self.out else { return Ok(()) };
        // One consumer's failure is everybody's: they would take frames that nobody gets.
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = out.frames(taken.lane, taken.first_position, frames);
        if written.is_err() {
            self.stop.raise();
        }
        written
    }
}
