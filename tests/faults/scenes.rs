//! What the victims do.

use super::support::ring::{BATCH, CAPACITY, Form, Frame, LONG, Reader, check, crash, frames, open};
use super::support::word;
use annulus::{
    Error, Existing, Frames, Listed, Observer, Polled, Producer, ProducerState, Pruned, PushError, ReadError,
    Scope, Start, Status, Strategy, Wait, WaitSet,
};
use std::any::Any;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a victim waits in the gate, or for what does not come.
const SHORT: Duration = Duration::from_millis(20);

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Live,
    /// Live, but for the producer.
    NoProducer,
    /// Live, but for the form's reader.
    NoReader,
    /// As before, and the ring is full.
    Full,
    /// What a dead producer left; of the form, or with other parameters.
    Crashed {
        same: bool,
    },
    /// The same, with a descriptor that contradicts itself.
    Damaged,
    /// Somebody else's producer has it with other parameters.
    Other,
}

/// What a victim has got.
pub(crate) enum Got {
    Nothing,
    Producer(Producer<Frame>),
    Reader(Reader),
    Unseated(Observer<Frame>),
    Polled(Polled<Observer<Frame>>),
    Status(Box<Status>),
    List(Vec<Listed>),
    Removed,
    Pruned(Vec<Pruned>),
    /// What it pushed to a thread that slept.
    Pushed(Producer<Frame>, JoinHandle<Result<usize, ReadError>>),
    /// What it had before, and used.
    Used(#[allow(dead_code, reason = "to be dropped")] Box<dyn Any>),
}

pub(crate) type Outcome = Result<Got, Box<dyn std::error::Error>>;
/// What is to be interrupted.
pub(crate) type Ready = Box<dyn FnOnce() -> Outcome>;
type Prepare = dyn Fn(Form, &Path) -> Ready + std::panic::RefUnwindSafe;

pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) before: Before,
    /// When it sleeps those beside it give it what it waits for.
    pub(crate) feeds: bool,
    /// Whatever fails, it gets what it wants.
    pub(crate) succeeds: bool,
    /// It has nothing before, and so nothing after an error.
    pub(crate) comes: bool,
    /// It can be done once more after it was done.
    pub(crate) again: bool,
    /// The name may lead to another object, or none, afterwards.
    pub(crate) renews: bool,
    /// It starts threads, whose stacks are kept.
    pub(crate) threads: bool,
    /// It takes long to prepare.
    pub(crate) large: bool,
    /// The default directory of a user of its own.
    pub(crate) private: bool,
    pub(crate) scope: Scope,
    prepare: Box<Prepare>,
}

impl Scene {
    /// One that comes to a ring.
    fn new<E: Into<Box<dyn std::error::Error>>>(
        form: Form,
        before: Before,
        what: &str,
        act: impl Fn(Form, &Path) -> Result<Got, E> + Copy + std::panic::RefUnwindSafe + 'static,
    ) -> Self {
        let prepare = move |form: Form, place: &Path| -> Ready {
            let place = place.to_path_buf();
            Box::new(move || act(form, &place).map_err(Into::into))
        };
        let scene = Self::prepared(form, before, what, prepare);
        Self { comes: true, again: true, ..scene }
    }

    /// One that prepares something first.
    fn prepared(
        form: Form,
        before: Before,
        what: &str,
        prepare: impl Fn(Form, &Path) -> Ready + std::panic::RefUnwindSafe + 'static,
    ) -> Self {
        Self {
            name: format!("{form:?}: {what}, {before:?}"),
            form,
            before,
            feeds: false,
            succeeds: false,
            comes: false,
            again: false,
            renews: false,
            threads: false,
            large: false,
            private: false,
            scope: Scope::User,
            prepare: Box::new(prepare),
        }
    }

    pub(crate) fn prepare(&self, place: &Path) -> Ready {
        (self.prepare)(self.form, place)
    }

