//! The bytes: where everything lies in a segment, and nothing else. `docs/layout.md` says who stores what.
//!
//! `[descriptor][producers' control][readers' control][data of lane 0][data of lane 1]...`, each region on a
//! page of its own. Fixed-width little-endian integers; a line is 128 bytes (two cache lines of 64: adjacent
//! lines are fetched in pairs). The descriptor is written once, before the object has a name; the structures
//! below are atomics, because several processes load and store them for as long as the object lives.

#![allow(dead_code, reason = "all bytes are named, those too that nothing here stores yet")]

use crate::sync::{AtomicU32, AtomicU64, EventWord};

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("annulus needs a 64-bit little-endian target: its positions and words are shared as they are");

/// First eight bytes of every segment: "annulus" and a zero.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"annulus\0");

/// How everything begins that is a stream's.
pub(crate) const OURS: &[u8; 7] = b"annulus";
/// The layout that this build writes and reads. It is in the object's name too, so builds never meet.
pub(crate) const LAYOUT: u32 = 1;
/// Bytes in a line.
pub(crate) const LINE: usize = 128;

/// Where the descriptor's fields lie: bytes from its start. Strings are (offset, length) pairs of `u32`,
/// counted from the start of the descriptor, UTF-8, without a terminator.
pub(crate) mod descriptor {
    pub(crate) const MAGIC: usize = 0x000;
    pub(crate) const LAYOUT: usize = 0x008;
    /// CRC-32C over the first `BYTES` bytes with these four taken as zero.
    pub(crate) const CRC: usize = 0x00C;
    /// Features that a reader may ignore.
    pub(crate) const COMPAT: usize = 0x010;
    /// Features that a reader must know, or refuse.
    pub(crate) const INCOMPAT: usize = 0x018;
    pub(crate) const TOTAL_BYTES: usize = 0x020;
    /// Bytes of the descriptor itself, tables and strings included.
    pub(crate) const BYTES: usize = 0x028;
    pub(crate) const PAGE_BYTES: usize = 0x030;
    pub(crate) const LINE_BYTES: usize = 0x034;
    pub(crate) const KIND: usize = 0x038;
    pub(crate) const LANES: usize = 0x03C;
    pub(crate) const FRAME_BYTES: usize = 0x040;
    pub(crate) const WORD_BYTES: usize = 0x044;
    pub(crate) const CAPACITY: usize = 0x048;
    pub(crate) const REQUESTED: usize = 0x050;
    pub(crate) const PRODUCERS_OFFSET: usize = 0x058;
    pub(crate) const READERS_OFFSET: usize = 0x060;
    pub(crate) const DATA_OFFSET: usize = 0x068;
    /// From one lane's data to the next's.
    pub(crate) const LANE_STRIDE: usize = 0x070;
    pub(crate) const CONSUMERS: usize = 0x078;
    pub(crate) const LOSSLESS: usize = 0x07C;
    pub(crate) const OBSERVERS: usize = 0x080;
    pub(crate) const FLAGS: usize = 0x084;
    /// The application's own format version: the `2` of `ecg@v2`.
    pub(crate) const FORMAT_VERSION: usize = 0x088;
    pub(crate) const SAMPLE_FORMAT: usize = 0x08C;
    pub(crate) const CHANNELS: usize = 0x090;
    pub(crate) const CHANNEL_BYTES: usize = 0x094;
    pub(crate) const CHANNELS_OFFSET: usize = 0x098;
    /// Nominal frames per second, `f64`; 0 = none.
    pub(crate) const RATE: usize = 0x0A0;
    /// UTC ns since 1970 of the first frame, `i64`; `i64::MIN` = not given.
    pub(crate) const START_TIME: usize = 0x0A8;
    pub(crate) const INSTANCE: usize = 0x0B0;
    pub(crate) const BOOT: usize = 0x0C0;
    pub(crate) const CREATED_MONOTONIC: usize = 0x0D0;
    pub(crate) const CREATED_UTC: usize = 0x0D8;
    pub(crate) const NAME: usize = 0x0E0;
    pub(crate) const DEVICE: usize = 0x0E8;
    pub(crate) const METADATA: usize = 0x0F0;
    pub(crate) const PROGRAM: usize = 0x0F8;
    /// Name of the stream that this one marks; without text: none.
    pub(crate) const MARKS: usize = 0x100;
    /// Up to here the fields are fixed; the channel table and the strings follow.
    pub(crate) const FIXED: usize = 0x200;

