//! Where the bytes of an object are: in its file, or in memory that its file leads to.

#[cfg(all(unix, feature = "portable"))]
use super::leader;
use super::leader::Leader;
use super::directory::Access;
use super::home::Backend;
use super::home::Home;
use super::lock::LockFile;
#[cfg(all(unix, feature = "portable"))]
use super::portable::{Memory, Noted};
use super::region::Region;
#[cfg(windows)]
use super::section::Section;
#[cfg(unix)]
use super::status::Grant;
use super::system::{self, Unnamed};
#[cfg(unix)]
use super::{native, sysv};
use crate::descriptor::Unfit;
use std::fs::File;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
#[cfg(all(unix, feature = "portable"))]
use std::path::Path;
#[cfg(windows)]
use std::sync::Arc;

/// What holds the bytes of an object.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// Its file.
    File,
    /// A System V segment; `marked`, when it was found, to go with its last mapping.
    #[cfg(unix)]
    SystemV { id: i32, bytes: u64, instance: [u8; 16], marked: bool },
    /// An object of the crate `shared_memory`.
    #[cfg(all(unix, feature = "portable"))]
    Portable { memory: Memory, instance: [u8; 16] },
    /// A section of Windows' page file, which is there while anybody has it open.
    #[cfg(windows)]
    Section { section: Arc<Section>, bytes: u64, instance: [u8; 16] },
}

/// An object that has no name yet. Dropped without one, it is gone, and its memory with it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) file: Unnamed,
    pub(crate) store: Store,
    named: bool,
    /// That nobody has been told of it.
    #[cfg(all(unix, feature = "portable"))]
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
            #[cfg(all(unix, feature = "portable"))]
            noted: None,
        }
    }

    /// One whose file leads to new memory of `bytes`, of the kind that `backend` says.
    /// It is to be found at `home`.
    pub(crate) fn elsewhere(
        file: Unnamed,
        backend: Backend,
        bytes: u64,
        instance: [u8; 16],
        home: &Home,
    ) -> io::Result<Self> {
        let _ = home; // not all of them have to know
        match backend {
            #[cfg(unix)]
            Backend::SystemV => Self::of_segment(file, bytes, instance),
            #[cfg(all(unix, feature = "portable"))]
            Backend::Portable => Self::of_portable(file, bytes, instance, &home.path()),
            #[cfg(windows)]
            Backend::PageFile => Self::of_section(file, bytes, instance, home.is_shared()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(windows)]
    fn of_section(file: Unnamed, bytes: u64, instance: [u8; 16], shared: bool) -> io::Result<Self> {
        let name = Section::name(&instance, shared);
        let owner = if shared { Some(super::owner::of_file(&file)?) } else { None };
        let section = Arc::new(Section::of_stream(&name, bytes, owner.as_ref())?);
        let leader = Leader { store: SECTION, bytes, instance, text: name };
        system::write_all_at(&file, &leader.encode(), 0)?;
        Ok(Self::new(file, Store::Section { section, bytes, instance }))
    }

    /// One whose file leads to a new System V segment of `bytes`.
    #[cfg(unix)]
    fn of_segment(file: Unnamed, bytes: u64, instance: [u8; 16]) -> io::Result<Self> {
        sysv::sweep();
        let id = sysv::make_unfinished(bytes)?;
        let made = Self::new(file, Store::SystemV { id, bytes, instance, marked: false });
        let leader = Leader { store: SYSTEM_V, bytes, instance, text: id.to_string() };
        system::write_all_at(&made.file, &leader.encode(), 0)?;
        // What the system gives out and does not have is a SIGBUS later.
        if let Some(region) = made.store.attach(&made.file, false)? {
            region.prefault(true)?;
        }
        Ok(made)
    }

    /// One whose file, which is to be at `path`, leads to a new object of the crate `shared_memory`.
    #[cfg(all(unix, feature = "portable"))]
    fn of_portable(file: Unnamed, bytes: u64, instance: [u8; 16], path: &Path) -> io::Result<Self> {
        Memory::sweep(leads_to);
        let (memory, noted) = Memory::make(bytes, &instance, path)?;
        let leader = Leader { store: PORTABLE, bytes, instance, text: memory.name().into() };
        let mut made = Self::new(file, Store::Portable { memory, instance });
        made.noted = Some(noted);
        system::write_all_at(&made.file, &leader.encode(), 0)?;
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
#[cfg(unix)]
const SYSTEM_V: u32 = 1;
#[cfg(unix)]
const PORTABLE: u32 = 3;
#[cfg(windows)]
const SECTION: u32 = 2;

/// Whether the file at `path` leads to the memory of that name.
#[cfg(all(unix, feature = "portable"))]
fn leads_to(path: &Path, name: &str) -> bool {
    let leader = File::open(path).and_then(|file| {
        let mut bytes = [0; leader::BYTES];
        system::read_exact_at(&file, &mut bytes, 0).map(|()| Leader::decode(&bytes))
    });
    matches!(leader, Ok(Ok(Some(leader))) if leader.store == PORTABLE && leader.text == name)
}

/// Whether there is no room for an object.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    #[cfg(unix)]
    if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EFAULT)) {
        return true; // of a System V segment: more than the system lets one have, or than it could give out
    }
    system::is_no_space(error)
}

