//! What the victims do.

use super::world::{BATCH, Form, Frame, Reader, check, frames, open, report};
use annulus::{Existing, Observer, Producer, PushError, ReadError, Scope, Strategy, Wait, WaitSet};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a victim sleeps in vain.
const SHORT: Duration = Duration::from_millis(6);
/// And at most, when it is to get what it waits for.
const FED: Duration = Duration::from_secs(1);

/// What is in the ring, and who sleeps, when the victim comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Part,
    Full,
    /// Its next frames go over the end of the lane.
    Wrapped,
    /// Its reader sleeps until there are frames.
    Sleeper,
    /// Its producer sleeps until there is space.
    Waiting,
}

/// What the victim is, in the place of one of those who live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Producer,
    Reader,
    Beside,
}

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Live,
    /// What a dead producer left; of the form, or with other parameters.
    Crashed {
        same: bool,
    },
}

type Act = dyn Fn(&Path, &dyn Fn()) + std::panic::RefUnwindSafe;

pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) before: Before,
    pub(crate) state: State,
    pub(crate) victim: Victim,
    /// Frames that it is about to push, or take.
    pub(crate) in_flight: u64,
    pub(crate) taking: u64,
    /// Frames that it tries to push or take, if there is space for them, or so many.
    pub(crate) asks: u64,
    /// It has its seat from beginning to end.
    pub(crate) seated: bool,
    /// What it pushes is pushed if it lives.
    pub(crate) pushes: bool,
    /// It says that so many frames are missing before what it pushes.
    pub(crate) gap: u64,
    /// It gets what it waits for while it sleeps.
    pub(crate) fed: bool,
    /// The name may lead to another object, or none, afterwards.
    pub(crate) renews: bool,
    act: Box<Act>,
}

impl Scene {
    fn new(
        form: Form,
        what: &str,
        act: impl Fn(&Path, &dyn Fn()) + std::panic::RefUnwindSafe + 'static,
    ) -> Self {
        Self {
            name: format!("{form:?}: {what}"),
            form,
            before: Before::Live,
            state: State::Part,
            victim: Victim::Beside,
            in_flight: 0,
            taking: 0,
            asks: 0,
            seated: false,
            pushes: false,
            gap: 0,
            fed: false,
            renews: false,
            act: Box::new(act),
        }
    }

    /// In the victim: prepares, and marks what is to be interrupted.
    pub(crate) fn act(&self, place: &Path, mark: impl Fn()) {
        (self.act)(place, &mark);
    }

    fn state(mut self, state: State) -> Self {
        self.name = format!("{}, {state:?}", self.name);
        self.state = state;
        self
    }

    fn producer(mut self) -> Self {
        self.victim = Victim::Producer;
        self
    }

    fn reader(mut self) -> Self {
        self.victim = Victim::Reader;
        self
    }

    fn seated(mut self) -> Self {
        self.seated = true;
        self
    }

    fn pushing(mut self, frames: u64, succeeds: bool) -> Self {
        (self.in_flight, self.pushes) = (frames, succeeds);
        self.asks = if frames == 0 { BATCH } else { frames };
        self
    }

    fn taking(mut self, frames: u64) -> Self {
        self.taking = frames;
        self.asks = if frames == 0 { BATCH } else { frames };
        self
    }

    fn before(mut self, before: Before) -> Self {
        self.before = before;
        self
    }

    fn fed(mut self) -> Self {
        self.name = format!("{}, and gets it", self.name);
        self.fed = true;
        self
    }

    fn renews(mut self) -> Self {
        self.renews = true;
        self
    }
}

const GAP: u64 = 47;

fn producer(form: Form, place: &Path) -> Producer<Frame> {
    form.create(place).producer().unwrap()
}

/// Pushes as `how` does, from where it is.
fn push(
    form: Form,
    expected: Result<(), PushError>,
    count: u64,
    how: fn(&mut Producer<Frame>, &[Frame]) -> Result<(), PushError>,
) -> impl Fn(&Path, &dyn Fn()) {
    move |place, mark| {
        let mut producer = producer(form, place);
        let next = frames(0, producer.position(), count);
        mark();
        let done = how(&mut producer, &next);
        mark();
        assert!(done == expected || done == Ok(()), "{done:?}"); // others may have made space
    }
}

