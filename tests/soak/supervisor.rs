//! Who kills, stops and replaces the actors of the soak, and draws up their accounts.

use crate::actors::{Checker, Frame};
use crate::board::{Account, Board, LANES, Log, Part, ROLES, Stream, add};
use crate::support::actor::Actor;
use crate::support::{self, Place};
use crate::{LONG, Reports, WEDGE, figure, heed_complaints};
use annulus::{ReadError, Wait};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// Runs of frames of one lane that somebody took.
#[derive(Default)]
struct Runs {
    /// Before this everything is settled.
    settled: u64,
    /// First position and end of each, with gaps between them.
    taken: BTreeMap<u64, u64>,
}

impl Runs {
    fn add(&mut self, first: u64, count: u64) {
        let (mut from, mut end) = (first, first + count);
        let before = self.taken.range(..end).next_back().map(|(first, end)| (*first, *end));
        let free = before.map_or(self.settled, |(_, end)| end);
        assert!(first >= free, "taken twice: {first} to {end}, after {before:?}");
        if let Some((first, end)) = before
            && end == from
        {
            from = first;
        }
        if let Some(further) = self.taken.remove(&end) {
            end = further;
        }
        self.taken.insert(from, end);
    }

    /// Frames before `until` that nobody took, and nobody will.
    fn settle(&mut self, until: u64) -> u64 {
        let mut lost = 0;
        while let Some((&first, &end)) = self.taken.first_key_value()
            && first < until
        {
            lost += first - self.settled;
            self.settled = end;
            self.taken.pop_first();
        }
        lost += until.saturating_sub(self.settled);
        self.settled = self.settled.max(until);
        lost
    }
}

/// A part in the play, and who plays it now.
struct Seat {
    slot: usize,
    account: &'static Account,
    actor: Actor,
    /// How many have played it.
    incarnation: u64,
    since: Instant,
    /// Continued then.
    stopped: Option<Instant>,
    leaving: bool,
    progress: u64,
    /// How long there was no progress, though nothing was in its way.
    quiet: Duration,
}

impl Seat {
    fn role(&self) -> (Stream, Part) {
        ROLES[self.slot]
    }

    fn stream(&self) -> Stream {
        self.role().0
    }

    fn part(&self) -> Part {
        self.role().1
    }

    fn is_live(&self) -> bool {
        self.account.live.load(Relaxed) == 1 && !self.leaving
    }

    fn runs(&self) -> bool {
        self.stopped.is_none() && self.is_live()
    }
}

/// The heads of the queue at some time. Of what was claimed before, all that somebody lives to account for is in the
/// logs when each has ended the operation that was in progress then.
struct Settlement {
    heads: Vec<u64>,
    turns: Vec<(usize, u64, u64)>,
    allowed: u64,
}

struct Soak {
    place: Place,
    board: &'static Board,
    seats: Vec<Seat>,
    taken: [Runs; LANES],
    settlement: Option<Settlement>,
    /// Frames of the queue that the killed may have lost, of which nothing is settled yet.
    open: u64,
    kills: u64,
    stops: u64,
    leaves: u64,
    lost: u64,
    allowed: u64,
    longest: (Duration, usize),
}

pub(crate) fn run(time: Duration) {
    let mut soak = Soak::new();
    let mut random = support::random(0x9E37_79B9_7F4A_7C15 ^ u64::from(std::process::id()));
    let mut reports = Reports::new();
    let (begun, mut act_at, mut last) = (Instant::now(), Instant::now(), Instant::now());
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(1));
        soak.tick(&mut last);
        if Instant::now() >= act_at {
            act_at = Instant::now() + Duration::from_micros(random() % 20_000);
            soak.act(&mut random);
        }
        reports.when_due(|| soak.figures());
    }
    soak.survive();
    let figures = soak.end();
    figures.iter().for_each(|line| println!("{line}"));
}

