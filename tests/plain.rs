//! Frame by frame, where a call is no more than a copy: what it leaves out is made up for later.

mod support;

use annulus::{
    Cause, Consumer, Existing, Frames, Kind, Observer, Producer, PushError, ReadError, Role, Start,
};
use proptest::prelude::*;
use support::{Place, channels};

const CAPACITY: u64 = 512;

/// Who reads one by one, and always finds something, says now and then where it is; and when it finds nothing.
#[test]
fn who_reads_one_by_one_says_where_it_is() {
    for kind in [Kind::Spsc, Kind::Broadcast] {
        let place = Place::new();
        let mut producer =
            place.create("s").kind(kind).channels(channels(1)).capacity(CAPACITY).producer::<i64>().unwrap();
        let mut consumer = (kind == Kind::Spsc).then(|| place.open("s").consumer::<i64>().unwrap());
        let mut observer = place.open("s").observer::<i64>().unwrap();
        let mut read = |out: &mut [i64]| {
            if let Some(consumer) = &mut consumer {
                assert_eq!(consumer.try_read(out), observer.try_read(&mut out.to_vec()));
                return;
            }
            let _ = observer.try_read(out); // there may be nothing
        };
        let posted = || {
            let status = place.open("s").status().unwrap();
            let readers = status.attached.iter().filter(|one| one.role != Role::Producer);
            readers.map(|one| one.position).collect::<Vec<_>>()
        };
        producer.push(&[0]).unwrap();
        for position in 0..1000 {
            producer.push(&[position + 1]).unwrap(); // there always is one more
            let mut out = [0];
            read(&mut out);
            assert_eq!(out, [position]);
        }
        assert!(posted().iter().all(|at| (1000 - 64..=1000).contains(at)), "{kind}: {:?}", posted());
        read(&mut [0]);
        read(&mut [0]); // nothing there
        assert!(posted().iter().all(|at| *at == 1001), "{kind}: {:?}", posted());
    }
}

/// What was told with one read is not told with the next one again, however that one was read.
#[test]
fn gaps_that_were_told_are_not_there_with_the_next_frame() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).capacity(CAPACITY).producer::<i64>().unwrap();
    let mut observer = place.open("s").start(Start::Oldest).observer::<i64>().unwrap();
    producer.push(&[0; 64]).unwrap();
    observer.try_read(&mut [0]).unwrap(); // knows of these
    for _ in 0..70 {
        producer.gap(1).unwrap();
        producer.push(&[0]).unwrap();
    }
    // More than are kept: that some are forgotten is said at once.
    assert_eq!(observer.try_read(&mut [0; 2]).unwrap().gaps, 1);
    assert_eq!(observer.gaps()[0].cause, Cause::Forgotten { gaps: 6 });
    assert_eq!(observer.try_read(&mut [0]).unwrap().gaps, 0);
    assert_eq!(observer.gaps(), []);
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        frames: u64,
        times: u64,
    },
    Reserve {
        reserved: usize,
        written: usize,
        commits: bool,
    },
    Gap(u64),
    Reset,
    /// Another producer goes on.
    Succeed,
    Take(u64),
    Observe {
        times: u64,
        frames: usize,
    },
    Seek(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..4, 1u64..80).prop_map(|(frames, times)| Step::Push { frames, times }),
        1 => (0usize..8, 0usize..8, any::<bool>())
            .prop_map(|(a, b, commits)| Step::Reserve { reserved: a.max(b), written: a.min(b), commits }),
        1 => (1u64..9).prop_map(Step::Gap),
        1 => Just(Step::Reset),
        1 => Just(Step::Succeed),
        6 => (1u64..150).prop_map(Step::Take),
        5 => (1u64..150, prop_oneof![3 => Just(1usize), 1 => 2usize..80])
            .prop_map(|(times, frames)| Step::Observe { times, frames }),
        1 => (0u64..600).prop_map(Step::Seek),
    ]
}

/// What there is to be told.
#[derive(Default)]
struct World {
    tail: u64,
    /// Where each of the producers began.
    epochs: Vec<u64>,
    /// Position and missing frames of each gap.
    gaps: Vec<(u64, Option<u64>)>,
}

