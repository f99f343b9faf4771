//! Lossless seats of broadcast streams: who is waited for, who is overtaken, and who is told.

mod support;

use annulus::{AtLimit, Error, Kind, Observer, PushError, ReadError, Role, Start, Wait};
use std::fs::OpenOptions;
use std::time::Duration;
use support::{Place, channels, lock};

const LONG: Duration = Duration::from_secs(20);

fn stream(place: &Place, at_limit: AtLimit) -> annulus::Builder {
    place.create("s").capacity(1024).lossless(2).at_limit(at_limit)
}

fn recorder(place: &Place) -> Observer<u64> {
    place.open("s").lossless().observer().unwrap()
}

/// What is there, and how many frames were lost before it. Each frame must hold its position.
fn read(reader: &mut Observer<u64>, most: usize) -> (usize, u64) {
    let mut out = vec![0; most];
    let read = reader.try_read(&mut out).unwrap();
    let first = read.first_position;
    assert!(out[..read.frames].iter().copied().eq(first..first + read.frames as u64));
    (read.frames, read.lost_before)
}

fn push(producer: &mut annulus::Producer<u64>, count: u64) -> Result<(), PushError> {
    let from = producer.position();
    producer.push(&(from..from + count).collect::<Vec<_>>())
}

#[test]
fn a_full_ring_waits_for_its_recorders_and_for_nobody_else() {
    let place = Place::new();
    let mut producer = stream(&place, AtLimit::Full).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    push(&mut producer, capacity * 3).unwrap(); // as plain broadcast
    let _viewer = place.open("s").observer::<u64>().unwrap();
    let (mut fast, mut slow) = (recorder(&place), recorder(&place));
    push(&mut producer, capacity).unwrap();
    assert_eq!(push(&mut producer, 1), Err(PushError::Full));
    assert_eq!(push(&mut producer, capacity + 1), Err(PushError::TooLong));
    assert_eq!(read(&mut fast, 2000), (capacity as usize, 0));
    assert_eq!(push(&mut producer, 1), Err(PushError::Full), "the other one has not read");
    assert_eq!(read(&mut slow, 10), (10, 0));
    assert_eq!(push(&mut producer, 11), Err(PushError::Full));
    push(&mut producer, 10).unwrap();
    assert_eq!(producer.reserve(1).err(), Some(PushError::Full));
    // To seek is to give back what lies before.
    slow.seek(Start::Now);
    let mut reserved = producer.reserve(2).unwrap();
    reserved.write(&[capacity * 4 + 10, capacity * 4 + 11]).unwrap();
    reserved.commit().unwrap();
    assert_eq!(read(&mut slow, 10), (2, 0));
    assert_eq!(read(&mut fast, 2000), (12, 0));
    push(&mut producer, capacity).unwrap();
    assert_eq!(push(&mut producer, 1), Err(PushError::Full));
    drop(slow);
    assert_eq!(push(&mut producer, 1), Err(PushError::Full));
    drop(fast);
    push(&mut producer, capacity * 2).unwrap();
    assert_eq!((producer.breaches().times, producer.breaches().frames), (0, 0));
}

#[test]
fn a_waiting_producer_is_woken_by_a_read_and_by_one_who_leaves() {
    let place = Place::new();
    let mut producer = stream(&place, AtLimit::Full).producer::<u64>().unwrap();
    let capacity = producer.info().capacity as usize;
    let mut reader = recorder(&place);
    let frames: Vec<u64> = (0..10 * capacity as u64 + 100).collect();
    let pushing = std::thread::spawn({
        let frames = frames.clone();
        move || {
            producer.push_wait(&frames, Some(LONG)).unwrap();
            // Once more than the reader will read.
            producer.push_wait(&frames[..capacity], Some(LONG)).unwrap();
            producer.reserve_wait(100, Some(LONG)).map(drop).unwrap();
        }
    });
    let mut out = vec![0; capacity];
    let mut next = 0;
    while next < frames.len() as u64 {
        // More than will fit beside what it has not given back: it gets what there is.
        let most = capacity.min(frames.len() - next as usize);
        let wait = Wait::new().frames(most as u64).timeout(LONG);
        let read = reader.read(&mut out[..most], wait).unwrap();
        assert_eq!((read.first_position, read.lost_before), (next, 0));
        assert_eq!(out[..read.frames], frames[next as usize..][..read.frames]);
        next += read.frames as u64;
    }
    drop(reader);
    pushing.join().unwrap();
}

