//! What the source did not deliver: who is told of it, where, and how much.

mod support;

use annulus::{Cause, Frames, Gap, Kind, Observer, Producer, Sequence, SequenceCheck, Start, Wait};
use proptest::prelude::*;
use std::time::Duration;
use support::{Place, channels};

fn stream(place: &Place) -> Producer<i16> {
    place.create("ecg").channels(channels(1)).rate(1000.0).capacity(4096).producer().unwrap()
}

fn viewer(place: &Place, start: Start) -> Observer<i16> {
    place.open("ecg").start(start).observer().unwrap()
}

/// Pushes so many frames.
fn push(producer: &mut Producer<i16>, frames: usize) {
    producer.push(&vec![0; frames]).unwrap();
}

/// What was told with a read of so many frames: from where to where they are, and position, missing and missing in all of
/// each gap.
fn read(viewer: &mut Observer<i16>, frames: usize) -> (u64, u64, Vec<(u64, u64, u64)>) {
    let read = viewer.read(&mut vec![0; frames], Wait::new().timeout(Duration::from_secs(10))).unwrap();
    assert_eq!(read.gaps, viewer.gaps().len());
    let end = read.first_position + read.frames as u64;
    (read.first_position, end, viewer.gaps().iter().map(brief).collect())
}

fn brief(gap: &Gap) -> (u64, u64, u64) {
    (gap.position, gap.missing.expect("a number"), gap.missing_in_all)
}

