//! Many processes at one place at once; creators and holders of the lock that are killed.

use crate::kinds::{Kind, let_go};
use crate::support::actor::{Actor, Done, Named, say};
use crate::support::{Place as Directory, figures, map_shared, random};
use annulus::shm::{self, ErrorKind, Place, SharedMemory};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);
const PROCESSES: u32 = 10;
/// Not whole pages.
const SIZE: u64 = 3 * 4096 + 123;
const FILLED: u8 = 0x5A;

/// How often, unless `ci/shm.sh` says more.
fn rounds(usual: u32) -> u32 {
    std::env::var("ANNULUS_SHM_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// Adds the tests for one kind, of those that have names.
pub(crate) fn of<K: Kind + 'static>(tests: &mut Vec<Named<Done>>) {
    macro_rules! cases {
        ($($case:ident),*) => { $(tests.push((format!("{}::{}", K::NAME, stringify!($case)), || $case::<K>().into()));)* };
    }
    cases![filled_exactly_once, a_maker_killed_half_way, makers_killed_anywhere, a_holder_of_the_lock_killed];
}

/// What the processes of a round share.
struct Board {
    arrived: AtomicU32,
    created: AtomicU32,
    ran: AtomicU32,
    wrong: AtomicU64,
    seen: AtomicU64,
    over: AtomicU32,
}

impl Board {
    fn of(place: &Path) -> &'static Self {
        // SAFETY: it is made of atomics only, and zeros are one of its values.
        #[allow(unsafe_code)]
        unsafe {
            map_shared(&place.join("board"))
        }
    }

    /// Waits until all have come so far, for the `count`th time.
    fn meet(&self, count: u32) {
        self.arrived.fetch_add(1, SeqCst);
        for look in 0.. {
            if self.arrived.load(SeqCst) >= count * PROCESSES {
                return;
            }
            assert_eq!(self.wrong.load(SeqCst), 0, "another one fell, or found something wrong");
            if look < 20 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_micros(50)) }
        }
    }
}

fn is_filled(memory: &SharedMemory) -> bool {
    let mut bytes = vec![0u8; SIZE as usize];
    memory.map().unwrap().read(0, &mut bytes).unwrap();
    bytes.iter().all(|byte| *byte == FILLED)
}

fn filled_exactly_once<K: Kind>() {
    let (here, place) = (K::new(), Directory::new());
    let board = Board::of(place.path());
    let rounds = rounds(100);
    let mut watcher = Actor::start(&place, &format!("watch {}", here.place()));
    let role = format!("once {rounds} {}", here.place());
    let mut actors: Vec<Actor> = (0..PROCESSES).map(|_| Actor::start(&place, &role)).collect();
    for actor in &mut actors {
        assert_eq!(actor.line(), "done");
    }
    board.over.store(1, SeqCst);
    assert_eq!(watcher.line(), "done");
    assert_eq!(board.wrong.load(SeqCst), 0);
    let detail =
        format!("{}, {PROCESSES} processes, looked at {} times besides", K::NAME, board.seen.load(SeqCst));
    figures("open_or_create with fill: filled once, seen filled, made by one", rounds, 0, &detail);
}

/// Tells the others of a panic: they would wait for this one.
struct Told(&'static Board);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wrong.fetch_add(1, SeqCst);
        }
    }
}

/// Opens or creates it, with nine others, again and again.
pub(crate) fn once(rounds: &str, place: &Path, memory: &Place) {
    let board = Board::of(place);
    let _told = Told(board);
    let wrong = |is: bool| {
        board.wrong.fetch_add(is.into(), SeqCst);
    };
    for round in 0..rounds.parse().unwrap() {
        board.meet(3 * round + 1);
        let init = |bytes: &mut [u8]| {
            board.ran.fetch_add(1, SeqCst);
            wrong(bytes.iter().any(|byte| *byte != FILLED));
        };
        let opened = shm::at(memory).size(SIZE).fill(FILLED).init(init).open_or_create().unwrap();
        wrong(!is_filled(&opened));
        board.created.fetch_add(opened.created().into(), SeqCst);
        board.meet(3 * round + 2);
        if opened.created() {
            wrong(board.created.swap(0, SeqCst) != 1 || board.ran.swap(0, SeqCst) != 1);
        }
        let ours = opened.created();
        if ours {
            let_go(opened);
        } else {
            drop(opened);
        }
        board.meet(3 * round + 3);
        // It may go with the last who has it: one who watches.
        while ours && shm::at(memory).open().is_ok() {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    say("done");
}

/// Opens it whenever it is there: what it sees is whole.
pub(crate) fn watch(place: &Path, memory: &Place) {
    let board = Board::of(place);
    while board.over.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(100));
        let opened = match shm::at(memory).size(SIZE).open() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Removed) => continue,
            opened => opened.unwrap(),
        };
        match opened.map() {
            Err(error) => assert_eq!(*error.kind(), ErrorKind::Removed),
            Ok(_) => {
                let removed = opened.is_removed().unwrap();
                let filled = is_filled_if_there(&opened);
                board.seen.fetch_add(1, SeqCst);
                board.wrong.fetch_add((!filled && !removed).into(), SeqCst);
            }
        }
    }
    say("done");
}

