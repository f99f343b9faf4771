//! Bad input of any kind: an error that says what to do, nothing lost, nothing left.

mod support;

use annulus::{Channel, Error, Kind, PushError, ReadError};
#[cfg(unix)]
use std::ffi::CString;
#[cfg(unix)]
use std::fs::Permissions;
use std::fs::{self, OpenOptions};
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
#[cfg(unix)]
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;
use support::{Memory, Place, channels};

fn says(error: Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "'{text}' does not say '{word}'");
    }
}

#[test]
fn names() {
    let place = Place::new();
    for name in ["", "a/b", "../up", "a b", "ecg@2", "ecg@v0", "é", "x\0y", "@v1"] {
        let created = place.create(name).producer::<u8>().unwrap_err();
        assert!(matches!(created, Error::BadName { .. }), "{name:?}: {created}");
        let opened = place.open(name).observer::<u8>().unwrap_err();
        says(opened, &["no stream name", "A-Z"]);
    }
    assert!(place.objects().is_empty());
}

#[test]
fn parameters() {
    let place = Place::new();
    let stream = || place.create("s").channels(channels(2)).rate(100.0);
    let refused = |builder: annulus::Builder, words: &[&str]| {
        let error = builder.producer::<i16>().unwrap_err();
        assert!(matches!(error, Error::BadParameter { .. }), "{error}");
        says(error, words);
    };
    refused(place.create("s").channels([]), &["at least one channel"]);
    refused(stream().channels(channels(70_000)), &["65,536 channels"]);
    for rate in [f64::NAN, f64::INFINITY, -1.0, 1e13] {
        refused(stream().rate(rate), &["rate", "Hz"]);
    }
    refused(stream().capacity(0), &["at least one frame"]);
    refused(stream().capacity(u64::MAX), &["too large"]);
    refused(stream().retain(Duration::ZERO), &["no time at all"]);
    refused(stream().retain(Duration::MAX), &["retain less"]);
    refused(stream().rate(0.0).retain(Duration::from_secs(1)), &["needs a rate"]);
    refused(stream().readers(5000), &["4,096"]);
    refused(stream().kind(Kind::Mpmc).producers(0), &["1 to 64"]);
    refused(stream().kind(Kind::Spsc).producers(2), &["work queue"]);
    refused(stream().channels([Channel::new("x").scaled(0.0, 0.0)]), &["scale"]);
    refused(stream().channels([Channel::new("x").scaled(f64::NAN, 0.0)]), &["scale"]);
    refused(stream().device("x".repeat(2 << 20)), &["1 MiB"]);
    refused(stream().channels((0..20).map(|_| Channel::new("x".repeat(1 << 20)))), &["too long"]);
    assert!(place.objects().is_empty());
}

#[test]
fn more_than_the_memory_is_an_error_now_not_a_signal_later() {
    let place = Place::new();
    let error = place.create("s").capacity(1 << 43).producer::<u8>().unwrap_err();
    assert!(matches!(error, Error::NoSpace { need, free, .. } if need > 1 << 43 && free < need), "{error}");
    says(error, &["does not fit", "retain less"]);
    assert!(place.objects().is_empty());
}

#[test]
#[cfg(unix)]
fn directories() {
    let missing = annulus::create("s").directory("/dev/shm/annulus-not-there").producer::<u8>().unwrap_err();
    says(missing, &["/dev/shm/annulus-not-there"]);
    let on_disk = annulus::create("s").directory("/").producer::<u8>().unwrap_err();
    says(on_disk, &["cannot be used"]);
    let place = Place::new();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    for error in [place.create("s").producer::<u8>().unwrap_err(), place.open("s").status().unwrap_err()] {
        assert!(matches!(error, Error::UnfitDirectory { .. }), "{error}");
        says(error, &["others may write", "chmod 700"]);
    }
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
    let link = place.path().join("link");
    symlink(place.path(), &link).unwrap();
    says(
        annulus::create("s").directory(&link).producer::<u8>().unwrap_err(),
        &["not a directory", "ANNULUS_DIR"],
    );
    let file = place.path().join("file");
    fs::write(&file, "x").unwrap();
    says(annulus::create("s").directory(&file).producer::<u8>().unwrap_err(), &["not a directory"]);
}