    /// Bits of `FLAGS`.
    pub(crate) const FLAG_MIRRORED: u32 = 1;
    pub(crate) const FLAG_KEEP: u32 = 2;
    pub(crate) const FLAG_UNOBSERVED: u32 = 4;
    /// At the limit of a lossless seat the producer gets `Full` instead of overwriting.
    pub(crate) const FLAG_LOSSLESS_FULL: u32 = 8;
    /// What this build knows to mean something.
    pub(crate) const FLAGS_KNOWN: u32 = FLAG_MIRRORED | FLAG_KEEP | FLAG_UNOBSERVED | FLAG_LOSSLESS_FULL;

    /// Bits of `INCOMPAT`. There are lossless seats: a producer that does not know of them would overwrite what they
    /// are to keep.
    pub(crate) const INCOMPAT_LOSSLESS: u64 = 2;
    /// What this build knows.
    pub(crate) const INCOMPAT_KNOWN: u64 = INCOMPAT_LOSSLESS;
}

/// One record of the channel table.
pub(crate) mod channel {
    pub(crate) const SCALE: usize = 0x00;
    pub(crate) const OFFSET: usize = 0x08;
    pub(crate) const PHYSICAL_MIN: usize = 0x10;
    pub(crate) const PHYSICAL_MAX: usize = 0x18;
    pub(crate) const DIGITAL_MIN: usize = 0x20;
    pub(crate) const DIGITAL_MAX: usize = 0x28;
    pub(crate) const SIGNIFICANT_BITS: usize = 0x30;
    pub(crate) const FLAGS: usize = 0x34;
    pub(crate) const LABEL: usize = 0x38;
    pub(crate) const UNIT: usize = 0x40;
    pub(crate) const KIND: usize = 0x48;
    pub(crate) const PREFILTER: usize = 0x50;
    pub(crate) const TRANSDUCER: usize = 0x58;
    pub(crate) const REFERENCE: usize = 0x60;
    pub(crate) const DESCRIPTION: usize = 0x68;
    pub(crate) const BYTES: usize = 0x80;

    /// Bits of `FLAGS`: which ranges were given.
    pub(crate) const HAS_PHYSICAL: u32 = 1;
    pub(crate) const HAS_DIGITAL: u32 = 2;
}

/// Head of the producers' control: the stream's data futex.
#[repr(C, align(128))]
pub(crate) struct StreamLine {
    pub(crate) data: EventWord,
}

/// What a producer publishes: a reader that loads `tail` has the rest in the same line.
#[repr(C, align(128))]
pub(crate) struct ProducerLine {
    pub(crate) tail: AtomicU64,
    pub(crate) intent: AtomicU64,
    /// How many producers there were; `u64::MAX` = removed by force.
    pub(crate) epoch: AtomicU64,
    /// Where the stream was finished; `u64::MAX` = not.
    pub(crate) end: AtomicU64,
    /// Position that may be reached without looking at the lossless cursors.
    pub(crate) limit: AtomicU64,
    /// Where the epoch began.
    pub(crate) epoch_start: AtomicU64,
}

