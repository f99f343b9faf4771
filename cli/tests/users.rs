//! Streams that several users share. To be several users takes root, so these are ignored unless asked for:
//! `ci/users.sh` runs them, and fails where it cannot.

mod common;

use common::{Done, Place, Running, rows};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Numbers of users and groups that nobody has.
const OWNER: u32 = 41_001;
const MEMBER: u32 = 41_002;
const STRANGER: u32 = 41_003;
const LAB: u32 = 41_000;

/// A directory as /dev/shm is, and the command where every user can run it.
struct Machine {
    place: Place,
    program: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let place = Place::new();
        assert_eq!(fs::metadata(place.path()).unwrap().uid(), 0, "run this as root: see ci/users.sh");
        place.set_mode(0o1777);
        let directory = std::env::temp_dir().join(place.path().file_name().unwrap());
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let program = directory.join("annulus");
        fs::copy(env!("CARGO_BIN_EXE_annulus"), &program).unwrap();
        Self { place, program }
    }

    /// The command, run by a user in these groups.
    fn command(&self, user: u32, groups: &[u32], line: &str) -> Command {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user.to_string(), "--regid", &user.to_string()]);
        if groups.is_empty() {
            command.arg("--clear-groups");
        } else {
            command.args(["--groups", &groups.join(",")]);
        }
        command.arg(&self.program).args(line.split_whitespace());
        command.env("ANNULUS_DIR", self.place.path()).stdin(Stdio::null());
        command
    }

    fn start(&self, user: u32, line: &str) -> Running {
        let groups: &[u32] = if user == STRANGER { &[] } else { &[LAB] };
        Running::new(line, &mut self.command(user, groups, line))
    }

    fn run(&self, user: u32, line: &str) -> Done {
        self.start(user, line).done()
    }

    /// Starts the owner's `gen`, and waits until a user in the group sees it.
    fn generate(&self, options: &str) -> Running {
        let running =
            self.start(OWNER, &format!("gen --name s --wave counter --channels 1 --rate 1000 {options}"));
        common::until("the stream is there", || self.run(OWNER, "info s --system").status.success());
        running
    }

    fn object(&self) -> PathBuf {
        self.place.path().join("annulus.s@v1.l1")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.program.parent().unwrap());
    }
}

/// It did not do that, and said so in so many words.
fn assert_refused(done: &Done, wanted: &[&str]) {
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(done.stderr.lines().count() <= 2, "{}", done.stderr);
    for wanted in wanted {
        assert!(done.stderr.contains(wanted), "no '{wanted}' in: {}", done.stderr);
    }
}

#[test]
#[ignore = "needs root: ci/users.sh"]
fn the_group_reads_and_cannot_write_and_others_are_refused() {
    let machine = Machine::new();
    let producer = machine.generate("--system --group 41000");
    let found = fs::metadata(machine.object()).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (OWNER, LAB, 0o640));

    let read = machine.run(MEMBER, "cat s --system --from oldest --frames 500");
    assert!(read.status.success(), "{}", read.stderr);
    let rows = rows(&read.stdout_text());
    common::assert_counts(&rows, 1, 24);
    assert_eq!(rows.len(), 500);

    let gen_again = "gen --name s --wave counter --channels 1 --rate 1000 --system --frames 1";
    assert_refused(&machine.run(MEMBER, gen_again), &["may not write to", "41001", "mode 640"]);
    assert_refused(&machine.run(MEMBER, "rm s --system"), &["may not remove", "41001"]);
    assert_refused(&machine.run(MEMBER, "rm -f s --system"), &["may not remove", "41001"]);
    for user in [MEMBER, STRANGER] {
        let write = machine.command(user, &[LAB], "");
        let write = Command::new("setpriv")
            .args(write.get_args().take_while(|argument| Path::new(argument) != machine.program))
            .args(["sh", "-c", &format!(": >> {}", machine.object().display())])
            .stderr(Stdio::null())
            .status();
        assert!(!write.unwrap().success(), "user {user} could open the object to write");
    }

    let wanted = ["may not read", "user 41001", "group 41000", "mode 640", "--group"];
    assert_refused(&machine.run(STRANGER, "cat s --system"), &wanted);
    let listed = machine.run(STRANGER, "ls --system");
    assert!(listed.status.success() && listed.stdout_text().contains("may not read"), "{listed:?}");
    let listed = machine.run(MEMBER, "ls --system").stdout_text();
    assert!(listed.contains("41001") && listed.contains("live"), "{listed}");
    // Among one's own streams there is none of that name.
    fs::set_permissions(machine.place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(machine.run(MEMBER, "ls").status.code(), Some(1), "a directory of all is nobody's own");

    assert!(producer.interrupt().status.success());
    assert_eq!(machine.place.files(), [""; 0], "nothing is left");
}

