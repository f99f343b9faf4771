//! Work queues, between processes: each frame to one consumer, and nobody held up by one who is stopped.
//!
//! The same harness runs on a ring of the usual design (`queues/vyukov.rs`), where it must find what it looks for.

mod support;
#[path = "queues/vyukov.rs"]
mod vyukov;

use annulus::{Error, Frames, Kind, ProducerState, PushError, ReadError, Role, Start, Strategy, Wait};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::Place;
use support::actor::{self, Actor, say};

const LONG: Duration = Duration::from_secs(60);
const LANES: u32 = 4;

fn main() -> ExitCode {
    actor::main(
        play,
        tests![
            each_frame_goes_to_one_consumer,
            who_is_stopped_holds_nobody_up,
            who_is_stopped_in_a_shared_ring_holds_all_up,
            a_killed_producers_lane_is_taken_over,
            a_killed_consumer_holds_nobody_up,
            producers_and_consumers_come_and_go,
            no_lane_starves,
            observers_take_nothing,
            a_queue_ends_with_its_last_producer,
            a_finished_lane_is_not_free,
            a_queue_that_ended_is_made_anew,
            a_lane_that_is_barred_is_not_finished,
            a_killed_consumer_leaves_no_object,
            who_is_killed_after_it_finished_is_not_missed,
            full_is_said_of_the_own_lane_only,
            wrong_ends_are_refused,
            #[cfg(unix)] // Windows wakes all
            sleepers_are_woken_one_at_a_time,
        ],
    )
}

/// 64 bytes that say what they are: a torn one contradicts itself.
type Item = [u64; 8];

fn item(lane: u64, position: u64) -> Item {
    let mix = |place: u64| (position ^ lane << 56 ^ place << 60).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [lane, position, mix(2), mix(3), mix(4), mix(5), mix(6), mix(7)]
}

fn check(items: &[Item], lane: u32, first: u64) {
    for (found, position) in items.iter().zip(first..) {
        assert_eq!(*found, item(lane.into(), position), "torn, or another's");
    }
}

fn queue(place: &Path) -> annulus::Builder {
    annulus::create("q")
        .directory(place)
        .backend(support::backend())
        .kind(Kind::Mpmc)
        .producers(LANES)
        .consumers(8)
        .capacity(4096)
}

fn play(role: &str, place: &Path) {
    let mut words = role.split(' ');
    let mut word = || words.next().unwrap();
    match word() {
        // Pushes so many items, from its lane's position on, and finishes.
        "produce" => {
            let count: u64 = word().parse().unwrap();
            let mut producer = queue(place).producer::<Item>().unwrap();
            say(producer.lane());
            push(&mut producer, count);
            producer.drain(Some(LONG)).unwrap();
            producer.finish();
        }
        // Pushes so many, and stays until it is killed.
        "stay" => {
            let count: u64 = word().parse().unwrap();
            let mut producer = queue(place).producer::<Item>().unwrap();
            push(&mut producer, count);
            say(producer.position());
            std::thread::sleep(LONG);
        }
        // Says that it is there, waits until it may begin, takes until the end, and says what, in binary: lane, first
        // position, count.
        "consume" => {
            let mut consumer = queue(place).group_consumer::<Item>().unwrap();
            say("here");
            while !place.join("begin").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let mut runs: Vec<[u64; 3]> = Vec::new();
            take_all(&mut consumer, |taken| match runs.last_mut() {
                Some(last)
                    if last[0] == u64::from(taken.lane) && last[1] + last[2] == taken.first_position =>
                {
                    last[2] += taken.frames as u64;
                }
                _ => runs.push([taken.lane.into(), taken.first_position, taken.frames as u64]),
            });
            let mut out = std::io::stdout().lock();
            for run in runs {
                std::io::Write::write_all(&mut out, bytemuck::bytes_of(&run)).unwrap();
            }
        }
        // Takes for ever, one batch at a time, and says so.
        "nibble" => {
            let mut consumer = queue(place).group_consumer::<Item>().unwrap();
            let mut out = [[0; 8]; 7];
            loop {
                let taken = consumer.read(&mut out, Wait::new().timeout(LONG)).unwrap();
                check(&out[..taken.frames], taken.lane, taken.first_position);
                say(format!("{} {} {}", taken.lane, taken.first_position, taken.frames));
            }
        }
        "stall" => vyukov::play(place, word(), word(), word()),
        other => panic!("no role {other}"),
    }
}

