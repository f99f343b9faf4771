//! C++ rivals, compiled where their headers are installed, reached through a table of functions: a call costs a ns or two a frame,
//! which inlined C++ would not pay, and which nothing here but the smallest elements one at a time would notice.
//!
//! - [`Spsc`]: Boost.Lockfree `spsc_queue` of a fixed capacity in a Boost.Interprocess `mapped_region`, between two processes;
//!   large frames are looked at in place. It knows neither names nor peers, keeps no history, and cannot sleep.
//! - [`Messages`]: Boost.Interprocess `message_queue`, any number of processes on both sides, a mutex and two conditions; who is
//!   killed inside takes the mutex along. It copies twice, keeps no history, and gives each message to one receiver.
//! - [`Pair`], [`Many`]: moodycamel's `ReaderWriterQueue` and `ConcurrentQueue` (with tokens), on threads of one process, which
//!   they cannot leave.

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, unique};
use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;

type Made = *mut c_void;
type End = *mut c_void;

#[repr(C)]
struct Table {
    make: unsafe extern "C" fn(*const c_char, usize) -> Made,
    unmake: unsafe extern "C" fn(Made, *const c_char),
    tx: unsafe extern "C" fn(Made, *const c_char) -> End,
    drop_tx: unsafe extern "C" fn(End),
    rx: unsafe extern "C" fn(Made, *const c_char) -> End,
    drop_rx: unsafe extern "C" fn(End),
    push: unsafe extern "C" fn(End, *const u64) -> bool,
    push_all: Option<unsafe extern "C" fn(End, *const u64, usize) -> bool>,
    pop: unsafe extern "C" fn(End, *mut u64, usize) -> usize,
    next: Option<unsafe extern "C" fn(End, bool) -> *const u64>,
    wait: Option<unsafe extern "C" fn(End, *mut u64)>,
}

unsafe extern "C" {
    #[cfg(boost)]
    safe fn boost_spsc(words: usize, capacity: usize) -> *const Table;
    #[cfg(boost)]
    safe fn boost_messages(words: usize, capacity: usize) -> *const Table;
    #[cfg(boost)]
    safe fn boost_version() -> *const c_char;
    #[cfg(moodycamel)]
    safe fn moodycamel_pair(words: usize, capacity: usize) -> *const Table;
    #[cfg(moodycamel)]
    safe fn moodycamel_many(words: usize, capacity: usize) -> *const Table;
}

/// The version of Boost's headers.
#[cfg(boost)]
pub fn version() -> String {
    // SAFETY: a constant string.
    unsafe { std::ffi::CStr::from_ptr(boost_version()) }.to_string_lossy().replace('_', ".")
}

/// Which of them.
pub trait Which: Sync {
    const PLACE: Place;
    #[doc(hidden)]
    fn table(words: usize, capacity: usize) -> *const c_void;
}