/// Everything of one lane that its producer alone stores.
#[repr(C, align(128))]
pub(crate) struct LaneBlock {
    pub(crate) line: ProducerLine,
    pub(crate) pid: AtomicU64,
    /// Monotonic ns when the producer last said that it was there.
    pub(crate) seen_ns: AtomicU64,
    pub(crate) breaches: BreachWords,
    /// The same as the line's `epoch`, for the producer itself: readers that poll take its line away again and again, and to
    /// look there before each push would wait for that.
    pub(crate) owner: AtomicU64,
    pub(crate) clock: ClockLatch,
    pub(crate) ledger: Ledger,
}

/// What was overwritten although a lossless reader had not read it. Never reset.
#[repr(C)]
pub(crate) struct BreachWords {
    /// How often a reader was overtaken.
    pub(crate) times: AtomicU64,
    /// Frames that they lost by it, in all.
    pub(crate) frames: AtomicU64,
}

/// The sample clock: how often it was told; the slot that the lowest bit of that names is complete.
#[repr(C, align(128))]
pub(crate) struct ClockLatch {
    pub(crate) index: AtomicU64,
    pub(crate) slots: [ClockSlot; 2],
}

/// A record of the clock. `stream/clock.rs` says what its words are.
#[repr(C, align(64))]
pub(crate) struct ClockSlot {
    pub(crate) words: [AtomicU64; CLOCK_WORDS],
}

/// Words of a record. The models have as many as can be told apart.
pub(crate) const CLOCK_WORDS: usize = if cfg!(all(loom, test)) { 2 } else { 8 };

/// The gap ledger: entries up to `tail` are complete, those before `intent - GAPS` are gone.
#[repr(C, align(128))]
pub(crate) struct Ledger {
    pub(crate) tail: AtomicU64,
    pub(crate) intent: AtomicU64,
    pub(crate) entries: [GapEntry; GAPS as usize],
}

/// An entry of the ledger. `ledger.rs` says what its words are.
#[repr(C)]
pub(crate) struct GapEntry {
    pub(crate) words: [AtomicU64; GAP_WORDS],
}

/// Entries of the ledger, and words of an entry. The models have as many as can be told apart.
pub(crate) const GAPS: u64 = if cfg!(all(loom, test)) { 2 } else { 64 };
pub(crate) const GAP_WORDS: usize = if cfg!(all(loom, test)) { 2 } else { 6 };

/// Head of the readers' control.
#[repr(C, align(128))]
pub(crate) struct StateLine {
    pub(crate) state: AtomicU64,
}

/// A group of consumers sleeps here, one woken at a time.
#[repr(C, align(128))]
pub(crate) struct GroupLine {
    pub(crate) data: EventWord,
}

/// Everything of one lane that its readers store (and its producer swaps).
#[repr(C, align(128))]
pub(crate) struct ReaderLane {
    pub(crate) head: HeadLine,
    pub(crate) armed: ArmedLine,
    pub(crate) armed_group: ArmedLine,
    pub(crate) space: SpaceLine,
}

/// The consuming cursor.
#[repr(C, align(128))]
pub(crate) struct HeadLine {
    pub(crate) head: AtomicU64,
}

/// The smallest position that a sleeper waits for; `u64::MAX` = nobody sleeps.
#[repr(C, align(128))]
pub(crate) struct ArmedLine {
    pub(crate) armed: AtomicU64,
}

/// A producer that waits for space: the head it needs, and where it sleeps.
#[repr(C, align(128))]
pub(crate) struct SpaceLine {
    pub(crate) armed: AtomicU64,
    pub(crate) seq: EventWord,
}

/// A lossless reader's cursor: its frames from there on are kept; `u64::MAX` = nobody holds the producer up.
#[repr(C, align(128))]
pub(crate) struct GatingLine {
    pub(crate) cursor: AtomicU64,
}

