//! What the system itself offers, on Linux: a pipe and a Unix stream socket, and memory that both sides map with an eventfd to wake by.
//!
//! Pipe and socket are as large as the system lets them be (a pipe 1 MiB), writers wait in the kernel, and readers take what is there
//! at one go, up to 64 KiB, without waiting until they are told to sleep.
//!
//! What they do not do that annulus does: reach a second reader, keep history, survive a reader's death (`EPIPE`), and the
//! first two anything without a system call; the ring beside the eventfd is the barest one, without names or peers.

use crate::limits::{Bare, BareRx, BareTx};
use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::Place;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::{io, slice};

/// Which of the two streams.
pub trait Stream: Sync {
    /// Its two ends: to write to, to read from.
    fn ends() -> io::Result<(OwnedFd, OwnedFd)>;
}

pub struct APipe;

impl Stream for APipe {
    fn ends() -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = io::pipe()?;
        // SAFETY: a descriptor of ours. Where it may not be so large it stays as it is.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
        Ok((write.into(), read.into()))
    }
}

pub struct ASocket;

impl Stream for ASocket {
    fn ends() -> io::Result<(OwnedFd, OwnedFd)> {
        let (write, read) = UnixStream::pair()?;
        let bytes: libc::c_int = 1 << 20;
        // SAFETY: a descriptor of ours, and a number as long as is said. It gives as much as it may.
        unsafe {
            let size = size_of_val(&bytes) as libc::socklen_t;
            libc::setsockopt(
                write.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw const bytes).cast(),
                size,
            );
        }
        Ok((write.into(), read.into()))
    }
}

pub type Pipe<const N: usize> = Bytes<N, APipe>;
pub type Socket<const N: usize> = Bytes<N, ASocket>;

pub struct Bytes<const N: usize, S> {
    write: File,
    read: File,
    which: PhantomData<S>,
}

impl<const N: usize, S: Stream> Link<N> for Bytes<N, S> {
    const PLACE: Place = Place::Process;
    type Tx = BytesTx;
    type Rx = BytesRx<N>;

    fn new(_: usize) -> Self {
        let (write, read) = S::ends().expect("two ends");
        Self { write: write.into(), read: read.into(), which: PhantomData }
    }

    fn tx(&self) -> BytesTx {
        BytesTx(self.write.try_clone().expect("a descriptor"))
    }

    fn rx(&self) -> BytesRx<N> {
        let file = self.read.try_clone().expect("a descriptor");
        waits(&file, false);
        let frames = (65536 / size_of::<Frame<N>>()).max(1);
        BytesRx { file, waits: false, block: vec![[0; N]; frames], bytes: 0, at: 0 }
    }
}

fn waits(file: &File, yes: bool) {
    let flags = if yes { 0 } else { libc::O_NONBLOCK };
    // SAFETY: a descriptor of ours.
    let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
}

fn bytes_of<const N: usize>(frames: &[Frame<N>]) -> &[u8] {
    // SAFETY: words are bytes, all of them set.
    unsafe { slice::from_raw_parts(frames.as_ptr().cast(), size_of_val(frames)) }
}

fn bytes_of_mut<const N: usize>(frames: &mut [Frame<N>]) -> &mut [u8] {
    // SAFETY: as above, and any bytes are words.
    unsafe { slice::from_raw_parts_mut(frames.as_mut_ptr().cast(), size_of_val(frames)) }
}

pub struct BytesTx(File);

impl<const N: usize> Tx<N> for BytesTx {
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.send_all(slice::from_ref(frame))
    }

    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        self.0.write_all(bytes_of(frames)).expect("written");
        true
    }
}

pub struct BytesRx<const N: usize> {
    file: File,
    waits: bool,
    block: Vec<Frame<N>>,
    /// How many bytes of the block were read, and how many frames of it were shown.
    bytes: usize,
    at: usize,
}

impl<const N: usize> BytesRx<N> {
    fn whole(&self) -> usize {
        self.bytes / size_of::<Frame<N>>() - self.at
    }

    /// Reads what is there into the block, all of whose whole frames were shown.
    fn fill(&mut self) {
        let shown = self.at * size_of::<Frame<N>>();
        let block = bytes_of_mut(&mut self.block);
        block.copy_within(shown..self.bytes, 0);
        (self.bytes, self.at) = (self.bytes - shown, 0);
        match self.file.read(&mut block[self.bytes..]) {
            Ok(0) => panic!("the other side has closed it"),
            Ok(bytes) => self.bytes += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => (),
            Err(error) => panic!("{error}"),
        }
    }
}

impl<const N: usize> Rx<N> for BytesRx<N> {
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        if self.whole() == 0 {
            self.fill();
        }
        let frames = self.whole().min(most);
        self.block[self.at..self.at + frames].iter().for_each(look);
        self.at += frames;
        frames
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        if !self.waits {
            waits(&self.file, true);
            self.waits = true;
        }
        while self.receive(1, &mut look) == 0 {}
    }
}

/// The barest ring, and an eventfd that is counted up with every frame.
pub struct Eventfd<const N: usize> {
    ring: Bare<N>,
    event: File,
}

impl<const N: usize> Link<N> for Eventfd<N> {
    const PLACE: Place = Place::Process;
    type Tx = EventfdTx<N>;
    type Rx = EventfdRx<N>;

    fn new(capacity: usize) -> Self {
        // SAFETY: makes a descriptor.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        assert!(event >= 0, "no eventfd: {}", io::Error::last_os_error());
        // SAFETY: it is ours.
        Self { ring: Bare::new(capacity), event: unsafe { File::from_raw_fd(event) } }
    }

    fn tx(&self) -> EventfdTx<N> {
        EventfdTx { ring: self.ring.tx(), event: self.event.try_clone().expect("a descriptor") }
    }

    fn rx(&self) -> EventfdRx<N> {
        EventfdRx { ring: self.ring.rx(), event: self.event.try_clone().expect("a descriptor") }
    }
}

pub struct EventfdTx<const N: usize> {
    ring: BareTx<N>,
    event: File,
}

impl<const N: usize> Tx<N> for EventfdTx<N> {
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.ring.send(frame) && self.event.write_all(&1u64.to_ne_bytes()).is_ok()
    }
}

pub struct EventfdRx<const N: usize> {
    ring: BareRx<N>,
    event: File,
}

impl<const N: usize> Rx<N> for EventfdRx<N> {
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        self.ring.receive(most, look)
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        // Every frame was counted, or will be: first to the counter, then to the ring.
        while self.ring.receive(1, &mut look) == 0 {
            self.event.read_exact(&mut [0; 8]).expect("an event");
        }
    }
}
