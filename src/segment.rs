//! From a mapping to a validated segment: the only place where bytes become structures.
//!
//! The geometry was checked once (`descriptor`) and is private memory here; nothing that a peer may store
//! later decides an address.

#![allow(unsafe_code)]

use crate::copy::Words;
use crate::descriptor::{Descriptor, Kind, Regions};
use crate::index::Geometry;
use crate::layout::{
    self, BreachWords, GatingLine, GroupLine, LaneBlock, Ledger, ProducerLine, ReaderLane, SeatEntry,
    SpaceLine, StateLine, StreamLine,
};
#[cfg(unix)]
use crate::shm::map::{Access, Reservation};
use crate::shm::region::Region;
#[cfg(windows)]
use crate::shm::section::Section;
use crate::shm::store::Store;
#[cfg(windows)]
use crate::shm::system::sequence::Place;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, EventWord};
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;
use core::time::Duration;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// What a handle may store, by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// A producer, a creator, one who retires: both controls and the data.
    Produce,
    /// A reader: the readers' control only. It cannot corrupt samples, positions or times.
    Read,
    /// A reader that copies all that it reads, as the one before it: the data need not be there twice.
    Observe,
    /// One who may only open the object for reading.
    Look,
}

#[derive(Debug)]
enum Backing {
    #[cfg(unix)]
    Mapped(Reservation),
    /// What can be had in one piece only.
    Attached(Region),
    #[cfg(test)]
    Heap(crate::shm::heap::Heap),
}

/// How often a handle has each lane's data in its mapping. An observer copies what it reads, run by run, and lends nothing.
fn copies(of: &Descriptor, rights: Rights) -> usize {
    match rights {
        Rights::Produce | Rights::Read if of.mirrored => 2,
        _ => 1,
    }
}

/// A mapped segment whose descriptor was checked.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Where those who sleep on its sequences, and wake others, find them. To be dropped first.
    #[cfg(windows)]
    _place: Option<Place>,
    backing: Backing,
    descriptor: Descriptor,
    geometry: Geometry,
    regions: Regions,
    rights: Rights,
}

impl Segment {
    /// Maps what `store` says of `file`, whose descriptor and size were checked.
    pub(crate) fn map(
        store: &Store,
        file: &File,
        descriptor: Descriptor,
        rights: Rights,
    ) -> io::Result<Arc<Self>> {
        let (geometry, regions) = Self::shape(&descriptor)?;
        #[cfg(windows)]
        let place;
        let backing = match store.attach(file, rights == Rights::Look)? {
            Some(region) => {
                #[cfg(windows)]
                {
                    place = Self::place(&region, &descriptor);
                }
                Self::restrict(region, &regions, rights)?
            }
            #[cfg(unix)]
            None => Self::piece_together(file, &descriptor, &regions, rights)?,
            #[cfg(windows)]
            None => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Arc::new(Self {
            #[cfg(windows)]
            _place: Some(place),
            backing,
            descriptor,
            geometry,
            regions,
            rights,
        }))
    }

    #[cfg(windows)]
    fn place(region: &Region, descriptor: &Descriptor) -> Place {
        let name = Section::name(&descriptor.instance, true);
        Place::new(region.base(), region.bytes(), &name)
    }

    /// Leaves of what is attached whole what `rights` allow to store to.
    fn restrict(region: Region, regions: &Regions, rights: Rights) -> io::Result<Backing> {
        let (producers, readers, data) =
            (regions.producers as usize, regions.readers as usize, regions.data as usize);
        let end = regions.total as usize;
        match rights {
            Rights::Look => {} // attached so
            Rights::Read | Rights::Observe => {
                region.protect(0..readers)?;
                region.protect(data..end)?;
            }
            Rights::Produce => region.protect(0..producers)?,
        }
        region.leave_out_of_dumps(data..end);
        Ok(Backing::Attached(region))
    }