impl World {
    /// Of one who stood at `from`, and was told of `epoch`.
    fn check(&self, from: u64, epoch: &mut u64, read: Frames, out: &[i64], gaps: &[annulus::Gap]) {
        let end = read.first_position + read.frames as u64;
        assert_eq!(read.first_position, from + read.lost_before);
        assert!(
            read.frames > 0 && out[..read.frames].iter().copied().eq(read.first_position as i64..end as i64)
        );
        let due: Vec<_> = self.gaps.iter().filter(|gap| (from..end).contains(&gap.0)).copied().collect();
        let told: Vec<_> = gaps.iter().map(|gap| (gap.position, gap.missing)).collect();
        assert_eq!((told, read.gaps), (due.clone(), due.len()), "{from} to {end}");
        if let Some(restart) = read.restarted {
            assert!(restart.epoch > *epoch, "twice");
            assert_eq!(restart.position, self.epochs[restart.epoch as usize - 1]);
            *epoch = restart.epoch;
        }
        assert!(self.epochs.get(*epoch as usize).is_none_or(|began| end <= *began), "not of {epoch}");
    }
}

fn pushed(producer: &mut Producer<i64>, world: &mut World, frames: u64) {
    let values: Vec<i64> = (world.tail..world.tail + frames).map(|position| position as i64).collect();
    match producer.push(&values) {
        Ok(()) => world.tail += frames,
        Err(why) => assert_eq!(why, PushError::Full),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    /// Whatever else is between reads of single frames is told once, with the frame that it belongs to.
    #[test]
    fn what_is_to_be_told_is_told_once(steps in prop::collection::vec(step(), 1..60), spsc: bool) {
        let place = Place::new();
        let create = || {
            let to = place.create("s").kind(if spsc { Kind::Spsc } else { Kind::Broadcast });
            to.channels(channels(1)).capacity(CAPACITY).rate(1e6).existing(Existing::Resume).producer::<i64>().unwrap()
        };
        let mut producer = Some(create());
        let mut world = World { epochs: vec![0], ..World::default() };
        let mut consumer: Option<Consumer<i64>> = spsc.then(|| place.open("s").consumer().unwrap());
        let mut observer: Observer<i64> = place.open("s").observer().unwrap();
        let (mut takers, mut observers, mut lost) = (1, 1, 0);
        for step in steps {
            let one = producer.as_mut().unwrap();
            match step {
                Step::Push { frames, times } => (0..times).for_each(|_| pushed(one, &mut world, frames)),
                Step::Reserve { reserved, written, commits } => {
                    let Ok(mut space) = one.reserve(reserved) else { continue };
                    let values: Vec<i64> = (world.tail as i64..).take(written).collect();
                    space.write(&values).unwrap();
                    if commits {
                        space.commit().unwrap();
                        world.tail += written as u64;
                    }
                }
                // Of more than 64 the first would be forgotten.
                Step::Gap(_) | Step::Reset | Step::Succeed if world.gaps.len() >= 60 => {}
                Step::Gap(frames) => {
                    one.gap(frames).unwrap();
                    world.gaps.push((world.tail, Some(frames)));
                }
                Step::Reset => {
                    one.clock_reset().unwrap();
                    world.gaps.push((world.tail, None));
                }
                Step::Succeed => {
                    drop(producer.take());
                    producer = Some(create());
                    world.epochs.push(world.tail);
                    if world.tail > 0 {
                        world.gaps.push((world.tail, None));
                    }
                }
                Step::Take(times) => for _ in 0..times {
                    let Some(consumer) = &mut consumer else { break };
                    let (from, mut out) = (consumer.position(), [0]);
                    match consumer.try_read(&mut out) {
                        Ok(read) => world.check(from, &mut takers, read, &out, consumer.gaps()),
                        Err(why) => prop_assert_eq!((why, from), (ReadError::Empty, world.tail)),
                    }
                },
                Step::Observe { times, frames } => for _ in 0..times {
                    let (from, mut out) = (observer.position(), vec![0; frames]);
                    match observer.try_read(&mut out) {
                        Ok(read) => {
                            world.check(from, &mut observers, read, &out, observer.gaps());
                            lost += read.lost_before;
                        }
                        Err(why) => prop_assert_eq!((why, from), (ReadError::Empty, world.tail)),
                    }
                    prop_assert_eq!(observer.lost(), lost);
                },
                Step::Seek(back) => {
                    observer.seek(Start::Position(world.tail.saturating_sub(back)));
                    prop_assert_eq!(observer.gaps(), []);
                }
            }
            prop_assert_eq!(producer.as_ref().unwrap().position(), world.tail);
        }
    }
}
