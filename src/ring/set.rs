//! Waiting for any of many readers, in one sleep. The loop and the edges are those of [`wait`](crate::wait).

use super::{Peers, Told, data_event, look, target};
use crate::lane::readable;
use crate::segment::Lane;
use crate::wait::{Armed, Sleeper, Words};
use core::time::Duration;

/// A reader, as who waits for many sees it. To look at it changes nothing that a read would tell.
pub(crate) trait Waiter {
    /// Whether there is something to do: a read would give frames or a verdict.
    fn look(&mut self) -> bool;

    /// The same, of what no notifier tells. What it finds is said by the next read.
    fn each_slice(&mut self) -> bool;

    /// Whether a read would give frames, if only fewer than are waited for.
    fn has_some(&self) -> bool;

    /// Arms at each lane that it waits for.
    fn arm(&mut self, words: &mut Words);
}

/// A reader's wait for `frames`, as one of many.
#[derive(Debug)]
pub(crate) struct Awaiting<'a> {
    pub(super) lane: &'a Lane,
    pub(super) told: &'a mut Told,
    pub(super) position: u64,
    pub(super) frames: u64,
    pub(super) peers: &'a dyn Peers,
}

impl Waiter for Awaiting<'_> {
    fn look(&mut self) -> bool {
        self.told.noticed.is_some()
            || look(self.lane, self.position, target(self.position, self.frames)).is_some()
    }

    fn each_slice(&mut self) -> bool {
        self.told.notice(self.lane, self.peers) || self.look()
    }

    fn has_some(&self) -> bool {
        readable(self.lane) > self.position
    }

    fn arm(&mut self, words: &mut Words) {
        let (pause, due) = (self.lane.polling_pause(self.frames), self.lane.due(self.frames));
        words.arm(data_event(self.lane), target(self.position, self.frames), pause, due);
    }
}

/// A reader's wait as it is now, apart from the reader: for one who waits in its place. What it notices it keeps to
/// itself.
#[derive(Debug)]
pub(crate) struct Detached<P> {
    pub(super) lane: Lane,
    pub(super) told: Told,
    pub(super) position: u64,
    pub(super) frames: u64,
    pub(super) peers: P,
}

impl<P: Peers> Detached<P> {
    fn awaiting(&mut self) -> Awaiting<'_> {
        let Self { lane, told, position, frames, peers } = self;
        Awaiting { lane, told, position: *position, frames: *frames, peers }
    }
}

impl<P: Peers> Waiter for Detached<P> {
    fn look(&mut self) -> bool {
        self.awaiting().look()
    }

    fn each_slice(&mut self) -> bool {
        self.awaiting().each_slice()
    }

    fn has_some(&self) -> bool {
        readable(&self.lane) > self.position
    }

    fn arm(&mut self, words: &mut Words) {
        self.awaiting().arm(words);
    }
}

/// One who waits for any of `items`, each of which shows its [`Waiter`] by `show`. Found are those that are ready,
/// by their index.
pub(crate) struct Any<'a, I, S> {
    pub(crate) items: &'a mut [I],
    pub(crate) show: S,
    pub(crate) words: &'a mut Words,
    pub(crate) ready: &'a mut Vec<usize>,
}

impl<I, S: Fn(&mut I, &mut dyn FnMut(&mut dyn Waiter))> Any<'_, I, S> {
    fn choose(&mut self, mut chosen: impl FnMut(&mut dyn Waiter) -> bool) -> Option<()> {
        self.ready.clear();
        for (index, item) in self.items.iter_mut().enumerate() {
            (self.show)(item, &mut |waiter| {
                if chosen(waiter) {
                    self.ready.push(index);
                }
            });
        }
        (!self.ready.is_empty()).then_some(())
    }

    /// After a wait in vain: those that have something, if only less than they wait for.
    pub(crate) fn choose_some(&mut self) -> Option<()> {
        self.choose(|waiter| waiter.has_some())
    }
}

impl<I, S: Fn(&mut I, &mut dyn FnMut(&mut dyn Waiter))> Sleeper for Any<'_, I, S> {
    type Found = ();

    fn look(&mut self) -> Option<()> {
        self.choose(|waiter| waiter.look())
    }

    fn each_slice(&mut self) -> Option<()> {
        self.choose(|waiter| waiter.each_slice())
    }

    fn arm(&mut self) -> Armed {
        self.words.begin();
        for item in &mut *self.items {
            (self.show)(item, &mut |waiter| waiter.arm(self.words));
        }
        self.words.end()
    }

    fn sleep(&mut self, longest: Duration) {
        self.words.sleep(longest);
    }
}