fn push(producer: &mut annulus::Producer<Item>, count: u64) {
    let (lane, mut left) = (producer.lane().into(), count);
    while left > 0 {
        let batch: Vec<Item> = (producer.position()..)
            .take(left.min(61) as usize)
            .map(|position| item(lane, position))
            .collect();
        producer.push_wait(&batch, Some(LONG)).unwrap();
        left -= batch.len() as u64;
    }
}

fn take_all(consumer: &mut annulus::GroupConsumer<Item>, mut note: impl FnMut(Frames)) {
    let mut out = vec![[0; 8]; 256];
    let mut next = [0; LANES as usize];
    loop {
        match consumer.read(&mut out, Wait::new().timeout(LONG)) {
            Ok(taken) => {
                check(&out[..taken.frames], taken.lane, taken.first_position);
                let next = &mut next[taken.lane as usize];
                assert!(taken.first_position >= *next, "a producer's order is lost");
                *next = taken.first_position + taken.frames as u64;
                note(taken);
            }
            Err(ReadError::Ended { .. }) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

/// What a consumer took, as it says when it ends.
fn said_runs(consumer: &mut Actor) -> Vec<[u64; 3]> {
    let mut bytes = Vec::new();
    consumer.lines.read_to_end(&mut bytes).unwrap();
    assert!(consumer.child.wait().unwrap().success());
    bytes.chunks_exact(24).map(bytemuck::pod_read_unaligned).collect()
}

/// Asserts that the runs (lane, first, count) are each frame of each lane once.
fn each_once(mut runs: Vec<[u64; 3]>, lanes: &[u64]) {
    runs.sort_unstable();
    let mut next = vec![0; lanes.len()];
    for [lane, first, count] in runs {
        assert_eq!(first, next[lane as usize], "lane {lane}: lost, or taken twice");
        next[lane as usize] += count;
    }
    assert_eq!(next, lanes, "the last ones are missing");
}

/// `ANNULUS_QUEUE_ITEMS`: how many, in all.
fn each_frame_goes_to_one_consumer() {
    let items: u64 = std::env::var("ANNULUS_QUEUE_ITEMS").map_or(200_000, |text| text.parse().unwrap());
    let each = items / u64::from(LANES);
    let place = Place::new();
    // All are there before the first one is through: who came when it has ended would begin another.
    let mut consumers: Vec<Actor> = (0..4).map(|_| Actor::start(&place, "consume")).collect();
    consumers.iter_mut().for_each(|consumer| assert_eq!(consumer.line(), "here"));
    let begun = Instant::now();
    let mut producers: Vec<Actor> =
        (0..LANES).map(|_| Actor::start(&place, &format!("produce {each}"))).collect();
    let lanes: BTreeSet<String> = producers.iter_mut().map(Actor::line).collect();
    assert_eq!(lanes.len(), LANES as usize, "a lane has two producers: {lanes:?}");
    std::fs::write(place.path().join("begin"), "").unwrap();
    let mut taken = Vec::new();
    let runs = consumers.into_iter().flat_map(|mut consumer| {
        let runs = said_runs(&mut consumer);
        taken.push(runs.iter().map(|run| run[2]).sum::<u64>());
        runs
    });
    each_once(runs.collect(), &[each; LANES as usize]);
    let seconds = begun.elapsed().as_secs_f64();
    for producer in &mut producers {
        assert!(producer.child.wait().unwrap().success());
    }
    println!(
        "{items} items of 64 bytes from {LANES} processes to 4, which took {taken:?}: {:.1} M/s",
        items as f64 / seconds / 1e6
    );
    assert_eq!(place.objects(), ["begin"]);
}

/// Others than the one that is stopped, a hundred times over: how often they did nothing meanwhile.
fn who_is_stopped_holds_nobody_up() {
    let report = vyukov::stops(
        "annulus",
        std::env::var("ANNULUS_QUEUE_STOPS").map_or(12, |text| text.parse().unwrap()),
    );
    println!("{report}");
    assert_eq!(report.stalls, 0, "{report}");
}

/// The harness finds what it looks for, where it is.
fn who_is_stopped_in_a_shared_ring_holds_all_up() {
    let report = vyukov::stops("vyukov", 400);
    println!("{report}");
    assert!(report.stalls > 0, "the harness proves nothing: {report}");
}

fn a_killed_producers_lane_is_taken_over() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut others: Vec<_> = (0..3).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    let mut killed = Actor::start(&place, "stay 100");
    assert_eq!(killed.line(), "100");
    let pid = killed.pid();
    let busy = queue(place.path()).producer::<Item>().unwrap_err();
    let Error::NoFreeLane { capacity: 4, holders, .. } = &busy else { panic!("{busy}") };
    assert!(holders.contains(&pid), "{holders:?}");
    killed.kill();
    // Its frames first, then the news of its death, once.
    let mut out = [[0; 8]; 64];
    let wait = Wait::new().timeout(Duration::from_millis(300));
    for (first, frames) in [(0, 64), (64, 36)] {
        let taken = consumer.read(&mut out, wait).unwrap();
        assert_eq!((taken.lane, taken.first_position, taken.frames), (3, first, frames));
        check(&out[..frames], 3, first);
    }
    assert_eq!(consumer.read(&mut out, wait), Err(ReadError::ProducerGone { pid, position: 100 }));
    assert_eq!(consumer.read(&mut out, wait), Err(ReadError::Timeout));
    let status = place.open("q").status().unwrap();
    assert_eq!(status.lanes[3].producer, ProducerState::Dead { pid });
    assert_eq!((status.lanes[3].position, status.lanes[3].head), (100, Some(100)));
    // The next one carries on.
    others[0].push(&[item(0, 0)]).unwrap();
    let mut successor = queue(place.path()).producer::<Item>().unwrap();
    assert_eq!((successor.lane(), successor.position(), successor.epoch()), (3, 100, 2));
    successor.push(&[item(3, 100)]).unwrap();
    let mut lanes: Vec<_> = (0..2).map(|_| consumer.read(&mut out, wait).unwrap()).collect();
    lanes.sort_by_key(|taken| taken.lane);
    assert_eq!((lanes[0].lane, lanes[0].restarted), (0, None));
    assert_eq!((lanes[1].lane, lanes[1].first_position), (3, 100));
    assert_eq!(lanes[1].restarted.map(|restart| (restart.epoch, restart.position)), Some((2, 100)));
}

fn a_killed_consumer_holds_nobody_up() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producer = queue(place.path()).producer::<Item>().unwrap();
    let (mut runs, mut out) = (Vec::new(), vec![[0; 8]; 100]);
    for _ in 0..5 {
        let mut killed = Actor::start(&place, "nibble");
        push(&mut producer, 2000);
        let line = killed.line();
        killed.child.kill().unwrap();
        for line in std::iter::once(line).chain(killed.rest()) {
            let words: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            runs.push([words[0], words[1], words[2]]);
        }
        while let Ok(taken) = consumer.try_read(&mut out) {
            check(&out[..taken.frames], taken.lane, taken.first_position);
            runs.push([taken.lane.into(), taken.first_position, taken.frames as u64]);
        }
    }
    // What a killed one had taken and not said is one batch at most.
    runs.sort_unstable();
    let mut next = 0;
    let mut lost = Vec::new();
    for [_, first, count] in runs {
        assert!(first >= next, "taken twice");
        if first > next {
            lost.push(first - next);
        }
        next = first + count;
    }
    lost.push(10_000 - next);
    assert!(
        lost.iter().filter(|lost| **lost > 0).count() <= 5 && lost.iter().all(|lost| *lost <= 7),
        "{lost:?}"
    );
}

fn producers_and_consumers_come_and_go() {
    let place = Place::new();
    let (mut runs, mut out) = (Vec::new(), vec![[0; 8]; 50]);
    let mut pushed = [0; LANES as usize];
    let mut first = queue(place.path()).group_consumer::<Item>().unwrap();
    for round in 0..20 {
        let mut producer = queue(place.path()).producer::<Item>().unwrap();
        let second = queue(place.path()).producer::<Item>().unwrap();
        assert_ne!(producer.lane(), second.lane());
        assert_eq!(producer.position(), pushed[producer.lane() as usize], "it does not carry on");
        push(&mut producer, 100);
        pushed[producer.lane() as usize] += 100;
        drop(producer);
        let mut other = queue(place.path()).group_consumer::<Item>().unwrap();
        for consumer in [&mut other, &mut first] {
            for _ in 0..1 + round % 3 {
                if let Ok(taken) = consumer.try_read(&mut out) {
                    check(&out[..taken.frames], taken.lane, taken.first_position);
                    runs.push([taken.lane.into(), taken.first_position, taken.frames as u64]);
                }
            }
        }
    }
    while let Ok(taken) = first.try_read(&mut out) {
        runs.push([taken.lane.into(), taken.first_position, taken.frames as u64]);
    }
    each_once(runs, &pushed);
}

/// A lane that is always full does not keep the others' frames from coming.
fn no_lane_starves() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producers: Vec<_> = (0..LANES).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    push(&mut producers[0], 4096);
    let mut out = [[0; 8]; 8];
    for round in 0..50 {
        push(&mut producers[3], 1);
        let mut batches = 0;
        while consumer.try_read(&mut out).unwrap().lane != 3 {
            batches += 1;
            push(&mut producers[0], 8); // as much as was taken
        }
        assert!(batches <= 8, "round {round}: {batches} batches of a full lane came first");
        assert!(round > 0 || batches > 0, "the first consumer begins with the first lane");
    }
    // And where two consumers begin is not the same lane.
    push(&mut producers[3], 1);
    let mut second = queue(place.path()).group_consumer::<Item>().unwrap();
    push(&mut producers[1], 1);
    assert_eq!(second.try_read(&mut out).unwrap().lane, 1);
}