/// One seat of the attach table. It is *held* while its lock byte is; this is only what its holder says.
#[repr(C, align(128))]
pub(crate) struct SeatEntry {
    /// 0 = free; 1 = in use: together with a free lock byte, its holder died.
    pub(crate) state: AtomicU32,
    pub(crate) role: AtomicU32,
    pub(crate) pid: AtomicU64,
    /// How often the seat was taken.
    pub(crate) generation: AtomicU64,
    pub(crate) since_monotonic_ns: AtomicU64,
    pub(crate) position: AtomicU64,
    pub(crate) lost: AtomicU64,
    /// The holder's program name, up to 16 bytes, zero-padded.
    pub(crate) program: [AtomicU64; 2],
}

/// `StateLine::state`.
pub(crate) const LIVE: u64 = 1;
pub(crate) const RETIRED: u64 = 2;
/// `SeatEntry::state`.
pub(crate) const FREE: u32 = 0;
pub(crate) const IN_USE: u32 = 1;
/// "None", wherever a position is optional: positions stay below 2^63.
pub(crate) const NONE: u64 = u64::MAX;

/// Bytes from the start of the producers' control.
pub(crate) const LANE_BLOCKS: usize = 0x1000;
pub(crate) const LANE_BLOCK: usize = 0x1000;
/// Bytes from the start of the readers' control.
pub(crate) const STATE: usize = 0x000;
pub(crate) const GROUP: usize = 0x080;
pub(crate) const READER_LANES: usize = 0x200;
pub(crate) const READER_LANE: usize = 0x200;

/// Lock bytes on the object: one per seat from here on, and the attach gate. Far beyond any size, so that
/// they never cover data.
pub(crate) const SEAT_BYTES: u64 = 1 << 40;
pub(crate) const GATE_BYTE: u64 = 1 << 41;
/// Locked for the moment in which the name is compared with the object and taken away. (The byte between is macOS's.)
pub(crate) const NAME_BYTE: u64 = GATE_BYTE + 2;

#[cfg(not(all(loom, test)))]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<StreamLine>() == LINE && size_of::<ProducerLine>() == LINE);
    assert!(offset_of!(ProducerLine, tail) == 0x00 && offset_of!(ProducerLine, intent) == 0x08);
    assert!(offset_of!(ProducerLine, epoch) == 0x10 && offset_of!(ProducerLine, end) == 0x18);
    assert!(offset_of!(ProducerLine, limit) == 0x20 && offset_of!(ProducerLine, epoch_start) == 0x28);
    assert!(offset_of!(LaneBlock, pid) == 0x080 && offset_of!(LaneBlock, seen_ns) == 0x088);
    assert!(offset_of!(LaneBlock, breaches) == 0x090 && offset_of!(BreachWords, frames) == 0x08);
    assert!(offset_of!(LaneBlock, owner) == 0x0A0 && offset_of!(LaneBlock, clock) == 0x100);
    assert!(offset_of!(ClockLatch, slots) == 0x40 && size_of::<ClockSlot>() == 0x40);
    assert!(offset_of!(LaneBlock, ledger) == 0x200 && size_of::<LaneBlock>() <= LANE_BLOCK);
    assert!(offset_of!(Ledger, entries) == 0x10 && size_of::<GapEntry>() == 0x30);
    assert!(size_of::<StateLine>() == LINE && size_of::<GroupLine>() == LINE);
    assert!(size_of::<ReaderLane>() == READER_LANE && offset_of!(ReaderLane, armed) == 0x080);
    assert!(offset_of!(ReaderLane, armed_group) == 0x100 && offset_of!(ReaderLane, space) == 0x180);
    assert!(offset_of!(SpaceLine, seq) == 0x08 && size_of::<GatingLine>() == LINE);
    assert!(size_of::<SeatEntry>() == LINE && offset_of!(SeatEntry, pid) == 0x08);
    assert!(offset_of!(SeatEntry, generation) == 0x10 && offset_of!(SeatEntry, position) == 0x20);
    assert!(offset_of!(SeatEntry, program) == 0x30);
    assert!(descriptor::MARKS + 8 <= descriptor::FIXED && channel::DESCRIPTION + 8 <= channel::BYTES);
};
