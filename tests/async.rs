//! Reading without blocking, with no runtime and with tokio's.

mod support;

use annulus::{Kind, Observer, ReadError, Start, Strategy, Wait};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use support::{Place, channels};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// Counts how often it was woken, and wakes a thread.
struct Task {
    thread: thread::Thread,
    wakes: AtomicU32,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.thread.unpark();
    }
}

fn task() -> Arc<Task> {
    Arc::new(Task { thread: thread::current(), wakes: AtomicU32::new(0) })
}

/// The smallest of all runtimes.
fn block_on<F: Future>(future: F) -> F::Output {
    let task = task();
    let waker = Waker::from(Arc::clone(&task));
    let mut future = pin!(future);
    let mut until = Instant::now() + LONG;
    loop {
        let before = task.wakes.load(Relaxed);
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        while task.wakes.load(Relaxed) == before {
            assert!(Instant::now() < until, "not woken in time");
            thread::park_timeout(Duration::from_secs(1));
        }
        until = Instant::now() + LONG;
    }
}

fn stream(place: &Place, name: &str) -> annulus::Producer<i32> {
    place.create(name).channels(channels(1)).rate(1000.0).capacity(1024).producer::<i32>().unwrap()
}

fn viewer(place: &Place, name: &str) -> Observer<i32> {
    place.open(name).observer::<i32>().unwrap()
}

#[test]
fn a_read_is_ready_when_it_would_not_wait() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s");
    let capacity = viewer.info().capacity;
    let mut out = [0; 8];
    producer.push(&[1, 2]).unwrap();
    assert_eq!(block_on(viewer.read_async(&mut out, Wait::new())).unwrap().frames, 2);
    let (ready, go) = mpsc::channel();
    let pushing = thread::spawn(move || {
        for i in 0..200 {
            go.recv().unwrap();
            producer.push(&[i]).unwrap();
            producer.push(&[i, i]).unwrap();
        }
        go.recv().unwrap();
        producer.push(&[7]).unwrap();
        producer.finish();
    });
    for i in 0..200 {
        ready.send(()).unwrap();
        let read = block_on(viewer.read_async(&mut out, Wait::new().frames(3).timeout(LONG))).unwrap();
        assert_eq!((read.frames, read.first_position, out[2]), (3, 2 + 3 * i as u64, i));
    }
    ready.send(()).unwrap();
    assert_eq!(
        block_on(viewer.read_async(&mut out, Wait::new().frames(3))).unwrap().frames,
        1,
        "the last one"
    );
    assert_eq!(block_on(viewer.read_async(&mut out, Wait::new())), Err(ReadError::Ended { position: 603 }));
    assert_eq!(block_on(viewer.read_async(&mut out, Wait::new().frames(9))), Err(ReadError::TooLong));
    assert_eq!(block_on(viewer.read_async(&mut out[..0], Wait::new())), Err(ReadError::NotWholeFrames));
    let mut large = vec![0; capacity as usize + 1];
    let too_long = block_on(viewer.read_async(&mut large, Wait::new().frames(capacity + 1)));
    assert_eq!(too_long, Err(ReadError::TooLong));
    pushing.join().unwrap();
}

#[test]
fn when_the_time_is_up_what_there_is_will_do() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s");
    let mut out = [0; 8];
    let brief = Wait::new().frames(5).timeout(SHORT);
    assert_eq!(block_on(viewer.read_async(&mut out, brief)), Err(ReadError::Timeout));
    assert_eq!(block_on(viewer.read_async(&mut out, brief.timeout(Duration::ZERO))), Err(ReadError::Timeout));
    producer.push(&[1, 2]).unwrap();
    assert_eq!(block_on(viewer.read_async(&mut out, brief)).unwrap().frames, 2);
}

