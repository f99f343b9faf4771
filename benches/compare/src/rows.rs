//! What is measured: workloads, and who does them.

use crate::limits::{Bare, OneLine, OpenAndMap, Pipeline, SeqLocks, SlotSequence, Stores, two_atomics};
use crate::link::Link;
#[cfg(any(boost, moodycamel))]
use crate::rivals::cpp;
use crate::rivals::{
    annulus, crossbeam, iceoryx2, ipc_channel, lsl, naive, ringfire, rtrb, shmem_ipc, system,
};
use crate::workload::{self as work, Sample, TRIP, fan, queue, round_trip, round_trip_asleep, stream};
use std::time::Duration;

/// One who does a workload.
pub struct Entry {
    pub name: &'static str,
    pub run: Box<dyn Fn(Duration) -> Sample>,
}

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

/// What others are held against, and what is claimed.
pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    /// Ratio of annulus to the limit that the project demands of itself, and that which it claims.
    pub floor: f64,
    pub aim: f64,
    /// What the other value of a sample is, if there is one.
    pub extra: &'static str,
    /// The limit, or what else it is a ratio to; then annulus; then the others.
    pub entries: Vec<Entry>,
}

fn entry(name: &'static str, run: impl Fn(Duration) -> Sample + 'static) -> Entry {
    Entry { name, run: Box::new(run) }
}

/// A lossless link of frames of N words, one at a time.
fn one<const N: usize, L: Link<N>>(name: &'static str, capacity: usize, most: usize) -> Entry {
    entry(name, move |lasts| stream::<N, L>(capacity, 1, most, lasts))
}

fn trip<L: Link<8>>(name: &'static str) -> Entry {
    entry(name, |lasts| round_trip::<8, L>(lasts))
}

fn asleep<L: Link<8>>(name: &'static str) -> Entry {
    entry(name, |lasts| round_trip_asleep::<8, L>([L::new(TRIP), L::new(TRIP)], lasts))
}

fn beside<L: Link<32>>(name: &'static str, readers: usize) -> Entry {
    entry(name, move |lasts| fan::<32, L>(FAN, readers, false, false, lasts))
}

/// A stopped reader, as a ratio to none: of the mean, and of the 99.99th percentile.
fn stopped<L: Link<32>>(name: &'static str) -> Entry {
    entry(name, |lasts| {
        let alone = fan::<32, L>(FAN, 0, false, true, lasts / 2);
        let with = fan::<32, L>(FAN, 1, true, true, lasts / 2);
        let disturbed = alone.disturbed + with.disturbed;
        Sample { value: with.value / alone.value, extra: with.extra / alone.extra, disturbed }
    })
}

