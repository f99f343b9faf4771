//! A feed on real streams, in a directory of their own.

use super::super::grid::Grid;
use super::*;
use annulus::{Channel, Kind, Producer as Pusher, SampleType};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, process};

/// A directory that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/annulus-test-feed-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn producer(&self, kind: Kind) -> Pusher<i32> {
        let create = annulus::create("a").directory(&self.0).channels([Channel::new("x")]);
        create.kind(kind).rate(1000.0).capacity(4096).producer().unwrap()
    }

    fn feed(&self) -> Feed {
        Feed::new(annulus::open("a").directory(&self.0).observer_bytes().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The frames that come next, each of which holds its position.
fn push(producer: &mut Pusher<i32>, frames: u64) {
    for _ in 0..frames {
        let position = producer.position() as i32;
        producer.push(&[position]).unwrap();
    }
}

fn columns(span: u64, width: usize) -> Columns {
    Columns::new(Grid::new(span, width), SampleType::I32, 1, 0..1)
}

fn fill(feed: &mut Feed, columns: &mut Columns, wanted: Range<u64>) {
    feed.fill(columns, &wanted, Instant::now() + Duration::from_secs(30)).unwrap();
}

fn extents(columns: &Columns) -> Vec<Option<(f64, f64)>> {
    (0..columns.grid().columns()).map(|x| columns.extent(x, 0)).collect()
}

#[test]
fn what_is_there_is_read_in_both_directions() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 1000);
    let (mut feed, mut columns) = (place.feed(), columns(500, 5));
    columns.move_to(5);
    fill(&mut feed, &mut columns, 500..1000);
    let ramp = |from: u32| {
        (0..5).map(|x| Some((f64::from(from + x * 100), f64::from(from + x * 100 + 99)))).collect()
    };
    assert_eq!(extents(&columns), Vec::clone(&ramp(500)));
    columns.move_to(2);
    fill(&mut feed, &mut columns, 200..700);
    assert_eq!((extents(&columns), feed.lost()), (ramp(200), 0));
}

#[test]
fn an_spsc_streams_frames_stay_where_they_are() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Spsc);
    push(&mut producer, 1000);
    let (mut feed, mut columns) = (place.feed(), columns(1000, 1));
    fill(&mut feed, &mut columns, 0..1000);
    assert_eq!(extents(&columns), [Some((0.0, 999.0))]);
    let mut consumer = annulus::open("a").directory(&place.0).consumer::<i32>().unwrap();
    assert_eq!(consumer.available(), 1000);
    let mut samples = [0; 1000];
    assert_eq!(consumer.try_read(&mut samples).unwrap().first_position, 0);
}

#[test]
fn frames_that_were_lapped_are_lost_and_shown_as_such() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 100);
    let (mut feed, mut columns) = (place.feed(), columns(16_000, 160));
    fill(&mut feed, &mut columns, 0..100);
    push(&mut producer, 9900);
    let retained = feed.retained();
    assert_eq!(retained, 10_000 - 4096..10_000);
    fill(&mut feed, &mut columns, 0..10_000);
    // Up to an edge behind the oldest, which may be overwritten while it is read.
    let floor = retained.start + 4096 / 64;
    assert_eq!((feed.lost(), columns.known()), (floor - 100, 0..10_000));
    for x in 0..100 {
        let lost = (1..=floor as usize / 100).contains(&x);
        assert_eq!(columns.missing(x) == Missing::Lost, lost, "{x}");
        assert_eq!(columns.frames(x).is_none(), (1..floor as usize / 100).contains(&x), "{x}");
    }
}

#[test]
fn a_loss_is_counted_once() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 100);
    let mut feed = place.feed();
    push(&mut producer, 9900);
    for _ in 0..2 {
        fill(&mut feed, &mut columns(3000, 30), 0..3000);
        assert_eq!(feed.lost(), 2900);
    }
}

#[test]
fn nothing_is_lost_by_one_who_does_not_follow() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 6000);
    // Overwritten before it came.
    let (mut feed, mut columns) = (place.feed(), columns(20_000, 20));
    fill(&mut feed, &mut columns, 0..6000);
    assert_eq!(
        (feed.lost(), columns.missing(0), columns.missing(1)),
        (0, Missing::Overwritten, Missing::Overwritten)
    );
    // Overwritten while it was paused.
    push(&mut producer, 7000);
    feed.rest();
    fill(&mut feed, &mut columns, 0..13_000);
    assert_eq!((feed.lost(), columns.missing(7)), (0, Missing::Overwritten));
    assert_eq!(columns.extent(12, 0), Some((12_000.0, 12_999.0)));
}

#[test]
fn reading_back_stops_where_it_was_overwritten() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 10_000);
    let (mut feed, mut columns) = (place.feed(), columns(10_000, 10));
    columns.move_to(9);
    fill(&mut feed, &mut columns, 9000..10_000);
    columns.move_to(0);
    fill(&mut feed, &mut columns, 0..10_000);
    assert_eq!((columns.known(), feed.lost()), (0..10_000, 0));
    assert_eq!(
        (columns.frames(5), columns.missing(5)),
        (Some(10_000 - 4096 + 64..6000), Missing::Overwritten)
    );
    assert!((6..10).all(|x| columns.missing(x) == Missing::Nothing));
}

#[test]
fn a_restart_an_end_and_a_successor_are_noticed() {
    let place = Place::new();
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 10);
    let mut feed = place.feed();
    assert!(matches!(feed.look().unwrap(), Producer::Is(ProducerState::Live { .. })));
    drop(producer);
    assert_eq!(feed.look().unwrap(), Producer::Is(ProducerState::Left));
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 5);
    let mut columns = columns(100, 10);
    fill(&mut feed, &mut columns, 0..15);
    assert_eq!((feed.restarts(), feed.epoch()), (&[10][..], 2));
    producer.finish();
    assert_eq!(feed.look().unwrap(), Producer::Is(ProducerState::Ended { position: 15 }));
    let mut producer = place.producer(Kind::Broadcast);
    push(&mut producer, 3);
    assert_eq!(feed.look().unwrap(), Producer::Is(ProducerState::Ended { position: 15 }), "the old one");
    producer.finish();
    annulus::open("a").directory(&place.0).remove().unwrap_or_default();
}
