//! Objects as bytes, to be damaged. Where things lie, docs/layout.md says.

use super::Place;
use super::script::Script;
use super::shape::Shape;
use annulus::{Channel, Kind};
use std::fs;
use std::sync::{Mutex, PoisonError};

/// Fields of the descriptor: where, and how many bytes.
const FIELDS: [(usize, usize); 36] = [
    (0x000, 8),
    (0x008, 4),
    (0x010, 8),
    (0x018, 8),
    (0x020, 8),
    (0x028, 8),
    (0x030, 4),
    (0x034, 4),
    (0x038, 4),
    (0x03C, 4),
    (0x040, 4),
    (0x044, 4),
    (0x048, 8),
    (0x050, 8),
    (0x058, 8),
    (0x060, 8),
    (0x068, 8),
    (0x070, 8),
    (0x078, 4),
    (0x07C, 4),
    (0x080, 4),
    (0x084, 4),
    (0x088, 4),
    (0x08C, 4),
    (0x090, 4),
    (0x094, 4),
    (0x098, 8),
    (0x0A0, 8),
    (0x0A8, 8),
    (0x0D0, 8),
    (0x0D8, 8),
    (0x0E0, 4),
    (0x0E4, 4),
    (0x0E8, 8),
    (0x0F0, 8),
    (0x0F8, 8),
];
const TABLE: usize = 0x200;
const RECORD: usize = 0x80;
/// Longest object that is made: what is damaged has a few KiB.
const BYTES_MAX: u64 = 1 << 21;

pub fn get(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(found) = bytes.get(at..at.saturating_add(width)) {
        word[..width].copy_from_slice(found);
    }
    u64::from_le_bytes(word)
}

/// Stores, unless there is no such place.
pub fn set(bytes: &mut [u8], at: usize, width: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(width)) {
        place.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let digest = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, digest)
}

/// A real object, of one of a few shapes, with texts, and with frames in it. Its handles were killed, as it seems.
pub fn specimen(place: &Place<'_>, script: &mut Script<'_>) -> Vec<u8> {
    static MADE: Mutex<Vec<([u8; 2], Vec<u8>)>> = Mutex::new(Vec::new());
    let which = [script.byte() as u8 % 10, script.byte() as u8 % 4];
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, bytes)) = made.iter().find(|(other, _)| *other == which) {
        return bytes.clone();
    }
    let frame = [0, 2, 6, 10][usize::from(which[1])];
    let shape = Shape::read(&mut Script::new(&[frame, 0, 20, 0, which[0]]));
    let label = |channel| Channel::new(format!("ch{channel}")).unit("uV").physical_range(-1.0, 1.0);
    let stream = shape.apply(place.create()).channels((0..shape.frame).map(label)).rate(250.0);
    let stream = stream.device("recorder").metadata_json("{\"x\": [1, 2]}");
    let mut producer = stream.producer::<u8>().expect("a stream");
    let open = || place.open();
    let mut readers = (
        open().consumer_bytes().ok(),
        open().group_consumer_bytes().ok(),
        open().lossless().observer_bytes().ok(),
    );
    let frames = vec![3; shape.frame * producer.info().capacity as usize / 2];
    producer.push(&frames).expect("half a ring");
    let mut few = vec![0; shape.frame * 5];
    match &mut readers {
        (Some(consumer), ..) => drop(consumer.try_read(&mut few)),
        (_, Some(member), _) => drop(member.try_read(&mut few)),
        (.., Some(observer)) => drop(observer.try_read(&mut few)),
        _ => assert!(shape.kind == Kind::Broadcast),
    }
    let bytes = fs::read(&producer.info().path).expect("its object");
    made.push((which, bytes.clone()));
    bytes
}

/// Writes over something.
pub fn patch(object: &mut Vec<u8>, script: &mut Script<'_>) {
    let (at, width) = match script.byte() % 8 {
        0..=2 => FIELDS[script.byte() % FIELDS.len()],
        3 => {
            let at = TABLE + script.byte() % 4 * RECORD + script.byte() % (RECORD / 4) * 4;
            (at, if at.is_multiple_of(8) { 8 } else { 4 })
        }
        4 | 5 => (word(object, script), 8),
        6 => (script.word(0) as usize % object.len().max(1), 1),
        _ => {
            let length = script.word(object.len() as u64) % BYTES_MAX;
            return object.resize(length as usize, 0);
        }
    };
    let value = script.word(get(object, at, width));
    set(object, at, width, value);
}

/// Where a word of the producers' or readers' control lies, of these more often one that is in use.
pub fn word(object: &[u8], script: &mut Script<'_>) -> usize {
    let (producers, readers, data) = (get(object, 0x58, 8), get(object, 0x60, 8), get(object, 0x68, 8));
    let (kind, which, any) = (script.byte(), script.byte() as u64, script.short());
    let lane = (kind as u64 >> 4) % 4;
    let control = data.saturating_sub(producers).max(8);
    let at = match kind % 8 {
        0 | 1 => producers.saturating_add(0x1000 * (lane + 1) + which % 6 * 8),
        2 => producers.saturating_add(0x1000 * (lane + 1) + 0x80 + which % 4 * 8),
        3 | 4 => readers.saturating_add(0x200 * (lane + 1) + which % 5 * 0x80),
        5 => readers.saturating_add(0x200 + 0x200 * lane + which % 24 * 0x80 + any % 8 * 8),
        6 => readers.saturating_add(which % 2 * 0x80),
        _ => producers.saturating_add(any * 8 % control),
    };
    at as usize
}

/// The regions of what the descriptor says, and as many bytes as they need; perhaps with lanes of the length that it says.
pub fn mend_regions(object: &mut Vec<u8>, keeps_stride: bool) {
    let field = |at, width| get(object, at, width);
    let page = match field(0x30, 4) {
        page if page.is_power_of_two() && page <= 1 << 16 => page,
        _ => return,
    };
    let (lanes, consumers, lossless, observers) =
        (field(0x3C, 4), field(0x78, 4), field(0x7C, 4), field(0x80, 4));
    let (frame, capacity) = (field(0x40, 4), field(0x48, 8));
    let up = |bytes: u64| bytes.checked_next_multiple_of(page);
    let regions = || {
        let producers = up(field(0x28, 8))?;
        let readers = up(producers.checked_add(0x1000 * (lanes + 1))?)?;
        let seats = lanes + consumers + lossless + observers;
        let data = up(readers.checked_add(0x200 * (lanes + 1) + 0x80 * (lossless + seats))?)?;
        let stride = if keeps_stride { field(0x70, 8) } else { up(frame.checked_mul(capacity)?)? };
        Some((producers, readers, data, stride, stride.checked_mul(lanes)?.checked_add(data)?))
    };
    let Some((producers, readers, data, stride, total)) = regions() else { return };
    if total > BYTES_MAX {
        return;
    }
    let word = 1 << frame.trailing_zeros().min(3);
    let words = [(0x20, total), (0x58, producers), (0x60, readers), (0x68, data), (0x70, stride)];
    words.into_iter().for_each(|(at, value)| set(object, at, 8, value));
    set(object, 0x44, 4, word);
    set(object, 0x18, 8, if lossless > 0 { 2 } else { 0 });
    if object.len() as u64 >= data.min(0x200) {
        object.resize(total as usize, 0);
    }
}

pub fn mend_checksum(object: &mut [u8]) {
    let length = get(object, 0x28, 8).min(object.len() as u64).min(1 << 17) as usize;
    set(object, 0x0C, 4, 0);
    let sum = crc(&object[..length]);
    set(object, 0x0C, 4, sum.into());
}
