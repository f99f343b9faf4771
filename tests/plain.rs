//! Frame by frame, where a call is no more than a copy: what it leaves out is made up for later.

mod support;

use annulus::{Cause, Kind, Role, Start};
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
