//! The kinds of objects, and what each can do: the table of the module's documentation.

#[cfg(unix)]
use crate::support::Place as Directory;
#[cfg(unix)]
use annulus::shm::Key;
use annulus::shm::{self, Error, Options, Place, SharedMemory};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What a kind can do. What it cannot is `Unsupported`, with a reason.
#[derive(Debug)]
pub(crate) struct Can {
    /// It has a name, by which it is found.
    pub(crate) name: bool,
    /// Nobody needs to have it open: it is there until it is removed.
    pub(crate) stays: bool,
    /// It says how large it is, to the byte.
    pub(crate) exact: bool,
    pub(crate) lock: bool,
    pub(crate) resize: bool,
    pub(crate) copy_on_write: bool,
    pub(crate) descriptor: bool,
    pub(crate) listed: bool,
    /// It can be empty.
    pub(crate) empty: bool,
    /// Whom it is for can be chosen.
    pub(crate) access: bool,
    /// It can be mapped at an address.
    pub(crate) address: bool,
}

pub(crate) trait Kind {
    const NAME: &'static str;
    const CAN: Can;
    /// Who opens it waits for who makes it, in this process, too.
    const IS_WAITED_FOR: bool = false;

    /// With a place of its own, where nothing is.
    fn new() -> Self;

    fn place(&self) -> Place;

    /// Opens what `memory` is, by its name or its descriptor, with what `also` asks for besides.
    fn open_with<'a>(
        &self,
        memory: &SharedMemory,
        also: impl FnOnce(Options<'a>) -> Options<'a>,
    ) -> Result<SharedMemory, Error> {
        let _ = memory;
        also(shm::at(self.place())).open()
    }

    fn open(&self, memory: &SharedMemory) -> SharedMemory {
        // What does not say its size is told it.
        let size = memory.size().unwrap();
        self.open_with(memory, |options| if Self::CAN.exact { options } else { options.size(size) }).unwrap()
    }

    fn at<'a>(&self) -> Options<'a> {
        shm::at(self.place())
    }
}

pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Wine begins to count its processes anew.
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
    let run = if cfg!(windows) { format!("-{now:x}") } else { String::new() };
    format!("annulus-test-{}-object-{}{run}", std::process::id(), COUNT.fetch_add(1, Relaxed))
}

/// Takes it away: its name, or, where that goes with the last who has it, this handle of it.
pub(crate) fn let_go(memory: SharedMemory) {
    if !matches!(memory.place(), Place::PageFile(_)) {
        memory.remove().unwrap();
    }
}

/// Removed when its test is over.
struct Own(Place);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = shm::remove(&self.0);
    }
}

const FILE: Can = Can {
    name: true,
    stays: true,
    exact: true,
    lock: true,
    resize: true,
    copy_on_write: true,
    descriptor: cfg!(unix),
    listed: false,
    empty: true,
    access: cfg!(unix),
    address: true,
};

#[cfg(unix)]
pub(crate) struct Posix(Own);

#[cfg(unix)]
impl Kind for Posix {
    const NAME: &'static str = "posix";
    const CAN: Can = Can { listed: true, ..FILE };

    fn new() -> Self {
        Self(Own(Place::posix(format!("/{}", unique()))))
    }

    fn place(&self) -> Place {
        self.0.0.clone()
    }
}

/// On a disk, or what there is in its place.
pub(crate) struct File(Own);

impl Kind for File {
    const NAME: &'static str = "file";
    const CAN: Can = FILE;

    fn new() -> Self {
        Self(Own(Place::file(std::env::temp_dir().join(unique()))))
    }

    fn place(&self) -> Place {
        self.0.0.clone()
    }
}

/// A section of the page file, under a name that this session finds.
#[cfg(windows)]
pub(crate) struct PageFile(Own);

#[cfg(windows)]
const SECTION: Can = Can { stays: false, exact: false, resize: false, empty: false, ..FILE };

#[cfg(windows)]
impl Kind for PageFile {
    const NAME: &'static str = "page-file";
    const IS_WAITED_FOR: bool = true;
    const CAN: Can = SECTION;

    fn new() -> Self {
        Self(Own(Place::page_file(unique())))
    }

    fn place(&self) -> Place {
        self.0.0.clone()
    }
}

/// One without a name, whose handle is duplicated.
#[cfg(windows)]
pub(crate) struct Anonymous;

#[cfg(windows)]
impl Kind for Anonymous {
    const NAME: &'static str = "anonymous";
    const CAN: Can = Can { name: false, lock: false, ..SECTION };

    fn new() -> Self {
        Self
    }

    fn place(&self) -> Place {
        Place::anonymous()
    }

    fn open_with<'a>(
        &self,
        memory: &SharedMemory,
        also: impl FnOnce(Options<'a>) -> Options<'a>,
    ) -> Result<SharedMemory, Error> {
        let handle = memory.as_handle().try_clone_to_owned().unwrap();
        also(shm::at(Place::anonymous())).from_handle(handle)
    }
}

#[cfg(unix)]
pub(crate) struct Anonymous;

#[cfg(unix)]
impl Kind for Anonymous {
    const NAME: &'static str = "anonymous";
    const CAN: Can = Can {
        name: false,
        stays: false,
        exact: true,
        lock: true,
        resize: false,
        copy_on_write: true,
        descriptor: true,
        listed: false,
        empty: false,
        access: true,
        address: true,
    };

    fn new() -> Self {
        Self
    }

    fn place(&self) -> Place {
        Place::anonymous()
    }

    fn open_with<'a>(
        &self,
        memory: &SharedMemory,
        also: impl FnOnce(Options<'a>) -> Options<'a>,
    ) -> Result<SharedMemory, Error> {
        let descriptor = memory.as_fd().unwrap().try_clone_to_owned().unwrap();
        also(shm::at(Place::anonymous())).from_fd(descriptor)
    }
}

/// By a key that belongs to a file of its own.
#[cfg(unix)]
pub(crate) struct SystemV(Own, #[allow(dead_code, reason = "kept while the key is")] Directory);

#[cfg(unix)]
impl Kind for SystemV {
    const NAME: &'static str = "sysv";
    const IS_WAITED_FOR: bool = true;
    const CAN: Can = Can {
        name: true,
        stays: true,
        exact: true,
        lock: true,
        resize: false,
        copy_on_write: false,
        descriptor: false,
        listed: true,
        empty: false,
        access: true,
        address: true,
    };

    fn new() -> Self {
        // A key may belong to two files.
        loop {
            let directory = Directory::new();
            let key = Key::ftok(directory.path(), b'A').unwrap();
            let place = Place::key(key);
            if shm::at(&place).open().is_err() {
                return Self(Own(place), directory);
            }
        }
    }

    fn place(&self) -> Place {
        self.0.0.clone()
    }
}

/// By an os id of the crate `shared_memory`.
#[cfg(all(unix, feature = "portable"))]
pub(crate) struct Portable(Own);

#[cfg(all(unix, feature = "portable"))]
impl Kind for Portable {
    const NAME: &'static str = "portable";
    const IS_WAITED_FOR: bool = true;
    const CAN: Can = Can {
        name: true,
        stays: true,
        exact: true,
        lock: true,
        resize: false,
        copy_on_write: false,
        descriptor: false,
        listed: false,
        empty: false,
        access: false,
        address: false,
    };

    fn new() -> Self {
        Self(Own(Place::portable(format!("/{}", unique()))))
    }

    fn place(&self) -> Place {
        self.0.0.clone()
    }
}