impl Soak {
    fn new() -> Self {
        let place = Place::new();
        let board = Board::map(place.path());
        for stream in Stream::ALL {
            drop(stream.create(place.path()).producer::<Frame>().unwrap());
        }
        let start = |slot| Seat {
            slot,
            account: &board.accounts[slot],
            actor: Actor::start(&place, &format!("soak {slot}")),
            incarnation: 0,
            since: Instant::now(),
            stopped: None,
            leaving: false,
            progress: 0,
            quiet: Duration::ZERO,
        };
        let seats = (0..ROLES.len()).map(start).collect();
        let (taken, longest) = (Default::default(), (Duration::ZERO, 0));
        let (kills, stops, leaves, lost, allowed, open) = (0, 0, 0, 0, 0, 0);
        Self {
            place,
            board,
            seats,
            taken,
            settlement: None,
            open,
            kills,
            stops,
            leaves,
            lost,
            allowed,
            longest,
        }
    }

    fn tick(&mut self, last: &mut Instant) {
        let passed = last.elapsed();
        *last += passed;
        for slot in 0..self.seats.len() {
            let seat = &mut self.seats[slot];
            if seat.stopped.is_some_and(|until| Instant::now() >= until) {
                seat.actor.signal(libc::SIGCONT);
                seat.stopped = None;
            }
            if let Some(status) = seat.actor.child.try_wait().unwrap() {
                heed_complaints(&self.place);
                assert!(seat.leaving && status.success(), "{:?} ended by itself: {status}", seat.role());
                self.replace(slot);
            }
        }
        heed_complaints(&self.place);
        self.settle();
        self.look_for_stalls(passed);
    }

    /// Kills one, or stops it for a while, or asks it to leave.
    fn act(&mut self, random: &mut impl FnMut() -> u64) {
        let mut below = |limit: u64| (random() >> 16) % limit;
        let slot = below(self.seats.len() as u64) as usize;
        let what = below(10);
        // At most one lane of the queue is free at a time: then it is known who takes it.
        let of_queue = (Stream::Queue, Part::Producer);
        let mut others = self.seats.iter().filter(|one| one.slot != slot && one.role() == of_queue);
        let may_go = ROLES[slot] != of_queue || others.all(Seat::is_live);
        let seat = &mut self.seats[slot];
        match what {
            0..6 if may_go => {
                seat.actor.child.kill().unwrap();
                seat.actor.child.wait().unwrap();
                self.kills += 1;
                self.replace(slot);
            }
            6..9 if seat.stopped.is_none() => {
                seat.actor.signal(libc::SIGSTOP);
                // Seldom for longer than anybody sleeps in one go.
                let time = if below(8) == 0 { 100 + below(200) } else { below(20) };
                seat.stopped = Some(Instant::now() + Duration::from_millis(time));
                self.stops += 1;
            }
            9 if may_go && seat.is_live() => {
                seat.account.leave.store(1, Relaxed);
                seat.leaving = true;
                self.leaves += 1;
            }
            _ => {}
        }
    }

    /// One is dead, or has left: its account is drawn up, and another comes in its place.
    fn replace(&mut self, slot: usize) {
        self.bury(slot);
        let seat = &mut self.seats[slot];
        seat.account.leave.store(0, Relaxed);
        seat.account.live.store(0, Relaxed);
        seat.actor = Actor::start(&self.place, &format!("soak {slot}"));
        seat.incarnation += 1;
        (seat.since, seat.stopped, seat.leaving) = (Instant::now(), None, false);
    }

    fn bury(&mut self, slot: usize) {
        let seat = &self.seats[slot];
        let account = seat.account;
        match seat.part() {
            Part::Producer if account.live.load(Relaxed) == 1 => {
                let lane = account.lane.load(Relaxed) as usize;
                let (stream, words) = (seat.stream(), &self.board.lanes[seat.stream() as usize][lane]);
                let tail = stream.open(self.place.path()).status().unwrap().lanes[lane].position;
                let (floor, ceiling) = (words.floor.load(Relaxed), words.ceiling.load(Relaxed));
                assert!(tail >= floor, "pushed and lost: {floor} pushed, {tail} are there");
                assert!(tail <= ceiling, "never pushed: {ceiling} pushed, {tail} are there");
                words.tail.store(tail, Relaxed);
            }
            Part::Member => {
                let most = account.most.swap(0, Relaxed);
                // What it took last it may have accounted for already.
                if account.log.written.load(Acquire) < account.entry.load(Relaxed) {
                    self.open += most;
                    self.allowed += most;
                }
                drain(&account.log, &mut self.taken);
            }
            _ => {}
        }
    }

