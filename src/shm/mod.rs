//! Shared memory for its own sake: bytes that processes share, without any ring.
//!
//! It opens what other programs made (Boost.Interprocess, Python, C with `shm_open`, `mmap`, `shmget` or `CreateFileMapping`), and makes what they
//! open. Objects are found at a [`Place`], made or opened by [`at`], and used through a [`Mapping`]:
//!
//! ```
//! use annulus::shm::{self, Place};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), shm::Error> {
//! # let place = Place::posix(format!("/annulus-doc-{}", std::process::id()));
//! // In as many processes as you like; one of them makes it, and fills it before anybody else sees it:
//! let memory = shm::at(&place).size(1000).fill(1).open_or_create()?;
//! let mapping = memory.map()?;
//! assert_eq!(mapping.get::<u8>(999)?, 1);
//!
//! mapping.write(16, &[0.5f32, 1.5, 2.5])?; // plain data of any type, at any offset
//! let next = memory.lock(Duration::from_secs(1))?.update(8, |count: &mut u64| *count + 1)?;
//!
//! memory.remove()?; // or it stays there
//! # let _ = next;
//! # Ok(()) }
//! ```
//!
//! | to | call |
//! |---|---|
//! | make or open | [`at`]`(place)`, then [`size`](Options::size), [`fill`](Options::fill), [`init`](Options::init), [`mode`](Options::mode), [`read_only`](Options::read_only), then [`create_new`](Options::create_new), [`open`](Options::open) or [`open_or_create`](Options::open_or_create) |
//! | map | [`map`](SharedMemory::map), [`map_range`](SharedMemory::map_range), or [`mapping`](SharedMemory::mapping) with more to say |
//! | read and write | [`get`](Mapping::get), [`set`](Mapping::set), [`read`](Mapping::read), [`write`](Mapping::write); [`atomic_u64`](Mapping::atomic_u64) and its like; [`as_mut_ptr`](Mapping::as_mut_ptr); [`Offset`] in the place of a pointer |
//! | exclude each other | [`lock`](SharedMemory::lock), and what its [`Guard`] does in one step |
//! | change | [`resize`](SharedMemory::resize), [`set_mode`](SharedMemory::set_mode) |
//! | look | [`status`](SharedMemory::status), [`list`] |
//! | be rid of it | [`SharedMemory::remove`], or [`remove`] without opening it |
//!
//! # Kinds of objects
//! What one cannot do is [`ErrorKind::Unsupported`], and the error says why.
//!
//! | | POSIX | file | anonymous | System V | portable | page file |
//! |---|---|---|---|---|---|---|
//! | [`Place`] | `posix:/name` | `file:/path` | `anonymous` | `sysv:key=0x1234`, `sysv:id=7` | `portable:name` | `page-file:name` |
//! | there is one on | Unix | all | Linux, Windows | Unix | Unix | Windows |
//! | made by | `shm_open` | `open` | `memfd_create` | `shmget` | the crate [`shared_memory`](https://docs.rs/shared_memory) | `CreateFileMapping` |
//! | found by | its name | its path | inheriting or passing its descriptor (`as_fd`) | its key or id | its os id | its name, after `Local\` or `Global\` perhaps |
//! | may be empty | yes | yes | no | no | no | no |
//! | [`resize`](SharedMemory::resize) | yes | yes | if [`resizable`](Options::resizable): it is sealed otherwise | no: it keeps its size | no: it keeps its size | no: it keeps its size |
//! | says its size to the byte | yes | yes | yes | yes | yes | no: in whole pages |
//! | [copy-on-write](MapOptions::copy_on_write) | yes | yes | yes | no: it is attached shared only | no: it is mapped shared only | yes |
//! | [at an address](MapOptions::at_address) | yes | yes | yes | yes | no: the system chooses | yes |
//! | [read-only](Options::read_only) | who may only read, too | who may only read, too | yes | who may only read, too | who may write: it is protected after it was mapped | who may only read, too |
//! | [`lock`](SharedMemory::lock) | yes | yes | yes | among the processes of its owner | among the processes of its owner | among the processes of its owner |
//! | [`remove`](SharedMemory::remove) | yes | yes | no: it has no name | yes | yes | no: its name goes with the last who has it |
//! | [mode](Options::mode) | any | any | any | any | 600 | none: its maker's access list |
//! | owner and group at will | root | root | root | its owner | nobody | nobody |
//! | [huge pages](Options::huge_pages) of its own | no | on a hugetlbfs | yes | yes | no | who may lock pages in memory |
//! | its descriptor (`as_fd`) | yes | yes | yes | no: it is no file | no: the crate keeps it | its handle (`as_handle`) |
//! | cut off under its users | by who may write | by who may write | never, if sealed | never | by who may write | never |
//! | [`list`] shows it | on Linux | no: it can be anywhere | no: it has no name | on Linux | on Linux, as POSIX | no: Windows does not tell |
//!
//! The portable ones are there with the feature `portable`: memory that is exchanged with programs which use that crate, and the
//! way to shared memory where a system has none of the others. Of the others, each can do more.
//!
//! On macOS, where none of this was ever run, there is no anonymous memory and no list, and a POSIX object gets its size
//! once.
//!
//! On Windows, where it ran under Wine, anonymous memory is a section without a name: its handle is duplicated or inherited, it
//! keeps its size, says it in whole pages, and has no lock, as nothing leads to a file beside it. A file has no mode, owner or
//! group to be chosen; nobody can make one smaller that somebody has mapped ([`ErrorKind::Mapped`]). Addresses are
//! multiples of 64 KiB ([`address_granularity`]).
//!
//! # How long an object lives
//!
//! | | until |
//! |---|---|
//! | POSIX | it is removed, or the machine restarts; then the last who has it open or mapped |
//! | file | it is removed; then the last who has it open or mapped |
//! | anonymous | the last who has it open or mapped is gone |
//! | portable | as POSIX. Programs that use the crate by itself remove what they made when they drop it, or end; one that is killed leaves it, and [`remove`] takes it away |
//! | System V | it is removed (`ipcrm` does that too), or the machine restarts; then the last who has it mapped. Its id and its key are of no use from then on |
//! | page file | the last who has it open is gone, or has it mapped by annulus: each mapping keeps a handle, as its name goes with the last of those. Nothing outlives its processes there |
//!
//! Dropping a handle or a mapping removes nothing else. A process that dies, however it dies, closes and unmaps what it had. A
//! file that is removed on Windows has another name, which begins with `@annulus-removed.`, until nobody has it open or
//! mapped; if it cannot be deleted by then, the next one that is made in that directory takes it along.
//!
//! # Exactly once
//! The name never shows an object half-made: [`fill`](Options::fill) and [`init`](Options::init) come before it. POSIX objects
//! and files are built without a name, and linked; a System V segment has a mode that says that it is being made, and a
//! portable object a file beside it. A creator that is killed half-way leaves nothing that anybody of ours would open. Programs that make their objects otherwise may
//! show them half-made; who opens one of theirs finds size 0, perhaps, and tries again.
//!
//! Windows shows a section of the page file at once, as zeroes: there a file beside it is locked until it is whole, which all
//! wait for who open it by annulus as the same user. Other programs, and other users, may see it half-made; tell them when
//! it is ready by a word in it.
//!
//! # What it is not
//! There is no allocator, and there are no containers or objects with names *inside* the memory (Boost's managed segments):
//! offsets are yours to choose. For signals, see the streams of [this crate](crate).
//!
// What is in the files:
// place, options, memory, mapping, access, offset, guard, status, listing, error: what users see, in this order;
// posix, file, anonymous, sysv, portable, windows/page_file: the kinds of objects; draft, turn, companion: how they are made
// whole; region, native_*, windows/native: mapped pages, and what each system does in its own way.
// Below streams: directory (a user's objects on tmpfs), lock (locks on single bytes, and `fork`), map (address space that
// was reserved first), home (where an object is found again), store and leader (where its bytes are, if not in its file),
// linux and macos (what each system does for that), heap (memory of one process, for tests).

