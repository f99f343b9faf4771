//! Waiting for many streams, and processes that are killed or forked meanwhile. This program is its own child: with a
//! role in its environment it plays that role, else it runs the tests.

mod support;

use annulus::{ReadError, Start, Strategy, Wait, WaitSet};
use libtest_mimic::{Arguments, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use support::Place;
use support::actor::{self, Actor, say};

const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if let Some((role, place)) = actor::role() {
        play(&role, place);
        return ExitCode::SUCCESS;
    }
    let test = |name: &str, run: fn()| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    let tests = vec![
        test("a_set_notices_a_killed_producer", a_set_notices_a_killed_producer),
        test("a_forked_child_does_not_wait", a_forked_child_does_not_wait),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn stream(place: &Path, name: &str) -> annulus::Builder {
    annulus::create(name).directory(place).rate(1000.0).retain(Duration::from_secs(10))
}

fn play(role: &str, place: PathBuf) {
    match role {
        // Pushes three frames, and lives on.
        "producer" => {
            let mut producer = stream(&place, "killed").producer::<u64>().unwrap();
            producer.push(&[1, 2, 3]).unwrap();
            say("pushed");
            std::thread::sleep(10 * LONG);
        }
        "forker" => forker(&place),
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
    for round in 0..3 {
        let mut actor = Actor::start(&place, "producer");
        assert_eq!(actor.line(), "pushed");
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

fn a_forked_child_does_not_wait() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "forker");
    assert_eq!(forker.line(), "child: Ok([0, 1]) Err(Forked)");
    assert_eq!(forker.line(), "parent: Ok([1])");
    assert!(forker.child.wait().unwrap().success());
}

/// In a process of one thread, as `fork` wants it.
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