macro_rules! rivals {
    ($($(#[$cfg:meta])* $which:ident, $name:ident, $place:ident, $table:ident;)*) => {$(
        $(#[$cfg])*
        pub struct $which;

        $(#[$cfg])*
        impl Which for $which {
            const PLACE: Place = Place::$place;

            fn table(words: usize, capacity: usize) -> *const c_void {
                $table(words, capacity).cast()
            }
        }

        $(#[$cfg])*
        pub type $name<const N: usize> = Foreign<N, $which>;
    )*};
}

rivals! {
    #[cfg(boost)] BoostSpsc, Spsc, Process, boost_spsc;
    #[cfg(boost)] BoostMessages, Messages, Process, boost_messages;
    #[cfg(moodycamel)] MoodycamelPair, Pair, Thread, moodycamel_pair;
    #[cfg(moodycamel)] MoodycamelMany, Many, Thread, moodycamel_many;
}

pub struct Foreign<const N: usize, W> {
    table: &'static Table,
    made: Made,
    name: CString,
    which: PhantomData<W>,
}

// SAFETY: what was made is only handed to `tx` and `rx`, which any thread may call.
unsafe impl<const N: usize, W> Sync for Foreign<N, W> {}

impl<const N: usize, W: Which> Link<N> for Foreign<N, W> {
    const PLACE: Place = W::PLACE;
    type Tx = ForeignTx<N>;
    type Rx = ForeignRx<N>;

    fn new(capacity: usize) -> Self {
        // SAFETY: null or a table that lasts for ever.
        let table = unsafe { W::table(N, capacity).cast::<Table>().as_ref() };
        let table = table.expect("a size of frame and a capacity that were compiled");
        let name = CString::new(unique("cpp")).expect("a name");
        // SAFETY: a name, and a capacity.
        let made = unsafe { (table.make)(name.as_ptr(), capacity) };
        Self { table, made, name, which: PhantomData }
    }

    fn tx(&self) -> ForeignTx<N> {
        // SAFETY: made by this table.
        ForeignTx { table: self.table, end: unsafe { (self.table.tx)(self.made, self.name.as_ptr()) } }
    }

    fn rx(&self) -> ForeignRx<N> {
        // SAFETY: made by this table.
        let end = unsafe { (self.table.rx)(self.made, self.name.as_ptr()) };
        ForeignRx { table: self.table, end, block: Vec::new(), shown: false }
    }
}

impl<const N: usize, W> Drop for Foreign<N, W> {
    fn drop(&mut self) {
        // SAFETY: made by this table, and its ends are gone, or in other processes.
        unsafe { (self.table.unmake)(self.made, self.name.as_ptr()) };
    }
}

pub struct ForeignTx<const N: usize> {
    table: &'static Table,
    end: End,
}

impl<const N: usize> Tx<N> for ForeignTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        // SAFETY: an end of this table's, used by this side alone, and a frame of its size.
        unsafe { (self.table.push)(self.end, frame.as_ptr()) }
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let push_all = self.table.push_all.expect("a queue that takes several");
        // SAFETY: as above.
        unsafe { push_all(self.end, frames.as_flattened().as_ptr(), frames.len()) }
    }
}

impl<const N: usize> Drop for ForeignTx<N> {
    fn drop(&mut self) {
        // SAFETY: an end of this table's.
        unsafe { (self.table.drop_tx)(self.end) };
    }
}

pub struct ForeignRx<const N: usize> {
    table: &'static Table,
    end: End,
    block: Vec<Frame<N>>,
    /// A frame was shown in place and not given back.
    shown: bool,
}

impl<const N: usize> ForeignRx<N> {
    /// Smaller frames are cheaper copied out than called for one by one.
    const IN_PLACE: bool = N > 8;

    #[inline(always)]
    fn block(&mut self, frames: usize) -> *mut u64 {
        if self.block.len() < frames {
            self.block.resize(frames, [0; N]);
        }
        self.block.as_flattened_mut().as_mut_ptr()
    }
}

impl<const N: usize> Rx<N> for ForeignRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        if Self::IN_PLACE
            && let Some(next) = self.table.next
        {
            for taken in 0..most {
                // SAFETY: an end of this table's, used by this side alone; what it shows stays until it is given back.
                let Some(frame) = (unsafe { next(self.end, self.shown).cast::<Frame<N>>().as_ref() }) else {
                    self.shown = false;
                    return taken;
                };
                look(frame);
                self.shown = true;
            }
            return most;
        }
        let block = self.block(most);
        // SAFETY: an end of this table's, used by this side alone, and room for so many.
        let taken = unsafe { (self.table.pop)(self.end, block, most) };
        self.block[..taken].iter().for_each(look);
        taken
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        let wait = self.table.wait.expect("a queue that can wait");
        let block = self.block(1);
        // SAFETY: as above.
        unsafe { wait(self.end, block) };
        look(&self.block[0]);
    }
}

impl<const N: usize> Drop for ForeignRx<N> {
    fn drop(&mut self) {
        // SAFETY: an end of this table's.
        unsafe { (self.table.drop_rx)(self.end) };
    }
}
