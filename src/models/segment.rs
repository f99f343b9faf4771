//! What the models run on in the place of a mapped segment: the same lane, made of loom's atomics, on the heap.
//!
//! It is the twin of `segment::Lane`, method for method, so that everything above it is compiled unchanged.
//! Nothing here synchronises: the memory is a plain `Arc` of the standard library, which loom does not see, so
//! the only edges between the threads of a model are those of the shipped code.

use crate::copy::Words;
use crate::index::Geometry;
use crate::layout::{BreachWords, GatingLine, LIVE, NONE, ProducerLine, SpaceLine};
use crate::sync::{AtomicU64, EventWord};
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

struct Memory {
    producer: ProducerLine,
    owner: AtomicU64,
    head: AtomicU64,
    armed: AtomicU64,
    armed_group: AtomicU64,
    space: SpaceLine,
    stream: Arc<Stream>,
    gating: Vec<GatingLine>,
    breaches: BreachWords,
    words: Vec<AtomicU64>,
}

/// What the lanes of a stream share.
struct Stream {
    data_event: EventWord,
    group_event: EventWord,
    state: AtomicU64,
    shared: bool,
}

/// One lane, for a handle to keep.
pub(crate) struct Lane {
    index: u32,
    geometry: Geometry,
    memory: Arc<Memory>,
}

impl Lane {
    /// A lane of `capacity` frames of `frame_words` words, of which everything before `head` was consumed and
    /// everything before `tail` published. `word` gives each word by its frame's position and its place in the
    /// frame. Only inside a model.
    pub(crate) fn begun(
        capacity: u64,
        frame_words: u64,
        head: u64,
        tail: u64,
        word: impl Fn(u64, u64) -> u64,
    ) -> Self {
        let stream = Stream {
            data_event: EventWord::new(0),
            group_event: EventWord::new(0),
            state: AtomicU64::new(LIVE),
            shared: false,
        };
        Self::of(&Arc::new(stream), capacity, frame_words, head, tail, word)
    }

    /// The lanes of an empty work queue, of frames of one word.
    pub(crate) fn queue<const LANES: usize>(capacity: u64) -> [Self; LANES] {
        let stream = Arc::new(Stream {
            data_event: EventWord::new(0),
            group_event: EventWord::new(0),
            state: AtomicU64::new(LIVE),
            shared: true,
        });
        core::array::from_fn(|index| Self {
            index: index as u32,
            ..Self::of(&stream, capacity, 1, 0, 0, |_, _| 0)
        })
    }

    fn of(
        stream: &Arc<Stream>,
        capacity: u64,
        frame_words: u64,
        head: u64,
        tail: u64,
        word: impl Fn(u64, u64) -> u64,
    ) -> Self {
        let mut words = vec![0; (capacity * frame_words) as usize];
        for position in tail.saturating_sub(capacity)..tail {
            for place in 0..frame_words {
                words[(position % capacity * frame_words + place) as usize] = word(position, place);
            }
        }
        let memory = Memory {
            producer: ProducerLine {
                tail: AtomicU64::new(tail),
                intent: AtomicU64::new(tail),
                epoch: AtomicU64::new(0),
                end: AtomicU64::new(NONE),
                limit: AtomicU64::new(0),
                epoch_start: AtomicU64::new(0),
            },
            owner: AtomicU64::new(0),
            head: AtomicU64::new(head),
            armed: AtomicU64::new(NONE),
            armed_group: AtomicU64::new(NONE),
            space: SpaceLine { armed: AtomicU64::new(NONE), seq: EventWord::new(0) },
            stream: Arc::clone(stream),
            gating: Vec::new(),
            breaches: BreachWords { times: AtomicU64::new(0), frames: AtomicU64::new(0) },
            words: words.into_iter().map(AtomicU64::new).collect(),
        };
        Self { index: 0, geometry: Geometry::model(capacity, frame_words * 8), memory: Arc::new(memory) }
    }

    /// With so many seats for lossless readers, all of them free. Right after it was begun.
    pub(crate) fn with_lossless(mut self, seats: usize) -> Self {
        let memory = Arc::get_mut(&mut self.memory).expect("nobody has it yet");
        memory.gating = (0..seats).map(|_| GatingLine { cursor: AtomicU64::new(NONE) }).collect();
        self
    }

    /// The same lane, for another handle.
    pub(crate) fn again(&self) -> Self {
        Self { index: self.index, geometry: self.geometry, memory: Arc::clone(&self.memory) }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn producer(&self) -> &ProducerLine {
        &self.memory.producer
    }

    pub(crate) fn head(&self) -> &AtomicU64 {
        &self.memory.head
    }

    pub(crate) fn armed(&self) -> &AtomicU64 {
        &self.memory.armed
    }

    pub(crate) fn space(&self) -> &SpaceLine {
        &self.memory.space
    }

    pub(crate) fn gating(&self) -> &[GatingLine] {
        &self.memory.gating
    }

    pub(crate) fn owner(&self) -> &AtomicU64 {
        &self.memory.owner
    }

    pub(crate) fn breaches(&self) -> &BreachWords {
        &self.memory.breaches
    }

    pub(crate) fn data_event(&self) -> &EventWord {
        &self.memory.stream.data_event
    }

    pub(crate) fn armed_group(&self) -> &AtomicU64 {
        &self.memory.armed_group
    }

    pub(crate) fn group_event(&self) -> &EventWord {
        &self.memory.stream.group_event
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.memory.stream.shared
    }

    pub(crate) fn state(&self) -> &AtomicU64 {
        &self.memory.stream.state
    }

    /// Everybody in a model may arm.
    pub(crate) fn polling_pause(&self, _: u64) -> Option<Duration> {
        None
    }

    /// No model polls.
    pub(crate) fn due(&self, _: u64) -> Duration {
        Duration::ZERO
    }

    pub(crate) fn eights(&self) -> &[AtomicU64] {
        &self.memory.words
    }

    pub(crate) fn words(&self) -> Words<'_> {
        Words::Eight(&self.memory.words)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("geometry", &self.geometry).finish_non_exhaustive()
    }
}