#[test]
fn a_device_that_lost_frames_is_told_with_the_frames_behind() {
    let place = Place::new();
    let mut producer = stream(&place);
    let mut viewer = viewer(&place, Start::Now);
    let before = annulus::monotonic_ns();
    push(&mut producer, 100);
    producer.gap(47).unwrap();
    producer.gap(0).unwrap(); // is none
    push(&mut producer, 10);
    producer.gap(1).unwrap();
    producer.gap(2).unwrap();
    push(&mut producer, 10);
    assert_eq!(producer.position(), 120, "a gap takes no positions");
    assert_eq!(read(&mut viewer, 100), (0, 100, vec![]), "it lies behind");
    assert_eq!(read(&mut viewer, 1), (100, 101, vec![(100, 47, 47)]));
    assert_eq!(viewer.gaps()[0].cause, Cause::Device);
    let at = viewer.gaps()[0].monotonic_ns;
    assert!((before..=annulus::monotonic_ns()).contains(&at));
    assert!(viewer.gaps()[0].utc().elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(read(&mut viewer, 9), (101, 110, vec![]), "once");
    assert_eq!(read(&mut viewer, 100), (110, 120, vec![(110, 1, 48), (110, 2, 50)]));
    assert!(viewer.try_read(&mut [0]).is_err());

    // One that comes late is told all, each with its frames; one that begins behind is not told what was before.
    let mut late = self::viewer(&place, Start::Oldest);
    assert_eq!(read(&mut late, 200), (0, 120, vec![(100, 47, 47), (110, 1, 48), (110, 2, 50)]));
    late.seek(Start::Position(105));
    assert_eq!(late.gaps(), []);
    assert_eq!(read(&mut late, 200), (105, 120, vec![(110, 1, 48), (110, 2, 50)]));
    late.seek(Start::Position(100));
    assert_eq!(read(&mut late, 5), (100, 105, vec![(100, 47, 47)]), "right before its first frame");
    let mut behind = self::viewer(&place, Start::Now);
    push(&mut producer, 1);
    assert_eq!(read(&mut behind, 1), (120, 121, vec![]));

    let status = place.open("ecg").status().unwrap();
    assert_eq!(status.lanes[0].missing, 50);
    assert_eq!(
        status.lanes[0].gaps.iter().map(brief).collect::<Vec<_>>(),
        [(100, 47, 47), (110, 1, 48), (110, 2, 50)]
    );
}

#[test]
fn whoever_takes_the_frames_is_told() {
    let place = Place::new();
    let create = || place.create("q").kind(Kind::Spsc).capacity(512);
    let mut producer = create().producer::<u32>().unwrap();
    let mut consumer = create().consumer::<u32>().unwrap();
    producer.push(&[1, 2]).unwrap();
    producer.gap(9).unwrap();
    producer.push(&[3, 4]).unwrap();
    let told = |consumer: &annulus::Consumer<u32>, frames: Frames| {
        assert_eq!(frames.gaps, consumer.gaps().len());
        (frames.first_position, consumer.gaps().iter().map(brief).collect::<Vec<_>>())
    };
    let frames = consumer.try_read(&mut [0; 2]).unwrap();
    assert_eq!(told(&consumer, frames), (0, vec![]));
    drop(consumer.try_chunk(10).unwrap());
    let frames = consumer.try_chunk(10).unwrap().commit(1);
    assert_eq!(told(&consumer, frames), (2, vec![(2, 9, 9)]));
    let frames = consumer.try_read(&mut [0; 2]).unwrap();
    assert_eq!(told(&consumer, frames), (3, vec![]));

    // Of a group it is the one who takes the frame behind it.
    let create = || place.create("g").kind(Kind::Mpmc).producers(2).consumers(2).capacity(512);
    let mut producers = [0, 1].map(|_| create().producer::<u32>().unwrap());
    let mut members = [0, 1].map(|_| create().group_consumer::<u32>().unwrap());
    for (lane, producer) in producers.iter_mut().enumerate() {
        producer.push(&[1, 2]).unwrap();
        producer.gap(5 + lane as u64).unwrap();
        producer.push(&[3]).unwrap();
    }
    let mut told = Vec::new();
    for turn in 0..6 {
        let member = &mut members[turn % 2];
        let Ok(frames) = member.try_read(&mut [0]) else { continue };
        assert_eq!(frames.gaps, member.gaps().len());
        told.extend(member.gaps().iter().map(|gap| (frames.lane, frames.first_position, brief(gap))));
    }
    told.sort_unstable();
    assert_eq!(told, [(0, 2, (2, 5, 5)), (1, 2, (2, 6, 6))]);
}

#[test]
fn a_successor_is_a_gap_of_which_nobody_knows_how_long_it_is() {
    let place = Place::new();
    let create =
        || place.create("ecg").channels(channels(1)).rate(1000.0).capacity(4096).keep(support::keeps());
    drop(create().producer::<i16>().unwrap()); // no frame, no gap
    let mut first = create().producer::<i16>().unwrap();
    let mut viewer = place.open("ecg").start(Start::Oldest).observer::<i16>().unwrap();
    push(&mut first, 30);
    first.gap(3).unwrap();
    let left = annulus::monotonic_ns();
    drop(first);
    let mut second = create().producer::<i16>().unwrap();
    push(&mut second, 5);
    let frames = viewer.try_read(&mut [0; 100]).unwrap();
    assert_eq!((frames.gaps, frames.restarted.unwrap().position), (2, 30));
    let [lost, restart] = viewer.gaps() else { panic!("{:?}", viewer.gaps()) };
    assert_eq!(brief(lost), (30, 3, 3));
    assert_eq!((restart.position, restart.missing, restart.missing_in_all), (30, None, 3));
    let Cause::Restart { after } = restart.cause else { panic!("{restart:?}") };
    assert!(
        after <= Duration::from_nanos(annulus::monotonic_ns() - left) + Duration::from_secs(1),
        "{after:?}"
    );
    second.gap(1).unwrap();
    second.clock_reset().unwrap();
    push(&mut second, 1);
    viewer.try_read(&mut [0; 100]).unwrap();
    let [lost, reset] = viewer.gaps() else { panic!("{:?}", viewer.gaps()) };
    assert_eq!(brief(lost), (35, 1, 4), "the count goes on");
    assert_eq!((reset.cause, reset.missing, reset.position), (Cause::DeviceReset, None, 35));
}

#[test]
fn who_is_lapped_is_told_of_the_gaps_in_what_it_lost() {
    let place = Place::new();
    let mut producer = stream(&place);
    let mut viewer = viewer(&place, Start::Now);
    push(&mut producer, 10);
    producer.gap(7).unwrap();
    let capacity = producer.info().capacity as usize;
    for _ in 0..3 {
        push(&mut producer, capacity / 2);
    }
    let frames = viewer.try_read(&mut vec![0; capacity]).unwrap();
    assert!(frames.lost_before > 10);
    assert_eq!(viewer.gaps().iter().map(brief).collect::<Vec<_>>(), [(10, 7, 7)]);
}

/// Whether one is waited for or not: with what it missed where it began come the gaps in it.
#[test]
fn who_begins_at_what_is_gone_is_told_of_the_gaps_in_it() {
    let place = Place::new();
    let mut producer: Producer<i16> =
        place.create("ecg").channels(channels(1)).capacity(4096).lossless(1).producer().unwrap();
    let capacity = producer.info().capacity as usize;
    push(&mut producer, 4);
    producer.gap(9).unwrap(); // before where they begin
    push(&mut producer, 6);
    producer.gap(7).unwrap();
    for _ in 0..3 {
        push(&mut producer, capacity / 2);
    }
    let begin = || place.open("ecg").start(Start::Position(5));
    for begin in [begin(), begin().lossless()] {
        let mut viewer: Observer<i16> = begin.observer().unwrap();
        for _ in 0..2 {
            let frames = viewer.try_read(&mut vec![0; capacity]).unwrap();
            assert_eq!(frames.first_position, 5 + frames.lost_before);
            assert_eq!(viewer.gaps().iter().map(brief).collect::<Vec<_>>(), [(10, 7, 16)]);
            viewer.seek(Start::Position(5));
        }
    }
}

#[test]
fn more_gaps_than_are_kept_are_counted() {
    let place = Place::new();
    let mut producer = stream(&place);
    let mut quick = viewer(&place, Start::Now);
    let mut slow = viewer(&place, Start::Now);
    for number in 0..70 {
        producer.gap(number + 1).unwrap();
        push(&mut producer, 1);
        assert_eq!(read(&mut quick, 1).2, [(number, number + 1, (number + 1) * (number + 2) / 2)]);
    }
    let frames = slow.try_read(&mut [0; 100]).unwrap();
    assert_eq!((frames.frames, frames.gaps), (70, 65));
    let [forgotten, rest @ ..] = slow.gaps() else { unreachable!() };
    assert_eq!(forgotten.cause, Cause::Forgotten { gaps: 6 });
    assert_eq!(brief(forgotten), (6, 21, 21));
    assert_eq!(brief(&rest[0]), (6, 7, 28));
    assert_eq!(brief(&rest[63]), (69, 70, 2485));

    // One that comes now, and begins where the stream did, is told as much.
    let mut late = viewer(&place, Start::Oldest);
    assert_eq!(late.try_read(&mut [0; 100]).unwrap().gaps, 65);
    assert_eq!(late.gaps(), slow.gaps());

    // One that begins among what is kept has forgotten nothing.
    let mut late = viewer(&place, Start::Position(40));
    assert_eq!(late.try_read(&mut [0; 100]).unwrap().gaps, 30);
    assert_eq!(brief(&late.gaps()[0]), (40, 41, 861));
    // The count of all is in the status.
    assert_eq!(place.open("ecg").status().unwrap().lanes[0].missing, 2485);
}

#[test]
fn whoever_may_not_push_may_not_tell_of_gaps() {
    let place = Place::new();
    let mut producer = stream(&place);
    push(&mut producer, 1);
    place.open("ecg").remove_forcibly().unwrap();
    assert_eq!(producer.gap(1), Err(annulus::PushError::Removed));
    assert_eq!(producer.clock_reset(), Err(annulus::PushError::Removed));
}

#[test]
fn counters_begin_again() {
    let mut byte = SequenceCheck::new(8);
    let counts = [250, 251, 255, 0, 3, 3, 4, 100, 255, 126];
    let said = counts.map(|count| byte.next(count));
    use Sequence::{Back, Missing, Next};
    assert_eq!(
        said,
        [Next, Next, Missing(3), Next, Missing(2), Back(1), Next, Missing(95), Back(102), Missing(126)]
    );
    byte.reset();
    assert_eq!(byte.next(7), Next);
    let mut word = SequenceCheck::new(64);
    assert_eq!([u64::MAX, 0, 5, 4].map(|count| word.next(count)), [Next, Next, Missing(4), Back(2)]);
    let mut bit = SequenceCheck::new(1);
    assert_eq!([0, 1, 0, 0].map(|count| bit.next(count)), [Next, Next, Next, Back(1)]);
}

proptest! {
    /// Whatever is lost on the way, less than half of what the counter counts each time, is missing in the end.
    #[test]
    fn what_a_counter_misses_is_what_was_lost(bits in 2u32..=64, first: u64, losses in prop::collection::vec(0u64..1000, 1..50)) {
        let mask = u64::MAX >> (64 - bits);
        let mut check = SequenceCheck::new(bits);
        prop_assert_eq!(check.next(first), Sequence::Next);
        let mut count = first;
        for lost in losses {
            let lost = lost % (mask / 2 + 1);
            count = count.wrapping_add(lost + 1);
            let said = check.next(count & mask);
            prop_assert_eq!(said, if lost == 0 { Sequence::Next } else { Sequence::Missing(lost) });
        }
    }
}