#[test]
#[ignore = "needs root: ci/users.sh"]
fn modes_say_who_reads_and_who_pushes() {
    let machine = Machine::new();
    let producer = machine.generate("--system --mode 644");
    let read = machine.run(STRANGER, "cat s --system --frames 10");
    assert!(read.status.success(), "{}", read.stderr);
    assert!(producer.interrupt().status.success());

    let producer = machine.generate("--system --group 41000 --mode 660");
    let viewer = machine.start(MEMBER, "cat s --system");
    viewer.until_lines(100);
    producer.kill();
    viewer.until_stderr("died");
    // The owner's leftover: another may carry on with it, and not remove it.
    assert_eq!(machine.run(MEMBER, "prune --system").stdout_text(), "");
    let successor = machine
        .run(MEMBER, "gen --name s --wave counter --channels 1 --rate 1000 --system --mode 660 --frames 50");
    assert!(successor.status.success(), "{}", successor.stderr);
    let read = viewer.done();
    assert!(read.status.success() && read.stderr.contains("epoch 2"), "{}", read.stderr);
    common::assert_counts(&rows(&read.stdout_text()), 1, 24);
    assert_eq!(machine.place.files(), ["annulus.s@v1.l1"], "only the owner removes it");
    assert_eq!(machine.run(OWNER, "prune --system").stdout_text(), "s@v1\n");
    assert_eq!(machine.place.files(), [""; 0]);

    // The owner of a finished stream does not leave the removal to a viewer who could not do it.
    let producer = machine.generate("--system --group 41000 --mode 660");
    let viewer = machine.start(MEMBER, "cat s --system --from oldest");
    viewer.until_lines(100);
    viewer.signal(rustix::process::Signal::STOP);
    assert!(producer.interrupt().status.success());
    assert_eq!(machine.place.files(), [""; 0]);
    viewer.signal(rustix::process::Signal::CONT);
    let read = viewer.done();
    assert!(
        read.status.success() && !read.stderr.contains("replaced"),
        "it reads to the end: {}",
        read.stderr
    );

    // Nor to a consumer that has everything.
    let lossless = "--system --group 41000 --mode 660 --lossless";
    let producer =
        machine.start(OWNER, &format!("gen --name s --channels 1 --rate 1000 --duration 300ms {lossless}"));
    common::until("the stream is there", || machine.run(OWNER, "info s --system").status.success());
    let read = machine.run(MEMBER, "cat s --system");
    assert!(read.status.success() && read.stderr.contains("300 frames, 0 lost"), "{}", read.stderr);
    assert!(producer.done().status.success());
    assert_eq!(machine.place.files(), [""; 0]);

    // Whose object it is decides who may use it: a successor of the group gets no other access by asking.
    let producer = machine.generate("--system --group 41000 --mode 660");
    producer.kill();
    let line = "gen --name s --wave counter --channels 1 --rate 1000 --system --frames 1";
    assert_refused(&machine.run(MEMBER, &format!("{line} --mode 640")), &["may not change", "user 41001"]);
    let carried_on = machine.run(MEMBER, line);
    assert!(
        carried_on.status.success() && carried_on.stderr.contains("carrying on the stream of user 41001"),
        "{carried_on:?}"
    );
    assert_eq!(machine.run(OWNER, "prune --system").stdout_text(), "s@v1\n");

    for (options, wanted) in [
        ("--system --mode 666", "mode 666 will not do"),
        ("--system --mode 20", "mode 20 will not do"),
        ("--system --group 41999", "not in group 41999"),
    ] {
        assert_refused(&machine.run(OWNER, &format!("gen --name s --frames 1 {options}")), &[wanted]);
    }
}

#[test]
#[ignore = "needs root: ci/users.sh"]
fn nobody_plants_or_takes_names() {
    let machine = Machine::new();
    let line = "gen --name s --wave counter --channels 1 --rate 1000 --system --mode 644";
    let squatter = machine.start(STRANGER, line);
    common::until("the stream is there", || machine.run(OWNER, "info s --system").status.success());
    assert_refused(&machine.run(OWNER, line), &["may not write to", "user 41003"]);
    assert!(squatter.interrupt().status.success());

    // A second name, a symbolic link, and a file that all may write to are not followed.
    let producer = machine.generate("--system --mode 644");
    let planted = machine.place.path().join("annulus.planted@v1.l1");
    fs::hard_link(machine.object(), &planted).unwrap();
    assert_refused(&machine.run(MEMBER, "cat planted --system"), &["second name"]);
    fs::remove_file(&planted).unwrap();
    std::os::unix::fs::symlink(machine.object(), &planted).unwrap();
    assert_refused(&machine.run(MEMBER, "cat planted --system"), &["symbolic link"]);
    fs::remove_file(&planted).unwrap();
    fs::copy(machine.object(), &planted).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o666)).unwrap();
    assert_refused(&machine.run(MEMBER, "cat planted --system"), &["others may write to it"]);
    assert!(producer.interrupt().status.success());

    // Who owns the directory, or may write to it without the sticky bit, could take names away.
    chown(machine.place.path(), Some(STRANGER), None).unwrap();
    assert_refused(&machine.run(OWNER, "ls --system"), &["belongs to user 41003"]);
    chown(machine.place.path(), Some(0), None).unwrap();
    machine.place.set_mode(0o777);
    assert_refused(&machine.run(OWNER, "ls --system"), &["anybody may remove"]);
}
