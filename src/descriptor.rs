//! The descriptor: what a segment says about itself, written once before it has a name.
//!
//! An opener reads it once, checks every word against every other and against the size of the object, keeps
//! the result in private memory, and never looks at it again.

use crate::channel::Channel;
use crate::format::SampleFormat;
use crate::index::{self, Geometry};
use crate::layout::{self, channel, descriptor as at};
use core::cell::Cell;
use core::fmt;
use crc::{CRC_32_ISCSI, Crc, Table};

/// Who may move what. See the table in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One producer, one consumer; a full ring says so.
    Spsc,
    /// Several producers with a lane each, consumers that share the work.
    Mpmc,
    /// One producer that never waits, any number of observers.
    Broadcast,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spsc => "spsc",
            Self::Mpmc => "mpmc",
            Self::Broadcast => "broadcast",
        })
    }
}

/// Sixteen bytes a step: whoever attaches waits for it.
static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Longest descriptor: thousands of channels with all their texts.
pub(crate) const BYTES_MAX: u64 = 1 << 24;
pub(crate) const LANES_MAX: u32 = 64;
pub(crate) const SEATS_MAX: u32 = 4096;
pub(crate) const CHANNELS_MAX: u32 = 65_536;
pub(crate) const TEXT_MAX: usize = 1 << 20;

/// Everything that the descriptor says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    pub(crate) lanes: u32,
    pub(crate) frame_bytes: u32,
    pub(crate) capacity: u64,
    pub(crate) requested: u64,
    pub(crate) page_bytes: u32,
    pub(crate) lane_stride: u64,
    pub(crate) mirrored: bool,
    pub(crate) keep: bool,
    pub(crate) unobserved: bool,
    pub(crate) consumers: u32,
    pub(crate) lossless: u32,
    /// A lossless reader that is behind makes the ring full, instead of being overtaken.
    pub(crate) lossless_full: bool,
    pub(crate) observers: u32,
    pub(crate) format_version: u32,
    pub(crate) format: SampleFormat,
    pub(crate) channels: Vec<Channel>,
    pub(crate) rate: f64,
    pub(crate) start_time_ns: Option<i64>,
    pub(crate) instance: [u8; 16],
    pub(crate) boot: [u8; 16],
    pub(crate) created_monotonic_ns: u64,
    pub(crate) created_utc_ns: i64,
    pub(crate) name: String,
    pub(crate) device: String,
    pub(crate) metadata: String,
    pub(crate) program: String,
    /// What it marks, with the version; empty: nothing.
    pub(crate) marks: String,
}

/// Where the regions of a segment begin, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Regions {
    pub(crate) producers: u64,
    pub(crate) readers: u64,
    pub(crate) data: u64,
    pub(crate) total: u64,
}

/// Why bytes are no descriptor of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No magic: some other file.
    NotOurs,
    /// Ours, but of another layout.
    Layout(u32),
    /// Ours, with features that this build does not know.
    Features(u64),
    /// Ours, but damaged; which field says so.
    Damaged(&'static str),
}

