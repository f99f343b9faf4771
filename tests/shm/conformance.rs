//! What every kind of object does alike; and where one cannot, that it says so.

use crate::actor::{Done, Named};
use crate::kinds::Kind;
use annulus::shm::{self, Access, Error, ErrorKind, HugePages};
use bytemuck::{Pod, Zeroable};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// Adds the suite for one kind.
pub(crate) fn of<K: Kind + 'static>(tests: &mut Vec<Named<Done>>) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => { $(tests.push((format!("{}::{}", K::NAME, stringify!($case)), || $case::<K>().into()));)* };
    }
    cases![
        made_and_found,
        made_once,
        content_comes_first,
        a_maker_that_panics_leaves_nothing,
        only_to_look,
        regions,
        at_an_address,
        copy_on_write,
        another_size,
        removed_while_it_is_mapped,
        who_may_do_what,
        one_at_a_time,
        typed_access,
        atomics,
        flushed,
        pages,
        handles_of_handles,
        parameters,
        listed,
    ];
}

pub(crate) fn kind(error: Result<impl Sized, Error>) -> ErrorKind {
    error.err().expect("this is an error").kind().clone()
}

/// That it says so, and why.
pub(crate) fn unsupported(error: Result<impl Sized, Error>) {
    let error = error.err().expect("this is not supported");
    let ErrorKind::Unsupported { what, why } = error.kind() else { panic!("{error}") };
    let text = error.to_string();
    assert!(text.contains(what) && text.contains(why) && why.len() > 10, "{text}");
}

fn made_and_found<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(1000).fill(1).create_new().unwrap();
    assert!(memory.created());
    assert_eq!(memory.size().unwrap(), 1000);
    assert_eq!(*memory.place(), here.place());
    assert_eq!(memory.access(), Access::ReadWrite);

    let other = here.open(&memory);
    assert!(!other.created());
    assert_eq!(other.size().unwrap(), 1000, "its size is not rounded");
    let (one, two) = (memory.map().unwrap(), other.map().unwrap());
    assert_eq!((two.len(), two.offset()), (1000, 0));
    assert_ne!(one.address(), two.address());
    let mut bytes = [0u8; 1000];
    two.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 1000]);
    one.set(999, 7u8).unwrap();
    assert_eq!(two.get::<u8>(999).unwrap(), 7);

    assert_eq!(here.open_with(&memory, |options| options.size(1000)).unwrap().size().unwrap(), 1000);
    // Windows says how many pages a section has.
    let (found, others) = match K::CAN.exact {
        true => (1000, vec![0, 1, 999, 1001, 4096]),
        false => (4096, vec![0, 4097, 8192, u64::MAX]),
    };
    for wanted in others {
        let mismatch = ErrorKind::SizeMismatch { found, wanted };
        assert_eq!(kind(here.open_with(&memory, |options| options.size(wanted))), mismatch);
    }

    // Dropped, it stays; or it goes, and not before its last mapping does.
    drop((memory, other, one));
    if K::CAN.name {
        if K::CAN.stays {
            drop(two);
        }
        let later = here.at().open().unwrap();
        assert_eq!(later.map().unwrap().get::<u8>(999).unwrap(), 7);
    }
}

fn made_once<K: Kind>() {
    let here = K::new();
    if !K::CAN.name {
        let (one, two) =
            (here.at().size(8).open_or_create().unwrap(), here.at().size(8).open_or_create().unwrap());
        assert!(one.created() && two.created(), "each is a new one");
        one.map().unwrap().set(0, 5u64).unwrap();
        assert_eq!(two.map().unwrap().get::<u64>(0).unwrap(), 0);
        return unsupported(here.at().open());
    }
    assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
    if K::CAN.stays {
        assert_eq!(kind(shm::remove(here.place())), ErrorKind::NotFound);
    } else {
        unsupported(shm::remove(here.place()));
    }
    let first = here.at().size(8).fill(1).open_or_create().unwrap();
    assert!(first.created());
    let second = here.at().size(8).fill(2).open_or_create().unwrap();
    assert!(!second.created());
    assert_eq!(second.map().unwrap().get::<u8>(0).unwrap(), 1);
    let mut ran = false;
    assert_eq!(kind(here.at().size(8).init(|_| ran = true).create_new()), ErrorKind::AlreadyExists);
    assert!(!ran, "it has nothing to give content to");
    let (found, wanted) = if K::CAN.exact { (8, 9) } else { (4096, 4097) };
    assert_eq!(kind(here.at().size(wanted).open_or_create()), ErrorKind::SizeMismatch { found, wanted });
}

