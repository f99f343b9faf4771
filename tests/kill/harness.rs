//! The harness.

use super::scenes::{Scene, State, scenes};
use super::support::actor::{self, say};
use super::support::ring::{Form, LONG};
use super::support::trace::{Stop, Traced, mark, stay_on};
use super::support::workers::{self, watch};
use super::support::{Place, figures};
use super::world::{NAP, World};
use crate::tests;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn main() -> ExitCode {
    actor::main(play, tests![who_is_killed_anywhere_harms_nobody, who_is_stopped_anywhere_harms_nobody])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kill,
    Stop,
}

fn who_is_killed_anywhere_harms_nobody() {
    run("kill points", Fate::Kill, "ANNULUS_KILL_POINTS");
}

fn who_is_stopped_anywhere_harms_nobody() {
    run("stop points", Fate::Stop, "ANNULUS_STOP_POINTS");
}

/// Plays all scenes.
fn run(what: &str, fate: Fate, points: &str) {
    let points = std::env::var(points).unwrap_or_else(|_| "few".into());
    let lines = workers::run(&format!("{fate:?} {points}"));
    let (mut count, mut of, mut wrong, mut played) = (0u64, 0u64, 0u64, 0);
    for line in &lines {
        let Some(numbers) = line.strip_prefix("scene ") else {
            println!("{line}");
            wrong += u64::from(line.starts_with("wrong"));
            continue;
        };
        let (numbers, _) = numbers.split_once(' ').unwrap();
        let (points, all) = numbers.split_once('/').unwrap();
        count += points.parse::<u64>().unwrap();
        of += all.parse::<u64>().unwrap();
        played += 1;
    }
    if std::env::var_os("ANNULUS_KILL_VERBOSE").is_some() {
        lines.iter().filter(|line| line.starts_with("scene")).for_each(|line| println!("{line}"));
    }
    figures(what, count, wrong, &format!("of {of} points in {played} scenes"));
    assert_eq!(wrong, 0, "{what}: see above");
    assert!(count > 0);
}

/// One worker: its share of the scenes.
fn play(role: &str, place: &Path) {
    let words: Vec<&str> = role.split(' ').collect();
    let fate = if words[0] == "Kill" { Fate::Kill } else { Fate::Stop };
    let (worker, workers): (usize, usize) = (words[2].parse().unwrap(), words[3].parse().unwrap());
    let only = std::env::var("ANNULUS_KILL_ONLY").unwrap_or_default();
    std::panic::set_hook(Box::new(|_| {})); // said below
    stay_on(worker);
    let chosen = scenes().into_iter().filter(|scene| scene.name.contains(&only));
    for (number, scene) in chosen.enumerate().filter(|(number, _)| number % workers == worker) {
        let start = Instant::now();
        let tell = |at: String, outcome: Result<(), String>| {
            let Err(why) = outcome else { return true };
            say(format!("wrong {} {at}: {why}", scene.name));
            false
        };
        watch(place, &format!("{}, tracing", scene.name));
        let (mut points, mut of) = (Point::few(number), 0);
        if words[1] != "few" {
            let most = if words[1] == "all" { usize::MAX } else { words[1].parse().unwrap() };
            let tracing = workers::attempt(|| (points, of) = Track::of(&scene).choose(most));
            tell("when nobody interrupts it".into(), tracing);
        }
        let mut played = 0;
        for point in &points {
            watch(place, &format!("{}, {point:?}", scene.name));
            played += 1;
            if !tell(format!("at {point:?}"), workers::attempt(|| play_to(&scene, *point, fate))) {
                break;
            }
        }
        say(format!("scene {played}/{of} {}, {:.1} s", scene.name, start.elapsed().as_secs_f64()));
    }
}

/// A point in the victim's life: after so many system calls, and so many instructions since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    calls: usize,
    steps: usize,
}

impl Point {
    /// Some for the scene of that number, without having traced it.
    fn few(number: usize) -> Vec<Self> {
        let (calls, steps) = (number % 7 * 3, number * 97 % 1000);
        vec![Self { calls: 0, steps }, Self { calls, steps: number % 40 }]
    }
}

/// What a victim does when nobody interrupts it.
#[derive(Default)]
struct Track {
    /// How many instructions lie between system calls, the one that makes the call included.
    segments: Vec<usize>,
    /// The points right after which others can see another object than before, or none: the system calls, and
    /// the stores into the segment.
    seen: Vec<Point>,
    /// It slept in a system call.
    slept: bool,
}