    /// One that leaves.
    fn leaves(form: Form, before: Before, what: &str, handle: fn(Form, &Path) -> Box<dyn Any>) -> Self {
        let prepare = move |form: Form, place: &Path| -> Ready {
            let handle = handle(form, place);
            Box::new(move || {
                drop(handle);
                Ok(Got::Nothing)
            })
        };
        let scene = Self::prepared(form, before, what, prepare);
        Self { again: true, succeeds: true, ..scene }
    }

    /// One that waits.
    fn waits(
        form: Form,
        before: Before,
        what: &str,
        prepare: impl Fn(Form, &Path) -> Ready + std::panic::RefUnwindSafe + 'static,
    ) -> Self {
        Self { succeeds: true, feeds: true, ..Self::prepared(form, before, what, prepare) }
    }
}

fn used(handle: impl Any) -> Outcome {
    Ok(Got::Used(Box::new(handle)))
}

/// Every scene.
pub(crate) fn scenes() -> Vec<Scene> {
    let mut all = Vec::new();
    for form in Form::ALL {
        creates(form, &mut all);
        opens(form, &mut all);
        removes(form, &mut all);
        waits(form, &mut all);
        leaves(form, &mut all);
    }
    elsewhere(&mut all);
    all
}

fn create(form: Form, place: &Path) -> Result<Got, Error> {
    form.create(place).gate_timeout(SHORT).producer().map(Got::Producer)
}

fn creates(form: Form, all: &mut Vec<Scene>) {
    all.push(Scene::new(form, Before::Nothing, "create", create));
    all.push(Scene::new(form, Before::Crashed { same: true }, "resume", create));
    let replace = Scene::new(form, Before::Crashed { same: false }, "replace", create);
    all.push(Scene { renews: true, ..replace });
    all.push(Scene::new(form, Before::Live, "create beside another", create));
    all.push(Scene::new(form, Before::Other, "create what is another", create));
    let anew = |form: Form, place: &Path| {
        form.create(place).gate_timeout(SHORT).existing(Existing::Refuse).producer().map(Got::Producer)
    };
    all.push(Scene::new(form, Before::Live, "create anew", anew));
    match form {
        Form::Spsc => all.push(Scene::new(form, Before::Nothing, "create by its consumer", |form, place| {
            form.create(place).gate_timeout(SHORT).consumer().map(|one| Got::Reader(Reader::Consumer(one)))
        })),
        Form::Mpmc => all.push(Scene::new(form, Before::Nothing, "create by a consumer", |form, place| {
            form.create(place)
                .gate_timeout(SHORT)
                .group_consumer()
                .map(|one| Got::Reader(Reader::Member(one)))
        })),
        _ => {}
    }
}

/// The form's reader, which does not wait long in the gate.
fn attach(form: Form, place: &Path) -> Result<Reader, Error> {
    let open = open(place).gate_timeout(SHORT);
    Ok(match form {
        Form::Spsc => Reader::Consumer(open.consumer()?),
        Form::Mpmc => Reader::Member(open.group_consumer()?),
        Form::Broadcast => Reader::Observer(open.observer()?),
        Form::Kept | Form::Breached => Reader::Observer(open.lossless().observer()?),
    })
}

