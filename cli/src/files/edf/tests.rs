//! Every count comes as it is in the file, and every lie of a header is an error that names it.

use super::*;
use crate::files::Cause;
use make::{Edf as Made, Signal as MadeSignal};
use std::io::Cursor;
use std::time::{Duration, UNIX_EPOCH};

#[path = "../../../tests/common/edf.rs"]
mod make;

type File = Edf<Cursor<Vec<u8>>>;

fn open(bytes: Vec<u8>, options: &Options) -> Result<File, String> {
    Edf::new(Cursor::new(bytes), options).map_err(|error| match error {
        Error::Bad(why) => why,
        Error::Usage(why) => format!("usage: {why}"),
    })
}

fn why(made: &Made) -> String {
    open(made.bytes(), &Options::default()).unwrap_err()
}

/// All that is left, taken `most` frames at a time.
fn rest(file: &mut File, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        file.read(most, &mut all).unwrap();
        if all.len() == before {
            return all;
        }
        assert!(all.len() - before <= most * file.recording.frame_bytes());
    }
}

fn counts(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes).into()).collect()
}

fn interleaved(signals: &[MadeSignal]) -> Vec<i32> {
    (0..signals[0].samples.len()).flat_map(|at| signals.iter().map(move |one| one.samples[at])).collect()
}

fn two() -> Made {
    Made::new(vec![
        MadeSignal::counting("EEG Fpz-Cz", 100, 7, -300),
        MadeSignal::counting("Resp chest", 100, 7, 5000),
    ])
}

#[test]
fn counts_are_those_of_the_file_in_blocks_of_any_size() {
    let made = two();
    let mut file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!((file.recording.frames, file.recording.rate), (Some(700), 100.0));
    for most in [1, 7, 100, 101, 699, 100_000] {
        assert_eq!(counts(&rest(&mut file, most)), interleaved(&made.signals), "{most}");
        file.rewind().unwrap();
    }
    let mut some = Vec::new();
    file.read(150, &mut some).unwrap();
    file.rewind().unwrap();
    assert_eq!(counts(&rest(&mut file, 33)), interleaved(&made.signals), "after a rewind on the way");
}

#[test]
fn a_record_longer_than_a_window_is_read_in_parts() {
    // Two bytes for each of two channels: two windows, with no number in both.
    let mut signals = vec![MadeSignal::counting("a", WINDOW, 1, 0), MadeSignal::counting("b", WINDOW, 1, 0)];
    signals[0].samples.iter_mut().for_each(|sample| *sample /= 10);
    signals[1].samples.iter_mut().for_each(|sample| *sample /= -10);
    let mut file = open(Made::new(signals.clone()).bytes(), &Options::default()).unwrap();
    assert!(counts(&rest(&mut file, 1000)) == interleaved(&signals));
}

#[test]
fn the_channels_say_what_the_header_says() {
    let file = open(two().bytes(), &Options::default()).unwrap();
    let Recording { channels, device, start_time, notes, .. } = &file.recording;
    let [eeg, resp] = &channels[..] else { panic!("{channels:?}") };
    assert_eq!((&*eeg.label, &*eeg.kind, &*eeg.unit), ("Fpz-Cz", "EEG", "uV"));
    assert_eq!((&*resp.label, &*resp.kind), ("Resp chest", ""));
    assert_eq!((&*eeg.transducer, &*eeg.prefilter), ("AgAgCl electrode", "HP:0.1Hz LP:75Hz"));
    assert_eq!((eeg.physical_range, eeg.digital_range), (Some((-3276.8, 3276.7)), Some((-32_768, 32_767))));
    assert!((eeg.to_physical(123.0) - 12.3).abs() < 1e-9 && eeg.to_physical(0.0).abs() < 1e-9);
    assert_eq!(&**device, "Sony MNC R");
    let seconds = start_time.unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(seconds, Duration::from_secs(1_015_079_220), "2002-03-02 14:27:00");
    assert_eq!(notes, &[""; 0]);
    let all = format!("{:?}", file.recording);
    for word in ["Haagse", "Harry", "0234567", "1951", "EMG561", "JOP"] {
        assert!(!all.contains(word), "the patient and the staff stay in the file: {word}");
    }
}

