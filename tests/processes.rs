//! Real processes: killed, stopped, restarted, forked, racing. This program is its own child: with a role in
//! its environment it plays that role, else it runs the tests. Only Unix forks, says who is stopped, and lets a program close what
//! is another's.

mod support;

use annulus::{AtLimit, Error, Kind, ProducerState, PushError, ReadError, Start, Strategy, Wait};
use std::io::{BufRead, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::Place;
use support::actor::{self, Actor, say};

const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    actor::main(
        play,
        tests![
            a_killed_producer_is_noticed_and_succeeded,
            a_killed_reader_changes_nothing,
            times_are_told_between_processes,
            a_queue_has_a_clock_for_each_lane,
            a_killed_consumer_is_succeeded_within_its_bound,
            #[cfg(unix)]
            a_stopped_producer_keeps_its_seat,
            of_many_creators_one_wins,
            everything_arrives_between_processes,
            a_refused_open_leaves_what_a_crash_left,
            #[cfg(unix)]
            a_superseded_producer_ends_nothing,
            #[cfg(unix)]
            a_forked_child_has_no_handles,
            #[cfg(unix)]
            a_forked_child_takes_nothing_that_was_lent,
            #[cfg(unix)]
            a_child_forked_while_one_attaches_has_no_seat,
            #[cfg(unix)]
            a_child_that_lives_on_does_not_keep_its_parents_seat,
            a_recorder_gets_every_frame_whatever_viewers_do,
            a_stopped_recorder_is_waited_for,
            a_stopped_recorder_is_overtaken_and_told,
            a_killed_recorder_holds_nobody_up,
            #[cfg(unix)]
            a_forked_recorder_has_no_seat,
            #[cfg(unix)]
            a_recorder_whose_lock_was_closed_learns_of_it,
            #[cfg(unix)]
            who_has_no_descriptors_left_is_told_so,
        ],
    )
}

fn stream(place: &Path) -> annulus::Builder {
    annulus::create("s")
        .directory(place)
        .backend(support::backend())
        .rate(1000.0)
        .retain(Duration::from_secs(10))
}

fn queue(place: &Path) -> annulus::Builder {
    annulus::create("q").directory(place).backend(support::backend()).kind(Kind::Spsc).capacity(4096)
}