impl Store {
    /// What holds the bytes of the object that `file` is.
    pub(crate) fn of(file: &LockFile) -> io::Result<Result<Led, Unfit>> {
        let first = Self::first(file)?;
        Self::led(file, &first)
    }

    /// What an object's file begins with: where its memory is, or, if it is that itself, all of most descriptors.
    pub(crate) fn first(file: &LockFile) -> io::Result<Vec<u8>> {
        let mut first = vec![0; file.bytes()?.min(4096) as usize];
        system::read_exact_at(file, &mut first, 0)?;
        Ok(first)
    }

    /// What holds the bytes of the object whose file begins so.
    pub(crate) fn led(file: &File, first: &[u8]) -> io::Result<Result<Led, Unfit>> {
        let Some(first) = first.first_chunk() else { return Ok(Err(Unfit::NotOurs)) };
        let leader = match Leader::decode(first) {
            Ok(Some(leader)) => leader,
            Ok(None) => return Ok(Ok(Led::To(Self::File))),
            Err(unfit) => return Ok(Err(unfit)),
        };
        match leader.store {
            #[cfg(unix)]
            SYSTEM_V => Self::of_segment(file, &leader),
            #[cfg(windows)]
            SECTION => Self::of_section(file, &leader),
            #[cfg(unix)]
            PORTABLE => Self::of_portable(file, &leader),
            _ => Ok(Err(Unfit::Damaged("its memory is of a kind that this build does not know"))),
        }
    }

    /// The whole of it, if it is to be had in one piece only. Else it is mapped piece by piece.
    pub(crate) fn attach(&self, file: &File, read_only: bool) -> io::Result<Option<Region>> {
        match self {
            #[cfg(unix)]
            Self::File => {
                let _ = file;
                Ok(None)
            }
            #[cfg(windows)]
            Self::File => Section::of_file(file, read_only).and_then(|section| Region::view(section.into(), read_only)).map(Some),
            #[cfg(unix)]
            Self::SystemV { id, bytes, .. } => {
                let region = Region::attach(*id, *bytes as usize, read_only, None)?;
                // Between the look and now the id may have come to mean another segment: that one may be smaller.
                let same = sysv::look(*id).is_ok_and(|found| found.size == *bytes);
                if same { Ok(Some(region)) } else { Err(io::Error::from_raw_os_error(libc::EIDRM)) }
            }
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { memory, .. } => memory.attach(read_only).map(Some),
            #[cfg(windows)]
            Self::Section { section, .. } => Region::view(Arc::clone(section), read_only).map(Some),
        }
    }

    /// Whether that error of [`attach`](Self::attach) says that it is not there any more.
    pub(crate) fn is_gone(&self, error: &io::Error) -> bool {
        match self {
            #[cfg(unix)]
            Self::SystemV { .. } => sysv::is_gone(error),
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { .. } => error.kind() == io::ErrorKind::NotFound,
            _ => {
                let _ = error;
                false
            }
        }
    }

    /// What it is to users.
    pub(crate) fn backend(&self, file: &LockFile) -> Backend {
        match self {
            #[cfg(unix)]
            Self::File => match file.found().nlink() {
                0 if native::is_sealed(file) == Some(true) => Backend::Anonymous,
                _ if system::is_memory(file).unwrap_or(true) => Backend::Posix,
                _ => Backend::File,
            },
            #[cfg(unix)]
            Self::SystemV { .. } => Backend::SystemV,
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { .. } => Backend::Portable,
            #[cfg(windows)]
            Self::File => {
                let _ = file;
                Backend::File
            }
            #[cfg(windows)]
            Self::Section { .. } => Backend::PageFile,
        }
    }

    /// Whether it is what its object's file led to: ids are used again.
    pub(crate) fn is_of(&self, instance: &[u8; 16]) -> bool {
        match self {
            Self::File => true,
            #[cfg(unix)]
            Self::SystemV { instance: wanted, .. } => wanted == instance,
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { instance: wanted, .. } => wanted == instance,
            #[cfg(windows)]
            Self::Section { instance: wanted, .. } => wanted == instance,
        }
    }

    pub(crate) fn is_marked(&self) -> bool {
        match self {
            #[cfg(unix)]
            Self::SystemV { marked, .. } => *marked,
            _ => false,
        }
    }