impl Descriptor {
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        Geometry::new(self.capacity, self.frame_bytes.into())
    }

    pub(crate) fn word_bytes(&self) -> u32 {
        index::word_bytes(self.frame_bytes.into()) as u32
    }

    /// Seats: producers first, then consumers, lossless readers, observers.
    pub(crate) fn seats(&self) -> u32 {
        self.lanes + self.consumers + self.lossless + self.observers
    }

    pub(crate) fn seat_table(&self) -> u64 {
        layout::READER_LANES as u64
            + u64::from(self.lanes) * layout::READER_LANE as u64
            + u64::from(self.lossless) * layout::LINE as u64
    }

    /// What one who opens it must know of.
    fn incompat(&self) -> u64 {
        if self.lossless > 0 { at::INCOMPAT_LOSSLESS } else { 0 }
    }

    /// Bytes of the encoded descriptor.
    fn encoded_bytes(&self) -> u64 {
        let texts: usize = self.texts().iter().map(|text| text.len()).sum();
        (at::FIXED + self.channels.len() * channel::BYTES + texts) as u64
    }

    fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = vec![&self.name, &self.device, &self.metadata, &self.program, &self.marks];
        for one in &self.channels {
            texts.extend(channel_texts(one));
        }
        texts
    }

    /// The regions of a segment with this descriptor.
    pub(crate) fn regions(&self) -> Option<Regions> {
        let page = u64::from(self.page_bytes);
        let producers = self.encoded_bytes().checked_next_multiple_of(page)?;
        let producers_bytes = layout::LANE_BLOCKS as u64 + u64::from(self.lanes) * layout::LANE_BLOCK as u64;
        let readers = (producers + producers_bytes).checked_next_multiple_of(page)?;
        let readers_bytes = self.seat_table() + u64::from(self.seats()) * layout::LINE as u64;
        let data = (readers + readers_bytes).checked_next_multiple_of(page)?;
        let total = self.lane_stride.checked_mul(self.lanes.into())?.checked_add(data)?;
        Some(Regions { producers, readers, data, total })
    }

    /// The same, without what differs between two objects made with the same parameters.
    pub(crate) fn parameters(&self) -> Self {
        Self {
            instance: [0; 16],
            boot: [0; 16],
            created_monotonic_ns: 0,
            created_utc_ns: 0,
            start_time_ns: None,
            program: String::new(),
            ..self.clone()
        }
    }

    /// The bytes. `None` if the segment would be too large to exist.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let regions = self.regions()?;
        let total = self.encoded_bytes();
        let mut out = Writer { bytes: vec![0; total as usize], text_at: at::FIXED + self.channels.len() * channel::BYTES };
        out.u64(at::MAGIC, layout::MAGIC);
        out.u32(at::LAYOUT, layout::LAYOUT);
        out.u64(at::INCOMPAT, self.incompat());
        out.u64(at::TOTAL_BYTES, regions.total);
        out.u64(at::BYTES, total);
        out.u32(at::PAGE_BYTES, self.page_bytes);
        out.u32(at::LINE_BYTES, layout::LINE as u32);
        out.u32(at::KIND, self.kind as u32 + 1);
        out.u32(at::LANES, self.lanes);
        out.u32(at::FRAME_BYTES, self.frame_bytes);
        out.u32(at::WORD_BYTES, self.word_bytes());
        out.u64(at::CAPACITY, self.capacity);
        out.u64(at::REQUESTED, self.requested);
        out.u64(at::PRODUCERS_OFFSET, regions.producers);
        out.u64(at::READERS_OFFSET, regions.readers);
        out.u64(at::DATA_OFFSET, regions.data);
        out.u64(at::LANE_STRIDE, self.lane_stride);
        out.u32(at::CONSUMERS, self.consumers);
        out.u32(at::LOSSLESS, self.lossless);
        out.u32(at::OBSERVERS, self.observers);
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let flags = flag(self.mirrored, at::FLAG_MIRRORED) | flag(self.keep, at::FLAG_KEEP);
        let flags = flags | flag(self.lossless_full, at::FLAG_LOSSLESS_FULL);
        out.u32(at::FLAGS, flags | flag(self.unobserved, at::FLAG_UNOBSERVED));
        out.u32(at::FORMAT_VERSION, self.format_version);
        out.u32(at::SAMPLE_FORMAT, self.format.code());
        out.u32(at::CHANNELS, self.channels.len() as u32);
        out.u32(at::CHANNEL_BYTES, channel::BYTES as u32);
        out.u64(at::CHANNELS_OFFSET, at::FIXED as u64);
        out.u64(at::RATE, self.rate.to_bits());
        out.u64(at::START_TIME, self.start_time_ns.unwrap_or(i64::MIN) as u64);
        out.raw(at::INSTANCE, &self.instance);
        out.raw(at::BOOT, &self.boot);
        out.u64(at::CREATED_MONOTONIC, self.created_monotonic_ns);
        out.u64(at::CREATED_UTC, self.created_utc_ns as u64);
        out.text(at::NAME, &self.name);
        out.text(at::DEVICE, &self.device);
        out.text(at::METADATA, &self.metadata);
        out.text(at::PROGRAM, &self.program);
        if !self.marks.is_empty() {
            out.text(at::MARKS, &self.marks);
        }
        for (i, one) in self.channels.iter().enumerate() {
            out.channel(at::FIXED + i * channel::BYTES, one);
        }
        let crc = checksum(&out.bytes);
        out.u32(at::CRC, crc);
        Some(out.bytes)
    }

    /// Bytes that must be read to know how long the descriptor is.
    pub(crate) const PROBE: usize = at::FIXED;

    /// How long the descriptor that begins with `probe` is.
    pub(crate) fn probe(probe: &[u8]) -> Result<usize, Unfit> {
        let from = Reader::new(probe);
        if probe.len() < Self::PROBE || from.u64(at::MAGIC) != layout::MAGIC {
            return Err(Unfit::NotOurs);
        }
        if from.u32(at::LAYOUT) != layout::LAYOUT {
            return Err(Unfit::Layout(from.u32(at::LAYOUT)));
        }
        let bytes = from.u64(at::BYTES);
        if bytes < at::FIXED as u64 || bytes > BYTES_MAX {
            return Err(Unfit::Damaged("its descriptor's length is impossible"));
        }
        Ok(bytes as usize)
    }

    /// Reads and checks all of it. `object_bytes` is the size of the object that holds it.
    pub(crate) fn decode(bytes: &[u8], object_bytes: u64) -> Result<Self, Unfit> {
        if bytes.len() != Self::probe(bytes)? {
            return Err(Unfit::Damaged("its descriptor is cut off"));
        }
        let from = Reader::new(bytes);
        if from.u32(at::CRC) != checksum(bytes) {
            return Err(Unfit::Damaged("the checksum of its descriptor is wrong"));
        }
        if from.u64(at::INCOMPAT) & !at::INCOMPAT_KNOWN != 0 {
            return Err(Unfit::Features(from.u64(at::INCOMPAT)));
        }
        let kind = match from.u32(at::KIND) {
            1 => Kind::Spsc,
            2 => Kind::Mpmc,
            3 => Kind::Broadcast,
            _ => return Err(Unfit::Damaged("its kind is unknown")),
        };
        let format = SampleFormat::from_code(from.u32(at::SAMPLE_FORMAT));
        let channels = from.u32(at::CHANNELS);
        let table = from.u64(at::CHANNELS_OFFSET);
        let fits = u64::from(channels) * channel::BYTES as u64 <= bytes.len() as u64 - at::FIXED as u64;
        if channels > CHANNELS_MAX
            || !fits
            || table != at::FIXED as u64
            || from.u32(at::CHANNEL_BYTES) != channel::BYTES as u32
        {
            return Err(Unfit::Damaged("its channel table is impossible"));
        }
        let channels: Option<Vec<_>> =
            (0..channels as usize).map(|i| from.channel(at::FIXED + i * channel::BYTES)).collect();
        let text = |field| from.text(field).ok_or(Unfit::Damaged("a text lies outside its descriptor"));
        let flags = from.u32(at::FLAGS);
        if flags & !at::FLAGS_KNOWN != 0 {
            return Err(Unfit::Damaged("it has flags that mean nothing"));
        }
        let start = from.u64(at::START_TIME) as i64;
        let found = Self {
            kind,
            lanes: from.u32(at::LANES),
            frame_bytes: from.u32(at::FRAME_BYTES),
            capacity: from.u64(at::CAPACITY),
            requested: from.u64(at::REQUESTED),
            page_bytes: from.u32(at::PAGE_BYTES),
            lane_stride: from.u64(at::LANE_STRIDE),
            mirrored: flags & at::FLAG_MIRRORED != 0,
            keep: flags & at::FLAG_KEEP != 0,
            unobserved: flags & at::FLAG_UNOBSERVED != 0,
            consumers: from.u32(at::CONSUMERS),
            lossless: from.u32(at::LOSSLESS),
            lossless_full: flags & at::FLAG_LOSSLESS_FULL != 0,
            observers: from.u32(at::OBSERVERS),
            format_version: from.u32(at::FORMAT_VERSION),
            format: format.ok_or(Unfit::Damaged("its sample format is unknown"))?,
            channels: channels.ok_or(Unfit::Damaged("a text of a channel lies outside its descriptor"))?,
            rate: f64::from_bits(from.u64(at::RATE)),
            start_time_ns: (start != i64::MIN).then_some(start),
            instance: from.raw(at::INSTANCE),
            boot: from.raw(at::BOOT),
            created_monotonic_ns: from.u64(at::CREATED_MONOTONIC),
            created_utc_ns: from.u64(at::CREATED_UTC) as i64,
            name: text(at::NAME)?,
            device: text(at::DEVICE)?,
            metadata: text(at::METADATA)?,
            program: text(at::PROGRAM)?,
            marks: text(at::MARKS)?,
        };
        found.check(&from, object_bytes)?;
        Ok(found)
    }

    /// Holds the words against each other.
    fn check(&self, from: &Reader<'_>, object_bytes: u64) -> Result<(), Unfit> {
        let ends = match self.kind {
            Kind::Mpmc => (1..=LANES_MAX).contains(&self.lanes) && self.consumers > 0 && (!self.unobserved || self.observers == 0),
            Kind::Spsc => (self.lanes, self.consumers) == (1, 1) && (!self.unobserved || self.observers == 0),
            Kind::Broadcast => (self.lanes, self.consumers) == (1, 0) && !self.unobserved,
        };
        let lossless = match self.lossless {
            0 => !self.lossless_full,
            _ => self.kind == Kind::Broadcast,
        };
        if !ends || !lossless || from.u64(at::INCOMPAT) != self.incompat() {
            return Err(Unfit::Damaged("its seats do not fit its kind"));
        }
        let bounds = (1..=LANES_MAX).contains(&self.lanes)
            && self.consumers <= SEATS_MAX
            && self.lossless <= SEATS_MAX
            && self.observers <= SEATS_MAX
            && self.page_bytes.is_power_of_two()
            && (4096..=1 << 21).contains(&self.page_bytes)
            && from.u32(at::LINE_BYTES) == layout::LINE as u32;
        let geometry = self.geometry().filter(|_| bounds).ok_or(Unfit::Damaged("its geometry is impossible"))?;
        let page = u64::from(self.page_bytes);
        let lane_fits = self.lane_stride >= geometry.bytes()
            && self.lane_stride.is_multiple_of(page)
            && self.lane_stride - geometry.bytes() < page
            && (!self.mirrored || self.lane_stride == geometry.bytes())
            && from.u32(at::WORD_BYTES) == self.word_bytes();
        if !lane_fits {
            return Err(Unfit::Damaged("its lanes do not fit its geometry"));
        }
        let sample = self.format.bytes().map(|bytes| bytes as u64 * self.channels.len() as u64);
        if sample.is_some_and(|bytes| bytes != u64::from(self.frame_bytes)) || !self.rate_is_sane() {
            return Err(Unfit::Damaged("its frames do not fit its channels"));
        }
        let regions = self.regions().ok_or(Unfit::Damaged("its regions are impossible"))?;
        let said = Regions {
            producers: from.u64(at::PRODUCERS_OFFSET),
            readers: from.u64(at::READERS_OFFSET),
            data: from.u64(at::DATA_OFFSET),
            total: from.u64(at::TOTAL_BYTES),
        };
        if said != regions {
            return Err(Unfit::Damaged("its regions do not fit its geometry"));
        }
        if regions.total != object_bytes {
            return Err(Unfit::Damaged("its size is not what its descriptor says: it was cut or extended"));
        }
        Ok(())
    }

    fn rate_is_sane(&self) -> bool {
        self.rate.is_finite() && self.rate >= 0.0
    }

    /// With the version: `ecg@v2`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}@v{}", self.name, self.format_version)
    }

    /// "2 ch x i16 @ 360 Hz", or "64-byte elements".
    pub(crate) fn summary(&self) -> String {
        let rate = if self.rate > 0.0 { format!(" @ {} Hz", self.rate) } else { String::new() };
        match self.format {
            SampleFormat::Opaque => format!("{}-byte elements{rate}", self.frame_bytes),
            format => format!("{} ch x {format}{rate}", self.channels.len()),
        }
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&bytes[..at::CRC]);
    digest.update(&[0; 4]);
    digest.update(&bytes[at::CRC + 4..]);
    digest.finalize()
}