fn observers_take_nothing() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producers: Vec<_> = (0..2).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    let open = || place.open("q").start(Start::Oldest);
    let mut viewer = open().lane(1).observer::<Item>().unwrap();
    producers.iter_mut().for_each(|producer| push(producer, 30));
    let mut out = [[0; 8]; 64];
    let read = viewer.read(&mut out, Wait::new().frames(30).timeout(LONG)).unwrap();
    assert_eq!((read.lane, read.first_position, read.frames), (1, 0, 30));
    check(&out[..30], 1, 0);
    assert_eq!(consumer.available(), 60);
    let mut taken = 0;
    while let Ok(batch) = consumer.try_read(&mut out) {
        taken += batch.frames;
    }
    assert_eq!(taken, 60);
    // What was taken can still be observed, as long as nobody needs the space.
    assert_eq!(open().observer::<Item>().unwrap().try_read(&mut out).unwrap().frames, 30);
    let error = open().lane(4).observer::<Item>().unwrap_err();
    assert!(error.to_string().contains("lanes 0 to 3"), "{error}");
}

fn a_queue_ends_with_its_last_producer() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut out = [[0; 8]; 64];
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Empty));
    let mut producers: Vec<_> = (0..2).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    producers.iter_mut().for_each(|producer| push(producer, 3));
    let second = producers.pop().unwrap();
    producers.pop().unwrap().finish();
    assert_eq!(consumer.try_read(&mut out).unwrap().frames, 3);
    assert_eq!(consumer.try_read(&mut out).unwrap().frames, 3);
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Empty), "one has not finished");
    // One who waits learns of it.
    std::thread::scope(|threads| {
        let waiting =
            threads.spawn(|| consumer.read(&mut out, Wait::new().timeout(LONG).strategy(Strategy::Block)));
        std::thread::sleep(Duration::from_millis(20)); // by now it waits, or nearly so
        second.finish();
        assert_eq!(waiting.join().unwrap(), Err(ReadError::Ended { position: 6 }));
    });
    let status = place.open("q").status().unwrap();
    assert_eq!(status.producer, ProducerState::Ended { position: 6 });
    assert_eq!((status.position, status.head, status.epoch), (6, Some(6), 2));
}

