//! Descriptors for event loops: readable when the stream is ready, and until a read came back with nothing.

mod support;

use annulus::{Error, Kind, Observer, Polled, ReadError, Start, Wait};
#[cfg(unix)]
use std::os::fd::{AsFd as AsWaitable, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::AsHandle as AsWaitable;
use std::thread;
use std::time::Duration;
use support::{Place, channels, readable};
#[cfg(unix)]
use tokio::io::{Interest, unix::AsyncFd};

/// In which nothing should happen.
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(20);

fn stream(place: &Place, name: &str) -> annulus::Producer<i32> {
    place.create(name).channels(channels(1)).rate(1000.0).capacity(1024).producer::<i32>().unwrap()
}

fn viewer(place: &Place, name: &str, frames: u64) -> Polled<Observer<i32>> {
    place.open(name).observer::<i32>().unwrap().polled(frames).unwrap()
}

#[test]
fn readable_from_the_threshold_on_until_nothing_is_left() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s", 20);
    let mut out = [0; 16];
    assert!(!readable(&[&viewer], SHORT)[0]);
    for round in 0..50 {
        producer.push(&[round; 19]).unwrap();
        if round % 10 == 0 {
            assert!(!readable(&[&viewer], SHORT)[0], "one frame is missing");
        }
        producer.push(&[round; 12]).unwrap();
        assert!(readable(&[&viewer], LONG)[0]);
        assert_eq!(viewer.try_read(&mut out).unwrap().frames, 16);
        assert!(readable(&[&viewer], Duration::ZERO)[0], "there is more");
        assert_eq!(viewer.try_read(&mut out).unwrap().frames, 15);
        assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty));
        assert!(!readable(&[&viewer], Duration::ZERO)[0]);
    }
    // Reading without being told, and in other ways, neither.
    producer.push(&[1; 5]).unwrap();
    assert_eq!(viewer.try_read(&mut out).unwrap().frames, 5);
    assert_eq!(viewer.read(&mut out, Wait::new().timeout(Duration::ZERO)), Err(ReadError::Timeout));
    assert!(!readable(&[&viewer], SHORT)[0]);
    producer.push(&[1; 20]).unwrap();
    assert!(readable(&[&viewer], LONG)[0]);
}

#[test]
fn what_is_there_at_once_and_what_was_overwritten_is_told() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    producer.push(&[1; 100]).unwrap();
    let mut late = place.open("s").start(Start::Oldest).observer::<i32>().unwrap().polled(100).unwrap();
    assert!(readable(&[&late], LONG)[0]);
    let mut out = [0; 1024];
    assert_eq!(late.try_read(&mut out).unwrap().frames, 100);
    assert_eq!(late.try_read(&mut out), Err(ReadError::Empty));
    assert!(!readable(&[&late], SHORT)[0]);
    late.seek(Start::Oldest);
    assert!(readable(&[&late], LONG)[0], "it went back to what is there");
    late.seek(Start::Now);
    assert_eq!(late.try_read(&mut out), Err(ReadError::Empty));
    assert!(!readable(&[&late], SHORT)[0]);
    for _ in 0..40 {
        producer.push(&[2; 100]).unwrap();
    }
    assert!(readable(&[&late], LONG)[0]);
    assert!(late.try_read(&mut out).unwrap().lost_before > 0);
}

#[test]
fn the_end_and_a_replacement_are_told_for_ever() {
    let place = Place::new();
    let producer = stream(&place, "s");
    let mut ending = viewer(&place, "s", 5);
    assert!(!readable(&[&ending], SHORT)[0]);
    producer.finish();
    for _ in 0..3 {
        assert!(readable(&[&ending], LONG)[0]);
        assert_eq!(ending.try_read(&mut [0]), Err(ReadError::Ended { position: 0 }));
    }
    let _other = stream(&place, "t");
    let mut removed = viewer(&place, "t", 5);
    assert!(!readable(&[&removed], SHORT)[0]);
    place.open("t").remove_forcibly().unwrap();
    for _ in 0..3 {
        assert!(readable(&[&removed], LONG)[0]);
        assert_eq!(removed.try_read(&mut [0]), Err(ReadError::Replaced));
    }
}

