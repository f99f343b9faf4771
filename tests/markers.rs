//! Streams of what happened in another.

mod support;

use annulus::{Error, Marker, Moment, Start};
use std::time::Duration;
use support::{Place, channels};

#[test]
fn a_marker_is_what_was_put_into_it() {
    let place = Place::new();
    let signal = place.create("ecg").rate(1000.0).producer::<f32>().unwrap();
    let other = place.create("eeg").rate(1000.0).producer::<f32>().unwrap();
    let mut markers = place.create("ecg.markers").marks("ecg@v3").producer::<Marker>().unwrap();
    assert_eq!(markers.info().marks.as_deref(), Some("ecg@v3"));
    assert_eq!(signal.info().marks, None);
    assert!((1024..2048).contains(&markers.info().capacity), "{}", markers.info().capacity);

    let before = annulus::monotonic_ns();
    let longest = "\u{e4}".repeat(Marker::TEXT_MAX / 2);
    let made = [
        Marker::new("stimulus").unwrap().with_code(-7).at(signal.info(), 0).lasting(20),
        Marker::new(&longest).unwrap(),
    ];
    markers.push(&made).unwrap();
    let mut found = [Marker::default(); 3];
    let mut reader = place.open("ecg.markers").start(Start::Oldest).observer::<Marker>().unwrap();
    assert_eq!(reader.try_read(&mut found).unwrap().frames, 2);
    let [stimulus, remark, nothing] = found;
    assert_eq!((stimulus.text(), stimulus.code(), stimulus.frames()), ("stimulus", -7, 20));
    assert_eq!(stimulus.position(signal.info()), Some(0));
    assert_eq!(stimulus.position(other.info()), None, "of another object");
    assert_eq!((remark.text(), remark.code(), remark.position(signal.info())), (longest.as_str(), 0, None));
    let Moment::Monotonic(at) = remark.moment() else { panic!("{:?}", remark.moment()) };
    assert!((before..=annulus::monotonic_ns()).contains(&at));
    assert!(remark.utc().elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!((nothing.text(), nothing.position(signal.info())), ("", None));
    assert!(matches!(Marker::new(&format!("{longest}.")), Err(Error::BadParameter { .. })));
}

/// Whatever the bytes are, it is a marker.
#[test]
fn any_bytes_are_a_marker() {
    let place = Place::new();
    let signal = place.create("ecg").rate(1000.0).producer::<f32>().unwrap();
    let mut bytes = [0xFF_u8; size_of::<Marker>()];
    bytes[..16].copy_from_slice(&signal.info().instance);
    for (position, there) in [(u64::MAX, None), (1 << 63, None), ((1 << 63) - 1, Some((1 << 63) - 1))] {
        bytes[16..24].copy_from_slice(&u64::to_le_bytes(position));
        let marker: Marker = bytemuck::cast(bytes);
        assert_eq!((marker.position(signal.info()), marker.text()), (there, ""), "no text is UTF-8 there");
        assert!(!format!("{marker:?} {:?}", marker.utc()).is_empty());
    }
    bytes[0x40..0x43].copy_from_slice(b"ab\xC3"); // cut off within a letter
    assert_eq!(bytemuck::cast::<_, Marker>(bytes).text(), "ab");
}

#[test]
fn what_marks_a_stream_has_markers() {
    let place = Place::new();
    let create = || place.create("m").marks("ecg");
    let refused =
        |made: Result<(), Error>| assert!(matches!(made, Err(Error::BadParameter { .. })), "{made:?}");
    refused(create().producer::<f64>().map(drop));
    refused(create().rate(10.0).producer::<Marker>().map(drop));
    refused(create().channels(channels(64)).producer::<f64>().map(drop)); // as many bytes
    create().producer::<Marker>().unwrap();
    assert!(place.create("n").marks("no name").producer::<Marker>().is_err());
}