impl Track {
    fn of(scene: &Scene) -> Self {
        let place = Place::new();
        let mut world = World::before(scene, place.path());
        let object = place.path().join("s@v1.l1");
        let mut victim = Traced::start(|| scene.act(place.path(), mark));
        world.sleep(scene, NAP);
        let (mut track, mut steps) = (Self::default(), 0);
        let mut bytes = std::fs::read(&object).ok();
        loop {
            let calls = victim.is_before_call();
            let mut stop = victim.step();
            if stop == Stop::Asleep {
                track.slept = true;
                stop = wake(&mut victim, scene, &mut world);
            }
            match stop {
                Stop::Here => steps += 1,
                Stop::Mark => break,
                other => panic!("{}: the victim ended by itself: {other:?}", scene.name),
            }
            let now = std::fs::read(&object).ok();
            if calls {
                track.seen.push(Point { calls: track.segments.len() + 1, steps: 0 });
            } else if now != bytes {
                // A little later, too: it may take another way to the same store the next time.
                let calls = track.segments.len();
                track.seen.extend([steps, steps + 16].map(|steps| Point { calls, steps }));
            }
            bytes = now;
            if calls {
                track.segments.push(std::mem::take(&mut steps));
            }
        }
        track.segments.push(steps);
        assert!(track.slept || !scene.fed, "it does not sleep");
        let end = std::iter::repeat_with(|| victim.go()).find(|stop| *stop != Stop::Mark);
        assert_eq!(end, Some(Stop::Exited(0)), "its own end");
        drop(world);
        track
    }

    /// All points, if they are at most so many; else those that others can tell apart, and a sixteenth so many of the
    /// rest, evenly spread. And how many there are.
    fn choose(&self, most: usize) -> (Vec<Point>, usize) {
        let segments = self.segments.iter().enumerate();
        let all: Vec<Point> = segments
            .flat_map(|(calls, steps)| (0..=*steps).map(move |steps| Point { calls, steps }))
            .collect();
        if all.len() <= most {
            return (all.clone(), all.len());
        }
        let every = all.len().div_ceil(most.div_ceil(16));
        let mut chosen: Vec<Point> = all.iter().skip(every / 2).step_by(every).copied().collect();
        chosen.extend(&self.seen);
        chosen.sort();
        chosen.dedup();
        (chosen, all.len())
    }
}

/// One that sleeps gets what it waits for, or wakes when its time is up.
fn wake(victim: &mut Traced, scene: &Scene, world: &mut World) -> Stop {
    if scene.fed {
        world.feed();
    }
    victim.awake()
}

/// Runs the victim up to `point`. It may have passed its end: no two runs are quite alike.
fn bring(victim: &mut Traced, scene: &Scene, world: &mut World, point: Point) {
    for _ in 0..point.calls {
        match victim.run_to_call() {
            Stop::Here => {}
            Stop::Mark => return,
            other => panic!("the victim ended by itself: {other:?}"),
        }
        if victim.run_through_call() == Stop::Asleep {
            assert_eq!(wake(victim, scene, world), Stop::Here);
        }
    }
    for _ in 0..point.steps {
        match victim.step() {
            Stop::Here => {}
            Stop::Asleep | Stop::Mark => break,
            other => panic!("the victim ended by itself: {other:?}"),
        }
    }
}

fn play_to(scene: &Scene, point: Point, fate: Fate) {
    let place = Place::new();
    let mut world = World::before(scene, place.path());
    let mut victim = Traced::start(|| scene.act(place.path(), mark));
    // Who sleeps beside one who is killed is woken, sooner or later. Sometimes we wait for that.
    let freed = scene.state == State::Sleeper || scene.form == Form::Kept;
    let patient = freed && fate == Fate::Kill && (point.calls * 7 + point.steps) % 4 == 1;
    world.sleep(scene, if patient { LONG * 3 / 2 } else { NAP });
    bring(&mut victim, scene, &mut world, point);
    let pid = victim.pid();
    match fate {
        Fate::Kill => {
            victim.kill();
            world.after_death(scene, pid);
        }
        Fate::Stop => {
            victim.leave_stopped();
            world.meanwhile(scene, pid);
            let end = victim.resume(std::time::Duration::from_secs(10));
            assert_eq!(end, Stop::Exited(0), "after it went on");
            world.after_life(scene);
        }
    }
    world.go_on(scene);
    world.end();
    let left = place.objects();
    assert!(left.is_empty(), "left behind: {left:?}");
}
