//! A process that may write to a stream's object writes over it, all the time, while others produce and consume: none
//! of them is hurt, and none hangs; and when it has gone, and the words are put right, the stream works.
//!
//! `ANNULUS_HOSTILE_SECONDS` is for how long (default 1).

mod support;

use annulus::{Builder, Clock, Consumer, Gap, GroupConsumer, Kind, Moment, Observer, Producer, Start, Wait};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::actor::{Actor, say};
use support::{Place, random};

const CAPACITY: u64 = 1024;
/// A handle that leaves while its seat seems to be another's keeps its descriptor: not more often than there are any.
const REOPENED_MAX: u32 = 800;

fn main() -> ExitCode {
    support::actor::main(play, tests![an_spsc_ring, a_work_queue, a_broadcast_stream])
}

fn time() -> Duration {
    let seconds = std::env::var("ANNULUS_HOSTILE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(1, |seconds| seconds.parse().unwrap()))
}

fn stream(directory: &Path, kind: Kind) -> Builder {
    let to = annulus::create("s").directory(directory).capacity(CAPACITY).kind(kind).keep(true);
    match kind {
        Kind::Mpmc => to.producers(2).consumers(2),
        Kind::Broadcast => to.lossless(1),
        _ => to,
    }
}

fn object(directory: &Path) -> std::path::PathBuf {
    directory.join("s@v1.l1")
}

fn an_spsc_ring() {
    attacked(Kind::Spsc, &["produce", "consume", "observe"]);
}

fn a_work_queue() {
    attacked(Kind::Mpmc, &["produce", "produce", "share", "share", "observe"]);
}

fn a_broadcast_stream() {
    attacked(Kind::Broadcast, &["produce", "observe", "record"]);
}

fn attacked(kind: Kind, roles: &[&str]) {
    let place = Place::new();
    let frames: Vec<u64> = (0..CAPACITY / 2).collect();
    let mut producer = stream(place.path(), kind).producer::<u64>().unwrap();
    producer.push(&frames).unwrap();
    drop(producer);
    let path = object(place.path());
    let whole = fs::read(&path).unwrap();

    let mut victims: Vec<Actor> = roles.iter().map(|role| Actor::start(&place, role)).collect();
    victims.iter_mut().for_each(|victim| assert_eq!(victim.line(), "ready"));
    let mut hostile = Actor::start(&place, "scribble");
    let words: u64 = hostile.line().parse().unwrap();
    let (mut calls, mut errors) = (0, 0);
    for victim in &mut victims {
        drop(victim.child.stdin.take()); // its time is over
    }
    for (victim, role) in victims.iter_mut().zip(roles) {
        let until = Instant::now() + Duration::from_secs(30);
        let left = loop {
            match victim.child.try_wait().unwrap() {
                Some(left) => break left,
                None => assert!(Instant::now() < until, "hung: {role} of {kind}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(left.success(), "hurt: {role} of {kind}: {left}");
        let said: Vec<u64> = victim.line().split(' ').map(|number| number.parse().unwrap()).collect();
        (calls, errors) = (calls + said[0], errors + said[1]);
    }
    assert!(words > 0 && calls > errors && errors > 0, "{words} words, {calls} calls, {errors} errors");
    println!(
        "figures | hostile: words written over, {kind} | {words} | 0 | {calls} calls of {} processes, {errors} errors",
        roles.len()
    );

    // Its words put right again, whether it still has its name or not.
    let _ = fs::remove_file(&path);
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut producer = stream(place.path(), kind).producer::<u64>().unwrap();
    let (at, lane) = (producer.position(), producer.lane());
    producer.push(&[at]).unwrap();
    let open = || place.open("s").start(Start::Oldest);
    let mut all = vec![0; CAPACITY as usize * 2];
    let read = open().lane(lane).observer::<u64>().unwrap().try_read(&mut all).unwrap();
    assert!(read.frames as u64 == at + 1 && all[..read.frames].iter().copied().eq(0..at + 1));
    let taken = match kind {
        Kind::Spsc => open().consumer::<u64>().unwrap().try_read(&mut all),
        Kind::Mpmc => open().group_consumer::<u64>().unwrap().try_read(&mut all),
        _ => open().lossless().observer::<u64>().unwrap().try_read(&mut all),
    };
    assert_eq!(taken.unwrap().frames as u64, at + 1);
}

fn play(role: &str, directory: &Path) {
    let open = || annulus::open("s").directory(directory).gate_timeout(Duration::from_millis(50));
    match role {
        "scribble" => scribble(&object(directory)),
        "produce" => work(|| open().producer::<u64>(), produce),
        "consume" => work(|| open().consumer::<u64>(), consume),
        "share" => work(|| open().group_consumer::<u64>(), share),
        "observe" => work(|| open().start(Start::Oldest).observer::<u64>(), observe),
        "record" => work(|| open().lossless().observer::<u64>(), observe),
        other => panic!("{other}"),
    }
}

/// Opens the stream and does everything with it, again and again, until whoever started it closes the pipe.
fn work<T>(open: impl Fn() -> Result<T, annulus::Error>, mut call: impl FnMut(&mut T, u64) -> bool) {
    say("ready");
    let over = std::thread::spawn(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let (mut calls, mut errors, mut opened) = (0_u64, 0_u64, 0);
    let mut handle = None;
    while !over.is_finished() {
        calls += 1;
        let done = match &mut handle {
            Some(handle) => call(handle, calls),
            None => open().map(|opened| handle = Some(opened)).is_ok(),
        };
        errors += u64::from(!done);
        if calls.is_multiple_of(16) && opened < REOPENED_MAX {
            opened += 1;
            handle = None;
        }
    }
    drop(handle);
    say(format!("{calls} {errors}"));
}

fn brief(call: u64) -> Wait {
    Wait::new().frames(call % 40).timeout(Duration::from_micros(call % 3 * 50))
}

fn produce(producer: &mut Producer<u64>, call: u64) -> bool {
    let frames = [7; CAPACITY as usize + 9];
    let some = &frames[..(call * 37) as usize % frames.len()];
    match call % 7 {
        0 | 1 => producer.push(some).is_ok(),
        4 => producer.gap(call).is_ok(),
        5 => producer.clock_reset().is_ok(),
        2 => producer.push_wait(some, Some(Duration::from_micros(50))).is_ok(),
        3 => producer.reserve(some.len() / 8).is_ok_and(|mut reserved| {
            reserved.write(&some[..some.len() / 16]).is_ok() && reserved.commit().is_ok()
        }),
        _ if !is_told(producer.clock(), &[], call) => false,
        _ => producer.drain(Some(Duration::ZERO)).is_ok() || producer.pending() > 0,
    }
}

fn consume(consumer: &mut Consumer<u64>, call: u64) -> bool {
    let mut out = [0; CAPACITY as usize * 2];
    let some = call as usize % out.len() + 1;
    match call % 4 {
        3 => is_told(consumer.clock(), consumer.gaps(), call),
        0 => consumer.read(&mut out[..some], brief(call)).is_ok(),
        1 => consumer.try_read(&mut out[..some]).is_ok(),
        _ => consumer.try_chunk(some).is_ok_and(|chunk| {
            let (first, rest) = chunk.slices();
            let lent = first.iter().chain(rest).fold(0_u64, |sum, word| sum ^ word);
            chunk.commit(lent as usize % some).frames <= some
        }),
    }
}

fn share(member: &mut GroupConsumer<u64>, call: u64) -> bool {
    let mut out = [0; CAPACITY as usize * 2];
    let some = call as usize % out.len() + 1;
    match call % 3 {
        2 => is_told(member.clock(call as u32 % 4), member.gaps(), call),
        0 => member.read(&mut out[..some], brief(1)).is_ok(),
        _ => member.try_read(&mut out[..some]).is_ok(),
    }
}

fn observe(observer: &mut Observer<u64>, call: u64) -> bool {
    let mut out = [0; CAPACITY as usize * 2];
    let some = call as usize % out.len() + 1;
    if call.is_multiple_of(7) {
        let at = Start::At(Moment::Monotonic(call << 40));
        observer.seek(
            [Start::Now, Start::Oldest, Start::Position(call), Start::Latest(call), at][call as usize % 5],
        );
    }
    match call % 3 {
        2 => is_told(observer.clock(), observer.gaps(), call),
        0 => observer.read(&mut out[..some], brief(call)).is_ok(),
        _ => observer.try_read(&mut out[..some]).is_ok(),
    }
}

/// Whether there is a clock; whatever it and the gaps say, it is no more than there is place for.
fn is_told(clock: Option<Clock>, gaps: &[Gap], call: u64) -> bool {
    assert!(gaps.len() <= 200, "{} of 64 gaps", gaps.len());
    assert!(gaps.iter().all(|gap| !format!("{gap:?} {:?}", gap.utc()).is_empty()));
    clock.is_some_and(|clock| {
        let time = clock.time_of(call);
        time.sigma_ns >= 0.0 && clock.position_at(time.utc()) < 1 << 63
    })
}

/// Writes over words of the object: of its descriptor, of both controls, of the data. From time to time all of it is
/// as it was at first, for a while.
fn scribble(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let whole = fs::read(path).unwrap();
    let regions = |field: usize| u64::from_le_bytes(whole[field..field + 8].try_into().unwrap());
    let (producers, readers, data) = (regions(0x58), regions(0x60), regions(0x68));
    let mut random = random(0x2545_F491_4F6C_DD1D ^ whole.len() as u64);
    let until = Instant::now() + time();
    let mut words = 0_u64;
    while Instant::now() < until {
        file.write_all_at(&whole, 0).unwrap();
        std::thread::sleep(Duration::from_micros(random() % 100));
        let what = random() % 12; // of one sort, so that not all of it is refused for the same reason
        for _ in 0..1 + random() % 20 {
            let at = match what {
                0 => 0x40 + random() % 0x10 * 4,
                1 => random() % 0x80 * 4,
                2 => data + random() % (whole.len() as u64 - data - 8),
                3 => producers + random() % ((data - producers) / 8) * 8,
                4 => producers + 0x1000,
                5 | 6 => producers + 0x1000 + random() % 6 * 8,
                10 => producers + 0x1100 + random() % 0x20 * 8, // the clock
                11 => producers + 0x1200 + random() % 6 * 8,    // the ledger, and its first entry
                7 => readers + 0x200 + random() % 24 * 0x80,
                _ => readers + 0x200 + random() % 4 * 0x80,
            };
            let value = match random() % 6 {
                0 => u64::MAX,
                1 => random() % (CAPACITY * 2),
                2 => 1 << (random() % 64),
                3 => (1_u64 << 63).wrapping_add(random() % 9).wrapping_sub(4),
                4 => u64::MAX - random() % 2000,
                _ => random(),
            };
            file.write_all_at(&value.to_le_bytes(), at).unwrap();
            words += 1;
        }
        std::thread::sleep(Duration::from_micros(random() % 300));
    }
    say(words);
}