fn content_comes_first<K: Kind>() {
    let here = K::new();
    let mut runs = 0;
    let content = |bytes: &mut [u8]| {
        runs += 1;
        assert_eq!(bytes, [3; 5000]);
        if K::CAN.name && !K::IS_WAITED_FOR {
            assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
        }
        bytes[4999] = 4;
    };
    let memory = here.at().size(5000).fill(3).init(content).open_or_create().unwrap();
    assert_eq!(runs, 1);
    let mapping = memory.map().unwrap();
    assert_eq!((mapping.get::<u8>(4998).unwrap(), mapping.get::<u8>(4999).unwrap()), (3, 4));
    let here = K::new();
    let memory = here.at().size(5000).create_new().unwrap();
    let mut bytes = [1u8; 5000];
    memory.map().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 5000], "zeroes without a word");
}

fn a_maker_that_panics_leaves_nothing<K: Kind>() {
    let here = K::new();
    let made = catch_unwind(AssertUnwindSafe(|| {
        here.at().size(100).init(|_| resume_unwind(Box::new("on purpose"))).open_or_create()
    }));
    assert!(made.is_err());
    if K::CAN.name {
        assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
        assert!(here.at().size(8).open_or_create().unwrap().created());
    }
}

fn only_to_look<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).fill(1).create_new().unwrap();
    let look = here.open_with(&memory, |options| options.read_only()).unwrap();
    assert_eq!(look.access(), Access::ReadOnly);
    for mapping in [look.map().unwrap(), memory.mapping().read_only().map().unwrap()] {
        assert_eq!(mapping.access(), Access::ReadOnly);
        assert_eq!(mapping.get::<u8>(99).unwrap(), 1);
        assert_eq!(kind(mapping.set(0, 1u8)), ErrorKind::ReadOnly);
        assert_eq!(kind(mapping.write(0, &[1u8])), ErrorKind::ReadOnly);
        assert_eq!(kind(mapping.atomic_u32(0)), ErrorKind::ReadOnly);
        mapping.flush().unwrap();
    }
    assert!(matches!(kind(look.resize(200)), ErrorKind::ReadOnly | ErrorKind::Unsupported { .. }));
    assert_eq!(kind(look.resize(200)) == ErrorKind::ReadOnly, K::CAN.resize || K::CAN.descriptor);
    memory.map().unwrap().set(0, 9u8).unwrap();
    assert_eq!(look.map().unwrap().get::<u8>(0).unwrap(), 9);
    // And one that is made so.
    let here = K::new();
    let made = here.at().size(10).fill(2).read_only().create_new().unwrap();
    assert_eq!((made.access(), made.created()), (Access::ReadOnly, true));
    assert_eq!(made.map().unwrap().get::<u8>(9).unwrap(), 2);
}

fn regions<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(10_000).create_new().unwrap();
    let whole = memory.map().unwrap();
    for at in 0..10_000 {
        whole.set(at, (at % 251) as u8).unwrap();
    }
    let page = shm::page_bytes() as u64;
    for (first, end) in [(0, 1), (1, 2), (page - 1, page + 1), (page, 2 * page), (4097, 9999), (9999, 10_000)]
    {
        let part = memory.map_range(first..end).unwrap();
        assert_eq!((part.offset(), part.len() as u64), (first, end - first));
        let mut bytes = vec![0u8; part.len()];
        part.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().zip(first..).all(|(byte, at)| u64::from(*byte) == at % 251), "{first}..{end}");
        part.set(0, 255u8).unwrap();
        assert_eq!(whole.get::<u8>(first).unwrap(), 255, "they are of one object");
        whole.set(first, (first % 251) as u8).unwrap();
        let outside = ErrorKind::OutOfRange { offset: end - first, bytes: 1, size: end - first };
        assert_eq!(kind(part.get::<u8>(end - first)), outside);
    }
    assert_eq!(memory.map_range(9_000..).unwrap().len(), 1000);
    assert_eq!(memory.map_range(..=9).unwrap().len(), 10);
    for (first, end) in [(0, 10_001), (5, 5), (10_000, 10_001), (7, 3), (u64::MAX - 1, u64::MAX)] {
        assert!(
            matches!(kind(memory.map_range(first..end)), ErrorKind::OutOfRange { size: 10_000, .. }),
            "{first}..{end}"
        );
    }
    let (one, two) = (memory.map_range(100..200).unwrap(), memory.map_range(150..250).unwrap());
    assert_ne!(one.address(), two.address());
    one.set(50, 0xABu8).unwrap();
    assert_eq!(two.get::<u8>(0).unwrap(), 0xAB);
}

