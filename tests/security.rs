//! Who may do what to whom: owners and modes, planted and squatted names, truncated objects, processes in namespaces of
//! their own, a clean-up that takes all names away. This program is its own child, also in other namespaces and as
//! other users; where the system does not allow that a test says that it was not run. `ci/security.sh` runs all of them.

mod support;

use annulus::{Error, Kind, ProducerState, ReadError, Scope, Start, Strategy, Wait, WaitSet};
use libtest_mimic::Completion;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::Place;
use support::actor::{self, Actor, Done, say};
use support::isolated::{self, Isolation, is_root, not_run};

const LONG: Duration = Duration::from_secs(30);
const SLICE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    actor::main::<Done>(
        play,
        tests![
            every_mode_of_an_object_and_of_its_directory,
            what_is_planted_while_it_is_opened,
            a_link_among_the_components_of_a_path,
            a_second_name_for_a_live_object,
            what_is_no_file_in_an_objects_place,
            an_object_truncated_under_its_users,
            a_producer_in_a_container,
            a_reader_in_a_container,
            equal_process_numbers_in_two_containers,
            wakes_cross_namespaces,
            clocks_of_other_time_namespaces,
            all_names_taken_away,
            names_and_directories_squatted_by_another_user,
        ],
    )
}

fn play(role: &str, place: &Path) {
    match role {
        "producer" => producing(place),
        "heir" => heir(place),
        "echo" => echo(place),
        "other clock" => other_clock(place),
        "cleaned" => cleaned(),
        "squatted" => squatted(place),
        "owner" => owner(place),
        "stranger" => stranger(place),
        other => panic!("no role {other}"),
    }
}

/// Runs what may come out as "not run" in the middle.
macro_rules! isolated {
    ($how:expr) => {
        match $how {
            Ok(isolation) => isolation,
            Err(not_run) => return not_run.into(),
        }
    };
}

fn figures(what: &str, how_often: u64, detail: &str) {
    println!("figures | {what} | {how_often} | 0 | {detail}");
}

fn passed() -> Done {
    Completion::Completed.into()
}

fn stream(place: &Path) -> annulus::Builder {
    annulus::create("s").directory(place).capacity(1 << 16)
}

fn says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "'{text}' does not say '{word}'");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

// ---- Owners, modes, names.

fn every_mode_of_an_object_and_of_its_directory() -> Done {
    let place = Place::new();
    let producer = stream(place.path()).producer::<u64>().unwrap();
    let object = producer.info().path.clone();
    for mode in 0..0o1000 {
        set_mode(&object, mode);
        let (read, refused) =
            (place.open("s").observer::<u64>(), stream(place.path()).producer::<u64>().unwrap_err());
        if mode & 0o022 != 0 {
            // Who may not even read it is not told more.
            if is_root() || mode & 0o600 == 0o600 {
                says(&read.unwrap_err(), &["others may write", &format!("{mode:o}"), "left alone"]);
                says(&refused, &["others may write"]);
            }
        } else if is_root() || mode & 0o600 == 0o600 {
            read.unwrap();
            assert!(matches!(refused, Error::WriterBusy { .. }), "{mode:o}: {refused}");
        } else {
            assert!(matches!(refused, Error::NotAllowed { .. }), "{mode:o}: {refused}");
        }
    }
    set_mode(&object, 0o600);
    for mode in (0..0o1000).filter(|mode| is_root() || mode & 0o700 == 0o700) {
        set_mode(place.path(), mode);
        let read = place.open("s").observer::<u64>();
        match mode & 0o022 {
            0 => drop(read.unwrap()),
            _ => says(&read.unwrap_err(), &["others may write", "chmod 700"]),
        }
    }
    set_mode(place.path(), 0o700);
    passed()
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// In the object's place there is, again and again, a link to another stream, a second name of it, a FIFO, a directory:
/// whoever opens gets the stream, or is refused, and the other one is not touched.
fn what_is_planted_while_it_is_opened() -> Done {
    let (place, victims) = (Place::new(), Place::new());
    let mut producer = stream(place.path()).producer::<u64>().unwrap();
    let victim = annulus::create("s")
        .directory(victims.path())
        .capacity(1 << 10)
        .keep(true)
        .producer::<u64>()
        .unwrap();
    let (real, other) = (producer.info().instance, victim.info().path.clone());
    let linked = victims.path().join("linked");
    fs::copy(&other, &linked).unwrap();
    drop(victim);
    let before = fs::read(&other).unwrap();
    let (object, planted) = (producer.info().path.clone(), place.path().join("planted"));
    let exchange = |flags| {
        let (from, to) = (c_string(&object), c_string(&planted));
        // SAFETY: both paths are terminated strings that live through the call.
        #[allow(unsafe_code)]
        let done =
            unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) };
        assert_eq!(done, 0);
    };
    let over = AtomicBool::new(false);
    let (mut opened, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for kind in (0..4).cycle() {
                if over.load(Relaxed) {
                    break;
                }
                match kind {
                    0 => symlink(&other, &planted).unwrap(),
                    1 => fs::hard_link(&linked, &planted).unwrap(),
                    2 => fs::create_dir(&planted).unwrap(),
                    // SAFETY: the path is a terminated string.
                    #[allow(unsafe_code)]
                    _ => assert_eq!(unsafe { libc::mkfifo(c_string(&planted).as_ptr(), 0o600) }, 0),
                }
                exchange(libc::RENAME_EXCHANGE);
                std::thread::yield_now();
                exchange(libc::RENAME_EXCHANGE);
                if kind == 2 { fs::remove_dir(&planted) } else { fs::remove_file(&planted) }.unwrap();
                std::thread::sleep(Duration::from_millis(1)); // so that some get through
            }
        });
        let _over = SetOnDrop(&over); // also when this panics
        let until = Instant::now() + Duration::from_secs(3);
        while (opened < 300 || refused < 300) && Instant::now() < until {
            match place.open("s").observer::<u64>() {
                Ok(viewer) => {
                    assert_eq!(viewer.info().instance, real, "another stream was opened");
                    opened += 1;
                }
                Err(Error::NotAStream { .. } | Error::NotFound { .. }) => refused += 1,
                Err(unexpected) => panic!("{unexpected}"),
            }
            match stream(place.path()).producer::<u64>().unwrap_err() {
                Error::WriterBusy { .. } | Error::NotAStream { .. } => {}
                unexpected => panic!("{unexpected}"),
            }
            if let Ok(status) = place.open("s").status() {
                assert_eq!(status.info.instance, real);
            }
        }
    });
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
    assert!(fs::read(&other).unwrap() == before, "what was linked to was stored to");
    producer.push(&[1]).unwrap();
    assert!(producer.is_named());
    println!(
        "figures | planted while it is opened | {} | 0 | {opened} opened it, {refused} were refused",
        opened + refused
    );
    passed()
}

