//! Producers and consumers that are stopped (SIGSTOP) at any instruction, and what the others do meanwhile: on annulus,
//! and on a bounded ring of the usual design (Vyukov's), in which whoever is stopped between its claim of a slot and its
//! release of it holds up all that come after.

#![allow(unsafe_code)]

use super::{Item, LONG, each_once, item, queue, said_runs, take_all};
use crate::support::actor::{Actor, say};
use crate::support::{Place, map_shared};
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

const SLOTS: u64 = 1024;
/// Producers, and as many consumers.
const SIDE: usize = 3;
/// More than all rings here can hold: if so much came through, it was not only what lay there.
const THROUGH: u64 = 3 * 4 * 4096;

#[repr(align(128))]
struct Line<T>(T);

struct Slot {
    turn: AtomicU64,
    words: [AtomicU64; 8],
}

/// What all map: who did how much, and the ring of the usual design.
pub(crate) struct Shared {
    stop: AtomicBool,
    done: [Line<AtomicU64>; 2 * SIDE],
    enqueue: Line<AtomicU64>,
    dequeue: Line<AtomicU64>,
    slots: [Slot; SLOTS as usize],
}

impl Shared {
    /// Zeros are its beginning, but for the slots' turns.
    fn map(place: &Path) -> &'static Self {
        // SAFETY: it is made of atomics only.
        unsafe { map_shared(&place.join("shared")) }
    }

    fn push(&self, item: &Item) {
        let mut at = self.enqueue.0.load(Relaxed);
        loop {
            let slot = &self.slots[(at % SLOTS) as usize];
            match slot.turn.load(Acquire).cmp(&at) {
                std::cmp::Ordering::Equal => {
                    match self.enqueue.0.compare_exchange_weak(at, at + 1, Relaxed, Relaxed) {
                        Ok(_) => {
                            slot.words.iter().zip(item).for_each(|(word, value)| word.store(*value, Relaxed));
                            return slot.turn.store(at + 1, Release);
                        }
                        Err(now) => at = now,
                    }
                }
                std::cmp::Ordering::Less => {
                    std::thread::yield_now(); // full
                    at = self.enqueue.0.load(Relaxed);
                }
                std::cmp::Ordering::Greater => at = self.enqueue.0.load(Relaxed),
            }
        }
    }

    fn pop(&self) -> Item {
        let mut at = self.dequeue.0.load(Relaxed);
        loop {
            let slot = &self.slots[(at % SLOTS) as usize];
            match slot.turn.load(Acquire).cmp(&(at + 1)) {
                std::cmp::Ordering::Equal => {
                    match self.dequeue.0.compare_exchange_weak(at, at + 1, Relaxed, Relaxed) {
                        Ok(_) => {
                            let item = std::array::from_fn(|place| slot.words[place].load(Relaxed));
                            slot.turn.store(at + SLOTS, Release);
                            return item;
                        }
                        Err(now) => at = now,
                    }
                }
                std::cmp::Ordering::Less => {
                    std::thread::yield_now(); // empty
                    at = self.dequeue.0.load(Relaxed);
                }
                std::cmp::Ordering::Greater => at = self.dequeue.0.load(Relaxed),
            }
        }
    }

    /// What each has done.
    fn done(&self) -> [u64; 2 * SIDE] {
        std::array::from_fn(|actor| self.done[actor].0.load(Relaxed))
    }
}

/// A producer or a consumer of the harness, until it is told to stop, or killed.
pub(crate) fn play(place: &Path, on: &str, side: &str, number: &str) {
    let shared = Shared::map(place);
    let number: usize = number.parse().unwrap();
    let goes_on = || !shared.stop.load(Relaxed);
    let did = |count: usize, actor: usize| shared.done[actor].0.fetch_add(count as u64, Relaxed);
    match (on, side) {
        ("annulus", "produce") => {
            let mut producer = queue(place).producer::<Item>().unwrap();
            say("ready");
            let lane = producer.lane().into();
            while goes_on() {
                let first = producer.position();
                let batch: [Item; 16] = std::array::from_fn(|place| item(lane, first + place as u64));
                producer.push_wait(&batch, Some(LONG)).unwrap();
                did(16, number);
            }
            producer.drain(Some(LONG)).unwrap();
            say(format!("{} {}", producer.lane(), producer.position()));
            producer.finish();
        }
        ("annulus", _) => {
            let mut consumer = queue(place).group_consumer::<Item>().unwrap();
            say("ready");
            let mut runs: Vec<[u64; 3]> = Vec::new();
            take_all(&mut consumer, |taken| {
                did(taken.frames, SIDE + number);
                runs.push([taken.lane.into(), taken.first_position, taken.frames as u64]);
            });
            std::io::stdout().write_all(bytemuck::cast_slice(&runs)).unwrap();
        }
        (_, "produce") => {
            say("ready");
            for position in 0.. {
                shared.push(&item(0, position));
                did(1, number);
            }
        }
        _ => {
            say("ready");
            loop {
                let found = shared.pop();
                assert_eq!(found, item(0, found[1]), "torn");
                did(1, SIDE + number);
            }
        }
    }
}