#[test]
fn amplifiers_may_invert() {
    let mut made = two();
    made.signals[0].range = ["100", "-100", "-1000", "1000"].map(str::to_owned);
    let file = open(made.bytes(), &Options::default()).unwrap();
    let channel = &file.recording.channels[0];
    assert_eq!((channel.to_physical(1000.0), channel.physical_range), (-100.0, Some((-100.0, 100.0))));
}

#[test]
fn bdf_has_24_bits() {
    let mut made = Made::new(vec![MadeSignal::counting("EEG Cz", 4, 2, 0)]);
    made.width = 3;
    made.signals[0].samples = vec![0, 1, -1, 8_388_607, -8_388_608, 65_536, -65_536, 255];
    made.signals[0].range = ["-262144", "262143", "-8388608", "8388607"].map(str::to_owned);
    let made = made.plus("BDF+C", &["+0", "+1"]);
    let mut file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!(file.recording.format, SampleFormat::Real(SampleType::I32));
    assert_eq!(file.recording.channels[0].significant_bits, 24);
    let read = rest(&mut file, 3);
    let read: Vec<i32> = read.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    assert_eq!(read, made.signals[0].samples);
}

#[test]
fn annotations_become_markers_and_tell_the_fraction_of_the_start() {
    let onsets = ["+0.25", "+1.25", "+2.25", "+3.25", "+4.25", "+5.25", "+6.25"];
    let made = two().plus("EDF+C", &onsets);
    let mut file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!(counts(&rest(&mut file, 64)), interleaved(&made.signals));
    let lights = |at| Marker { position: Some(at), frames: 0, text: "Lights off".to_owned() };
    assert_eq!(file.markers(), [0, 100, 200, 300, 400, 500, 600].map(lights));
    assert_eq!(file.recording.notes, [""; 0]);
    let start = file.recording.start_time.unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(start, Duration::from_millis(1_015_079_220_250));

    let mut alone = Made::new(vec![MadeSignal::counting("EDF Annotations", 10, 3, 0)]);
    alone.duration = "0".to_owned();
    assert_eq!(why(&alone), "it has no signals, only annotations");
}

/// Each gap: after how many frames, and how many are missing.
fn gaps(file: &File) -> Vec<(u64, u64, Cause)> {
    file.gaps().iter().map(|gap| (gap.position, gap.missing.unwrap(), gap.cause)).collect()
}

#[test]
fn interrupted_files_tell_their_gaps() {
    let open = |made: &Made| open(made.bytes(), &Options::default()).unwrap();
    let whole = ["+0", "+1", "+2", "+3.000", "+4.004", "+5", "+6"];
    assert_eq!(gaps(&open(&two().plus("EDF+D", &whole))), [], "within half a sample");
    let gap = two().plus("EDF+D", &["+0.5", "+1.5", "+2.5", "+3.5", "+10.5", "+11.5", "+12.6"]);
    let mut file = open(&gap);
    assert_eq!(gaps(&file), [(400, 600, Cause::Unknown), (600, 10, Cause::Unknown)]);
    assert_eq!(file.gaps()[1].time, Duration::from_millis(12_100));
    assert_eq!(counts(&rest(&mut file, 64)), interleaved(&gap.signals));
    // Shifts of less than half a sample each, that add up.
    let drift = ["+0", "+1.004", "+2.008", "+3.012", "+4.016", "+5.02", "+6.024"];
    assert_eq!(
        gaps(&open(&two().plus("EDF+D", &drift))),
        [(200, 1, Cause::Unknown), (400, 1, Cause::Unknown)]
    );
    let back = two().plus("EDF+D", &["+0", "+1", "+1.9", "+3", "+4", "+5", "+6"]);
    assert!(why(&back).contains("data record 3 begins at 1.9 s, before"), "{}", why(&back));
    let mut silent = two().plus("EDF+D", &whole);
    silent.annotations[2] = b"Lights off".to_vec();
    assert!(why(&silent).contains("nothing says when data record 3 begins"), "{}", why(&silent));
    let mut without = two();
    without.reserved = "EDF+D".to_owned();
    assert!(why(&without).contains("nothing says when data record 1 begins"), "{}", why(&without));
}