fn play(role: &str, place: &Path) {
    match role {
        // Counts from its position on, a frame a time, until it is killed.
        "producer" => {
            let mut producer = stream(place).producer::<u64>().unwrap();
            say(producer.position());
            loop {
                producer.push(&[producer.position()]).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        // Says between which times it pushed, frame by frame; "once": one, until it is told to end.
        "timed producer" | "timed once" => {
            let mut producer = stream(place).producer::<u64>().unwrap();
            loop {
                let before = annulus::monotonic_ns();
                let position = producer.position();
                producer.push(&[position]).unwrap();
                say(format!("{position} {before} {}", annulus::monotonic_ns()));
                if role == "timed once" {
                    let _ = std::io::stdin().read_line(&mut String::new());
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        "finite producer" => {
            let mut producer = queue(place).producer::<u64>().unwrap();
            say(producer.position());
            let items: Vec<u64> = (0..1_000_000).collect();
            for block in items.chunks(777) {
                producer.push_wait(block, Some(LONG)).unwrap();
            }
            producer.drain(Some(LONG)).unwrap();
            producer.finish();
        }
        "viewer" => {
            let mut viewer = annulus::open("s").directory(place).observer::<u64>().unwrap();
            say("ready");
            let mut out = [0; 64];
            loop {
                let _ = viewer.read(&mut out, Wait::new().strategy(Strategy::Block));
            }
        }
        // Takes single frames and says what it took, until it is killed.
        "consumer" => {
            let mut consumer = annulus::open("q").directory(place).consumer::<u64>().unwrap();
            say(consumer.position());
            let mut one = [0];
            loop {
                consumer.read(&mut one, Wait::new().timeout(LONG)).unwrap();
                say(one[0]);
            }
        }
        "creator" => {
            // All at once, as near as it can be had.
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            match stream(place).producer::<u64>() {
                Ok(_producer) => {
                    say("won");
                    std::io::stdin().read_line(&mut line).unwrap();
                }
                Err(Error::WriterBusy { pid, .. }) => say(format!("lost to {pid}")),
                Err(other) => say(format!("failed: {other}")),
            }
        }
        #[cfg(unix)]
        "forker" => forker(place),
        #[cfg(unix)]
        "lender" => lender(place),
        #[cfg(unix)]
        "attaching forker" => attaching_forker(place),
        #[cfg(unix)]
        "parent" => parent(place),
        "recorder" => recorder(place),
        "watcher" => watcher(place),
        #[cfg(unix)]
        "forking recorder" => forking_recorder(place),
        #[cfg(unix)]
        "spender" => spender(place),
        other => panic!("no role {other}"),
    }
}

fn a_killed_producer_is_noticed_and_succeeded() {
    let place = Place::new();
    let mut first = Actor::start(&place, "producer");
    assert_eq!(first.line(), "0");
    let mut viewer = place.open("s").start(Start::Oldest).observer::<u64>().unwrap();
    let mut out = [0; 64];
    let mut next = 0;
    let mut follow = |viewer: &mut annulus::Observer<u64>, until: u64| {
        let until_time = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < until_time, "no end at {next}");
            match viewer.read(&mut out, Wait::new().timeout(Duration::from_millis(300))) {
                Ok(read) => {
                    assert_eq!((read.first_position, read.lost_before), (next, 0));
                    assert!(out[..read.frames].iter().copied().eq(next..next + read.frames as u64));
                    next += read.frames as u64;
                    if read.restarted.is_some() {
                        return (next, Ok(read.restarted));
                    }
                    if next >= until {
                        return (next, Ok(None));
                    }
                }
                Err(ReadError::Timeout) => {}
                Err(stop) => return (next, Err(stop)),
            }
        }
    };
    assert_eq!(follow(&mut viewer, 200).1, Ok(None));
    let pid = first.pid();
    first.kill();
    let (position, stop) = follow(&mut viewer, u64::MAX);
    assert_eq!(stop, Err(ReadError::ProducerGone { pid, position }), "after its last frame");
    assert_eq!(viewer.producer(), ProducerState::Dead { pid });
    let brief = Wait::new().timeout(Duration::from_millis(250));
    assert_eq!(viewer.read(&mut [0], brief), Err(ReadError::Timeout), "said once");

    let status = place.open("s").status().unwrap();
    assert_eq!((status.producer, status.position), (ProducerState::Dead { pid }, position));
    let _held = place.hold("s");
    drop(viewer);
    assert_eq!(place.objects(), ["s@v1.l1"], "what a crash leaves stays, to be resumed");
    let mut viewer = place.open("s").start(Start::Oldest).observer::<u64>().unwrap();
    let mut all = vec![0; position as usize + 10];
    assert_eq!(viewer.read(&mut all, Wait::new()).unwrap().frames as u64, position, "readable to the last");

    let mut second = Actor::start(&place, "producer");
    assert_eq!(second.line(), position.to_string(), "carries on where the first stopped");
    let (_, restart) = follow(&mut viewer, u64::MAX);
    let restart = restart.unwrap().unwrap();
    assert_eq!((restart.epoch, restart.position), (2, position));
    second.kill();
    place.open("s").remove().unwrap();
}

/// What its producer says of a frame: its position, and the times before and after its push.
fn timed(producer: &mut Actor) -> (u64, u64, u64) {
    let line = producer.line();
    let mut words = line.split(' ').map(|word| word.parse().unwrap());
    (words.next().unwrap(), words.next().unwrap(), words.next().unwrap())
}

fn times_are_told_between_processes() {
    let place = Place::new();
    let mut first = Actor::start(&place, "timed producer");
    let mut frames = vec![timed(&mut first)];
    let viewer = place.open("s").observer::<u64>().unwrap();
    assert_eq!(viewer.clock().unwrap().nominal(), Some(1000.0));
    let until = Instant::now() + LONG;
    while viewer.clock().unwrap().rate_sigma().is_infinite() {
        assert!(Instant::now() < until, "no rate was measured");
        frames.push(timed(&mut first));
    }
    frames.extend(std::iter::repeat_with(|| timed(&mut first)).take(200));
    first.kill();
    // The last record stays, and it goes through the pushes: some were later than it says, some were not.
    let clock = viewer.clock().unwrap();
    assert_eq!(clock.since(), 0);
    assert!(clock.rate() < 600.0, "it sleeps 2 ms and more, {clock:?}");
    let recent = &frames[frames.len() / 2..];
    let told = |position: &u64| clock.time_of(*position).monotonic_ns;
    assert!(recent.iter().any(|(position, _, after)| *after >= told(position)), "all were earlier");
    assert!(recent.iter().any(|(position, before, _)| *before <= told(position)), "all were later");

    // A successor begins anew: with one reading, and what is written on the device.
    let mut second = Actor::start(&place, "timed once");
    let (position, before, after) = timed(&mut second);
    let clock = viewer.clock().unwrap();
    assert_eq!((clock.since(), clock.rate(), clock.rate_sigma()), (position, 1000.0, f64::INFINITY));
    let told = clock.time_of(position).monotonic_ns;
    assert!((before..=after).contains(&told), "{told} is not between {before} and {after}");
    second.kill();
    assert_eq!(viewer.clock(), Some(clock));
}

fn a_queue_has_a_clock_for_each_lane() {
    let place = Place::new();
    let queue = || place.create("w").kind(Kind::Mpmc).producers(3).capacity(64).rate(10.0);
    let mut producers = [(); 2].map(|()| queue().producer::<u64>().unwrap());
    let consumer = place.open("w").group_consumer::<u64>().unwrap();
    assert!((0..4).all(|lane| consumer.clock(lane).is_none()));
    let mut times = vec![annulus::monotonic_ns()];
    for producer in &mut producers {
        producer.push(&[1]).unwrap();
        times.push(annulus::monotonic_ns());
    }
    for (producer, span) in producers.iter().zip(times.windows(2)) {
        let clock = consumer.clock(producer.lane()).unwrap();
        assert_eq!(producer.clock(), Some(clock));
        let told = clock.time_of(0).monotonic_ns;
        assert!((span[0]..=span[1]).contains(&told));
    }
    assert!(consumer.clock(2).is_none() && consumer.clock(3).is_none());
    let status = place.open("w").status().unwrap();
    let told: Vec<_> = status.lanes.iter().map(|lane| lane.clock).collect();
    assert_eq!(told, [consumer.clock(0), consumer.clock(1), None]);
}

fn a_killed_reader_changes_nothing() {
    let place = Place::new();
    let mut producer = stream(place.path()).readers(3).producer::<u64>().unwrap();
    let mut other = place.open("s").observer::<u64>().unwrap();
    let mut out = [0; 64];
    for round in 0..20 {
        let mut viewer = Actor::start(&place, "viewer");
        assert_eq!(viewer.line(), "ready", "seats of the dead are free again");
        producer.push(&[round]).unwrap();
        viewer.kill();
        producer.push(&[round]).unwrap();
        let read = other.read(&mut out, Wait::new().frames(2).timeout(LONG)).unwrap();
        assert_eq!((read.frames, read.lost_before), (2, 0));
    }
    drop((producer, other));
    assert!(place.objects().is_empty(), "a dead reader holds nothing back");
}

fn a_killed_consumer_is_succeeded_within_its_bound() {
    let place = Place::new();
    let mut producer = queue(place.path()).producer::<u64>().unwrap();
    let mut next = 0;
    let mut seen = 0;
    for _ in 0..10 {
        let mut consumer = Actor::start(&place, "consumer");
        let from: u64 = consumer.line().parse().unwrap();
        // One it may have taken, and not said.
        assert!(
            from <= seen + 1 && seen.saturating_sub(from) <= 64,
            "sees again what was not given back: {from} after {seen}"
        );
        let items: Vec<u64> = (next..next + 500).collect();
        producer.push_wait(&items, Some(LONG)).unwrap();
        next += 500;
        let mut expected = from;
        while expected < next - 100 {
            assert_eq!(consumer.line(), expected.to_string(), "in order, none missing");
            expected += 1;
        }
        consumer.child.kill().unwrap();
        consumer.child.wait().unwrap();
        // What it said before it died it had taken.
        for line in consumer.lines.by_ref().lines().map_while(Result::ok) {
            if line.parse() == Ok(expected) {
                expected += 1;
            }
        }
        seen = expected;
    }
    drop(producer);
    assert_eq!(place.objects(), ["q@v1.l1"], "unread frames of a killed consumer stay");
}

fn a_refused_open_leaves_what_a_crash_left() {
    let place = Place::new();
    let mut producer = Actor::start(&place, "producer");
    producer.line();
    let pid = producer.pid();
    let mut viewer = place.open("s").start(Start::Oldest).observer::<u64>().unwrap();
    viewer.read(&mut [0; 10], Wait::new().frames(10).timeout(LONG)).unwrap();
    let _held = place.hold("s");
    drop(viewer);
    producer.kill();
    let state = |name: &str| place.open(name).status().unwrap();
    let before = state("s");
    for _ in 0..2 {
        assert!(matches!(place.open("s").producer::<u16>(), Err(Error::BadParameter { .. })));
        assert_eq!(state("s").producer, ProducerState::Dead { pid });
    }
    assert_eq!(state("s").position, before.position);
    place.open("s").remove().unwrap();

    // A consumer that died, beside frames that nobody took.
    let mut producer = queue(place.path()).producer::<u64>().unwrap();
    let mut consumer = Actor::start(&place, "consumer");
    consumer.line();
    consumer.kill();
    producer.push(&[7; 50]).unwrap();
    let _held_too = place.hold("q");
    drop(producer);
    assert!(matches!(place.open("q").consumer::<u16>(), Err(Error::BadParameter { .. })));
    assert!(matches!(place.open("q").producer::<u16>(), Err(Error::BadParameter { .. })));
    assert_eq!(place.open("q").consumer::<u64>().unwrap().available(), 50);

    // Positions that contradict each other: said, and left for whoever wants to look.
    let mut producer = Actor::start(&place, "producer");
    producer.line();
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    viewer.read(&mut [0], Wait::new().timeout(LONG)).unwrap();
    let _held_again = place.hold("s");
    drop(viewer);
    producer.kill();
    let path = place.path().join("s@v1.l1");
    support::set_word(&path, 0x58, 0x1008, 0); // intent
    for _ in 0..2 {
        assert!(matches!(stream(place.path()).producer::<u64>(), Err(Error::Corrupt { .. })));
    }
    assert!(path.exists());
}

/// A program that closes all descriptors, as daemons do, loses its seat, and does not know until it pushes.
#[cfg(unix)]
fn a_superseded_producer_ends_nothing() {
    let place = Place::new();
    let mut first = stream(place.path()).producer::<u64>().unwrap();
    first.push(&[0; 5]).unwrap();
    let found = std::fs::metadata(place.path().join("s@v1.l1")).unwrap();
    let object = (found.dev(), found.ino());
    let mut closed = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap().path();
        // Not by its link: that has the name from before there was a name.
        if std::fs::metadata(&entry).is_ok_and(|found| (found.dev(), found.ino()) == object) {
            let descriptor: i32 = entry.file_name().unwrap().to_str().unwrap().parse().unwrap();
            // SAFETY: what a careless program does; the library is to survive it.
            #[allow(unsafe_code)]
            unsafe {
                libc::close(descriptor)
            };
            closed.push(descriptor);
        }
    }
    assert_eq!(closed.len(), 1, "a handle has one open of the object");
    // A child that another test starts at this moment has a copy of the descriptor until it runs its program.
    let until = Instant::now() + LONG;
    let mut second = loop {
        match stream(place.path()).producer::<u64>() {
            Err(Error::WriterBusy { .. }) if Instant::now() < until => {}
            second => break second.unwrap(),
        }
    };
    let mut viewer = place.open("s").start(Start::Oldest).observer::<u64>().unwrap();
    second.push(&[1; 5]).unwrap();
    assert_eq!(first.push(&[2]), Err(PushError::Superseded));
    first.finish();
    assert_eq!(viewer.read(&mut [0; 100], Wait::new()).unwrap().frames, 10);
    second.push(&[1; 5]).unwrap();
    assert_eq!(viewer.read(&mut [0; 100], Wait::new()).unwrap().frames, 5, "it has not ended");
    assert_eq!(viewer.producer(), ProducerState::Live { pid: std::process::id() });
    let refused = stream(place.path()).producer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::WriterBusy { .. }), "{refused}");
}

