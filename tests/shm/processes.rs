//! Memory that is inherited or passed on.

use crate::conformance::kind;
use crate::kinds::{Anonymous, Kind};
use crate::support::Place as Directory;
use crate::support::actor::{Actor, Done, Named, say};
use crate::support::socket::{pass, receive};
use annulus::shm::{self, ErrorKind, Key, Mapping, Place};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

/// Adds the tests for one kind.
pub(crate) fn of<K: Kind + 'static>(tests: &mut Vec<Named<Done>>) {
    macro_rules! cases {
        ($($case:ident),*) => { $(tests.push((format!("{}::{}", K::NAME, stringify!($case)), || $case::<K>().into()));)* };
    }
    cases![across_fork, a_lock_across_fork];
}

/// What needs one kind only.
pub(crate) fn others(tests: &mut Vec<Named<Done>>) {
    macro_rules! tests {
        ($($test:ident),*) => { $(tests.push((stringify!($test).into(), || $test().into()));)* };
    }
    tests![private_segments_across_fork, passed_over_a_socket];
}

/// A child made by `fork`, which does that and ends.
struct Child(i32);

#[allow(unsafe_code)]
impl Child {
    fn doing(what: impl FnOnce()) -> Self {
        // SAFETY: the C library keeps malloc usable in the child of a process with threads; it needs no other lock.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
            // SAFETY: ends the child, and nothing of its parent's.
            unsafe { libc::_exit(done.is_err().into()) };
        }
        Self(pid)
    }

    fn end(self) -> i32 {
        let mut status = 0;
        // SAFETY: the status lives through the call, and the child is ours.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        std::mem::forget(self);
        status
    }

    fn kill(self) {
        // SAFETY: kill takes numbers only.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        self.end();
    }
}

#[allow(unsafe_code)]
impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: kill takes numbers only.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

fn wait_for(mapping: &Mapping, value: u32) {
    let until = Instant::now() + LONG;
    while mapping.atomic_u32(0).unwrap().load(SeqCst) != value {
        assert!(Instant::now() < until, "waited in vain");
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn across_fork<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).create_new().unwrap();
    let mapping = memory.map().unwrap();
    mapping.set(8, 11u32).unwrap();
    let child = Child::doing(|| {
        assert_eq!(mapping.get::<u32>(8).unwrap(), 11, "from before the fork");
        mapping.set(12, 22u32).unwrap();
        mapping.atomic_u32(0).unwrap().store(1, SeqCst);
        wait_for(&mapping, 2);
        // The handle works as well.
        let own = memory.map().unwrap();
        assert_eq!(own.get::<u32>(16).unwrap(), 33);
        own.set(20, 44u32).unwrap();
        assert_eq!(memory.size().unwrap(), 100);
        drop((own, memory.try_clone().unwrap()));
    });
    wait_for(&mapping, 1);
    assert_eq!(mapping.get::<u32>(12).unwrap(), 22, "from the child");
    mapping.set(16, 33u32).unwrap();
    mapping.atomic_u32(0).unwrap().store(2, SeqCst);
    assert_eq!(child.end(), 0);
    assert_eq!(mapping.get::<u32>(20).unwrap(), 44);
    assert!(!memory.is_removed().unwrap(), "the child removed nothing");
}

fn a_lock_across_fork<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).create_new().unwrap();
    let mapping = memory.map().unwrap();
    let mut guard = Some(memory.lock(LONG).unwrap());
    let child = Child::doing(|| {
        assert_eq!(kind(guard.as_ref().unwrap().get::<u32>(0)), ErrorKind::Forked);
        assert_eq!(kind(memory.lock(Duration::ZERO)), ErrorKind::Busy, "it is the parent's");
        guard = None;
        assert_eq!(kind(memory.lock(Duration::ZERO)), ErrorKind::Busy, "and the child cannot give it back");
        mapping.atomic_u32(0).unwrap().store(1, SeqCst);
        let _held = memory.lock(LONG).unwrap();
        mapping.atomic_u32(0).unwrap().store(2, SeqCst);
        std::thread::sleep(LONG);
    });
    wait_for(&mapping, 1);
    guard.as_ref().unwrap().set(4, 1u32).unwrap();
    assert_eq!(kind(here.open(&memory).lock(Duration::ZERO)), ErrorKind::Busy);
    drop(guard);
    wait_for(&mapping, 2);
    assert_eq!(kind(memory.lock(Duration::ZERO)), ErrorKind::Busy, "now it is the child's");
    child.kill();
    memory.lock(LONG).unwrap().set(4, 2u32).unwrap();
}