fn a_link_among_the_components_of_a_path() -> Done {
    let place = Place::new();
    let (link, good, bad) = (place.path().join("link"), place.path().join("good"), place.path().join("bad"));
    for directory in [&good, &bad] {
        fs::create_dir_all(directory.join("streams")).unwrap();
        set_mode(&directory.join("streams"), 0o700);
    }
    set_mode(&bad.join("streams"), 0o777);
    // What counts is the directory that one comes to; it is opened once, and only that one is used.
    symlink(&good, &link).unwrap();
    let path = link.join("streams");
    let mut producer = stream(&path).producer::<u64>().unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&bad, &link).unwrap();
    let refused = annulus::open("s").directory(&path).observer::<u64>().unwrap_err();
    says(&refused, &["others may write", "chmod 700"]);
    producer.push(&[1]).unwrap();
    assert!(producer.is_named());
    fs::copy(good.join("streams/s@v1.l1"), bad.join("streams/s@v1.l1")).unwrap();
    drop(producer);
    assert!(bad.join("streams/s@v1.l1").exists() && !good.join("streams/s@v1.l1").exists());
    // The last component is no link.
    fs::remove_file(&link).unwrap();
    symlink(good.join("streams"), &link).unwrap();
    says(&stream(&link).producer::<u64>().unwrap_err(), &["not a directory"]);
    passed()
}

/// Somebody makes a second name for an object: nobody opens it any more, and those who have it are none the worse.
fn a_second_name_for_a_live_object() -> Done {
    let place = Place::new();
    let mut producer = stream(place.path()).producer::<u64>().unwrap();
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    let second = place.path().join("t@v1.l1");
    fs::hard_link(&producer.info().path, &second).unwrap();
    for name in ["s", "t"] {
        says(&place.open(name).observer::<u64>().unwrap_err(), &["second name", "force"]);
        says(&place.open(name).status().unwrap_err(), &["second name"]);
        says(&place.open(name).remove().unwrap_err(), &["second name"]);
        says(&place.create(name).capacity(1 << 16).producer::<u64>().unwrap_err(), &["second name"]);
    }
    producer.push(&[1, 2, 3]).unwrap();
    assert_eq!(viewer.read(&mut [0; 8], Wait::new().timeout(LONG)).unwrap().frames, 3);
    place.open("t").remove_forcibly().unwrap();
    place.open("s").observer::<u64>().unwrap();
    assert!(producer.is_named());
    passed()
}