#[cfg(unix)]
fn a_stopped_producer_keeps_its_seat() {
    let place = Place::new();
    let mut producer = Actor::start(&place, "producer");
    producer.line();
    producer.stop();
    let until = Instant::now() + LONG;
    let refused = loop {
        let refused = stream(place.path()).producer::<u64>().unwrap_err();
        // The signal takes a moment to arrive.
        if matches!(refused, Error::WriterBusy { stopped: true, .. }) || Instant::now() > until {
            break refused;
        }
    };
    assert!(
        matches!(refused, Error::WriterBusy { pid, stopped: true, .. } if pid == producer.pid()),
        "{refused}"
    );
    assert!(refused.to_string().contains("stopped"), "{refused}");
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    let mut out = [0; 64];
    while viewer.try_read(&mut out).is_ok() {}
    let brief = Wait::new().timeout(Duration::from_millis(350));
    assert_eq!(viewer.read(&mut out, brief), Err(ReadError::Timeout), "stopped is not gone");
    producer.go_on();
    viewer.read(&mut out, Wait::new().timeout(LONG)).unwrap();
}

fn of_many_creators_one_wins() {
    let place = Place::new();
    for _ in 0..10 {
        let mut creators: Vec<Actor> = (0..6).map(|_| Actor::start(&place, "creator")).collect();
        for creator in &mut creators {
            creator.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        }
        let said: Vec<(u32, String)> = creators.iter_mut().map(|one| (one.pid(), one.line())).collect();
        let winners: Vec<u32> = said.iter().filter(|(_, line)| line == "won").map(|(pid, _)| *pid).collect();
        assert_eq!(winners.len(), 1, "{said:?}");
        for (_, line) in said.iter().filter(|(_, line)| line != "won") {
            assert_eq!(*line, format!("lost to {}", winners[0]), "{said:?}");
        }
        let _held = place.hold("s");
        drop(creators);
        place.open("s").remove().unwrap();
    }
}