#[test]
fn what_is_no_signal_is_left_out() {
    let mut made = two().plus("EDF+C", &["+0", "+1", "+2", "+3", "+4", "+5", "+6"]);
    let skip = |onset: &str, duration: &str, text: &str| {
        format!("{onset}\x14\x14\0{onset}\x15{duration}\x14BAD_ACQ_SKIP {text}\x14\0").into_bytes()
    };
    // Told in the record before, over its end, and twice; and at the end.
    made.annotations[1] = skip("+2.5", "0.75", "75 frames missing: lapped");
    made.annotations[2] = skip("+3", "0.5", "");
    made.annotations[1][..2].copy_from_slice(b"+1");
    made.annotations[1][2..5].copy_from_slice(b"\x14\x14\0");
    made.annotations[2][..2].copy_from_slice(b"+2");
    made.annotations[6] = b"+6\x14\x14\0+6.1\x150.9\x14BAD_ACQ_SKIP\x14\0".to_vec();
    let mut file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!(gaps(&file), [(250, 100, Cause::Lapped)]);
    let all = interleaved(&made.signals);
    let real = [&all[..500], &all[700..1220]].concat();
    assert_eq!(file.recording.frames, Some(510));
    assert_eq!(counts(&rest(&mut file, 33)), real);
    file.rewind().unwrap();
    assert_eq!(counts(&rest(&mut file, 10_000)), real);
}