fn what_is_no_file_in_an_objects_place() -> Done {
    let place = Place::new();
    let object = place.path().join("s@v1.l1");
    let refused = |what: &str| {
        for error in [
            place.open("s").observer::<u64>().unwrap_err(),
            stream(place.path()).producer::<u64>().unwrap_err(),
            place.open("s").remove().unwrap_err(),
        ] {
            says(&error, &["not a regular file", "left alone"]);
        }
        assert!(fs::symlink_metadata(&object).is_ok(), "{what} is gone");
        fs::remove_file(&object).unwrap();
    };
    let _socket = std::os::unix::net::UnixListener::bind(&object).unwrap();
    refused("a socket");
    for (kind, number) in [(libc::S_IFCHR, (1, 3)), (libc::S_IFCHR, (1, 5)), (libc::S_IFBLK, (7, 250))] {
        // SAFETY: the path is a terminated string.
        #[allow(unsafe_code)]
        let made = unsafe {
            libc::mknod(c_string(&object).as_ptr(), kind | 0o600, libc::makedev(number.0, number.1))
        };
        if made == 0 {
            refused("a device");
        } else if is_root() {
            panic!("mknod: {}", std::io::Error::last_os_error());
        } else {
            return not_run("the part about devices takes root").into();
        }
    }
    passed()
}

/// Whoever cuts an object off kills those who have it mapped; that takes permission to write, and is not prevented. But
/// nobody attaches to it any more, or even looks at it through a mapping, and its name is free again.
fn an_object_truncated_under_its_users() -> Done {
    for left in [0, 100, 4096, 8192, 100_000] {
        let place = Place::new();
        let mut producer = Actor::start(&place, "producer");
        producer.line();
        let object = place.path().join("s@v1.l1");
        // A copy without anybody in it says the same.
        fs::copy(&object, place.path().join("copy@v1.l1")).unwrap();
        set_mode(&place.path().join("copy@v1.l1"), 0o600);
        for name in ["copy@v1.l1", "s@v1.l1"] {
            let file = OpenOptions::new().write(true).open(place.path().join(name)).unwrap();
            file.set_len(left).unwrap();
        }
        for name in ["copy", "s"] {
            for refused in [
                place.open(name).observer::<u64>().unwrap_err(),
                place.open(name).status().unwrap_err(),
                place.create(name).capacity(1 << 16).producer::<u64>().unwrap_err(),
            ] {
                assert!(
                    matches!(refused, Error::Corrupt { .. } | Error::NotAStream { .. }),
                    "{left}: {refused}"
                );
            }
        }
        let listed = annulus::list_in(place.path()).unwrap();
        assert!(listed.len() == 2 && listed.iter().all(|one| one.status.is_err()));
        let killed = producer.child.wait().unwrap();
        assert_eq!(killed.signal(), Some(libc::SIGBUS), "{left}: {killed}");
        place.open("s").remove_forcibly().unwrap();
        stream(place.path()).producer::<u64>().unwrap().push(&[1]).unwrap();
    }
    passed()
}

// ---- Namespaces.

