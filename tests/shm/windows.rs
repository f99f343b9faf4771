//! What Windows has in its own way: sections of the page file, by Windows' own calls on the other side.

#![allow(unsafe_code, reason = "Windows' calls have no safe form")]

use crate::conformance::{kind, unsupported};
use crate::kinds::{File, Kind, PageFile, unique};
use crate::support::Place as Directory;
use crate::support::actor::{Actor, Done, Named, say};
use annulus::shm::{self, ErrorKind, Key, Place};
use libtest_mimic::Completion;
use std::fs;
use std::io::{BufRead, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_USER_MAPPED_FILE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MapViewOfFile, OpenFileMappingW,
    PAGE_READWRITE, SEC_RESERVE, VirtualAlloc,
};
use windows_sys::Win32::System::Threading::{CreateEventW, GetCurrentProcess};

pub(crate) fn all(tests: &mut Vec<Named<Done>>) {
    macro_rules! tests {
        ($($test:ident),*) => { $(tests.push((stringify!($test).into(), || $test().into()));)* };
    }
    tests![
        names,
        what_windows_does_not_have,
        what_is_no_memory,
        sections_of_other_programs,
        others_may_see_it_half_made,
        more_than_four_gibibytes,
        passed_to_another_process,
        nobody_cuts_off_what_is_mapped,
        a_file_removed_under_its_users
    ];
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// As a program in C makes it.
fn create(name: &str, bytes: u64, also: u32) -> OwnedHandle {
    let name = wide(name);
    let (high, low) = ((bytes >> 32) as u32, bytes as u32);
    // SAFETY: the name is terminated, and lives through the call; the handle is nobody else's.
    unsafe {
        let made =
            CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE | also, high, low, name.as_ptr());
        assert!(!made.is_null(), "{}", std::io::Error::last_os_error());
        OwnedHandle::from_raw_handle(made)
    }
}

fn is_found(name: &str) -> bool {
    let name = wide(name);
    // SAFETY: the name is terminated, and lives through the call; a handle is nobody else's, and closed here.
    unsafe {
        let found = OpenFileMappingW(FILE_MAP_READ, 0, name.as_ptr());
        !found.is_null() && OwnedHandle::from_raw_handle(found).as_raw_handle() == found
    }
}

fn an_event(name: Option<&str>) -> OwnedHandle {
    let name = name.map(wide);
    // SAFETY: the name, if there is one, is terminated, and lives through the call; the handle is nobody else's.
    unsafe {
        let event = CreateEventW(null(), 1, 0, name.as_ref().map_or(null(), |name| name.as_ptr()));
        OwnedHandle::from_raw_handle(event)
    }
}

fn names() {
    for name in ["", r"Local\", r"Global\", "a\0b", r"Elsewhere\x", r"Local\a\b"] {
        let place = || Place::page_file(name);
        for result in [shm::at(place()).open().err(), shm::at(place()).size(1).create_new().err()] {
            let error = result.unwrap();
            assert!(matches!(error.kind(), ErrorKind::BadName { .. }), "{name:?}: {error}");
        }
    }
    // A plain name is one of this session, and so is its lock; a global one is another.
    let name = unique();
    let plain = shm::at(Place::page_file(&name)).size(10).fill(3).create_new().unwrap();
    let local = shm::at(Place::page_file(format!(r"Local\{name}"))).size(10).open().unwrap();
    assert_eq!(local.map().unwrap().get::<u8>(9).unwrap(), 3);
    let guard = local.lock(Duration::ZERO).unwrap();
    assert_eq!(kind(plain.lock(Duration::ZERO)), ErrorKind::Busy);
    let global = Place::page_file(format!(r"Global\annulus-{name}"));
    let made = shm::at(&global).size(20).fill(4).create_new().unwrap();
    assert_eq!(shm::at(&global).size(20).open().unwrap().map().unwrap().get::<u8>(19).unwrap(), 4);
    assert_eq!(kind(shm::at(&global).size(20).create_new()), ErrorKind::AlreadyExists);
    drop(made.lock(Duration::ZERO).unwrap());
    drop((guard, made));
    assert_eq!(kind(shm::at(&global).open()), ErrorKind::NotFound, "it went with the last who had it");

    let long = Place::file(std::env::temp_dir().join("no such directory").join("x"));
    assert_eq!(kind(shm::at(long).size(1).create_new()), ErrorKind::NotFound);
}