/// Far more than one sleep can be for on any system. (Under Wine each handle is a dozen open files.)
const MANY: usize = if cfg!(windows) { 80 } else { 300 };

#[test]
fn of_many_handles_exactly_those_are_readable_that_are_due() {
    let place = Place::new();
    let names: Vec<String> = (0..MANY).map(|i| format!("s{i}")).collect();
    let mut producers: Vec<_> = names.iter().map(|name| stream(&place, name)).collect();
    let mut viewers: Vec<_> = names.iter().map(|name| viewer(&place, name, 2)).collect();
    for round in 0..10 {
        let due: Vec<usize> = (0..MANY).filter(|i| i % 60 == 7 * round % 60).collect();
        for &i in &due {
            producers[i].push(&[i as i32; 2]).unwrap();
        }
        for (i, producer) in producers.iter_mut().enumerate().filter(|(i, _)| i % 60 == (7 * round + 1) % 60)
        {
            // Too few, and read before they are enough.
            producer.push(&[i as i32]).unwrap();
            viewers[i].try_read(&mut [0; 8]).unwrap();
            assert_eq!(viewers[i].try_read(&mut [0; 8]), Err(ReadError::Empty));
        }
        let mut told = Vec::new();
        while told.len() < due.len() {
            let ready =
                readable(&viewers.iter().map(|viewer| viewer as &dyn AsWaitable).collect::<Vec<_>>(), LONG);
            let ready = (0..MANY).filter(|i| ready[*i]).collect::<Vec<_>>();
            assert!(!ready.is_empty(), "not told of all in time: of {told:?} only");
            for i in ready {
                assert_eq!(viewers[i].try_read(&mut [0; 8]).unwrap().frames, 2);
                assert_eq!(viewers[i].try_read(&mut [0; 8]), Err(ReadError::Empty));
                told.push(i);
            }
        }
        told.sort_unstable();
        assert_eq!(told, due);
        if round == 5 {
            // Some leave, while all the others are waited for.
            viewers[MANY - 10..]
                .iter_mut()
                .for_each(|viewer| *viewer = self::viewer(&place, names.last().unwrap(), 2));
            for i in MANY - 10..MANY - 1 {
                producers[i] = stream(&place, &format!("new-s{i}"));
                viewers[i] = viewer(&place, &format!("new-s{i}"), 2);
            }
        }
    }
}

/// A producer without space for what it wants, and an event loop that waits for more than fits: neither waits for ever.
#[test]
fn a_consumer_takes_less_when_its_producer_waits_for_space() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    let mut consumer = place.open("q").consumer::<u64>().unwrap().polled(capacity).unwrap();
    let items = capacity * 40;
    let pushing = thread::spawn(move || {
        for batch in (0..items).collect::<Vec<u64>>().chunks(300) {
            producer.push_wait(batch, Some(LONG)).unwrap();
        }
        producer.drain(Some(LONG)).unwrap();
        producer.finish();
    });
    let (mut out, mut next) = (vec![0; 7], 0);
    let end = 'told: loop {
        assert!(readable(&[&consumer], LONG)[0]);
        loop {
            match consumer.try_read(&mut out) {
                Ok(read) => {
                    assert!(out[..read.frames].iter().copied().eq(next..next + read.frames as u64));
                    next += read.frames as u64;
                }
                Err(ReadError::Empty) => break,
                Err(end) => break 'told end,
            }
        }
    };
    assert_eq!((end, next), (ReadError::Ended { position: items }, items));
    pushing.join().unwrap();
}

