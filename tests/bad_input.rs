//! Bad input of any kind: an error that says what to do, nothing lost, nothing left.

mod support;

use annulus::{Channel, Error, Kind};
use std::ffi::CString;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;
use support::{Place, channels};

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
    refused(stream().kind(Kind::Mpmc), &["not built yet"]);
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

fn give_away(path: &Path, user: u32) -> bool {
    std::os::unix::fs::chown(path, Some(user), Some(user)).is_ok()
}

#[test]
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
    let mut producer = place.create("specimen").channels(channels(2)).rate(100.0).producer::<i16>().unwrap();
    producer.push(&[1, 2, 3, 4]).unwrap();
    fs::read(&producer.info().path).unwrap()
}

fn plant(place: &Place, name: &str, bytes: &[u8]) {
    let path = place.path().join(name);
    fs::write(&path, bytes).unwrap();
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
    for (name, why) in [("cut", "cut or extended"), ("long", "cut or extended"), ("short", "cut off")] {
        let error = place.open(name).observer::<i16>().unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        says(error, &["damaged", why, "remove it"]);
        assert!(place.create(name).producer::<i16>().is_err(), "never overwritten");
        place.open(name).remove().unwrap();
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
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut out = [0; 64];
    for round in 0..300 {
        plant(&place, "s@v1.l1", &whole);
        let file = OpenOptions::new().write(true).open(place.path().join("s@v1.l1")).unwrap();
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
            file.write_all_at(&value.to_le_bytes(), at).unwrap();
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

#[test]
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
    drop(file);
    place.open("s").observer::<u8>().unwrap();
}