fn what_windows_does_not_have() {
    for place in [Place::posix("/x"), Place::key(0x1234), Place::key(Key::PRIVATE), Place::id(7)] {
        unsupported(shm::at(&place).open());
        unsupported(shm::at(&place).size(1).create_new());
        unsupported(shm::at(&place).size(1).open_or_create());
        unsupported(shm::remove(&place));
    }
    unsupported(Key::ftok(std::env::temp_dir(), b'A'));
}

fn what_is_no_memory() {
    let directory = Directory::new();
    let inside = Place::file(directory.path().join("directory"));
    fs::create_dir(directory.path().join("directory")).unwrap();
    for memory in [shm::at(&inside), shm::at(&inside).read_only()] {
        assert!(matches!(kind(memory.open()), ErrorKind::NotMemory { .. }));
    }
    assert_eq!(kind(shm::at(&inside).size(1).create_new()), ErrorKind::AlreadyExists);
    assert!(matches!(kind(shm::remove(&inside)), ErrorKind::NotMemory { .. }));

    let name = unique();
    let _event = an_event(Some(&name));
    let place = Place::page_file(&name);
    assert!(matches!(kind(shm::at(&place).open()), ErrorKind::NotMemory { .. }));
    assert_eq!(kind(shm::at(&place).size(1).create_new()), ErrorKind::AlreadyExists);
    let taken = shm::at(Place::anonymous()).from_handle(an_event(None));
    assert!(matches!(kind(taken), ErrorKind::NotMemory { .. }));
    let named = shm::at(&place).from_handle(create(&unique(), 1, 0));
    assert!(matches!(kind(named), ErrorKind::BadParameter { .. }));
}

fn sections_of_other_programs() {
    for prefix in ["", r"Local\", r"Global\"] {
        let name = format!("{prefix}MyFileMappingObject-{}", unique());
        let place = Place::page_file(&name);
        let theirs = create(&name, 256, 0);
        let memory = shm::at(&place).size(256).fill(9).open_or_create().unwrap();
        assert!(!memory.created());
        assert_eq!(memory.map().unwrap().get::<u8>(0).unwrap(), 0);
        // It stays while we have it, as a handle, or mapped.
        drop(theirs);
        let mapping = memory.map().unwrap();
        mapping.write(0, b"Message").unwrap();
        drop(memory);
        let whole = shm::at(&place).read_only().open().unwrap();
        assert_eq!(whole.size().unwrap(), shm::page_bytes() as u64, "Windows knows pages only");
        assert_eq!(whole.map().unwrap().get::<[u8; 7]>(0).unwrap(), *b"Message");
        assert!(is_found(&name));
        drop((whole, mapping));
        assert!(!is_found(&name), "and goes with the last");
    }
    // One that is there in part: reserved, and not committed.
    let name = unique();
    let theirs = create(&name, 1 << 20, SEC_RESERVE);
    // SAFETY: a new mapping touches nothing that exists; its first page is made to be there.
    unsafe {
        let view = MapViewOfFile(theirs.as_raw_handle(), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0).Value;
        assert_eq!(VirtualAlloc(view, 4096, MEM_COMMIT, PAGE_READWRITE), view);
    }
    assert_eq!(shm::at(Place::page_file(&name)).open().unwrap().size().unwrap(), 1 << 20);
}

/// What our own wait for, nobody keeps from others.
fn others_may_see_it_half_made() {
    let here = PageFile::new();
    let Place::PageFile(name) = here.place() else { unreachable!() };
    let mut seen = false;
    let memory = here.at().size(10).init(|_| seen = is_found(name.to_str().unwrap())).create_new().unwrap();
    assert!(seen && memory.created());
}

