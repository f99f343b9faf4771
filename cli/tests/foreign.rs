//! Shared memory of other programs: listed beside the streams, and removed.

mod common;

use annulus::shm::{self, Key, SharedMemory};
use common::{Done, Place, Running};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Removed when the test is over.
struct Own(shm::Place);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = shm::remove(&self.0);
    }
}

/// The name of a POSIX object for one test alone; and of its file.
fn posix(place: &Place) -> (Own, PathBuf) {
    let name = format!("{}-foreign", place.path().file_name().unwrap().to_str().unwrap());
    (Own(shm::Place::posix(format!("/{name}"))), Path::new("/dev/shm").join(name))
}

/// A segment whose key belongs to the test's directory.
fn segment(place: &Place) -> (Own, SharedMemory) {
    let key = (1..=u8::MAX).map(|project| Key::ftok(place.path(), project).unwrap());
    let free = key.map(shm::Place::key).find(|key| shm::at(key).open().is_err()).unwrap();
    let memory = shm::at(&free).size(1234).mode(0o640).create_new().unwrap();
    (Own(free), memory)
}

fn rm(place: &Place, what: &[&str]) -> Done {
    let mut command = place.command("rm --foreign");
    Running::new("rm --foreign", command.args(what)).done()
}

/// The line of a table, or of a list in JSON, for that place.
fn line<'a>(table: &'a str, place: &str) -> Vec<&'a str> {
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .into_iter()
        .find(|words| words.first() == Some(&place))
        .unwrap_or_else(|| panic!("no {place} in {table}"))
}

fn entry<'a>(all: &'a Value, place: &str) -> &'a Value {
    let found = all["foreign"].as_array().unwrap().iter().find(|one| one["place"] == place);
    found.unwrap_or_else(|| panic!("no {place} in {all}"))
}

#[test]
fn a_listing_of_all_has_what_other_programs_made() {
    let place = Place::new();
    place.output("gen --name mine --frames 10 --speed max --keep");
    let (posix, file) = posix(&place);
    fs::write(&file, [1; 1000]).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let (key, memory) = segment(&place);
    let _mapped = memory.map().unwrap();
    let (id, me) = (format!("sysv:id={}", memory.id().unwrap()), std::process::id().to_string());
    let owner = memory.status().unwrap().owner;
    let user =
        uzers::get_user_by_uid(owner).map_or(owner.to_string(), |user| user.name().to_str().unwrap().into());

    let table = place.output("ls --all");
    assert!(table.starts_with(&place.output("ls")), "the streams come first: {table}");
    assert_eq!(
        line(&table, "PLACE"),
        ["PLACE", "KEY", "BYTES", "OWNER", "MODE", "CREATOR", "ATTACHED", "STATE"]
    );
    let object = posix.0.to_string();
    assert_eq!(line(&table, &object), [&object, "-", "1000", &user, "604", "-", "-"]);
    let key_text = key.0.to_string().replace("sysv:key=", "");
    assert_eq!(line(&table, &id), [&id, &key_text, "1234", &user, "640", &me, "1"]);

    let all: Value = serde_json::from_str(&place.output("ls --all --json")).unwrap();
    let streams: Value = serde_json::from_str(&place.output("ls --json")).unwrap();
    assert_eq!((&all["streams"][0]["name"], &streams[0]["name"]), (&"mine@v1".into(), &"mine@v1".into()));
    assert_eq!((all["streams"].as_array().unwrap().len(), streams.as_array().unwrap().len()), (1, 1));
    let found = entry(&all, &object);
    assert_eq!((&found["bytes"], &found["mode"], &found["key"]), (&1000.into(), &"604".into(), &Value::Null));
    assert_eq!((&found["creator"], &found["attached"]), (&Value::Null, &Value::Null));
    let found = entry(&all, &id);
    assert_eq!(
        (&found["bytes"], &found["owner"], &found["mode"]),
        (&1234.into(), &owner.into(), &"640".into())
    );
    assert_eq!((&found["key"], &found["attached"]), (&key_text.into(), &1.into()));
    assert_eq!((&found["creator"], &found["removed"]), (&std::process::id().into(), &false.into()));

    memory.remove().unwrap();
    assert_eq!(line(&place.output("ls -a"), &id).last(), Some(&"removed"), "it is there while it is mapped");
    drop((posix, _mapped));
    let table = place.output("ls --all");
    assert!(!table.contains(&object) && !table.split_whitespace().any(|word| word == id), "{table}");
}

/// In /dev/shm itself lie the streams that all users share.
#[test]
fn a_stream_is_not_foreign() {
    let place = Place::new();
    let name = place.path().file_name().unwrap().to_str().unwrap();
    let run = |line: &str| {
        let done = Running::new(line, place.command(line).env_remove("ANNULUS_DIR")).done();
        assert!(done.status.success(), "{line}: {}", done.stderr);
        done.stdout_text()
    };
    run(&format!("gen --system --name {name} --frames 10 --speed max --keep"));
    let object = format!("posix:/annulus.{name}@v1.l1");
    let table = run("ls --system --all");
    assert!(table.contains(&format!("{name}@v1 ")) && !table.contains(&object), "{table}");
    let refused = rm(&place, &[&object]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("annulus rm NAME"), "{}", refused.stderr);
    run(&format!("info --system {name}"));
    run(&format!("rm --system {name}"));
    assert_eq!(rm(&place, &[&object]).status.code(), Some(1), "it is gone");
}

