//! Windows' part of sleeping: named events, since `WaitOnAddress` is for the threads of one process.
//!
//! Each sequence has four events, one for each remainder of its value by four. One who sleeps while it is `expected` sleeps on
//! that value's event, and is woken when the sequence has moved on from there; so all who sleep are woken by one call, and
//! there is no limit to how many they are. Whoever notifies sets the events of the two values before, and clears that of the
//! value after, which was set turns ago. A notifier that was stopped in between may set an event too late: one who finds
//! the sequence unchanged clears it. At worst a wake-up is lost, which costs a slice.
//!
//! A sequence in a segment is found by where the segment is mapped ([`Place`]), and its events have the segment's name and its
//! offset there. Others are of this process alone, and so are their events.

#![allow(unsafe_code)]

use crate::shm::system::{self, NamedEvent};
use crate::sync::Ordering::SeqCst;
use crate::sync::{Address, EventWord};
use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps while the sequence is `expected`, for `longest` at most. Comes back for any reason or none.
pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
    if longest.is_zero() || word.value(SeqCst) != expected {
        return;
    }
    let Some(events) = table().events(word.address()) else {
        return std::thread::sleep(longest.min(NAP));
    };
    let event = events.of(expected);
    if system::wait_for_any(&[event], longest) && word.value(SeqCst) == expected {
        event.clear(); // set too late, by one who was stopped
    }
}

/// As [`sleep`], on any of several words. They may be gone when it is called: then it does not sleep. On as many as the
/// system lets it; if there are more it looks again after `if_refused`.
pub(crate) fn sleep_on_any(words: &[(Address, u32)], longest: Duration, if_refused: Duration) {
    if longest.is_zero() {
        return;
    }
    let mut events = Vec::with_capacity(words.len());
    {
        let mut table = table();
        for &(address, expected) in words {
            match table.events(address) {
                Some(found) if table.value(address).is_none_or(|value| value == expected) => {
                    events.push((found, expected))
                }
                _ => return,
            }
        }
    }
    let handles: Vec<&NamedEvent> =
        events.iter().take(system::MOST_EVENTS).map(|(of, expected)| of.of(*expected)).collect();
    let longest = if handles.len() < events.len() { longest.min(if_refused) } else { longest };
    if handles.is_empty() {
        std::thread::sleep(longest);
    } else if system::wait_for_any(&handles, longest) {
        let mut table = table();
        for (&(address, expected), event) in words.iter().zip(handles) {
            if table.value(address) == Some(expected) {
                event.clear();
            }
        }
    }
}

pub(crate) fn wake_all(word: &EventWord) {
    let events = table().events(word.address());
    if let Some(events) = events {
        let value = word.value(SeqCst);
        events.of(value.wrapping_add(1)).clear();
        events.of(value.wrapping_sub(1)).set();
        events.of(value.wrapping_sub(2)).set(); // two may have moved it on before either came here
    }
}

/// Nobody can be woken alone: all are, and those who find nothing sleep again.
pub(crate) fn wake_one(word: &EventWord) {
    wake_all(word);
}

/// Notifiers fence themselves.
pub(crate) fn register_membarrier() -> bool {
    false
}

/// All of them do: there is nothing left to do for them.
pub(crate) fn membarrier() -> bool {
    true
}

/// How late one notices whose event cannot be had.
const NAP: Duration = Duration::from_millis(1);

/// The events of a sequence.
#[derive(Debug)]
struct Events([NamedEvent; 4]);

impl Events {
    /// Under `name`, or of this process alone.
    fn open(name: Option<&str>) -> Option<Arc<Self>> {
        let one = |turn: u32| NamedEvent::open(name.map(|name| format!("{name}.{turn}")).as_deref()).ok();
        Some(Arc::new(Self([one(0)?, one(1)?, one(2)?, one(3)?])))
    }

    /// Those who sleep while the sequence is `value` sleep on this.
    fn of(&self, value: u32) -> &NamedEvent {
        &self.0[value as usize % 4]
    }
}

/// Where this process has what sequences lie in.
#[derive(Debug)]
struct Table {
    /// By their first address: the rest of it, and the name.
    places: BTreeMap<Address, (Range<Address>, Arc<str>)>,
    events: BTreeMap<Address, Arc<Events>>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { places: BTreeMap::new(), events: BTreeMap::new() });

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn place(&self, address: Address) -> Option<&(Range<Address>, Arc<str>)> {
        self.places
            .range(..=address)
            .next_back()
            .map(|(_, place)| place)
            .filter(|place| place.0.contains(&address))
    }

    /// The events of the sequence at `address`; `None` if the system has no more.
    fn events(&mut self, address: Address) -> Option<Arc<Events>> {
        let name = self.place(address).map(|(range, name)| format!("{name}.{:x}", address - range.start));
        match self.events.entry(address) {
            Entry::Occupied(found) => Some(Arc::clone(found.get())),
            Entry::Vacant(free) => Some(Arc::clone(free.insert(Events::open(name.as_deref())?))),
        }
    }

    /// Lets go of the events of all sequences in `range`.
    fn forget(&mut self, range: &Range<Address>) {
        let beyond = self.events.split_off(&range.start);
        self.events.extend(beyond.into_iter().filter(|(address, _)| !range.contains(address)));
    }

    /// The sequence at `address`, if it lies in a segment that is mapped.
    fn value(&mut self, address: Address) -> Option<u32> {
        self.place(address)?;
        // SAFETY: an address of a sequence in a segment, which stays mapped for as long as it is in the table, and so until
        // this returns.
        Some(unsafe { &*core::ptr::with_exposed_provenance::<EventWord>(address) }.value(SeqCst))
    }
}

/// Says what is mapped at some addresses, for as long as it exists. To be dropped before that is unmapped.
#[derive(Debug)]
pub(crate) struct Place(Range<Address>);

impl Place {
    /// `bytes` from `base` on, whose events begin with `name`.
    pub(crate) fn new(base: core::ptr::NonNull<u8>, bytes: usize, name: &str) -> Self {
        let base = base.as_ptr().expose_provenance();
        let range = base..base + bytes;
        let mut table = table();
        table.forget(&range); // of what was there before, and is this process's own
        table.places.insert(base, (range.clone(), name.into()));
        Self(range)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = table();
        table.places.remove(&self.0.start);
        table.forget(&self.0);
    }
}