    /// Lets those use the memory who may use the file.
    pub(crate) fn grant(&self, access: Access) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::SystemV { id, .. } => sysv::grant(*id, Grant { owner: None, group: access.group, mode: access.mode }),
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { .. } if access.group.is_none() && access.mode.is_none_or(|mode| mode == 0o600) => Ok(()),
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { .. } => Err(io::Error::other("the crate shared_memory makes objects for their owner alone")),
            _ => {
                let _ = access; // the file's is its own, or all that there is
                Ok(())
            }
        }
    }

    /// Writes what nobody else sees yet.
    pub(crate) fn write_all_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        match self {
            Self::File => system::write_all_at(file, bytes, at),
            _ => self.attach(file, false)?.ok_or(io::ErrorKind::Unsupported)?.write(bytes, at as usize),
        }
    }

    /// Whether somebody removed the memory, by now.
    pub(crate) fn is_marked_by_now(&self) -> io::Result<bool> {
        match self {
            #[cfg(unix)]
            Self::SystemV { id, .. } => match sysv::look(*id) {
                Err(error) if sysv::is_gone(&error) => Ok(true),
                found => Ok(found?.is_marked()),
            },
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { memory, .. } => memory.is_there().map(|there| !there),
            _ => Ok(false),
        }
    }

    /// Removes the memory, if it does not go with the name. Those who have it mapped keep it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::SystemV { id, .. } => match sysv::mark(*id) {
                Err(error) if sysv::is_gone(&error) => Ok(()),
                done => done,
            },
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { memory, .. } => memory.remove(),
            _ => Ok(()),
        }
    }

    /// Whether parts of it were never allocated: they are a SIGBUS later, when there is no room for them.
    pub(crate) fn has_holes(&self, file: &LockFile) -> bool {
        match self {
            #[cfg(unix)]
            Self::File => file.found().blocks().saturating_mul(512) < file.found().len(),
            _ => {
                let _ = file;
                false // its maker saw to that, and the system does not tell
            }
        }
    }

    /// Bytes of the memory.
    pub(crate) fn bytes(&self, file: &LockFile) -> io::Result<u64> {
        match self {
            Self::File => file.bytes(),
            #[cfg(unix)]
            Self::SystemV { bytes, .. } => Ok(*bytes),
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable { memory, .. } => Ok(memory.bytes()),
            #[cfg(windows)]
            Self::Section { bytes, .. } => Ok(*bytes),
        }
    }

    /// Copies from what nobody stores to any more; never through the mapping of a file, which would kill us if it is
    /// shorter than it was.
    pub(crate) fn read_exact_at(&self, file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File => system::read_exact_at(file, out, at),
            _ => self.attach(file, true)?.ok_or(io::ErrorKind::Unsupported)?.read(out, at as usize),
        }
    }

    #[cfg(windows)]
    fn of_section(file: &File, leader: &Leader) -> io::Result<Result<Led, Unfit>> {
        let Leader { bytes, instance, ref text, .. } = *leader;
        let section = match Section::open(text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(Led::Nowhere)),
            found => found?,
        };
        // Anybody may have made one of that name once ours was gone.
        let section = Arc::new(section);
        let owner = super::owner::of_file(file)?;
        let is_ours = section.owner()?.is_none_or(|found| found.is(&owner));
        if !is_ours || (Region::view(Arc::clone(&section), true)?.bytes() as u64) < bytes {
            return Ok(Ok(Led::Nowhere));
        }
        Ok(Ok(Led::To(Self::Section { section, bytes, instance })))
    }

    #[cfg(all(unix, feature = "portable"))]
    fn of_portable(file: &File, leader: &Leader) -> io::Result<Result<Led, Unfit>> {
        if !Memory::is_name(&leader.text) {
            return Ok(Err(Unfit::Damaged("its memory has no name that the crate shared_memory was given")));
        }
        let memory = Memory::find(&leader.text, leader.bytes, file.metadata()?.uid())?;
        let led = |memory| Led::To(Self::Portable { memory, instance: leader.instance });
        Ok(Ok(memory.map_or(Led::Nowhere, led)))
    }

    #[cfg(all(unix, not(feature = "portable")))]
    fn of_portable(_: &File, _: &Leader) -> io::Result<Result<Led, Unfit>> {
        Ok(Err(Unfit::Damaged("its memory is the crate shared_memory's: build annulus with its feature portable")))
    }

    #[cfg(unix)]
    fn of_segment(file: &File, leader: &Leader) -> io::Result<Result<Led, Unfit>> {
        let owner = file.metadata()?.uid();
        let Ok(id) = leader.text.parse() else { return Ok(Err(Unfit::Damaged("its segment's id is no number"))) };
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
