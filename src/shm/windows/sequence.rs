//! The events of the sequences that processes sleep on.
//!
//! A sequence in a segment is found by where the segment is mapped ([`Place`]), and its events have the segment's name and its
//! offset there. Others are of this process alone, and so are their events.

#![allow(unsafe_code)]

use super::event::NamedEvent;
use crate::sync::Ordering::SeqCst;
use crate::sync::{Address, EventWord};
use core::ops::Range;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The events of the sequence at `address`; `None` if the system has no more.
pub(crate) fn events(address: Address) -> Option<Arc<Events>> {
    table().events(address)
}

/// The sequence at `address`, if it lies in a segment that is mapped.
pub(crate) fn value(address: Address) -> Option<u32> {
    table().value(address)
}

/// The events of a sequence.
#[derive(Debug)]
pub(crate) struct Events([NamedEvent; 4]);

impl Events {
    /// Under `name`, or of this process alone.
    fn open(name: Option<&str>) -> Option<Arc<Self>> {
        let one = |turn: u32| NamedEvent::open(name.map(|name| format!("{name}.{turn}")).as_deref()).ok();
        Some(Arc::new(Self([one(0)?, one(1)?, one(2)?, one(3)?])))
    }

    /// Those who sleep while the sequence is `value` sleep on this.
    pub(crate) fn of(&self, value: u32) -> &NamedEvent {
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

    fn value(&self, address: Address) -> Option<u32> {
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
    pub(crate) fn new(base: NonNull<u8>, bytes: usize, name: &str) -> Self {
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