fn a_finished_lane_is_not_free() {
    let place = Place::new();
    let builder = || queue(place.path()).producers(2);
    let mut consumer = builder().group_consumer::<Item>().unwrap();
    let first = builder().producer::<Item>().unwrap();
    let second = builder().producer::<Item>().unwrap();
    first.finish();
    let refused = builder().producer::<Item>().unwrap_err();
    assert!(matches!(refused, Error::NoFreeLane { capacity: 2, .. }), "{refused}");
    let position = second.position();
    drop(second);
    let again = builder().producer::<Item>().unwrap();
    assert_eq!((again.lane(), again.position(), again.epoch()), (1, position, 2), "it had only left");
    again.finish();
    let refused = place.open("q").producer::<Item>().unwrap_err();
    assert!(matches!(refused, Error::Finished { .. }), "{refused}");
    assert_eq!(consumer.try_read(&mut [[0; 8]]), Err(ReadError::Ended { position: 0 }));
    // It has ended: a new producer makes a new queue.
    let anew = builder().producer::<Item>().unwrap();
    assert_eq!((anew.lane(), anew.epoch()), (0, 1));
}

/// Also if most of its lanes were never used; and what is left in it is not thrown away.
fn a_queue_that_ended_is_made_anew() {
    if !support::keeps() {
        return; // it is about what stays; over files it runs
    }
    let place = Place::new();
    let kept = || queue(place.path()).keep(true);
    let mut out = [[0; 8]; 4];
    for round in 0..2 {
        let mut consumer = kept().group_consumer::<Item>().unwrap();
        assert_eq!(consumer.try_read(&mut out), Err(ReadError::Empty), "round {round}: nobody came yet");
        let mut producer = kept().producer::<Item>().unwrap();
        assert_eq!(producer.lane(), 0);
        push(&mut producer, 5);
        producer.finish();
        let refused = place.open("q").producer::<Item>().unwrap_err();
        assert!(matches!(refused, Error::Finished { .. }), "{refused}");
        let object = std::fs::File::open(place.path().join("q@v1.l1")).unwrap();
        assert!(support::lock(&object, support::Lock::Shared, (1 << 40) + 1), "lane 1 is barred");
        let refused = place.open("q").producer::<Item>().unwrap_err();
        assert!(matches!(refused, Error::Finished { .. }), "{refused}");
        assert_eq!(consumer.try_read(&mut out).unwrap().frames, 4);
        drop((consumer, object));
        let mut next = kept().group_consumer::<Item>().unwrap();
        assert_eq!(next.try_read(&mut out).unwrap().frames, 1, "what was left");
        assert_eq!(next.try_read(&mut out), Err(ReadError::Ended { position: 5 }));
    }
}

