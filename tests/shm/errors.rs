//! What can go wrong, told apart: as the system says it, in namespaces and file systems that are made small.

use crate::conformance::kind;
use crate::kinds::{Kind, Posix, SystemV};
use crate::support::Place as Directory;
use crate::support::actor::{Actor, Done, Named, say};
use crate::support::isolated::{Isolation, is_root, not_run};
use annulus::shm::{self, Error, ErrorKind, Key, Place};
use libtest_mimic::Completion;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const STRANGER: u32 = 41003;

pub(crate) fn all(tests: &mut Vec<Named<Done>>) {
    macro_rules! tests {
        ($($test:ident),*) => { $(tests.push((stringify!($test).into(), || $test().into()));)* };
    }
    tests![
        names,
        what_is_no_memory,
        segments_told_apart,
        a_full_table_of_segments,
        a_full_file_system,
        of_another_user,
        a_maker_of_another_user,
        ipcs_and_ipcrm,
        a_file_system_without_unnamed_files,
        foreign_segments
    ];
}

/// Its kind, and the system's number.
fn told(result: Result<impl Sized, Error>) -> (ErrorKind, Option<i32>) {
    let error = result.err().expect("this is an error");
    assert!(error.to_string().starts_with("cannot "), "{error}");
    assert_eq!(std::error::Error::source(&error).is_some(), error.raw_os_error().is_some());
    (error.kind().clone(), error.raw_os_error())
}

fn names() {
    let long = "x".repeat(256);
    for name in ["", "/", "a/b", "//a", "/a/", ".", "..", "/..", "a\0b", &long] {
        for result in
            [shm::at(Place::posix(name)).open().err(), shm::at(Place::posix(name)).size(1).create_new().err()]
        {
            assert!(matches!(result.unwrap().kind(), ErrorKind::BadName { .. }), "{name:?}");
        }
        assert!(matches!(kind(shm::remove(Place::posix(name))), ErrorKind::BadName { .. }), "{name:?}");
    }
    // The slash may be left out, on this system; 255 bytes are allowed.
    let name = format!("/{}-{}", "y".repeat(240), std::process::id());
    let made = shm::at(Place::posix(&name)).size(1).create_new().unwrap();
    assert_eq!(shm::at(Place::posix(&name[1..])).open().unwrap().size().unwrap(), 1);
    assert!(Path::new("/dev/shm").join(&name[1..]).is_file());
    made.remove().unwrap();

    let place = Directory::new();
    let path = place.path().join("no such directory/x");
    assert_eq!(
        told(shm::at(Place::file(&path)).size(1).create_new()),
        (ErrorKind::NotFound, Some(libc::ENOENT))
    );
    let path = place.path().join(&long);
    let (kind, number) = told(shm::at(Place::file(path)).open());
    assert!(matches!(kind, ErrorKind::BadName { .. }), "{kind:?}");
    assert_eq!(number, Some(libc::ENAMETOOLONG));
}

fn what_is_no_memory() {
    let place = Directory::new();
    let at = |name: &str| Place::file(place.path().join(name));
    fs::create_dir(place.path().join("directory")).unwrap();
    symlink(place.path().join("target"), place.path().join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(place.path().join("fifo")).status().unwrap().success());
    for name in ["directory", "fifo"] {
        for memory in [shm::at(at(name)), shm::at(at(name)).read_only()] {
            assert!(matches!(kind(memory.open()), ErrorKind::NotMemory { .. }), "{name}");
        }
        assert!(matches!(kind(shm::at(at(name)).size(1).open_or_create()), ErrorKind::NotMemory { .. }));
        assert_eq!(kind(shm::at(at(name)).size(1).create_new()), ErrorKind::AlreadyExists, "{name}");
    }
    assert!(matches!(kind(shm::at(Place::file("/dev/null")).open()), ErrorKind::NotMemory { .. }));
    assert!(matches!(kind(shm::remove(at("directory"))), ErrorKind::NotMemory { .. }));
    // A path is followed, as the caller chose it; a POSIX name is not, as anybody may plant a link there.
    assert_eq!(kind(shm::at(at("link")).open()), ErrorKind::NotFound);
    shm::at(at("target")).size(5).create_new().unwrap();
    assert_eq!(shm::at(at("link")).open().unwrap().size().unwrap(), 5);
    let here = Posix::new();
    let Place::Posix(name) = here.place() else { unreachable!() };
    symlink(place.path().join("target"), Path::new("/dev/shm").join(&name.to_str().unwrap()[1..])).unwrap();
    let (kind, number) = told(here.at().open());
    assert!(matches!(kind, ErrorKind::NotMemory { .. }), "{kind:?}");
    assert_eq!(number, Some(libc::ELOOP));
}