#[test]
fn who_is_overtaken_is_told_exactly_and_so_is_the_producer() {
    let place = Place::new();
    let mut producer = stream(&place, AtLimit::Overwrite).producer::<u64>().unwrap();
    let capacity = producer.info().capacity;
    let (mut fast, mut slow) = (recorder(&place), recorder(&place));
    let mut lost = 0;
    for _ in 0..capacity / 8 {
        push(&mut producer, 8).unwrap();
        assert_eq!(read(&mut fast, 100), (8, 0));
    }
    assert_eq!(producer.breaches().times, 0, "a whole ring is kept for the slow one");
    for laps in 1..5 {
        for _ in 0..laps * capacity / 8 {
            push(&mut producer, 8).unwrap();
            assert_eq!(read(&mut fast, 100), (8, 0), "one who keeps up loses nothing");
        }
        let (frames, missed) = read(&mut slow, 100_000);
        lost += missed;
        assert_eq!(slow.position(), producer.position());
        assert!(missed > 0 && frames as u64 >= capacity * 3 / 4, "{missed} lost, {frames} read");
        let breaches = place.open("s").status().unwrap().breaches;
        assert_eq!((breaches.times, breaches.frames), (laps, lost), "once each time, and exactly");
        assert_eq!(producer.breaches(), breaches);
        assert_eq!(slow.lost(), lost);
        for _ in 0..capacity / 8 {
            push(&mut producer, 8).unwrap();
            read(&mut fast, 8);
        }
    }
    // One push of more than the ring.
    push(&mut producer, capacity * 2).unwrap();
    for reader in [&mut fast, &mut slow] {
        let (frames, missed) = read(reader, 100_000);
        assert_eq!((frames as u64, reader.position()), (capacity, producer.position()));
        lost += missed;
    }
    let breaches = producer.breaches();
    assert_eq!((breaches.frames, breaches.times), (lost, 6));
    // Others see who they are, and the totals stay.
    push(&mut producer, 5).unwrap();
    let status = place.open("s").status().unwrap();
    let seated: Vec<_> = status.attached.iter().filter(|one| one.role == Role::Lossless).collect();
    assert_eq!(seated.len(), 2);
    assert!(seated.iter().all(|one| one.position + 5 == status.position));
    assert_eq!(seated.iter().map(|one| one.lost).sum::<u64>(), lost);
    drop(producer);
    let producer = stream(&place, AtLimit::Overwrite).producer::<u64>().unwrap();
    assert_eq!(producer.breaches(), breaches, "a successor counts on");
}

#[test]
fn where_a_recorder_starts() {
    let place = Place::new();
    for at_limit in [AtLimit::Overwrite, AtLimit::Full] {
        let mut producer = stream(&place, at_limit).producer::<u64>().unwrap();
        let capacity = producer.info().capacity;
        // The oldest of a ring that has not wrapped is the first.
        push(&mut producer, 10).unwrap();
        let mut reader = place.open("s").lossless().start(Start::Oldest).observer::<u64>().unwrap();
        assert_eq!(read(&mut reader, 5), (5, 0));
        drop(reader);
        for _ in 0..capacity {
            push(&mut producer, 3).unwrap();
        }
        let tail = producer.position();
        let open = |start| place.open("s").lossless().start(start).observer::<u64>().unwrap();
        let mut now = open(Start::Now);
        assert_eq!(now.try_read(&mut [0]), Err(ReadError::Empty));
        now.seek(Start::Oldest);
        let oldest = now.position();
        assert!(oldest >= tail - capacity && oldest <= tail - capacity + capacity / 8, "{oldest} of {tail}");
        let mut first = open(Start::Position(0));
        assert_eq!(first.position(), oldest, "what is not kept is not promised");
        assert_eq!(read(&mut first, 7), (7, oldest), "and it is said what is gone");
        assert_eq!(first.lost(), oldest);
        assert_eq!(read(&mut now, 7), (7, 0), "the oldest is wherever it is");
        now.seek(Start::Position(oldest - 1));
        assert_eq!((now.position(), read(&mut now, 7)), (oldest, (7, 1)));
        now.seek(Start::Position(tail + 2));
        drop(first);
        push(&mut producer, 1).unwrap();
        assert_eq!(now.try_read(&mut [0; 10]), Err(ReadError::Empty));
        push(&mut producer, 2).unwrap();
        assert_eq!(read(&mut now, 7), (1, 0));
        assert_eq!(producer.breaches().times, 0);
        drop(now);
        producer.finish();
    }
}