fn opens(form: Form, all: &mut Vec<Scene>) {
    all.push(Scene::new(form, Before::NoProducer, "take over", |_, place| {
        open(place).gate_timeout(SHORT).producer().map(Got::Producer)
    }));
    all.push(Scene::new(form, Before::NoReader, "attach its reader", |form, place| {
        attach(form, place).map(Got::Reader)
    }));
    all.push(Scene::new(form, Before::Live, "observe", |_, place| {
        open(place).gate_timeout(SHORT).observer().map(|one| Got::Reader(Reader::Observer(one)))
    }));
    all.push(Scene::new(form, Before::Live, "observe unseated", |_, place| {
        open(place).gate_timeout(SHORT).unseated().observer().map(Got::Unseated)
    }));
    all.push(Scene::new(form, Before::Live, "status", |_, place| {
        open(place).status().map(|status| Got::Status(Box::new(status)))
    }));
    all.push(Scene::new(form, Before::Live, "list", |_, place| annulus::list_in(place).map(Got::List)));
    all.push(Scene::new(form, Before::Nothing, "open what is not there", |_, place| {
        open(place).gate_timeout(SHORT).observer().map(|one| Got::Reader(Reader::Observer(one)))
    }));
    if matches!(form, Form::Spsc | Form::Broadcast) {
        let polled = Scene::new(form, Before::Live, "poll", |_, place| {
            open(place).gate_timeout(SHORT).observer().and_then(|one| one.polled(1)).map(Got::Polled)
        });
        all.push(Scene { threads: true, ..polled });
    }
}

fn removes(form: Form, all: &mut Vec<Scene>) {
    let once = |scene: Scene| Scene { again: false, renews: true, ..scene };
    let remove = |_, place: &Path| open(place).gate_timeout(SHORT).remove().map(|()| Got::Removed);
    all.push(once(Scene::new(form, Before::Crashed { same: true }, "remove", remove)));
    all.push(Scene::new(form, Before::Live, "remove what is held", remove));
    let force = |_, place: &Path| open(place).gate_timeout(SHORT).remove_forcibly().map(|()| Got::Removed);
    all.push(once(Scene::new(form, Before::Live, "remove by force", force)));
    if form == Form::Broadcast {
        all.push(once(Scene::new(form, Before::Damaged, "remove", remove)));
        all.push(once(Scene::new(form, Before::Damaged, "remove by force", force)));
    }
    let prune = Scene::new(form, Before::Crashed { same: true }, "prune", |_, place| {
        // SAFETY: this process has one thread.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("ANNULUS_DIR", place);
        }
        annulus::prune(Scope::User, Duration::ZERO).map(Got::Pruned)
    });
    all.push(once(prune));
}

/// The form's reader, which has read what there is.
fn at_end(form: Form, place: &Path) -> Reader {
    let mut reader = form.reader(place).unwrap();
    while reader.try_read(&mut [[0; 4]; 64]).is_ok() {}
    reader
}

/// A read of a handle, which waits.
fn read(mut reader: Reader, wait: Wait, expected: fn(&ReadError) -> bool) -> Ready {
    Box::new(move || {
        let mut out = vec![[0; 4]; BATCH as usize];
        match reader.read(&mut out, wait) {
            Ok(read) => check(&out[..read.frames], read.lane, read.first_position),
            Err(why) if expected(&why) => {}
            Err(why) => return Err(why.into()),
        }
        used(reader)
    })
}

fn asleep() -> Wait {
    Wait::new().strategy(Strategy::Block)
}

