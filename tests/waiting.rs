//! Waiting for many streams, and processes that are killed or forked meanwhile. This program is its own child: with a
//! role in its environment it plays that role, else it runs the tests.

mod support;

use annulus::{ReadError, Start, Strategy, Wait, WaitSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;
use support::actor::{self, Actor, say};
use support::{Place, readable};

const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    actor::main(
        play,
        tests![
            a_set_notices_a_killed_producer,
            #[cfg(unix)]
            a_forked_child_does_not_wait,
            an_event_loop_is_told_of_a_killed_producer,
            #[cfg(unix)]
            handles_that_leave_take_everything_along,
            #[cfg(unix)]
            a_forked_child_has_an_event_loop_of_its_own,
        ],
    )
}

fn stream(place: &Path, name: &str) -> annulus::Builder {
    annulus::create(name)
        .directory(place)
        .backend(support::backend())
        .rate(1000.0)
        .retain(Duration::from_secs(10))
}

fn play(role: &str, place: &Path) {
    match role {
        // Pushes three frames, and lives on.
        "producer" => {
            let mut producer = stream(place, "killed").producer::<u64>().unwrap();
            producer.push(&[1, 2, 3]).unwrap();
            say("pushed");
            std::thread::sleep(10 * LONG);
        }
        #[cfg(unix)]
        "forker" => forker(place),
        #[cfg(unix)]
        "leaver" => leaver(place),
        #[cfg(unix)]
        "polling forker" => polling_forker(place),
        other => panic!("no role {other}"),
    }
}

fn wait() -> Wait {
    Wait::new().timeout(LONG).strategy(Strategy::Block)
}

fn a_set_notices_a_killed_producer() {
    let place = Place::new();
    let mut out = [0; 8];
    let quiet = |name: &str| stream(place.path(), name).producer::<u64>().unwrap();
    let _producers = [quiet("a"), quiet("b")];
    let mut held = None;
    for round in 0..3 {
        let mut actor = Actor::start(&place, "producer");
        assert_eq!(actor.line(), "pushed");
        held = held.or_else(|| place.hold("killed"));
        let viewer = |name: &str| place.open(name).observer::<u64>().unwrap();
        let mut viewers = [viewer("a"), viewer("killed"), viewer("b")];
        let mut late = place.open("killed").start(Start::Oldest).observer::<u64>().unwrap();
        let pid = actor.pid();
        actor.kill();
        let mut set = WaitSet::new();
        let gone = Err(ReadError::ProducerGone { pid, position: 3 * (round + 1) });
        assert_eq!(set.wait(&mut viewers, wait()), Ok(&[1][..]));
        assert_eq!(set.wait(&mut viewers, wait()), Ok(&[1][..]), "until it is read");
        match round {
            0 => assert_eq!(viewers[1].try_read(&mut out), gone),
            1 => assert_eq!(viewers[1].read(&mut out, wait().timeout(Duration::ZERO)), gone),
            _ => assert_eq!(viewers[1].read(&mut out, wait().frames(5)), gone),
        }
        assert_eq!(viewers[1].try_read(&mut out), Err(ReadError::Empty), "said once");
        let brief = wait().timeout(Duration::from_millis(250));
        assert_eq!(set.wait(&mut viewers, brief), Err(ReadError::Timeout), "said once");
        // Its last frames first, though they are fewer than are waited for.
        assert_eq!(set.wait(&mut [&mut late], wait().frames(100)), Ok(&[0][..]));
        assert_eq!(late.try_read(&mut [0; 100]).unwrap().frames as u64, 3 * (round + 1));
        assert_eq!(set.wait(&mut [&mut late], wait()), Ok(&[0][..]));
        assert_eq!(late.try_read(&mut out), gone);
    }
    place.open("killed").remove().unwrap();
}

#[cfg(unix)]
fn a_forked_child_does_not_wait() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "forker");
    assert_eq!(forker.line(), "child: Ok([0, 1]) Err(Forked)");
    assert_eq!(forker.line(), "parent: Ok([1])");
    assert!(forker.child.wait().unwrap().success());
}

/// In a process of one thread, as `fork` wants it.
#[cfg(unix)]
fn forker(place: &Path) {
    let names = ["a", "b"];
    let mut producers = names.map(|name| stream(place, name).producer::<u64>().unwrap());
    let mut viewers = names.map(|name| annulus::open(name).directory(place).observer::<u64>().unwrap());
    let mut set = WaitSet::new();
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ready = set.wait(&mut viewers, wait()).map(<[usize]>::to_vec);
        say(format!("child: {ready:?} {:?}", viewers[0].try_read(&mut [0])));
        return;
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    #[allow(unsafe_code)]
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    producers[1].push(&[2]).unwrap();
    say(format!("parent: {:?}", set.wait(&mut viewers, wait())));
}