    #[cfg(unix)]
    fn piece_together(
        file: &File,
        descriptor: &Descriptor,
        regions: &Regions,
        rights: Rights,
    ) -> io::Result<Backing> {
        let stride = descriptor.lane_stride as usize;
        let copies = copies(descriptor, rights);
        let (producers_at, readers_at, control) =
            (regions.producers as usize, regions.readers as usize, regions.data as usize);
        let data = stride * copies * descriptor.lanes as usize;
        let access = if rights == Rights::Produce { Access::ReadWrite } else { Access::Read };
        let mut space = Reservation::of(file, control + data, access)?;
        match rights {
            Rights::Produce => space.protect(0, producers_at, Access::Read)?,
            Rights::Read | Rights::Observe => {
                space.look(producers_at)?; // one fault for all control, while it is one mapping
                space.protect(readers_at, control - readers_at, Access::ReadWrite)?;
            }
            Rights::Look => {}
        }
        for lane in 0..descriptor.lanes as usize {
            for copy in 0..copies {
                let at = control + (lane * copies + copy) * stride;
                let offset = control + lane * stride;
                if at != offset {
                    space.place(at, file, offset as u64, stride, access)?; // else it lies there already
                }
            }
        }
        space.leave_out_of_dumps(control, data);
        Ok(Backing::Mapped(space))
    }

    /// A segment in this process's own memory, mapped once, initialised.
    #[cfg(test)]
    pub(crate) fn heap(descriptor: Descriptor) -> Arc<Self> {
        let bytes = descriptor.geometry().expect("a test's segment has a geometry").bytes();
        let lane_stride = bytes.next_multiple_of(descriptor.page_bytes.into());
        let descriptor = Descriptor { mirrored: false, lane_stride, ..descriptor };
        let (geometry, regions) = Self::shape(&descriptor).expect("a test's segment has a shape");
        let heap = crate::shm::heap::Heap::new(regions.total as usize);
        let segment = Self {
            #[cfg(windows)]
            _place: None,
            backing: Backing::Heap(heap),
            descriptor,
            geometry,
            regions,
            rights: Rights::Produce,
        };
        segment.initialise();
        Arc::new(segment)
    }

    fn shape(descriptor: &Descriptor) -> io::Result<(Geometry, Regions)> {
        match (descriptor.geometry(), descriptor.regions()) {
            (Some(geometry), Some(regions)) => Ok((geometry, regions)),
            _ => Err(io::Error::other("a segment without a shape")),
        }
    }

    /// Gives every word that does not begin as zero its value. Before the object has a name.
    pub(crate) fn initialise(&self) {
        self.state().state.store(layout::LIVE, Relaxed);
        for lane in 0..self.descriptor.lanes {
            self.lane_block(lane).line.end.store(layout::NONE, Relaxed);
            let readers = self.reader_lane(lane);
            readers.armed.armed.store(layout::NONE, Relaxed);
            readers.armed_group.armed.store(layout::NONE, Relaxed);
            readers.space.armed.store(layout::NONE, Relaxed);
        }
        for seat in 0..self.descriptor.lossless {
            self.gating(seat).cursor.store(layout::NONE, Relaxed);
        }
    }