    fn heads(&self) -> Vec<u64> {
        let status = Stream::Queue.open(self.place.path()).status().unwrap();
        status.lanes.iter().map(|lane| lane.head.unwrap()).collect()
    }

    fn members(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| seat.part() == Part::Member)
    }

    /// Looks, again and again, whether each frame of the queue was taken by one, but for those that the killed had.
    fn settle(&mut self) {
        let Some(settlement) = &self.settlement else {
            let heads = self.heads();
            let turns = |seat: &Seat| (seat.slot, seat.incarnation, seat.account.turns.load(Acquire));
            let turns = self.members().map(turns).collect();
            self.settlement = Some(Settlement { heads, turns, allowed: self.open });
            return;
        };
        let is_over = |(slot, incarnation, turns): &(usize, u64, u64)| {
            let seat = &self.seats[*slot];
            seat.incarnation > *incarnation || seat.account.turns.load(Acquire) > *turns
        };
        let ready = settlement.turns.iter().all(is_over);
        let accounts = self.board.accounts.iter().zip(ROLES);
        for (account, _) in accounts.filter(|(_, role)| role.1 == Part::Member) {
            drain(&account.log, &mut self.taken);
        }
        if ready {
            let Settlement { heads, allowed, .. } = self.settlement.take().unwrap();
            self.settle_until(&heads, allowed);
        }
    }

    /// `allowed`: of what is open now, what was so before.
    fn settle_until(&mut self, heads: &[u64], allowed: u64) {
        let lost: u64 = self.taken.iter_mut().zip(heads).map(|(runs, head)| runs.settle(*head)).sum();
        assert!(lost <= self.open, "{lost} frames of the queue are lost, {} may", self.open);
        self.lost += lost;
        self.open -= allowed.max(lost);
    }

    /// Whether frames can flow: those who push, and those who are waited for, run.
    fn flows(&self, stream: Stream) -> bool {
        let of = |part| self.seats.iter().filter(move |seat| seat.role() == (stream, part));
        of(Part::Producer).all(Seat::runs)
            && match stream {
                Stream::Spsc => of(Part::Consumer).all(Seat::runs),
                Stream::Queue => of(Part::Member).any(Seat::runs),
                Stream::Full => of(Part::Recorder).all(|seat| seat.stopped.is_none()),
                Stream::Over => true,
            }
    }

    /// Frames that were moved by who has that part; the group moves them together.
    fn progress(&self, slot: usize) -> u64 {
        let items = |seat: &Seat| seat.account.items.load(Relaxed);
        match ROLES[slot].1 {
            Part::Member => self.members().map(items).sum(),
            _ => items(&self.seats[slot]),
        }
    }

    fn look_for_stalls(&mut self, passed: Duration) {
        let flows = Stream::ALL.map(|stream| self.flows(stream));
        for slot in 0..self.seats.len() {
            let progress = self.progress(slot);
            let seat = &mut self.seats[slot];
            if progress != seat.progress {
                (seat.progress, seat.quiet) = (progress, Duration::ZERO);
            } else if seat.runs() && flows[seat.stream() as usize] {
                seat.quiet += passed;
                self.longest = self.longest.max((seat.quiet, slot));
                assert!(seat.quiet < WEDGE, "wedged: {:?} makes no progress", seat.role());
            } else if seat.stopped.is_none() && !seat.is_live() {
                let time = seat.since.elapsed();
                assert!(seat.leaving || time < WEDGE, "wedged: {:?} does not get in", seat.role());
            }
        }
    }

    /// All live, and all get on.
    fn survive(&mut self) {
        let mut last = Instant::now();
        for seat in &mut self.seats {
            seat.stopped = seat.stopped.map(|_| Instant::now());
        }
        while !self.seats.iter().all(Seat::runs) {
            std::thread::sleep(Duration::from_millis(1));
            self.tick(&mut last);
        }
        let before: Vec<u64> = (0..self.seats.len()).map(|slot| self.progress(slot)).collect();
        while (0..self.seats.len()).any(|slot| self.progress(slot) == before[slot]) {
            std::thread::sleep(Duration::from_millis(1));
            self.tick(&mut last);
        }
    }

    /// Kills all, takes what they left, and finds each frame accounted for.
    fn end(mut self) -> Vec<String> {
        for slot in 0..self.seats.len() {
            self.seats[slot].actor.child.kill().unwrap();
            self.seats[slot].actor.child.wait().unwrap();
            self.kills += 1;
            self.bury(slot);
        }
        heed_complaints(&self.place);
        self.take_the_rest();
        for stream in Stream::ALL {
            stream.open(self.place.path()).remove().unwrap();
        }
        assert_eq!(self.place.objects(), ["board"]);
        self.figures()
    }

    fn take_the_rest(&mut self) {
        let mut out = vec![[0; 16]; 256];
        let wait = Wait::new().timeout(LONG);
        let status = |stream: Stream| stream.open(self.place.path()).status().unwrap();
        // Whatever is wrong with what the last consumer left, its successor sees.
        let spsc = ROLES.iter().position(|role| role.1 == Part::Consumer).unwrap();
        let account = self.seats[spsc].account;
        let mut consumer = Stream::Spsc.open(self.place.path()).consumer::<Frame>().unwrap();
        let (noted, most) = (account.next.load(Relaxed), account.most.load(Relaxed));
        let from = consumer.position();
        assert!(from + 64 >= noted && from <= noted + most, "the last consumer's: {from}, {noted} noted");
        add(&account.lost, from.saturating_sub(noted));
        let mut checker = Checker::new(Stream::Spsc);
        while consumer.position() < status(Stream::Spsc).position {
            match consumer.read(&mut out, wait) {
                Ok(taken) => checker.check(&out, taken),
                Err(ReadError::ProducerGone { .. }) => continue,
                Err(other) => panic!("{other}"),
            };
        }
        let mut member = Stream::Queue.open(self.place.path()).group_consumer::<Frame>().unwrap();
        let mut checker = Checker::new(Stream::Queue);
        while let Ok(taken) = member.try_read(&mut out) {
            checker.check(&out, taken);
            self.taken[taken.lane as usize].add(taken.first_position, taken.frames as u64);
        }
        let tails: Vec<u64> = status(Stream::Queue).lanes.iter().map(|lane| lane.position).collect();
        assert_eq!(self.heads(), tails, "frames that nobody could take");
        self.settle_until(&tails, self.open);
    }

    fn figures(&self) -> Vec<String> {
        let sum = |parts: &[Part], word: fn(&Account) -> &std::sync::atomic::AtomicU64| -> u64 {
            let those = self.seats.iter().filter(|seat| parts.contains(&seat.part()));
            those.map(|seat| word(seat.account).load(Relaxed)).sum()
        };
        let all = [Part::Producer, Part::Consumer, Part::Member, Part::Recorder, Part::Observer];
        let (pushed, read) = (sum(&all[..1], |of| &of.items), sum(&all[1..], |of| &of.items));
        let lost = self.lost + sum(&all, |of| &of.lost);
        let allowed = self.allowed + sum(&all, |of| &of.allowed);
        let (again, told) = (sum(&all, |of| &of.again), sum(&all, |of| &of.told));
        let (longest, slot) = self.longest;
        vec![
            figure(
                "soak: kills",
                self.kills,
                &format!(
                    "{pushed} frames pushed, {read} read: 0 twice, 0 torn, {lost} lost of {allowed} allowed, {again} seen \
                     again by successors, longest stall {} ms ({:?})",
                    longest.as_millis(),
                    ROLES[slot]
                ),
            ),
            figure(
                "soak: stops",
                self.stops,
                &format!(
                    "{} left by themselves; {told} frames lapped, each told to who lost it",
                    self.leaves
                ),
            ),
        ]
    }
}

fn drain(log: &Log, taken: &mut [Runs; LANES]) {
    log.drain(|[lane, first, count]| taken[lane as usize].add(first, count));
}
