//! The file of an object whose memory is elsewhere: it has the name and the locks, and says where the memory is.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0x00 | u64 | magic, `annulus>` |
//! | 0x08 | u32 | layout |
//! | 0x0C | u32 | CRC-32C over the 512 bytes, with these four taken as zero |
//! | 0x10 | u32 | store: 1 System V, by its id; 2 Windows' page file, by its name; 3 the crate `shared_memory`, by its name |
//! | 0x14 | u32 | length of the text |
//! | 0x18 | u64 | bytes of the memory |
//! | 0x20 | [u8; 16] | instance: the same as in the memory's descriptor |
//! | 0x40 | text | which one: an id in decimal, or a name |

use crate::descriptor::{Unfit, checksum};
use crate::layout;

/// Bytes of such a file. As many as a descriptor has at least, so that one look tells them apart.
pub(crate) const BYTES: usize = layout::descriptor::FIXED;

const MAGIC: u64 = u64::from_le_bytes(*b"annulus>");
const TEXT: usize = 0x40;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) store: u32,
    pub(crate) bytes: u64,
    pub(crate) instance: [u8; 16],
    pub(crate) text: String,
}

impl Leader {
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut out = [0; BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x00, &MAGIC.to_le_bytes());
        put(0x08, &layout::LAYOUT.to_le_bytes());
        put(0x10, &self.store.to_le_bytes());
        put(0x14, &(self.text.len() as u32).to_le_bytes());
        put(0x18, &self.bytes.to_le_bytes());
        put(0x20, &self.instance);
        put(TEXT, self.text.as_bytes());
        let crc = checksum(&out);
        out[0x0C..0x10].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// What the first bytes of an object say. `None`: it leads nowhere, and is memory itself.
    pub(crate) fn decode(bytes: &[u8; BYTES]) -> Result<Option<Self>, Unfit> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if long(0x00) != MAGIC {
            return Ok(None);
        }
        if word(0x08) != layout::LAYOUT {
            return Err(Unfit::Layout(word(0x08)));
        }
        if word(0x0C) != checksum(bytes) {
            return Err(Unfit::Damaged("the checksum of what leads to its memory is wrong"));
        }
        let text = (word(0x14) as usize).checked_add(TEXT).and_then(|end| bytes.get(TEXT..end));
        let text = text.and_then(|text| core::str::from_utf8(text).ok());
        let text = text.ok_or(Unfit::Damaged("it does not say where its memory is"))?;
        let mut instance = [0; 16];
        instance.copy_from_slice(&bytes[0x20..0x30]);
        Ok(Some(Self { store: word(0x10), bytes: long(0x18), instance, text: text.into() }))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leader() -> Leader {
        Leader { store: 1, bytes: 1 << 40, instance: *b"0123456789abcdef", text: "32769".into() }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Leader::decode(&leader().encode()), Ok(Some(leader())));
        assert_eq!(Leader::decode(&[0; BYTES]), Ok(None));
        let longest = Leader { text: "x".repeat(BYTES - TEXT), ..leader() };
        assert_eq!(Leader::decode(&longest.encode()), Ok(Some(longest)));
    }

    proptest! {
        /// Any flaw is found, or is that of another file.
        #[test]
        fn flaws_are_found(at in 0..BYTES, flip in 1_u8..) {
            let mut bytes = leader().encode();
            bytes[at] ^= flip;
            prop_assert_ne!(Leader::decode(&bytes), Ok(Some(leader())));
        }

        /// A lie under a right checksum is no panic.
        #[test]
        fn lies_are_read(length in any::<u32>(), text in prop::collection::vec(any::<u8>(), 0..BYTES - TEXT)) {
            let mut bytes = leader().encode();
            bytes[0x14..0x18].copy_from_slice(&length.to_le_bytes());
            bytes[TEXT..TEXT + text.len()].copy_from_slice(&text);
            bytes[0x0C..0x10].fill(0);
            let crc = checksum(&bytes);
            bytes[0x0C..0x10].copy_from_slice(&crc.to_le_bytes());
            let said = Leader::decode(&bytes);
            prop_assert!(said.is_err() || said.is_ok_and(|said| said.is_some_and(|said| said.text.len() == length as usize)));
        }
    }
}