#[test]
fn what_happened_belongs_to_the_frames_that_are_played() {
    let mut made = two().plus("EDF+D", &["+0", "+1", "+2", "+10", "+11", "+12", "+13"]);
    // In no order, several texts at one time, before and after all, while frames were missing; none without a text.
    made.annotations = [
        "+0\x14\x14\0+10.5\x151\x14late\x14\0",
        "+1\x14\x14\0+0.5\x14one\x14two\x14\0+1.5\x150.1\x14\x14\0",
        "+2\x14\x14\0-0.5\x14before\x14\0+5\x14in the gap\x14\0",
        "+10\x14begins\x14\0+14\x14the end\x14\0",
        "+11\x14\x14\0+14.1\x14after\x14\0+1e300\x14never\x14\0",
        "+12\x14\x14\0+12\x150.5\x14BAD_ACQ_SKIP\x14\0+12.2\x14none\x14\0",
        "+13\x14\x14\0+13\x14BAD_ACQ_SKIP\x14\0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let mut file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!(gaps(&file), [(300, 700, Cause::Unknown), (500, 50, Cause::Unknown)]);
    let found: Vec<_> = file.markers().iter().map(|one| (&*one.text, one.position, one.frames)).collect();
    let expected = [
        ("before", None, 0),
        ("one", Some(50), 0),
        ("two", Some(50), 0),
        ("in the gap", Some(300), 0),
        ("begins", Some(300), 0),
        ("late", Some(350), 100),
        ("none", Some(500), 0),
        ("the end", Some(650), 0),
        ("after", None, 0),
        ("never", None, 0),
    ];
    assert_eq!(found, expected);
    assert_eq!(rest(&mut file, 100).len(), 650 * 4);
}

#[test]
fn a_recording_that_begins_with_no_signal_has_no_gap_there() {
    let mut made = two().plus("EDF+C", &["+0", "+1", "+2", "+3", "+4", "+5", "+6"]);
    made.annotations[0] = b"+0\x14\x14\0+0\x150.5\x14BAD_ACQ_SKIP\x14\0+0.7\x14go\x14\0".to_vec();
    let file = open(made.bytes(), &Options::default()).unwrap();
    assert_eq!((gaps(&file), file.recording.frames), (vec![], Some(650)));
    let start = file.recording.start_time.unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(start, Duration::from_millis(1_015_079_220_500));
    assert_eq!(file.markers()[0].position, Some(20));
}

#[test]
fn times_without_end_are_no_reason_to_fail() {
    for onset in ["+1e300", "+1.7e308", "+1e18"] {
        let onsets = ["+0", "+1", onset, onset, onset, onset, onset];
        let why = why(&two().plus("EDF+D", &onsets));
        assert!(why.contains("data record 4 begins"), "{why}");
    }
}

#[test]
fn one_of_several_rates_must_be_chosen() {
    let fast = MadeSignal::counting("EEG Cz", 200, 3, 0);
    let slow = MadeSignal::counting("Temp rectal", 4, 3, 1000);
    let other = MadeSignal::counting("EEG Pz", 200, 3, 9000);
    let mut made = Made::new(vec![fast.clone(), slow.clone(), other.clone()]);
    made.duration = "2".to_owned();
    let refusal = why(&made);
    assert!(refusal.contains("100Hz: EEG Cz, EEG Pz; 2Hz: Temp rectal"), "{refusal}");
    assert!(refusal.contains("--channels 100Hz"), "{refusal}");
    for (wanted, signals, rate) in [
        ("100Hz", vec![&fast, &other], 100.0),
        ("2Hz", vec![&slow], 2.0),
        ("Pz,Cz", vec![&other, &fast], 100.0),
        ("EEG Cz", vec![&fast], 100.0),
        ("Temp rectal", vec![&slow], 2.0),
        ("3", vec![&other], 100.0),
    ] {
        let channels = wanted.split(',').map(str::to_owned).collect();
        let options = Options { channels, ..Options::default() };
        let mut file = open(made.bytes(), &options).unwrap();
        let signals: Vec<MadeSignal> = signals.into_iter().cloned().collect();
        assert_eq!(file.recording.rate, rate, "{wanted}");
        assert_eq!(counts(&rest(&mut file, 9)), interleaved(&signals), "{wanted}");
    }
    let options = Options { channels: vec!["Oz".to_owned()], ..Options::default() };
    let unknown = open(made.bytes(), &options).unwrap_err();
    assert!(unknown.starts_with("usage: --channels: there is no 'Oz'"), "{unknown}");
}

#[test]
fn a_file_that_was_cut_off_is_played_only_if_that_is_wanted() {
    let made = two();
    let whole = made.bytes();
    let cut = whole[..whole.len() - 1].to_vec();
    let refusal = open(cut.clone(), &Options::default()).unwrap_err();
    assert!(refusal.contains("says 7 data records, but 6 are whole"), "{refusal}");
    assert!(refusal.contains("--truncated"), "{refusal}");
    let truncated = Options { truncated: true, ..Options::default() };
    let mut file = open(cut, &truncated).unwrap();
    assert_eq!(counts(&rest(&mut file, 50)), interleaved(&made.signals)[..1200]);
    assert_eq!(
        file.recording.notes,
        ["its header says 7 data records, but 6 are whole, and 399 bytes of the next"]
    );
    let none = open(whole[..768 + 399].to_vec(), &truncated).unwrap_err();
    assert_eq!(none, "it has no whole data record");

    let mut longer = whole;
    longer.extend_from_slice(b"what is this");
    let mut file = open(longer, &Options::default()).unwrap();
    assert_eq!(counts(&rest(&mut file, 50)), interleaved(&made.signals));
    assert_eq!(file.recording.notes, ["12 bytes after the last data record skipped"]);
}

#[test]
fn a_recording_that_was_never_finished_is_played_as_far_as_it_goes() {
    let mut made = two();
    made.records = "-1".to_owned();
    let bytes = made.bytes();
    let mut file = open(bytes[..bytes.len() - 3].to_vec(), &Options::default()).unwrap();
    assert_eq!(file.recording.frames, Some(600));
    assert_eq!(counts(&rest(&mut file, 50)), interleaved(&made.signals)[..1200]);
    assert!(file.recording.notes[0].contains("never finished: 6 whole data records, and 397 bytes"));
}

#[test]
fn every_lie_of_a_header_is_named() {
    let lie = |change: &dyn Fn(&mut Made), told: &str| {
        let mut made = two();
        change(&mut made);
        let why = why(&made);
        assert!(why.contains(told), "'{why}' does not tell '{told}'");
    };
    lie(&|made| made.records = "99999999".into(), "says 99999999 data records, but 7 are whole");
    lie(&|made| made.records = "-2".into(), "-2 data records");
    lie(&|made| made.records = "0".into(), "no whole data record");
    lie(&|made| made.records = "7.5".into(), "the number of data records in its header is '7.5'");
    lie(&|made| made.duration = "0".into(), "a data record lasts 0 s");
    lie(&|made| made.duration = "-1".into(), "a data record lasts -1 s");
    lie(&|made| made.duration = "nan".into(), "duration of a data record in its header is 'nan'");
    lie(&|made| made.duration = "1e-320".into(), "no rate");
    lie(&|made| made.signals[1].range[0] = "3276.7".into(), "signal 2 ('Resp chest'): its physical");
    lie(&|made| made.signals[1].range[1] = "inf".into(), "its physical maximum is 'inf'");
    lie(&|made| made.signals[0].range[2] = "32767".into(), "digital range is 32767 to 32767");
    lie(&|made| made.signals[0].range[3] = "-32769".into(), "digital range is -32768 to -32769");
    lie(&|made| made.signals[0].range[3] = "0.5".into(), "digital range is -32768 to 0.5");
    lie(&|made| made.signals[0].range[3] = "".into(), "its digital maximum is ''");
    lie(&|made| made.signals[0].range = ["0", "1e-320", "0", "32767"].map(str::to_owned), "no scale");

    // These do not come from the maker, whose samples must fit.
    let patched = |at: usize, text: &str| {
        let mut bytes = two().bytes();
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        open(bytes, &Options::default()).unwrap_err()
    };
    assert_eq!(patched(0, "1 "), "it is no EDF or BDF file: it does not begin like one");
    assert!(patched(184, "512 ").contains("its header says that it has 512 bytes, but 2 signals make 768"));
    assert!(patched(252, "0   ").contains("no signals"));
    assert!(patched(252, "-2  ").contains("no signals"));
    assert!(patched(252, "many").contains("the number of signals in its header is 'many'"));
    assert!(patched(252, "9999").contains("9999 signals make 2560000"));
    // A header that fits itself, but not the file.
    let mut bytes = two().bytes();
    bytes[252..256].copy_from_slice(b"9999");
    bytes[184..192].copy_from_slice(b"2560000 ");
    let told = open(bytes, &Options::default()).unwrap_err();
    assert!(told.contains("cut off within its header: 3568 of 2560000 bytes"), "{told}");
    let per_record = 256 + 2 * 216;
    assert!(patched(per_record, "0   ").contains("signal 1 has '0' samples"));
    assert!(patched(per_record, "-100").contains("signal 1 has '-100' samples"));
    assert!(patched(per_record + 8, "99999999").contains("7 data records, but 0 are whole"));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = two().plus("EDF+C", &["+0", "+1", "+2", "+3", "+4", "+5", "+6"]).bytes();
    for length in 0..bytes.len() {
        assert!(open(bytes[..length].to_vec(), &Options::default()).is_err(), "{length}");
    }
}

#[test]
fn labels_of_other_days_are_read() {
    let mut bytes = two().bytes();
    // Latin-1 micro, a terminal's escape, and zeros for blanks.
    bytes[256 + 2 * 96..][..8].copy_from_slice(b"\xb5V\0\0\0\0\0\0");
    bytes[256..256 + 16].copy_from_slice(b"EEG \x1b[2JCz\0\0\0\0\0\0");
    let file = open(bytes, &Options::default()).unwrap();
    assert_eq!(file.recording.channels[0].unit, "µV");
    assert_eq!(file.recording.channels[0].label, "[2JCz");
}