/// Frames in a ring: about a megabyte of 256 bytes, so that it stays in the caches.
const RING: usize = 4096;
const FAN: usize = 1024;

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row {
            id: "1",
            title: "64-byte round trip, polling, median",
            unit: "ns",
            better: Better::Less,
            floor: 1.7,
            aim: 1.1,
            extra: "",
            entries: vec![
                trip::<OneLine>("limit: one line"),
                trip::<annulus::Spsc<8>>("annulus, spsc"),
                trip::<annulus::Broadcast<8>>("annulus, broadcast"),
                entry("limit: two atomics", |_| Sample { value: two_atomics(100_000), ..Sample::default() }),
                trip::<ringfire::Lossless<8>>("ringfire"),
                trip::<rtrb::Rtrb<8>>("rtrb (threads)"),
                trip::<crossbeam::Crossbeam<8>>("crossbeam ArrayQueue (threads)"),
                trip::<iceoryx2::Lossless<8>>("iceoryx2"),
                trip::<shmem_ipc::ShmemIpc<8>>("shmem-ipc"),
                trip::<naive::Naive<8>>("shared_memory and raw_sync"),
                #[cfg(boost)]
                trip::<cpp::Spsc<8>>("Boost spsc_queue"),
                #[cfg(boost)]
                trip::<cpp::Messages<8>>("Boost message_queue"),
                #[cfg(moodycamel)]
                trip::<cpp::Pair<8>>("moodycamel (threads)"),
            ],
        },
        Row {
            id: "2",
            title: "64-byte round trip, both sides asleep, median",
            unit: "ns",
            better: Better::Less,
            floor: 1.15,
            aim: 1.05,
            extra: "sleeps a round trip",
            entries: vec![
                entry("limit: futex", |lasts| {
                    round_trip_asleep::<8, OneLine>([OneLine::asleep(), OneLine::asleep()], lasts)
                }),
                asleep::<annulus::Spsc<8>>("annulus, spsc"),
                asleep::<annulus::Broadcast<8>>("annulus, broadcast"),
                asleep::<ringfire::Lossless<8>>("ringfire"),
                asleep::<system::Eventfd<8>>("eventfd and shared memory"),
                asleep::<system::Pipe<8>>("pipe"),
                asleep::<system::Socket<8>>("Unix socket"),
                #[cfg(boost)]
                asleep::<cpp::Messages<8>>("Boost message_queue"),
                entry("iceoryx2", |lasts| {
                    let link = || iceoryx2::Lossless::<8>::asleep(TRIP);
                    round_trip_asleep::<8, _>([link(), link()], lasts)
                }),
                entry("shared_memory and raw_sync", |lasts| {
                    let link = || naive::Naive::<8>::asleep(TRIP);
                    round_trip_asleep::<8, _>([link(), link()], lasts)
                }),
                entry("shmem-ipc", |lasts| {
                    let link = || shmem_ipc::ShmemIpc::<8>::asleep(TRIP);
                    round_trip_asleep::<8, _>([link(), link()], lasts)
                }),
                asleep::<ipc_channel::IpcChannel>("ipc-channel"),
            ],
        },
        Row {
            id: "3",
            title: "256-byte frames, one a push, lossless",
            unit: "GB/s",
            better: Better::More,
            floor: 0.35,
            aim: 0.7,
            extra: "",
            entries: vec![
                one::<32, Bare<32>>("limit: barest hand-off", RING, 64),
                one::<32, annulus::Spsc<32>>("annulus, spsc", RING, 64),
                one::<32, annulus::Spsc<32>>("annulus, spsc, read one by one", RING, 1),
                one::<32, ringfire::Lossless<32>>("ringfire", RING, 64),
                one::<32, rtrb::Rtrb<32>>("rtrb (threads)", RING, 64),
                one::<32, crossbeam::Crossbeam<32>>("crossbeam ArrayQueue (threads)", RING, 1),
                #[cfg(boost)]
                one::<32, cpp::Spsc<32>>("Boost spsc_queue", RING, 64),
                #[cfg(moodycamel)]
                one::<32, cpp::Pair<32>>("moodycamel (threads)", RING, 1),
                one::<32, iceoryx2::Lossless<32>>("iceoryx2", 64, 1),
                one::<32, shmem_ipc::ShmemIpc<32>>("shmem-ipc", RING, 64),
                one::<32, naive::Naive<32>>("shared_memory and raw_sync", RING, 1),
                one::<32, system::Pipe<32>>("pipe", RING, 1),
                one::<32, system::Socket<32>>("Unix socket", RING, 1),
            ],
        },
        Row {
            id: "4",
            title: "16 KiB blocks",
            unit: "GB/s",
            better: Better::More,
            floor: 0.95,
            aim: 1.1,
            extra: "",
            entries: vec![
                one::<2048, Pipeline<2048>>("limit: copy in, copy out", 64, 1),
                one::<2048, annulus::Spsc<2048>>("annulus, spsc", 64, 1),
                one::<2048, annulus::Spsc<2048>>("annulus, spsc, looked at in place", 64, 4),
                one::<2048, Bare<2048>>("limit: copy in, look in place", 64, 4),
                one::<2048, ringfire::Lossless<2048>>("ringfire", 64, 1),
                one::<2048, rtrb::Rtrb<2048>>("rtrb (threads)", 64, 4),
                #[cfg(boost)]
                one::<2048, cpp::Spsc<2048>>("Boost spsc_queue", 64, 4),
                one::<2048, iceoryx2::Lossless<2048>>("iceoryx2", 64, 1),
                one::<2048, shmem_ipc::ShmemIpc<2048>>("shmem-ipc", 64, 4),
                one::<2048, system::Pipe<2048>>("pipe", 64, 1),
            ],
        },
        Row {
            id: "5",
            title: "8-byte elements, one by one",
            unit: "GB/s",
            better: Better::More,
            floor: 0.25,
            aim: 0.7,
            extra: "",
            entries: vec![
                one::<1, SlotSequence>("limit: sequence beside each element", RING, 1),
                one::<1, annulus::Spsc<1>>("annulus, spsc", RING, 1),
                one::<1, Bare<1>>("limit: two indices", RING, 1),
                one::<1, ringfire::Lossless<1>>("ringfire", RING, 1),
                one::<1, rtrb::Rtrb<1>>("rtrb (threads)", RING, 1),
                one::<1, crossbeam::Crossbeam<1>>("crossbeam ArrayQueue (threads)", RING, 1),
                #[cfg(boost)]
                one::<1, cpp::Spsc<1>>("Boost spsc_queue", RING, 1),
                #[cfg(moodycamel)]
                one::<1, cpp::Pair<1>>("moodycamel (threads)", RING, 1),
            ],
        },
        Row {
            id: "6",
            title: "8-byte elements in 64s",
            unit: "GB/s",
            better: Better::More,
            floor: 0.8,
            aim: 1.0,
            extra: "",
            entries: vec![
                entry("rtrb, slices (threads)", |lasts| stream::<1, rtrb::Rtrb<1>>(RING, 64, 64, lasts)),
                entry("annulus, spsc", |lasts| stream::<1, annulus::Spsc<1>>(RING, 64, 64, lasts)),
                entry("limit: two indices", |lasts| stream::<1, Bare<1>>(RING, 64, 64, lasts)),
                entry("ringfire", |lasts| stream::<1, ringfire::Lossless<1>>(RING, 64, 64, lasts)),
                #[cfg(boost)]
                entry("Boost spsc_queue", |lasts| stream::<1, cpp::Spsc<1>>(RING, 64, 64, lasts)),
                entry("iceoryx2, slices", |lasts| stream::<1, iceoryx2::Slices<1>>(64, 64, 64, lasts)),
            ],
        },
    ];
    for (id, title, readers) in [
        ("7.0", "256-byte broadcast push, no reader", 0),
        ("7.1", "256-byte broadcast push, 1 reader", 1),
        ("7.4", "256-byte broadcast push, 4 readers", 4),
        ("7.8", "256-byte broadcast push, 8 readers", 8),
    ] {
        rows.push(Row {
            id,
            title,
            unit: "ns",
            better: Better::Less,
            floor: 1.5,
            aim: 1.1,
            extra: "",
            entries: vec![
                beside::<SeqLocks<32>>("limit: sequence locks", readers),
                beside::<annulus::Broadcast<32>>("annulus, broadcast", readers),
                beside::<ringfire::Fan<32>>("ringfire", readers),
                beside::<iceoryx2::Fan<32>>("iceoryx2", readers),
            ],
        });
    }
    rows.push(Row {
        id: "8",
        title: "256-byte broadcast push beside a stopped reader, over the same beside none",
        unit: "x",
        better: Better::Less,
        floor: 1.15,
        aim: 1.05,
        extra: "99.99th percentile",
        entries: vec![
            entry("nothing", |_| Sample { value: 1.0, extra: 1.0, disturbed: 0 }),
            stopped::<annulus::Broadcast<32>>("annulus, broadcast"),
            stopped::<ringfire::Fan<32>>("ringfire"),
            stopped::<iceoryx2::Fan<32>>("iceoryx2"),
        ],
    });
    rows.push(Row {
        id: "9",
        title: "work queue of 64-byte items, 2 producers and 2 consumers",
        unit: "million/s",
        better: Better::More,
        floor: 0.8,
        aim: 2.0,
        extra: "",
        entries: vec![
            entry("crossbeam ArrayQueue (threads)", |lasts| queue::<crossbeam::Crossbeam<8>>(RING, 1, lasts)),
            entry("annulus, mpmc", |lasts| queue::<annulus::Queue<8>>(RING, 1, lasts)),
            entry("annulus, mpmc, taken in 16s", |lasts| queue::<annulus::Queue<8>>(RING, 16, lasts)),
            entry("ringfire mpmc", |lasts| queue::<ringfire::Queue<8>>(RING, 1, lasts)),
            #[cfg(moodycamel)]
            entry("moodycamel (threads)", |lasts| queue::<cpp::Many<8>>(RING, 1, lasts)),
            #[cfg(boost)]
            entry("Boost message_queue", |lasts| queue::<cpp::Messages<8>>(RING, 1, lasts)),
        ],
    });
    rows.push(Row {
        id: "11",
        title: "attaching to what is there, with a first look",
        unit: "ns",
        better: Better::Less,
        floor: 4.0,
        aim: 2.0,
        extra: "",
        entries: vec![
            entry("limit: shm_open, fstat, mmap, a look", |_| work::attach::<OpenAndMap>(400)),
            entry("annulus, an observer", |_| work::attach::<annulus::Stream>(400)),
            entry("ringfire", |_| work::attach::<ringfire::AttachRing>(400)),
            entry("iceoryx2", |_| work::attach::<iceoryx2::AttachService>(20)),
        ],
    });
    rows.push(Row {
        id: "12",
        title: "64-byte broadcast push, nobody there",
        unit: "ns",
        better: Better::Less,
        floor: 4.0,
        aim: 3.0,
        extra: "",
        entries: vec![
            entry("limit: stores and a release store", |lasts| work::uncontended::<8, Stores<8>>(FAN, lasts)),
            entry("annulus, broadcast", |lasts| work::uncontended::<8, annulus::Broadcast<8>>(FAN, lasts)),
            entry("ringfire", |lasts| work::uncontended::<8, ringfire::Fan<8>>(FAN, lasts)),
        ],
    });
    rows.push(Row {
        id: "13",
        title: "256 channels x 30 kHz x i16, 8 viewers at 30 Hz and a recorder, all processes",
        unit: "% of a core",
        better: Better::Less,
        floor: 25.0,
        aim: 5.0,
        extra: "sleeps a second",
        entries: vec![
            entry("one percent", |_| Sample { value: 1.0, ..Sample::default() }),
            entry("annulus", |lasts| annulus::load(lasts * 20)),
        ],
    });
    if lsl::version().is_some() {
        with_lsl(&mut rows);
    }
    rows
}

/// Where liblsl is installed, or named by `LIBLSL`.
fn with_lsl(rows: &mut [Row]) {
    for row in rows {
        let entry = match row.id {
            "2" => asleep::<lsl::Lossless<8>>("LSL on loopback"),
            "3" => one::<32, lsl::Lossless<32>>("LSL on loopback", RING, 64),
            "4" => one::<2048, lsl::Lossless<2048>>("LSL on loopback", 64, 4),
            "7.1" => beside::<lsl::Fan<32>>("LSL on loopback", 1),
            "7.8" => beside::<lsl::Fan<32>>("LSL on loopback", 8),
            "11" => entry("LSL on loopback", |_| work::attach::<lsl::AttachStream>(5)),
            _ => continue,
        };
        row.entries.push(entry);
    }
}
