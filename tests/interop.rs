//! Shared memory of other programs, and ours in theirs: Boost.Interprocess (tests/interop/boost.cpp) and Python's
//! `multiprocessing.shared_memory` (tests/interop/shared_memory.py). `ci/interop.sh` builds the one, finds the other, and
//! says in the environment where they are; without it a test says that it was not run.

mod support;

use annulus::shm::{self, ErrorKind, Key, SharedMemory};
use libtest_mimic::Completion;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use support::Place as Directory;
use support::actor::{self, Actor, Done};

/// The program that tests/interop/boost.cpp becomes.
const BOOST: &str = "ANNULUS_INTEROP_BOOST";
/// A Python interpreter.
const PYTHON: &str = "ANNULUS_INTEROP_PYTHON";

const SIZE: u64 = 1000;
const FILE_BYTES: u64 = 10_000;
const PROJECT: u8 = b'A';

fn main() -> ExitCode {
    actor::main::<Done>(
        |role, _| panic!("no role {role}"),
        tests![
            boost_memory_is_opened_here,
            our_memory_is_opened_by_boost,
            two_regions_of_one_object_of_boost,
            boost_has_two_regions_of_an_object_of_ours,
            files_of_boost,
            files_for_boost,
            boost_segments_by_ftok,
            our_segments_by_ftok_in_boost,
            removed_under_boost,
            removed_by_boost,
            segments_removed_under_boost,
            segments_removed_by_boost,
            boost_notices_what_is_wrong,
            python_memory_is_opened_here,
            our_memory_is_opened_by_python,
            removed_under_python,
            removed_by_python,
            python_notices_what_is_wrong,
            a_careless_python_program_takes_our_object_along,
            the_python_of_the_documentation_is_what_runs_here,
        ],
    )
}

/// The other program.
struct Other(Vec<PathBuf>);

impl Other {
    fn boost() -> Result<Self, Completion> {
        named_in(BOOST).map(|program| Self(vec![program]))
    }

    fn python() -> Result<Self, Completion> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/shared_memory.py");
        named_in(PYTHON).map(|program| Self(vec![program, script]))
    }

    fn command(&self, what: &str, which: &str) -> Command {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).args([what, which]);
        command
    }

    /// Does one thing to its end, and to that of all that it started. `Err`: what it says is wrong.
    fn try_run(&self, what: &str, which: &str) -> Result<String, String> {
        let done = self.command(what, which).output().unwrap();
        let said = |bytes| String::from_utf8(bytes).unwrap().trim().to_string();
        if done.status.success() { Ok(said(done.stdout)) } else { Err(said(done.stderr)) }
    }

    fn run(&self, what: &str, which: &str) -> String {
        self.try_run(what, which).unwrap_or_else(|why| panic!("{what} {which}: {why}"))
    }

    /// Begins something, and goes on with [`go_on`] when it is ready.
    fn start(&self, what: &str, which: &str) -> Actor {
        let mut command = self.command(what, which);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut actor = Actor { child, lines };
        if actor.line() != "ready" {
            panic!("{what} {which}: {}", errors(&mut actor));
        }
        actor
    }
}

fn named_in(variable: &str) -> Result<PathBuf, Completion> {
    let not_run =
        || Completion::ignored_with(format!("NOT RUN: {variable} is not set; ci/interop.sh runs it"));
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(not_run)
}

/// Lets it go on to its end, which must be a good one.
fn go_on(mut actor: Actor) {
    writeln!(actor.child.stdin.take().unwrap(), "go on").unwrap();
    let status = actor.child.wait().unwrap();
    assert!(status.success(), "{}", errors(&mut actor));
}