#[test]
fn seats_are_few_and_errors_say_so() {
    let place = Place::new();
    let text = |error: Error| error.to_string();
    let producer = stream(&place, AtLimit::Full).producer::<u64>().unwrap();
    let info = producer.info();
    assert_eq!((info.lossless, info.at_limit), (2, AtLimit::Full));
    let both = (recorder(&place), recorder(&place));
    let me = std::process::id();
    match place.open("s").lossless().observer::<u64>().unwrap_err() {
        Error::NoSeat { capacity: 2, holders, .. } => assert_eq!(holders, [me, me]),
        other => panic!("{other}"),
    }
    drop(both.1);
    let again = recorder(&place);
    let wrong_type = place.open("s").observer::<u16>().unwrap_err();
    assert!(matches!(wrong_type, Error::BadParameter { .. }));
    // Other parameters; and the name is held by a recorder alone.
    let other = stream(&place, AtLimit::Overwrite).producer::<u64>().unwrap_err();
    assert!(matches!(other, Error::Incompatible { .. }), "{other}");
    drop(producer);
    let held = place.open("s").remove().unwrap_err();
    assert!(matches!(held, Error::LosslessBusy { pid, .. } if pid == me), "{held}");
    assert!(text(held).contains("lossless reader"));
    let other = stream(&place, AtLimit::Overwrite).producer::<u64>().unwrap_err();
    assert!(matches!(other, Error::Incompatible { .. }), "{other}");
    drop((both.0, again));
    assert!(place.objects().is_empty(), "the last one removes it");

    let _plain = place.create("s").capacity(1024).producer::<u64>().unwrap();
    let none = place.open("s").lossless().observer::<u64>().unwrap_err();
    assert!(matches!(none, Error::WrongKind { kind: Kind::Broadcast, .. }), "{none}");
    assert!(text(none).contains("without seats for lossless readers"));
    let _queue = place.create("q").kind(Kind::Spsc).producer::<u64>().unwrap();
    let none = place.open("q").lossless().observer::<u64>().unwrap_err();
    assert!(matches!(none, Error::WrongKind { kind: Kind::Spsc, .. }), "{none}");
    assert!(text(none).contains("be its consumer"));
    let none = place.open("s").lossless().unseated().observer::<u64>().unwrap_err();
    assert!(matches!(none, Error::BadParameter { .. }), "{none}");
    for bad in [place.create("x").kind(Kind::Spsc).lossless(1), place.create("x").lossless(5000)] {
        let refused = bad.producer::<u64>().unwrap_err();
        assert!(matches!(refused, Error::BadParameter { .. }), "{refused}");
    }
    assert_eq!(place.objects(), ["q@v1.l1", "s@v1.l1"]);
}

#[test]
fn the_words_lie_where_the_page_says() {
    let place = Place::new();
    let mut producer = place
        .create("s")
        .channels(channels(4))
        .capacity(1024)
        .lossless(3)
        .readers(1)
        .producer::<i16>()
        .unwrap();
    let capacity = producer.info().capacity;
    let _first = place.open("s").lossless().observer::<i16>().unwrap();
    producer.push(&[0; 4 * 100]).unwrap();
    let second = place.open("s").lossless().observer::<i16>().unwrap();
    producer.push(&vec![0; 4 * capacity as usize]).unwrap();
    let bytes = support::Memory::of(&producer.info().path).bytes();
    let mirrored = u32::from(support::mirrors());
    let word = |at: u64| u64::from_le_bytes(bytes[at as usize..at as usize + 8].try_into().unwrap());
    assert_eq!((word(0x018), word(0x078) >> 32, word(0x084) as u32), (2, 3, mirrored));
    let (producers, readers) = (word(0x058), word(0x060));
    assert_eq!(word(producers + 0x1020), capacity + 100, "limit");
    assert_eq!([word(producers + 0x1090), word(producers + 0x1098)], [1, 100], "breaches");
    let cursors = [0, 1, 2].map(|seat| word(readers + 0x400 + seat * 128));
    assert_eq!(cursors, [100, 100, u64::MAX]);
    let seat = |number: u64| word(readers + 0x400 + (3 + number) * 128) >> 32;
    assert_eq!((seat(1), seat(2)), (2, 2), "lossless");
    drop(second);
    let bytes = support::Memory::of(&producer.info().path).bytes();
    let at = readers as usize + 0x400 + 128;
    assert_eq!(bytes[at..at + 8], u64::MAX.to_le_bytes());
    let full =
        place.create("f").capacity(1024).lossless(1).at_limit(AtLimit::Full).producer::<u64>().unwrap();
    assert_eq!(support::Memory::of(&full.info().path).bytes()[0x084], mirrored as u8 | 8);
}

