//! The public interface, both ends in one process: each handle has a mapping and an open of its own, so that
//! they are to each other what handles of two processes are.

mod support;

use annulus::{
    Complex, Error, Existing, Kind, ProducerState, PushError, ReadError, Role, Scope, Start, Strategy, Wait,
};
use bytemuck::{Pod, Zeroable};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use support::{Place, channels};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn wait() -> Wait {
    Wait::new().timeout(LONG)
}

#[test]
fn frames_arrive_in_order_with_their_positions() {
    let place = Place::new();
    let mut producer = place.create("ecg").channels(channels(2)).rate(360.0).producer::<i16>().unwrap();
    let mut viewer = place.open("ecg").observer::<i16>().unwrap();
    let mut out = [0; 8];
    assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty));
    producer.push(&[1, 2, 3, 4, 5, 6]).unwrap();
    let read = viewer.read(&mut out, wait()).unwrap();
    assert_eq!((read.first_position, read.frames, read.lost_before, read.restarted), (0, 3, 0, None));
    assert_eq!(out[..6], [1, 2, 3, 4, 5, 6]);
    producer.push(&[7, 8]).unwrap();
    let mut late = place.open("ecg@v1").start(Start::Oldest).observer::<i16>().unwrap();
    assert_eq!(late.read(&mut out, wait()).unwrap().frames, 4);
    assert_eq!(viewer.try_read(&mut out).unwrap().first_position, 3);
    let mut from_two = place.open("ecg").start(Start::Position(2)).observer::<i16>().unwrap();
    assert_eq!(from_two.try_read(&mut out).unwrap().frames, 2);
    assert_eq!(out[..4], [5, 6, 7, 8]);
    assert_eq!(producer.push(&[1]), Err(PushError::NotWholeFrames));
    assert_eq!(viewer.try_read(&mut out[..3]), Err(ReadError::NotWholeFrames));
    assert_eq!(viewer.try_read(&mut []), Err(ReadError::NotWholeFrames));
}

#[test]
fn what_a_stream_says_of_itself_arrives() {
    let place = Place::new();
    let lead = annulus::Channel::new("MLII").unit("mV").kind("ECG").scaled(0.005, -5.12).significant_bits(11);
    let start = std::time::UNIX_EPOCH + Duration::from_millis(1_234_567);
    let producer = place
        .create("ecg@v7")
        .channels([lead.clone()])
        .rate(360.0)
        .retain(Duration::from_secs(60))
        .device("Holter, serial 12")
        .metadata_json("{\"lead\":1}")
        .start_time(start)
        .keep(support::keeps())
        .producer::<i16>()
        .unwrap();
    let status = place.open("ecg@v7").status().unwrap();
    assert_eq!(&status.info, producer.info());
    let info = status.info;
    assert_eq!((info.full_name().as_str(), info.version, info.kind), ("ecg@v7", 7, Kind::Broadcast));
    assert_eq!((info.channels, info.rate, info.device.as_str()), (vec![lead], 360.0, "Holter, serial 12"));
    assert_eq!((info.metadata_json.as_str(), info.start_time), ("{\"lead\":1}", Some(start)));
    assert!(
        info.capacity >= 21_600
            && info.contiguous == support::mirrors()
            && info.keep == support::keeps()
            && info.observable
    );
    assert_eq!(info.requested, 21_600);
    assert_eq!(status.producer, ProducerState::Live { pid: std::process::id() });
    assert_eq!(status.attached.len(), 1);
    assert_eq!(status.attached[0].role, Role::Producer);
    let program = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_string();
    assert_eq!(info.program, program);
    assert_eq!(status.attached[0].program, program[..program.len().min(16)]);
}

#[test]
fn versions_live_side_by_side_and_a_missing_one_is_explained() {
    let place = Place::new();
    let mut one = place.create("ecg").channels(channels(2)).rate(360.0).producer::<i16>().unwrap();
    let mut two = place.create("ecg@v2").channels(channels(1)).rate(500.0).producer::<f32>().unwrap();
    one.push(&[1, 2]).unwrap();
    two.push(&[0.5]).unwrap();
    let mut out = [0.0];
    place.open("ecg@v2").start(Start::Oldest).observer::<f32>().unwrap().try_read(&mut out).unwrap();
    assert_eq!(out, [0.5]);
    let missing = place.open("ecg@v3").observer::<i16>().unwrap_err();
    let text = "stream 'ecg' exists as v1 (2 ch x i16 @ 360 Hz) and as v2 (1 ch x f32 @ 500 Hz), not v3";
    assert_eq!(missing.to_string(), text);
    let nothing = place.open("eeg").observer::<i16>().unwrap_err();
    assert!(matches!(nothing, Error::NotFound { ref versions, .. } if versions.is_empty()), "{nothing}");
    assert_eq!(annulus::list_in(place.path()).unwrap().len(), 2);
}

#[test]
fn one_producer_and_one_consumer_only() {
    let place = Place::new();
    let ring = || place.create("jobs").kind(Kind::Spsc).capacity(512);
    let producer = ring().producer::<u64>().unwrap();
    let me = std::process::id();
    for refused in [ring().producer::<u64>().unwrap_err(), place.open("jobs").producer::<u64>().unwrap_err()]
    {
        assert!(matches!(refused, Error::WriterBusy { pid, stopped: false, .. } if pid == me), "{refused}");
        assert!(refused.to_string().contains(&me.to_string()), "{refused}");
    }
    let consumer = ring().consumer::<u64>().unwrap();
    let refused = place.open("jobs").consumer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::ConsumerBusy { pid, .. } if pid == me), "{refused}");
    drop(producer);
    ring().producer::<u64>().unwrap();
    drop(consumer);
    assert_eq!(place.objects(), [""; 0], "the last one has left");
}