fn at_an_address<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(3 * shm::page_bytes() as u64).fill(6).create_new().unwrap();
    // An address that is free: in the middle of one that was mapped just now.
    let address = {
        let other = K::new();
        let large = other.at().size(64 * shm::page_bytes() as u64).create_new().unwrap();
        let mapped = large.map().unwrap();
        mapped.address() + 16 * shm::page_bytes()
    };
    if !K::CAN.address {
        return unsupported(memory.mapping().at_address(address).map());
    }
    // Another thread of this program may take it first.
    let Ok(fixed) = memory.mapping().at_address(address).map() else { return at_an_address::<K>() };
    assert_eq!(fixed.address(), address);
    assert_eq!(fixed.get::<u8>(0).unwrap(), 6);

    let error = memory.mapping().at_address(address).map().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AddressTaken { address }, "{error}");
    assert!(error.raw_os_error().is_some());
    assert_eq!(fixed.get::<u8>(0).unwrap(), 6, "what was there is there");
    let granule = shm::address_granularity() as u64;
    for wrong in [address + 1, address + 8, 1] {
        let misaligned = ErrorKind::Misaligned { at: wrong as u64, to: granule, remainder: 0 };
        assert_eq!(kind(memory.mapping().at_address(wrong).map()), misaligned);
    }
    drop(fixed);
    let page = shm::page_bytes() as u64;
    // The first byte of a part lies where it was asked for.
    match memory.mapping().range(page + 5..).at_address(address + shm::page_bytes() + 5).map() {
        Ok(part) => {
            assert_eq!(part.address(), address + shm::page_bytes() + 5);
            memory.map().unwrap().set(page + 5, 8u8).unwrap();
            assert_eq!(part.get::<u8>(0).unwrap(), 8);
        }
        Err(error) => assert!(matches!(error.kind(), ErrorKind::AddressTaken { .. }), "{error}"),
    }
    let misaligned = ErrorKind::Misaligned { at: address as u64, to: granule, remainder: 5 };
    assert_eq!(kind(memory.mapping().range(5..).at_address(address).map()), misaligned);
}

fn copy_on_write<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).fill(1).create_new().unwrap();
    let look = here.open_with(&memory, |options| options.read_only()).unwrap();
    for memory in [&memory, &look] {
        let private = memory.mapping().copy_on_write().map();
        if !K::CAN.copy_on_write {
            unsupported(private);
            continue;
        }
        let private = private.unwrap();
        assert_eq!(private.access(), Access::CopyOnWrite);
        private.set(0, 2u8).unwrap();
        private.atomic_u32(4).unwrap().store(7, Relaxed);
        assert_eq!((private.get::<u8>(0).unwrap(), private.get::<u32>(4).unwrap()), (2, 7));
        let mapping = memory.map().unwrap();
        assert_eq!((mapping.get::<u8>(0).unwrap(), mapping.get::<u8>(4).unwrap()), (1, 1));
        unsupported(private.flush());
    }
}