fn channel_texts(one: &Channel) -> [&str; 7] {
    [
        &one.label,
        &one.unit,
        &one.kind,
        &one.prefilter,
        &one.transducer,
        &one.reference,
        &one.description,
    ]
}

const CHANNEL_TEXTS: [usize; 7] = [
    channel::LABEL,
    channel::UNIT,
    channel::KIND,
    channel::PREFILTER,
    channel::TRANSDUCER,
    channel::REFERENCE,
    channel::DESCRIPTION,
];

struct Writer {
    bytes: Vec<u8>,
    text_at: usize,
}

impl Writer {
    fn raw(&mut self, field: usize, value: &[u8]) {
        self.bytes[field..field + value.len()].copy_from_slice(value);
    }

    fn u32(&mut self, field: usize, value: u32) {
        self.raw(field, &value.to_le_bytes());
    }

    fn u64(&mut self, field: usize, value: u64) {
        self.raw(field, &value.to_le_bytes());
    }

    fn text(&mut self, field: usize, text: &str) {
        self.u32(field, self.text_at as u32);
        self.u32(field + 4, text.len() as u32);
        self.raw(self.text_at, text.as_bytes());
        self.text_at += text.len();
    }

    fn channel(&mut self, record: usize, one: &Channel) {
        self.u64(record + channel::SCALE, one.scale.to_bits());
        self.u64(record + channel::OFFSET, one.offset.to_bits());
        self.u32(record + channel::SIGNIFICANT_BITS, one.significant_bits);
        let mut flags = 0;
        if let Some((min, max)) = one.physical_range {
            flags |= channel::HAS_PHYSICAL;
            self.u64(record + channel::PHYSICAL_MIN, min.to_bits());
            self.u64(record + channel::PHYSICAL_MAX, max.to_bits());
        }
        if let Some((min, max)) = one.digital_range {
            flags |= channel::HAS_DIGITAL;
            self.u64(record + channel::DIGITAL_MIN, min as u64);
            self.u64(record + channel::DIGITAL_MAX, max as u64);
        }
        self.u32(record + channel::FLAGS, flags);
        for (field, text) in CHANNEL_TEXTS.into_iter().zip(channel_texts(one)) {
            self.text(record + field, text);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes of text that there can still be: texts that overlap could fill any memory.
    text_left: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, text_left: Cell::new(bytes.len()) }
    }
}