#[test]
fn a_successor_carries_on_and_readers_follow() {
    let place = Place::new();
    let stream = || place.create("s").channels(channels(1)).rate(100.0);
    let mut first = stream().producer::<i32>().unwrap();
    let mut viewer = place.open("s").observer::<i32>().unwrap();
    first.push(&[1, 2, 3]).unwrap();
    assert_eq!(first.epoch(), 1);
    drop(first);
    assert_eq!(viewer.producer(), ProducerState::Left);
    let mut second = stream().producer::<i32>().unwrap();
    assert_eq!((second.position(), second.epoch()), (3, 2));
    second.push(&[4]).unwrap();
    let mut out = [0; 9];
    let read = viewer.read(&mut out, wait().frames(4)).unwrap();
    assert_eq!((read.frames, out[..4].to_vec()), (4, vec![1, 2, 3, 4]));
    let restart = read.restarted.unwrap();
    assert_eq!((restart.epoch, restart.position), (2, 3));
    second.push(&[5]).unwrap();
    assert_eq!(viewer.try_read(&mut out).unwrap().restarted, None, "said once");
}

#[test]
fn other_parameters_win_over_viewers_but_not_over_a_producer() {
    let place = Place::new();
    let old = place.create("s").channels(channels(1)).rate(100.0).producer::<i32>().unwrap();
    let mut viewer = place.open("s").observer::<i32>().unwrap();
    let wanted = || place.create("s").channels(channels(2)).rate(100.0).producer::<i32>();
    let refused = wanted().unwrap_err();
    assert!(matches!(refused, Error::Incompatible { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("1 ch x i32 @ 100 Hz") && text.contains("2 ch x i32 @ 100 Hz"), "{text}");
    let mut old = old;
    old.push(&[9]).unwrap();
    drop(old);
    let mut new = wanted().unwrap();
    assert_eq!((new.position(), new.epoch()), (0, 1));
    let mut out = [0; 4];
    assert_eq!(viewer.read(&mut out, wait()).unwrap().frames, 1, "what was published comes first");
    assert_eq!(viewer.read(&mut out, wait()), Err(ReadError::Replaced));
    new.push(&[1, 2]).unwrap();
    let mut viewer = place.open("s").start(Start::Oldest).observer::<i32>().unwrap();
    assert_eq!(viewer.read(&mut out, wait()).unwrap().frames, 1);
    drop((new, viewer));
    assert_eq!(place.objects(), [""; 0]);
}

#[test]
fn what_to_do_with_what_exists_is_the_creators_choice() {
    if !support::keeps() {
        return; // it is about what stays; over files it runs
    }
    let place = Place::new();
    let stream =
        |existing| place.create("s").channels(channels(1)).existing(existing).keep(true).producer::<u8>();
    let mut first = stream(Existing::Refuse).unwrap();
    first.push(&[1]).unwrap();
    assert!(matches!(stream(Existing::Replace).unwrap_err(), Error::WriterBusy { .. }));
    drop(first);
    assert!(matches!(stream(Existing::Refuse).unwrap_err(), Error::AlreadyExists { .. }));
    assert_eq!(stream(Existing::Resume).unwrap().position(), 1);
    assert_eq!(stream(Existing::Replace).unwrap().position(), 0);
}

#[test]
fn finish_is_final() {
    let place = Place::new();
    let stream = || place.create("s").channels(channels(1));
    let mut producer = stream().producer::<u8>().unwrap();
    let mut viewer = place.open("s").observer::<u8>().unwrap();
    producer.push(&[1, 2, 3]).unwrap();
    producer.finish();
    assert!(matches!(place.open("s").producer::<u8>().unwrap_err(), Error::Finished { .. }));
    let mut out = [0; 8];
    assert_eq!(viewer.read(&mut out, wait().frames(5)).unwrap().frames, 3, "no more will come");
    assert_eq!(viewer.read(&mut out, wait()), Err(ReadError::Ended { position: 3 }));
    assert_eq!(viewer.try_read(&mut out), Err(ReadError::Ended { position: 3 }));
    let mut again = stream().producer::<u8>().unwrap();
    assert_eq!(again.position(), 0, "a new object");
    again.push(&[9]).unwrap();
    assert_eq!(
        viewer.try_read(&mut out),
        Err(ReadError::Ended { position: 3 }),
        "the old one stays as it was"
    );
    drop(viewer);
    assert_eq!(place.objects(), ["s@v1.l1"]);
    drop(again);
    assert_eq!(place.objects(), [""; 0]);
}

#[test]
fn the_last_one_removes_unless_told_to_keep() {
    for keep in [false, support::keeps()] {
        for producer_first in [false, true] {
            let place = Place::new();
            let producer = place.create("s").channels(channels(1)).keep(keep).producer::<u8>().unwrap();
            let viewers: Vec<_> = (0..3).map(|_| place.open("s").observer::<u8>().unwrap()).collect();
            if producer_first {
                drop(producer);
                assert_eq!(place.objects().len(), 1);
                drop(viewers);
            } else {
                drop(viewers);
                assert_eq!(place.objects().len(), 1);
                drop(producer);
            }
            assert_eq!(place.objects().len(), usize::from(keep));
        }
    }
}

#[test]
fn many_leave_at_once_and_one_of_them_removes() {
    for _ in 0..50 {
        let place = Place::new();
        let producer = place.create("s").channels(channels(1)).producer::<u8>().unwrap();
        let viewers: Vec<_> = (0..4).map(|_| place.open("s").observer::<u8>().unwrap()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(producer));
            for viewer in viewers {
                scope.spawn(|| drop(viewer));
            }
        });
        assert_eq!(place.objects(), [""; 0]);
    }
}

#[test]
fn spsc_is_full_then_takes_more() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    assert_eq!(capacity, 512);
    for item in 0..capacity {
        producer.push(&[item]).unwrap();
    }
    assert_eq!(producer.push(&[0]), Err(PushError::Full));
    assert_eq!(producer.push(&vec![0; 513]), Err(PushError::TooLong));
    assert_eq!(producer.pending(), 512);
    assert_eq!(producer.push_wait(&[0], Some(SHORT)), Err(PushError::Timeout { pushed: 0 }));
    let mut out = [0; 500];
    assert_eq!(consumer.available(), 512);
    let read = consumer.try_read(&mut out).unwrap();
    assert_eq!((read.first_position, read.frames, out[499]), (0, 500, 499));
    producer.push(&[512]).unwrap();
    let rest: Vec<u64> = std::iter::from_fn(|| {
        let mut one = [0];
        consumer.try_read(&mut one).ok().map(|_| one[0])
    })
    .collect();
    assert_eq!(rest, (500..=512).collect::<Vec<_>>());
    assert_eq!(producer.pending(), 0, "given back when the ring was found empty");
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Empty));
}

