//! Objects of the crate `shared_memory`, shared with programs that use it by itself.

use crate::conformance::kind;
use crate::kinds::{Kind, Portable};
use crate::support::Place as Directory;
use crate::support::actor::{Actor, Done, Named, say};
use annulus::shm::{self, ErrorKind, Place};
use shared_memory::{ShmemConf, ShmemError};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) fn all(tests: &mut Vec<Named<Done>>) {
    macro_rules! tests {
        ($($test:ident),* $(,)?) => { $(tests.push((format!("portable::{}", stringify!($test)), || $test().into()));)* };
    }
    tests![with_the_crate_alone, what_its_owner_left, names, only_what_was_noted_is_swept, descriptor_zero];
}

fn name_of(here: &Portable) -> String {
    here.place().to_string().strip_prefix("portable:").unwrap().into()
}

fn object(here: &Portable) -> PathBuf {
    PathBuf::from(format!("/dev/shm{}", name_of(here)))
}

/// The file beside the object, in the user's private directory.
#[allow(unsafe_code)]
fn companion(here: &Portable) -> PathBuf {
    // SAFETY: it has no preconditions.
    let user = unsafe { libc::geteuid() };
    PathBuf::from(format!("/dev/shm/annulus-{user}/@shm.portable-{}", name_of(here).trim_start_matches('/')))
}

/// Both ways: what one makes, the other opens, and who made it by the crate removes it when it drops it.
fn with_the_crate_alone() {
    let here = Portable::new();
    let ours = here.at().size(1000).fill(1).create_new().unwrap();
    let theirs = ShmemConf::new().os_id(name_of(&here)).open().unwrap();
    assert_eq!(theirs.len(), 1000);
    // SAFETY: the byte lies inside, and nobody else has it at the moment.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(theirs.as_ptr().add(999).read(), 1);
        theirs.as_ptr().write(9);
    }
    assert_eq!(ours.map().unwrap().get::<u8>(0).unwrap(), 9);
    drop(theirs);
    assert!(!ours.is_removed().unwrap(), "it only had it open");
    // By the POSIX name, which it is.
    let posix = shm::at(Place::posix(name_of(&here))).open().unwrap();
    assert_eq!(posix.map().unwrap().get::<u8>(0).unwrap(), 9);
    let taken = ShmemConf::new().os_id(name_of(&here)).size(8).create();
    assert!(matches!(taken, Err(ShmemError::MappingIdExists)));
    ours.remove().unwrap();

    let theirs = ShmemConf::new().os_id(name_of(&here)).size(5000).create().unwrap();
    let ours = here.at().size(5000).open_or_create().unwrap();
    assert!(!ours.created());
    let mapping = ours.map().unwrap();
    mapping.set(4999, 7u8).unwrap();
    drop(theirs);
    assert!(ours.is_removed().unwrap());
    assert_eq!(kind(ours.map()), ErrorKind::Removed);
    assert_eq!(kind(ours.lock(Duration::ZERO)), ErrorKind::Removed);
    assert_eq!(mapping.get::<u8>(4999).unwrap(), 7, "who has it mapped keeps it");
    assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
}

/// Makes an object by the crate, and is killed.
pub(crate) fn crate_alone(name: &str) {
    let _owner = ShmemConf::new().os_id(name).size(100).create().unwrap();
    say("made");
    std::thread::sleep(Duration::from_secs(30));
}

fn what_its_owner_left() {
    let (here, place) = (Portable::new(), Directory::new());
    let mut owner = Actor::start(&place, &format!("crate {}", name_of(&here)));
    assert_eq!(owner.line(), "made");
    owner.kill();
    assert!(here.at().size(100).open().is_ok(), "it is there, and whole");
    shm::remove(here.place()).unwrap();
    assert!(!object(&here).exists());
    // One that was killed before it had its size. The crate itself can neither open nor remove it.
    fs::write(object(&here), "").unwrap();
    assert!(ShmemConf::new().os_id(name_of(&here)).open().is_err());
    assert!(matches!(kind(here.at().open()), ErrorKind::NotMemory { .. }));
    assert!(matches!(kind(here.at().size(8).open_or_create()), ErrorKind::NotMemory { .. }));
    assert_eq!(kind(here.at().size(8).create_new()), ErrorKind::AlreadyExists);
    shm::remove(here.place()).unwrap();
    assert!(here.at().size(8).create_new().unwrap().created());
}

fn names() {
    for name in ["", "/", "a/b", "//a", ".", "a\0b", &"x".repeat(241)] {
        for refused in
            [shm::at(Place::portable(name)).open(), shm::at(Place::portable(name)).size(8).create_new()]
        {
            assert!(matches!(kind(refused), ErrorKind::BadName { .. }), "{name}");
        }
    }
    let longest = format!("annulus-test-{}-{}", std::process::id(), "x".repeat(200));
    let place = Place::portable(&longest);
    let memory = shm::at(&place).size(8).create_new().unwrap();
    drop(memory.lock(Duration::from_secs(30)).unwrap());
    memory.remove().unwrap();
}

/// A note of a killed maker is about its own object, not about another that has got the name since.
fn only_what_was_noted_is_swept() {
    let here = Portable::new();
    let theirs = ShmemConf::new().os_id(name_of(&here)).size(100).create().unwrap();
    // Keeps the private directory, as far as others come and go in it.
    let other = Portable::new();
    let memory = other.at().size(8).create_new().unwrap();
    let _held = memory.lock(Duration::from_secs(30)).unwrap();
    fs::write(companion(&here), "1 2").unwrap();
    assert!(here.at().open().is_ok());
    assert!(!companion(&here).exists(), "the note was heeded");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(object(&here)).unwrap());
    let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata(object(&here)).unwrap());
    for note in [format!("{device} {inode}"), "?".into()] {
        if !object(&here).exists() {
            fs::write(object(&here), "half-made").unwrap();
        }
        fs::write(companion(&here), note).unwrap();
        assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
        assert!(!companion(&here).exists() && !object(&here).exists());
    }
    drop(theirs);
}

/// The crate neither closes nor unlinks what it has by descriptor 0.
#[allow(unsafe_code)]
fn descriptor_zero() {
    let (here, other) = (Portable::new(), Portable::new());
    // SAFETY: the child closes its own descriptor, makes and removes memory, looks, and ends; malloc is usable there.
    let child = unsafe { libc::fork() };
    if child == 0 {
        std::panic::set_hook(Box::new(|_| {})); // one is on purpose
        let well = std::panic::catch_unwind(|| {
            // SAFETY: as above.
            unsafe { libc::close(0) };
            let memory = here.at().size(100).create_new().unwrap();
            drop((memory.map().unwrap(), memory));
            let failed = std::panic::AssertUnwindSafe(|| {
                other.at().size(8).init(|_| panic!("on purpose")).create_new()
            });
            assert!(std::panic::catch_unwind(failed).is_err());
            assert!(!object(&other).exists());
            // SAFETY: it asks, and does nothing.
            assert_eq!(unsafe { libc::fcntl(0, libc::F_GETFD) }, -1, "descriptor 0 is still taken");
        });
        // SAFETY: ends the child, and nothing of its parent's.
        unsafe { libc::_exit(well.is_err().into()) };
    }
    let mut status = 0;
    // SAFETY: the status lives through the call, and the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}