fn private_segments_across_fork() {
    let memory = shm::at(Place::key(Key::PRIVATE)).size(100).create_new().unwrap();
    let other = shm::at(Place::key(Key::PRIVATE)).size(100).create_new().unwrap();
    assert_ne!(memory.id(), other.id(), "each is a new one");
    assert_eq!(
        (memory.key(), memory.id().map(Place::id).as_ref()),
        (Some(Key::PRIVATE), Some(memory.place()))
    );
    assert!(matches!(kind(shm::at(Key::PRIVATE).open()), ErrorKind::BadParameter { .. }));
    let mapping = memory.map().unwrap();
    mapping.set(4, 5u32).unwrap();
    let id = memory.id().unwrap();
    let child = Child::doing(|| {
        assert_eq!(mapping.get::<u32>(4).unwrap(), 5);
        // By its id, which is all that another program needs, too.
        let by_id = shm::at(Place::id(id)).size(100).open().unwrap();
        by_id.map().unwrap().set(8, 6u32).unwrap();
        let look = shm::at(Place::id(id)).read_only().open().unwrap().map().unwrap();
        assert_eq!(look.get::<u32>(4).unwrap(), 5);
    });
    assert_eq!(child.end(), 0);
    assert_eq!(mapping.get::<u32>(8).unwrap(), 6);
    // Marked, it goes with the last mapping.
    memory.remove().unwrap();
    other.remove().unwrap();
    assert!(memory.is_removed().unwrap() && memory.status().unwrap().removed);
    assert_eq!(kind(memory.map()), ErrorKind::Removed);
    assert_eq!(kind(shm::at(Place::id(id)).open()), ErrorKind::Removed);
    assert_eq!(kind(other.status()), ErrorKind::Removed);
    drop(mapping);
    assert_eq!(kind(shm::at(Place::id(id)).open()), ErrorKind::NotFound);
    assert_eq!(kind(shm::remove(Place::id(id))), ErrorKind::NotFound);
}

/// From a process that is no relative: it connects to a socket that it knows the path of.
fn passed_over_a_socket() {
    let place = Directory::new();
    let listener = UnixListener::bind(place.path().join("socket")).unwrap();
    let mut sender = Actor::start(&place, "send");
    let (socket, _) = listener.accept().unwrap();
    let (sealed, open, file) = (receive(&socket), receive(&socket), receive(&socket));

    let memory = shm::at(Place::anonymous()).size(5000).from_fd(sealed).unwrap();
    assert!(!memory.created());
    let mapping = memory.map().unwrap();
    assert_eq!(mapping.get::<u32>(4).unwrap(), 7);
    mapping.atomic_u32(0).unwrap().store(1, SeqCst);
    assert_eq!(sender.line(), "seen");
    // It can be cut off neither by us nor by the sender.
    assert!(matches!(kind(memory.resize(10)), ErrorKind::Unsupported { .. }));
    let cut = std::fs::File::from(memory.as_fd().unwrap().try_clone_to_owned().unwrap()).set_len(1);
    assert_eq!(cut.unwrap_err().raw_os_error(), Some(libc::EPERM));
    // The lock is for both.
    assert_eq!(sender.line(), "locked");
    assert_eq!(kind(memory.lock(Duration::ZERO)), ErrorKind::Busy);
    sender.kill();
    memory.lock(LONG).unwrap().set(8, 1u32).unwrap();
    assert_eq!(mapping.get::<u32>(4).unwrap(), 7, "it outlives who made it");

    let again = open.try_clone().unwrap();
    assert!(matches!(kind(shm::at(Place::anonymous()).from_fd(again)), ErrorKind::NotMemory { .. }));
    let resizable = shm::at(Place::anonymous()).resizable().from_fd(open).unwrap();
    resizable.resize(9000).unwrap();
    assert_eq!(resizable.size().unwrap(), 9000);
    assert!(matches!(kind(shm::at(Place::anonymous()).from_fd(file)), ErrorKind::NotMemory { .. }));
    let socket = OwnedFd::from(socket);
    assert!(matches!(
        kind(shm::at(Place::anonymous()).resizable().from_fd(socket)),
        ErrorKind::NotMemory { .. }
    ));
    let named = shm::at(Place::posix("/x")).from_fd(std::fs::File::open("/dev/null").unwrap().into());
    assert!(matches!(kind(named), ErrorKind::BadParameter { .. }));
}

/// Makes memory, and passes it on.
pub(crate) fn send(place: &Path) {
    let socket = UnixStream::connect(place.join("socket")).unwrap();
    let memory = Anonymous.at().size(5000).create_new().unwrap();
    let mapping = memory.map().unwrap();
    mapping.set(4, 7u32).unwrap();
    let open = Anonymous.at().size(100).resizable().create_new().unwrap();
    open.resize(300).unwrap();
    let file = std::fs::File::create(place.join("file")).unwrap();
    pass(&socket, &memory.as_fd().unwrap());
    pass(&socket, &open.as_fd().unwrap());
    pass(&socket, &file);
    wait_for(&mapping, 1);
    say("seen");
    let _held = memory.lock(LONG).unwrap();
    say("locked");
    std::thread::sleep(LONG);
}