#[cfg(unix)]
fn give_away(path: &Path, user: u32) -> bool {
    std::os::unix::fs::chown(path, Some(user), Some(user)).is_ok()
}

#[test]
#[cfg(unix)]
fn another_users_directory_and_objects() {
    let place = Place::new();
    let _kept = place.create("s").keep(true).producer::<u8>().unwrap();
    let object = place.path().join("s@v1.l1");
    if !give_away(&object, 65_534) {
        // Only root may give files away. Without it the same checks are shown by the mode below.
        fs::set_permissions(&object, Permissions::from_mode(0o666)).unwrap();
        says(place.open("s").observer::<u8>().unwrap_err(), &["others may write", "left alone"]);
        return;
    }
    says(place.open("s").observer::<u8>().unwrap_err(), &["belongs to user 65534", "left alone"]);
    says(place.create("s").producer::<u8>().unwrap_err(), &["belongs to user 65534", "left alone"]);
    assert!(give_away(&object, 0));
    assert!(give_away(place.path(), 65_534));
    says(place.open("s").observer::<u8>().unwrap_err(), &["belongs to user 65534", "ANNULUS_DIR"]);
    assert!(give_away(place.path(), 0));
    place.open("s").observer::<u8>().unwrap();
}

/// Whatever stands in an object's place: refused, explained, listed, and left as it was.
#[test]
#[cfg(unix)]
fn what_is_none_of_ours_is_left_alone() {
    let place = Place::new();
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let object = |name: &str| place.path().join(format!("{name}@v1.l1"));
    symlink(&victim, object("symlink")).unwrap();
    fs::hard_link(&victim, object("hardlink")).unwrap();
    fs::create_dir(object("folder")).unwrap();
    let fifo = CString::new(object("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a terminated string.
    #[allow(unsafe_code)]
    let made = unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) };
    assert_eq!(made, 0);
    fs::write(object("empty"), "").unwrap();
    fs::write(object("text"), "hello ".repeat(5000)).unwrap();
    fs::write(object("zeroes"), vec![0; 100_000]).unwrap();
    let cases = [
        ("symlink", "symbolic link"),
        ("hardlink", "second name"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("empty", "does not begin"),
        ("text", "does not begin"),
        ("zeroes", "does not begin"),
    ];
    for (name, why) in cases {
        if name != "hardlink" && name != "symlink" && name != "folder" && name != "fifo" {
            fs::set_permissions(object(name), Permissions::from_mode(0o600)).unwrap();
        }
        says(place.open(name).observer::<u8>().unwrap_err(), &[why, "left alone"]);
        says(place.create(name).producer::<u8>().unwrap_err(), &[why, "left alone"]);
        says(place.open(name).status().unwrap_err(), &[why]);
        says(place.open(name).remove().unwrap_err(), &[why, "left alone"]);
        assert!(object(name).symlink_metadata().is_ok(), "{name} is gone");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let listed = annulus::list_in(place.path()).unwrap();
    assert!(listed.iter().filter(|one| one.name.ends_with("@v1")).all(|one| one.status.is_err()));
    assert_eq!(listed.len(), cases.len() + 1);
}

/// A copy of a real object, to be damaged.
fn specimen(place: &Place) -> Vec<u8> {
    let stream = place.create("specimen").backend(annulus::Backend::File).channels(channels(2)).rate(100.0);
    let mut producer = stream.producer::<i16>().unwrap();
    producer.push(&[1, 2, 3, 4]).unwrap();
    fs::read(&producer.info().path).unwrap()
}

fn plant(place: &Place, name: &str, bytes: &[u8]) {
    let path = place.path().join(name);
    fs::write(&path, bytes).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn damaged_segments() {
    let place = Place::new();
    let whole = specimen(&place);
    plant(&place, "whole@v1.l1", &whole);
    place.open("whole").observer::<i16>().unwrap();

    plant(&place, "cut@v1.l1", &whole[..whole.len() - 4096]);
    plant(&place, "long@v1.l1", &[&whole[..], &[0; 4096]].concat());
    plant(&place, "short@v1.l1", &whole[..600]);
    plant(&place, "shorter@v1.l1", &whole[..0x200]);
    let cases = [
        ("cut", "cut or extended"),
        ("long", "cut or extended"),
        ("short", "cut off"),
        ("shorter", "cut off"),
    ];
    for (name, why) in cases {
        let error = place.open(name).observer::<i16>().unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        says(error, &["damaged", why, "remove it"]);
        assert!(place.create(name).producer::<i16>().is_err(), "never overwritten");
        place.open(name).remove().unwrap();
        assert!(!place.path().join(format!("{name}@v1.l1")).exists());
    }
    // Who has a seat of it keeps it, as long as nobody uses force.
    let (seats, gate) = (1 << 40, 1 << 41);
    for (force, byte) in [(false, gate), (true, seats), (true, seats + 4000)] {
        plant(&place, "bad@v1.l1", &whole[..600]);
        let object = OpenOptions::new().read(true).write(true).open(place.path().join("bad@v1.l1")).unwrap();
        assert!(support::lock(&object, support::Lock::Exclusive, byte));
        if force {
            assert!(matches!(place.open("bad").remove(), Err(Error::Corrupt { .. })));
            place.open("bad").remove_forcibly().unwrap();
        } else {
            place.open("bad").remove().unwrap();
        }
        assert!(!place.path().join("bad@v1.l1").exists());
    }
    for byte in (0..0x100).step_by(3) {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x40;
        plant(&place, "bad@v1.l1", &damaged);
        assert!(place.open("bad").observer::<i16>().is_err(), "byte {byte:#x}");
    }
}

#[test]
fn another_layout() {
    let place = Place::new();
    let mut other = specimen(&place);
    other[8] = 9; // the layout's number
    plant(&place, "s@v1.l9", &other);
    let error = place.open("s").observer::<i16>().unwrap_err();
    assert!(matches!(error, Error::Layout { .. }), "{error}");
    says(error, &["layout 9", "layout 1"]);
    place
        .create("s")
        .channels(channels(1))
        .producer::<i16>()
        .expect("builds of different layouts never meet");
    plant(&place, "t@v1.l1", &other);
    says(place.open("t").observer::<i16>().unwrap_err(), &["layout 9", "another annulus"]);
    place.open("t").remove().unwrap();
}

/// Words that a peer may store to, with anything in them: a value or an error, never a panic or a hang.
#[test]
fn scribbled_control_words() {
    let place = Place::new();
    let whole = specimen(&place);
    let regions = |field: usize| u64::from_le_bytes(whole[field..field + 8].try_into().unwrap());
    let (producers, readers, data) = (regions(0x58), regions(0x60), regions(0x68));
    let mut random = support::random(0x2545_F491_4F6C_DD1D);
    let mut out = [0; 64];
    for round in 0..300 {
        plant(&place, "s@v1.l1", &whole);
        let memory = Memory::of(&place.path().join("s@v1.l1"));
        for _ in 0..1 + round % 8 {
            let at = producers + random() % (data - producers);
            let value = match random() % 4 {
                0 => u64::MAX,
                1 => random() % 64,
                2 => 1 << (random() % 64),
                _ => random(),
            };
            // Often where it matters: the producer's line, and the readers' words.
            let at = match random() % 3 {
                0 => producers + 0x1000 + random() % 6 * 8,
                1 => readers + random() % 0x80 * 8,
                _ => at & !7,
            };
            memory.write(&value.to_le_bytes(), at);
        }
        let brief = annulus::Wait::new().timeout(Duration::from_millis(1));
        for start in [annulus::Start::Now, annulus::Start::Oldest, annulus::Start::Position(random())] {
            if let Ok(mut viewer) = place.open("s").start(start).observer::<i16>() {
                for _ in 0..4 {
                    let _ = viewer.read(&mut out, brief);
                }
            }
        }
        let _ = place.open("s").status();
        if let Ok(mut producer) = place.open("s").producer::<i16>() {
            for _ in 0..4 {
                let _ = producer.push(&out);
            }
        }
        let _ = fs::remove_file(place.path().join("s@v1.l1"));
    }
}

/// As above, under the hands of those who use it, on a ring that waits for its consumer.
#[test]
fn words_scribbled_under_live_handles() {
    let place = Place::new();
    let mut random = support::random(0x9E37_79B9_7F4A_7C15);
    let brief = annulus::Wait::new().timeout(Duration::from_micros(50));
    for round in 0..400 {
        let ring = || place.create("q").channels(channels(1)).kind(Kind::Spsc).capacity(2048);
        let mut producer = ring().producer::<i16>().unwrap();
        let mut consumer = ring().consumer::<i16>().unwrap();
        let mut viewer = place.open("q").observer::<i16>().unwrap();
        let path = place.path().join("q@v1.l1");
        let whole = Memory::of(&path).bytes();
        let regions = |field: usize| u64::from_le_bytes(whole[field..field + 8].try_into().unwrap());
        let (producers, readers) = (regions(0x58), regions(0x60));
        let memory = Memory::of(&path);
        let mut out = [0; 2048];
        for step in 0..12 {
            // The words of the lane: tail, intent, epoch, ...; head, armed, armed_space.
            let at = match random() % 3 {
                0 => producers + 0x1000 + random() % 6 * 8,
                1 => readers + 0x200 + random() % 4 * 0x80,
                _ => readers + 0x200,
            };
            let value = match random() % 5 {
                0 => u64::MAX,
                1 => random() % 4096,
                2 => 1 << (random() % 64),
                3 => 0,
                _ => random(),
            };
            memory.write(&value.to_le_bytes(), at);
            let _ = producer.push(&out[..(random() % 2049) as usize]);
            let _ = producer.reserve((random() % 512) as usize).map(annulus::Reservation::commit);
            let _ = producer.push_wait(&out[..100], Some(Duration::from_micros(50)));
            let _ = producer.pending();
            let _ = consumer.read(&mut out, brief);
            let _ = consumer.try_chunk(100).map(|chunk| chunk.commit(round % 100));
            let _ = (consumer.available(), viewer.available(), viewer.producer());
            let _ = viewer.read(&mut out, brief);
            if step % 4 == 3 {
                viewer.seek(annulus::Start::Oldest);
            }
        }
        producer.finish();
        drop((consumer, viewer));
        let _ = fs::remove_file(path);
    }
}

/// The same on a work queue: the words of all its lanes.
#[test]
fn words_scribbled_under_a_queue() {
    let place = Place::new();
    let mut random = support::random(0x9E37_79B9_7F4A_7C15);
    let brief = annulus::Wait::new().timeout(Duration::from_micros(50)).strategy(annulus::Strategy::Block);
    for _ in 0..300 {
        let ring = || place.create("q").kind(Kind::Mpmc).producers(3).capacity(512);
        let mut producers = [0, 1].map(|_| ring().producer::<u64>().unwrap());
        let mut consumers = [0, 1].map(|_| ring().group_consumer::<u64>().unwrap());
        let mut viewer = place.open("q").lane(1).observer::<u64>().unwrap();
        let path = place.path().join("q@v1.l1");
        let mut out = [0; 64];
        for _ in 0..12 {
            let lane = random() % 3;
            let value = match random() % 6 {
                0 => u64::MAX,
                1 => random() % 4096,
                2 => 1 << (random() % 64),
                3 => 0,
                4 => 1 << 63,
                _ => random(),
            };
            // tail, intent, epoch, end, ...; head, armed, armed of the group, armed_space.
            match random() % 2 {
                0 => support::set_word(&path, 0x58, 0x1000 + lane * 0x1000 + random() % 6 * 8, value),
                _ => support::set_word(&path, 0x60, 0x200 + lane * 0x200 + random() % 4 * 0x80, value),
            }
            for producer in &mut producers {
                let _ = producer.push(&out[..(random() % 65) as usize]);
                let _ = producer.pending();
            }
            for consumer in &mut consumers {
                let _ = consumer.try_read(&mut out);
                let _ = consumer.read(&mut out, brief);
                let _ = consumer.available();
            }
            let _ = viewer.read(&mut out, brief);
            let _ = place.open("q").status();
        }
        let _ = ring().producer::<u64>();
        drop((producers, consumers, viewer));
        let _ = fs::remove_file(path);
    }
}

/// Words that are too large for any sum.
#[test]
fn sums_of_lies_are_no_panic() {
    let place = Place::new();
    let ring = || place.create("q").kind(Kind::Mpmc).producers(2).capacity(512);
    let mut consumer = ring().group_consumer::<u64>().unwrap();
    let _producers = [0, 1].map(|_| ring().producer::<u64>().unwrap());
    let path = place.path().join("q@v1.l1");
    let on_both = |at: u64, value: u64| {
        for lane in [0x1000, 0x2000] {
            support::set_word(&path, 0x58, lane + at, value);
        }
    };
    on_both(0, 1 << 63); // tail
    assert_eq!(consumer.available(), u64::MAX);
    assert_eq!(consumer.try_read(&mut [0]), Err(ReadError::Corrupt));
    on_both(0x18, 1 << 63); // end
    let _ = place.open("q").status().unwrap();
    on_both(0, 0);
    let mut consumer = place.open("q").group_consumer::<u64>().unwrap(); // which has not seen that tail
    assert_eq!(consumer.try_read(&mut [0]), Err(ReadError::Ended { position: u64::MAX }));
    on_both(0x18, u64::MAX);
    let wait = annulus::Wait::new().timeout(Duration::from_millis(200)).strategy(annulus::Strategy::Block);
    std::thread::scope(|threads| {
        let sleeping = threads.spawn(|| consumer.read(&mut [0], wait));
        std::thread::sleep(Duration::from_millis(20));
        on_both(0, u64::MAX);
        assert_eq!(sleeping.join().unwrap(), Err(ReadError::Corrupt));
    });
}

/// What cannot be is not remembered.
#[test]
fn a_head_that_jumps_is_no_space() {
    let place = Place::new();
    let mut producer =
        place.create("q").channels(channels(1)).kind(Kind::Spsc).capacity(2048).producer::<i16>().unwrap();
    let path = producer.info().path.clone();
    let whole = Memory::of(&path).bytes();
    let readers = u64::from_le_bytes(whole[0x60..0x68].try_into().unwrap());
    let memory = Memory::of(&path);
    let set_head = |head: u64| memory.write(&head.to_le_bytes(), readers + 0x200);
    let block = [1; 2048];
    producer.push(&block).unwrap();
    set_head(u64::MAX);
    for _ in 0..3 {
        assert_eq!(producer.push(&block), Err(PushError::Corrupt));
    }
    set_head(0);
    assert_eq!(producer.push(&block), Err(PushError::Full), "nothing was taken");
    set_head(1024);
    producer.push(&block[..512]).unwrap();
    set_head(0);
    assert_eq!(producer.push(&block[..1024]), Err(PushError::Corrupt));
}

/// A sparse copy has the right size and no room: touching it where the file system is full would be a SIGBUS.
#[test]
#[cfg(unix)]
fn holes() {
    let place = Place::new();
    let whole = specimen(&place);
    let path = place.path().join("s@v1.l1");
    let file = OpenOptions::new().create_new(true).write(true).open(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    file.set_len(whole.len() as u64).unwrap();
    for (number, page) in
        whole.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0))
    {
        file.write_all_at(page, number as u64 * 4096).unwrap();
    }
    for error in [
        place.open("s").observer::<i16>().unwrap_err(),
        place.open("s").producer::<i16>().unwrap_err(),
        place.open("s").status().unwrap_err(),
    ] {
        says(error, &["holes", "remove it"]);
    }
    plant(&place, "s@v1.l1", &whole);
    place.open("s").status().unwrap();
}

/// The pages are there from the start: for a full /dev/shm is an error when the stream is made, or never, and a push
/// takes no page fault.
#[test]
#[cfg(unix)]
fn all_pages_are_there_from_the_start() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let allocated = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        assert!(found.blocks() * 512 >= found.len(), "{} of {} bytes", found.blocks() * 512, found.len());
    };
    let consumer = place.create("q").kind(Kind::Spsc).capacity(1 << 20).consumer::<u64>().unwrap();
    allocated(&consumer.info().path); // it stores to none of them itself
    let mut producer = place.create("s").channels(channels(1)).capacity(16 << 20).producer::<i16>().unwrap();
    allocated(&producer.info().path);
    let block = vec![0; 1 << 16];
    let faults = || -> u64 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(7).unwrap().parse().unwrap()
    };
    let before = faults();
    for _ in 0..16 << 20 >> 16 {
        producer.push(&block).unwrap();
    }
    // 32 MiB are 8,192 pages; a few faults are the test's own.
    assert!(faults() - before < 100, "{} page faults", faults() - before);
}

