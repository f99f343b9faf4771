//! Where the bytes of an object are: in its file, or in memory that its file leads to.

use super::leader::{self, Leader};
use super::directory::Access;
use super::home::Backend;
#[cfg(feature = "portable")]
use super::portable::{Memory, Noted};
use super::region::Region;
use super::status::Grant;
use super::system::Unnamed;
use super::sysv;
use crate::descriptor::Unfit;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
#[cfg(feature = "portable")]
use std::path::Path;

/// What holds the bytes of an object.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// Its file.
    File,
    /// A System V segment; `marked`, when it was found, to go with its last mapping.
    SystemV { id: i32, bytes: u64, instance: [u8; 16], marked: bool },
    /// An object of the crate `shared_memory`.
    #[cfg(feature = "portable")]
    Portable { memory: Memory, instance: [u8; 16] },
}

/// An object that has no name yet. Dropped without one, it is gone, and its memory with it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) file: Unnamed,
    pub(crate) store: Store,
    named: bool,
    /// That nobody has been told of it.
    #[cfg(feature = "portable")]
    noted: Option<Noted>,
}

impl Made {
    /// One whose file is its memory.
    pub(crate) fn of_file(file: Unnamed) -> Self {
        Self::new(file, Store::File)
    }

    fn new(file: Unnamed, store: Store) -> Self {
        Self {
            file,
            store,
            named: false,
            #[cfg(feature = "portable")]
            noted: None,
        }
    }

    /// One whose file leads to a new System V segment of `bytes`.
    pub(crate) fn of_segment(file: Unnamed, bytes: u64, instance: [u8; 16]) -> io::Result<Self> {
        sysv::sweep();
        let id = sysv::make_unfinished(bytes)?;
        let made = Self::new(file, Store::SystemV { id, bytes, instance, marked: false });
        let leader = Leader { store: SYSTEM_V, bytes, instance, text: id.to_string() };
        made.file.write_all_at(&leader.encode(), 0)?;
        // What the system gives out and does not have is a SIGBUS later.
        if let Some(region) = made.store.attach(false)? {
            region.prefault(true)?;
        }
        Ok(made)
    }

    /// One whose file, which is to be at `path`, leads to a new object of the crate `shared_memory`.
    #[cfg(feature = "portable")]
    pub(crate) fn of_portable(file: Unnamed, bytes: u64, instance: [u8; 16], path: &Path) -> io::Result<Self> {
        Memory::sweep(leads_to);
        let (memory, noted) = Memory::make(bytes, &instance, path)?;
        let leader = Leader { store: PORTABLE, bytes, instance, text: memory.name().into() };
        let mut made = Self::new(file, Store::Portable { memory, instance });
        made.noted = Some(noted);
        made.file.write_all_at(&leader.encode(), 0)?;
        Ok(made)
    }

    /// Says that it has its name. From now on it is not ours alone.
    pub(crate) fn settle(mut self, access: Access) -> io::Result<Store> {
        self.named = true;
        self.store.grant(access)?;
        Ok(self.store.clone())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.named {
            let _ = self.store.remove(); // before what is noted of it
        }
    }
}

/// What an object's file leads to.
pub(crate) enum Led {
    To(Store),
    /// Memory that is not there any more: somebody removed it, or nobody had it any more.
    Nowhere,
}

/// As [`leader`] numbers them.
const SYSTEM_V: u32 = 1;
const PORTABLE: u32 = 3;

/// Whether the file at `path` leads to the memory of that name.
#[cfg(feature = "portable")]
fn leads_to(path: &Path, name: &str) -> bool {
    let leader = File::open(path).and_then(|file| {
        let mut bytes = [0; leader::BYTES];
        file.read_exact_at(&mut bytes, 0).map(|()| Leader::decode(&bytes))
    });
    matches!(leader, Ok(Ok(Some(leader))) if leader.store == PORTABLE && leader.text == name)
}

impl Store {
    /// What holds the bytes of the object that `file` is.
    pub(crate) fn of(file: &File) -> io::Result<Result<Led, Unfit>> {
        let found = file.metadata()?;
        let mut bytes = [0; leader::BYTES];
        if found.len() < bytes.len() as u64 {
            return Ok(Err(Unfit::NotOurs));
        }
        file.read_exact_at(&mut bytes, 0)?;
        let leader = match Leader::decode(&bytes) {
            Ok(Some(leader)) => leader,
            Ok(None) => return Ok(Ok(Led::To(Self::File))),
            Err(unfit) => return Ok(Err(unfit)),
        };
        match (leader.store, leader.text.parse()) {
            (SYSTEM_V, Ok(id)) => Self::of_segment(id, found.uid(), &leader),
            #[cfg(feature = "portable")]
            (PORTABLE, _) if Memory::is_name(&leader.text) => {
                let memory = Memory::find(&leader.text, leader.bytes, found.uid())?;
                let led = |memory| Led::To(Self::Portable { memory, instance: leader.instance });
                Ok(Ok(memory.map_or(Led::Nowhere, led)))
            }
            #[cfg(not(feature = "portable"))]
            (PORTABLE, _) => Ok(Err(Unfit::Damaged("its memory is the crate shared_memory's: build annulus with its feature portable"))),
            _ => Ok(Err(Unfit::Damaged("its memory is of a kind that this build does not know"))),
        }
    }

