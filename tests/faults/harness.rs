//! The harness.

use super::errors::{Call, Fault, GATE, SEATS};
use super::scenes::{Beside, Got, Scene, scenes, works};
use super::support::actor::{self, say};
use super::support::trace::{Stop, Traced, mark, mark_with, stay_on};
use super::support::workers::{self, watch};
use super::support::{Place, figures, lock, shared_with_children};
use crate::tests;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

/// More system calls than anything here takes: it goes round in circles.
const CALLS_MAX: usize = 20_000;
/// Where less than every so many-th failure is played, what takes long is not.
const FEW: usize = 15;
/// So many are made by one who waits already.
const MANY_CALLS: usize = 30;
/// How often something lasts that a kernel would not say for ever.
const AGAIN_AND_AGAIN: usize = 50;

pub(crate) fn main() -> ExitCode {
    actor::main(play, tests![what_fails_leaves_nothing_behind])
}

/// Plays all scenes.
fn what_fails_leaves_nothing_behind() {
    let lines = workers::run("play");
    let (mut played, mut of, mut calls, mut refused, mut wrong, mut scenes) =
        (0u64, 0u64, 0u64, 0u64, 0u64, 0);
    for line in &lines {
        let Some(numbers) = line.strip_prefix("scene ") else {
            println!("{line}");
            wrong += u64::from(line.starts_with("wrong"));
            continue;
        };
        let numbers: Vec<u64> = numbers.split(' ').take(4).map(|number| number.parse().unwrap()).collect();
        played += numbers[0];
        of += numbers[1];
        calls += numbers[2];
        refused += numbers[3];
        scenes += 1;
    }
    let detail = format!("of {of} in {scenes} operations with {calls} system calls; {refused} gave an error");
    figures("injected failures", played, wrong, &detail);
    assert_eq!(wrong, 0, "see above");
    assert!(played > 0);
}