#[test]
fn single_frames_are_given_back_lazily_but_never_too_many() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    producer.push(&vec![7; 512]).unwrap();
    let mut one = [0];
    for taken in 1..=200 {
        consumer.try_read(&mut one).unwrap();
        assert!(producer.pending() <= 512 - taken + 63, "{taken}");
    }
    consumer.release();
    assert_eq!(producer.pending(), 312);
    consumer.try_read(&mut one).unwrap();
    drop(consumer);
    assert_eq!(producer.pending(), 311, "dropping gives back");
}

#[test]
fn a_waiting_producer_and_a_waiting_consumer_keep_each_other_going() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    let total = 50_000u64;
    let taking = std::thread::spawn(move || {
        let mut next = 0;
        let mut out = [0; 100];
        // Waits for more than is ever free at once, and for single frames: both must go on.
        while next < total {
            let (at_least, most) = if next % 3 == 0 { (90, 100) } else { (1, 1) };
            let read =
                match consumer.read(&mut out[..most], wait().frames(at_least).strategy(Strategy::Block)) {
                    Ok(read) => read,
                    Err(stop) => panic!("{stop} at {next}"),
                };
            for item in &out[..read.frames] {
                assert_eq!(*item, next);
                next += 1;
            }
        }
        assert_eq!(consumer.read(&mut out, wait()), Err(ReadError::Ended { position: total }));
    });
    let items: Vec<u64> = (0..total).collect();
    let (singles, rest) = items.split_at(1000);
    for item in singles {
        producer.push_wait(&[*item], Some(LONG)).unwrap();
    }
    for some in rest.chunks(7000) {
        producer.push_wait(some, Some(LONG)).unwrap(); // on a machine that is busy with other things each takes long
    }
    producer.drain(Some(LONG)).unwrap();
    producer.finish();
    taking.join().unwrap();
}

#[test]
fn chunks_are_one_slice_where_the_ring_is_mapped_twice() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    assert_eq!(consumer.info().contiguous, support::mirrors());
    if !consumer.info().contiguous {
        return; // `odd_frames_come_in_two_slices` shows how it is then
    }
    let mut next = 0u64;
    for round in 0..20 {
        let items: Vec<u64> = (round * 300..(round + 1) * 300).collect();
        producer.push(&items).unwrap();
        let chunk = consumer.chunk(1000, wait()).unwrap();
        assert_eq!((chunk.frames(), chunk.first_position()), (300, next));
        let (all, rest) = chunk.slices();
        assert_eq!((all, rest), (&items[..], &[][..]));
        drop(chunk); // takes nothing
        let chunk = consumer.try_chunk(100).unwrap();
        assert_eq!(chunk.slices().0, &items[..100]);
        assert_eq!(chunk.commit(40).frames, 40);
        assert_eq!(consumer.try_chunk(1000).unwrap().commit_all().frames, 260);
        next += 300;
    }
}

#[test]
fn odd_frames_come_in_two_slices() {
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
    struct Odd([u8; 4099]);
    let item = |i: u64| Odd([i as u8; 4099]);
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(10).producer::<Odd>().unwrap();
    let mut consumer = place.open("q").consumer::<Odd>().unwrap();
    assert!(!consumer.info().contiguous);
    assert_eq!(consumer.info().capacity, 10);
    let mut wrapped = 0;
    for round in 0..10 {
        let items: Vec<Odd> = (round * 7..round * 7 + 7).map(item).collect();
        producer.push(&items).unwrap();
        let chunk = consumer.chunk(10, wait()).unwrap();
        let (first, rest) = chunk.slices();
        assert_eq!([first, rest].concat(), items);
        wrapped += usize::from(!rest.is_empty());
        chunk.commit_all();
    }
    assert!(wrapped >= 5, "{wrapped}");
}

#[test]
fn a_reservation_publishes_what_was_written_and_nothing_when_dropped() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(2)).capacity(4096).producer::<i16>().unwrap();
    let mut viewer = place.open("s").observer::<i16>().unwrap();
    let mut out = [0; 64];
    let mut reserved = producer.reserve(10).unwrap();
    reserved.write(&[1, 2, 3, 4]).unwrap();
    assert_eq!(reserved.remaining(), 8);
    assert_eq!(reserved.write(&[1]), Err(PushError::NotWholeFrames));
    assert_eq!(reserved.write(&[0; 18]), Err(PushError::TooLong));
    assert!(reserved.slices_mut().is_none(), "observers may be reading");
    assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty));
    drop(reserved);
    assert_eq!(viewer.try_read(&mut out), Err(ReadError::Empty));
    let mut reserved = producer.reserve(10).unwrap();
    reserved.write(&[5, 6]).unwrap();
    reserved.write(&[7, 8]).unwrap();
    reserved.commit().unwrap();
    assert_eq!(viewer.try_read(&mut out).unwrap().frames, 2);
    assert_eq!(out[..4], [5, 6, 7, 8]);
    let quarter = producer.info().capacity as usize / 4;
    assert!(producer.reserve(quarter).is_ok());
    assert_eq!(producer.reserve(quarter + 1).unwrap_err(), PushError::TooLong);
}

#[test]
fn without_observers_frames_are_filled_in_place() {
    let place = Place::new();
    let ring = || place.create("q").kind(Kind::Spsc).capacity(512).without_observers();
    let mut producer = ring().producer::<u64>().unwrap();
    let mut consumer = ring().consumer::<u64>().unwrap();
    for round in 0..5u64 {
        let mut reserved = producer.reserve(400).unwrap();
        let (all, rest) = reserved.slices_mut().unwrap();
        assert_eq!(all.len() + rest.len(), 400);
        assert!(rest.is_empty() || !support::mirrors());
        all.iter_mut().chain(rest).enumerate().for_each(|(i, item)| *item = round * 400 + i as u64);
        reserved.commit_all().unwrap();
        assert_eq!(producer.reserve(400).unwrap_err(), PushError::Full);
        let mut out = [0; 400];
        consumer.read(&mut out, wait().frames(400)).unwrap();
        assert!(out.iter().copied().eq(round * 400..(round + 1) * 400));
    }
    let refused = place.open("q").observer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::WrongKind { .. }), "{refused}");
    let refused = place.create("b").without_observers().producer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::BadParameter { .. }), "{refused}");
}