fn everything_arrives_between_processes() {
    let place = Place::new();
    let mut consumer = queue(place.path()).consumer::<u64>().unwrap();
    let mut producer = Actor::start(&place, "finite producer");
    producer.line();
    let mut next = 0;
    loop {
        match consumer.chunk(1000, Wait::new().frames(100).timeout(LONG)) {
            Ok(chunk) => {
                assert_eq!(chunk.first_position(), next);
                let (first, rest) = chunk.slices();
                for item in first.iter().chain(rest) {
                    assert_eq!(*item, next);
                    next += 1;
                }
                chunk.commit_all();
            }
            Err(ReadError::Ended { position }) => break assert_eq!(position, next),
            Err(other) => panic!("{other} at {next}"),
        }
    }
    assert_eq!(next, 1_000_000);
    assert!(producer.child.wait().unwrap().success());
}

#[cfg(unix)]
fn a_forked_child_has_no_handles() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "forker");
    assert_eq!(forker.line(), "child: Forked Forked true");
    assert_eq!(forker.line(), "parent: 2 frames, object there");
    assert!(forker.child.wait().unwrap().success());
    assert!(place.objects().is_empty());
}

/// In a process of one thread, as `fork` wants it.
#[cfg(unix)]
fn forker(place: &Path) {
    let mut producer = stream(place).producer::<u64>().unwrap();
    let mut viewer = annulus::open("s").directory(place).observer::<u64>().unwrap();
    producer.push(&[1]).unwrap();
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let push = producer.push(&[9]).unwrap_err();
        let read = viewer.try_read(&mut [0]).unwrap_err();
        // Dropped here: nothing may be stored, unlocked or removed.
        drop((producer, viewer));
        let alive = annulus::open("s").directory(place).status().unwrap().producer;
        let parent = std::os::unix::process::parent_id();
        say(format!("child: {push:?} {read:?} {}", alive == ProducerState::Live { pid: parent }));
        assert_eq!((push, read), (PushError::Forked, ReadError::Forked));
        return;
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    #[allow(unsafe_code)]
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    producer.push(&[2]).unwrap();
    let mut out = [0; 8];
    let frames = viewer.read(&mut out, Wait::new().timeout(LONG)).unwrap().frames;
    let there = if place.join("s@v1.l1").exists() { "there" } else { "gone" };
    say(format!("parent: {frames} frames, object {there}"));
}

