//! What the backends of streams have of their own. That a stream is the same over each of them, the other tests show, run
//! once more by `ci/backends.sh`.

#![cfg(target_os = "linux")]

mod support;

use annulus::shm;
use annulus::{
    AtLimit, Backend, Builder, Error, Existing, Kind, ProducerState, PushError, ReadError, Role, Start, Wait,
};
use rustix::fs::{MemfdFlags, SealFlags};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use support::actor::{self, Actor, say};
use support::{Place, socket};

const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    actor::main(
        play,
        tests![
            unrelated_processes_share_a_stream_by_a_descriptor,
            a_stream_of_each_kind_without_a_name,
            sealed_memory_only,
            a_descriptor_of_a_stream_with_a_name,
            a_segment_that_is_removed_takes_its_stream_along,
            what_a_killed_maker_of_segments_left_is_swept,
            a_segment_keeps_what_a_crash_left,
            #[cfg(feature = "portable")]
            portable::a_crash_leaves_it,
            #[cfg(feature = "portable")]
            portable::one_that_is_removed_takes_its_stream_along,
            #[cfg(feature = "portable")]
            portable::what_a_killed_maker_left_is_swept,
            #[cfg(feature = "portable")]
            portable::makers_killed_anywhere,
            #[cfg(feature = "portable")]
            portable::what_has_its_name_and_another_size_is_not_it,
            a_file_outlives_its_processes,
            a_file_of_an_earlier_boot_vouches_for_nothing,
            files_are_asked_for,
        ],
    )
}

fn wait() -> Wait {
    Wait::new().timeout(LONG)
}

fn address(place: &Path) -> PathBuf {
    place.join("socket")
}