#[test]
fn the_consumer_may_come_first() {
    let place = Place::new();
    let ring = || place.create("q").kind(Kind::Spsc).capacity(512);
    let mut consumer = ring().consumer::<u32>().unwrap();
    assert_eq!(consumer.producer(), ProducerState::Never);
    let mut out = [0; 4];
    assert_eq!(consumer.read(&mut out, Wait::new().timeout(SHORT)), Err(ReadError::Timeout));
    let mut producer = ring().producer::<u32>().unwrap();
    producer.push(&[1, 2]).unwrap();
    let read = consumer.read(&mut out, wait()).unwrap();
    assert_eq!((read.frames, read.restarted), (2, None), "its start is no restart");
}

#[test]
fn observers_tap_a_queue_without_taking() {
    let place = Place::new();
    let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    let mut consumer = place.open("q").consumer::<u64>().unwrap();
    let mut tap = place.open("q").start(Start::Oldest).observer::<u64>().unwrap();
    producer.push(&[1, 2, 3]).unwrap();
    let mut out = [0; 8];
    assert_eq!(tap.read(&mut out, wait()).unwrap().frames, 3);
    assert_eq!(consumer.try_read(&mut out).unwrap().frames, 3);
    let mut late = place.open("q").start(Start::Oldest).observer::<u64>().unwrap();
    assert_eq!(late.try_read(&mut out).unwrap().frames, 3, "also what was taken, while it is there");
    let refused = place.create("b").capacity(10).producer::<u64>().map(|_| place.open("b").consumer::<u64>());
    assert!(refused.is_ok());
    let _broadcast = place.create("b").capacity(10).producer::<u64>().unwrap();
    assert!(matches!(place.open("b").consumer::<u64>().unwrap_err(), Error::WrongKind { .. }));
}

#[test]
fn who_sleeps_through_ten_laps_is_told_exactly() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).capacity(4096).producer::<u32>().unwrap();
    let capacity = producer.info().capacity;
    let mut viewer = place.open("s").observer::<u32>().unwrap();
    let mut out = vec![0; 512];
    producer.push(&[0, 1, 2]).unwrap();
    assert_eq!(viewer.try_read(&mut out).unwrap().frames, 3);
    let total = 10 * capacity + 1234;
    let items: Vec<u32> = (3..total as u32).collect();
    for block in items.chunks(100) {
        producer.push(block).unwrap();
    }
    let mut next = 3;
    let mut lost = 0;
    while next < total {
        let read = viewer.try_read(&mut out).unwrap();
        assert_eq!(read.first_position, next + read.lost_before, "every frame is delivered or counted");
        let expected = read.first_position..read.first_position + read.frames as u64;
        assert!(out[..read.frames].iter().copied().map(u64::from).eq(expected));
        lost += read.lost_before;
        next = read.first_position + read.frames as u64;
    }
    assert_eq!(lost, total - 3 - (capacity - capacity / 8), "an eighth ahead of the oldest");
    assert_eq!(viewer.lost(), lost);
    producer.push(&[77]).unwrap();
    let read = viewer.try_read(&mut out).unwrap();
    assert_eq!((read.lost_before, out[0]), (0, 77), "and it goes on");
    let status = place.open("s").status().unwrap();
    let seen = status.attached.iter().find(|one| one.role == Role::Observer).unwrap();
    assert_eq!((seen.lost, seen.position), (lost, total + 1), "posted for listings");
    let (seat, taken) = seen.seat;
    assert_eq!((seat, taken), (1, 1), "behind the producer's");
    drop(viewer);
    let _next = place.open("s").observer::<u32>().unwrap();
    let status = place.open("s").status().unwrap();
    assert_eq!(status.attached[1].seat, (seat, taken + 1), "another one in the same seat");
}

#[test]
fn wake_ups_are_counted() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).capacity(4096).producer::<u32>().unwrap();
    let wakes = || place.open("s").status().unwrap().wakes;
    let before = wakes(); // a producer that comes makes itself known
    producer.push(&[1; 10]).unwrap();
    assert_eq!(wakes(), before, "nobody sleeps");
    let mut viewer = place.open("s").observer::<u32>().unwrap();
    let read = std::thread::spawn(move || {
        let mut out = [0; 20];
        viewer
            .read(&mut out, Wait::new().frames(20).strategy(Strategy::Block).timeout(LONG))
            .map(|read| read.frames)
    });
    while wakes() == before {
        producer.push(&[1]).unwrap();
        std::thread::sleep(SHORT);
    }
    assert_eq!((read.join().unwrap(), wakes()), (Ok(20), before + 1), "once, and when there was enough");
    producer.push(&[1; 100]).unwrap();
    assert_eq!(wakes(), before + 1);
}

#[test]
fn a_wait_ends_with_enough_or_with_what_there_is() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).capacity(4096).producer::<u32>().unwrap();
    let mut viewer = place.open("s").observer::<u32>().unwrap();
    let mut out = [0; 64];
    for strategy in [Strategy::Spin, Strategy::Adaptive, Strategy::Block] {
        let brief = Wait::new().timeout(SHORT).strategy(strategy);
        assert_eq!(viewer.read(&mut out, brief), Err(ReadError::Timeout));
        producer.push(&[1, 2, 3]).unwrap();
        assert_eq!(viewer.read(&mut out, brief.frames(10)).unwrap().frames, 3, "{strategy}");
        producer.push(&[4; 10]).unwrap();
        assert_eq!(viewer.read(&mut out, wait().frames(10).strategy(strategy)).unwrap().frames, 10);
    }
    assert_eq!(viewer.read(&mut out, wait().frames(65)), Err(ReadError::TooLong));
    let mut huge = vec![0; 1 << 20];
    assert_eq!(viewer.read(&mut huge, wait().frames(1 << 19)), Err(ReadError::TooLong));
}