/// A lane that nobody holds, but that a mere reader bars with a lock, is not finished.
fn a_lane_that_is_barred_is_not_finished() {
    let place = Place::new();
    let _consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producers: Vec<_> = (0..LANES).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    producers.remove(0).finish();
    drop(producers);
    let object = std::fs::File::open(place.path().join("q@v1.l1")).unwrap();
    for lane in 1..LANES {
        assert!(support::lock(&object, support::Lock::Shared, (1 << 40) + i64::from(lane)));
    }
    for refused in [queue(place.path()).producer::<Item>(), place.open("q").producer::<Item>()] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Barred { .. }), "{refused}");
    }
}

/// One of several: what it left, the others take. It leaves nothing to be resumed.
fn a_killed_consumer_leaves_no_object() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producer = queue(place.path()).producer::<Item>().unwrap();
    let mut killed = Actor::start(&place, "nibble");
    push(&mut producer, 10);
    killed.line();
    killed.kill();
    let mut out = [[0; 8]; 4];
    while consumer.try_read(&mut out).is_ok() {}
    producer.finish();
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Ended { position: 10 }));
    drop(consumer);
    assert!(place.objects().is_empty());
}

/// Between its end and its leaving.
fn who_is_killed_after_it_finished_is_not_missed() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut killed = Actor::start(&place, "stay 2");
    assert_eq!(killed.line(), "2");
    let _other = queue(place.path()).producer::<Item>().unwrap();
    support::set_word(&place.path().join("q@v1.l1"), 0x58, 0x1018, 2); // the end of lane 0
    killed.kill();
    let mut out = [[0; 8]; 4];
    assert_eq!(consumer.try_read(&mut out).unwrap().frames, 2);
    let brief = Wait::new().timeout(Duration::from_millis(350));
    assert_eq!(consumer.read(&mut out, brief), Err(ReadError::Timeout));
}

