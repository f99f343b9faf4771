//! Handles on a stream whose words are lies: whatever they are asked to do, they give a value or an error, soon, and
//! no more than there can be.

use super::Place;
use super::script::Script;
use annulus::{
    Consumer, Existing, Frames, GroupConsumer, Info, Observer, Producer, PushError, ReadError, SampleFormat,
    Start, Wait,
};
use std::fmt::Display;
use std::fs;
use std::os::fd::RawFd;
use std::time::Duration;

/// Handles of one role.
const HANDLES_MAX: usize = 4;
/// Most bytes that one call moves.
const BYTES_MAX: usize = 1 << 17;

#[derive(Default)]
pub struct Peers {
    pub producers: Vec<Producer<u8>>,
    pub consumers: Vec<Consumer<u8>>,
    pub group: Vec<GroupConsumer<u8>>,
    pub observers: Vec<Observer<u8>>,
}

fn said(error: impl Display) {
    assert!(!error.to_string().is_empty());
}

/// Keeps a new handle, unless there are many already.
fn keep<T>(handles: &mut Vec<T>, made: Result<T, annulus::Error>, info: fn(&T) -> &Info) {
    match made {
        Ok(handle) => {
            check(info(&handle));
            if handles.len() < HANDLES_MAX {
                handles.push(handle);
            }
        }
        Err(error) => said(error),
    }
}

/// What a segment says of itself fits what it is.
pub fn check(info: &Info) {
    let lane = info.capacity.checked_mul(info.frame_bytes as u64);
    let lanes = lane.and_then(|bytes| bytes.checked_mul(info.lanes.into()));
    assert!(
        lanes.is_some_and(|bytes| 0 < bytes && bytes <= info.bytes),
        "more than the object holds: {info:?}"
    );
    assert!(!info.summary().is_empty() && !info.full_name().is_empty());
    let _ = (info.retained(), info.start_time, format!("{info:?}"));
}

fn start(script: &mut Script<'_>) -> Start {
    match script.byte() % 3 {
        0 => Start::Now,
        1 => Start::Oldest,
        _ => Start::Position(script.word(0)),
    }
}

/// None, or a few microseconds: a hostile peer can keep anybody waiting as long as that one wants.
fn timeout(script: &mut Script<'_>) -> Duration {
    Duration::from_micros(script.byte() as u64 % 4 * 20)
}

fn wait(script: &mut Script<'_>) -> Wait {
    let strategy = [annulus::Strategy::Adaptive, annulus::Strategy::Block, annulus::Strategy::Spin];
    let strategy = strategy[script.byte() % 3];
    Wait::new().frames(script.byte() as u64 % 9).timeout(timeout(script)).strategy(strategy)
}

/// Bytes of some frames: a few, or about as many as the ring holds.
fn some(script: &mut Script<'_>, info: &Info) -> Vec<u8> {
    let frames = match script.byte() {
        few @ 0..=127 => few % 9,
        many => many * info.capacity as usize / 200,
    };
    vec![0xA5; frames.min(BYTES_MAX / info.frame_bytes) * info.frame_bytes]
}

fn check_read(read: Result<Frames, ReadError>, bytes: usize, info: &Info) {
    match read {
        Ok(read) => {
            assert!(read.frames * info.frame_bytes <= bytes && read.lane < info.lanes, "{read:?}");
            assert!(read.first_position < 1 << 63, "{read:?}");
        }
        Err(error) => said(error),
    }
}

fn check_push(pushed: Result<(), PushError>) {
    if let Err(error) = pushed {
        said(error);
    }
}

fn pick<T>(handles: &mut [T], who: usize) -> Option<&mut T> {
    let count = handles.len();
    if count == 0 { None } else { handles.get_mut(who % count) }
}

impl Peers {
    /// Opens the stream in one of all ways.
    pub fn attach(&mut self, place: &Place<'_>, script: &mut Script<'_>) {
        let open = place.open().gate_timeout(Duration::ZERO);
        match script.byte() % 16 {
            0 | 1 => {
                let opened = open.start(start(script)).observer_bytes();
                keep(&mut self.observers, opened, Observer::info);
            }
            2 => {
                let opened =
                    open.start(start(script)).unseated().lane(script.byte() as u32 % 5).observer_bytes();
                keep(&mut self.observers, opened, Observer::info);
            }
            3 => keep(&mut self.observers, open.observer::<u8>(), Observer::info),
            4 | 5 => {
                let opened = open.start(start(script)).lossless().observer_bytes();
                keep(&mut self.observers, opened, Observer::info);
            }
            6 | 7 => keep(&mut self.consumers, open.consumer_bytes(), Consumer::info),
            8 | 9 => keep(&mut self.group, open.group_consumer_bytes(), GroupConsumer::info),
            10 | 11 => keep(&mut self.producers, open.producer_bytes(), Producer::info),
            12 => keep(&mut self.producers, open.producer::<u8>(), Producer::info),
            13 => {
                let existing = [Existing::Resume, Existing::Refuse, Existing::Replace][script.byte() % 3];
                let format = SampleFormat::of::<u8>().expect("u8 is a sample");
                let other = place.create().channels([annulus::Channel::new("x")]).capacity(8);
                let other = other.existing(existing).gate_timeout(Duration::ZERO).producer_bytes(format);
                keep(&mut self.producers, other, Producer::info);
            }
            14 => match open.status() {
                Ok(status) => check(&status.info),
                Err(error) => said(error),
            },
            _ => {
                for listed in annulus::list_in(place.path()).expect("its directory is as it was") {
                    match listed.status {
                        Ok(status) => check(&status.info),
                        Err(error) => said(error),
                    }
                }
            }
        }
    }