#[test]
fn a_sleeper_is_woken_by_the_push_that_it_waits_for() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).capacity(4096).producer::<u32>().unwrap();
    let readers: Vec<_> = [1, 5, 20]
        .map(|at_least| {
            let mut viewer = place.open("s").observer::<u32>().unwrap();
            std::thread::spawn(move || {
                let mut out = [0; 64];
                let mut next = 0;
                while u64::from(next) + at_least <= 2000 {
                    let wait = wait().frames(at_least).strategy(Strategy::Block);
                    let read = viewer.read(&mut out, wait).unwrap();
                    assert!(read.frames as u64 >= at_least, "woken too early: {} of {at_least}", read.frames);
                    for item in &out[..read.frames] {
                        assert_eq!(*item, next);
                        next += 1;
                    }
                }
            })
        })
        .into();
    for item in 0..2000 {
        producer.push(&[item]).unwrap();
        if item % 7 == 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn elements_and_samples_of_every_kind() {
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
    struct Item {
        id: u64,
        values: [f32; 6],
    }
    let place = Place::new();
    let mut out = [Item::zeroed(); 2];
    let item = Item { id: 3, values: [0.5; 6] };
    let mut producer = place.create("items").producer::<Item>().unwrap();
    producer.push(&[item]).unwrap();
    place.open("items").start(Start::Oldest).observer::<Item>().unwrap().try_read(&mut out).unwrap();
    assert_eq!(out[0], item);
    assert_eq!(producer.info().summary(), "32-byte elements");

    macro_rules! sample {
        ($($number:ty),*) => {$({
            let mut producer = place.create("x").channels(channels(3)).existing(Existing::Replace).producer().unwrap();
            let frame = [1, 2, 3].map(|n| n as $number);
            producer.push(&frame).unwrap();
            let mut out = [0 as $number; 3];
            place.open("x").start(Start::Oldest).observer().unwrap().try_read(&mut out).unwrap();
            assert_eq!(out, frame);
            drop(producer);
            let mut producer = place.create("x").channels(channels(1)).existing(Existing::Replace).producer().unwrap();
            let iq = [Complex::new(1 as $number, 2 as $number)];
            producer.push(&iq).unwrap();
            let mut out = [Complex::new(0 as $number, 0 as $number)];
            place.open("x").start(Start::Oldest).observer().unwrap().try_read(&mut out).unwrap();
            assert_eq!(out, iq);
        })*};
    }
    sample!(i8, u8, i16, u16, i32, u32, i64, f32, f64);
}

#[test]
fn the_type_is_checked_and_tools_need_none() {
    let place = Place::new();
    let mut producer =
        place.create("s").channels(channels(2)).rate(10.0).producer_bytes("ci16".parse().unwrap()).unwrap();
    producer.push(&[1, 0, 2, 0, 3, 0, 4, 0]).unwrap();
    assert_eq!(producer.push(&[1, 0, 2, 0]), Err(PushError::NotWholeFrames));
    let wrong = place.open("s").observer::<i16>().unwrap_err();
    assert_eq!(wrong.to_string(), "stream 's@v1' holds 2 ch x ci16 @ 10 Hz, not i16");
    let mut out = [Complex::new(0i16, 0); 2];
    place.open("s").start(Start::Oldest).observer().unwrap().try_read(&mut out).unwrap();
    assert_eq!(out, [Complex::new(1, 2), Complex::new(3, 4)]);
    let mut viewer = place.open("s").start(Start::Oldest).observer_bytes().unwrap();
    let mut bytes = [0; 8];
    assert_eq!(viewer.try_read(&mut bytes).unwrap().frames, 1);
    assert_eq!(bytes, [1, 0, 2, 0, 3, 0, 4, 0]);
    assert!(place.create("t").channels(channels(1)).producer::<[u8; 3]>().is_err(), "no sample type");
    assert!(place.create("t").producer::<[u8; 3]>().is_ok(), "but an element");
    assert!(place.create("u").producer::<()>().is_err(), "a frame of nothing");
    assert!(place.create("u").producer_bytes("i16".parse().unwrap()).is_err(), "samples without channels");
    assert!(place.create("u").channels(channels(1)).producer_bytes(annulus::SampleFormat::Opaque).is_err());
}

#[test]
fn a_full_table_says_who_sits_there() {
    let place = Place::new();
    let mut producer = place.create("s").channels(channels(1)).readers(2).producer::<u8>().unwrap();
    let _seated = [place.open("s").observer::<u8>().unwrap(), place.open("s").observer::<u8>().unwrap()];
    let refused = place.open("s").observer::<u8>().unwrap_err();
    let me = std::process::id();
    assert!(
        matches!(&refused, Error::NoSeat { capacity: 2, holders, .. } if *holders == [me, me]),
        "{refused}"
    );
    let mut unseated = place.open("s").unseated().observer::<u8>().unwrap();
    let waiting = std::thread::spawn(move || {
        let mut out = [0; 4];
        unseated.read(&mut out, wait().frames(2).strategy(Strategy::Block)).map(|read| (read.frames, out))
    });
    std::thread::sleep(SHORT);
    producer.push(&[5, 6]).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok((2, [5, 6, 0, 0])), "it polls, and gets the same");
    assert_eq!(place.open("s").status().unwrap().attached.len(), 3);
}

#[test]
#[cfg(unix)] // it reads /proc
fn readers_cannot_write_to_samples_and_positions() {
    let place = Place::new();
    let producer = place.create("s").channels(channels(1)).capacity(4096).producer::<u8>().unwrap();
    // In the list of mappings a segment's id stands where a file's inode does.
    let path = &producer.info().path;
    let inode = match support::memory_of(path) {
        Some(annulus::shm::Place::Id(id)) => id.to_string(),
        Some(memory) => support::inode(&memory).to_string(),
        None => std::fs::metadata(path).unwrap().ino().to_string(),
    };
    let copies = if producer.info().contiguous { 2 } else { 1 };
    let rights = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut found: Vec<(u64, String)> = maps
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields[4] == inode)
            .map(|fields| (u64::from_str_radix(fields[2], 16).unwrap(), fields[1].to_string()))
            .collect();
        found.sort();
        found
    };
    let own = rights();
    assert!(own.iter().any(|(offset, rights)| *offset > 0 && rights == "rw-s"), "{own:?}");
    let (_, descriptor) = &own[0];
    assert_eq!(descriptor, "r--s", "the descriptor is read-only even for the producer");
    let data = own.iter().map(|(offset, _)| *offset).max().unwrap();
    let _viewer = place.open("s").observer::<u8>().unwrap();
    let all = rights();
    // The producer's mappings of the data are writable, the viewer's are not.
    let of_data: Vec<&str> =
        all.iter().filter(|(offset, _)| *offset == data).map(|(_, r)| r.as_str()).collect();
    assert_eq!(of_data.iter().filter(|rights| **rights == "rw-s").count(), copies, "{all:?}");
    // It copies all that it reads: once is enough.
    assert_eq!(of_data.iter().filter(|rights| **rights == "r--s").count(), 1, "{all:?}");
}

