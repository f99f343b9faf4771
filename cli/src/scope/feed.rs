//! From the stream to the columns of the picture, and what has become of the producer.

use super::columns::{Columns, Missing};
use super::traces::Signal;
use crate::failure::Failure;
use crate::names::Stream;
use crate::source;
use annulus::{Error, Observer, ProducerState, ReadError, Start};
use std::ops::Range;
use std::time::Instant;

/// Read at most about this much at a time: it stays in the processor's cache.
const BLOCK: usize = 256 << 10;

/// Restarts that are remembered: there are not more in a picture.
const RESTARTS: usize = 256;

/// Who pushes into the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Producer {
    Is(ProducerState),
    /// The stream has no name any more.
    Replaced,
}

/// An observer's way through the stream: along with the producer, or back through what is retained.
#[derive(Debug)]
pub(crate) struct Feed {
    observer: Observer<u8>,
    room: Vec<u8>,
    producer: Producer,
    /// Positions where another producer carried on, and how many producers there had been with the last one.
    restarts: Vec<u64>,
    epoch: u64,
    /// Up to where frames were read, or there when nobody followed. Only what comes later can be lost.
    seen: u64,
    lost: u64,
}

impl Feed {
    pub(crate) fn new(observer: Observer<u8>) -> Self {
        let producer = Producer::Is(observer.producer());
        let epoch = observer.epoch();
        let mut feed =
            Self { observer, room: Vec::new(), producer, restarts: Vec::new(), epoch, seen: 0, lost: 0 };
        feed.seen = feed.retained().end;
        feed
    }

    pub(crate) fn signal(&self) -> Result<Signal, String> {
        Signal::of(self.observer.info())
    }

    /// Positions where another producer carried on.
    pub(crate) fn restarts(&self) -> &[u64] {
        &self.restarts
    }

    /// How many producers the stream has had.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Frames that were overwritten while we followed and before they were read.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn producer(&self) -> Producer {
        self.producer
    }

    /// Positions from the oldest that is retained to behind the newest.
    pub(crate) fn retained(&mut self) -> Range<u64> {
        self.observer.seek(Start::Oldest);
        let oldest = self.observer.position();
        oldest..oldest + self.observer.available()
    }

    /// The same without the oldest frames, if they are being overwritten just now: reading them would come too late.
    pub(crate) fn readable(&mut self) -> Range<u64> {
        let Range { start, end } = self.retained();
        let moving = start > 0 && matches!(self.producer, Producer::Is(ProducerState::Live { .. }));
        let edge = if moving { self.observer.info().capacity / 64 } else { 0 };
        (start + edge).min(end)..end
    }

    /// Nobody follows: what is overwritten from here on without being read is no loss.
    pub(crate) fn rest(&mut self) {
        self.seen = self.retained().end;
    }

    /// Reads what a picture of `wanted` still lacks, as far as it is there and as time allows.
    pub(crate) fn fill(
        &mut self,
        columns: &mut Columns,
        wanted: &Range<u64>,
        until: Instant,
    ) -> Result<(), Failure> {
        let most = (BLOCK / self.observer.info().frame_bytes).max(1) as u64;
        while let Some(next) = columns.next(wanted, most) {
            if !self.take(columns, next)? || Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// Reads these frames, or finds that they are gone. False: they are not there yet.
    fn take(&mut self, columns: &mut Columns, wanted: Range<u64>) -> Result<bool, Failure> {
        let backwards = wanted.end == columns.known().start && !columns.known().is_empty();
        let floor = self.readable().start.clamp(wanted.start, wanted.end);
        if floor > wanted.start && backwards {
            // From right to left: first those that are there.
            if floor < wanted.end {
                return self.take_retained(columns, floor..wanted.end);
            }
            self.miss(columns, wanted);
            return Ok(true);
        }
        self.miss(columns, wanted.start..floor);
        Ok(floor == wanted.end || self.take_retained(columns, floor..wanted.end)?)
    }

    fn take_retained(&mut self, columns: &mut Columns, wanted: Range<u64>) -> Result<bool, Failure> {
        let frame = self.observer.info().frame_bytes;
        self.room.resize((wanted.end - wanted.start) as usize * frame, 0);
        self.observer.seek(Start::Position(wanted.start));
        let backwards = wanted.end == columns.known().start && !columns.known().is_empty();
        let (first, end) = match self.observer.try_read(&mut self.room) {
            Ok(frames) => {
                if let Some(restart) = frames.restarted {
                    self.restart(restart.position, restart.epoch);
                }
                (frames.first_position, frames.first_position + frames.frames as u64)
            }
            Err(ReadError::Lapped { .. }) => (self.observer.position(), self.observer.position()),
            Err(ReadError::Empty | ReadError::Ended { .. } | ReadError::Replaced) => return Ok(false),
            Err(error) => return Err(self.failure(error)),
        };
        let (first, end) = (first.min(wanted.end), end.min(wanted.end));
        let bytes = (end - first) as usize * frame;
        if backwards {
            // A block that ends before it meets what is known comes from a producer that overtook us.
            if end == wanted.end {
                columns.add(first, &self.room[..bytes]);
            }
            self.miss(columns, wanted.start..columns.known().start);
        } else {
            self.miss(columns, wanted.start..first);
            columns.add(first, &self.room[..bytes]);
            self.seen = self.seen.max(end);
        }
        Ok(true)
    }

    /// These frames are gone. They are lost if that happened while we followed.
    fn miss(&mut self, columns: &mut Columns, gone: Range<u64>) {
        let followed = self.seen.clamp(gone.start, gone.end);
        self.seen = self.seen.max(gone.end);
        self.lost += gone.end - followed;
        columns.miss(gone.start..followed, Missing::Overwritten);
        columns.miss(followed..gone.end, Missing::Lost);
    }

    fn restart(&mut self, position: u64, epoch: u64) {
        self.epoch = epoch;
        self.restarts.push(position);
        let old = self.restarts.len().saturating_sub(RESTARTS);
        self.restarts.drain(..old);
    }

    /// Looks what the producer does, also when nobody wants its frames.
    pub(crate) fn look(&mut self) -> Result<Producer, Failure> {
        self.observer.seek(Start::Now);
        self.room.resize(self.observer.info().frame_bytes, 0);
        self.producer = match self.observer.try_read(&mut self.room) {
            Err(ReadError::Replaced) => Producer::Replaced,
            Err(ReadError::Empty | ReadError::Ended { .. } | ReadError::Lapped { .. }) => {
                Producer::Is(self.observer.producer())
            }
            Ok(frames) => {
                if let Some(restart) = frames.restarted {
                    self.restart(restart.position, restart.epoch);
                }
                Producer::Is(self.observer.producer())
            }
            Err(error) => return Err(self.failure(error)),
        };
        Ok(self.producer)
    }

    /// The stream that has this one's name now, if it is another one.
    pub(crate) fn successor(&self) -> Result<Option<Self>, Error> {
        let info = self.observer.info();
        let stream = Stream::named_as(info);
        match stream.open().status() {
            Ok(status) if status.info.instance != info.instance => {}
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        match source::observe(&stream, Start::Oldest, source::Lane::of(&self.observer)) {
            Ok((observer, _)) => Ok(Some(Self::new(observer))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn failure(&self, error: ReadError) -> Failure {
        Failure::Failed(format!("{}: {error}", self.observer.info().full_name()))
    }
}

#[cfg(test)]
mod tests;