    /// Does one of all things with one of them.
    pub fn act(&mut self, script: &mut Script<'_>) {
        let (what, who) = (script.byte(), script.byte());
        match what % 4 {
            0 => {
                if let Some(producer) = pick(&mut self.producers, who) {
                    produce(producer, script);
                }
            }
            1 => {
                if let Some(observer) = pick(&mut self.observers, who) {
                    observe(observer, script);
                }
            }
            2 => {
                if let Some(consumer) = pick(&mut self.consumers, who) {
                    consume(consumer, script);
                }
            }
            _ => {
                if let Some(member) = pick(&mut self.group, who) {
                    let mut out = some(script, member.info());
                    let read = match script.byte() % 2 {
                        0 => member.try_read(&mut out),
                        _ => member.read(&mut out, wait(script)),
                    };
                    check_read(read, out.len(), member.info());
                    let _ = (member.available(), member.taken());
                }
            }
        }
    }

    /// One of them leaves.
    pub fn leave(&mut self, script: &mut Script<'_>) {
        fn take<T>(handles: &mut Vec<T>, who: usize) -> Option<T> {
            if handles.is_empty() { None } else { Some(handles.swap_remove(who % handles.len())) }
        }
        let (what, who) = (script.byte(), script.byte());
        match what % 5 {
            0 => drop(take(&mut self.producers, who)),
            1 => drop(take(&mut self.consumers, who)),
            2 => drop(take(&mut self.group, who)),
            3 => drop(take(&mut self.observers, who)),
            _ => {
                if let Some(producer) = take(&mut self.producers, who) {
                    producer.finish();
                }
            }
        }
    }
}

fn produce(producer: &mut Producer<u8>, script: &mut Script<'_>) {
    let bytes = some(script, producer.info());
    let frame = producer.info().frame_bytes;
    match script.byte() % 8 {
        0..=2 => check_push(producer.push(&bytes)),
        3 => check_push(producer.push_wait(&bytes, Some(timeout(script)))),
        4 => match producer.reserve(bytes.len() / frame) {
            Ok(mut reserved) => {
                check_push(reserved.write(&bytes[..bytes.len() / frame / 2 * frame]));
                check_push(reserved.commit());
            }
            Err(error) => said(error),
        },
        5 => match producer.reserve_wait(bytes.len() / frame, Some(timeout(script))) {
            Ok(mut reserved) => {
                if let Some((first, rest)) = reserved.slices_mut() {
                    assert_eq!(first.len() + rest.len(), bytes.len());
                    first.fill(1);
                    rest.fill(2);
                    check_push(reserved.commit_all());
                }
            }
            Err(error) => said(error),
        },
        6 => check_push(producer.drain(Some(timeout(script)))),
        _ => {
            let _ = (producer.pending(), producer.breaches(), producer.position(), producer.epoch());
        }
    }
}

fn observe(observer: &mut Observer<u8>, script: &mut Script<'_>) {
    let mut out = some(script, observer.info());
    match script.byte() % 5 {
        0 | 1 => {
            let read = observer.try_read(&mut out);
            check_read(read, out.len(), observer.info());
        }
        2 => {
            let read = observer.read(&mut out, wait(script));
            check_read(read, out.len(), observer.info());
        }
        3 => observer.seek(start(script)),
        _ => {
            let _ = (observer.available(), observer.producer(), observer.lost(), observer.epoch());
        }
    }
}

fn consume(consumer: &mut Consumer<u8>, script: &mut Script<'_>) {
    let mut out = some(script, consumer.info());
    let frame = consumer.info().frame_bytes;
    match script.byte() % 6 {
        0 | 1 => {
            let read = consumer.try_read(&mut out);
            check_read(read, out.len(), consumer.info());
        }
        2 => {
            let read = consumer.read(&mut out, wait(script));
            check_read(read, out.len(), consumer.info());
        }
        3 => match consumer.try_chunk(out.len() / frame) {
            Ok(chunk) => {
                let (first, rest) = chunk.slices();
                let bytes = [first, rest].concat();
                assert!(bytes.len() == chunk.frames() * frame && bytes.len() <= out.len());
                let some = script.byte();
                assert!(chunk.commit(some).frames <= some);
            }
            Err(error) => said(error),
        },
        4 => consumer.release(),
        _ => {
            let _ = (consumer.available(), consumer.producer(), consumer.epoch());
        }
    }
}

/// Closes what handles did not dare to close when they left: those whose seat seemed to be another's by then. Nobody
/// else has anything open in the place.
pub fn close_given_up(place: &Place<'_>) {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let here = |number: &RawFd| {
        fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|path| path.starts_with(place.path()))
    };
    let numbers = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let given_up: Vec<RawFd> = numbers.filter(here).collect();
    for number in given_up {
        // SAFETY: who opened it has given it up, and all handles are gone.
        #[allow(unsafe_code)]
        let closed = unsafe { libc::close(number) };
        assert_eq!(closed, 0);
    }
}