    /// Makes what a producer of `lane` stores to present, so that its pushes take no page fault.
    pub(crate) fn populate(&self, lane: u32) -> io::Result<()> {
        let stride = self.descriptor.lane_stride as usize;
        let copies = copies(&self.descriptor, self.rights);
        let (producers, data) = (self.regions.producers as usize, self.regions.data as usize);
        let data_at = data + lane as usize * copies * stride;
        for (at, bytes) in [(producers, data - producers), (data_at, stride * copies)] {
            let populated = match &self.backing {
                #[cfg(unix)]
                Backing::Mapped(space) => space.populate(at, bytes)?,
                Backing::Attached(region) => region.populate(at..at + bytes)?,
                #[cfg(test)]
                Backing::Heap(_) => true,
            };
            if !populated {
                // Where the system has no way, touch each page with a store that changes nothing.
                for page in (at..at + bytes).step_by(self.descriptor.page_bytes as usize) {
                    self.at::<AtomicU64>(page).fetch_or(0, Relaxed);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    #[inline]
    fn base(&self) -> NonNull<u8> {
        match &self.backing {
            #[cfg(unix)]
            Backing::Mapped(space) => space.base(),
            Backing::Attached(region) => region.base(),
            #[cfg(test)]
            Backing::Heap(heap) => heap.base(),
        }
    }

    /// The structure of atomics at `offset`.
    #[inline]
    fn at<T: Shared>(&self, offset: usize) -> &T {
        assert!(offset.is_multiple_of(align_of::<T>()), "a structure of the segment is misaligned");
        // SAFETY: `offset` comes from the checked regions, or from a table index that the callers below hold
        // against the descriptor's counts, so the structure lies inside the mapping (at least
        // `regions.total` bytes, page-aligned). It is made of atomics only, so that other processes may
        // store to it; any bit pattern is a value of it. It lives as long as `self`, which owns the mapping.
        unsafe { self.base().add(offset).cast::<T>().as_ref() }
    }

    #[inline]
    pub(crate) fn stream(&self) -> &StreamLine {
        self.at(self.regions.producers as usize)
    }

    #[inline]
    pub(crate) fn lane_block(&self, lane: u32) -> &LaneBlock {
        assert!(lane < self.descriptor.lanes);
        self.at(self.regions.producers as usize + layout::LANE_BLOCKS + lane as usize * layout::LANE_BLOCK)
    }

    #[inline]
    pub(crate) fn state(&self) -> &StateLine {
        self.at(self.regions.readers as usize + layout::STATE)
    }

    #[inline]
    fn group(&self) -> &GroupLine {
        self.at(self.regions.readers as usize + layout::GROUP)
    }

    pub(crate) fn reader_lane(&self, lane: u32) -> &ReaderLane {
        assert!(lane < self.descriptor.lanes);
        self.at(self.regions.readers as usize + layout::READER_LANES + lane as usize * layout::READER_LANE)
    }

    /// The cursor of a lossless reader, who holds that seat of them.
    pub(crate) fn gating(&self, seat: u32) -> &GatingLine {
        assert!(seat < self.descriptor.lossless);
        self.at(self.gating_at() + seat as usize * layout::LINE)
    }

    /// Where the lossless readers' cursors begin.
    fn gating_at(&self) -> usize {
        let lanes = self.descriptor.lanes as usize * layout::READER_LANE;
        self.regions.readers as usize + layout::READER_LANES + lanes
    }

    #[inline]
    pub(crate) fn seat(&self, seat: u32) -> &SeatEntry {
        assert!(seat < self.descriptor.seats());
        let table = self.regions.readers + self.descriptor.seat_table();
        self.at(table as usize + seat as usize * layout::LINE)
    }

    /// One seat's entry, for its holder to keep.
    pub(crate) fn seat_place(self: &Arc<Self>, seat: u32, generation: u64) -> SeatPlace {
        SeatPlace { entry: NonNull::from(self.seat(seat)), generation, _segment: Arc::clone(self) }
    }

    /// One lane of it, for a handle to keep.
    pub(crate) fn lane(self: &Arc<Self>, lane: u32) -> Lane {
        let copies = copies(&self.descriptor, self.rights);
        let stride = self.descriptor.lane_stride as usize;
        let data = self.regions.data as usize + lane as usize * copies * stride;
        Lane {
            index: lane,
            geometry: self.geometry,
            word: self.descriptor.word_bytes(),
            eights: if self.descriptor.word_bytes() == 8 { self.geometry.bytes() as usize / 8 } else { 0 },
            mirrored: copies == 2,
            block: NonNull::from(self.lane_block(lane)),
            readers: NonNull::from(self.reader_lane(lane)),
            // SAFETY: the cursors, and behind them the seats, lie inside the mapping, by the checked regions.
            gating: unsafe { self.base().add(self.gating_at()).cast() },
            // SAFETY: the data of `lane` lies inside the mapping, by the checked regions.
            data: unsafe { self.base().add(data) },
            segment: Arc::clone(self),
        }
    }
}

/// One seat's entry of a segment, with its address at hand. Keeps the segment mapped.
pub(crate) struct SeatPlace {
    entry: NonNull<SeatEntry>,
    /// How often the seat was taken by then.
    generation: u64,
    _segment: Arc<Segment>,
}

// SAFETY: as for `Lane`; and an entry is made of atomics.
unsafe impl Send for SeatPlace {}
// SAFETY: as above.
unsafe impl Sync for SeatPlace {}

impl SeatPlace {
    /// Whether nobody has taken the seat since: that can be if the lock's descriptor was closed under us.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        (**self).generation.load(Relaxed) == self.generation
    }
}

impl Deref for SeatPlace {
    type Target = SeatEntry;

    #[inline]
    fn deref(&self) -> &SeatEntry {
        // SAFETY: the address came from a reference into the segment's mapping, which `self` keeps alive.
        unsafe { self.entry.as_ref() }
    }
}

impl fmt::Debug for SeatPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeatPlace").finish_non_exhaustive()
    }
}

/// Structures that may be seen through a mapping: atomics only, any bytes are a value.
trait Shared {}
impl Shared for StreamLine {}
impl Shared for LaneBlock {}
impl Shared for StateLine {}
impl Shared for GroupLine {}
impl Shared for ReaderLane {}
impl Shared for GatingLine {}
impl Shared for SeatEntry {}
impl Shared for AtomicU64 {}

/// One lane of a segment, with its addresses at hand. Keeps the segment mapped.
pub(crate) struct Lane {
    index: u32,
    geometry: Geometry,
    word: u32,
    /// Words of 8 bytes.
    eights: usize,
    mirrored: bool,
    block: NonNull<LaneBlock>,
    readers: NonNull<ReaderLane>,
    gating: NonNull<GatingLine>,
    data: NonNull<u8>,
    segment: Arc<Segment>,
}

// SAFETY: the addresses lead into the mapping that `segment` owns and that any thread may use; nothing in a
// lane belongs to the thread that made it. (It is not Sync: a handle has one user at a time.)
unsafe impl Send for Lane {}

impl Lane {
    /// Which one of the segment's lanes.
    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    #[inline]
    fn block(&self) -> &LaneBlock {
        // SAFETY: the address came from a reference into `segment`'s mapping, which `self` keeps alive.
        unsafe { self.block.as_ref() }
    }

