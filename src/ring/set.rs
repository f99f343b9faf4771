//! Waiting for any of many readers, in one sleep. The loop and the edges are those of [`wait`](crate::wait).

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
    fn arm(&self, words: &mut Words);
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