fn waits(form: Form, all: &mut Vec<Scene>) {
    all.push(Scene::waits(form, Before::NoReader, "wait for frames", |form, place| {
        read(at_end(form, place), asleep().timeout(LONG), |_| false)
    }));
    let vain = Scene::waits(form, Before::NoReader, "wait in vain", |form, place| {
        read(at_end(form, place), asleep().timeout(SHORT), |why| *why == ReadError::Timeout)
    });
    all.push(Scene { feeds: false, ..vain });
    let dead = Scene::waits(form, Before::Crashed { same: true }, "wait for a dead producer", |_, place| {
        let reader = Reader::Observer(open(place).start(Start::Now).observer().unwrap());
        let says = |why: &ReadError| matches!(why, ReadError::ProducerGone { .. } | ReadError::Timeout);
        read(reader, asleep().timeout(SHORT), says)
    });
    all.push(Scene { feeds: false, ..dead });
    if form.fills() {
        all.push(Scene::waits(form, Before::Full, "wait for space", |form, place| {
            let mut producer: Producer<Frame> = form.create(place).producer().unwrap();
            let next = frames(producer.lane(), producer.position(), BATCH);
            Box::new(move || {
                producer.push_wait(&next, Some(LONG))?;
                used(producer)
            })
        }));
    }
    if matches!(form, Form::Spsc | Form::Mpmc) {
        all.push(Scene::waits(form, Before::Full, "drain", |form, place| {
            let mut producer: Producer<Frame> = form.create(place).producer().unwrap();
            Box::new(move || {
                producer.drain(Some(LONG))?;
                used(producer)
            })
        }));
    }
    for (count, what) in [(2, "wait in a set"), (130, "wait in a large set")] {
        if count > 2 && form != Form::Broadcast {
            continue;
        }
        let set = Scene::waits(form, Before::Live, what, move |_, place| {
            let observe = || {
                let open = open(place).start(Start::Now);
                // So many seats there are not.
                let open = if count > 2 { open.unseated() } else { open };
                open.observer::<Frame>().unwrap()
            };
            let mut observers: Vec<Observer<Frame>> = (0..count).map(|_| observe()).collect();
            Box::new(move || {
                let mut set = WaitSet::new();
                let ready = set.wait(&mut observers, asleep().timeout(LONG))?;
                assert_ne!(ready.len(), 0, "nothing is ready");
                drop(set);
                used(observers)
            })
        });
        all.push(Scene { threads: count > 127, large: count > 127, ..set });
    }
    let sleeper = Scene::waits(form, Before::NoProducer, "push to a sleeper", |form, place| {
        let mut producer: Producer<Frame> = form.create(place).producer().unwrap();
        let mut sleeper = open(place).start(Start::Now).observer::<Frame>().unwrap();
        let sleeper = std::thread::spawn(move || {
            sleeper.read(&mut [[0; 4]; BATCH as usize], asleep().timeout(LONG)).map(|read| read.frames)
        });
        while word(&place.join("s@v1.l1"), 0x60, 0x280) == u64::MAX {
            std::thread::yield_now();
        }
        Box::new(move || {
            producer.push(&frames(producer.lane(), producer.position(), BATCH))?;
            Ok(Got::Pushed(producer, sleeper))
        })
    });
    all.push(Scene { threads: true, ..sleeper });
}

fn leaves(form: Form, all: &mut Vec<Scene>) {
    let producer = |form: Form, place: &Path| -> Box<dyn Any> {
        Box::new(form.create(place).producer::<Frame>().unwrap())
    };
    let reader = |form: Form, place: &Path| -> Box<dyn Any> {
        match form.reader(place).unwrap() {
            Reader::Consumer(one) => Box::new(one),
            Reader::Member(one) => Box::new(one),
            Reader::Observer(one) => Box::new(one),
        }
    };
    let observer =
        |_: Form, place: &Path| -> Box<dyn Any> { Box::new(open(place).observer::<Frame>().unwrap()) };
    all.push(Scene::leaves(form, Before::NoProducer, "the producer leaves", producer));
    all.push(Scene::leaves(form, Before::NoReader, "the reader leaves", reader));
    all.push(Scene::leaves(form, Before::Live, "an observer leaves", observer));
    all.push(Scene::leaves(form, Before::Nothing, "the last one leaves", producer));
    let finish = Scene::prepared(form, Before::Nothing, "finish", |form, place| {
        let producer: Producer<Frame> = form.create(place).producer().unwrap();
        Box::new(move || {
            producer.finish();
            Ok(Got::Nothing)
        })
    });
    all.push(Scene { again: true, succeeds: true, ..finish });
}

/// What lies in other directories, or is for others, too.
fn elsewhere(all: &mut Vec<Scene>) {
    let form = Form::Broadcast;
    let shared = Scene::new(form, Before::Nothing, "create for a group", |form, place| {
        let ring = form.create(place).gate_timeout(SHORT).scope(Scope::System);
        ring.group(1).mode(0o640).producer().map(Got::Producer)
    });
    all.push(Scene { scope: Scope::System, ..shared });
    let private = Scene::new(form, Before::Nothing, "create in a directory to be made", create);
    all.push(Scene { private: true, ..private });
    let last = Scene::leaves(form, Before::Nothing, "the last one leaves a directory", |form, place| {
        Box::new(form.create(place).producer::<Frame>().unwrap())
    });
    all.push(Scene { private: true, ..last });
}