/// What came of it.
pub(crate) struct Report {
    on: String,
    stops: u32,
    /// How often the others could not go on.
    pub(crate) stalls: u32,
    /// Items a second that the others took or pushed: before, during and after the stops.
    rates: [f64; 3],
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, during, after] = self.rates.map(|rate| rate / 1e6);
        write!(
            f,
            "{}: {} stops, {} stalls; the others pushed and took {before:.2} M items/s before, {during:.2} during, {after:.2} after",
            self.on, self.stops, self.stalls
        )
    }
}

/// Lets three produce and three consume, and stops one of them after the other, until all others have moved more than the
/// rings can hold, or `ANNULUS_QUEUE_STOP_MS` if that is longer; on a ring of the usual design up to the first stall.
pub(crate) fn stops(on: &str, times: u32) -> Report {
    let place = Place::new();
    let least = std::env::var("ANNULUS_QUEUE_STOP_MS").map_or(0, |text| text.parse().unwrap());
    let least = Duration::from_millis(least);
    // Only a ring that must stall has so little time.
    let patience = if on == "annulus" { LONG } else { Duration::from_secs(3) };
    let shared = Shared::map(place.path());
    (0..SLOTS).for_each(|slot| shared.slots[slot as usize].turn.store(slot, Release));
    let start = |side: &str, number: usize| {
        let mut actor = Actor::start(&place, &format!("stall {on} {side} {number}"));
        assert_eq!(actor.line(), "ready");
        actor
    };
    let mut actors: Vec<Actor> = (0..2 * SIDE)
        .map(|number| if number < SIDE { start("produce", number) } else { start("consume", number - SIDE) })
        .collect();
    let mut report = Report { on: on.into(), stops: 0, stalls: 0, rates: [0.0; 3] };
    let mut random = u64::from(std::process::id()) | 0x9E37_79B9_0000_0001;
    while report.stops < times && report.stalls == 0 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 3000));
        let victim = (random >> 32) as usize % actors.len();
        let [before, after] = [0, 2];
        let rate = moved(shared, victim, least, patience, 0).expect("it has not begun to flow");
        report.rates[before] += rate;
        stop(&actors[victim]);
        report.stops += 1;
        match moved(shared, victim, least, patience, THROUGH) {
            Some(rate) => report.rates[1] += rate,
            None => report.stalls += 1,
        }
        actors[victim].go_on();
        report.rates[after] += moved(shared, victim, least, patience, THROUGH).expect("it does not go on");
    }
    report.rates = report.rates.map(|sum| sum / f64::from(report.stops));
    if on != "annulus" {
        return report; // they are killed
    }
    shared.stop.store(true, Relaxed);
    let mut consumers = actors.split_off(SIDE);
    let mut lanes = vec![0; SIDE];
    for actor in &mut actors {
        let said: Vec<usize> = actor.line().split(' ').map(|word| word.parse().unwrap()).collect();
        lanes[said[0]] = said[1] as u64;
    }
    let mut runs: Vec<[u64; 3]> = Vec::new();
    for actor in &mut consumers {
        runs.extend(said_runs(actor));
    }
    each_once(runs, &lanes); // nothing was lost or doubled
    report
}

/// Waits until those beside `victim` have pushed `through` items and taken as many, and for `least`: items a second that
/// they moved. `None`: they do not get on, in `patience`.
fn moved(shared: &Shared, victim: usize, least: Duration, patience: Duration, through: u64) -> Option<f64> {
    let begun = Instant::now();
    let least = least.max(Duration::from_millis(2));
    let from = shared.done();
    loop {
        std::thread::sleep(Duration::from_millis(1));
        let now = shared.done();
        let side = |actors: std::ops::Range<usize>| -> u64 {
            actors.filter(|actor| *actor != victim).map(|actor| now[actor] - from[actor]).sum()
        };
        let (pushed, taken) = (side(0..SIDE), side(SIDE..2 * SIDE));
        if pushed >= through && taken >= through && begun.elapsed() >= least {
            return Some((pushed + taken) as f64 / begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > least + patience {
            return None;
        }
    }
}

/// Stops the process, and waits until it is.
fn stop(actor: &Actor) {
    actor.stop();
}