impl Reader<'_> {
    fn raw<const N: usize>(&self, field: usize) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&self.bytes[field..field + N]);
        value
    }

    fn u32(&self, field: usize) -> u32 {
        u32::from_le_bytes(self.raw(field))
    }

    fn u64(&self, field: usize) -> u64 {
        u64::from_le_bytes(self.raw(field))
    }

    fn text(&self, field: usize) -> Option<String> {
        let (start, length) = (self.u32(field) as usize, self.u32(field + 4) as usize);
        let end = start.checked_add(length)?;
        self.text_left.set(self.text_left.get().checked_sub(length)?);
        core::str::from_utf8(self.bytes.get(start..end)?).ok().map(String::from)
    }

    fn channel(&self, record: usize) -> Option<Channel> {
        let float = |field| f64::from_bits(self.u64(record + field));
        let whole = |field| self.u64(record + field) as i64;
        let flags = self.u32(record + channel::FLAGS);
        let mut texts = CHANNEL_TEXTS.into_iter().map(|field| self.text(record + field));
        let mut next = || texts.next().flatten();
        Some(Channel {
            label: next()?,
            unit: next()?,
            kind: next()?,
            prefilter: next()?,
            transducer: next()?,
            reference: next()?,
            description: next()?,
            scale: float(channel::SCALE),
            offset: float(channel::OFFSET),
            physical_range: (flags & channel::HAS_PHYSICAL != 0)
                .then(|| (float(channel::PHYSICAL_MIN), float(channel::PHYSICAL_MAX))),
            digital_range: (flags & channel::HAS_DIGITAL != 0)
                .then(|| (whole(channel::DIGITAL_MIN), whole(channel::DIGITAL_MAX))),
            significant_bits: self.u32(record + channel::SIGNIFICANT_BITS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::SampleType;
    use proptest::prelude::*;

    impl Descriptor {
        /// A small plain ring, for tests to vary.
        pub(crate) fn example() -> Self {
            Self {
                kind: Kind::Broadcast,
                lanes: 1,
                frame_bytes: 8,
                capacity: 512,
                requested: 500,
                page_bytes: 4096,
                lane_stride: 4096,
                mirrored: true,
                keep: false,
                unobserved: false,
                consumers: 0,
                lossless: 0,
                lossless_full: false,
                observers: 4,
                format_version: 2,
                format: SampleFormat::Opaque,
                channels: Vec::new(),
                rate: 0.0,
                start_time_ns: None,
                instance: [7; 16],
                boot: [9; 16],
                created_monotonic_ns: 11,
                created_utc_ns: 13,
                name: "example".into(),
                device: String::new(),
                metadata: String::new(),
                program: "test".into(),
                marks: String::new(),
            }
        }
    }

    fn ecg() -> Descriptor {
        let lead = Channel::new("MLII").unit("mV").kind("ECG").scaled(0.005, -5.12).digital_range(0, 2047);
        let second = Channel::new("V5").physical_range(-5.0, 5.0).prefilter("HP:0.1Hz").significant_bits(11);
        Descriptor {
            format: SampleFormat::Real(SampleType::I16),
            frame_bytes: 4,
            channels: vec![lead, second.transducer("Holter").reference("RA").description("chest")],
            capacity: 4096,
            requested: 3600,
            lane_stride: 16_384,
            rate: 360.0,
            start_time_ns: Some(-5),
            device: "recorder".into(),
            metadata: "{}".into(),
            ..Descriptor::example()
        }
    }

    #[test]
    fn it_survives_its_bytes() {
        let lossless = Descriptor { lossless: 3, lossless_full: true, ..ecg() };
        for descriptor in [Descriptor::example(), ecg(), Descriptor { lossless: 1, ..ecg() }, lossless] {
            let bytes = descriptor.encode().unwrap();
            let total = descriptor.regions().unwrap().total;
            assert_eq!(Descriptor::decode(&bytes, total), Ok(descriptor));
        }
    }

    /// Layout 1 as it is on the wire. If this fails, the layout has changed: programs that were built before
    /// would misread it.
    #[test]
    fn golden_bytes() {
        let bytes = ecg().encode().unwrap();
        let lines: Vec<String> = bytes
            .chunks(16)
            .enumerate()
            .filter(|(_, row)| row.iter().any(|byte| *byte != 0))
            .map(|(i, row)| format!("{:04x} {}", i * 16, row.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
            .collect();
        assert_eq!(lines.join("\n"), include_str!("../tests/data/layout-1.hex").trim_end());
    }

    #[test]
    fn another_layout_is_told_apart() {
        let mut bytes = ecg().encode().unwrap();
        bytes[at::LAYOUT] = 2;
        assert_eq!(Descriptor::decode(&bytes, 0), Err(Unfit::Layout(2)));
        let mut bytes = ecg().encode().unwrap();
        bytes[at::INCOMPAT] = 1;
        let crc = checksum(&bytes).to_le_bytes();
        bytes[at::CRC..at::CRC + 4].copy_from_slice(&crc);
        assert_eq!(Descriptor::decode(&bytes, 0), Err(Unfit::Features(1)));
        assert_eq!(Descriptor::decode(&[0; 4096], 4096), Err(Unfit::NotOurs));
        assert_eq!(Descriptor::decode(b"", 0), Err(Unfit::NotOurs));
    }

    fn resealed(mut bytes: Vec<u8>, changes: &[(usize, Vec<u8>)]) -> Vec<u8> {
        for (field, value) in changes {
            let field = field % bytes.len();
            let length = value.len().min(bytes.len() - field);
            bytes[field..field + length].copy_from_slice(&value[..length]);
        }
        let crc = checksum(&bytes).to_le_bytes();
        bytes[at::CRC..at::CRC + 4].copy_from_slice(&crc);
        bytes
    }

    /// Each word for itself is possible; together they would let two consumers hold the same frames, or a
    /// recorder be overwritten by a producer that does not know of it.
    #[test]
    fn ends_that_do_not_fit_their_kind() {
        let spsc = Descriptor { kind: Kind::Spsc, consumers: 1, ..ecg() };
        let queue = Descriptor { kind: Kind::Mpmc, lanes: 3, consumers: 8, ..ecg() };
        let decoded = Descriptor::decode(&queue.encode().unwrap(), queue.regions().unwrap().total);
        assert_eq!(decoded.as_ref(), Ok(&queue));
        for (what, lie) in [
            ("its seats", Descriptor { consumers: 2, ..spsc.clone() }),
            ("its seats", Descriptor { consumers: 0, ..spsc.clone() }),
            ("its seats", Descriptor { lanes: 2, ..spsc.clone() }),
            ("its seats", Descriptor { unobserved: true, ..spsc.clone() }),
            ("its seats", Descriptor { lossless: 1, ..spsc.clone() }),
            ("its seats", Descriptor { lossless_full: true, ..ecg() }),
            ("its seats", Descriptor { consumers: 1, ..ecg() }),
            ("its seats", Descriptor { unobserved: true, observers: 0, ..ecg() }),
            ("its seats", Descriptor { kind: Kind::Mpmc, ..ecg() }),
            ("its seats", Descriptor { lanes: 65, ..queue.clone() }),
            ("its seats", Descriptor { lanes: 0, ..queue.clone() }),
            ("its seats", Descriptor { unobserved: true, ..queue.clone() }),
        ] {
            let found = Descriptor::decode(&lie.encode().unwrap(), lie.regions().unwrap().total);
            let Err(Unfit::Damaged(why)) = found else { panic!("{lie:?} was taken") };
            assert!(why.contains(what), "{why}");
        }
        // Its seats without the feature bit: a build from before would not have been told; and the other way round.
        for (of, bit) in [(Descriptor { lossless: 1, ..ecg() }, 0), (ecg(), at::INCOMPAT_LOSSLESS as u8)] {
            let bytes = resealed(of.encode().unwrap(), &[(at::INCOMPAT, vec![bit])]);
            let found = Descriptor::decode(&bytes, of.regions().unwrap().total);
            assert_eq!(found, Err(Unfit::Damaged("its seats do not fit its kind")));
        }
        let flags = resealed(ecg().encode().unwrap(), &[(at::FLAGS, vec![0x41, 0, 0, 0])]);
        let found = Descriptor::decode(&flags, ecg().regions().unwrap().total);
        assert_eq!(found, Err(Unfit::Damaged("it has flags that mean nothing")));
    }

    /// Texts that lie over each other are small in the file and large in memory.
    #[test]
    fn texts_do_not_multiply() {
        let long = Descriptor { metadata: "x".repeat(1 << 16), channels: vec![Channel::new("a"); 2], ..ecg() };
        let bytes = long.encode().unwrap();
        let total = long.regions().unwrap().total;
        assert!(Descriptor::decode(&bytes, total).is_ok());
        let metadata = bytes[at::METADATA..at::METADATA + 8].to_vec();
        let lie = resealed(bytes, &[(at::FIXED + channel::LABEL, metadata)]);
        assert!(matches!(Descriptor::decode(&lie, total), Err(Unfit::Damaged(why)) if why.contains("text")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn damage_is_noticed(flips in prop::collection::vec((0usize..4096, 1u8..), 1..4)) {
            let mut bytes = ecg().encode().unwrap();
            let total = ecg().regions().unwrap().total;
            for (field, flip) in flips {
                let field = field % bytes.len();
                bytes[field] ^= flip;
            }
            prop_assume!(bytes != ecg().encode().unwrap());
            prop_assert!(Descriptor::decode(&bytes, total).is_err());
        }

        /// A descriptor that lies under a right checksum gives an error, or one whose words fit together.
        #[test]
        fn lies_are_never_followed(changes in prop::collection::vec((0usize..0x300, prop::collection::vec(any::<u8>(), 1..9)), 1..6)) {
            let bytes = resealed(ecg().encode().unwrap(), &changes);
            let total = u64::from_le_bytes(bytes[at::TOTAL_BYTES..at::TOTAL_BYTES + 8].try_into().unwrap());
            if let Ok(found) = Descriptor::decode(&bytes, total) {
                let regions = found.regions().unwrap();
                prop_assert!(found.geometry().unwrap().bytes() <= found.lane_stride);
                prop_assert!(regions.data + found.lane_stride * u64::from(found.lanes) <= total);
            }
        }
    }
}