    /// The whole of it, if it is not the file. That is mapped piece by piece.
    pub(crate) fn attach(&self, read_only: bool) -> io::Result<Option<Region>> {
        match self {
            Self::File => Ok(None),
            Self::SystemV { id, bytes, .. } => {
                let region = Region::attach(*id, *bytes as usize, read_only, None)?;
                // Between the look and now the id may have come to mean another segment: that one may be smaller.
                let same = sysv::look(*id).is_ok_and(|found| found.size == *bytes);
                if same { Ok(Some(region)) } else { Err(io::Error::from_raw_os_error(libc::EIDRM)) }
            }
            #[cfg(feature = "portable")]
            Self::Portable { memory, .. } => memory.attach(read_only).map(Some),
        }
    }

    /// Whether that error of [`attach`](Self::attach) says that it is not there any more.
    pub(crate) fn is_gone(&self, error: &io::Error) -> bool {
        match self {
            Self::File => false,
            Self::SystemV { .. } => sysv::is_gone(error),
            #[cfg(feature = "portable")]
            Self::Portable { .. } => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// What its backend is called. `None`: its file tells.
    pub(crate) fn backend(&self) -> Option<Backend> {
        match self {
            Self::File => None,
            Self::SystemV { .. } => Some(Backend::SystemV),
            #[cfg(feature = "portable")]
            Self::Portable { .. } => Some(Backend::Portable),
        }
    }

    /// Whether it is what its object's file led to: ids are used again.
    pub(crate) fn is_of(&self, instance: &[u8; 16]) -> bool {
        match self {
            Self::File => true,
            Self::SystemV { instance: wanted, .. } => wanted == instance,
            #[cfg(feature = "portable")]
            Self::Portable { instance: wanted, .. } => wanted == instance,
        }
    }

    pub(crate) fn is_marked(&self) -> bool {
        matches!(self, Self::SystemV { marked: true, .. })
    }

    /// Lets those use the memory who may use the file.
    pub(crate) fn grant(&self, access: Access) -> io::Result<()> {
        match self {
            Self::File => Ok(()),
            Self::SystemV { id, .. } => sysv::grant(*id, Grant { owner: None, group: access.group, mode: access.mode }),
            #[cfg(feature = "portable")]
            Self::Portable { .. } if access.group.is_none() && access.mode.is_none_or(|mode| mode == 0o600) => Ok(()),
            #[cfg(feature = "portable")]
            Self::Portable { .. } => Err(io::Error::other("the crate shared_memory makes objects for their owner alone")),
        }
    }

    /// Writes what nobody else sees yet.
    pub(crate) fn write_all_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.attach(false)? {
            None => file.write_all_at(bytes, at),
            Some(region) => region.write(bytes, at as usize),
        }
    }

    /// Whether somebody removed the memory, by now.
    pub(crate) fn is_marked_by_now(&self) -> io::Result<bool> {
        match self {
            Self::File => Ok(false),
            Self::SystemV { id, .. } => match sysv::look(*id) {
                Err(error) if sysv::is_gone(&error) => Ok(true),
                found => Ok(found?.is_marked()),
            },
            #[cfg(feature = "portable")]
            Self::Portable { memory, .. } => memory.is_there().map(|there| !there),
        }
    }

    /// Removes the memory, if it does not go with the name. Those who have it mapped keep it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            Self::File => Ok(()),
            Self::SystemV { id, .. } => match sysv::mark(*id) {
                Err(error) if sysv::is_gone(&error) => Ok(()),
                done => done,
            },
            #[cfg(feature = "portable")]
            Self::Portable { memory, .. } => memory.remove(),
        }
    }

    /// Whether parts of it were never allocated: they are a SIGBUS later, when there is no room for them.
    pub(crate) fn has_holes(&self, file: &File) -> io::Result<bool> {
        match self {
            Self::File => file.metadata().map(|found| found.blocks().saturating_mul(512) < found.len()),
            _ => Ok(false), // its maker saw to that, and the system does not tell
        }
    }

    /// Bytes of the memory.
    pub(crate) fn bytes(&self, file: &File) -> io::Result<u64> {
        match self {
            Self::File => Ok(file.metadata()?.len()),
            Self::SystemV { bytes, .. } => Ok(*bytes),
            #[cfg(feature = "portable")]
            Self::Portable { memory, .. } => Ok(memory.bytes()),
        }
    }

    /// Copies from what nobody stores to any more; never through the mapping of a file, which would kill us if it is
    /// shorter than it was.
    pub(crate) fn read_exact_at(&self, file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
        match self.attach(true)? {
            None => file.read_exact_at(out, at),
            Some(region) => region.read(out, at as usize),
        }
    }

    fn of_segment(id: i32, owner: u32, leader: &Leader) -> io::Result<Result<Led, Unfit>> {
        let found = match sysv::look(id) {
            Err(error) if sysv::is_gone(&error) => return Ok(Ok(Led::Nowhere)),
            found => found?,
        };
        // Ids are used again, for anybody's segments.
        if found.owner != owner || found.size != leader.bytes {
            return Ok(Ok(Led::Nowhere));
        }
        Ok(Ok(Led::To(Self::SystemV { id, bytes: leader.bytes, instance: leader.instance, marked: found.is_marked() })))
    }
}