fn an_event_loop_is_told_of_a_killed_producer() {
    let place = Place::new();
    for frames in [1, 5] {
        let mut actor = Actor::start(&place, "producer");
        assert_eq!(actor.line(), "pushed");
        let open = || place.open("killed").start(Start::Oldest).observer::<u64>().unwrap();
        let mut viewer = open().polled(frames).unwrap();
        let mut patient = open().polled(100).unwrap();
        let pid = actor.pid();
        let gone = Err(ReadError::ProducerGone { pid, position: 3 });
        let mut out = [0; 100];
        if frames == 1 {
            assert!(readable(&[&viewer], LONG)[0]);
            assert_eq!(viewer.try_read(&mut out).unwrap().frames, 3);
            assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty));
            assert!(!readable(&[&viewer], Duration::ZERO)[0]);
        }
        actor.kill();
        assert!(readable(&[&patient], LONG)[0], "its last frames, though they are fewer");
        assert_eq!(patient.try_read(&mut out).unwrap().frames, 3);
        for viewer in [&mut viewer, &mut patient] {
            assert!(readable(&[viewer], LONG)[0]);
            if viewer.available() > 0 {
                viewer.try_read(&mut out).unwrap();
            }
            assert_eq!(viewer.try_read(&mut out), gone);
            assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty), "said once");
            assert!(!readable(&[viewer], Duration::from_millis(250))[0], "told once");
        }
        // A successor is news again.
        let mut next = stream(place.path(), "killed").producer::<u64>().unwrap();
        next.push(&[7; 100]).unwrap();
        assert!(readable(&[&viewer], LONG)[0] && readable(&[&patient], LONG)[0]);
        assert_eq!(viewer.try_read(&mut out).unwrap().restarted.map(|restart| restart.epoch), Some(2));
    }
}

#[cfg(unix)]
fn handles_that_leave_take_everything_along() {
    let place = Place::new();
    let mut actor = Actor::start(&place, "leaver");
    assert_eq!(actor.line(), "1 thread, 20 descriptors for 20 handles; then 0, 0");
    assert!(actor.child.wait().unwrap().success());
}

/// How many threads of the library's, and how many descriptors.
#[cfg(unix)]
fn belongings() -> (usize, usize) {
    let comm = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap().filter_map(comm);
    let ours = threads.filter(|name| name.starts_with("annulus")).count();
    (ours, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

#[cfg(unix)]
fn leaver(place: &Path) {
    let mut producer = stream(place, "s").readers(30).producer::<u64>().unwrap();
    let before = belongings();
    assert_eq!(before.0, 0, "nobody waits yet");
    let plain: Vec<_> =
        (0..20).map(|_| annulus::open("s").directory(place).observer::<u64>().unwrap()).collect();
    let with_handles = belongings().1;
    drop(plain);
    let viewer =
        |frames| annulus::open("s").directory(place).observer::<u64>().unwrap().polled(frames).unwrap();
    let mut armed: Vec<_> = (0..10).map(|_| viewer(5)).collect();
    let told: Vec<_> = (0..10).map(|_| viewer(2)).collect();
    producer.push(&[1, 2]).unwrap();
    for viewer in &told {
        assert!(readable(&[viewer], LONG)[0]);
    }
    let (threads, descriptors) = belongings();
    armed.truncate(5); // and the others are waited for in the meantime
    producer.push(&[3, 4, 5]).unwrap();
    for viewer in &armed {
        assert!(readable(&[viewer], LONG)[0]);
    }
    drop((armed, told));
    let until = Instant::now() + LONG;
    while belongings().0 > 0 {
        assert!(Instant::now() < until, "the thread stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (left, more) = (belongings().1 - before.1, descriptors - with_handles);
    say(format!("{threads} thread, {more} descriptors for 20 handles; then {}, {left}", belongings().0));
}

#[cfg(unix)]
fn a_forked_child_has_an_event_loop_of_its_own() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "polling forker");
    assert_eq!(forker.line(), "child: Err(Forked), told true of its own");
    assert_eq!(forker.line(), "parent: told true");
    assert!(forker.child.wait().unwrap().success());
}

#[cfg(unix)]
fn polling_forker(place: &Path) {
    let open =
        |name: &str| annulus::open(name).directory(place).observer::<u64>().unwrap().polled(1).unwrap();
    let mut producer = stream(place, "s").producer::<u64>().unwrap();
    let mut viewer = open("s");
    producer.push(&[1]).unwrap();
    assert!(readable(&[&viewer], LONG)[0]);
    viewer.try_read(&mut [0; 8]).unwrap();
    assert_eq!(viewer.try_read(&mut [0; 8]), Err(ReadError::Empty));
    // SAFETY: the child uses nothing that the other thread may have been in the middle of but the library, which is
    // what is tested, and the allocator, which is prepared for it.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let read = viewer.try_read(&mut [0]);
        viewer.seek(Start::Oldest);
        let mut producer = stream(place, "own").producer::<u64>().unwrap();
        let mut own = open("own");
        drop(viewer);
        let mut told = true;
        for round in 0..3 {
            producer.push(&[round]).unwrap();
            told &= readable(&[&own], LONG)[0];
            own.try_read(&mut [0; 8]).unwrap();
            told &= own.try_read(&mut [0; 8]) == Err(ReadError::Empty);
        }
        say(format!("child: {read:?}, told {told} of its own"));
        return;
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    #[allow(unsafe_code)]
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    assert!(!readable(&[&viewer], Duration::ZERO)[0], "the child told nothing");
    producer.push(&[2]).unwrap();
    say(format!("parent: told {}", readable(&[&viewer], LONG)[0]));
}
