//! Waiting for many streams in one sleep. Who is said to be ready is compared exactly: a member too many is as wrong
//! as one too few.

mod support;

use annulus::{Kind, Member, Observer, ReadError, Start, Strategy, Wait, WaitSet, Waitable};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{Place, channels};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn wait() -> Wait {
    Wait::new().timeout(LONG).strategy(Strategy::Block)
}

/// Streams of one channel, `s0` to `s{count - 1}`, and an observer of each.
fn streams(place: &Place, count: usize) -> (Vec<annulus::Producer<i32>>, Vec<Observer<i32>>) {
    (0..count)
        .map(|i| {
            let name = format!("s{i}");
            let producer = place
                .create(&name)
                .channels(channels(1))
                .rate(1000.0)
                .capacity(1024)
                .producer::<i32>()
                .unwrap();
            (producer, place.open(&name).observer::<i32>().unwrap())
        })
        .unzip()
}

#[test]
fn of_a_hundred_streams_exactly_those_are_ready_that_are_due() {
    let place = Place::new();
    let (mut producers, mut viewers) = streams(&place, 100);
    let mut set = WaitSet::new();
    let mut out = [0; 64];
    for round in 1..50 {
        let due: Vec<usize> = (0..100).filter(|i| i % round == round / 2).collect();
        for &i in &due {
            producers[i].push(&[round as i32]).unwrap();
        }
        assert_eq!(set.wait(&mut viewers, wait()), Ok(&due[..]));
        for i in due {
            assert_eq!(viewers[i].try_read(&mut out).unwrap().frames, 1);
            assert_eq!(out[0], round as i32);
        }
        assert_eq!(set.wait(&mut viewers, wait().timeout(Duration::ZERO)), Err(ReadError::Timeout));
    }
}

#[test]
fn each_member_has_a_threshold_of_its_own() {
    let place = Place::new();
    let (mut producers, mut viewers) = streams(&place, 3);
    let [first, second, third] = &mut viewers[..] else { unreachable!() };
    let mut floats = place.create("f").channels(channels(2)).rate(10.0).producer::<f64>().unwrap();
    let mut other = place.open("f").observer::<f64>().unwrap();
    let mut set = WaitSet::new();
    producers[0].push(&[1; 5]).unwrap();
    producers[1].push(&[1; 5]).unwrap();
    producers[2].push(&[1; 20]).unwrap();
    floats.push(&[0.5; 4]).unwrap();
    let mut members = [first.at_least(6), second.at_least(5), third.member(), other.at_least(2)];
    assert_eq!(set.wait(&mut members, wait().frames(21)), Ok(&[1, 3][..]));
    assert_eq!(set.wait(&mut members, wait().frames(20)), Ok(&[1, 2, 3][..]));
    producers[0].push(&[1]).unwrap();
    assert_eq!(set.wait(&mut members, wait().frames(20)), Ok(&[0, 1, 2, 3][..]));
    assert_eq!(other.try_read(&mut [0.0; 64]).unwrap().frames, 2);
    second.try_read(&mut [0; 64]).unwrap();
    third.try_read(&mut [0; 64]).unwrap();
    // In the end what there is will do, for those that have some.
    let mut members: [Box<dyn Waitable + '_>; 4] =
        [Box::new(second), Box::new(first), Box::new(third), Box::new(other)];
    assert_eq!(set.wait(&mut members, Wait::new().frames(100).timeout(SHORT)), Ok(&[1][..]));
}

/// More than one sleep can be for on any system. (Under Wine each stream is a dozen open files.)
const MANY: usize = if cfg!(windows) { 80 } else { 300 };

/// Those who wait are asleep, as far as that can be arranged, when the push comes.
#[test]
fn a_sleeping_set_is_woken_by_the_member_that_is_due() {
    for (count, seated) in [(7, true), (7, false), (MANY, true)] {
        let place = Place::new();
        let (mut producers, mut viewers) = streams(&place, count);
        if !seated {
            for (i, viewer) in viewers.iter_mut().enumerate() {
                *viewer = place.open(&format!("s{i}")).unseated().observer().unwrap();
            }
        }
        let (say, said) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let mut set = WaitSet::new();
            let mut out = [0; 64];
            loop {
                let ready = set.wait(&mut viewers, wait().frames(3)).unwrap().to_vec();
                for &i in &ready {
                    match viewers[i].try_read(&mut out) {
                        Ok(read) => assert_eq!((read.frames, out[0]), (3, i as i32)),
                        Err(stop) => return say.send((ready, Some(stop))).unwrap(),
                    }
                }
                say.send((ready, None)).unwrap();
            }
        });
        for round in 0..20 {
            let i = round * 37 % count;
            thread::sleep(Duration::from_millis(2));
            if round == 0 {
                for (other, producer) in producers.iter_mut().enumerate().filter(|(other, _)| *other != i) {
                    producer.push(&[other as i32; 2]).unwrap(); // not enough
                }
            }
            producers[i].push(&[i as i32]).unwrap();
            if round == 0 {
                producers[i].push(&[i as i32; 2]).unwrap();
            }
            let more = said.recv_timeout(LONG).unwrap();
            assert_eq!(more, (vec![i], None), "{count} streams, seated {seated}");
            producers[i].push(&[i as i32; 2]).unwrap();
        }
        producers[5].push(&[5]).unwrap();
        producers.remove(5).finish();
        assert!(matches!(said.recv_timeout(LONG).unwrap(), (ready, None) if ready == [5]), "its last frames");
        assert!(
            matches!(said.recv_timeout(LONG).unwrap(), (ready, Some(ReadError::Ended { .. })) if ready == [5])
        );
        waiting.join().unwrap();
    }
}

