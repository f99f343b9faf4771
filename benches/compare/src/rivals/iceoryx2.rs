//! iceoryx2 0.10: services between processes; samples are loaned from the publisher's own memory, written and read there.
//!
//! [`Lossless`] is publish-subscribe without overflow: the publisher retries until its subscriber has room, as is its default.
//! [`Slices`] is the same with many frames in each sample, its way of batches. [`Fan`] overflows: the oldest sample makes room.
//! [`Lossless::asleep`] adds an event service, by which it wakes. Each link has a root directory and a prefix of its own, so
//! that nothing of another service is looked at, and so that what a killed side left can be removed.
//!
//! What it does not do that annulus does: count what overflowed, show past samples to who comes later beyond a fixed history of
//! whole samples, wake for several frames at once, give one frame to one of several consumers, carry a signal's metadata.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, unique};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::*;
use iceoryx2::sample::Sample;
use iceoryx2::service::builder::publish_subscribe::Builder;
use iceoryx2::service::port_factory::event::PortFactory as Events;
use std::fmt::Debug;
use std::fs;
use std::time::{Duration, Instant};

/// Where a link's files are: a directory, and names in /dev/shm that start alike.
struct Root(String);

impl Root {
    fn new() -> Self {
        set_log_level(LogLevel::Error);
        Self(unique("iceoryx2"))
    }

    fn directory(&self) -> String {
        format!("/tmp/{}", self.0)
    }

    fn node(&self) -> Node<ipc::Service> {
        let mut config = Config::default();
        config.global.prefix = self.0.as_str().try_into().expect("a prefix");
        config.global.set_root_path(&self.directory().as_str().try_into().expect("a path"));
        NodeBuilder::new().config(&config).create().expect("a node")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.directory()); // it is only there if a side had a node
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.0) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn name() -> ServiceName {
    "compare".try_into().expect("a name")
}

/// How a link's service is to be.
#[derive(Clone, Copy)]
struct Quality {
    capacity: usize,
    subscribers: usize,
    overflow: bool,
}

impl Quality {
    fn service<T: Debug + IceoryxSend + ZeroCopySend + ?Sized>(
        self,
        node: &Node<ipc::Service>,
    ) -> Builder<T, (), ipc::Service> {
        let service = node.service_builder(&name()).publish_subscribe::<T>();
        let service = service.enable_safe_overflow(self.overflow).subscriber_max_buffer_size(self.capacity);
        service.max_subscribers(self.subscribers).max_publishers(1).history_size(1)
    }
}

fn lossless(capacity: usize) -> Quality {
    Quality { capacity, subscribers: 1, overflow: false }
}

fn fan(capacity: usize) -> Quality {
    Quality { capacity, subscribers: 16, overflow: true }
}

/// Single frames, nothing lost.
pub struct Lossless<const N: usize> {
    root: Root,
    quality: Quality,
    sleeps: bool,
}

impl<const N: usize> Lossless<N> {
    /// One that wakes by an event.
    pub fn asleep(capacity: usize) -> Self {
        Self { sleeps: true, ..Self::new(capacity) }
    }
}

impl<const N: usize> Link<N> for Lossless<N> {
    const PLACE: Place = Place::Process;
    type Tx = FrameTx<N>;
    type Rx = FrameRx<N>;

    fn new(capacity: usize) -> Self {
        Self { root: Root::new(), quality: lossless(capacity), sleeps: false }
    }

    fn tx(&self) -> FrameTx<N> {
        FrameTx::new(self.root.node(), self.quality, self.sleeps)
    }

    fn rx(&self) -> FrameRx<N> {
        FrameRx::new(self.root.node(), self.quality, self.sleeps)
    }
}

/// Single frames to many; who is slow loses the oldest.
pub struct Fan<const N: usize> {
    root: Root,
    quality: Quality,
}

impl<const N: usize> Link<N> for Fan<N> {
    const PLACE: Place = Place::Process;
    type Tx = FrameTx<N>;
    type Rx = FrameRx<N>;

    fn new(capacity: usize) -> Self {
        Self { root: Root::new(), quality: fan(capacity) }
    }

    fn tx(&self) -> FrameTx<N> {
        FrameTx::new(self.root.node(), self.quality, false)
    }

    fn rx(&self) -> FrameRx<N> {
        FrameRx::new(self.root.node(), self.quality, false)
    }
}

/// Ports are dropped before their node.
pub struct FrameTx<const N: usize> {
    publisher: Publisher<ipc::Service, Frame<N>, ()>,
    notifier: Option<Notifier<ipc::Service>>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> FrameTx<N> {
    fn new(node: Node<ipc::Service>, quality: Quality, wakes: bool) -> Self {
        let service = quality.service::<Frame<N>>(&node).open_or_create().expect("a service");
        let publisher = service.publisher_builder().create().expect("a publisher");
        let notifier = wakes.then(|| events(&node).notifier_builder().create().expect("a notifier"));
        Self { publisher, notifier, _node: node }
    }
}

fn events(node: &Node<ipc::Service>) -> Events<ipc::Service> {
    node.service_builder(&name()).event().open_or_create().expect("an event service")
}

impl<const N: usize> Tx<N> for FrameTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        let mut sample = self.publisher.loan_uninit().expect("a sample");
        sample.payload_mut().write(*frame);
        // SAFETY: written.
        unsafe { sample.assume_init() }.send().expect("delivered");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("notified");
        }
        true
    }
}