fn more_than_four_gibibytes() -> Completion {
    let here = PageFile::new();
    let (size, beyond) = ((5 << 30) + 7, (4 << 30) + 65_537_u64);
    let memory = match here.at().size(size).create_new() {
        // It is promised in full, whether it is used or not.
        Err(error) if *error.kind() == ErrorKind::NoSpace => {
            return Completion::ignored_with(format!("NOT RUN: {error}"));
        }
        memory => memory.unwrap(),
    };
    memory.map_range(beyond..).unwrap().set(0, 0x1234_5678u32).unwrap();
    let other = here.open(&memory);
    assert_eq!(other.size().unwrap(), size);
    let whole = other.map().unwrap();
    assert_eq!(whole.len() as u64, size);
    assert_eq!(whole.get::<u32>(beyond).unwrap(), 0x1234_5678);
    assert_eq!(whole.get::<u32>(beyond - (4 << 30)).unwrap(), 0, "32 bits of it would lead here");
    assert_eq!(whole.get::<u8>(size - 1).unwrap(), 0);
    let found = here.at().open().unwrap().size().unwrap();
    assert_eq!(found, size.next_multiple_of(shm::page_bytes() as u64));
    Completion::Completed
}

fn passed_to_another_process() {
    let memory = shm::at(Place::anonymous()).size(100).fill(5).create_new().unwrap();
    let place = Directory::new();
    let mut other = Actor::start(&place, "take");
    let mut theirs = null_mut();
    // SAFETY: the handles are open, and the result lives through the call.
    let done = unsafe {
        let (ours, process) = (memory.as_handle().as_raw_handle(), other.child.as_raw_handle());
        DuplicateHandle(GetCurrentProcess(), ours, process, &raw mut theirs, 0, 0, DUPLICATE_SAME_ACCESS)
    };
    assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
    writeln!(other.child.stdin.as_mut().unwrap(), "{}", theirs.addr()).unwrap();
    assert_eq!(other.line(), "stored");
    assert_eq!(memory.map().unwrap().get::<u32>(4).unwrap(), 7);
}

/// Takes over memory whose handle it is told.
pub(crate) fn take() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let handle = std::ptr::without_provenance_mut(line.trim().parse().unwrap());
    // SAFETY: it was duplicated for this process, which nobody told of it but us.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    let memory = shm::at(Place::anonymous()).size(100).from_handle(handle).unwrap();
    assert!(!memory.created());
    let mapping = memory.map().unwrap();
    assert_eq!(mapping.get::<u8>(99).unwrap(), 5);
    mapping.set(4, 7u32).unwrap();
    say("stored");
}

fn nobody_cuts_off_what_is_mapped() {
    let here = File::new();
    let memory = here.at().size(10_000).create_new().unwrap();
    let mapping = here.open(&memory).map().unwrap();
    let error = memory.resize(100).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Mapped, "{error}");
    assert_eq!(error.raw_os_error(), Some(ERROR_USER_MAPPED_FILE.cast_signed()));
    assert_eq!(memory.size().unwrap(), 10_000, "it is as it was");
    drop(mapping);
    memory.resize(100).unwrap();
    assert_eq!(memory.size().unwrap(), 100);
}

/// The name is free at once, and nothing is left when nobody has it any more.
fn a_file_removed_under_its_users() {
    let directory = Directory::new();
    let path: PathBuf = directory.path().join("x");
    let memory = shm::at(Place::file(&path)).size(100).fill(1).create_new().unwrap();
    let mapping = memory.map().unwrap();
    memory.remove().unwrap();
    assert!(!path.exists());
    // Whatever has its name by then is another.
    fs::create_dir(&path).unwrap();
    assert!(memory.is_removed().unwrap() && memory.status().unwrap().removed);
    assert_eq!(kind(memory.remove()), ErrorKind::Removed);
    fs::remove_dir(&path).unwrap();
    let second = shm::at(Place::file(&path)).size(200).create_new().unwrap();
    assert_eq!(mapping.get::<u8>(99).unwrap(), 1);
    drop((mapping, memory));
    second.remove().unwrap();
    drop(second);
    let third = shm::at(Place::file(&path)).size(1).create_new().unwrap();
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["x"], "whoever makes one there takes away what was left");
    third.remove().unwrap();
}