fn is_filled_if_there(memory: &SharedMemory) -> bool {
    let Ok(mapping) = memory.map() else { return true };
    let mut bytes = vec![0u8; SIZE as usize];
    mapping.read(0, &mut bytes).unwrap();
    bytes.iter().all(|byte| *byte == FILLED)
}

fn a_maker_killed_half_way<K: Kind>() {
    let (here, place) = (K::new(), Directory::new());
    let mut first = Actor::start(&place, &format!("hang {}", here.place()));
    assert_eq!(first.line(), "inside");
    if !K::IS_WAITED_FOR {
        // Who only opens does not wait for what is not there.
        assert_eq!(*here.at().open().unwrap_err().kind(), ErrorKind::NotFound);
    }
    // Whoever comes meanwhile waits; the one that is killed leaves nothing in the way.
    let mut second = Actor::start(&place, &format!("make {}", here.place()));
    std::thread::sleep(Duration::from_millis(50));
    first.kill();
    assert_eq!(second.line(), "made by me, whole");
    assert!(second.child.wait().unwrap().success());
    let memory = here.at().size(SIZE).fill(FILLED).open_or_create().unwrap();
    // The second has ended, and what goes with the last who has it is gone.
    assert!(memory.created() != K::CAN.stays && is_filled(&memory));
    // Once more, and nobody makes it: it is not there.
    let_go(memory);
    let mut third = Actor::start(&place, &format!("hang {}", here.place()));
    assert_eq!(third.line(), "inside");
    third.kill();
    assert_eq!(*here.at().open().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(here.at().size(8).create_new().unwrap().created());
}

/// Is killed while it gives its object content.
pub(crate) fn hang(memory: &Place) {
    let hang = |bytes: &mut [u8]| {
        bytes[0] = 1;
        say("inside");
        std::thread::sleep(LONG);
    };
    let _ = shm::at(memory).size(SIZE).fill(FILLED).init(hang).open_or_create();
}

pub(crate) fn make(memory: &Place) {
    let memory = shm::at(memory).size(SIZE).fill(FILLED).open_or_create().unwrap();
    let who = if memory.created() { "me" } else { "another" };
    say(format_args!("made by {who}, {}", if is_filled(&memory) { "whole" } else { "half" }));
}

fn makers_killed_anywhere<K: Kind>() {
    let (here, place) = (K::new(), Directory::new());
    let mut random = random(0x5EED);
    let rounds = rounds(15);
    for _ in 0..rounds {
        let mut actor = Actor::start(&place, &format!("remake {}", here.place()));
        assert_eq!(actor.line(), "begins");
        std::thread::sleep(Duration::from_micros(random() % 3000));
        actor.kill();
        let memory = match here.at().size(SIZE).fill(FILLED).open_or_create() {
            Err(error) if *error.kind() == ErrorKind::Removed => continue,
            memory => memory.unwrap(),
        };
        assert!(is_filled(&memory));
        let_go(memory);
    }
    figures("makers killed anywhere: the next finds it whole or not at all", rounds, 0, K::NAME);
}

/// Makes and removes it until it is killed.
pub(crate) fn remake(memory: &Place) {
    say("begins");
    loop {
        let_go(shm::at(memory).size(SIZE).fill(FILLED).open_or_create().unwrap());
    }
}

fn a_holder_of_the_lock_killed<K: Kind>() {
    let (here, place) = (K::new(), Directory::new());
    let memory = here.at().size(8).create_new().unwrap();
    for _ in 0..3 {
        let mut holder = Actor::start(&place, &format!("hold {}", here.place()));
        assert_eq!(holder.line(), "held");
        assert_eq!(*memory.lock(Duration::from_millis(20)).unwrap_err().kind(), ErrorKind::Busy);
        // One that is stopped is alive, and keeps it.
        holder.stop();
        assert_eq!(*memory.lock(Duration::ZERO).unwrap_err().kind(), ErrorKind::Busy);
        holder.kill();
        memory.lock(LONG).unwrap().update(0, |value: &mut u64| *value += 1).unwrap();
    }
    assert_eq!(memory.map().unwrap().get::<u64>(0).unwrap(), 6, "three by holders, three by us");
}

pub(crate) fn hold(memory: &Place) {
    let memory = shm::at(memory).open().unwrap();
    let guard = memory.lock(LONG).unwrap();
    guard.update(0, |value: &mut u64| *value += 1).unwrap();
    say("held");
    std::thread::sleep(LONG);
}