fn another_size<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).fill(1).create_new().unwrap();
    if !K::CAN.resize {
        unsupported(memory.resize(200));
        unsupported(memory.resize(10));
        assert_eq!(memory.size().unwrap(), 100);
        return;
    }
    let before = memory.map().unwrap();
    if cfg!(windows) {
        assert_eq!(kind(memory.resize(10)), ErrorKind::Mapped);
        memory.resize(200).unwrap(); // larger it may become
    }
    let len = before.len();
    let _before = cfg!(unix).then_some(before);
    for size in [200, 5000, 5001, 100_000, 50, 1 << 20, 7, 0, 3] {
        let was = memory.size().unwrap();
        memory.resize(size).unwrap();
        assert_eq!((memory.size().unwrap(), here.open(&memory).size().unwrap()), (size, size));
        if size == 0 {
            assert_eq!(kind(memory.map()), ErrorKind::OutOfRange { offset: 0, bytes: 0, size: 0 });
            continue;
        }
        let mapping = memory.map().unwrap();
        let mut bytes = vec![9u8; size as usize];
        mapping.read(0, &mut bytes).unwrap();
        let kept = was.min(size).min(100) as usize;
        assert!(
            bytes[kept.min(was as usize)..].iter().all(|byte| *byte == 0) || was > size,
            "{was} to {size}"
        );
        mapping.write(0, &vec![0u8; size as usize]).unwrap();
        mapping.write(0, &[1u8; 3]).unwrap();
    }
    assert_eq!(len, 100, "a mapping keeps its length");
    assert_eq!(kind(memory.resize(u64::MAX)), ErrorKind::TooLarge);
    assert_eq!(memory.size().unwrap(), 3);
}

fn removed_while_it_is_mapped<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).fill(1).create_new().unwrap();
    let mapping = memory.map().unwrap();
    assert!(!memory.is_removed().unwrap());
    if !K::CAN.stays {
        unsupported(memory.remove());
        return unsupported(shm::remove(here.place()));
    }
    let by_name = here.at().open().unwrap();
    memory.remove().unwrap();
    assert!(memory.is_removed().unwrap() && by_name.is_removed().unwrap());
    assert_eq!(kind(here.at().open()), ErrorKind::NotFound);
    mapping.set(5, 7u8).unwrap();
    assert_eq!((mapping.get::<u8>(5).unwrap(), mapping.get::<u8>(99).unwrap()), (7, 1));

    // The name is free at once, and what has it now is another object, which the old handle leaves alone.
    let second = here.at().size(200).fill(2).create_new().unwrap();
    assert_eq!(here.at().open().unwrap().size().unwrap(), 200);
    assert!(!second.is_removed().unwrap());
    assert_eq!(mapping.get::<u8>(5).unwrap(), 7);
    match K::NAME {
        "sysv" => memory.remove().unwrap(), // it is marked, and may be so again
        _ => assert_eq!(kind(memory.remove()), ErrorKind::Removed),
    }
    assert_eq!(here.at().open().unwrap().size().unwrap(), 200);
    drop(mapping);
    if K::NAME == "sysv" {
        assert_eq!(kind(memory.remove()), ErrorKind::Removed);
        assert_eq!(kind(memory.map()), ErrorKind::Removed);
        assert_eq!(kind(memory.status()), ErrorKind::Removed);
        assert_eq!(kind(memory.lock(LONG)), ErrorKind::Removed);
    }
    shm::remove(here.place()).unwrap();
    assert_eq!(kind(shm::remove(here.place())), ErrorKind::NotFound);
}

fn who_may_do_what<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(10).create_new().unwrap();
    let status = memory.status().unwrap();
    assert_eq!((status.size, status.removed), (10, K::NAME == "anonymous" && cfg!(unix)));
    assert_eq!(status.mode, if cfg!(unix) { 0o600 } else { 0 });
    let (user, group) = us(&status);
    assert_eq!((status.owner, status.group), (user, group));
    if !K::CAN.access {
        unsupported(memory.set_mode(0o640));
        unsupported(memory.set_group(group));
        unsupported(memory.set_owner(user));
        let there = K::new(); // which removes what is made there
        let other = || there.at().size(10);
        unsupported(other().mode(0o640).create_new());
        unsupported(other().group(group).create_new());
        unsupported(other().owner(user).open_or_create());
        if K::NAME == "portable" {
            assert!(other().mode(0o600).create_new().is_ok());
        }
        return;
    }
    for mode in [0o640, 0o666, 0o600, 0o444, 0o606] {
        memory.set_mode(mode).unwrap();
        assert_eq!(memory.status().unwrap().mode, mode);
        let other = K::new();
        let made = other.at().size(10).mode(mode).group(group).owner(user).create_new().unwrap();
        assert_eq!(made.status().unwrap().mode, mode, "whatever the umask");
    }
    memory.set_group(group).unwrap();
    memory.set_owner(user).unwrap();
    if let Some(creator) = status.creator {
        assert_eq!(creator, std::process::id());
        let before = memory.status().unwrap().attached.unwrap();
        let _mapping = memory.map().unwrap();
        assert_eq!(memory.status().unwrap().attached.unwrap(), before + 1);
    }
}