    #[inline]
    fn readers(&self) -> &ReaderLane {
        // SAFETY: as in `block`.
        unsafe { self.readers.as_ref() }
    }

    #[inline]
    pub(crate) fn producer(&self) -> &ProducerLine {
        &self.block().line
    }

    #[inline]
    pub(crate) fn head(&self) -> &AtomicU64 {
        &self.readers().head.head
    }

    /// The cursors of lossless readers.
    #[inline]
    pub(crate) fn gating(&self) -> &[GatingLine] {
        let seats = self.segment.descriptor.lossless as usize;
        // SAFETY: so many lines of atomics lie in a row there (`Segment::lane`), in the mapping that `self` keeps alive.
        unsafe { slice::from_raw_parts(self.gating.as_ptr(), seats) }
    }

    /// The number of the producer whose lane it is.
    #[inline]
    pub(crate) fn owner(&self) -> &AtomicU64 {
        &self.block().owner
    }

    #[inline]
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.block().ledger
    }

    #[inline]
    pub(crate) fn breaches(&self) -> &BreachWords {
        &self.block().breaches
    }

    /// The smallest position that a sleeping reader waits for.
    #[inline]
    pub(crate) fn armed(&self) -> &AtomicU64 {
        &self.readers().armed.armed
    }

    /// The smallest position that a sleeping member of the consuming group waits for.
    #[inline]
    pub(crate) fn armed_group(&self) -> &AtomicU64 {
        &self.readers().armed_group.armed
    }

    /// What the consuming group sleeps on, whichever lane it waits for.
    #[inline]
    pub(crate) fn group_event(&self) -> &EventWord {
        &self.segment.group().data
    }

    /// Whether a group consumes it.
    pub(crate) fn is_shared(&self) -> bool {
        self.segment.descriptor.kind == Kind::Mpmc
    }

