//! Chunks of any kind become frames of one stream, and what contradicts itself is refused.

use super::*;
use std::io::Cursor;

/// A file with a stream of two `int16` at 100 Hz, whose number is 7.
#[derive(Clone)]
struct Made(Vec<u8>);

impl Made {
    fn new(desc: &str) -> Self {
        let mut made = Self(b"XDF:".to_vec());
        made.chunk(1, b"<?xml version=\"1.0\"?><info><version>1.0</version></info>");
        made.header(7, "eeg", "int16", "100", desc);
        made
    }

    fn chunk(&mut self, tag: u16, content: &[u8]) {
        self.0.push(4);
        self.0.extend_from_slice(&(content.len() as u32 + 2).to_le_bytes());
        self.0.extend_from_slice(&tag.to_le_bytes());
        self.0.extend_from_slice(content);
    }

    fn header(&mut self, id: u32, name: &str, format: &str, rate: &str, desc: &str) {
        let xml = format!(
            "<?xml version=\"1.0\"?><info><name>{name}</name><channel_count>2</channel_count>\
             <nominal_srate>{rate}</nominal_srate><channel_format>{format}</channel_format><desc>{desc}</desc></info>"
        );
        self.chunk(2, &[&id.to_le_bytes()[..], xml.as_bytes()].concat());
    }

    /// Each with its stamp, if it has one.
    fn samples(&mut self, id: u32, samples: &[(Option<f64>, i16)]) {
        let mut content = id.to_le_bytes().to_vec();
        content.extend_from_slice(&[1, samples.len() as u8]);
        for (stamp, value) in samples {
            match stamp {
                Some(stamp) => {
                    content.push(8);
                    content.extend_from_slice(&stamp.to_le_bytes());
                }
                None => content.push(0),
            }
            content.extend_from_slice(&value.to_le_bytes());
            content.extend_from_slice(&(-value).to_le_bytes());
        }
        self.chunk(3, &content);
    }

    fn open(&self, options: &Options) -> Result<Xdf<Cursor<Vec<u8>>>, String> {
        Xdf::new(Cursor::new(self.0.clone()), options).map_err(|error| match error {
            Error::Bad(why) => why,
            Error::Usage(why) => format!("usage: {why}"),
        })
    }

    fn why(&self) -> String {
        self.open(&Options::default()).unwrap_err()
    }
}

fn values(file: &mut Xdf<Cursor<Vec<u8>>>, most: usize) -> Vec<i16> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        file.read(most, &mut all).unwrap();
        if all.len() == before {
            return all.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
        }
    }
}

fn two() -> Made {
    let mut made = Made::new("");
    made.samples(7, &[(Some(5.0), 1), (None, 2), (Some(5.021), 3)]);
    made.chunk(5, &[1; 16]);
    // 6 s later: more than 500 samples.
    made.samples(7, &[(Some(11.03), 4), (Some(11.04), 5)]);
    made
}

#[test]
fn chunks_become_frames() {
    let mut made = two();
    made.header(8, "other", "int8", "0", "");
    made.chunk(6, &[7, 0, 0, 0]);
    let mut file = made.open(&Options::default()).unwrap();
    assert_eq!((file.recording.frames, file.recording.rate), (Some(5), 100.0));
    assert_eq!(file.recording.notes, ["1 other streams skipped"]);
    for most in [1, 2, 100] {
        assert_eq!(values(&mut file, most), [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]);
        let gap = (file.gaps()[0].position, file.gaps()[0].missing, file.gaps().len());
        assert_eq!(gap, (3, Some(600), 1), "a millisecond is jitter");
        file.rewind().unwrap();
    }
    let one = Options { channels: vec!["2".to_owned()], ..Options::default() };
    assert_eq!(values(&mut made.open(&one).unwrap(), 3), [-1, -2, -3, -4, -5]);
}

/// A stream of texts with two channels, each with its stamp, if it has one.
fn texts(made: &mut Made, id: u32, texts: &[(Option<f64>, &str)]) {
    let mut content = id.to_le_bytes().to_vec();
    content.extend_from_slice(&[1, texts.len() as u8]);
    for (stamp, text) in texts {
        match stamp {
            Some(stamp) => content.extend([&[8], &stamp.to_le_bytes()[..]].concat()),
            None => content.push(0),
        }
        for part in [*text, "b"] {
            content.extend_from_slice(&[1, part.len() as u8]);
            content.extend_from_slice(part.as_bytes());
        }
    }
    made.chunk(3, &content);
}