/// A future that is dropped has read nothing, is not woken any more, and leaves no waker behind.
#[test]
fn a_read_that_is_cancelled_loses_nothing() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s");
    let mut out = [0; 64];
    for round in 0..100 {
        let task = task();
        let waker = Waker::from(Arc::clone(&task));
        {
            let mut read = pin!(viewer.read_async(&mut out, Wait::new().frames(2)));
            assert_eq!(read.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
            producer.push(&[round]).unwrap();
            if round % 2 == 0 {
                producer.push(&[round]).unwrap(); // it may be woken, or not: it is dropped
            } else {
                assert_eq!(read.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
            }
        }
        drop(waker);
        let mut looks = 0;
        while Arc::strong_count(&task) > 1 {
            assert!(looks < 1000, "a waker is left");
            looks += 1;
            thread::sleep(Duration::from_millis(1)); // it may be about to be called
        }
        let read = viewer.try_read(&mut out).unwrap();
        assert_eq!((read.frames, read.lost_before), (2 - round as usize % 2, 0));
        assert_eq!(out[0], round);
    }
}

/// The task that is woken is the one that polled last.
#[test]
fn a_future_may_move_to_another_task() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s");
    let [first, second] = [task(), task()];
    let mut out = [0; 8];
    let mut read = pin!(viewer.read_async(&mut out, Wait::new()));
    for task in [&first, &second] {
        let waker = Waker::from(Arc::clone(task));
        assert_eq!(read.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    }
    assert_eq!(Arc::strong_count(&first), 1, "its waker is gone");
    producer.push(&[1]).unwrap();
    let until = Instant::now() + LONG;
    while second.wakes.load(Relaxed) == 0 && Instant::now() < until {
        thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!((first.wakes.load(Relaxed), second.wakes.load(Relaxed)), (0, 1));
}

/// A waker that, called or dropped, drops a future that waits: the thread that calls it must hold no lock.
#[test]
fn wakers_may_do_what_they_like() {
    struct Other(std::sync::Mutex<Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>>);
    impl Wake for Other {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let _silent = stream(&place, "t");
    for _ in 0..20 {
        let (mut viewer, mut victim) = (viewer(&place, "s"), viewer(&place, "t"));
        let mut inner: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            victim.read_async(&mut [0], Wait::new()).await.unwrap_err();
        });
        let noop = Waker::noop();
        assert!(inner.as_mut().poll(&mut Context::from_waker(noop)).is_pending());
        let other = Arc::new(Other(std::sync::Mutex::new(Some(inner))));
        let waker = Waker::from(Arc::clone(&other));
        let mut out = [0; 8];
        let mut read = pin!(viewer.read_async(&mut out, Wait::new()));
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        producer.push(&[1]).unwrap();
        let until = Instant::now() + LONG;
        while other.0.lock().unwrap().is_some() {
            assert!(Instant::now() < until, "the waker was not called");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_consumer_and_a_producer_keep_each_other_going() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    let items = capacity * 20;
    let pushing = thread::spawn(move || {
        for batch in (0..items).collect::<Vec<u64>>().chunks(300) {
            producer.push_wait(batch, Some(LONG)).unwrap();
        }
        producer.drain(Some(LONG)).unwrap();
        producer.finish();
    });
    let (mut out, mut next) = (vec![0; capacity as usize], 0);
    block_on(async {
        loop {
            match consumer.read_async(&mut out, Wait::new().frames(capacity)).await {
                Ok(read) => {
                    assert!(out[..read.frames].iter().copied().eq(next..next + read.frames as u64));
                    next += read.frames as u64;
                    // Single frames, which it keeps back.
                    let one = consumer.read_async(&mut out[..1], Wait::new()).await;
                    next += one.map_or(0, |one| one.frames as u64);
                }
                Err(end) => break assert_eq!(end, ReadError::Ended { position: items }),
            }
        }
    });
    assert_eq!(next, items);
    pushing.join().unwrap();
}

/// Under Wine each handle is a dozen open files.
const TASKS: usize = if cfg!(windows) { 80 } else { 300 };

/// Many tasks of one thread, with streams of different rates, beside timers that go off all the time.
#[test]
fn hundreds_of_tasks_share_one_thread() {
    let place = Place::new();
    let producers: Vec<_> = (0..TASKS).map(|i| stream(&place, &format!("s{i}"))).collect();
    let viewers: Vec<_> = (0..TASKS)
        .map(|i| place.open(&format!("s{i}")).start(Start::Oldest).observer::<i32>().unwrap())
        .collect();
    let pushing = thread::spawn(move || {
        let mut producers = producers;
        for round in 0..30 {
            for producer in producers.iter_mut().skip(round % 3).step_by(3) {
                producer.push(&[round as i32; 4]).unwrap();
            }
        }
        producers.into_iter().for_each(annulus::Producer::finish);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let total: u64 = runtime.block_on(async {
        let tasks = viewers.into_iter().map(|mut viewer| {
            tokio::spawn(async move {
                let (mut frames, mut out) = (0, [0; 64]);
                let mut timer = tokio::time::interval(Duration::from_millis(1));
                loop {
                    tokio::select! {
                        read = viewer.read_async(&mut out, Wait::new().frames(8)) => match read {
                            Ok(read) => frames += read.frames as u64 + read.lost_before,
                            Err(ReadError::Ended { .. }) => return frames,
                            Err(other) => panic!("{other}"),
                        },
                        _ = timer.tick() => {}
                    }
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut total = 0;
        for task in tasks {
            total += tokio::time::timeout(LONG, task).await.expect("not in time").unwrap();
        }
        total
    });
    assert_eq!(total, TASKS as u64 * 10 * 4);
    pushing.join().unwrap();
}

/// Blocking and asynchronous reads of one handle take turns.
#[test]
fn a_handle_is_what_it_was() {
    let place = Place::new();
    let mut producer = stream(&place, "s");
    let mut viewer = viewer(&place, "s");
    let mut out = [0; 8];
    producer.push(&[1]).unwrap();
    assert_eq!(block_on(viewer.read_async(&mut out, Wait::new())).unwrap().first_position, 0);
    producer.push(&[2]).unwrap();
    let wait = Wait::new().timeout(LONG).strategy(Strategy::Block);
    assert_eq!(viewer.read(&mut out, wait).unwrap().first_position, 1);
}

/// Each frame wakes whoever waits, and one of them gets it; the others wait on.
#[test]
fn tasks_share_a_queue() {
    let place = Place::new();
    let queue = || place.create("q").kind(Kind::Mpmc).producers(2).capacity(1024);
    let producers: Vec<_> = (0..2).map(|_| queue().producer::<u64>().unwrap()).collect();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let mut consumer = queue().group_consumer::<u64>().unwrap();
            thread::spawn(move || {
                let (mut taken, mut out) = (Vec::new(), [0; 4]);
                loop {
                    match block_on(consumer.read_async(&mut out, Wait::new().timeout(LONG))) {
                        Ok(batch) => taken.extend_from_slice(&out[..batch.frames]),
                        Err(ReadError::Ended { position: 2000 }) => return taken,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    let pushing: Vec<_> = (0..2)
        .zip(producers)
        .map(|(lane, mut producer)| {
            thread::spawn(move || {
                for i in 0..1000 {
                    producer.push(&[i * 2 + lane]).unwrap();
                    if i % 10 == 0 {
                        thread::sleep(Duration::from_micros(300));
                    }
                }
                producer.drain(Some(LONG)).unwrap();
                producer.finish();
            })
        })
        .collect();
    pushing.into_iter().for_each(|one| one.join().unwrap());
    let mut taken: Vec<u64> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    taken.sort_unstable();
    assert!(taken.into_iter().eq(0..2000));
}