#[cfg(unix)]
fn a_forked_child_takes_nothing_that_was_lent() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "lender");
    assert_eq!(forker.line(), "child: 0 frames, None, Err(Forked)");
    assert_eq!(forker.line(), "parent: head 0, pushed 4096");
    assert!(forker.child.wait().unwrap().success());
}

/// Forks with a chunk and a reservation in hand, in a process of one thread.
#[cfg(unix)]
fn lender(place: &Path) {
    let ring = queue(place).without_observers();
    let mut producer = ring.producer::<u64>().unwrap();
    let mut consumer = annulus::open("q").directory(place).consumer::<u64>().unwrap();
    producer.push(&[1; 2048]).unwrap();
    let mut reserved = producer.reserve(2048).unwrap();
    let lent = consumer.chunk(2048, Wait::new()).unwrap();
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let slices = reserved.slices_mut().map(|_| ());
        let written = reserved.write(&[9]);
        let taken = lent.commit_all().frames;
        consumer.release();
        say(format!("child: {taken} frames, {slices:?}, {written:?}"));
        return;
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(child, &raw mut status, 0)
    };
    assert_eq!(status, 0);
    let head = annulus::open("q").directory(place).status().unwrap().head.unwrap();
    assert!(lent.slices().0.iter().all(|item| *item == 1));
    drop(lent);
    reserved.slices_mut().unwrap().0.fill(2);
    reserved.commit_all().unwrap();
    say(format!("parent: head {head}, pushed {}", producer.position()));
}

/// One thread attaches, another forks: whatever the moment, no child has a copy of what carries the lock.
#[cfg(unix)]
fn a_child_forked_while_one_attaches_has_no_seat() {
    let place = Place::new();
    let mut forker = Actor::start(&place, "attaching forker");
    assert_eq!(forker.line(), "3000 children, none with a lock");
    assert!(forker.child.wait().unwrap().success());
}

#[cfg(unix)]
fn attaching_forker(place: &Path) {
    let _producer = stream(place).producer::<u64>().unwrap();
    let (go, gone) = std::sync::mpsc::channel::<u32>();
    let (attached, is_attached) = std::sync::mpsc::channel();
    let path = place.to_path_buf();
    std::thread::spawn(move || {
        for spins in gone {
            (0..spins).for_each(|_| std::hint::spin_loop());
            attached.send(annulus::open("s").directory(&path).observer::<u64>().unwrap()).unwrap();
        }
    });
    for round in 0..3000u32 {
        go.send(0).unwrap();
        (0..round % 400 * 20).for_each(|_| std::hint::spin_loop());
        // SAFETY: the child makes no other call than this one.
        #[allow(unsafe_code)]
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: as above.
                #[allow(unsafe_code)]
                unsafe {
                    libc::pause()
                };
            }
        }
        let viewer = is_attached.recv().unwrap();
        let locks = || -> Vec<String> {
            let infos = std::fs::read_dir(format!("/proc/{child}/fdinfo")).unwrap();
            infos
                .filter_map(|info| std::fs::read_to_string(info.ok()?.path()).ok())
                .filter(|info| info.contains("lock:"))
                .collect()
        };
        // The child closes them before it gets on.
        let until = Instant::now() + Duration::from_secs(2);
        while !locks().is_empty() && Instant::now() < until {
            std::thread::yield_now();
        }
        let locks = locks();
        // SAFETY: the child is ours, and waits for nothing else.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        drop(viewer);
        assert!(locks.is_empty(), "after {round}: {locks:?}");
    }
    say("3000 children, none with a lock");
}

