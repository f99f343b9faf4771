//! Reads an object as a C program would, by the offsets of `docs/layout.md` and nothing else.

mod support;

use annulus::Marker;
use std::fs::File;
use std::os::unix::fs::FileExt;
use support::{Place, channels};

struct Object(File);

impl Object {
    fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    fn text(&self, at: u64) -> String {
        let mut text = vec![0; self.u32(at + 4) as usize];
        self.0.read_exact_at(&mut text, self.u32(at).into()).unwrap();
        String::from_utf8(text).unwrap()
    }
}

#[test]
fn the_words_of_a_stream_are_where_the_page_says() {
    let place = Place::new();
    let stream = || place.create("ecg@v3").channels(channels(2)).rate(250.0).capacity(4096).readers(5);
    stream().producer::<i16>().unwrap().push(&[0, 0]).unwrap();
    let mut producer = stream().kind(annulus::Kind::Spsc).producer::<i16>().unwrap();
    let mut consumer = place.open("ecg@v3").consumer::<i16>().unwrap();
    producer.push(&[11, 12, 13, 14, 15, 16]).unwrap();
    consumer.try_read(&mut [0; 4]).unwrap();
    let _viewer = place.open("ecg@v3").observer::<i16>().unwrap();
    let reserved = producer.reserve(4).unwrap();
    drop(reserved);

    let path = place.path().join("ecg@v3.l1");
    let object = Object(File::open(&path).unwrap());
    assert_eq!(&object.bytes::<8>(0x000), b"annulus\0");
    assert_eq!(object.u32(0x008), 1);
    assert_eq!(object.u64(0x020), std::fs::metadata(&path).unwrap().len());
    assert_eq!((object.u32(0x034), object.u32(0x038), object.u32(0x03C)), (128, 1, 1));
    assert_eq!((object.u32(0x040), object.u32(0x044)), (4, 4));
    assert_eq!((object.u64(0x048), object.u64(0x050)), (4096, 4096));
    assert_eq!((object.u32(0x078), object.u32(0x07C), object.u32(0x080)), (1, 0, 5));
    assert_eq!((object.u32(0x084), object.u32(0x088), object.u32(0x08C)), (1, 3, 3));
    assert_eq!((object.u32(0x090), object.u32(0x094), object.u64(0x098)), (2, 0x80, 0x200));
    assert_eq!(f64::from_bits(object.u64(0x0A0)), 250.0);
    assert_eq!(object.u64(0x0A8) as i64, i64::MIN);
    assert_eq!(object.text(0x0E0), "ecg");
    assert_eq!((object.text(0x200 + 0x38), object.text(0x280 + 0x38)), ("ch0".into(), "ch1".into()));
    assert_eq!(f64::from_bits(object.u64(0x200)), 1.0);

    let (producers, readers, data) = (object.u64(0x058), object.u64(0x060), object.u64(0x068));
    let line = producers + 0x1000;
    let [tail, intent, epoch, end] = [0, 8, 16, 24].map(|word| object.u64(line + word));
    assert_eq!((tail, intent, epoch, end), (3, 7, 1, u64::MAX));
    assert_eq!(object.u64(line + 0x28), 0, "where the epoch began");
    assert_eq!(object.u64(line + 0x80), std::process::id().into());
    assert!((1..=annulus::monotonic_ns()).contains(&object.u64(line + 0x88)), "last seen");

    assert_eq!(object.u64(readers), 1, "live");
    let lane = readers + 0x200;
    let [head, armed, space] = [0x000, 0x080, 0x180].map(|word| object.u64(lane + word));
    assert_eq!((head, armed, space), (2, u64::MAX, u64::MAX));
    let seats = lane + 0x200;
    let seat = |i: u64| {
        (object.u32(seats + i * 128), object.u32(seats + i * 128 + 4), object.u64(seats + i * 128 + 8))
    };
    let me = u64::from(std::process::id());
    assert_eq!([seat(0), seat(1), seat(2)], [(1, 0, me), (1, 1, me), (1, 3, me)]);
    assert_eq!(seat(3), (0, 0, 0), "free");
    assert_eq!(object.u64(seats + 128 + 0x20), 2, "the consumer's position");

    assert_eq!(object.bytes::<12>(data), [11, 0, 12, 0, 13, 0, 14, 0, 15, 0, 16, 0]);
}

#[test]
fn the_words_of_the_clock_and_of_the_ledger_are_where_the_page_says() {
    let place = Place::new();
    let mut producer = place.create("ecg@v3").rate(250.0).capacity(4096).producer::<i16>().unwrap();
    producer.push(&[11, 12]).unwrap();
    producer.gap(47).unwrap();
    producer.clock_reset().unwrap();
    producer.push(&[13]).unwrap();
    let object = Object(File::open(place.path().join("ecg@v3.l1")).unwrap());
    assert_eq!(object.text(0x100), "", "it marks nothing");
    let block = object.u64(0x058) + 0x1000;

    let told = object.u64(block + 0x100);
    assert_eq!(told, 2, "after the first push, and after the gap");
    let slot = block + 0x140 + told % 2 * 0x40;
    let [position, monotonic_ns, utc_ns, since] =
        [0x00, 0x08, 0x10, 0x38].map(|word| object.u64(slot + word));
    let clock = producer.clock().unwrap();
    let time = clock.time_of(2);
    assert_eq!((position, monotonic_ns, utc_ns as i64, since), (2, time.monotonic_ns, time.utc_ns, 2));
    let floats = [0x18, 0x20, 0x28, 0x30].map(|word| f64::from_bits(object.u64(slot + word)));
    assert_eq!(floats, [250.0, f64::INFINITY, f64::INFINITY, 0.0]);

    assert_eq!([0x200, 0x208].map(|word| object.u64(block + word)), [2, 2]);
    let entries =
        [0, 1].map(|n| [0, 1, 2, 3, 4, 5].map(|word| object.u64(block + 0x210 + n * 0x30 + word * 8)));
    let mut viewer = place.open("ecg@v3").start(annulus::Start::Oldest).observer::<i16>().unwrap();
    viewer.try_read(&mut [0; 3]).unwrap();
    let times = [0, 1].map(|n| (viewer.gaps()[n].monotonic_ns, viewer.gaps()[n].utc_ns as u64));
    let [lost, reset] = times;
    assert_eq!(entries, [[2, 0, 1, 47, lost.0, lost.1], [2, 47, 3, 0, reset.0, reset.1]]);
}

#[test]
fn the_words_of_markers_are_where_the_page_says() {
    let place = Place::new();
    let signal = place.create("ecg@v3").rate(250.0).producer::<i16>().unwrap();
    let mut markers = place.create("m").marks("ecg@v3").producer::<Marker>().unwrap();
    let marker = Marker::new("stimulus").unwrap().with_code(-7).at(signal.info(), 480).lasting(20);
    markers.push(&[marker]).unwrap();
    let object = Object(File::open(place.path().join("m@v1.l1")).unwrap());
    assert_eq!(object.text(0x100), "ecg@v3");
    let data = object.u64(0x068);
    assert_eq!(object.bytes::<16>(data), signal.info().instance);
    let [position, frames, code, monotonic_ns, utc_ns, length] =
        [0x10, 0x18, 0x20, 0x28, 0x30, 0x38].map(|word| object.u64(data + word));
    assert_eq!((position, frames, code as i64, length), (480, 20, -7, 8));
    assert_eq!(annulus::Moment::Monotonic(monotonic_ns), marker.moment());
    assert_eq!(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(utc_ns), marker.utc());
    assert_eq!(&object.bytes::<9>(data + 0x40), b"stimulus\0");
}