    /// Where the lane's producer waits for space.
    #[inline]
    pub(crate) fn space(&self) -> &SpaceLine {
        &self.readers().space
    }

    /// What readers sleep on.
    #[inline]
    pub(crate) fn data_event(&self) -> &EventWord {
        &self.segment.stream().data
    }

    #[inline]
    pub(crate) fn state(&self) -> &AtomicU64 {
        &self.segment.state().state
    }

    /// How long one who waits for `frames` and may not arm a wake-up pauses between looks: until they are
    /// due. `None`: it may.
    pub(crate) fn polling_pause(&self, frames: u64) -> Option<Duration> {
        (self.segment.rights == Rights::Look).then(|| self.due(frames))
    }

    /// How soon `frames` are due, for one who must look again for them.
    pub(crate) fn due(&self, frames: u64) -> Duration {
        let rate = self.segment.descriptor.rate;
        let due = if rate > 0.0 { frames as f64 / rate } else { 0.0 };
        Duration::from_secs_f64(due.clamp(0.0005, 0.05))
    }

    /// The lane's data as words.
    #[inline]
    pub(crate) fn words(&self) -> Words<'_> {
        let bytes = self.geometry.bytes() as usize;
        // SAFETY: for all four, the lane's `bytes` bytes lie inside the mapping that `self` keeps alive, on a
        // page boundary, and are a multiple of the word (the word divides the frame). Everybody, in every
        // process, stores to them through atomics of this one size; `lend` and `lend_mut` say when not.
        unsafe {
            match self.word {
                8 => Words::Eight(slice::from_raw_parts(self.data.cast::<AtomicU64>().as_ptr(), bytes / 8)),
                4 => Words::Four(slice::from_raw_parts(self.data.cast::<AtomicU32>().as_ptr(), bytes / 4)),
                2 => Words::Two(slice::from_raw_parts(self.data.cast::<AtomicU16>().as_ptr(), bytes / 2)),
                _ => Words::One(slice::from_raw_parts(self.data.cast::<AtomicU8>().as_ptr(), bytes)),
            }
        }
    }

    /// The same where the words are of 8 bytes; else none.
    #[inline]
    pub(crate) fn eights(&self) -> &[AtomicU64] {
        // SAFETY: as in `words`, if there are any.
        unsafe { slice::from_raw_parts(self.data.cast::<AtomicU64>().as_ptr(), self.eights) }
    }

    /// How a run of at most the whole lane lies in the mapping: in one part where the lane is mapped twice.
    fn run(&self, offset: u64, bytes: u64) -> (usize, usize) {
        assert!(offset < self.geometry.bytes() && bytes <= self.geometry.bytes());
        let (first, rest) = if self.mirrored { (bytes, 0) } else { self.geometry.split(offset, bytes) };
        (first as usize, rest as usize)
    }

    /// A run of the data in place.
    ///
    /// # Safety
    /// Nobody stores to the run while the slices live.
    pub(crate) unsafe fn lend(&self, offset: u64, bytes: u64) -> (&[u8], &[u8]) {
        let (first, rest) = self.run(offset, bytes);
        // SAFETY: the run lies inside the lane, or inside its second mapping right behind it; the caller
        // answers for there being no stores.
        unsafe {
            let start = self.data.add(offset as usize).as_ptr();
            (slice::from_raw_parts(start, first), slice::from_raw_parts(self.data.as_ptr(), rest))
        }
    }

    /// A run of the data in place, to be filled.
    ///
    /// # Safety
    /// Nobody loads from or stores to the run while the slices live.
    pub(crate) unsafe fn lend_mut(&mut self, offset: u64, bytes: u64) -> (&mut [u8], &mut [u8]) {
        let (first, rest) = self.run(offset, bytes);
        // SAFETY: as in `lend`; the two slices do not overlap, since the run is no longer than the lane.
        unsafe {
            let start = self.data.add(offset as usize).as_ptr();
            (slice::from_raw_parts_mut(start, first), slice::from_raw_parts_mut(self.data.as_ptr(), rest))
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("geometry", &self.geometry).finish_non_exhaustive()
    }
}