#[cfg(unix)]
fn a_child_that_lives_on_does_not_keep_its_parents_seat() {
    let place = Place::new();
    let mut parent = Actor::start(&place, "parent");
    let child: i32 = parent.line().parse().unwrap();
    let pid = parent.pid();
    parent.kill();
    let until = Instant::now() + LONG;
    let state = loop {
        let state = place.open("s").status().unwrap().producer;
        if matches!(state, ProducerState::Dead { .. }) || Instant::now() > until {
            break state;
        }
    };
    // SAFETY: kill takes numbers only.
    #[allow(unsafe_code)]
    let was_alive = unsafe { libc::kill(child, libc::SIGKILL) };
    assert_eq!(was_alive, 0, "the child was to live on");
    assert_eq!(state, ProducerState::Dead { pid });
}

#[cfg(unix)]
fn parent(place: &Path) {
    let producer = stream(place).producer::<u64>().unwrap();
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        std::thread::sleep(10 * LONG); // longer than anybody waits for it
        return;
    }
    say(child);
    std::thread::sleep(LONG);
    drop(producer);
}

/// With one seat for a recorder; some 100 KB, which is passed in no time.
fn recorded(place: &Path, at_limit: AtLimit) -> annulus::Builder {
    annulus::create("r")
        .directory(place)
        .backend(support::backend())
        .capacity(12_000)
        .lossless(1)
        .at_limit(at_limit)
}

/// Reads every frame to the end, and says how many, and what it lost where.
fn recorder(place: &Path) {
    let mut reader = annulus::open("r").directory(place).lossless().observer::<u64>().unwrap();
    say(reader.position());
    let (mut next, mut frames, mut losses) = (reader.position(), 0, Vec::new());
    let mut out = [0; 700];
    loop {
        match reader.read(&mut out, Wait::new().frames(100).timeout(LONG)) {
            Ok(read) => {
                let first = read.first_position;
                assert_eq!(first, next + read.lost_before);
                assert!(
                    out[..read.frames].iter().copied().eq(first..first + read.frames as u64),
                    "at {first}"
                );
                if read.lost_before > 0 {
                    losses.push(format!("{}+{}", next, read.lost_before));
                }
                frames += read.frames;
                next = first + read.frames as u64;
            }
            Err(ReadError::Lapped { lost }) => {
                losses.push(format!("{next}+{lost}"));
                next += lost;
            }
            Err(ReadError::Ended { position }) => {
                assert_eq!(position, next);
                return say(format!("{frames} frames, lost {} at {losses:?}", reader.lost()));
            }
            Err(other) => panic!("{other} at {next}"),
        }
    }
}

/// Looks at what is new, and says at the end what it missed.
fn watcher(place: &Path) {
    let mut viewer = annulus::open("r").directory(place).observer::<u64>().unwrap();
    say("ready");
    let mut out = [0; 1000];
    loop {
        match viewer.read(&mut out, Wait::new().timeout(LONG)) {
            Ok(read) => {
                let first = read.first_position;
                assert!(
                    out[..read.frames].iter().copied().eq(first..first + read.frames as u64),
                    "at {first}"
                );
            }
            Err(ReadError::Lapped { .. }) => {}
            Err(ReadError::Ended { .. }) => return say(format!("lost {}", viewer.lost())),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Tries to open and to create with no descriptor left, then with one, and so on.
#[cfg(unix)]
fn spender(place: &Path) {
    let few = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: the limit lives through the call.
    #[allow(unsafe_code)]
    let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) };
    assert_eq!(done, 0);
    drop(stream(place).keep(true).producer::<u64>().unwrap());
    let open = || annulus::open("s").directory(place).observer::<u64>().map(drop);
    let create = || queue(place).producer::<u64>().map(drop);
    for attempt in [&open as &dyn Fn() -> Result<(), Error>, &create] {
        let null = || std::fs::File::open("/dev/null").ok();
        let mut spent: Vec<_> = std::iter::from_fn(null).collect();
        let mut refused = 0;
        while let Err(error) = attempt() {
            match &error {
                Error::Os { operation, path, source } => {
                    assert!(path.starts_with(place), "{error}");
                    assert_eq!(source.raw_os_error(), Some(libc::EMFILE), "{error}");
                    assert_ne!(*operation, "find the directory", "it is there");
                }
                _ => panic!("{error}"),
            }
            refused += 1;
            drop(spent.pop().unwrap());
        }
        say(refused);
    }
}

/// The next so many frames: each holds its position.
fn counted(producer: &annulus::Producer<u64>, count: u64) -> Vec<u64> {
    (producer.position()..producer.position() + count).collect()
}

fn a_recorder_gets_every_frame_whatever_viewers_do() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Full).producer::<u64>().unwrap();
    let ring = producer.info().capacity;
    let mut recorder = Actor::start(&place, "recorder");
    let mut viewers: Vec<Actor> = (0..10).map(|_| Actor::start(&place, "watcher")).collect();
    assert_eq!(recorder.line(), "0");
    assert!(viewers.iter_mut().all(|viewer| viewer.line() == "ready"));
    for viewer in &viewers {
        viewer.stop();
        for _ in 0..30 {
            let block = counted(&producer, ring / 10);
            producer.push_wait(&block, Some(LONG)).unwrap();
        }
        viewer.go_on();
    }
    let (position, breaches) = (producer.position(), producer.breaches());
    producer.finish();
    assert_eq!(recorder.line(), format!("{position} frames, lost 0 at []"));
    assert_eq!(breaches.frames, 0);
    for mut viewer in viewers {
        let said = viewer.line();
        let lost: u64 = said.strip_prefix("lost ").unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        assert!(lost >= ring, "who was stopped for three rings was waited for: {said}");
    }
}