/// ENOENT, EEXIST, EINVAL, ENOMEM. EIDRM comes only when a segment is removed in the middle of a call (on today's Linux an
/// id that is gone is EINVAL), and cannot be provoked at will; it is the same to us as EINVAL for what was there.
fn segments_told_apart() {
    let here = SystemV::new();
    assert_eq!(told(here.at().open()), (ErrorKind::NotFound, None));
    assert_eq!(told(shm::remove(here.place())), (ErrorKind::NotFound, Some(libc::ENOENT)));
    let memory = here.at().size(5000).create_new().unwrap();
    assert_eq!(told(here.at().size(5000).create_new()).0, ErrorKind::AlreadyExists);
    // A size that is not its own, which the system calls EINVAL if it is larger, and says nothing of if it is not.
    for wanted in [8192, 4999] {
        assert_eq!(
            told(here.at().size(wanted).open()),
            (ErrorKind::SizeMismatch { found: 5000, wanted }, None)
        );
    }
    let id = memory.id().unwrap();
    assert_eq!(shm::at(Place::id(id)).open().unwrap().key(), memory.key());
    memory.remove().unwrap();
    assert_eq!(told(memory.map()), (ErrorKind::Removed, Some(libc::EINVAL)));
    assert_eq!(told(memory.remove()), (ErrorKind::Removed, Some(libc::EINVAL)));
    assert_eq!(told(memory.set_mode(0o640)), (ErrorKind::Removed, Some(libc::EINVAL)));
    assert!(memory.is_removed().unwrap());
    assert_eq!(told(shm::at(Place::id(id)).open()).0, ErrorKind::NotFound);
    assert_eq!(told(shm::at(Place::id(-7)).open()).0, ErrorKind::NotFound);
    assert!(matches!(
        told(shm::at(Place::id(id)).size(1).open_or_create()).0,
        ErrorKind::BadParameter { .. }
    ));

    if fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap().trim() != "1" {
        let (kind, number) = told(here.at().size(1 << 45).create_new());
        assert_eq!((kind, number), (ErrorKind::NoSpace, Some(libc::ENOMEM)));
    }
    assert!(matches!(kind(here.at().size(8).mode(0o611).create_new()), ErrorKind::BadParameter { .. }));
}

/// ENOSPC by the table's and by the pages' limit, EINVAL by the size's, in a namespace that has small ones.
fn a_full_table_of_segments() -> Completion {
    if !is_root() {
        return not_run("only root may set the limits of a namespace");
    }
    let own = match Isolation::new(&["--ipc"]) {
        Ok(own) => own,
        Err(not_run) => return not_run,
    };
    let place = Directory::new();
    let mut actor = own.start(&place, "limits");
    let said: Vec<String> = actor.rest().collect();
    assert!(actor.child.wait().unwrap().success(), "{said:?}");
    assert_eq!(said, ["told apart"]);
    Completion::Completed
}

pub(crate) fn limits() {
    let limit =
        |name: &str, value: u64| fs::write(format!("/proc/sys/kernel/{name}"), value.to_string()).unwrap();
    let (one, two) = (Place::key(0x0A11), Place::key(0x0A12));
    assert_eq!(
        shm::list().unwrap().iter().filter(|one| one.key.is_some()).count(),
        0,
        "it is a namespace of its own"
    );
    limit("shmmni", 1);
    let first = shm::at(&one).size(100).create_new().unwrap();
    for place in [two.clone(), Place::key(Key::PRIVATE)] {
        assert_eq!(told(shm::at(place).size(100).create_new()), (ErrorKind::NoSpace, Some(libc::ENOSPC)));
    }
    // The key of the one that there is was not forgotten over it.
    assert_eq!(kind(shm::at(&one).size(100).create_new()), ErrorKind::AlreadyExists);
    limit("shmmni", 4096);
    limit("shmall", 3);
    assert_eq!(told(shm::at(&two).size(3 * 4096).create_new()), (ErrorKind::NoSpace, Some(libc::ENOSPC)));
    limit("shmall", 1 << 20);
    limit("shmmax", 10_000);
    assert_eq!(told(shm::at(&two).size(10_001).create_new()), (ErrorKind::TooLarge, Some(libc::EINVAL)));
    let second = shm::at(&two).size(10_000).create_new().unwrap();
    assert_eq!(second.size().unwrap(), 10_000);
    first.remove().unwrap();
    second.remove().unwrap();
    say("told apart");
}