use core::time::Duration;
use std::io;
use std::time::Instant;

mod access;
mod bytes;
mod companion;
pub(crate) mod directory;
mod error;
mod file;
mod guard;
#[cfg(test)]
pub(crate) mod heap;
pub(crate) mod home;
pub(crate) mod leader;
mod listing;
mod mapping;
mod memory;
mod offset;
mod options;
mod place;
mod status;
pub(crate) mod store;
mod turn;

pub use error::{Error, ErrorKind};
pub use guard::Guard;
pub use listing::{Listed, list};
pub use mapping::{HugePages, MapOptions, Mapping};
pub use memory::{SharedMemory, remove};
pub use offset::Offset;
pub use options::{Options, at};
pub use place::{Key, Place};
pub use status::Status;

/// Bytes of a page: what the system maps, protects and writes back at once. A mapping may begin and end anywhere all the
/// same.
pub fn page_bytes() -> usize {
    map::page_bytes()
}

/// What an [address](MapOptions::at_address) must be a multiple of where a whole object is to come to lie: the page, and on
/// Windows 64 KiB. Of an object in huge pages, one of those.
pub fn address_granularity() -> usize {
    map::granule()
}

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Only to look.
    ReadOnly,
    /// What is stored, everybody sees.
    ReadWrite,
    /// What is stored stays in this process: each page is copied when it is stored to.
    CopyOnWrite,
}

macro_rules! on_unix {
    ($($item:item)*) => { $(#[cfg(unix)] $item)* };
}

on_unix! {
    mod anonymous;
    mod draft;
    pub(crate) mod lock;
    pub(crate) mod map;
    pub(crate) mod owner;
    #[cfg(feature = "portable")]
    mod portable;
    pub(crate) mod region;
    mod sysv;
    mod unix;
}

#[cfg(windows)]
#[path = "windows/mod.rs"]
pub(crate) mod system;
#[cfg(windows)]
pub(crate) use system::{lock, map, owner, region, section};
#[cfg(windows)]
use system::{draft, native, page_file};

#[cfg(target_os = "linux")]
mod posix;
#[cfg(target_os = "macos")]
#[path = "posix_macos.rs"]
mod posix;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
pub(crate) mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
pub(crate) mod system;

#[cfg(target_os = "linux")]
#[path = "native_linux.rs"]
mod native;
#[cfg(target_os = "macos")]
#[path = "native_macos.rs"]
mod native;

/// Kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

impl lock::LockFile {
    /// Takes the lock on `byte`, in small steps up to `deadline`. False: somebody does not get on.
    pub(crate) fn lock_until(&self, byte: u64, mode: Mode, deadline: Instant) -> io::Result<bool> {
        let mut pause = Duration::from_micros(50);
        while !self.try_lock(byte, mode)? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        Ok(true)
    }
}