/// The directory that was checked is the one that is used, whatever has its path by now.
#[test]
#[cfg(unix)]
fn a_directory_that_was_moved_away() {
    let place = Place::new();
    let (moved, decoy) = (place.path().join("moved"), place.path().join("streams"));
    let make = || {
        fs::create_dir(&decoy).unwrap();
        fs::set_permissions(&decoy, Permissions::from_mode(0o700)).unwrap();
    };
    make();
    let producer = annulus::create("s").directory(&decoy).channels(channels(1)).producer::<i16>().unwrap();
    fs::rename(&decoy, &moved).unwrap();
    make();
    fs::hard_link(moved.join("s@v1.l1"), decoy.join("s@v1.l1")).unwrap();
    drop(producer);
    assert!(decoy.join("s@v1.l1").exists() && !moved.join("s@v1.l1").exists());
}

#[test]
#[cfg(unix)]
fn a_gate_that_nobody_leaves() {
    let place = Place::new();
    let producer = place.create("s").keep(true).producer::<u8>().unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&producer.info().path).unwrap();
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 1 << 41,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor and the lock live through the call.
    #[allow(unsafe_code)]
    let locked = unsafe {
        libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock))
    };
    assert_eq!(locked, 0);
    let impatient = place.open("s").gate_timeout(Duration::from_millis(20)).observer::<u8>().unwrap_err();
    assert!(matches!(impatient, Error::GateBusy { .. }), "{impatient}");
    says(impatient, &["try again"]);
    // So is one who leaves, but it waits for a while.
    let begun = std::time::Instant::now();
    drop(producer);
    assert!(begun.elapsed() > Duration::from_millis(100));
    // One who is patient comes in when it opens.
    std::thread::scope(|threads| {
        let patient =
            threads.spawn(|| place.open("s").gate_timeout(Duration::MAX).observer::<u8>().map(drop));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!patient.is_finished());
        drop(file);
        patient.join().unwrap().unwrap();
    });
}