#[test]
fn what_ends_a_read_makes_a_member_ready() {
    let place = Place::new();
    let (mut producers, mut viewers) = streams(&place, 4);
    let mut set = WaitSet::new();
    let mut out = [0; 8];
    producers.pop().unwrap().finish();
    assert_eq!(set.wait(&mut viewers, wait()), Ok(&[3][..]));
    assert_eq!(viewers[3].try_read(&mut out), Err(ReadError::Ended { position: 0 }));
    assert_eq!(set.wait(&mut viewers, wait()), Ok(&[3][..]), "for ever");
    viewers.pop();
    drop(producers.pop());
    let new = place.create("s2").channels(channels(2)).rate(1.0).producer::<i32>().unwrap();
    assert_eq!(set.wait(&mut viewers, wait()), Ok(&[2][..]));
    assert_eq!(viewers[2].read(&mut out, wait()), Err(ReadError::Replaced));
    drop((new, viewers.pop()));
    place.open("s1").remove_forcibly().unwrap();
    assert_eq!(set.wait(&mut viewers, wait()), Ok(&[1][..]));
    assert_eq!(viewers[1].try_read(&mut out), Err(ReadError::Replaced));
}

/// A producer without space for what it wants, and a set that waits for more than fits: neither waits for ever.
#[test]
fn a_consumer_in_a_set_takes_less_when_its_producer_waits_for_space() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    let (_quiet, mut viewers) = streams(&place, 2);
    let items = capacity * 40;
    let pushing = thread::spawn(move || {
        for batch in (0..items).collect::<Vec<u64>>().chunks(300) {
            producer.push_wait(batch, Some(LONG)).unwrap();
        }
        producer.drain(Some(LONG)).unwrap();
        producer.finish();
    });
    let mut set = WaitSet::new();
    let (mut out, mut next) = (vec![0; 7], 0);
    let [first, second] = &mut viewers[..] else { unreachable!() };
    loop {
        let mut members = [first.member(), consumer.at_least(capacity), second.member()];
        assert_eq!(set.wait(&mut members, wait()), Ok(&[1][..]));
        match consumer.try_read(&mut out) {
            Ok(read) => {
                assert!(out[..read.frames].iter().copied().eq(next..next + read.frames as u64));
                next += read.frames as u64;
            }
            Err(stop) => break assert_eq!(stop, ReadError::Ended { position: items }),
        }
    }
    assert_eq!(next, items);
    pushing.join().unwrap();
}

