//! An object that was found under a name: opened, checked, and not yet attached to.

use super::{Attachment, gate, no_seat};
use crate::descriptor::{Descriptor, Unfit};
use crate::error::Error;
use crate::layout::{self, GATE_BYTE, LIVE, RETIRED};
use crate::seat::{self, Role};
use crate::segment::{Rights, Segment};
use crate::shm::directory::{self, Directory};
use crate::shm::lock::{LockFile, Mode};
use crate::sync::Ordering::SeqCst;
use crate::wait::Event;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

/// An object that was found under a name and looks like one of ours.
pub(crate) struct Opened {
    lock: LockFile,
    descriptor: Descriptor,
    pub(super) writable: bool,
    directory: Directory,
    object: String,
}

impl Opened {
    /// Opens and checks. `None`: there is no such name.
    pub(crate) fn find(directory: &Directory, object: &str, write: bool) -> Result<Option<Self>, Error> {
        let path = directory.path().join(object);
        let not_ours = |why: String| Err(Error::NotAStream { path: path.clone(), why });
        let mut writable = write;
        let file = match directory.open_object(object, write) {
            Err(error) if write && error.kind() == io::ErrorKind::PermissionDenied => {
                writable = false;
                directory.open_object(object, false)
            }
            other => other,
        };
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return not_ours("it is a symbolic link".into());
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EISDIR | libc::ENXIO)) => {
                return not_ours("it is not a regular file".into());
            }
            Err(error) => return Err(Error::os("open", &path, error)),
        };
        if let Some(why) = directory::distrust(&file).map_err(|error| Error::os("look at", &path, error))? {
            return not_ours(why);
        }
        let descriptor = match read_descriptor(&file).map_err(|error| Error::os("read", &path, error))? {
            Ok(descriptor) => descriptor,
            Err(Unfit::NotOurs) => return not_ours("it does not begin as a stream does".into()),
            Err(Unfit::Layout(found)) => {
                return Err(Error::Layout { path, found: format!("layout {found}, this is layout {}", layout::LAYOUT) });
            }
            Err(Unfit::Features(bits)) => {
                return Err(Error::Layout { path, found: format!("it uses features {bits:#x}, unknown to this build") });
            }
            Err(Unfit::Damaged(why)) => return Err(Error::Corrupt { path, why: why.into() }),
        };
        if !(descriptor.page_bytes as usize).is_multiple_of(crate::shm::map::page_bytes()) {
            return Err(Error::Layout { path, found: format!("pages of {} bytes", descriptor.page_bytes) });
        }
        let (directory, object) = (directory.clone(), object.into());
        Ok(Some(Self { lock: LockFile::new(file), descriptor, writable, directory, object }))
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    pub(crate) fn lock(&self) -> &LockFile {
        &self.lock
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join(&self.object)
    }

    pub(crate) fn map(&self, rights: Rights) -> Result<Arc<Segment>, Error> {
        Directory::reopen(&self.lock, self.writable)
            .and_then(|file| Segment::map(&file, self.descriptor.clone(), rights))
            .map_err(|error| Error::os("map", &self.path(), error))
    }

    fn is_named(&self) -> bool {
        self.directory.is_named(&self.object, &self.lock)
    }

    /// Takes the gate; false if the name has come to mean another object meanwhile.
    pub(super) fn pass(&self, mode: Mode, until: Instant, name: &str) -> Result<bool, Error> {
        if !gate(&self.lock, mode, until).map_err(|error| Error::os("lock the gate of", &self.path(), error))? {
            return Err(Error::GateBusy { name: name.into() });
        }
        if self.is_named() {
            return Ok(true);
        }
        self.release();
        Ok(false)
    }

    pub(super) fn release(&self) {
        let _ = self.lock.unlock(GATE_BYTE); // and at the latest when the file is closed, in a moment
    }

    /// Inside the gate, shared: takes a seat.
    pub(super) fn sit(self, segment: Arc<Segment>, role: Role, name: &str) -> Result<Attachment, Error> {
        let taken = seat::take(&self.lock, &segment, role)
            .map_err(|error| Error::os("take a seat of", &self.path(), error))?;
        let Some(seat) = taken else { return Err(no_seat(&segment, role, name)) };
        self.release();
        Ok(self.attach(segment, Some(seat)))
    }

    pub(super) fn attach(self, segment: Arc<Segment>, seat: Option<u32>) -> Attachment {
        let Self { lock, directory, object, .. } = self;
        Attachment { segment, lock, seat, directory, object }
    }

    /// Takes the name away from an object that nobody holds, and tells those who still look at it.
    /// `Err` of a seat: somebody does hold it. Gone otherwise, by us or by another.
    pub(super) fn retire(&self, until: Instant, name: &str) -> Result<Result<(), u32>, Error> {
        if !self.pass(Mode::Exclusive, until, name)? {
            return Ok(Ok(()));
        }
        let segment = self.map(Rights::Produce)?;
        let state = &segment.state().state;
        let over = state.load(SeqCst) != LIVE || is_finished(&segment);
        if !over {
            for seat in 0..seat::range(&self.descriptor, Role::Lossless).end {
                let held = seat::any_held(&self.lock, seat..seat + 1);
                if held.map_err(|error| Error::os("ask for the seats of", &self.path(), error))? {
                    return Ok(Err(seat));
                }
            }
        }
        state.store(RETIRED, SeqCst);
        self.directory.unlink(&self.object)?;
        for lane in 0..self.descriptor.lanes {
            let lane = segment.lane(lane);
            Event { armed: lane.armed(), seq: lane.data_event() }.kick();
        }
        Ok(Ok(()))
    }
}

pub(super) fn is_finished(segment: &Arc<Segment>) -> bool {
    (0..segment.descriptor().lanes).all(|lane| crate::lane::end(&segment.lane(lane)).is_some())
}

/// Never through the mapping: a file that is shorter than it says would kill us.
fn read_descriptor(file: &File) -> io::Result<Result<Descriptor, Unfit>> {
    let object_bytes = file.metadata()?.len();
    if object_bytes < Descriptor::PROBE as u64 {
        return Ok(Err(Unfit::NotOurs));
    }
    let mut bytes = vec![0; Descriptor::PROBE];
    file.read_exact_at(&mut bytes, 0)?;
    let length = match Descriptor::probe(&bytes) {
        Ok(length) if length as u64 <= object_bytes => length,
        Ok(_) => return Ok(Err(Unfit::Damaged("its descriptor is cut off"))),
        Err(unfit) => return Ok(Err(unfit)),
    };
    bytes.resize(length, 0);
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Descriptor::decode(&bytes, object_bytes))
}