/// Those who live on beside a victim.
pub(crate) struct Beside {
    pub(crate) place: PathBuf,
    form: Form,
    producer: Option<Producer<Frame>>,
    reader: Option<Reader>,
    watcher: Option<Observer<Frame>>,
    fed: bool,
    /// The victim may take the name away.
    renews: bool,
    damaged: bool,
}

impl Beside {
    pub(crate) fn before(scene: &Scene, place: &Path) -> Self {
        let form = scene.form;
        let mut beside = Self {
            place: place.into(),
            form,
            producer: None,
            reader: None,
            watcher: None,
            fed: false,
            renews: scene.renews,
            damaged: scene.before == Before::Damaged,
        };
        match scene.before {
            Before::Nothing => {}
            Before::Live | Before::NoProducer | Before::NoReader | Before::Full => beside.live(scene.before),
            Before::Crashed { same } => {
                let ring = form.create(place);
                crash(if same { ring } else { ring.rate(500.0) }, 50);
            }
            Before::Damaged => {
                crash(form.create(place), 50);
                let object = std::fs::File::options().write(true).open(place.join("s@v1.l1")).unwrap();
                object.set_len(object.metadata().unwrap().len() + 4096).unwrap();
            }
            Before::Other => beside.producer = Some(form.create(place).rate(500.0).producer().unwrap()),
        }
        beside
    }

    fn live(&mut self, how: Before) {
        let mut producer = self.form.create(&self.place).producer().unwrap();
        self.reader = Some(self.form.reader(&self.place).unwrap());
        self.watcher = Some(open(&self.place).observer().unwrap());
        let count = if how == Before::Full { CAPACITY } else { 20 };
        producer.push(&frames(producer.lane(), 0, count)).unwrap();
        self.producer = Some(producer);
        if how != Before::Full {
            self.read();
        }
        match how {
            Before::NoProducer | Before::Full => self.producer = None,
            Before::NoReader => self.reader = None,
            _ => {}
        }
    }

    /// What a victim waits for.
    pub(crate) fn feed(&mut self) {
        if !std::mem::replace(&mut self.fed, true) {
            self.go_on();
        }
    }

    /// They do what they are there for.
    pub(crate) fn go_on(&mut self) {
        if let Some(producer) = &mut self.producer {
            let first = producer.position();
            match producer.push(&frames(producer.lane(), first, BATCH)) {
                Ok(()) => {}
                Err(PushError::Full) if self.form.fills() && self.reader.is_none() => {}
                Err(PushError::Removed) if self.renews => return, // but for its name, which could not be removed
                Err(other) => panic!("a push beside it: {other}"),
            }
        }
        self.read();
    }

    fn read(&mut self) {
        let mut out = vec![[0; 4]; CAPACITY as usize];
        let now = Wait::new().timeout(Duration::ZERO);
        let watcher = self.watcher.as_mut();
        let watch = watcher.map(|watcher| drain(&mut out, |out| watcher.try_read(out)));
        let reader = self.reader.as_mut();
        let read = reader.map(|reader| drain(&mut out, |out| reader.read(out, now)));
        for frames in [watch, read].into_iter().flatten() {
            assert!(frames > 0 || self.producer.is_none(), "what was pushed does not come");
        }
    }

    /// All leave, and with them everything.
    pub(crate) fn end(mut self) {
        // One of each: what was left behind is cleaned up by the next one.
        (self.producer, self.reader, self.watcher) = (None, None, None);
        if self.damaged {
            let _ = std::fs::remove_file(self.place.join("s@v1.l1")); // it is nobody's who would clean up
        }
        drop(self.form.create(&self.place).producer::<Frame>().unwrap());
    }
}