/// Counts from its position on, a frame a time, until it is killed.
fn producing(place: &Path) {
    let mut producer = stream(place).producer::<u64>().unwrap();
    say(format!("process {} at {}", std::process::id(), producer.position()));
    loop {
        producer.push(&[producer.position()]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Is refused while the producer lives, reads until it is gone, and takes over.
fn heir(place: &Path) {
    say(stream(place).producer::<u64>().unwrap_err());
    let mut viewer = annulus::open("s").directory(place).observer::<u64>().unwrap();
    let mut out = [0; 64];
    let first = viewer.read(&mut out, Wait::new().timeout(LONG).strategy(Strategy::Block)).unwrap();
    say(format!("process {} reads {}", std::process::id(), out[0] == first.first_position));
    loop {
        match viewer.read(&mut out, Wait::new().timeout(LONG).strategy(Strategy::Block)) {
            Ok(_) | Err(ReadError::Lapped { .. }) => {}
            Err(ReadError::ProducerGone { pid, position }) => {
                break say(format!("process {pid} is gone at {position}"));
            }
            Err(other) => panic!("{other}"),
        }
    }
    producing(place);
}

#[allow(unsafe_code)]
fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes numbers only.
    let done = unsafe { libc::kill(pid, signal) };
    assert_eq!(done, 0);
}

/// What ends the reading: frames until then count on from each other.
fn read_until_it_stops(viewer: &mut annulus::Observer<u64>) -> ReadError {
    let (mut out, mut next) = ([0; 64], viewer.position());
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        match viewer.read(&mut out, Wait::new().timeout(3 * SLICE).strategy(Strategy::Block)) {
            Ok(read) => {
                assert_eq!(read.first_position, next + read.lost_before);
                next = read.first_position + read.frames as u64;
                assert!(out[..read.frames].iter().copied().eq(read.first_position..next));
            }
            Err(stop) => return stop,
        }
    }
    panic!("it never stops");
}

/// Process 1 in its namespace; process 1 here is another, and lives for ever.
fn a_producer_in_a_container() -> Done {
    let container = isolated!(Isolation::container());
    let place = Place::new();
    let mut producer = container.start(&place, "producer");
    assert_eq!(producer.line(), "process 1 at 0");
    let inner = isolated::inner(&producer);
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    viewer.read(&mut [0; 10], Wait::new().frames(10).timeout(LONG).strategy(Strategy::Block)).unwrap();
    assert_eq!(place.open("s").status().unwrap().producer, ProducerState::Live { pid: 1 });
    let busy = |stopped| {
        let refused = stream(place.path()).producer::<u64>().unwrap_err();
        // Never what to do to process 1 here.
        assert!(
            matches!(refused, Error::WriterBusy { pid: 1, stopped: false, elsewhere: true, .. }),
            "stopped: {stopped}: {refused:?}"
        );
        says(&refused, &["not to be seen from here", "process 1"]);
        assert!(matches!(place.open("s").remove().unwrap_err(), Error::WriterBusy { .. }));
    };
    busy(false);

    signal(inner, libc::SIGSTOP);
    assert_eq!(read_until_it_stops(&mut viewer), ReadError::Timeout, "stopped is not gone");
    assert_eq!(viewer.producer(), ProducerState::Live { pid: 1 });
    busy(true);
    signal(inner, libc::SIGCONT);
    viewer.read(&mut [0; 10], Wait::new().frames(10).timeout(LONG)).unwrap();

    signal(inner, libc::SIGKILL);
    let stop = read_until_it_stops(&mut viewer);
    let position = viewer.position();
    assert_eq!(stop, ReadError::ProducerGone { pid: 1, position });
    assert_eq!(place.open("s").status().unwrap().producer, ProducerState::Dead { pid: 1 });
    let mut successor = stream(place.path()).producer::<u64>().unwrap();
    assert_eq!((successor.position(), successor.epoch()), (position, 2));
    successor.push(&[position]).unwrap();
    let restart = viewer.read(&mut [0; 10], Wait::new().timeout(LONG)).unwrap().restarted.unwrap();
    assert_eq!((restart.epoch, restart.position), (2, position));
    figures(
        "producer in a container",
        3,
        "stopped: alive; killed: gone within a slice; taken over from outside",
    );
    passed()
}

fn a_reader_in_a_container() -> Done {
    let container = isolated!(Isolation::container());
    let place = Place::new();
    let mut producer = Actor::start(&place, "producer");
    let pid = producer.pid();
    assert_eq!(producer.line(), format!("process {pid} at 0"));
    let mut heir = container.start(&place, "heir");
    let refused = heir.line();
    assert!(refused.contains("not to be seen from here") && refused.contains(&pid.to_string()), "{refused}");
    assert_eq!(heir.line(), "process 1 reads true");
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    let attached = place.open("s").status().unwrap().attached;
    assert!(attached.iter().any(|one| one.role == annulus::Role::Observer && one.pid == 1), "{attached:?}");
    producer.kill();
    let gone = heir.line();
    let position: u64 =
        gone.strip_prefix(&format!("process {pid} is gone at ")).expect(&gone).parse().unwrap();
    assert_eq!(heir.line(), format!("process 1 at {position}"));
    let until = Instant::now() + LONG;
    while viewer.epoch() < 2 && Instant::now() < until {
        let _ = viewer.read(&mut [0; 10], Wait::new().timeout(LONG));
    }
    assert_eq!(viewer.epoch(), 2);
    assert_eq!(viewer.producer(), ProducerState::Live { pid: 1 });
    figures("reader in a container", 2, "refused beside a producer outside; noticed its death, took over");
    passed()
}

fn equal_process_numbers_in_two_containers() -> Done {
    let container = isolated!(Isolation::container());
    let place = Place::new();
    let mut producer = container.start(&place, "producer");
    assert_eq!(producer.line(), "process 1 at 0");
    let mut heir = container.start(&place, "heir");
    let refused = heir.line();
    assert!(
        refused.contains("not to be seen from here"),
        "process 1 of its own namespace is meant: {refused}"
    );
    assert_eq!(heir.line(), "process 1 reads true");
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    signal(isolated::inner(&producer), libc::SIGKILL);
    let gone = heir.line();
    let position = gone.strip_prefix("process 1 is gone at ").expect(&gone).to_string();
    assert_eq!(heir.line(), format!("process 1 at {position}"));
    // It lives, whatever became of the other process 1.
    drop(producer);
    std::thread::sleep(3 * SLICE);
    viewer.seek(Start::Now);
    viewer.read(&mut [0; 10], Wait::new().timeout(LONG)).unwrap();
    assert_eq!(viewer.producer(), ProducerState::Live { pid: 1 });
    drop(heir);
    assert_eq!(
        read_until_it_stops(&mut viewer),
        ReadError::ProducerGone { pid: 1, position: viewer.position() }
    );
    figures("two processes 1 in two containers", 2, "each told from the other, and from process 1 here");
    passed()
}

const ROUNDS: u64 = 500;

/// Sends back what it is sent.
fn echo(place: &Path) {
    let mut there = annulus::open("there").directory(place).consumer::<u64>().unwrap();
    let mut back = annulus::create("back").directory(place).kind(Kind::Spsc).producer::<u64>().unwrap();
    say("ready");
    let mut one = [0];
    for _ in 0..ROUNDS {
        there.read(&mut one, Wait::new().timeout(LONG).strategy(Strategy::Block)).unwrap();
        back.push(&one).unwrap();
    }
    back.drain(Some(LONG)).unwrap();
}

/// There and back, each time to one who sleeps. A sleeper that no wake reached would sleep on to the end of its slice: all
/// rounds together, for longer than this waits for them.
fn wakes_cross_namespaces() -> Done {
    let container = isolated!(Isolation::container());
    let place = Place::new();
    let mut there =
        annulus::create("there").directory(place.path()).kind(Kind::Spsc).producer::<u64>().unwrap();
    let mut echo = container.start(&place, "echo");
    assert_eq!(echo.line(), "ready");
    let mut back = place.open("back").consumer::<u64>().unwrap();
    let start = Instant::now();
    for round in 0..ROUNDS {
        there.push(&[round]).unwrap();
        let mut one = [0];
        back.read(&mut one, Wait::new().timeout(LONG).strategy(Strategy::Block)).unwrap();
        assert_eq!(one, [round]);
    }
    let all_slices = 2 * ROUNDS as u32 * SLICE;
    assert!(start.elapsed() < all_slices / 3, "{:?} for {ROUNDS} rounds: wakes are lost", start.elapsed());
    figures("wakes across namespaces", ROUNDS, &format!("rounds in {:?}", start.elapsed()));
    passed()
}

/// Eleven days ahead.
const AHEAD: &str = "1000000";

fn clocks_of_other_time_namespaces() -> Done {
    let ahead = isolated!(Isolation::new(&[
        "--time",
        "--monotonic",
        AHEAD,
        "--boottime",
        AHEAD,
        "--fork",
        "--kill-child"
    ]));
    let place = Place::new();
    // Waits there, of each kind.
    let mut other = ahead.start(&place, "other clock");
    let now: u64 = other.line().parse().unwrap();
    assert!(now > annulus::monotonic_ns() + 900_000_000_000_000, "its clock is as ours");
    let mut first = annulus::create("a").directory(place.path()).capacity(512).producer::<u64>().unwrap();
    let mut second = annulus::create("b").directory(place.path()).capacity(512).producer::<u64>().unwrap();
    assert_eq!(other.line(), "nothing came in time");
    first.push(&[1]).unwrap();
    assert_eq!(other.line(), "0 is ready");
    second.push(&[1, 2, 3]).unwrap();
    assert_eq!(other.line(), "3 frames, nobody gone, nothing pruned");
    assert!(first.is_named() && second.is_named());

    // A producer there, a reader here; and the other way round.
    let mut producer = ahead.start(&place, "producer");
    producer.line();
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    signal(isolated::inner(&producer), libc::SIGSTOP);
    assert_eq!(read_until_it_stops(&mut viewer), ReadError::Timeout);
    assert_eq!(read_until_it_stops(&mut viewer), ReadError::Timeout);
    assert!(matches!(viewer.producer(), ProducerState::Live { .. }));
    assert!(matches!(stream(place.path()).producer::<u64>().unwrap_err(), Error::WriterBusy { .. }));
    signal(isolated::inner(&producer), libc::SIGCONT);
    viewer.read(&mut [0; 10], Wait::new().frames(10).timeout(LONG)).unwrap();
    let mut heir = Actor::start(&place, "heir");
    heir.line();
    heir.line();
    signal(isolated::inner(&producer), libc::SIGKILL);
    assert!(heir.line().contains("is gone"));
    assert!(heir.line().contains(" at "));
    assert!(place.open("s").status().unwrap().seen < LONG);
    figures(
        "a clock 11 days ahead in a time namespace",
        6,
        "waits of each kind, a producer and a reader there",
    );
    passed()
}

fn other_clock(place: &Path) {
    say(annulus::monotonic_ns());
    let open = |name| annulus::open(name).directory(place).appear_within(LONG).observer::<u64>().unwrap();
    let (mut first, mut second) = (open("a"), open("b"));
    let mut set = WaitSet::new();
    let brief = Wait::new().timeout(2 * SLICE);
    assert_eq!(first.read(&mut [0], brief), Err(ReadError::Timeout));
    assert_eq!(set.wait(&mut [&mut first, &mut second], brief), Err(ReadError::Timeout));
    say("nothing came in time");
    let ready = set
        .wait(&mut [&mut first, &mut second], Wait::new().timeout(LONG).strategy(Strategy::Block))
        .unwrap();
    say(format!("{} is ready", ready[0]));
    let frames = second
        .read(&mut [0; 3], Wait::new().frames(3).timeout(LONG).strategy(Strategy::Block))
        .unwrap()
        .frames;
    let live = [&first, &second].iter().all(|one| matches!(one.producer(), ProducerState::Live { .. }));
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    unsafe {
        std::env::set_var("ANNULUS_DIR", place);
    }
    let pruned = annulus::prune(Scope::User, Duration::from_secs(3600)).unwrap();
    let gone = if live { "nobody" } else { "somebody" };
    let pruned = if pruned.is_empty() { "nothing" } else { "something" };
    say(format!("{frames} frames, {gone} gone, {pruned} pruned"));
}

// ---- Names that are taken away.

/// As systemd's logind does where `RemoveIPC=yes`, when a user has logged out: all that the user has in `/dev/shm`, through
/// directories, which it removes, too.
fn remove_ipc(directory: &Path, user: u32) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        if found.uid() != user {
            continue;
        }
        if found.is_dir() {
            remove_ipc(&path, user);
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// Those who live go on; nobody finds them any more; whoever comes makes a new stream; and those of the old one can know.
fn all_names_taken_away() -> Done {
    let own = isolated!(Isolation::empty_shm());
    let place = Place::new();
    let mut actor = own.start(&place, "cleaned");
    let said: Vec<String> = actor.rest().collect();
    assert!(actor.child.wait().unwrap().success() && said == ["done"], "{said:?}");
    figures("names taken away (RemoveIPC)", 2, "scopes; the handles went on, and could know");
    passed()
}

fn cleaned() {
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    unsafe {
        std::env::remove_var("ANNULUS_DIR");
    }
    let shm = || {
        fs::read_dir("/dev/shm")
            .unwrap()
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(shm(), [""; 0], "not a directory of its own");
    for scope in [Scope::User, Scope::System] {
        let create = || annulus::create("s").scope(scope).capacity(512).lossless(1);
        let open = || annulus::open("s").scope(scope);
        let mut producer = create().producer::<u64>().unwrap();
        let mut viewer = open().observer::<u64>().unwrap();
        let mut recorder = open().lossless().observer::<u64>().unwrap();
        let queue = || annulus::create("q").scope(scope).kind(Kind::Spsc).capacity(512);
        let (mut feeder, mut consumer) =
            (queue().producer::<u64>().unwrap(), queue().consumer::<u64>().unwrap());
        let group = annulus::create("m").scope(scope).kind(Kind::Mpmc).group_consumer::<u64>().unwrap();
        let named = || {
            [
                producer.is_named(),
                viewer.is_named(),
                recorder.is_named(),
                consumer.is_named(),
                group.is_named(),
            ]
        };
        assert_eq!(named(), [true; 5], "{scope:?}");

        // SAFETY: geteuid has no preconditions.
        #[allow(unsafe_code)]
        remove_ipc(Path::new("/dev/shm"), unsafe { libc::geteuid() });
        assert_eq!(shm(), [""; 0]);
        assert_eq!(named(), [false; 5], "{scope:?}");

        let mut out = [0; 512];
        let wait = Wait::new().timeout(LONG).strategy(Strategy::Block);
        std::thread::scope(|scope| {
            let sleeping = scope.spawn(|| viewer.read(&mut [0; 8], wait.frames(3)).unwrap().frames);
            producer.push(&[1, 2, 3]).unwrap();
            assert_eq!(sleeping.join().unwrap(), 3);
        });
        assert_eq!(recorder.try_read(&mut out).unwrap().frames, 3);
        feeder.push(&[1, 2]).unwrap();
        assert_eq!(consumer.read(&mut out, wait).unwrap().frames, 2);
        assert!(matches!(viewer.producer(), ProducerState::Live { .. }));

        for missing in [open().observer::<u64>().unwrap_err(), open().remove().unwrap_err()] {
            assert!(matches!(missing, Error::NotFound { .. }), "{scope:?}: {missing}");
        }
        assert!(annulus::list(scope).unwrap().is_empty());
        let mut anew = create().producer::<u64>().unwrap();
        assert_ne!(anew.info().instance, producer.info().instance);
        assert_eq!((anew.epoch(), anew.position(), anew.is_named()), (1, 0, true));
        let mut newcomer = open().observer::<u64>().unwrap();
        anew.push(&[7]).unwrap();
        producer.push(&[4, 5, 6, 7]).unwrap();
        assert_eq!(newcomer.read(&mut out, wait).unwrap().frames, 1);
        assert_eq!(viewer.read(&mut out, wait).unwrap().frames, 4);
        // The old ones leave: nothing of the new one's is removed.
        producer.finish();
        drop((viewer, recorder, feeder, consumer, group));
        assert!(anew.is_named());
        open().observer::<u64>().unwrap();
        drop((anew, newcomer));
        assert_eq!(shm(), [""; 0], "the last one takes the directory along");
    }
    say("done");
}

// ---- Another user.

/// Numbers of users that nobody has.
const OWNER: u32 = 41_001;
const STRANGER: u32 = 41_003;

fn names_and_directories_squatted_by_another_user() -> Done {
    if !is_root() {
        return not_run("only root can be several users").into();
    }
    let own = isolated!(Isolation::empty_shm());
    let place = Place::new();
    let mut actor = own.start(&place, "squatted");
    let said: Vec<String> = actor.rest().collect();
    assert!(actor.child.wait().unwrap().success(), "{said:?}");
    said.iter().for_each(|line| println!("{line}"));
    passed()
}

/// Runs a role as a user, where every user can run it; what it said.
fn run_as(user: u32, program: &Path, place: &Path, role: &str, line: &str) -> Vec<String> {
    let mut command = actor::command(program, place, role);
    command
        .env_remove("ANNULUS_DIR")
        .env("TRIES", line)
        .uid(user)
        .gid(user)
        .stdin(std::process::Stdio::null());
    let done = command.output().unwrap();
    assert!(done.status.success(), "{role}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().lines().map(String::from).collect()
}

fn setting(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/fs/{name}")).unwrap().trim().to_string()
}

fn squatted(_: &Path) {
    // Away from the directory that is squatted: a place for the program, and one of the owner's own.
    let (tools, own) = (Path::new("/dev/shm/tools"), Path::new("/dev/shm/own"));
    for directory in [tools, own] {
        fs::create_dir(directory).unwrap();
        set_mode(directory, 0o755);
    }
    chown(own, Some(OWNER), None).unwrap();
    let program = tools.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    let private = PathBuf::from(format!("/dev/shm/annulus-{OWNER}"));
    let owner = |tries: &str| run_as(OWNER, &program, own, "owner", tries);
    let mut cases = 0;
    let mut refused = |tries: &str, words: &[&str]| {
        for line in owner(tries) {
            assert!(words.iter().all(|word| line.contains(word)), "{words:?} is not in: {line}");
            cases += 1;
        }
    };

    // The private directory, made by another before its owner came. It cannot be moved out of the way: the directory above
    // is sticky. In one of its own the owner works all the same.
    for mode in [0o700, 0o755, 0o777, 0o1777] {
        fs::create_dir(&private).unwrap();
        chown(&private, Some(STRANGER), Some(STRANGER)).unwrap();
        set_mode(&private, mode);
        refused("private", &["belongs to user 41003, not to you (41001)", "set ANNULUS_DIR"]);
        fs::remove_dir(&private).unwrap();
    }
    symlink(own, &private).unwrap();
    std::os::unix::fs::lchown(&private, Some(STRANGER), Some(STRANGER)).unwrap();
    refused("private", &["not a directory", "set ANNULUS_DIR"]);
    fs::remove_file(&private).unwrap();
    File::create(&private).unwrap();
    chown(&private, Some(STRANGER), Some(STRANGER)).unwrap();
    refused("private", &["not a directory", "set ANNULUS_DIR"]);
    fs::remove_file(&private).unwrap();
    fs::create_dir(&private).unwrap();
    chown(&private, Some(OWNER), None).unwrap();
    set_mode(&private, 0o777);
    refused("private", &["others may write", "chmod 700"]);
    set_mode(&private, 0o700);
    // Objects in it that are another's, or that others may write to.
    assert_eq!(owner("keep"), ["made"]);
    let object = private.join("s@v1.l1");
    chown(&object, Some(STRANGER), None).unwrap();
    refused("private", &["belongs to user 41003"]);
    chown(&object, Some(OWNER), None).unwrap();
    set_mode(&object, 0o666);
    refused("private", &["others may write", "left alone"]);
    fs::remove_dir_all(&private).unwrap();
    assert_eq!(owner("private"), ["made", "opened", "listed"], "nothing is in the way any more");
    assert!(!private.exists());

    // Among all users' names.
    let shared = Path::new("/dev/shm/annulus.s@v1.l1");
    let stranger = |tries: &str| run_as(STRANGER, &program, own, "stranger", tries);
    for what in ["file", "open file", "symlink", "fifo", "directory", "socket"] {
        assert_eq!(stranger(what), ["planted"]);
        refused("system", &["left alone"]);
        assert!(fs::symlink_metadata(shared).is_ok(), "{what}");
        assert!(owner("unlink")[0].contains("Operation not permitted"), "it is sticky");
        if what == "directory" { fs::remove_dir(shared) } else { fs::remove_file(shared) }.unwrap();
    }
    assert_eq!(stranger("stream"), ["planted"]);
    refused("system write", &["may not write to", "user 41003"]);
    fs::remove_file(shared).unwrap();

    // What a stranger can do to a stream that all may read.
    assert_eq!(owner("system keep"), ["made"]);
    assert_eq!(stranger("truncate"), ["Permission denied (os error 13)"]);
    assert_eq!(stranger("remove"), ["Operation not permitted (os error 1)"]);
    assert_eq!(stranger("chmod"), ["Operation not permitted (os error 1)"]);
    assert_eq!(stranger("observe"), ["observed"]);
    // One of its group pushes, too, but does not say who else may.
    chown(shared, None, Some(STRANGER)).unwrap();
    set_mode(shared, 0o660);
    assert_eq!(stranger("produce"), ["produced"]);
    let shared_otherwise = stranger("share otherwise");
    assert!(shared_otherwise[0].contains("may not change the group or mode of"), "{shared_otherwise:?}");
    chown(shared, None, Some(OWNER)).unwrap();
    set_mode(shared, 0o644);
    let linked = stranger("hard link");
    if setting("protected_hardlinks") == "1" {
        assert_eq!(linked, ["Operation not permitted (os error 1)"]);
        assert_eq!(owner("system"), ["carried on", "opened", "listed"]);
    } else {
        // It denies newcomers, until the owner is rid of it.
        assert_eq!(linked, ["planted"]);
        refused("system", &["second name", "by force"]);
        assert_eq!(owner("system force"), ["removed"]);
        assert_eq!(owner("system"), ["made", "opened", "listed"]);
    }
    let settings = ["protected_hardlinks", "protected_regular", "protected_symlinks", "protected_fifos"];
    let settings = settings.map(|name| format!("{name}={}", setting(name)));
    println!("figures | another user plants, squats, cuts | {cases} | 0 | {}", settings.join(" "));
}

/// Tries to use its streams, and says how that went.
fn owner(_: &Path) {
    let tries = std::env::var("TRIES").unwrap();
    let scope = if tries.contains("system") { Scope::System } else { Scope::User };
    let create = || {
        let stream = annulus::create("s").scope(scope).capacity(512);
        if scope == Scope::System { stream.mode(0o644) } else { stream }
    };
    let open = || annulus::open("s").scope(scope);
    match tries.as_str() {
        "unlink" => return say(fs::remove_file("/dev/shm/annulus.s@v1.l1").unwrap_err()),
        "system force" => {
            return say(open()
                .remove_forcibly()
                .map_or_else(|error| error.to_string(), |()| "removed".into()));
        }
        "system write" => return say(create().producer::<u64>().unwrap_err()),
        "keep" | "system keep" => {
            create().keep(true).producer::<u64>().unwrap();
            return say("made");
        }
        _ => {}
    }
    let kept = open().status().is_ok();
    let made = create().keep(kept).producer::<u64>();
    match &made {
        Ok(_) => say(if kept { "carried on" } else { "made" }),
        Err(error) => say(error),
    }
    match open().observer::<u64>() {
        Ok(_) => say("opened"),
        Err(error) => say(error),
    }
    match annulus::list(scope).map(|mut all| all.pop().map(|one| one.status)) {
        Ok(Some(Ok(_))) => say("listed"),
        Ok(Some(Err(error))) | Err(error) => say(error),
        Ok(None) => say("nothing is there"),
    }
}

/// Does what it can to a stream of another's.
fn stranger(own: &Path) {
    let object = Path::new("/dev/shm/annulus.s@v1.l1");
    let open = || annulus::open("s").scope(Scope::System);
    let create = || annulus::create("s").scope(Scope::System).capacity(512).keep(true);
    let done: std::io::Result<()> = match std::env::var("TRIES").unwrap().as_str() {
        "file" => fs::write(object, vec![0; 100_000]).map(|()| set_mode(object, 0o644)),
        "open file" => fs::write(object, "mine").map(|()| set_mode(object, 0o666)),
        "symlink" => symlink(own, object),
        "directory" => fs::create_dir(object),
        "socket" => std::os::unix::net::UnixListener::bind(object).map(drop),
        "fifo" => Command::new("mkfifo").arg(object).status().map(|done| assert!(done.success())),
        "stream" => create().mode(0o644).producer::<u64>().map(drop).map_err(std::io::Error::other),
        "truncate" => OpenOptions::new().write(true).open(object).and_then(|file| file.set_len(0)),
        "remove" => fs::remove_file(object),
        "chmod" => fs::set_permissions(object, Permissions::from_mode(0o666)),
        "observe" => {
            open().observer::<u64>().unwrap();
            return say("observed");
        }
        "produce" => {
            open().producer::<u64>().unwrap();
            create().producer::<u64>().unwrap();
            return say("produced");
        }
        "share otherwise" => return say(create().mode(0o640).producer::<u64>().unwrap_err()),
        "hard link" => fs::hard_link(object, "/dev/shm/annulus.linked@v1.l1"),
        other => panic!("{other}"),
    };
    match done {
        Ok(()) => say("planted"),
        Err(error) => say(error),
    }
}