fn a_stopped_recorder_is_waited_for() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Full).producer::<u64>().unwrap();
    let ring = producer.info().capacity;
    let mut recorder = Actor::start(&place, "recorder");
    assert_eq!(recorder.line(), "0");
    for _ in 0..3 {
        recorder.stop();
        let mut pushed = 0;
        let full = loop {
            let block = counted(&producer, 100);
            match producer.push(&block) {
                Ok(()) => pushed += 100,
                Err(error) => break error,
            }
            assert!(pushed <= ring, "more than there is room for");
        };
        assert_eq!(full, PushError::Full);
        // It is stopped, not dead: it keeps its seat, for longer than anybody looks for the dead.
        let block = counted(&producer, 200);
        let brief = Some(Duration::from_millis(350));
        assert_eq!(producer.push_wait(&block, brief), Err(PushError::Timeout { pushed: 0 }));
        match annulus::open("r").directory(place.path()).lossless().observer::<u64>() {
            Err(Error::NoSeat { holders, .. }) => assert_eq!(holders, [recorder.pid()]),
            other => panic!("{other:?}"),
        }
        recorder.go_on();
        producer.push_wait(&block, Some(LONG)).unwrap();
    }
    let (position, breaches) = (producer.position(), producer.breaches());
    producer.finish();
    assert_eq!(recorder.line(), format!("{position} frames, lost 0 at []"));
    assert_eq!((breaches.times, breaches.frames), (0, 0));
}

fn a_stopped_recorder_is_overtaken_and_told() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Overwrite).producer::<u64>().unwrap();
    let ring = producer.info().capacity;
    let mut recorder = Actor::start(&place, "recorder");
    assert_eq!(recorder.line(), "0");
    let block = counted(&producer, ring / 2);
    producer.push(&block).unwrap();
    recorder.stop();
    for _ in 0..50 {
        let block = counted(&producer, ring / 10);
        producer.push(&block).unwrap();
    }
    let status = place.open("r").status().unwrap();
    let seated = status.attached.iter().find(|one| one.role == annulus::Role::Lossless).unwrap();
    assert_eq!(seated.pid, recorder.pid(), "stopped is not dead");
    let (position, breaches) = (producer.position(), producer.breaches());
    assert_eq!((status.breaches, breaches.times), (breaches, 1));
    producer.finish();
    recorder.go_on();
    let (said, lost) = (recorder.line(), breaches.frames);
    assert!(
        said.starts_with(&format!("{} frames, lost {lost} at [\"", position - lost)),
        "{said} of {position}"
    );
    // It was somewhere in the first half when it was stopped; all that it lost it lost there.
    let at = said.split('"').nth(1).unwrap();
    let (from, count) = at.split_once('+').unwrap();
    assert!(from.parse::<u64>().unwrap() <= ring / 2 && count.parse() == Ok(lost), "{said}");
    assert!(lost > 3 * ring && lost <= position - ring / 2, "{said}");
}