#[test]
fn texts_become_markers() {
    let mut made = two();
    made.header(3, "other", "int16", "0", "");
    made.header(8, "stimuli", "string", "0", "");
    made.header(9, "eeg markers", "string", "0", "");
    made.header(10, "other markers", "string", "0", "");
    texts(&mut made, 9, &[(Some(8.0), "in the gap"), (Some(4.9), "before"), (Some(4.996), "first")]);
    texts(&mut made, 10, &[(Some(5.01), "of another")]);
    // That host's clock was 100 s behind, and was set anew.
    texts(
        &mut made,
        8,
        &[(Some(-94.99), "second"), (None, "too"), (Some(1000.0), "end"), (Some(1001.0), "after")],
    );
    for (when, offset) in [(-95.0, 100.0), (-99.0, 7.0), (-90.0, 100.0), (f64::NAN, 7.0), (1000.5, -988.95)] {
        let pair: [f64; 2] = [when, offset];
        let bytes: Vec<u8> = pair.into_iter().flat_map(f64::to_le_bytes).collect();
        made.chunk(4, &[&8_u32.to_le_bytes()[..], &bytes].concat());
    }
    let mut file = made.open(&Options::default()).unwrap();
    assert_eq!(file.recording.notes, ["2 other streams skipped"]);
    assert!(file.is_marked());
    for most in [1, 2, 100] {
        assert_eq!(values(&mut file, most).len(), 10);
        let found: Vec<_> = file.markers().iter().map(|one| (&*one.text, one.position)).collect();
        let expected = [
            ("before b", None),
            ("first b", Some(0)),
            ("second b", Some(1)),
            ("too b", Some(1)),
            ("in the gap b", Some(3)),
            ("end b", Some(5)),
            ("after b", None),
        ];
        assert_eq!(found, expected, "{most}");
        file.rewind().unwrap();
        assert!(file.markers().is_empty());
    }
    let mut broken = made.clone();
    broken.chunk(3, &[8, 0, 0, 0, 1, 1, 0, 1, 9, b'x']);
    assert_eq!(broken.why(), "a chunk of texts contradicts itself");
}

#[test]
fn exact_stamps_tell_each_missing_sample() {
    let mut made = Made::new("<synchronization><can_drop_samples>true</can_drop_samples></synchronization>");
    made.samples(7, &[(Some(5.0), 1), (None, 2), (Some(5.03), 3), (Some(5.044), 4)]);
    let mut file = made.open(&Options::default()).unwrap();
    let mut out = Vec::new();
    file.read(100, &mut out).unwrap();
    assert_eq!((out.len(), file.gaps().len()), (8, 1), "what comes before a gap is given alone");
    assert_eq!(values(&mut file, 100), [3, -3, 4, -4]);
    assert_eq!((file.gaps()[0].position, file.gaps()[0].missing), (2, Some(1)));
}

#[test]
fn what_was_widened_becomes_what_it_was() {
    let desc = "<annulus><sample_format>cu8</sample_format><start_time>1970-01-01T00:00:01Z</start_time></annulus>\
                <channels><channel><label>IQ.re</label><unit>V</unit></channel></channels>";
    let mut made = Made::new(desc);
    made.samples(7, &[(Some(5.0), 200)]);
    let mut file = made.open(&Options::default()).unwrap();
    let recording = file.recording();
    assert_eq!((recording.format.to_string(), &*recording.channels[0].label), ("cu8".to_owned(), "IQ"));
    assert!(recording.start_time.is_some() && recording.channels.len() == 1);
    let mut out = Vec::new();
    file.read(1, &mut out).unwrap();
    assert_eq!(out, [200, (-200_i16) as u8]);
}

#[test]
fn one_of_several_must_be_chosen() {
    let mut made = two();
    made.header(9, "emg", "int16", "100", "");
    made.samples(9, &[(Some(5.0), 9)]);
    let why = made.why();
    assert!(
        why.starts_with("usage: it has several") && why.contains("1: eeg (2 ch x i16 @ 100 Hz); 2: emg"),
        "{why}"
    );
    for wanted in ["emg", "2"] {
        let options = Options { stream: Some(wanted.to_owned()), ..Options::default() };
        assert_eq!(values(&mut made.open(&options).unwrap(), 7), [9, -9]);
    }
    let options = Options { stream: Some("ecg".to_owned()), ..Options::default() };
    assert!(made.open(&options).unwrap_err().starts_with("usage: --stream: there is no 'ecg'"));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let whole = two();
    let mut cut = whole.clone();
    cut.0.truncate(cut.0.len() - 3);
    assert!(
        cut.why().contains("cut off: its last") && cut.why().contains("add --truncated"),
        "{}",
        cut.why()
    );
    let truncated = Options { truncated: true, ..Options::default() };
    assert_eq!(values(&mut cut.open(&truncated).unwrap(), 9), [1, -1, 2, -2, 3, -3]);
    let refuse = |told: &str, change: &dyn Fn(&mut Made)| {
        let mut made = whole.clone();
        change(&mut made);
        let why = made.why();
        assert!(why.contains(told), "'{told}' is not in '{why}'");
    };
    refuse("does not begin like one", &|made| made.0[0] = b'x');
    refuse("no chunk where one should be", &|made| made.0.extend_from_slice(b"garbage"));
    refuse("that is none", &|made| made.0.extend_from_slice(&[1, 1, 0]));
    refuse("contradicts itself", &|made| made.chunk(3, &[7]));
    refuse("contradicts itself", &|made| made.chunk(3, &[7, 0, 0, 0, 1, 9, 0]));
    refuse("room for", &|made| made.chunk(3, &[7, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0]));
    refuse("is no XML", &|made| made.chunk(2, &[7, 0, 0, 0, b'<']));
    refuse("samples of type 'i16'", &|made| made.header(1, "x", "i16", "1", ""));
    let mut none = Made(b"XDF:".to_vec());
    assert_eq!(none.why(), "it has no streams");
    none.header(1, "marks", "string", "0", "");
    assert!(none.why().contains("no stream of numbers with a rate, but 1: marks"), "{}", none.why());
    assert_eq!(Made::new("").why(), "it has no samples");
    let mut flag = Made::new("");
    flag.chunk(3, &[7, 0, 0, 0, 1, 1, 3, 0, 0, 0, 0]);
    let mut file = flag.open(&Options::default()).unwrap();
    assert!(file.read(1, &mut Vec::new()).is_err());
}