fn play(role: &str, place: &Path) {
    match role {
        // Makes a stream without a name, gives it to three who ask, and pushes until it is killed.
        "producer" => {
            let listener = UnixListener::bind(address(place)).unwrap();
            let mut producer = stream().producer::<u64>().unwrap();
            say("ready");
            for _ in 0..3 {
                socket::pass(&listener.accept().unwrap().0, &producer.share().unwrap());
            }
            loop {
                producer.push(&[producer.position()]).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        // Pushes one, and stays.
        "SystemV" | "Portable" => {
            let ring = elsewhere(place, backend(role));
            let mut producer = ring.kind(Kind::Spsc).producer::<u64>().unwrap();
            producer.push(&[7]).unwrap();
            say("ready");
            std::thread::sleep(LONG);
        }
        // Makes and leaves streams until it is killed.
        "remaker" => {
            say("begins");
            loop {
                drop(elsewhere(place, backend("Portable")).producer::<u64>().unwrap());
            }
        }
        // Reads some, and stays.
        "reader" => {
            let given = socket::receive(&UnixStream::connect(address(place)).unwrap());
            let mut reader = annulus::open_fd(given).start(Start::Oldest).observer::<u64>().unwrap();
            let mut out = [0; 64];
            let read = reader.read(&mut out, wait()).unwrap();
            assert!((0..).zip(&out[..read.frames]).all(|(i, frame)| *frame == read.first_position + i));
            say(read.frames);
            std::thread::sleep(LONG);
        }
        other => panic!("no role {other}"),
    }
}

fn stream() -> Builder {
    annulus::create("given").backend(Backend::Anonymous).rate(1000.0).retain(Duration::from_secs(10))
}

fn unrelated_processes_share_a_stream_by_a_descriptor() {
    let place = Place::new();
    let mut producer = Actor::start(&place, "producer");
    assert_eq!(producer.line(), "ready");
    let given = socket::receive(&UnixStream::connect(address(place.path())).unwrap());
    let open = || annulus::open_fd(given.try_clone().unwrap());
    let mut readers = [Actor::start(&place, "reader"), Actor::start(&place, "reader")];
    for reader in &mut readers {
        assert_ne!(reader.line().parse::<usize>().unwrap(), 0);
    }

    // Each is told from the others, whatever descriptor they came by.
    let status = open().status().unwrap();
    assert_eq!(status.info.backend, Backend::Anonymous);
    let mut seen: Vec<(Role, u32)> = status.attached.iter().map(|one| (one.role, one.pid)).collect();
    let mut expected = vec![(Role::Producer, producer.pid())];
    expected.extend(readers.iter().map(|reader| (Role::Observer, reader.pid())));
    seen.sort_by_key(|one| one.1);
    expected.sort_by_key(|one| one.1);
    assert_eq!(seen, expected);
    let refused = open().producer::<u64>().unwrap_err();
    assert!(matches!(refused, Error::WriterBusy { pid, .. } if pid == producer.pid()), "{refused}");

    // The death of one is that one's, though others have copies of its descriptor.
    let [first, second] = readers;
    let gone = first.pid();
    first.kill();
    let attached = open().status().unwrap().attached;
    assert!(attached.iter().all(|one| one.pid != gone) && attached.len() == 2, "{attached:?}");
    let mut viewer = open().observer::<u64>().unwrap();
    let mut out = [0; 64];
    viewer.read(&mut out, wait()).unwrap();
    let pid = producer.pid();
    producer.kill();
    let end = loop {
        if let Err(end) = viewer.read(&mut out, wait()) {
            break end;
        }
    };
    assert!(matches!(end, ReadError::ProducerGone { .. }), "{end}");
    assert!(
        matches!(open().status().unwrap().producer, ProducerState::Dead { pid: dead, .. } if dead == pid)
    );

    // And it is succeeded where it stood.
    let mut successor = open().producer::<u64>().unwrap();
    assert_ne!(successor.position(), 0);
    successor.push(&[successor.position()]).unwrap();
    assert_eq!(viewer.read(&mut out, wait()).unwrap().frames, 1);
    assert_eq!(out[0], successor.position() - 1);
    drop(second);
}

fn a_stream_of_each_kind_without_a_name() {
    let ring = || annulus::create("r").backend(Backend::Anonymous).capacity(1000);
    let mut out = [0_u64; 8];

    let mut producer = ring().kind(Kind::Spsc).producer::<u64>().unwrap();
    let mut consumer = annulus::open_fd(producer.share().unwrap()).consumer::<u64>().unwrap();
    producer.push(&[1, 2, 3]).unwrap();
    assert_eq!(consumer.read(&mut out, wait()).unwrap().frames, 3);
    let capacity = producer.info().capacity as usize;
    producer.push(&vec![4; capacity]).unwrap();
    assert_eq!(producer.push(&[5]), Err(PushError::Full));

    // Whoever comes first makes it, a consumer as well.
    let mut consumer = ring().kind(Kind::Mpmc).producers(2).group_consumer::<u64>().unwrap();
    let join = || annulus::open_fd(consumer.share().unwrap()).producer::<u64>().unwrap();
    let (mut one, mut two) = (join(), join());
    let full = annulus::open_fd(consumer.share().unwrap()).producer::<u64>().unwrap_err();
    assert!(matches!(full, Error::NoFreeLane { capacity: 2, .. }), "{full}");
    one.push(&[1]).unwrap();
    two.push(&[2]).unwrap();
    let mut taken: Vec<u64> = Vec::new();
    while taken.len() < 2 {
        let read = consumer.read(&mut out, wait()).unwrap();
        taken.extend(&out[..read.frames]);
    }
    taken.sort_unstable();
    assert_eq!(taken, [1, 2]);

    let mut producer = ring().lossless(1).at_limit(AtLimit::Full).producer::<u64>().unwrap();
    let recorder = annulus::open_fd(producer.share().unwrap()).lossless().observer::<u64>().unwrap();
    producer.push(&vec![1; capacity]).unwrap();
    assert_eq!(producer.push(&[2]), Err(PushError::Full));
    drop(recorder);
    producer.push(&[2]).unwrap();

    // All have left, and whoever still has a descriptor carries on.
    let kept = producer.share().unwrap();
    drop(producer);
    let producer = annulus::open_fd(kept.try_clone().unwrap()).producer::<u64>().unwrap();
    assert_eq!(producer.position(), capacity as u64 + 1);
    assert!(producer.is_named());
    let refused = annulus::open_fd(kept).remove().unwrap_err();
    assert!(matches!(refused, Error::BadParameter { .. }), "{refused}");
}

fn sealed_memory_only() {
    let producer = stream().producer::<u64>().unwrap();
    let object = File::from(producer.share().unwrap());
    assert!(object.set_len(0).is_err(), "it can be cut off");
    assert!(object.set_len(1 << 30).is_err(), "it can be extended");
    let seals = rustix::fs::fcntl_get_seals(&object).unwrap();
    assert!(seals.contains(SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW), "{seals:?}");

    // The same bytes in memory that can be cut off under its readers.
    let bytes = object.metadata().unwrap().len();
    let mut whole = vec![0; bytes as usize];
    object.read_exact_at(&mut whole, 0).unwrap();
    let copy = |seals: SealFlags| {
        let copy = File::from(rustix::fs::memfd_create("copy", MemfdFlags::ALLOW_SEALING).unwrap());
        copy.write_all_at(&whole, 0).unwrap();
        rustix::fs::fcntl_add_seals(&copy, seals).unwrap();
        annulus::open_fd(copy).observer::<u64>()
    };
    let refused = copy(SealFlags::empty()).unwrap_err();
    assert!(matches!(refused, Error::NotAStream { .. }), "{refused}");
    assert!(copy(SealFlags::SHRINK | SealFlags::GROW).is_ok());

    // What is none at all.
    for nonsense in ["/dev/null", "/", "Cargo.toml"] {
        let refused = annulus::open_fd(File::open(nonsense).unwrap()).observer::<u64>().unwrap_err();
        assert!(matches!(refused, Error::NotAStream { .. }), "{nonsense}: {refused}");
    }
}

fn a_descriptor_of_a_stream_with_a_name() {
    let place = Place::new();
    let mut producer = place.create("s").producer::<u64>().unwrap();
    let mut reader = annulus::open_fd(producer.share().unwrap()).observer::<u64>().unwrap();
    producer.push(&[7]).unwrap();
    let mut out = [0; 2];
    assert_eq!(reader.read(&mut out, wait()).unwrap().frames, 1);
    // It learns of what becomes of the name.
    drop(producer);
    let other = place.create("s").existing(Existing::Replace).producer::<u64>().unwrap();
    let end = reader.read(&mut out, wait()).unwrap_err();
    assert!(matches!(end, ReadError::Replaced), "{end}");
    drop(other);
}

// ---- System V segments.

fn backend(name: &str) -> Backend {
    match name {
        "SystemV" => Backend::SystemV,
        #[cfg(feature = "portable")]
        "Portable" => Backend::Portable,
        other => panic!("no backend {other} here"),
    }
}

fn elsewhere(place: &Path, backend: Backend) -> Builder {
    annulus::create("s").directory(place).backend(backend).capacity(1000)
}

fn segments(place: &Place) -> Builder {
    elsewhere(place.path(), Backend::SystemV)
}

fn segment_of(place: &Place) -> i32 {
    support::segment_of(&place.path().join("s@v1.l1"))
}

fn memory_of(place: &Place) -> shm::Place {
    support::memory_of(&place.path().join("s@v1.l1")).unwrap()
}

fn is_there(memory: &shm::Place) -> bool {
    shm::list().unwrap().iter().any(|one| one.place == *memory)
}

/// As `ipcrm` does it, which knows nothing of streams.
fn a_segment_that_is_removed_takes_its_stream_along() {
    let place = Place::new();
    let mut producer = segments(&place).producer::<u64>().unwrap();
    let mut reader = place.open("s").observer::<u64>().unwrap();
    assert_eq!(producer.info().backend, Backend::SystemV);
    producer.push(&[1]).unwrap();
    shm::remove(shm::Place::id(segment_of(&place))).unwrap();
    assert!(!producer.is_named() && !reader.is_named());
    producer.push(&[2]).unwrap(); // those who have it have it
    let mut out = [0; 4];
    assert_eq!(reader.read(&mut out, wait()).unwrap().frames, 2);

    // Whoever comes by says so to those who have it.
    let gone = place.open("s").observer::<u64>().unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    assert_eq!(place.objects(), [""; 0]);
    assert_eq!(producer.push(&[3]), Err(PushError::Removed));
    assert_eq!(reader.read(&mut out, wait()), Err(ReadError::Replaced));
    drop((producer, reader));

    // One that nobody has is gone at once, and made anew.
    for existing in [Existing::Refuse, Existing::Resume, Existing::Replace] {
        drop(segments(&place).keep(true).producer::<u64>().unwrap());
        let id = segment_of(&place);
        shm::remove(shm::Place::id(id)).unwrap();
        let again = segments(&place).existing(existing).producer::<u64>().unwrap();
        assert_eq!(again.position(), 0);
        assert_ne!(segment_of(&place), id);
    }
    assert_eq!(place.objects(), [""; 0]);
}

/// One that says that it is being made, of a process that is no more.
#[allow(unsafe_code)]
fn what_a_killed_maker_of_segments_left_is_swept() {
    let place = Place::new();
    // SAFETY: the child makes one system call and ends; the calls take numbers only.
    let left = unsafe {
        let mut pipe = [0; 2];
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let id = libc::shmget(libc::IPC_PRIVATE, 5000, libc::IPC_CREAT | 0o611);
            libc::write(pipe[1], (&raw const id).cast(), 4);
            libc::_exit(0);
        }
        let mut id = 0_i32;
        assert_eq!(libc::read(pipe[0], (&raw mut id).cast(), 4), 4);
        libc::waitpid(child, std::ptr::null_mut(), 0);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        id
    };
    let ours = shm::at(shm::Place::Key(shm::Key::PRIVATE)).size(5000).create_new().unwrap();
    drop(segments(&place).producer::<u64>().unwrap());
    assert!(!is_there(&shm::Place::id(left)), "segment {left} is still there");
    assert!(is_there(&shm::Place::id(ours.id().unwrap())), "another one was swept, too");
    ours.remove().unwrap();
}

fn a_segment_keeps_what_a_crash_left() {
    keeps_what_a_crash_left("SystemV");
}

fn keeps_what_a_crash_left(role: &str) {
    let place = Place::new();
    let ring = || elsewhere(place.path(), backend(role)).kind(Kind::Spsc);
    let mut consumer = ring().consumer::<u64>().unwrap();
    let mut actor = Actor::start(&place, role);
    assert_eq!(actor.line(), "ready");
    let memory = memory_of(&place);
    let mut out = [0; 4];
    assert_eq!(consumer.read(&mut out, wait()).unwrap().frames, 1);
    drop(consumer);
    actor.kill();
    assert!(is_there(&memory), "it went with its producer");
    let producer = ring().producer::<u64>().unwrap();
    assert_eq!((producer.position(), memory_of(&place)), (1, memory.clone()));
    drop(producer);
    assert!(!is_there(&memory), "it stays for ever");
}

// ---- Objects of the crate `shared_memory`.

#[cfg(feature = "portable")]
mod portable {
    use super::*;
    use std::fs;

    fn streams(place: &Place) -> Builder {
        elsewhere(place.path(), Backend::Portable)
    }

    /// What is noted of objects that are being made, where the user's streams are.
    #[allow(unsafe_code)]
    fn makers() -> PathBuf {
        // SAFETY: it has no preconditions.
        PathBuf::from(format!("/dev/shm/annulus-{}", unsafe { libc::geteuid() }))
    }

    pub(super) fn a_crash_leaves_it() {
        keeps_what_a_crash_left("Portable");
    }

    pub(super) fn one_that_is_removed_takes_its_stream_along() {
        let place = Place::new();
        let mut producer = streams(&place).producer::<u64>().unwrap();
        let mut reader = place.open("s").observer::<u64>().unwrap();
        assert_eq!(producer.info().backend, Backend::Portable);
        assert!(producer.is_named() && reader.is_named());
        shm::remove(memory_of(&place)).unwrap();
        assert!(!producer.is_named() && !reader.is_named());
        producer.push(&[1, 2]).unwrap(); // those who have it have it
        let mut out = [0; 4];
        assert_eq!(reader.read(&mut out, wait()).unwrap().frames, 2);
        let gone = place.open("s").observer::<u64>().unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
        assert_eq!(place.objects(), [""; 0]);
        // Those who have it leave what has its name now alone.
        let other = streams(&place).producer::<u64>().unwrap();
        drop((producer, reader));
        assert!(other.is_named());
        drop(other);
        assert_eq!(place.objects(), [""; 0]);

        for existing in [Existing::Refuse, Existing::Resume, Existing::Replace] {
            drop(streams(&place).keep(true).producer::<u64>().unwrap());
            let memory = memory_of(&place);
            shm::remove(&memory).unwrap();
            let again = streams(&place).existing(existing).producer::<u64>().unwrap();
            assert_eq!(again.position(), 0);
            assert_ne!(memory_of(&place), memory);
        }
        // One that is damaged goes with its memory.
        let kept = streams(&place).keep(true).producer::<u64>().unwrap();
        drop(kept);
        let memory = memory_of(&place);
        shm::at(&memory).open().unwrap().map().unwrap().set(0, 0u64).unwrap();
        place.open("s").remove_forcibly().unwrap();
        assert!(!is_there(&memory) && place.objects().is_empty());
    }

    pub(super) fn what_a_killed_maker_left_is_swept() {
        let place = Place::new();
        let living = streams(&place).producer::<u64>().unwrap();
        let memory = memory_of(&place);
        let shm::Place::Posix(name) = &memory else { panic!("{memory}") };
        let living_name = name.to_str().unwrap().strip_prefix("/annulus.").unwrap().to_owned();
        let left = format!("left{}", std::process::id());
        let object = PathBuf::from(format!("/dev/shm/annulus.{left}"));
        let note = |name: &str| makers().join(format!("@shm.stream-{name}"));
        let place_of = place.path().join("s@v1.l1").into_os_string().into_encoded_bytes();
        // The directory comes and goes with others' streams.
        let put = |name: &str| {
            while fs::write(note(name), &place_of).is_err() {
                let _ = fs::DirBuilder::new().mode(0o700).create(makers());
            }
        };
        fs::write(&object, [0; 5000]).unwrap();
        put(&left); // killed before it was named
        put(&living_name); // killed between naming it and saying so
        let other = Place::new();
        drop(streams(&other).producer::<u64>().unwrap());
        assert!(!object.exists(), "it is still there");
        assert!(is_there(&memory), "another one was swept, too");
        assert!(!note(&left).exists() && !note(&living_name).exists());
        drop(living);
        assert!(!is_there(&memory));
    }

    pub(super) fn makers_killed_anywhere() {
        let place = Place::new();
        let mut random = support::random(0x5EED);
        for _ in 0..25 {
            let mut actor = Actor::start(&place, "remaker");
            assert_eq!(actor.line(), "begins");
            std::thread::sleep(Duration::from_micros(random() % 5000));
            actor.kill();
            drop(streams(&place).producer::<u64>().unwrap());
            assert_eq!(place.objects(), [""; 0]);
        }
        let notes = fs::read_dir(makers()).into_iter().flatten().flatten();
        let about_this = |note: fs::DirEntry| {
            let note = fs::read(note.path()).unwrap_or_default();
            note.starts_with(place.path().as_os_str().as_encoded_bytes())
        };
        assert!(!notes.into_iter().any(about_this), "something was never swept");
    }

    pub(super) fn what_has_its_name_and_another_size_is_not_it() {
        let place = Place::new();
        drop(streams(&place).keep(true).producer::<u64>().unwrap());
        let memory = memory_of(&place);
        shm::remove(&memory).unwrap();
        let other = shm::at(&memory).size(100).create_new().unwrap();
        let gone = place.open("s").observer::<u64>().unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
        assert_eq!(place.objects(), [""; 0]);
        assert!(!other.is_removed().unwrap(), "it is none of ours");
        other.remove().unwrap();
    }
}

// ---- Files.

/// A directory on a disk.
struct Disk(PathBuf);

impl Disk {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("annulus-test-{}-{name}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    fn create(&self) -> Builder {
        annulus::create("s").directory(&self.0).backend(Backend::File).capacity(1000)
    }

    fn open(&self) -> annulus::Open {
        annulus::open("s").directory(&self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn a_file_outlives_its_processes() {
    let disk = Disk::new("outlives");
    let mut producer = disk.create().keep(true).producer::<u64>().unwrap();
    producer.push(&[1, 2, 3]).unwrap();
    assert_eq!(producer.info().backend, Backend::File);
    drop(producer);
    let mut reader = disk.open().start(Start::Oldest).observer::<u64>().unwrap();
    let mut out = [0; 8];
    assert_eq!(reader.read(&mut out, wait()).unwrap().frames, 3);
    assert!(!reader.info().earlier_boot);
    drop(reader);
    let producer = disk.create().keep(true).producer::<u64>().unwrap();
    assert_eq!(producer.position(), 3);
}

/// Writes another boot into the descriptor, as if the machine had been started anew.
fn grow_old(object: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(object).unwrap();
    let mut word = [0; 8];
    file.read_exact_at(&mut word, 0x28).unwrap();
    let mut descriptor = vec![0; u64::from_le_bytes(word) as usize];
    file.read_exact_at(&mut descriptor, 0).unwrap();
    descriptor[0xC0] ^= 1;
    descriptor[0x0C..0x10].fill(0);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&descriptor);
    descriptor[0x0C..0x10].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&descriptor, 0).unwrap();
}

fn a_file_of_an_earlier_boot_vouches_for_nothing() {
    let disk = Disk::new("old");
    let create = || disk.create().keep(true).kind(Kind::Spsc);
    let mut producer = create().producer::<u64>().unwrap();
    producer.push(&[1, 2, 3]).unwrap();
    drop(producer);
    grow_old(&disk.0.join("s@v1.l1"));

    let mut reader = disk.open().start(Start::Oldest).observer::<u64>().unwrap();
    assert!(reader.info().earlier_boot && disk.open().status().unwrap().info.earlier_boot);
    let mut out = [0; 8];
    assert_eq!(reader.read(&mut out, wait()).unwrap().frames, 3);
    for refused in [disk.open().producer::<u64>().err(), disk.open().consumer::<u64>().err()] {
        assert!(matches!(refused, Some(Error::EarlierBoot { .. })), "{refused:?}");
    }
    let producer = create().producer::<u64>().unwrap();
    assert_eq!(producer.position(), 0);
    assert!(!producer.info().earlier_boot);
    let end = reader.read(&mut out, wait()).unwrap_err();
    assert!(matches!(end, ReadError::Replaced), "{end}");
}

fn files_are_asked_for() {
    let disk = Disk::new("asked");
    let unasked = disk.create().backend(Backend::Posix).producer::<u64>().unwrap_err();
    assert!(matches!(unasked, Error::UnfitDirectory { .. }), "{unasked}");
    let nowhere = annulus::create("s").backend(Backend::File).producer::<u64>().unwrap_err();
    assert!(matches!(nowhere, Error::BadParameter { .. }), "{nowhere}");
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 0);
}