fn a_killed_recorder_holds_nobody_up() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Full).producer::<u64>().unwrap();
    let ring = producer.info().capacity;
    for waits in [false, true] {
        let mut recorder = Actor::start(&place, "recorder");
        recorder.line();
        recorder.stop();
        let full = loop {
            let block = counted(&producer, 100);
            if let Err(error) = producer.push(&block) {
                break error;
            }
        };
        assert_eq!(full, PushError::Full);
        let block = counted(&producer, ring / 2);
        if waits {
            // In the middle of a wait.
            let killing = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                recorder.kill();
            });
            producer.push_wait(&block, Some(LONG)).unwrap();
            killing.join().unwrap();
        } else {
            recorder.kill();
            // A reader's lock on the dead one's seat is nobody who lives.
            let object = std::fs::File::open(&producer.info().path).unwrap();
            assert!(support::lock(&object, support::Lock::Shared, (1 << 40) + 1));
            let until = Instant::now() + LONG;
            while let Err(error) = producer.push(&block) {
                assert_eq!(error, PushError::Full);
                assert!(Instant::now() < until, "the dead are waited for");
            }
        }
        let block = counted(&producer, ring);
        producer.push(&block).unwrap();
        assert_eq!(support::word(&producer.info().path, 0x60, 0x380), u64::MAX, "readers are still hurried");
    }
    let held = place.hold("r");
    drop(producer);
    place.open("r").remove().unwrap();
    drop(held);

    // Where nobody is waited for, the dead are not counted either.
    let mut producer = recorded(place.path(), AtLimit::Overwrite).producer::<u64>().unwrap();
    let mut recorder = Actor::start(&place, "recorder");
    recorder.line();
    recorder.kill();
    for _ in 0..50 {
        let block = counted(&producer, ring / 10);
        producer.push(&block).unwrap();
    }
    assert_eq!(producer.breaches().frames, 0, "a dead one was overtaken");
    let held = place.hold("r");
    drop(producer);
    assert_eq!(place.objects(), ["r@v1.l1"], "what it had not recorded can be salvaged");
    let mut heir = place.open("r").lossless().start(Start::Oldest).observer::<u64>().unwrap();
    assert!(heir.try_read(&mut [0; 10]).is_ok());
    drop((heir, held));
    assert!(place.objects().is_empty(), "its seat was left in order");
}

#[cfg(unix)]
fn forking_recorder(place: &Path) {
    let mut reader = annulus::open("r").directory(place).lossless().observer::<u64>().unwrap();
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        assert_eq!(reader.try_read(&mut [0; 10]), Err(ReadError::Forked));
        reader.seek(Start::Position(0));
        drop(reader);
        say("child");
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(child, &raw mut status, 0)
    };
    assert_eq!(status, 0);
    say(reader.position());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    say(reader.try_read(&mut [0; 100]).unwrap().lost_before);
}

#[cfg(unix)]
fn a_forked_recorder_has_no_seat() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Full).producer::<u64>().unwrap();
    let block = counted(&producer, 50);
    producer.push(&block).unwrap();
    let mut forker = Actor::start(&place, "forking recorder");
    assert_eq!((forker.line(), forker.line()), ("child".into(), "50".into()));
    let block = counted(&producer, producer.info().capacity);
    producer.push(&block).unwrap();
    assert_eq!(producer.push(&[0]), Err(PushError::Full), "the child gave nothing back");
    forker.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(forker.line(), "0");
}

/// A program that closes all descriptors loses its seat: it must not keep frames, nor move another's cursor.
#[cfg(unix)]
fn a_recorder_whose_lock_was_closed_learns_of_it() {
    let place = Place::new();
    let mut producer = recorded(place.path(), AtLimit::Full).producer::<u64>().unwrap();
    let ring = producer.info().capacity;
    let object = std::fs::metadata(place.path().join("r@v1.l1")).unwrap();
    let object = (object.dev(), object.ino());
    let of_the_producer = opens_of(object);
    let mut first = place.open("r").lossless().observer::<u64>().unwrap();
    let mut closed = 0;
    for descriptor in opens_of(object).into_iter().filter(|open| !of_the_producer.contains(open)) {
        // SAFETY: what a careless program does; the library is to survive it.
        #[allow(unsafe_code)]
        unsafe {
            libc::close(descriptor)
        };
        closed += 1;
    }
    assert_eq!(closed, 1, "a handle has one open of the object");
    for _ in 0..3 {
        let block = counted(&producer, ring);
        producer.push_wait(&block, Some(LONG)).unwrap();
    }
    assert_eq!(first.try_read(&mut [0; 10]), Err(ReadError::Superseded), "nobody waited for it");
    let second = place.open("r").lossless().observer::<u64>().unwrap();
    assert_eq!(first.try_read(&mut [0; 10]), Err(ReadError::Superseded));
    first.seek(Start::Now);
    drop(first);
    let block = counted(&producer, ring);
    producer.push(&block).unwrap();
    assert_eq!(producer.push(&[0]), Err(PushError::Full), "the second one's cursor stays");
    drop(second);
    producer.push(&[0]).unwrap();
}

/// This process's descriptors of the object with that device and inode.
#[cfg(unix)]
fn opens_of(object: (u64, u64)) -> Vec<i32> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    // Not by its link: that has the name from before there was a name.
    all.filter(|path| std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == object))
        .map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect()
}

/// Not that it may not, nor that something is not there.
#[cfg(unix)]
fn who_has_no_descriptors_left_is_told_so() {
    let place = Place::new();
    let mut spender = Actor::start(&place, "spender");
    let refused: Vec<u32> = spender.rest().map(|line| line.parse().unwrap()).collect();
    assert!(refused.len() == 2 && refused.iter().all(|refused| *refused > 1), "{refused:?}");
    assert!(spender.child.wait().unwrap().success());
}