/// This user, and its group.
#[cfg(unix)]
fn us(_: &shm::Status) -> (u32, u32) {
    // SAFETY: neither has preconditions.
    #[allow(unsafe_code)]
    unsafe {
        (libc::geteuid(), libc::getegid())
    }
}

/// Windows has no groups, and Wine does not say whose a section is.
#[cfg(windows)]
fn us(status: &shm::Status) -> (u32, u32) {
    (status.owner, 0)
}

fn one_at_a_time<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(16).create_new().unwrap();
    if !K::CAN.lock {
        return unsupported(memory.lock(Duration::ZERO));
    }
    let other = here.open(&memory);
    let guard = memory.lock(LONG).unwrap();
    for handle in [&memory, &other] {
        assert_eq!(kind(handle.lock(Duration::ZERO)), ErrorKind::Busy);
    }
    assert_eq!(
        guard
            .update(8, |value: &mut u64| {
                *value += 5;
                *value
            })
            .unwrap(),
        5
    );
    guard.write(0, &[1u16, 2]).unwrap();
    let mut values = [0u16; 2];
    guard.read(0, &mut values).unwrap();
    guard.set(4, 9u32).unwrap();
    assert_eq!((values, guard.get::<u32>(4).unwrap()), ([1, 2], 9));
    assert!(matches!(kind(guard.get::<u64>(9)), ErrorKind::OutOfRange { .. }));
    drop(guard);

    // Threads that share one handle, and ones that have another: none of a thousand additions is lost.
    let before = other.lock(LONG).unwrap().get::<u64>(8).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let handle = if thread % 2 == 0 { &memory } else { &other };
            scope.spawn(move || {
                for _ in 0..50 {
                    handle
                        .lock(LONG)
                        .unwrap()
                        .update(8, |value: &mut u64| {
                            let was = *value;
                            std::thread::yield_now();
                            *value = was + 1;
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(memory.map().unwrap().get::<u64>(8).unwrap(), before + 200);

    let look = here.open_with(&memory, |options| options.read_only()).unwrap();
    let guard = look.lock(LONG).unwrap();
    assert_eq!(kind(memory.lock(Duration::ZERO)), ErrorKind::Busy);
    assert_eq!(guard.get::<u64>(8).unwrap(), before + 200);
    assert_eq!(kind(guard.set(8, 0u64)), ErrorKind::ReadOnly);
}

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Mixed {
    a: u32,
    b: [u8; 4],
    c: f32,
}

fn typed_access<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(256).create_new().unwrap();
    let mapping = memory.map().unwrap();
    fn at_every_offset<T: Pod + PartialEq + std::fmt::Debug>(mapping: &shm::Mapping, values: [T; 3]) {
        let bytes = size_of_val(&values) as u64;
        for offset in 0..=(256 - bytes) {
            mapping.write(0, &[0xEEu8; 256]).unwrap();
            mapping.write(offset, &values).unwrap();
            let mut found = [T::zeroed(); 3];
            mapping.read(offset, &mut found).unwrap();
            assert_eq!(found, values);
            assert_eq!(mapping.get::<T>(offset + bytes / 3).unwrap(), values[1]);
            mapping.set(offset, values[2]).unwrap();
            assert_eq!(mapping.get::<T>(offset).unwrap(), values[2]);
            let mut all = [0u8; 256];
            mapping.read(0, &mut all).unwrap();
            let (first, end) = (offset as usize, (offset + bytes) as usize);
            let untouched = all[..first].iter().chain(&all[end..]).all(|byte| *byte == 0xEE);
            assert!(untouched, "{offset}");
            let expected = [values[2], values[1], values[2]];
            assert_eq!(all[first..end], *bytemuck::cast_slice::<T, u8>(&expected));
        }
        for offset in [257 - bytes, 256, 257, u64::MAX, u64::MAX - bytes + 1] {
            let outside = ErrorKind::OutOfRange { offset, bytes, size: 256 };
            assert_eq!(kind(mapping.write(offset, &values)), outside);
            assert_eq!(kind(mapping.read(offset, &mut [T::zeroed(); 3])), outside);
        }
    }
    at_every_offset(&mapping, [1u8, 2, 3]);
    at_every_offset(&mapping, [0x1122u16, 0x3344, 0x5566]);
    at_every_offset(&mapping, [-1i32, 1 << 30, 7]);
    at_every_offset(&mapping, [f64::MIN, 0.5, -0.0]);
    at_every_offset(&mapping, [[1u8, 2, 3], [4, 5, 6], [7, 8, 9]]);
    at_every_offset(&mapping, [u128::MAX - 5, 1 << 100, 77]);
    let mixed = |a| Mixed { a, b: [1, 2, 3, a as u8], c: a as f32 };
    at_every_offset(&mapping, [mixed(1), mixed(2), mixed(3)]);
    mapping.write::<u64>(256, &[]).unwrap();
    assert!(mapping.write::<u64>(257, &[]).is_err());
}

fn atomics<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(100).create_new().unwrap();
    let (one, two) = (memory.map().unwrap(), here.open(&memory).map().unwrap());
    one.atomic_u64(8).unwrap().store(1 << 40, Relaxed);
    assert_eq!(two.atomic_u64(8).unwrap().fetch_add(1, Relaxed), 1 << 40);
    assert_eq!(one.get::<u64>(8).unwrap(), (1 << 40) + 1);
    two.atomic_u8(99).unwrap().store(3, Relaxed);
    two.atomic_u16(96).unwrap().store(4, Relaxed);
    two.atomic_i32(92).unwrap().store(-5, Relaxed);
    assert_eq!(one.get::<u8>(99).unwrap(), 3);
    assert_eq!((one.get::<u16>(96).unwrap(), one.get::<i32>(92).unwrap()), (4, -5));
    for offset in [1, 2, 3, 5, 94] {
        let at = one.address() as u64 + offset;
        assert_eq!(kind(one.atomic_u32(offset)), ErrorKind::Misaligned { at, to: 4, remainder: 0 });
    }
    for offset in [97, 100, u64::MAX] {
        assert_eq!(kind(one.atomic_u32(offset)), ErrorKind::OutOfRange { offset, bytes: 4, size: 100 });
    }
    // What counts is the address, not the offset.
    let odd = memory.map_range(1..).unwrap();
    assert!(odd.atomic_u64(0).is_err());
    assert_eq!(odd.atomic_u64(7).unwrap().load(Relaxed), (1 << 40) + 1);
}

fn flushed<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(20_000).create_new().unwrap();
    for mapping in [memory.map().unwrap(), memory.map_range(4097..).unwrap()] {
        mapping.set(10_000, 1u8).unwrap();
        let len = mapping.len();
        mapping.flush().unwrap();
        mapping.flush_from(9_999).unwrap();
        mapping.flush_range(9_999..10_001).unwrap();
        mapping.flush_range(0..0).unwrap();
        mapping.flush_async(5..len).unwrap();
        assert!(matches!(kind(mapping.flush_range(0..len + 1)), ErrorKind::OutOfRange { .. }));
        assert!(matches!(kind(mapping.flush_from(len + 1)), ErrorKind::OutOfRange { .. }));
    }
}

fn pages<K: Kind>() {
    let here = K::new();
    let bytes = 4 << 20;
    let memory = here.at().size(bytes).huge_pages().create_new().unwrap();
    let mapping = memory.mapping().prefault().huge_pages().map().unwrap();
    match mapping.huge_pages() {
        HugePages::Explicit(page) => assert!(page > shm::page_bytes() as u64),
        HugePages::Transparent => {}
        HugePages::None(why) => assert!(why.len() > 10 && !why.contains("asked"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        resident(mapping.address(), mapping.len()),
        mapping.len() / shm::page_bytes(),
        "all are present"
    );
    assert!(matches!(
        memory.map().unwrap().huge_pages(),
        HugePages::None("they were not asked for") | HugePages::Explicit(_)
    ));
    memory.mapping().read_only().prefault().map().unwrap();
    match memory.mapping().range(..4096).locked().map() {
        Ok(locked) => assert_eq!(locked.get::<u8>(0).unwrap(), 0),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::LockLimit { .. }), "{error}"),
    }
}

/// How many pages are in memory.
#[cfg(unix)]
#[allow(unsafe_code)]
fn resident(address: usize, bytes: usize) -> usize {
    let mut pages = vec![0u8; bytes / shm::page_bytes()];
    // SAFETY: the pages are mapped, and the answer has a byte for each.
    let done =
        unsafe { libc::mincore(std::ptr::with_exposed_provenance_mut(address), bytes, pages.as_mut_ptr()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    pages.iter().filter(|page| **page & 1 != 0).count()
}

/// How many pages are in this process's working set.
#[cfg(windows)]
#[allow(unsafe_code)]
fn resident(address: usize, bytes: usize) -> usize {
    use windows_sys::Win32::System::ProcessStatus::{
        K32QueryWorkingSetEx, PSAPI_WORKING_SET_EX_BLOCK, PSAPI_WORKING_SET_EX_INFORMATION,
    };
    use windows_sys::Win32::System::Threading::GetCurrentProcess;
    let ask = |at: usize| PSAPI_WORKING_SET_EX_INFORMATION {
        VirtualAddress: std::ptr::with_exposed_provenance_mut(at),
        VirtualAttributes: PSAPI_WORKING_SET_EX_BLOCK { Flags: 0 },
    };
    let mut pages: Vec<_> = (address..address + bytes).step_by(shm::page_bytes()).map(ask).collect();
    // SAFETY: the list lives through the call, and is as long as it says.
    let done = unsafe {
        K32QueryWorkingSetEx(GetCurrentProcess(), pages.as_mut_ptr().cast(), size_of_val(&*pages) as u32)
    };
    assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: each form of it is a number.
    pages.iter().filter(|page| unsafe { page.VirtualAttributes.Flags } & 1 != 0).count()
}

fn handles_of_handles<K: Kind>() {
    let here = K::new();
    let memory = here.at().size(8).create_new().unwrap();
    let clone = memory.try_clone().unwrap();
    assert!(!clone.created());
    assert_eq!(clone.place(), memory.place());
    memory.map().unwrap().set(0, 3u64).unwrap();
    assert_eq!(clone.map().unwrap().get::<u64>(0).unwrap(), 3);
    #[cfg(unix)]
    assert_eq!(memory.as_fd().is_some(), K::CAN.descriptor);
    assert_eq!((memory.id().is_some(), memory.key().is_some()), (K::NAME == "sysv", K::NAME == "sysv"));
    let mapping = clone.map().unwrap();
    drop((memory, clone));
    assert_eq!(mapping.get::<u64>(0).unwrap(), 3, "a mapping needs no handle");
    // A mapping goes to other threads, and is shared by them.
    static SUM: AtomicU32 = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| SUM.fetch_add(mapping.get::<u32>(0).unwrap(), Relaxed));
        }
    });
}