fn a_full_file_system() -> Completion {
    let own = match Isolation::empty_shm() {
        Ok(own) => own,
        Err(not_run) => return not_run,
    };
    let place = Directory::new();
    let mut actor = own.start(&place, "full");
    let said: Vec<String> = actor.rest().collect();
    assert!(actor.child.wait().unwrap().success(), "{said:?}");
    assert_eq!(said, ["told apart"]);
    Completion::Completed
}

pub(crate) fn full() {
    half_way();
    let small = ["-o", "remount,size=64k", "/dev/shm"];
    assert!(Command::new("mount").args(small).status().unwrap().success());
    let full = |result| assert_eq!(told(result), (ErrorKind::NoSpace, Some(libc::ENOSPC)));
    for place in [Place::posix("/full"), Place::file("/dev/shm/full")] {
        full(shm::at(&place).size(1 << 20).create_new().map(drop));
        full(shm::at(&place).size(1 << 20).open_or_create().map(drop));
        assert_eq!(kind(shm::at(&place).open()), ErrorKind::NotFound, "and nothing is left");
        let memory = shm::at(&place).size(32 << 10).fill(1).create_new().unwrap();
        full(memory.resize(1 << 20));
        assert_eq!(memory.size().unwrap(), 32 << 10, "it is as it was");
        memory.resize(60 << 10).unwrap();
        memory.map().unwrap().write(0, &[2u8; 60 << 10]).unwrap();
        memory.remove().unwrap();
    }
    say("told apart");
}

/// What cannot be made so large is found out when a part of it is there: it is taken back.
#[allow(unsafe_code)]
fn half_way() {
    let memory = shm::at(Place::posix("/half-way")).size(5000).create_new().unwrap();
    let limit = libc::rlimit { rlim_cur: 20 << 20, rlim_max: 20 << 20 };
    // SAFETY: the limit lives through the call; the signal is ignored, and no handler runs.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
    assert_eq!(told(memory.resize(40 << 20)), (ErrorKind::TooLarge, Some(libc::EFBIG)));
    assert_eq!(memory.size().unwrap(), 5000, "it is as it was");
    memory.remove().unwrap();
}

/// EACCES.
fn of_another_user() -> Completion {
    if !is_root() {
        return not_run("only root can be several users");
    }
    let place = Directory::new();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let (posix, segment, file) = (Posix::new(), SystemV::new(), Place::file(place.path().join("file")));
    let places = [posix.place(), segment.place(), file.clone()];
    for place in &places {
        shm::at(place).size(100).fill(1).create_new().unwrap();
    }
    let mut all: Vec<String> = places.iter().map(ToString::to_string).collect();
    all.push(Place::id(shm::at(segment.place()).open().unwrap().id().unwrap()).to_string());
    let try_all = |role: &str| {
        let mut stranger = Actor::start(&place, &format!("{role} {}", all.join(" ")));
        let said: Vec<String> = stranger.rest().collect();
        assert!(stranger.child.wait().unwrap().success(), "{said:?}");
        assert_eq!(said, ["as expected"], "{role}");
    };
    try_all("denied");
    for place in &places {
        shm::at(place).open().unwrap().set_mode(0o644).unwrap();
    }
    try_all("reader");
    for place in &places {
        shm::at(place).open().unwrap().set_owner(STRANGER).unwrap();
        assert_eq!(shm::at(place).open().unwrap().status().unwrap().owner, STRANGER);
    }
    try_all("owner");
    Completion::Completed
}

#[allow(unsafe_code)]
fn become_a_stranger() {
    // SAFETY: the calls take numbers only, but for the empty list.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(STRANGER, STRANGER, STRANGER), 0);
        assert_eq!(libc::setresuid(STRANGER, STRANGER, STRANGER), 0);
    }
}

