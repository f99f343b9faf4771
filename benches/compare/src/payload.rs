//! What is sent, and how it is looked at: every word of every frame. The first word of a frame is its position; the others say
//! which of a few frames it was copied from, and their own place in it.
//!
//! A frame is stamped well before it is copied: a wide load of what was just stored in a narrow one waits for the store
//! buffer, and that would be measured instead.

/// One frame.
pub type Frame<const N: usize> = [u64; N];

/// Frames that are sent in turn.
pub struct Source<const N: usize> {
    frames: Vec<Frame<N>>,
    position: u64,
}

/// How many frames there are to be copied from: they stay in the nearest cache.
const fn different(words: usize) -> usize {
    if words > 512 { 4 } else { 64 }
}

const fn tag<const N: usize>(position: u64) -> u64 {
    (position % different(N) as u64) << 32
}

impl<const N: usize> Source<N> {
    pub fn new() -> Self {
        let frame = |at: usize| {
            let mut frame = [0; N];
            for (word, index) in frame.iter_mut().zip(0..) {
                *word = tag::<N>(at as u64) + index;
            }
            frame[0] = at as u64;
            frame
        };
        Self { frames: (0..different(N)).map(frame).collect(), position: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next frame.
    #[inline(always)]
    pub fn frame(&self) -> &Frame<N> {
        &self.frames[self.position as usize % different(N)]
    }

    /// It was sent: its place is stamped for the next time.
    #[inline(always)]
    pub fn sent(&mut self) {
        self.frames[self.position as usize % different(N)][0] = self.position + different(N) as u64;
        self.position += 1;
    }
}

/// Looks at every word of what came.
pub struct Check<const N: usize> {
    position: u64,
    wrong: u64,
}

impl<const N: usize> Check<N> {
    pub fn new() -> Self {
        Self { position: 0, wrong: 0 }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// Of a lossy transport: frames up to `position` were missed.
    pub fn skip_to(&mut self, position: u64) {
        self.position = position;
    }

    #[inline(always)]
    pub fn frame(&mut self, frame: &Frame<N>) {
        let mut wrong = frame[0] ^ self.position;
        let tag = tag::<N>(self.position);
        for (word, index) in frame.iter().zip(0..).skip(1) {
            wrong |= word ^ (tag + index);
        }
        self.wrong |= wrong;
        self.position += 1;
    }

    /// Fails unless all was as it was sent.
    pub fn done(&self, frames: u64) {
        assert_eq!(self.position, frames, "frames that came");
        self.right();
    }

    pub fn right(&self) {
        assert_eq!(self.wrong, 0, "what came is not what was sent (up to {})", self.position);
    }
}
