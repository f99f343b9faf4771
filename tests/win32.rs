//! Shared memory of programs that use Windows' own calls, and ours in theirs (tests/interop/win32.c); and the program of
//! docs/from.md for who comes from these calls. `ci/windows.sh` builds the one, and says in the environment where it is;
//! without it a test says that it was not run.

#[cfg(windows)]
mod from {
    include!("win32/from.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}
#[cfg(windows)]
mod support;

#[cfg(not(windows))]
fn main() {}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use support::actor::{Done, main};
    main::<Done>(
        |role, _| panic!("no role {role}"),
        tests![
            windows::their_memory_is_opened_here,
            windows::our_memory_is_opened_by_them,
            windows::their_file_is_opened_here,
            windows::our_file_is_opened_by_them,
            windows::the_program_of_the_documentation_runs,
        ],
    )
}

#[cfg(windows)]
mod windows {
    use super::support::Place as Directory;
    use super::support::actor::{Actor, Done};
    use annulus::shm::{self, ErrorKind, Mapping, Place};
    use libtest_mimic::Completion;
    use std::io::{BufReader, Read, Write};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    /// The program that tests/interop/win32.c becomes.
    const WIN32: &str = "ANNULUS_INTEROP_WIN32";
    const FROM_C: &[u8] = b"Message from first process.\0";
    const FROM_RUST: &[u8] = b"Message from annulus.\0";
    const BYTES: u64 = 256;

    macro_rules! other {
        () => {
            match std::env::var_os(WIN32).map(PathBuf::from) {
                Some(program) => program,
                None => {
                    let why = format!("NOT RUN: {WIN32} is not set; ci/windows.sh runs it");
                    return Completion::ignored_with(why).into();
                }
            }
        };
    }

    fn command(program: &PathBuf, verb: &str, name: &str) -> Command {
        let mut command = Command::new(program);
        command.args([verb, name]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(program: &PathBuf, verb: &str, name: &str) {
        let done = command(program, verb, name).output().unwrap();
        assert!(done.status.success(), "{verb} {name}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Begins something, and goes on with [`go_on`] when it is ready.
    fn start(program: &PathBuf, verb: &str, name: &str) -> Actor {
        let mut child = command(program, verb, name).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut actor = Actor { child, lines };
        if actor.line() != "ready" {
            panic!("{verb} {name}: {}", errors(&mut actor));
        }
        actor
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

    fn is(mapping: &Mapping, at: u64, text: &[u8]) {
        let mut found = vec![0; text.len()];
        mapping.read(at, &mut found).unwrap();
        assert_eq!(found.escape_ascii().to_string(), text.escape_ascii().to_string());
    }

    /// One of this session, the same by its other name, and one that all sessions find.
    fn names() -> [String; 3] {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
        ["", r"Local\", r"Global\"]
            .map(|prefix| format!("{prefix}MyFileMappingObject-{}-{now:x}", std::process::id()))
    }

    pub(crate) fn their_memory_is_opened_here() -> Done {
        let win32 = other!();
        for name in names() {
            let place = Place::page_file(&name);
            let theirs = start(&win32, "create", &name);
            let memory = shm::at(&place).size(BYTES).fill(1).open_or_create().unwrap();
            assert!(!memory.created());
            let mapping = memory.map().unwrap();
            is(&mapping, 0, FROM_C);
            let look = shm::at(&place).read_only().open().unwrap().map().unwrap();
            is(&look, 0, FROM_C);
            mapping.write(128, FROM_RUST).unwrap();
            go_on(theirs);
            // It is there while we have it, and not longer.
            is(&look, 128, FROM_RUST);
            drop((mapping, memory, look));
            assert_eq!(*shm::at(&place).open().unwrap_err().kind(), ErrorKind::NotFound);
        }
        Completion::Completed.into()
    }

    pub(crate) fn our_memory_is_opened_by_them() -> Done {
        let win32 = other!();
        for name in names() {
            let memory = shm::at(Place::page_file(&name)).size(BYTES).create_new().unwrap();
            let mapping = memory.map().unwrap();
            mapping.write(0, FROM_RUST).unwrap();
            run(&win32, "open", &name);
            is(&mapping, 128, FROM_C);
            drop((mapping, memory));
            run(&win32, "none", &name);
        }
        Completion::Completed.into()
    }

    pub(crate) fn their_file_is_opened_here() -> Done {
        let (win32, directory) = (other!(), Directory::new());
        let path = directory.path().join("mapped");
        let theirs = start(&win32, "create-file", path.to_str().unwrap());
        let memory = shm::at(Place::file(&path)).size(BYTES).open().unwrap();
        let mapping = memory.map().unwrap();
        is(&mapping, 0, FROM_C);
        mapping.write(128, FROM_RUST).unwrap();
        go_on(theirs);
        mapping.flush().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len() as u64, &bytes[128..128 + FROM_RUST.len()]), (BYTES, FROM_RUST));
        drop(mapping);
        memory.remove().unwrap();
        Completion::Completed.into()
    }

    pub(crate) fn our_file_is_opened_by_them() -> Done {
        let (win32, directory) = (other!(), Directory::new());
        let path = directory.path().join("mapped");
        let memory = shm::at(Place::file(&path)).size(BYTES).create_new().unwrap();
        let mapping = memory.map().unwrap();
        mapping.write(0, FROM_RUST).unwrap();
        run(&win32, "open-file", path.to_str().unwrap());
        is(&mapping, 128, FROM_C);
        Completion::Completed.into()
    }

    pub(crate) fn the_program_of_the_documentation_runs() -> Done {
        super::from::run().unwrap();
        Completion::Completed.into()
    }
}