pub(crate) fn stranger(role: &str, places: &str) {
    become_a_stranger();
    let denied = |result: Result<(), Error>, place: &str| {
        let (kind, number) = told(result);
        assert_eq!(kind, ErrorKind::PermissionDenied, "{place}");
        assert!(matches!(number, Some(libc::EACCES | libc::EPERM)), "{place}");
    };
    for text in places.split(' ') {
        let place: Place = text.parse().unwrap();
        let is_segment = matches!(place, Place::Key(_) | Place::Id(_));
        match role {
            "denied" => {
                denied(shm::at(&place).open().map(drop), text);
                denied(shm::at(&place).read_only().open().map(drop), text);
                if !matches!(place, Place::Id(_)) {
                    denied(shm::at(&place).size(100).open_or_create().map(drop), text);
                    assert_eq!(kind(shm::at(&place).size(100).create_new()), ErrorKind::AlreadyExists);
                }
                denied(shm::remove(&place), text);
            }
            "reader" => {
                denied(shm::at(&place).open().map(drop), text);
                let look = shm::at(&place).read_only().open().unwrap();
                assert_eq!(look.map().unwrap().get::<u8>(99).unwrap(), 1);
                denied(look.set_mode(0o666), text);
                denied(look.remove(), text);
                let lock = kind(look.lock(Duration::ZERO));
                assert!(matches!(lock, ErrorKind::Unsupported { what: "locking", .. }), "{text}: {lock:?}");
            }
            _ if matches!(place, Place::Id(_)) => {} // given away, just now
            _ => {
                let memory = shm::at(&place).open().unwrap();
                memory.lock(Duration::ZERO).unwrap().set(0, 2u8).unwrap();
                memory.set_mode(0o600).unwrap();
                if is_segment {
                    memory.set_owner(STRANGER + 1).unwrap();
                    denied(memory.set_owner(STRANGER), text);
                } else {
                    denied(memory.set_owner(STRANGER + 1), text);
                }
            }
        }
    }
    say("as expected");
}

/// One who may not even look at a segment that is being made waits for it, as its mode will let in others then.
fn a_maker_of_another_user() -> Completion {
    if !is_root() {
        return not_run("only root can be several users");
    }
    let (here, place) = (SystemV::new(), Directory::new());
    let mut maker = Actor::start(&place, &format!("slow {}", here.place()));
    assert_eq!(maker.line(), "inside");
    let mut stranger = Actor::start(&place, &format!("waits {}", here.place()));
    assert_eq!(stranger.line(), "found it whole");
    assert_eq!(maker.line(), "made");
    Completion::Completed
}

pub(crate) fn slow(place: &Place) {
    let slowly = |_: &mut [u8]| {
        say("inside");
        std::thread::sleep(Duration::from_millis(300));
    };
    let _memory = shm::at(place).size(100).mode(0o666).fill(7).init(slowly).open_or_create().unwrap();
    say("made");
}

pub(crate) fn waits(place: &Place) {
    become_a_stranger();
    let memory = shm::at(place).size(100).fill(8).open_or_create().unwrap();
    assert!(!memory.created());
    assert_eq!(memory.map().unwrap().get::<u8>(99).unwrap(), 7);
    say("found it whole");
}

/// What other programs see of ours, and do to it.
fn ipcs_and_ipcrm() -> Completion {
    let here = SystemV::new();
    let memory = here.at().size(12_345).mode(0o640).create_new().unwrap();
    let id = memory.id().unwrap().to_string();
    let Ok(shown) = Command::new("ipcs").arg("-m").output() else { return not_run("there is no ipcs") };
    let shown = String::from_utf8(shown.stdout).unwrap();
    let row = shown.lines().find(|row| row.split_whitespace().nth(1) == Some(&id)).expect("ipcs shows it");
    let words: Vec<_> = row.split_whitespace().collect();
    let key = format!("0x{:08x}", memory.key().unwrap().get());
    assert_eq!((words[0], words[3], words[4]), (key.as_str(), "640", "12345"), "{row}");

    let mapping = memory.map().unwrap();
    assert!(!memory.is_removed().unwrap());
    assert!(Command::new("ipcrm").args(["-m", &id]).status().unwrap().success());
    // It is marked, and we have it mapped still.
    assert!(memory.is_removed().unwrap());
    mapping.set(0, 1u8).unwrap();
    assert_eq!(kind(memory.map()), ErrorKind::Removed);
    assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
    drop(mapping);
    assert!(memory.is_removed().unwrap());
    assert_eq!(told(memory.map()), (ErrorKind::Removed, Some(libc::EINVAL)));
    Completion::Completed
}