fn parameters<K: Kind>() {
    let here = K::new();
    assert!(matches!(kind(here.at().create_new()), ErrorKind::BadParameter { .. }));
    assert!(matches!(kind(here.at().open_or_create()), ErrorKind::BadParameter { .. }));
    let empty = here.at().size(0).create_new();
    if K::CAN.empty {
        let empty = empty.unwrap();
        assert_eq!(kind(empty.map()), ErrorKind::OutOfRange { offset: 0, bytes: 0, size: 0 });
        empty.resize(10).unwrap();
        assert_eq!(empty.map().unwrap().len(), 10);
        empty.remove().unwrap();
    } else {
        assert!(matches!(kind(empty), ErrorKind::BadParameter { .. }));
    }
    for size in [u64::MAX, 1 << 60] {
        let error = here.at().size(size).create_new().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::NoSpace), "{size}: {error}");
    }
    if K::CAN.name {
        assert_eq!(kind(here.at().open()), ErrorKind::NotFound, "it leaves nothing");
    }
}

fn listed<K: Kind>() {
    let here = K::new();
    let mode = if K::CAN.access { 0o640 } else { 0o600 };
    if cfg!(windows) {
        return unsupported(shm::list());
    }
    let memory = here.at().size(12_345).mode(mode).create_new().unwrap();
    let is_it = |one: &shm::Listed| match K::NAME {
        "sysv" => one.key == memory.key() && one.place == shm::Place::id(memory.id().unwrap()),
        _ => one.place == here.place(),
    };
    let found: Vec<_> = shm::list().unwrap().into_iter().filter(is_it).collect();
    assert_eq!(found.len(), usize::from(K::CAN.listed));
    for one in found {
        assert_eq!(one.status, memory.status().unwrap());
        let same = shm::at(&one.place).open().unwrap();
        assert_eq!(same.size().unwrap(), 12_345);
    }
}