fn errors(actor: &mut Actor) -> String {
    let mut text = String::new();
    actor.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

macro_rules! other {
    ($which:ident) => {
        match Other::$which() {
            Ok(other) => other,
            Err(not_run) => return not_run.into(),
        }
    };
}

fn passed() -> Done {
    Completion::Completed.into()
}

/// An object that is removed when its test is over; nothing is there at first.
struct Own {
    place: shm::Place,
    /// What the other one calls it.
    name: String,
}

impl Own {
    fn posix() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let name = format!("MySharedMemory-{}-{count}", std::process::id());
        Self { place: shm::Place::posix(format!("/{name}")), name }
    }

    fn file(directory: &Directory) -> Self {
        let path = directory.path().join("file.bin");
        Self { name: path.to_str().unwrap().into(), place: shm::Place::file(path) }
    }

    /// The segment whose key belongs to a directory.
    fn segment() -> (Directory, Self) {
        // A key may belong to two of them.
        loop {
            let directory = Directory::new();
            let key = Key::ftok(directory.path(), PROJECT).unwrap();
            if shm::at(key).open().is_err() {
                let name = directory.path().to_str().unwrap().into();
                return (directory, Self { name, place: shm::Place::key(key) });
            }
        }
    }

    fn create(&self, bytes: u64, fill: u8) -> SharedMemory {
        shm::at(&self.place).size(bytes).fill(fill).create_new().unwrap()
    }

    fn is_gone(&self) -> bool {
        match shm::at(&self.place).open() {
            Ok(_) => false,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => true,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = shm::remove(&self.place);
    }
}

/// That the object of that name has so many bytes, each of them this one, for one who may only look.
fn all_are(own: &Own, bytes: u64, value: u8) {
    let memory = shm::at(&own.place).read_only().size(bytes).open().unwrap();
    assert!(!memory.created());
    mapping_is(&memory.map().unwrap(), bytes, value);
}

fn mapping_is(mapping: &shm::Mapping, bytes: u64, value: u8) {
    assert_eq!(mapping.len() as u64, bytes);
    let mut found = vec![!value; mapping.len()];
    mapping.read(0, &mut found).unwrap();
    let differs = found.iter().position(|byte| *byte != value);
    assert_eq!(differs, None, "of {}", own_name(mapping));
}

fn own_name(mapping: &shm::Mapping) -> String {
    format!("{} bytes at {:#x}", mapping.len(), mapping.address())
}

// ---- Boost.Interprocess.

fn boost_memory_is_opened_here() -> Done {
    let (boost, own) = (other!(boost), Own::posix());
    boost.run("create", &own.name);
    all_are(&own, SIZE, 1);
    passed()
}

fn our_memory_is_opened_by_boost() -> Done {
    let (boost, own) = (other!(boost), Own::posix());
    drop(own.create(SIZE, 1));
    boost.run("check", &own.name);
    passed()
}

/// What is stored through one is seen through the other.
fn two_regions(memory: &SharedMemory) {
    let (whole, tail) = (memory.map().unwrap(), memory.map_range(SIZE / 2..).unwrap());
    assert_ne!(whole.address(), tail.address());
    for at in 0..SIZE {
        whole.set(at, (at % 251) as u8).unwrap();
    }
    pattern(&tail, SIZE / 2);
}

/// That byte `at` of the object is `at` modulo 251.
fn pattern(mapping: &shm::Mapping, first: u64) {
    for at in first..SIZE {
        assert_eq!(mapping.get::<u8>(at - first).unwrap(), (at % 251) as u8, "byte {at}");
    }
}

fn two_regions_of_one_object_of_boost() -> Done {
    let (boost, own) = (other!(boost), Own::posix());
    boost.run("create", &own.name);
    two_regions(&shm::at(&own.place).open().unwrap());
    passed()
}

fn boost_has_two_regions_of_an_object_of_ours() -> Done {
    let (boost, own) = (other!(boost), Own::posix());
    let memory = own.create(SIZE, 1);
    let mapping = memory.map().unwrap();
    boost.run("regions", &own.name);
    pattern(&mapping, 0);
    passed()
}

fn files_of_boost() -> Done {
    let (boost, directory) = (other!(boost), Directory::new());
    let own = Own::file(&directory);
    boost.run("file-create", &own.name);
    all_are(&own, FILE_BYTES, 1);
    assert_eq!(fs::read(&own.name).unwrap(), [1; FILE_BYTES as usize]);
    passed()
}

fn files_for_boost() -> Done {
    let (boost, directory) = (other!(boost), Directory::new());
    let own = Own::file(&directory);
    own.create(FILE_BYTES, 1).map().unwrap().flush().unwrap();
    boost.run("file-check", &own.name);
    passed()
}

/// The key and the id of a segment, as Boost says them.
fn key_and_id(said: &str) -> (i32, i32) {
    let (key, id) = said.split_once(' ').unwrap();
    (key.parse().unwrap(), id.parse().unwrap())
}

fn boost_segments_by_ftok() -> Done {
    let (boost, (_directory, own)) = (other!(boost), Own::segment());
    let (key, id) = key_and_id(&boost.run("xsi-create", &own.name));
    assert_eq!(shm::Place::key(key), own.place);
    all_are(&own, SIZE, 1);
    let by_id = shm::at(shm::Place::id(id)).read_only().open().unwrap();
    mapping_is(&by_id.map().unwrap(), SIZE, 1);
    passed()
}

fn our_segments_by_ftok_in_boost() -> Done {
    let (boost, (_directory, own)) = (other!(boost), Own::segment());
    let memory = own.create(SIZE, 1);
    let found = key_and_id(&boost.run("xsi-check", &own.name));
    assert_eq!((Some(Key::new(found.0)), Some(found.1)), (memory.key(), memory.id()));
    passed()
}

/// It has it mapped while we remove it, and the name is free at once; then it stores 3 to what it has.
fn removed_under(other: &Other) {
    let own = Own::posix();
    let memory = own.create(SIZE, 1);
    let mapping = memory.map().unwrap();
    let holder = other.start("hold", &own.name);
    memory.remove().unwrap();
    assert!(own.is_gone() && memory.is_removed().unwrap());
    drop(own.create(SIZE, 2));
    go_on(holder);
    mapping_is(&mapping, SIZE, 3);
    all_are(&own, SIZE, 2);
}

/// It removes what we have mapped, and makes another of that name.
fn removed_by(other: &Other) {
    let own = Own::posix();
    let memory = own.create(SIZE, 1);
    let mapping = memory.map().unwrap();
    other.run("replace", &own.name);
    assert!(memory.is_removed().unwrap());
    mapping_is(&mapping, SIZE, 1);
    all_are(&own, SIZE, 2);
    let error = memory.remove().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Removed, "not the new one, which is another's: {error}");
    all_are(&own, SIZE, 2);
}