#[test]
fn removing_is_refused_while_somebody_holds_the_name() {
    let place = Place::new();
    let mut producer =
        place.create("s").channels(channels(1)).keep(support::keeps()).producer::<u8>().unwrap();
    producer.push(&[1]).unwrap();
    let mut viewer = place.open("s").start(Start::Oldest).observer::<u8>().unwrap();
    assert!(matches!(place.open("s").remove().unwrap_err(), Error::WriterBusy { .. }));
    drop(producer);
    place.open("s").remove().unwrap();
    assert_eq!(place.objects(), [""; 0]);
    let mut out = [0; 4];
    assert_eq!(viewer.read(&mut out, wait()).unwrap().frames, 1);
    assert_eq!(viewer.read(&mut out, wait()), Err(ReadError::Replaced));
    assert!(matches!(place.open("s").remove().unwrap_err(), Error::NotFound { .. }));
}

#[test]
fn a_stream_that_is_to_come_can_be_awaited() {
    let place = Place::new();
    let awaited = place.open("s").appear_within(LONG);
    let waiting =
        std::thread::spawn(move || awaited.observer::<u8>().map(|viewer| viewer.info().full_name()));
    std::thread::sleep(SHORT);
    let _producer = place.create("s").channels(channels(1)).producer::<u8>().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), "s@v1");
}

#[test]
fn handles_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<annulus::Producer<i16>>();
    moves::<annulus::Consumer<i16>>();
    moves::<annulus::Observer<i16>>();
}

/// The last one to leave takes the private directory along; who creates at that moment makes it again.
#[test]
fn the_private_directory_comes_and_goes() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..200 {
                    let name = format!("test-{}-{thread}-{round}", std::process::id());
                    let mut producer = annulus::create(&name).capacity(10).producer::<u8>().unwrap();
                    producer.push(&[1]).unwrap();
                    let viewer = annulus::open(&name).observer::<u8>().unwrap();
                    drop(producer);
                    drop(viewer);
                    assert!(matches!(annulus::open(&name).status().unwrap_err(), Error::NotFound { .. }));
                    annulus::list(Scope::User).unwrap();
                }
            });
        }
    });
}

/// Killed between giving the object its name and taking the lane over: the seat is in use and unlocked, and the
/// epoch is still 0.
#[test]
fn a_producer_that_died_before_it_began_is_gone_too() {
    let place = Place::new();
    let mut consumer = place.create("q").kind(Kind::Spsc).capacity(512).consumer::<u64>().unwrap();
    let mut out = [0; 4];
    let brief = Wait::new().timeout(SHORT);
    assert_eq!(consumer.read(&mut out, brief), Err(ReadError::Timeout));
    let object = &consumer.info().path;
    support::set_word(object, 0x60, 0x200 + 0x200 + 8, 77); // the seat's pid
    support::set_word(object, 0x60, 0x200 + 0x200, 1); // it is in use
    let gone = Err(ReadError::ProducerGone { pid: 77, position: 0 });
    assert_eq!(consumer.read(&mut out, brief), gone);
    assert_eq!(consumer.read(&mut out, brief), Err(ReadError::Timeout), "said once");
    let mut producer = place.open("q").producer::<u64>().unwrap();
    producer.push(&[5]).unwrap();
    assert_eq!(consumer.read(&mut out, brief).unwrap().frames, 1);
}

#[test]
fn removal_by_force_stops_the_producer_and_tells_the_readers() {
    let place = Place::new();
    let stream = || place.create("a").channels(channels(1)).capacity(512);
    let mut producer = stream().producer::<i32>().unwrap();
    producer.push(&[1, 2]).unwrap();
    let mut viewer = place.open("a").start(Start::Oldest).observer::<i32>().unwrap();
    assert!(matches!(place.open("a").remove(), Err(Error::WriterBusy { .. })));
    place.open("a").remove_forcibly().unwrap();
    assert_eq!(place.objects(), [""; 0]);

    assert_eq!(producer.push(&[3]), Err(PushError::Removed));
    assert_eq!(producer.reserve(1).err(), Some(PushError::Removed));
    let mut out = [0; 4];
    let read = viewer.try_read(&mut out).unwrap();
    assert_eq!((read.frames, read.restarted), (2, None), "what was published can still be read");
    assert_eq!(viewer.try_read(&mut out), Err(ReadError::Replaced));

    // The old one's end takes nothing from the new one's name.
    let mut next = stream().producer::<i32>().unwrap();
    drop(producer);
    drop(viewer);
    next.push(&[7]).unwrap();
    assert_eq!((next.epoch(), place.objects().len()), (1, 1));
}

/// Removed by force while producers come: once its name is gone, none of them pushes.
#[test]
fn nobody_pushes_into_what_was_removed_by_force() {
    let place = Place::new();
    let mut refused = 0;
    for _ in 0..if cfg!(windows) { 200 } else { 2000 } {
        std::thread::scope(|scope| {
            let made =
                scope.spawn(|| place.create("a").channels(channels(1)).capacity(512).producer::<i32>());
            while !made.is_finished() {
                let _ = place.open("a").remove_forcibly();
            }
            let made = made.join().unwrap();
            let there = place.open("a").remove_forcibly().is_ok();
            match made {
                Ok(mut producer) => {
                    assert_eq!(producer.push(&[1]), Err(PushError::Removed));
                    refused += 1;
                }
                Err(Error::NotFound { .. }) => assert!(!there),
                Err(other) => panic!("{other}"),
            }
        });
    }
    assert!(refused > 0);
    assert_eq!(place.objects(), [""; 0]);
}

/// And they do not wait for each other: neither takes the name away from what came after.
#[test]
fn nobody_pushes_on_when_two_removed_it_by_force() {
    let place = Place::new();
    let done = AtomicBool::new(false);
    let fooled = std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !done.load(Relaxed) {
                    let _ = place.open("s").gate_timeout(Duration::ZERO).remove_forcibly();
                }
            });
        }
        let fooled = (0..400).any(|_| {
            let Ok(mut producer) = place.create("s").capacity(512).producer::<u64>() else { return false };
            while producer.is_named() {
                std::thread::yield_now();
            }
            producer.push(&[1]) != Err(PushError::Removed)
        });
        done.store(true, Relaxed);
        fooled
    });
    assert!(!fooled, "its name is gone, and it does not know");
}

