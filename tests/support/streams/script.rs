//! An input as numbers. After its end there are zeros: `seeds/make.py` writes what a target asks for, in that order.

pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (now, later) = self.0.split_at(N.min(self.0.len()));
        taken[..now.len()].copy_from_slice(now);
        self.0 = later;
        taken
    }

    pub fn byte(&mut self) -> usize {
        let [byte] = self.take();
        byte.into()
    }

    pub fn short(&mut self) -> u64 {
        u16::from_le_bytes(self.take()).into()
    }

    /// A number of eight bytes, or, more often, one of those that matter, near `here`.
    pub fn word(&mut self, here: u64) -> u64 {
        let small = |script: &mut Self| script.short() as i16 as u64;
        match self.byte() % 8 {
            0 => u64::MAX,
            1 => self.short(),
            2 => 1 << (self.byte() % 64),
            3 => (1_u64 << (self.byte() % 64)).wrapping_add(small(self)),
            4 => u64::MAX.wrapping_add(small(self)),
            5 => here.wrapping_add(small(self)),
            6 => here ^ (1 << (self.byte() % 64)),
            _ => u64::from_le_bytes(self.take()),
        }
    }
}