#[test]
fn foreign_objects_are_removed_whoever_made_them() {
    let place = Place::new();
    let (posix, object) = posix(&place);
    let file = place.path().join("a file");
    let make = || {
        fs::write(&object, []).unwrap();
        fs::write(&file, "x").unwrap();
    };
    let gone = |done: Done| {
        assert!(done.status.success(), "{}", done.stderr);
        assert_eq!((done.stdout.len(), done.stderr.as_str()), (0, ""), "it asks and says nothing");
    };
    let (key, memory) = segment(&place);
    let file_place = format!("file:{}", file.display());
    make();
    gone(rm(&place, &[&posix.0.to_string()]));
    assert!(!object.exists() && file.exists());
    gone(rm(&place, &[&file_place]));
    assert!(!file.exists());
    let mapped = memory.map().unwrap();
    gone(rm(&place, &[&key.0.to_string()]));
    mapped.set(0, 7u8).unwrap();
    assert!(memory.is_removed().unwrap(), "who has it mapped keeps it");
    let (_key, memory) = segment(&place);
    gone(rm(&place, &[&format!("sysv:id={}", memory.id().unwrap())]));
    assert!(memory.map().is_err());

    // Several at once; one that is not there does not spare the others.
    make();
    let done = rm(
        &place,
        &["posix:/annulus-test-nobody-made-this", &posix.0.to_string(), "sysv:id=-1", &file_place],
    );
    assert_eq!((done.status.code(), done.stderr.lines().count()), (Some(1), 2), "{}", done.stderr);
    assert!(
        done.stderr.contains("cannot open posix:/annulus-test-nobody-made-this: there is no such object")
    );
    assert!(!object.exists() && !file.exists());
}

#[test]
fn what_is_no_foreign_memory_stays() {
    let place = Place::new();
    place.output("gen --name mine --frames 10 --speed max --keep");
    let (stream, directory) = (place.object("mine@v1"), place.path().join("directory"));
    let (target, link, fifo) =
        (place.path().join("target"), place.path().join("link"), place.path().join("fifo"));
    fs::create_dir(&directory).unwrap();
    fs::write(&target, "x").unwrap();
    symlink(&target, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (path, why) in [
        (&stream, "it is a stream"),
        (&directory, "no regular file"),
        (&link, "no regular file"),
        (&fifo, "no regular file"),
        (&PathBuf::from("/dev/null"), "no regular file"),
        (&place.path().join("missing"), "no such object"),
        (&target.join("below a file"), "cannot remove"),
    ] {
        let done = rm(&place, &[&format!("file:{}", path.display())]);
        assert_eq!(done.status.code(), Some(1), "{}: {}", path.display(), done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    for path in [&stream, &directory, &link, &fifo, &target] {
        assert!(path.symlink_metadata().is_ok(), "{} was left alone", path.display());
    }
    // Also a stream that is damaged, behind its beginning.
    let bytes = fs::read(&stream).unwrap();
    fs::write(&stream, &bytes[..100]).unwrap();
    assert_eq!(rm(&place, &[&format!("file:{}", stream.display())]).status.code(), Some(1));
    fs::write(&stream, "annulu").unwrap();
    assert!(rm(&place, &[&format!("file:{}", stream.display())]).status.success(), "that is none");
}

#[test]
fn places_that_make_no_sense_are_usage_errors() {
    let place = Place::new();
    for line in [
        "rm --foreign",
        "rm --foreign x",
        "rm --foreign posix:",
        "rm --foreign sysv:7",
        "rm --foreign sysv:id=x",
        "rm --foreign sysv:key=0",
        "rm --foreign anonymous",
        "rm mine --foreign posix:/x",
        "rm --force --foreign posix:/x",
        "rm --system --foreign posix:/x",
    ] {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(2), "annulus {line}: {}", done.stderr);
    }
}

#[test]
fn a_name_commands_no_terminal() {
    let place = Place::new();
    let (_, file) = posix(&place);
    let hostile = PathBuf::from(format!("{}\u{1b}[2J", file.display()));
    fs::write(&hostile, "x").unwrap();
    let shown = place.output("ls --all") + &place.output("ls --all --json");
    fs::remove_file(&hostile).unwrap();
    assert!(
        !shown.contains('\u{1b}') && shown.contains("-foreign [2J") && shown.contains("-foreign\\u001b[2J"),
        "{shown}"
    );
}

/// A stream's segment is no foreign one, though any program sees it.
#[test]
fn a_streams_own_memory_is_left_alone() {
    let place = Place::new();
    place.output("gen --name s --rate 1000 --frames 10 --speed max --keep --backend system-v");
    let memory = place.info("s").unwrap()["memory"].as_str().unwrap().to_owned();
    assert!(!place.output("ls --all").contains(&memory), "{memory} is listed");
    let leader = format!("file:{}", place.object("s@v1").display());
    for what in [&memory, &leader] {
        let refused = rm(&place, &[what]);
        assert_eq!(refused.status.code(), Some(1), "{what}");
        assert!(refused.stderr.contains("annulus rm"), "{what}: {}", refused.stderr);
    }
    place.output("rm s");
    let gone = rm(&place, &[&memory]);
    assert_eq!(gone.status.code(), Some(1), "{}", gone.stderr);
}