#[test]
#[cfg(unix)] // modes
fn what_all_users_share_lies_apart_with_its_own_access() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let stream = || place.create("ecg").scope(Scope::System).channels(channels(1)).capacity(512);
    let mode =
        || std::fs::metadata(place.path().join("annulus.ecg@v1.l1")).unwrap().permissions().mode() & 0o7777;
    if !support::may_be_shared() {
        let refused = stream().producer::<i16>().unwrap_err();
        assert!(refused.to_string().contains("its owner alone"), "{refused}");
        return;
    }
    let producer = stream().producer::<i16>().unwrap();
    let own = place.create("ecg").channels(channels(2)).producer::<f32>().unwrap();
    assert_eq!(mode(), 0o640);
    assert_eq!((own.info().mode, producer.info().mode), (0o600, 0o640));
    let found = place.open("ecg").scope(Scope::System).status().unwrap().info;
    assert_eq!((found.channels.len(), found.owner), (1, producer.info().owner));
    assert_eq!(
        [found.scope, producer.info().scope, own.info().scope],
        [Scope::System, Scope::System, Scope::User]
    );
    assert_eq!(place.open("ecg").status().unwrap().info.channels.len(), 2);

    // A successor may share it otherwise.
    producer.finish();
    let first = stream().mode(0o644).keep(true).producer::<i16>().unwrap();
    assert_eq!(mode(), 0o644);
    drop(first);
    let second = stream().keep(true).producer::<i16>().unwrap();
    assert_eq!((mode(), second.epoch()), (0o644, 2), "who says nothing changes nothing");
    // Nor does who is refused.
    let refused = stream().keep(true).mode(0o600).producer::<i16>().unwrap_err();
    assert!(matches!(refused, Error::WriterBusy { .. }), "{refused}");
    assert_eq!(mode(), 0o644);
    drop(second);
    let third = stream().keep(true).mode(0o640).producer::<i16>().unwrap();
    assert_eq!((mode(), third.epoch()), (0o640, 3));

    for mode in [0o666, 0o060, 0o700, 0o1640] {
        let refused = stream().mode(mode).producer::<i16>().unwrap_err();
        assert!(matches!(refused, Error::BadParameter { .. }), "{mode:o}: {refused}");
    }
    let refused = place.create("x").mode(0o640).channels(channels(1)).producer::<i16>().unwrap_err();
    assert!(refused.to_string().contains("scope System"), "{refused}");
}

/// Only who has the producer's seat changes the access.
#[cfg(unix)] // Windows has no modes
#[test]
fn a_consumer_changes_nobodys_access() {
    if !support::may_be_shared() {
        return;
    }
    let place = Place::new();
    let queue = || place.create("q").scope(Scope::System).kind(Kind::Spsc).capacity(512);
    let producer = queue().mode(0o644).producer::<u64>().unwrap();
    let _consumer = queue().mode(0o600).consumer::<u64>().unwrap();
    assert_eq!(std::fs::metadata(&producer.info().path).unwrap().mode() & 0o7777, 0o644);
}

/// What all users share its owner removes as soon as nobody needs it: others could not, when they leave last.
#[test]
fn what_all_users_share_is_removed_by_its_owner_when_all_was_taken() {
    if !support::may_be_shared() {
        return;
    }
    let place = Place::new();
    let objects = |left: usize| assert_eq!(place.objects().len(), left, "{:?}", place.objects());
    let mut out = [0; 8];
    for kind in [Kind::Spsc, Kind::Broadcast] {
        let stream = || place.create("s").scope(Scope::System).kind(kind).capacity(512);
        let mut producer = stream().producer::<u64>().unwrap();
        let viewer = place.open("s").scope(Scope::System).observer::<u64>().unwrap();
        producer.push(&[1, 2, 3]).unwrap();
        if kind == Kind::Broadcast {
            producer.finish();
            objects(0);
            continue;
        }
        let mut consumer = stream().consumer::<u64>().unwrap();
        producer.finish();
        objects(1); // there is something left to take
        assert_eq!(consumer.try_read(&mut out).unwrap().frames, 3);
        drop(consumer);
        objects(0);

        let mut producer = stream().producer::<u64>().unwrap();
        let mut consumer = stream().consumer::<u64>().unwrap();
        producer.push(&[1, 2, 3]).unwrap();
        assert_eq!(consumer.try_read(&mut out).unwrap().frames, 3);
        consumer.release();
        producer.finish();
        objects(0);
        drop(viewer);
    }
}