fn removed_under_boost() -> Done {
    removed_under(&other!(boost));
    passed()
}

fn removed_by_boost() -> Done {
    removed_by(&other!(boost));
    passed()
}

fn segments_removed_under_boost() -> Done {
    let (boost, (_directory, own)) = (other!(boost), Own::segment());
    let memory = own.create(SIZE, 1);
    let holder = boost.start("xsi-hold", &own.name);
    memory.remove().unwrap();
    assert!(own.is_gone() && memory.is_removed().unwrap());
    let second = own.create(SIZE, 2);
    assert_ne!(second.id(), memory.id());
    go_on(holder);
    let error = memory.status().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Removed, "it went with its last mapping: {error}");
    passed()
}

fn segments_removed_by_boost() -> Done {
    let (boost, (_directory, own)) = (other!(boost), Own::segment());
    let memory = own.create(SIZE, 1);
    let mapping = memory.map().unwrap();
    boost.run("xsi-remove", &memory.id().unwrap().to_string());
    assert!(memory.is_removed().unwrap() && own.is_gone());
    mapping_is(&mapping, SIZE, 1);
    own.create(SIZE, 2);
    all_are(&own, SIZE, 2);
    mapping_is(&mapping, SIZE, 1);
    drop(mapping);
    assert_eq!(*memory.map().unwrap_err().kind(), ErrorKind::Removed);
    passed()
}

/// The other side's checks can fail: at one byte, and at the size.
fn notices(other: &Other) {
    let own = Own::posix();
    let memory = own.create(SIZE, 1);
    memory.map().unwrap().set(999, 7u8).unwrap();
    let says = |words: &str| {
        let why = other.try_run("check", &own.name).unwrap_err();
        assert!(why.contains(words), "'{why}' does not say '{words}'");
    };
    says("byte 999 is 7, not 1");
    memory.resize(SIZE + 1).unwrap();
    says("1001");
}

fn boost_notices_what_is_wrong() -> Done {
    let boost = other!(boost);
    notices(&boost);
    let directory = Directory::new();
    let own = Own::file(&directory);
    let memory = own.create(FILE_BYTES, 1);
    memory.map().unwrap().set(FILE_BYTES - 1, 0u8).unwrap();
    let why = boost.try_run("file-check", &own.name).unwrap_err();
    assert!(why.contains("byte 9999 is 0, not 1"), "{why}");
    passed()
}

// ---- Python.

fn python_memory_is_opened_here() -> Done {
    let (python, own) = (other!(python), Own::posix());
    python.run("create", &own.name); // it has ended since, and its resource tracker, too
    all_are(&own, SIZE, 1);
    passed()
}

fn our_memory_is_opened_by_python() -> Done {
    let (python, own) = (other!(python), Own::posix());
    let memory = own.create(SIZE, 1);
    for how in ["check", "mapped"] {
        python.run(how, &own.name);
        assert!(!memory.is_removed().unwrap(), "its resource tracker has removed it");
    }
    all_are(&own, SIZE, 1);
    passed()
}

fn removed_under_python() -> Done {
    removed_under(&other!(python));
    passed()
}

fn removed_by_python() -> Done {
    removed_by(&other!(python));
    passed()
}

fn python_notices_what_is_wrong() -> Done {
    notices(&other!(python));
    passed()
}

/// The counter-test: without what docs/from.md says, the object is removed while we have it.
fn a_careless_python_program_takes_our_object_along() -> Done {
    let (python, own) = (other!(python), Own::posix());
    let memory = own.create(SIZE, 1);
    python.run("careless", &own.name);
    assert!(memory.is_removed().unwrap(), "this Python leaves it alone: docs/from.md says otherwise");
    assert!(own.is_gone());
    passed()
}

fn the_python_of_the_documentation_is_what_runs_here() -> Done {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("tests/interop/shared_memory.py")).unwrap();
    let (_, code) = script.split_once("# begin\n").unwrap();
    let (code, _) = code.split_once("# end\n").unwrap();
    let page = fs::read_to_string(root.join("docs/from.md")).unwrap();
    assert!(page.contains(&format!("```python\n{code}```")), "docs/from.md has another Python than:\n{code}");
    passed()
}