/// One worker: its share of the scenes.
fn play(role: &str, place: &Path) {
    let words: Vec<&str> = role.split(' ').collect();
    let (worker, workers): (usize, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let every: usize = std::env::var("ANNULUS_FAULTS").map_or(10 * FEW, |every| every.parse().unwrap());
    let only = std::env::var("ANNULUS_FAULTS_ONLY").unwrap_or_default();
    let verbose = std::env::var_os("ANNULUS_FAULTS_VERBOSE").is_some();
    std::panic::set_hook(Box::new(|_| {})); // said below
    stay_on(worker);
    let chosen =
        scenes().into_iter().filter(|scene| scene.name.contains(&only) && (!scene.private || is_root()));
    for (number, scene) in chosen.enumerate().filter(|(number, _)| number % workers == worker) {
        let start = std::time::Instant::now();
        if scene.large && every > FEW {
            continue;
        }
        watch(place, &format!("{}, tracing", scene.name));
        let track = match workers::attempt(|| inject(&scene, None, None)) {
            Ok(track) => track,
            Err(why) => {
                say(format!("wrong {}, where nothing fails: {why}: {}", scene.name, said().read()));
                continue;
            }
        };
        let all = failures(&track.calls);
        let every = if scene.large { 10 * every } else { every };
        let (mut refused, mut wrong, mut played) = (0, 0, 0);
        for failure in all.iter().skip(number * 31 % every).step_by(every) {
            let what = format!("{}: {failure}", scene.name);
            watch(place, &what);
            match workers::attempt(|| inject(&scene, Some(failure), Some(track.got))) {
                Ok(done) => {
                    played += u64::from(done.failed);
                    refused += u64::from(!done.got);
                    if verbose {
                        say(format!("{what}: {}", done.said));
                    }
                }
                // Calls that fail again and again are bounded by time: one that was kept from its processor for as long may have
                // had none left. What is wrong is wrong twice.
                Err(why) if workers::attempt(|| inject(&scene, Some(failure), Some(track.got))).is_ok() => {
                    played += 1;
                    say(format!("once, and not again: {what}: {why}"));
                }
                Err(why) => {
                    say(format!("wrong {what}: {why}"));
                    wrong += 1;
                    if wrong >= 5 {
                        break;
                    }
                }
            }
        }
        let (of, calls) = (all.len(), track.calls.len());
        say(format!("scene {played} {of} {calls} {refused} {} {:?}", scene.name, start.elapsed()));
    }
}

/// What is to fail, and how: the system call is told by how many such came before.
struct Failure {
    call: Call,
    before: usize,
    fault: Fault,
}

impl Failure {
    fn error(&self) -> Option<i32> {
        match self.fault {
            Fault::Once(error) | Fault::Ever(error) => Some(error),
            Fault::Short => None,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} after {} such", self.call, self.before)?;
        match self.fault {
            Fault::Short => f.write_str(" is short"),
            Fault::Once(error) => write!(f, " fails: {}", std::io::Error::from_raw_os_error(error)),
            Fault::Ever(error) => write!(f, " fails for ever: {}", std::io::Error::from_raw_os_error(error)),
        }
    }
}

fn failures(calls: &[Call]) -> Vec<Failure> {
    let number = |at: usize| calls[..at].iter().filter(|call| call.is_such(&calls[at])).count();
    let all = calls.iter().enumerate();
    all.flat_map(|(at, &call)| {
        call.faults().into_iter().map(move |fault| Failure { call, before: number(at), fault })
    })
    .collect()
}

/// What came of it.
struct Done {
    calls: Vec<Call>,
    got: bool,
    /// Whether it has come to what was to fail.
    failed: bool,
    said: String,
}

/// Plays a scene, with a failure, or without.
fn inject(scene: &Scene, failure: Option<&Failure>, expected: Option<bool>) -> Done {
    let place = Home::new(scene);
    let path = place.path();
    let mut beside = Beside::before(scene, &path);
    let before = (Held::of(&path), place.objects());
    said().write("");
    let mut victim = Traced::start(|| be_victim(scene, &path, failure.and_then(Failure::error), expected));
    let (mut calls, mut seen, mut since) = (Vec::new(), 0, 0);
    loop {
        match victim.run_to_call() {
            Stop::Here => {}
            Stop::Mark => break,
            other => panic!("it ended by itself: {other:?}: {}", said().read()),
        }
        let call = Call::of(&victim);
        calls.push(call);
        assert!(calls.len() < CALLS_MAX, "it goes round in circles");
        let is_next = failure.is_some_and(|failure| {
            let such = call.is_such(&failure.call);
            let first = such && seen == failure.before;
            seen += usize::from(such);
            match failure.fault {
                _ if since > 0 && since < most(failure.fault) => true,
                _ => first,
            }
        });
        let error = failure.filter(|_| is_next).and_then(|failure| match failure.fault {
            Fault::Short => {
                since += 1;
                victim.shorten_to(1);
                None
            }
            Fault::Once(error) => Some(error),
            Fault::Ever(error) => (since == 0 || call.shares(&failure.call, error)).then_some(error),
        });
        let stop = match error {
            Some(error) => {
                since += 1;
                let stop = victim.fail_with(error);
                if scene.feeds {
                    beside.feed();
                }
                stop
            }
            None => victim.run_through_call(),
        };
        if scene.feeds && calls.len() == MANY_CALLS {
            beside.feed(); // one that only naps is never found asleep
        }
        let stop = if stop == Stop::Asleep {
            if scene.feeds {
                beside.feed();
            }
            victim.awake()
        } else {
            stop
        };
        assert_eq!(stop, Stop::Here, "it ended by itself: {}", said().read());
    }
    let got = victim.argument(0) == 1;
    if failure.is_some_and(|failure| failure.error() == Some(libc::EINTR)) {
        assert_eq!(Some(got), expected, "it gives up because of a signal: {}", said().read());
    }
    let after = Held::of(&path);
    assert!(!after.gate, "somebody is left in the gate");
    if !got && scene.comes && after.object == before.0.object {
        assert_eq!(after, before.0, "an error that leaves a seat taken");
    }
    if !got && !scene.renews {
        assert_eq!(place.objects(), before.1, "an error that leaves an object");
    }
    if !(got && scene.renews) {
        beside.go_on();
    }
    let end = victim.let_go(Duration::from_secs(15));
    let said = said().read();
    assert_eq!(end, Stop::Exited(0), "{said}");
    if !scene.private {
        beside.end();
    }
    let left = place.objects();
    assert!(left.is_empty(), "left behind: {left:?}");
    Done { calls, got, failed: since > 0, said }
}

/// How often it happens.
fn most(fault: Fault) -> usize {
    match fault {
        Fault::Once(_) | Fault::Short => 1,
        Fault::Ever(libc::EINTR) => AGAIN_AND_AGAIN,
        Fault::Ever(_) => usize::MAX,
    }
}

/// The victim's whole life.
fn be_victim(scene: &Scene, place: &Path, error: Option<i32>, expected: Option<bool>) {
    std::panic::set_hook(Box::new(|panic| said().write(&panic.to_string())));
    if scene.private {
        become_user(place);
    }
    reserve_heap();
    let before = Holdings::now(scene);
    let ready = scene.prepare(place);
    mark();
    let outcome = ready();
    mark_with(outcome.is_ok().into());
    let refused = outcome.is_err();
    match outcome {
        Ok(got) => works(scene, place, got, error),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.trim().is_empty() && !text.contains("Os {"), "what is '{text}' to say?");
            assert!(!(scene.succeeds && expected == Some(true)), "it does not get what it waits for: {text}");
            said().write(&text);
        }
    }
    before.compare(scene);
    if scene.again || refused && scene.comes {
        let outcome = scene.prepare(place)();
        if let Some(expected) = expected {
            let why = outcome.as_ref().err().map(ToString::to_string);
            assert_eq!(outcome.is_ok(), expected, "once more, and nothing fails: {why:?}");
        }
        match outcome {
            Ok(got @ Got::Reader(_)) if !refused => drop(got), // there was something to read only once
            Ok(got) => works(scene, place, got, None),
            Err(_) => {}
        }
        before.compare(scene);
    }
}