/// A producer that tries again and again beside a consumer that waits for more than fits: neither starves.
#[test]
fn a_producer_that_polls_for_space_is_noticed() {
    let place = Place::new();
    for how in ["push", "reserve", "reserve_wait"] {
        let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
        let mut consumer = place.open("q").consumer::<u64>().unwrap();
        std::thread::scope(|scope| {
            let taking = scope.spawn(move || {
                let mut out = [0; 512];
                let mut next = 0;
                while next < 5000 {
                    let wait =
                        Wait::new().frames(512.min(5000 - next)).strategy(Strategy::Block).timeout(LONG);
                    let begun = std::time::Instant::now();
                    let read = consumer.read(&mut out, wait).unwrap();
                    assert!(begun.elapsed() < LONG, "left alone with {} frames", read.frames);
                    assert!(out[..read.frames].iter().copied().eq(next..next + read.frames as u64));
                    next += read.frames as u64;
                }
            });
            let mut next = 0;
            while next < 5000 {
                assert!(!taking.is_finished(), "it gave up");
                let block: Vec<u64> = (next..next + 100).collect();
                let reserved = match how {
                    "reserve" => Some(producer.reserve(100)),
                    "reserve_wait" => Some(producer.reserve_wait(100, Some(LONG))),
                    _ => None,
                };
                let done = match reserved {
                    Some(reserved) => {
                        reserved.and_then(|mut frames| frames.write(&block).and_then(|()| frames.commit()))
                    }
                    None => producer.push(&block),
                };
                match done {
                    Ok(()) => next += 100,
                    Err(PushError::Full) => std::thread::yield_now(),
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    let mut full = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
    full.push(&[0; 512]).unwrap();
    assert_eq!(full.reserve_wait(1, Some(SHORT)).err(), Some(PushError::Timeout { pushed: 0 }));
    assert_eq!(full.reserve_wait(513, None).err(), Some(PushError::TooLong));
}

/// What a remover left half done: the object is retired and still has its name.
#[test]
fn a_removal_that_stopped_half_way_is_finished() {
    if !support::keeps() {
        return; // it is about what stays; over files it runs
    }
    let place = Place::new();
    let stream = || place.create("s").channels(channels(1)).capacity(512);
    let retire = || {
        support::set_word(&place.path().join("s@v1.l1"), 0x60, 0, 2);
    };
    for existing in [Existing::Refuse, Existing::Resume, Existing::Replace] {
        drop(stream().keep(true).producer::<i16>().unwrap());
        retire();
        let unseated = place.open("s").unseated().observer::<i16>().unwrap_err();
        assert!(matches!(&unseated, Error::NotFound { versions, .. } if versions.is_empty()), "{unseated}");
        assert_eq!(stream().existing(existing).producer::<i16>().unwrap().epoch(), 1);
    }
    drop(stream().keep(true).producer::<i16>().unwrap());
    retire();
    assert!(matches!(place.open("s").observer::<i16>(), Err(Error::NotFound { .. })));
    assert_eq!(place.objects(), [""; 0]);

    // Any reader may store that word. It takes nothing from a producer that lives.
    let producer = stream().producer::<i16>().unwrap();
    retire();
    let refused = stream().rate(7.0).producer::<i16>().unwrap_err();
    assert!(matches!(refused, Error::Incompatible { .. }), "{refused}");
    assert!(matches!(place.open("s").observer::<i16>(), Err(Error::NotFound { .. })));
    assert_eq!(place.objects(), ["s@v1.l1"]);
    drop(producer);
}

/// Whoever waits for a consumer beside a stream that is taken away is told, and does not wait for ever.
#[test]
fn waiting_for_space_ends_with_the_stream() {
    let place = Place::new();
    for how in ["push_wait", "reserve_wait", "drain"] {
        let mut producer = place.create("q").kind(Kind::Spsc).capacity(512).producer::<u64>().unwrap();
        producer.push(&[0; 512]).unwrap();
        std::thread::scope(|scope| {
            let (waits, waiting) = std::sync::mpsc::channel();
            let waiter = scope.spawn(move || {
                waits.send(()).unwrap();
                match how {
                    "push_wait" => producer.push_wait(&[1], None),
                    "reserve_wait" => producer.reserve_wait(1, None).map(drop),
                    _ => producer.drain(None),
                }
            });
            waiting.recv().unwrap();
            std::thread::sleep(SHORT); // asleep by now, most of the time
            let begun = std::time::Instant::now();
            place.open("q").remove_forcibly().unwrap();
            while !waiter.is_finished() {
                assert!(begun.elapsed() < LONG, "{how} sleeps on");
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(waiter.join().unwrap(), Err(PushError::Removed), "{how}");
        });
    }
}

/// A lock that a mere reader may place bars the way, and cannot be taken for a holder.
#[test]
fn who_bars_the_way_is_not_taken_for_a_holder() {
    if !support::keeps() {
        return; // it is about what stays; over files it runs
    }
    let place = Place::new();
    let stream = || place.create("s").channels(channels(1)).capacity(512).gate_timeout(SHORT);
    drop(stream().keep(true).producer::<i16>().unwrap());
    let object = std::fs::File::open(place.path().join("s@v1.l1")).unwrap();
    assert!(support::lock(&object, support::Lock::Shared, 1 << 40));
    let refused = place.open("s").producer::<i16>().unwrap_err();
    assert!(matches!(refused, Error::Barred { .. }), "{refused}");
    assert!(refused.to_string().contains("by force"), "{refused}");
    assert!(support::lock(&object, support::Lock::Shared, 1 << 41));
    let refused = place.open("s").gate_timeout(SHORT).remove().unwrap_err();
    assert!(matches!(refused, Error::GateBusy { .. }), "{refused}");
    place.open("s").gate_timeout(SHORT).remove_forcibly().unwrap();
    assert_eq!(place.objects(), [""; 0]);

    // Also beside seats that are held.
    let queue = || place.create("q").kind(Kind::Spsc).capacity(512).keep(true);
    let producer = queue().producer::<i16>().unwrap();
    let _viewer = place.open("q").observer::<i16>().unwrap();
    let object = std::fs::File::open(&producer.info().path).unwrap();
    assert!(support::lock(&object, support::Lock::Shared, (1 << 40) + 1));
    let refused = place.open("q").consumer::<i16>().unwrap_err();
    assert!(matches!(refused, Error::Barred { .. }), "{refused}");
}

#[test]
fn a_stream_without_seats_for_observers_says_so() {
    let place = Place::new();
    let _producer = place.create("s").readers(0).producer::<u64>().unwrap();
    let refused = place.open("s").observer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::NoSeat { capacity: 0, .. }), "{refused}");
    place.open("s").unseated().observer::<u64>().unwrap();
}

/// Nor is a holder who dies at the very moment in which we ask.
#[test]
fn who_dies_is_not_taken_for_one_who_bars_the_way() {
    if !support::keeps() {
        return; // it is about what stays; over files it runs
    }
    let place = Place::new();
    drop(place.create("s").keep(true).producer::<u64>().unwrap());
    let object = std::fs::File::options().read(true).write(true).open(place.path().join("s@v1.l1")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Relaxed) {
                // As the kernel does it for one who is killed: outside of the gate.
                if support::lock(&object, support::Lock::Exclusive, 1 << 40) {
                    support::lock(&object, support::Lock::None, 1 << 40);
                }
            }
        });
        let met: Result<Vec<bool>, Error> = (0..3000)
            .map(|_| match place.open("s").producer::<u64>() {
                Ok(_) => Ok(false),
                Err(Error::WriterBusy { .. }) => Ok(true),
                Err(other) => Err(other),
            })
            .collect();
        done.store(true, Relaxed);
        let met = met.unwrap().into_iter().filter(|met| *met).count();
        assert!((1..3000).contains(&met), "{met}");
    });
}