/// All that there is; how much it was.
fn drain(out: &mut [Frame], mut read: impl FnMut(&mut [Frame]) -> Result<Frames, ReadError>) -> usize {
    let mut frames = 0;
    loop {
        match read(out) {
            Ok(read) => {
                check(&out[..read.frames], read.lane, read.first_position);
                frames += read.frames;
            }
            Err(ReadError::Empty | ReadError::Timeout) => return frames,
            Err(ReadError::ProducerGone { .. }) => {}
            Err(other) => panic!("a read beside it: {other}"),
        }
    }
}

/// In the victim: what it has got works.
pub(crate) fn works(scene: &Scene, place: &Path, got: Got, error: Option<i32>) {
    // It was told that there is nothing, or nothing that it may touch.
    let is_told = matches!(error, Some(libc::ENOENT | libc::ELOOP | libc::EACCES | libc::EPERM));
    let is_there = || place.join("s@v1.l1").exists();
    let wait = Wait::new().timeout(LONG);
    match got {
        Got::Nothing | Got::Used(_) => {}
        Got::Producer(mut producer) => {
            let mut viewer = open(place)
                .scope(scene.scope)
                .start(Start::Now)
                .lane(producer.lane())
                .observer::<Frame>()
                .unwrap();
            let sent = frames(producer.lane(), producer.position(), 3);
            producer.push(&sent).unwrap();
            let mut out = [[0; 4]; 3];
            let read = viewer.read(&mut out, wait).unwrap();
            assert_eq!((read.frames, &out[..]), (3, &sent[..]), "what was pushed comes");
        }
        Got::Reader(mut reader) => {
            let own = scene.before == Before::Nothing;
            let producer = own.then(|| scene.form.create(place).producer::<Frame>().unwrap());
            if let Some(mut producer) = producer {
                producer.push(&frames(producer.lane(), 0, 3)).unwrap();
            }
            let mut out = [[0; 4]; 64];
            let read = reader.read(&mut out, wait).unwrap();
            check(&out[..read.frames], read.lane, read.first_position);
        }
        Got::Unseated(mut observer) => {
            let mut out = [[0; 4]; 64];
            let read = observer.read(&mut out, wait).unwrap();
            check(&out[..read.frames], read.lane, read.first_position);
        }
        Got::Polled(mut polled) => {
            assert_eq!(super::support::readable(&[&polled], LONG), [true], "the descriptor is not raised");
            let mut out = [[0; 4]; 64];
            let read = polled.try_read(&mut out).unwrap();
            check(&out[..read.frames], read.lane, read.first_position);
        }
        Got::Pushed(_producer, sleeper) => {
            assert_eq!(sleeper.join().unwrap(), Ok(BATCH as usize), "a sleeper is not woken");
        }
        Got::Removed => assert!(!is_there() || is_told, "removed, it is said, and not so"),
        Got::Status(status) => whole(&status),
        Got::List(listed) => {
            assert!(listed.len() == 1 || is_told, "a stream is missing in the list");
            match listed.first().map(|one| &one.status) {
                Some(Ok(status)) => whole(status),
                Some(Err(error)) => assert_ne!(error.to_string(), ""),
                None => {}
            }
        }
        Got::Pruned(pruned) => {
            assert!(pruned.len() == 1 || is_told, "what was not pruned is not said");
            let removed = pruned.first().is_some_and(|one| one.removed.is_ok());
            assert!(removed != is_there() || is_told, "pruned, it is said, and not so: {pruned:?}");
        }
    }
}

/// A status of what is live says who is attached.
fn whole(status: &Status) {
    assert_eq!(status.attached.len(), 3, "somebody is missing in the status");
    assert!(matches!(status.producer, ProducerState::Live { .. }), "{:?}", status.producer);
}