/// Refuses a system call of this process and its threads from now on, if its argument has these bits.
#[allow(unsafe_code)]
fn refuse(call: libc::c_long, argument: u32, bits: u32, error: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let word = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let mut filter = [
        statement(word, 0),
        jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 3),
        statement(word, 16 + 8 * argument),
        jump(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | error as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program lives through the call, and is as long as it says.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let done = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program);
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Drafts have a name there: one that nobody looks for, and that goes with its builder, or after it.
fn a_file_system_without_unnamed_files() {
    for refused in ["", "rename"] {
        let place = Directory::new();
        let file = Place::file(place.path().join("x"));
        let mut killed = Actor::start(&place, &format!("named hang {refused}"));
        assert_eq!(killed.line(), "inside");
        let left = place.objects();
        assert!(left.len() == 1 && left[0].starts_with(".annulus-building."), "{left:?}");
        assert_eq!(kind(shm::at(&file).open()), ErrorKind::NotFound);
        // One who builds meanwhile leaves it alone: its builder lives.
        let mut other = Actor::start(&place, &format!("named other {refused}"));
        assert_eq!(other.line(), "made");
        assert_eq!(place.objects().len(), 2);
        shm::remove(Place::file(place.path().join("other"))).unwrap();
        killed.kill();
        assert_eq!(place.objects(), left, "a killed one cannot");
        let mut next = Actor::start(&place, &format!("named make {refused}"));
        assert_eq!(next.line(), "made");
        assert_eq!(place.objects(), ["x"], "the next one does");
        let memory = shm::at(&file).size(5000).open().unwrap();
        assert_eq!(memory.map().unwrap().get::<u8>(4999).unwrap(), 7);
        assert_eq!(fs::metadata(place.path().join("x")).unwrap().nlink(), 1);
        assert_eq!(kind(shm::at(&file).size(1).create_new()), ErrorKind::AlreadyExists);
        let mut beaten = Actor::start(&place, &format!("named beaten {refused}"));
        assert_eq!(beaten.line(), "made by another");
        assert_eq!(place.objects(), ["x"]);
    }
}

pub(crate) fn named(how: &str, place: &Path) {
    let (how, refused) = how.split_once(' ').unwrap();
    refuse(libc::SYS_openat, 2, libc::O_TMPFILE as u32 & !libc::O_DIRECTORY as u32, libc::EOPNOTSUPP);
    if refused == "rename" {
        refuse(libc::SYS_renameat2, 4, libc::RENAME_NOREPLACE, libc::EINVAL);
    }
    let name = if how == "other" { "other" } else { "x" };
    let path = place.join(name);
    let init = |_: &mut [u8]| match how {
        "hang" => {
            say("inside");
            std::thread::sleep(Duration::from_secs(30));
        }
        "beaten" => fs::write(&path, "another").unwrap(),
        _ => {}
    };
    if how == "beaten" {
        fs::remove_file(&path).unwrap();
    }
    let memory = shm::at(Place::file(&path)).size(5000).fill(7).init(init);
    if how != "beaten" {
        memory.open_or_create().unwrap();
        return say("made");
    }
    // Somebody gave its name to another meanwhile.
    assert_eq!(kind(memory.create_new()), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"another");
    say("made by another");
}

/// Segments as other programs make them, in any mode.
#[allow(unsafe_code)]
fn foreign_segments() {
    for mode in [0o600, 0o666, 0o644, 0o755, 0o777, 0o711] {
        let here = SystemV::new();
        let Place::Key(key) = here.place() else { unreachable!() };
        // SAFETY: the call takes numbers only.
        let id = unsafe { libc::shmget(key.get(), 5000, libc::IPC_CREAT | libc::IPC_EXCL | mode) };
        assert!(id >= 0);
        let memory = here.at().size(5000).fill(1).open_or_create().unwrap();
        assert!(!memory.created());
        assert_eq!((memory.id(), memory.map().unwrap().get::<u8>(0).unwrap()), (Some(id), 0));
        assert_eq!(memory.status().unwrap().mode, mode as u32);
    }
}