fn full_is_said_of_the_own_lane_only() {
    let place = Place::new();
    let mut consumer = queue(place.path()).group_consumer::<Item>().unwrap();
    let mut producers: Vec<_> = (0..2).map(|_| queue(place.path()).producer::<Item>().unwrap()).collect();
    push(&mut producers[0], 4096);
    assert_eq!(producers[0].push(&[item(0, 4096)]), Err(PushError::Full));
    assert_eq!(producers[0].pending(), 4096);
    producers[1].push(&[item(1, 0)]).unwrap();
    // One who waits for space is woken by whoever makes it.
    std::thread::scope(|threads| {
        let pushing = threads.spawn(|| push(&mut producers[0], 100));
        let (mut taken, mut out) = (0, [[0; 8]; 10]);
        while taken < 4196 + 1 {
            taken += consumer.read(&mut out, Wait::new().timeout(LONG)).unwrap().frames;
        }
        pushing.join().unwrap();
    });
    producers[0].drain(Some(LONG)).unwrap();
}

fn wrong_ends_are_refused() {
    let place = Place::new();
    let _producer = queue(place.path()).consumers(1).producer::<Item>().unwrap();
    let wrong = |error: Error, what: &str| assert!(error.to_string().contains(what), "{error}");
    wrong(place.open("q").consumer::<Item>().unwrap_err(), "group_consumer()");
    wrong(queue(place.path()).consumers(1).consumer::<Item>().unwrap_err(), "group_consumer()");
    wrong(place.create("p").kind(Kind::Spsc).group_consumer::<Item>().unwrap_err(), "consumer()");
    wrong(place.create("p").producers(2).producer::<Item>().unwrap_err(), "work queue");
    wrong(place.create("p").kind(Kind::Mpmc).producers(65).producer::<Item>().unwrap_err(), "1 to 64");
    wrong(place.create("p").kind(Kind::Mpmc).consumers(0).producer::<Item>().unwrap_err(), "1 to 4,096");
    let mut only = place.open("q").group_consumer::<Item>().unwrap();
    let full = place.open("q").group_consumer::<Item>().unwrap_err();
    assert!(matches!(full, Error::NoSeat { capacity: 1, .. }), "{full}");
    let mut out = [[0; 8]; 4];
    assert_eq!(only.read(&mut out, Wait::new().frames(2)), Err(ReadError::TooLong));
    assert_eq!(only.try_read(&mut []), Err(ReadError::NotWholeFrames));
    let held = place.open("q").status().unwrap();
    let roles: Vec<Role> = held.attached.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::Producer, Role::Consumer]);
}

/// Eight sleep. For each frame that is pushed one of them is woken, not all: they go to sleep about once for each frame,
/// and once for each slice.
#[cfg(unix)]
fn sleepers_are_woken_one_at_a_time() {
    const FRAMES: u64 = 500;
    let place = Place::new();
    let mut producer = queue(place.path()).producer::<Item>().unwrap();
    let (sender, taken) = std::sync::mpsc::channel();
    let begun = Instant::now();
    let sleepers: Vec<_> = (0..8)
        .map(|_| {
            let (mut consumer, sender) =
                (queue(place.path()).group_consumer::<Item>().unwrap(), sender.clone());
            std::thread::spawn(move || {
                let mut out = [[0; 8]; 1];
                let wait = Wait::new().timeout(LONG).strategy(Strategy::Block);
                while let Ok(one) = consumer.read(&mut out, wait) {
                    check(&out, one.lane, one.first_position);
                    sender.send(one.first_position).unwrap();
                }
                support::voluntary_switches()
            })
        })
        .collect();
    for position in 0..FRAMES {
        push(&mut producer, 1);
        assert_eq!(taken.recv_timeout(LONG), Ok(position));
    }
    push(&mut producer, FRAMES);
    let mut rest: Vec<u64> = (0..FRAMES).map(|_| taken.recv_timeout(LONG).unwrap()).collect();
    rest.sort_unstable();
    assert!(rest.into_iter().eq(FRAMES..2 * FRAMES));
    producer.finish();
    let slept: u64 = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).sum();
    let slices = 8 * (begun.elapsed().as_millis() as u64 / 100 + 2);
    assert!(slept < 4 * FRAMES + slices, "{slept} sleeps for {FRAMES} single frames, and {slices} slices");
}