pub struct FrameRx<const N: usize> {
    subscriber: Subscriber<ipc::Service, Frame<N>, ()>,
    listener: Option<Listener<ipc::Service>>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> FrameRx<N> {
    fn new(node: Node<ipc::Service>, quality: Quality, sleeps: bool) -> Self {
        let service = quality.service::<Frame<N>>(&node).open_or_create().expect("a service");
        let listener = sleeps.then(|| events(&node).listener_builder().create().expect("a listener"));
        let subscriber = service.subscriber_builder().create().expect("a subscriber");
        Self { subscriber, listener, _node: node }
    }
}

impl<const N: usize> Rx<N> for FrameRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(sample) = self.subscriber.receive().expect("a connection")
        {
            look(&sample);
            taken += 1;
        }
        taken
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        while self.receive(1, &mut look) == 0 {
            let listener = self.listener.as_ref().expect("made by `asleep`");
            listener.blocking_wait(|_| {}).expect("an event");
        }
    }
}

/// Most frames that a sample of [`Slices`] has.
const SLICE: usize = 64;

/// Many frames in each sample, nothing lost.
pub struct Slices<const N: usize> {
    root: Root,
    quality: Quality,
}

impl<const N: usize> Link<N> for Slices<N> {
    const PLACE: Place = Place::Process;
    type Tx = SlicesTx<N>;
    type Rx = SlicesRx<N>;

    fn new(capacity: usize) -> Self {
        Self { root: Root::new(), quality: lossless(capacity.div_ceil(SLICE).max(2)) }
    }

    fn tx(&self) -> SlicesTx<N> {
        let node = self.root.node();
        let service = self.quality.service::<[Frame<N>]>(&node).open_or_create().expect("a service");
        let publisher = service.publisher_builder().initial_max_slice_len(SLICE);
        SlicesTx { publisher: publisher.create().expect("a publisher"), _node: node }
    }

    fn rx(&self) -> SlicesRx<N> {
        let node = self.root.node();
        let service = self.quality.service::<[Frame<N>]>(&node).open_or_create().expect("a service");
        let subscriber = service.subscriber_builder().create().expect("a subscriber");
        SlicesRx { sample: None, at: 0, subscriber, _node: node }
    }
}

pub struct SlicesTx<const N: usize> {
    publisher: Publisher<ipc::Service, [Frame<N>], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> Tx<N> for SlicesTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.send_all(std::slice::from_ref(frame))
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let sample = self.publisher.loan_slice_uninit(frames.len()).expect("a sample");
        sample.write_from_slice(frames).send().expect("delivered");
        true
    }
}

pub struct SlicesRx<const N: usize> {
    /// What was not looked at to its end.
    sample: Option<Sample<ipc::Service, [Frame<N>], ()>>,
    at: usize,
    subscriber: Subscriber<ipc::Service, [Frame<N>], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> Rx<N> for SlicesRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        if self.sample.is_none() {
            (self.sample, self.at) = (self.subscriber.receive().expect("a connection"), 0);
        }
        let Some(sample) = &self.sample else { return 0 };
        let rest = &sample[self.at..];
        let frames = rest.len().min(most);
        rest[..frames].iter().for_each(look);
        self.at += frames;
        if self.at == sample.len() {
            self.sample = None;
        }
        frames
    }
}

/// Attaching a subscriber to a service that is there, with a publisher; this process's node is there too. Its first frame
/// comes when the publisher next looks who there is, so that is in it.
pub struct AttachService {
    publisher: Publisher<ipc::Service, Frame<8>, ()>,
    node: Node<ipc::Service>,
    _root: Root,
}

impl Attach for AttachService {
    fn new() -> Self {
        let root = Root::new();
        let node = root.node();
        let service = fan(64).service::<Frame<8>>(&node).open_or_create().expect("a service");
        let publisher = service.publisher_builder().create().expect("a publisher");
        publisher.send_copy([1; 8]).expect("sent");
        Self { publisher, node, _root: root }
    }

    fn once(&self) -> Duration {
        let start = Instant::now();
        let open = self.node.service_builder(&name()).publish_subscribe::<Frame<8>>().open();
        let subscriber = open.expect("the service").subscriber_builder().create().expect("a subscriber");
        self.publisher.update_connections().expect("connected");
        let sample = subscriber.receive().expect("a connection").expect("the newest sample");
        let took = start.elapsed();
        assert_eq!(*sample, [1; 8]);
        took
    }
}