/// Reads so many as the form's reader.
fn read(form: Form, count: usize, wait: Wait) -> impl Fn(&Path, &dyn Fn()) {
    move |place, mark| {
        let mut reader = form.reader(place).unwrap();
        let mut out = vec![[0; 4]; count];
        mark();
        let read = reader.read(&mut out, wait);
        mark();
        match read {
            Ok(read) => {
                check(&out[..read.frames], read.lane, read.first_position);
                let said = [read.lane.into(), read.first_position, read.frames as u64];
                report().iter().zip(said).for_each(|(word, value)| word.store(value, Relaxed));
            }
            Err(ReadError::Timeout) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Every scene.
pub(crate) fn scenes() -> Vec<Scene> {
    let mut all = Vec::new();
    for form in Form::ALL {
        pushes(form, &mut all);
        reads(form, &mut all);
        waits(form, &mut all);
        comes_and_goes(form, &mut all);
        lifecycle(form, &mut all);
    }
    all
}

fn pushes(form: Form, all: &mut Vec<Scene>) {
    use State::{Empty, Full, Part, Sleeper, Wrapped};
    for state in [Empty, Part, Full, Wrapped, Sleeper] {
        let fits = state != Full || !form.fills();
        let expected = if fits { Ok(()) } else { Err(PushError::Full) };
        let count = if fits { BATCH } else { 0 };
        let victim = |what: &str, act| -> Scene {
            let act: Box<Act> = act;
            Scene::new(form, what, act).producer().seated().pushing(count, fits).state(state)
        };
        all.push(victim("push", Box::new(push(form, expected, BATCH, Producer::push))));
        let one = |producer: &mut Producer<Frame>, next: &[Frame]| producer.push(&next[..1]);
        if fits {
            let scene = victim("push one", Box::new(push(form, expected, BATCH, one)));
            all.push(scene.pushing(1, true));
        }
        let reserve = |producer: &mut Producer<Frame>, next: &[Frame]| {
            let mut reservation = producer.reserve(next.len())?;
            next.chunks(3).try_for_each(|part| reservation.write(part))?;
            reservation.commit()
        };
        if state == Wrapped {
            all.push(victim("reserve, commit", Box::new(push(form, expected, BATCH, reserve))));
            let behind_gap = |producer: &mut Producer<Frame>, next: &[Frame]| {
                producer.gap(GAP)?;
                producer.push(next)
            };
            let scene = victim("gap, push", Box::new(push(form, expected, BATCH, behind_gap)));
            all.push(Scene { gap: GAP, ..scene });
        }
    }
}

fn reads(form: Form, all: &mut Vec<Scene>) {
    use State::{Empty, Full, Part, Waiting, Wrapped};
    for state in [Empty, Part, Full, Wrapped, Waiting] {
        let sleeps = state == Waiting;
        if sleeps && !form.fills() {
            continue;
        }
        let frames = if state == Empty { 0 } else { BATCH };
        let now = Wait::new().timeout(Duration::ZERO);
        let ten = Scene::new(form, "read", read(form, BATCH as usize, now));
        all.push(ten.reader().seated().taking(frames).state(state));
        if form == Form::Spsc && state != Empty {
            let one = Scene::new(form, "read one", read(form, 1, now));
            all.push(one.reader().seated().taking(1).state(state));
            let chunk = Scene::new(form, "chunk, commit", |place, mark| {
                let mut consumer = open(place).consumer::<Frame>().unwrap();
                mark();
                let chunk = consumer.try_chunk(BATCH as usize).unwrap();
                check(chunk.slices().0, 0, chunk.first_position());
                chunk.commit(5);
                mark();
            });
            all.push(chunk.reader().seated().taking(5).state(state));
        }
        if !sleeps {
            let beside = Scene::new(form, "observe", move |place, mark| {
                let mut observer = open(place).observer::<Frame>().unwrap();
                let mut out = [[0; 4]; BATCH as usize];
                mark();
                let read = observer.try_read(&mut out);
                mark();
                if let Ok(read) = read {
                    check(&out[..read.frames], 0, read.first_position);
                }
            });
            all.push(beside.state(state));
        }
    }
}

fn waits(form: Form, all: &mut Vec<Scene>) {
    // In vain, and not: then it takes as long as it takes to be fed.
    for (fed, longest) in [(false, SHORT), (true, FED)] {
        let sleep = Wait::new().strategy(Strategy::Block).timeout(longest);
        let feed = |scene: Scene| if fed { scene.fed() } else { scene };
        let frames = Scene::new(form, "wait for frames", read(form, 5, sleep));
        all.push(feed(frames.reader().seated().taking(5).state(State::Empty)));
        if form.fills() {
            let full = Err(PushError::Timeout { pushed: 0 });
            let count = if fed { BATCH } else { 0 };
            let wait: fn(&mut Producer<Frame>, &[Frame]) -> _ = match fed {
                true => |producer, next| producer.push_wait(next, Some(FED)),
                false => |producer, next| producer.push_wait(next, Some(SHORT)),
            };
            let space = Scene::new(form, "wait for space", push(form, full, BATCH, wait));
            all.push(feed(space.producer().seated().pushing(count, fed).state(State::Full)));
        }
        if matches!(form, Form::Spsc | Form::Mpmc) {
            let drain = Scene::new(form, "drain", move |place, mark| {
                let mut producer = producer(form, place);
                mark();
                let done = producer.drain(Some(longest));
                mark();
                assert!(done.is_ok() || !fed, "{done:?}");
            });
            all.push(feed(drain.producer().seated().state(State::Part)));
        }
        let set = Scene::new(form, "wait in a set", move |place, mark| {
            let mut observers: Vec<Observer<Frame>> = vec![open(place).observer().unwrap()];
            let mut set = WaitSet::new();
            mark();
            let ready = set.wait(&mut observers, sleep).map(<[usize]>::len);
            mark();
            assert!(ready == Ok(1) || !fed, "{ready:?}");
        });
        all.push(feed(set.state(State::Empty)));
    }
}

fn comes_and_goes(form: Form, all: &mut Vec<Scene>) {
    let attach = |what: &str, act: fn(Form, &Path) -> Box<dyn std::any::Any>| {
        Scene::new(form, what, move |place, mark| {
            mark();
            let _handle = act(form, place);
            mark();
        })
    };
    let detach = |what: &str, act: fn(Form, &Path) -> Box<dyn std::any::Any>| {
        Scene::new(form, what, move |place, mark| {
            let handle = act(form, place);
            mark();
            drop(handle);
            mark();
        })
    };
    let observer =
        |_, place: &Path| Box::new(open(place).observer::<Frame>().unwrap()) as Box<dyn std::any::Any>;
    let reader = |form: Form, place: &Path| -> Box<dyn std::any::Any> {
        match form.reader(place).unwrap() {
            Reader::Consumer(one) => Box::new(one),
            Reader::Member(one) => Box::new(one),
            Reader::Observer(one) => Box::new(one),
        }
    };
    let writer = |form: Form, place: &Path| Box::new(producer(form, place)) as Box<dyn std::any::Any>;
    all.push(attach("attach an observer", observer));
    all.push(detach("detach an observer", observer));
    all.push(attach("attach the reader", reader).reader());
    all.push(detach("detach the reader", reader).reader());
    all.push(attach("take over", writer).producer());
    all.push(detach("detach the producer", writer).producer());
    let crashed = Before::Crashed { same: true };
    all.push(attach("take over from a dead one", writer).before(crashed));
    let alone = |scene: Scene| scene.before(Before::Nothing).renews();
    all.push(alone(detach("the last one leaves", writer)));
    all.push(alone(attach("create", writer)));
}

fn lifecycle(form: Form, all: &mut Vec<Scene>) {
    let finish = Scene::new(form, "finish", move |place, mark| {
        let producer = producer(form, place);
        mark();
        producer.finish();
        mark();
    });
    all.push(finish.producer().renews());
    let other = Before::Crashed { same: false };
    let replace = Scene::new(form, "replace", move |place, mark| {
        mark();
        let _new = producer(form, place);
        mark();
    });
    all.push(replace.before(other).renews());
    let existing = Scene::new(form, "replace by wish", move |place, mark| {
        let ring = form.create(place).existing(Existing::Replace);
        mark();
        let _new: Producer<Frame> = ring.producer().unwrap();
        mark();
    });
    all.push(existing.before(other).renews());
    let remove = Scene::new(form, "remove", |place, mark| {
        mark();
        open(place).remove().unwrap();
        mark();
    });
    all.push(remove.before(other).renews());
    let force = Scene::new(form, "remove by force", |place, mark| {
        mark();
        open(place).remove_forcibly().unwrap();
        mark();
    });
    all.push(force.renews());
    let prune = Scene::new(form, "prune", |place, mark| {
        // SAFETY: this process has one thread.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("ANNULUS_DIR", place);
        }
        mark();
        let _ = annulus::prune(Scope::User, Duration::ZERO).unwrap();
        mark();
    });
    all.push(prune.before(other).renews());
    let look = Scene::new(form, "status", |place, mark| {
        mark();
        open(place).status().unwrap();
        mark();
    });
    all.push(look);
    let by_reader = match form {
        Form::Spsc => Some(Scene::new(form, "create by its consumer", |place, mark| {
            mark();
            let _one = Form::Spsc.create(place).consumer::<Frame>().unwrap();
            mark();
        })),
        Form::Mpmc => Some(Scene::new(form, "create by a consumer", |place, mark| {
            mark();
            let _one = Form::Mpmc.create(place).group_consumer::<Frame>().unwrap();
            mark();
        })),
        _ => None,
    };
    all.extend(by_reader.map(|scene| scene.before(Before::Nothing).renews()));
}