/// Words that no reader of ours would store: the producer neither panics nor is held up beyond them.
#[test]
fn scribbled_cursors() {
    let place = Place::new();
    for at_limit in [AtLimit::Overwrite, AtLimit::Full] {
        let mut producer = stream(&place, at_limit).producer::<u64>().unwrap();
        let mut reader = recorder(&place);
        push(&mut producer, 3000).unwrap_or(());
        let path = producer.info().path.clone();
        let scribble = |at: u64, word: u64| support::set_word(&path, 0x60, at, word);
        for word in [0, 1, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX] {
            scribble(0x400, word);
            scribble(0x480, word);
            let done = push(&mut producer, 100);
            assert!(
                done.is_ok() || at_limit == AtLimit::Full && done == Err(PushError::Full),
                "{word}: {done:?}"
            );
            // Anything but a panic, or frames of other positions.
            let mut out = [0; 64];
            if let Ok(read) = reader.try_read(&mut out) {
                let first = read.first_position;
                assert!(out[..read.frames].iter().copied().eq(first..first + read.frames as u64));
            }
            reader.seek(Start::Oldest);
            reader.seek(Start::Position(word));
        }
        drop(reader);
        scribble(0x400, u64::MAX);
        scribble(0x480, u64::MAX);
        push(&mut producer, 100).unwrap();
        producer.finish();
    }
}

/// A free seat under a lock of one who may only read: it is waited for a moment, since a producer that buries the dead
/// places such a lock, too; then it is said.
#[test]
fn a_lossless_seat_that_is_barred_for_a_moment_is_had() {
    let place = Place::new();
    let producer = place.create("s").lossless(1).producer::<u64>().unwrap();
    let object = std::fs::File::open(&producer.info().path).unwrap();
    assert!(lock(&object, support::Lock::Shared, (1 << 40) + 1));
    let barred = place.open("s").lossless().observer::<u64>().unwrap_err();
    assert!(matches!(barred, Error::Barred { .. }), "{barred}");
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        drop(object);
    });
    drop(recorder(&place));
    release.join().unwrap();
}

/// As above, where others are held: one that is barred may be had in a moment.
#[test]
fn a_lossless_seat_is_waited_for_beside_others() {
    let place = Place::new();
    let producer = place.create("s").lossless(2).producer::<u64>().unwrap();
    let _first = recorder(&place);
    let reader = OpenOptions::new().read(true).open(&producer.info().path).unwrap();
    assert!(lock(&reader, support::Lock::Shared, (1 << 40) + 2)); // as a burial holds it
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(reader);
    });
    drop(recorder(&place));
    release.join().unwrap();
}

/// A recorder that finds nothing leaves the producer's arm for space alone: others look for it.
#[test]
fn an_empty_read_wakes_nobody() {
    let place = Place::new();
    let mut producer = stream(&place, AtLimit::Full).producer::<u64>().unwrap();
    let mut fast = recorder(&place);
    producer.push(&[0; 10]).unwrap();
    let mut out = [0; 64];
    assert_eq!(fast.try_read(&mut out).unwrap().frames, 10);
    let object = producer.info().path.clone();
    support::set_word(&object, 0x60, 0x200 + 0x180, 5); // armed_space, which is reached
    assert_eq!(fast.try_read(&mut out), Err(ReadError::Empty));
    assert_eq!(support::word(&object, 0x60, 0x200 + 0x180), 5);
    producer.push(&[0; 1]).unwrap();
    fast.try_read(&mut out).unwrap();
    assert_eq!(support::word(&object, 0x60, 0x200 + 0x180), u64::MAX, "who gives back says so");
}