#[test]
fn more_than_the_ring_holds_is_refused() {
    let place = Place::new();
    let producer = stream(&place, "s");
    let wanted = producer.info().capacity + 1;
    let refused = place.open("s").observer::<i32>().unwrap().polled(wanted).unwrap_err();
    assert!(matches!(refused, Error::BadParameter { .. }), "{refused}");
    assert!(refused.to_string().contains(&wanted.to_string()), "{refused}");
}

/// tokio waits for edges: each time that it was told it must be possible to tell it again.
#[test]
#[cfg(unix)] // there, tokio waits for no handles but its own
fn tokio_is_told_again_and_again() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let viewer = viewer(&place, "s", 3);
    let pushing = thread::spawn(move || {
        for i in 0..3000 {
            producer.push(&[i]).unwrap();
            if i % 10 == 0 {
                thread::sleep(Duration::from_micros(100));
            }
        }
        producer.finish();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (frames, wakes) = runtime.block_on(async {
        // SAFETY: a `Polled` has one descriptor, of its own, as long as it lives.
        #[allow(unsafe_code)]
        let viewer = unsafe { AsyncFd::register_with_interest(viewer, Interest::READABLE) };
        let mut viewer = viewer.unwrap();
        let (mut frames, mut wakes) = (0, 0);
        loop {
            let told = tokio::time::timeout(LONG, viewer.readable_mut()).await;
            let mut guard = told.expect("not told in time").unwrap();
            wakes += 1;
            loop {
                let mut out = [0; 1024];
                match guard.get_inner_mut().try_read(&mut out) {
                    Ok(read) => frames += read.frames as u64 + read.lost_before,
                    Err(ReadError::Empty) => break guard.clear_ready(),
                    Err(ReadError::Ended { .. }) => return (frames, wakes),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    });
    assert_eq!(frames, 3000);
    assert!(wakes > 1, "all at once shows nothing");
    pushing.join().unwrap();
}

#[test]
fn handles_are_what_they_were() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s", 3);
    producer.push(&[1; 3]).unwrap();
    assert_eq!((viewer.available(), viewer.position(), viewer.info().rate), (3, 0, 1000.0));
    #[cfg(unix)]
    assert!(viewer.as_raw_fd() > 2);
    let mut set = annulus::WaitSet::new();
    assert_eq!(set.wait(&mut [&mut viewer], Wait::new().frames(3).timeout(LONG)), Ok(&[0][..]));
    assert_eq!(viewer.read(&mut [0; 8], Wait::new()).unwrap().frames, 3);
}

#[test]
fn consumers_of_a_queue_are_told_of_each_frame() {
    let place = Place::new();
    let queue = || place.create("q").kind(Kind::Mpmc).producers(2).capacity(1024);
    let mut producers: Vec<_> = (0..2).map(|_| queue().producer::<u64>().unwrap()).collect();
    let mut consumers: Vec<_> =
        (0..2).map(|_| queue().group_consumer::<u64>().unwrap().polled().unwrap()).collect();
    let mut out = [0; 4];
    assert_eq!(readable(&[&consumers[0], &consumers[1]], SHORT), [false, false]);
    for round in 0..20 {
        producers[round % 2].push(&[round as u64]).unwrap();
        assert!(readable(&[&consumers[0]], LONG)[0] && readable(&[&consumers[1]], LONG)[0]);
        assert_eq!(consumers[round / 2 % 2].try_read(&mut out).unwrap().frames, 1);
        for consumer in &mut consumers {
            assert_eq!(consumer.try_read(&mut out), Err(ReadError::Empty));
        }
        assert_eq!(
            readable(&[&consumers[0], &consumers[1]], Duration::ZERO),
            [false, false],
            "round {round}"
        );
    }
    producers.into_iter().for_each(annulus::Producer::finish);
    assert!(readable(&[&consumers[1]], LONG)[0]);
    assert_eq!(consumers[1].try_read(&mut out), Err(ReadError::Ended { position: 20 }));
}