/// A consumer keeps back single frames that it took. Not while it sleeps.
#[test]
fn a_consumer_gives_back_before_the_set_sleeps() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(1024).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    producer.push(&vec![7; capacity as usize]).unwrap();
    for _ in 0..5 {
        consumer.try_read(&mut [0]).unwrap();
    }
    assert_eq!(producer.pending(), capacity, "kept back");
    let mut set = WaitSet::new();
    assert_eq!(set.wait(&mut [consumer.at_least(capacity)], wait().timeout(Duration::ZERO)), Ok(&[0][..]));
    assert_eq!(producer.pending(), capacity - 5);
}

#[test]
fn several_observers_of_one_stream_and_own_types_are_members() {
    struct Station {
        viewer: Observer<i32>,
        block: u64,
    }
    impl Waitable for Station {
        fn member(&mut self) -> Member<'_> {
            self.viewer.at_least(self.block)
        }
    }
    let place = Place::new();
    let (mut producers, _) = streams(&place, 1);
    let viewer = |_| place.open("s0").start(Start::Oldest).observer::<i32>().unwrap();
    let mut stations: Vec<Station> = (0..5).map(|block| Station { viewer: viewer(block), block }).collect();
    let waiting = thread::spawn(move || {
        let mut set = WaitSet::new();
        let mut ready = Vec::new();
        while ready.len() < 5 {
            ready = set.wait(&mut stations, wait()).unwrap().to_vec();
        }
        ready
    });
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(2));
        producers[0].push(&[1]).unwrap();
    }
    assert_eq!(waiting.join().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_set_that_can_never_be_ready_says_so() {
    let place = Place::new();
    let (_producers, mut viewers) = streams(&place, 2);
    let capacity = viewers[0].info().capacity;
    let mut set = WaitSet::new();
    assert_eq!(set.wait::<Observer<i32>>(&mut [], Wait::new()), Err(ReadError::Empty));
    assert_eq!(set.wait(&mut viewers, Wait::new().frames(capacity + 1)), Err(ReadError::TooLong));
    let [first, second] = &mut viewers[..] else { unreachable!() };
    assert_eq!(
        set.wait(&mut [first.at_least(capacity), second.at_least(capacity + 1)], Wait::new()),
        Err(ReadError::TooLong)
    );
    assert_eq!(set.wait(&mut viewers, Wait::new().timeout(SHORT)), Err(ReadError::Timeout));
}

/// Beside a viewer and a recorder, a consumer of a work queue.
#[test]
fn a_consumer_of_a_queue_waits_for_all_its_lanes() {
    let place = Place::new();
    let queue = || place.create("q").kind(Kind::Mpmc).producers(3);
    let mut producers: Vec<_> = (0..3).map(|_| queue().producer::<u64>().unwrap()).collect();
    let mut consumer = queue().group_consumer::<u64>().unwrap();
    let mut stream = place.create("s").producer::<u64>().unwrap();
    let mut viewer = place.open("s").observer::<u64>().unwrap();
    let mut set = WaitSet::new();
    let short = Wait::new().timeout(SHORT);
    assert_eq!(set.wait(&mut [consumer.member(), viewer.member()], short), Err(ReadError::Timeout));
    let mut out = [0; 8];
    for lane in [2, 0, 1] {
        thread::scope(|threads| {
            let waiting = threads
                .spawn(|| set.wait(&mut [viewer.member(), consumer.member()], wait()).map(<[_]>::to_vec));
            thread::sleep(SHORT);
            producers[lane].push(&[7]).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(vec![1]));
        });
        assert_eq!(consumer.try_read(&mut out).unwrap().lane, lane as u32);
    }
    stream.push(&[1]).unwrap();
    assert_eq!(set.wait(&mut [consumer.member(), viewer.member()], wait()), Ok(&[1][..]));
    assert_eq!(set.wait(&mut [consumer.at_least(2)], wait()), Err(ReadError::TooLong));
    producers.into_iter().for_each(annulus::Producer::finish);
    assert_eq!(set.wait(&mut [consumer.member()], wait()), Ok(&[0][..]));
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Ended { position: 3 }));
}