/// So that nothing in between asks the system for memory: where that fails a program ends.
#[allow(unsafe_code)]
fn reserve_heap() {
    // SAFETY: mallopt takes numbers only.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, 4 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
    drop(std::hint::black_box(vec![0u8; 100_000]));
}

#[allow(unsafe_code)]
fn is_root() -> bool {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Another user, whose streams are in a directory that is not there yet.
#[allow(unsafe_code)]
fn become_user(directory: &Path) {
    let user: u32 = directory.to_str().unwrap().rsplit('-').next().unwrap().parse().unwrap();
    // SAFETY: all of them take numbers only.
    unsafe {
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0); // or /proc/self is not its own
    }
}

/// Where a victim's streams are.
enum Home {
    Place(Place),
    Private(PathBuf),
}

impl Home {
    fn new(scene: &Scene) -> Self {
        if !scene.private {
            return Self::Place(Place::new());
        }
        let path = PathBuf::from(format!("/dev/shm/annulus-{}", 1_000_000 + std::process::id()));
        assert!(!path.exists(), "{} is another's", path.display());
        Self::Private(path)
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Place(place) => place.path().into(),
            Self::Private(path) => path.clone(),
        }
    }

    fn objects(&self) -> Vec<String> {
        match self {
            Self::Place(place) => place.objects(),
            Self::Private(path) => fs::read_dir(path)
                .map(|all| all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
                .unwrap_or_default(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Private(path) = self {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// The locks on an object, as others see them.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    object: Option<u64>,
    seats: Vec<u64>,
    gate: bool,
}

impl Held {
    fn of(place: &Path) -> Self {
        let Ok(object) = fs::File::options().read(true).write(true).open(place.join("s@v1.l1")) else {
            return Self { object: None, seats: Vec::new(), gate: false };
        };
        let held = |byte: u64| !lock(&object, super::support::Lock::Exclusive, byte as i64);
        Self {
            seats: (0..16).filter(|seat| held(SEATS + seat)).collect(),
            gate: held(GATE),
            object: object.metadata().ok().map(|found| found.ino()),
        }
    }
}

/// What a process has of the system's.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: Vec<String>,
    mappings: Vec<String>,
}

impl Holdings {
    fn now(scene: &Scene) -> Self {
        let fds = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let mut descriptors: Vec<String> = fds
            .filter_map(|path| Some(format!("{} {}", path.display(), fs::read_link(&path).ok()?.display())))
            .filter(|text| !text.ends_with("/fd"))
            .collect();
        descriptors.sort();
        let text = fs::read_to_string("/proc/self/maps").unwrap();
        let mappings = text
            .lines()
            .filter(
                |line| if scene.threads { line.contains("/dev/shm") || line.contains("s@v1") } else { true },
            )
            .filter(|line| !line.contains("[stack]") && !line.contains("[heap]"))
            .map(str::to_string)
            .collect();
        Self { descriptors, mappings }
    }

    /// There is no more than there was. (A thread that sleeps for others ends when it notices.)
    fn compare(&self, scene: &Scene) {
        let now = Self::now(scene);
        let more = |now: &[String], before: &[String]| -> Vec<String> {
            if now.len() <= before.len() {
                return Vec::new();
            }
            now.iter().filter(|one| !before.contains(one)).cloned().collect()
        };
        let leaked =
            [more(&now.descriptors, &self.descriptors), more(&now.mappings, &self.mappings)].concat();
        assert!(leaked.is_empty(), "leaked: {leaked:#?}");
    }
}

/// What a victim has to say: a page that it shares with its parent.
struct Said([AtomicU8; 4096]);

#[allow(unsafe_code)]
fn said() -> &'static Said {
    static PAGE: OnceLock<&'static Said> = OnceLock::new();
    // SAFETY: atomics.
    PAGE.get_or_init(|| unsafe { shared_with_children() })
}

impl Said {
    fn write(&self, text: &str) {
        let bytes = text.bytes().take(self.0.len() - 1).chain([0]);
        self.0.iter().zip(bytes).for_each(|(to, byte)| to.store(byte, Relaxed));
    }

    fn read(&self) -> String {
        let bytes: Vec<u8> =
            self.0.iter().map(|byte| byte.load(Relaxed)).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
