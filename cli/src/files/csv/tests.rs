//! Lines become frames, and what is no line of numbers is named by its line and column.

use super::lines::LONGEST;
use super::*;
use std::io::Cursor;
use std::time::Duration;

type File<'a> = Csv<Cursor<&'a [u8]>>;

fn options(rate: Option<f64>, format: &str) -> Options {
    let format = (!format.is_empty()).then(|| format.parse().unwrap());
    Options { rate, format, ..Options::default() }
}

fn open<'a>(text: &'a str, options: &Options) -> Result<File<'a>, String> {
    Csv::new(Cursor::new(text.as_bytes()), options).map_err(why)
}

fn why(error: Error) -> String {
    match error {
        Error::Bad(why) => why,
        Error::Usage(why) => format!("usage: {why}"),
    }
}

fn values(file: &mut File) -> Result<Vec<f64>, String> {
    let (mut bytes, mut before) = (Vec::new(), usize::MAX);
    while bytes.len() != before {
        before = bytes.len();
        file.read(usize::MAX, &mut bytes).map_err(why)?;
    }
    let number = file.number;
    Ok(with_number!(number, N => bytes.chunks_exact(N::BYTES).map(|one| N::read(one).to_f64()).collect()))
}

fn labels<'a>(file: &'a File) -> Vec<&'a str> {
    file.recording.channels.iter().map(|channel| &*channel.label).collect()
}

#[test]
fn what_cat_writes_is_read_back() {
    let text = "position,MLII,\"a,b\"\n1000,-3,7\n1001,4,-32768\n";
    let mut file = open(text, &options(Some(360.0), "i16")).unwrap();
    assert_eq!(labels(&file), ["MLII", "a,b"]);
    assert_eq!((file.recording.rate, file.recording.format.to_string().as_str()), (360.0, "i16"));
    for _ in 0..2 {
        assert_eq!(values(&mut file).unwrap(), [-3.0, 7.0, 4.0, -32_768.0]);
        file.rewind().unwrap();
    }
    let text = "position,x.re,x.im\n0,0.1,-2.0\n1,NaN,inf\n";
    let mut file = open(text, &options(Some(1e6), "cf32")).unwrap();
    assert_eq!(labels(&file), ["x"]);
    let read = values(&mut file).unwrap();
    assert_eq!(read[..2], [f64::from(0.1_f32), -2.0]);
    assert!(read[2].is_nan() && read[3] == f64::INFINITY);
}

#[test]
fn a_table_of_bare_numbers_has_no_head() {
    let mut file = open("1,2\n3,4", &options(Some(5.0), "")).unwrap();
    assert_eq!(labels(&file), ["ch1", "ch2"]);
    assert_eq!(file.recording.format, SampleFormat::Real(SampleType::F64));
    assert_eq!(values(&mut file).unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn tables_of_other_programs_are_read() {
    for text in ["\u{feff}a;b\r\n1;2\r\n\r\n3;4\r\n", "a\tb\n 1 \t2\n3\t\"4\"\n", "\u{feff}1,2\n3,4\n"] {
        let mut file = open(text, &options(Some(5.0), "")).unwrap();
        for _ in 0..2 {
            assert_eq!(values(&mut file).unwrap(), [1.0, 2.0, 3.0, 4.0], "{text:?}");
            file.rewind().unwrap();
        }
    }
}

#[test]
fn columns_can_be_chosen() {
    let chosen = Options { channels: vec!["c".into(), "1".into()], ..options(Some(5.0), "") };
    let mut file = open("time,a,b,c\n0,1,2,3\n", &chosen).unwrap();
    assert_eq!(labels(&file), ["c", "a"]);
    assert_eq!(values(&mut file).unwrap(), [3.0, 1.0]);
}

#[test]
fn times_tell_the_rate() {
    let table = |rate: f64, digits: usize| -> String {
        let lines = (0..3000).map(|at| format!("{:.digits$},{at}\n", 10.0 + f64::from(at) / rate));
        "Time [s],x\n".to_owned() + &lines.collect::<String>()
    };
    for (rate, digits) in [(256.0, 3), (1000.0, 3), (360.0, 6), (99.5, 9), (0.1, 0)] {
        let table = table(rate, digits);
        let mut file = open(&table, &options(None, "")).unwrap();
        assert!((file.recording.rate - rate).abs() < 1e-6 * rate, "{rate}: {}", file.recording.rate);
        assert!(values(&mut file).unwrap().into_iter().eq((0..3000).map(f64::from)), "{rate}");
    }
    for text in ["t,x\n0,1\n", "t,x\n0,1\n0,2\n", "t,x\n1,1\n0,2\n", "t,x\nnan,1\nnan,1\n"] {
        let why = open(text, &options(None, "")).unwrap_err();
        assert!(why.contains("do not tell the rate"), "{text}: {why}");
    }
}

#[test]
fn times_may_have_a_unit() {
    let table = |label: &str, step: f64| -> String {
        let lines = (0..100).map(|at| format!("{},{at}\n", f64::from(at) * step));
        format!("{label},x\n") + &lines.collect::<String>()
    };
    for (label, step) in
        [("Time (ms)", 4.0), ("time_ms", 4.0), ("time [us]", 4000.0), ("t/ns", 4e6), ("Time", 0.004)]
    {
        let table = table(label, step);
        let mut file = open(&table, &options(None, "")).unwrap();
        assert_eq!((file.recording.rate, labels(&file)), (250.0, vec!["x"]), "{label}");
        assert_eq!(values(&mut file).unwrap().len(), 100, "{label}");
    }
    let minutes = table("Time\u{1b} (min)", 1.0);
    let why = open(&minutes, &options(None, "")).unwrap_err();
    assert!(why.starts_with("usage: --rate is needed") && why.ends_with("'Time  (min)'"), "{why}");
    assert!(values(&mut open(&minutes, &options(Some(4.0), "")).unwrap()).is_ok(), "the user's rate counts");
}

#[test]
fn times_with_an_exponent_are_as_exact_as_they_say() {
    // In whole seconds this would be nothing at all.
    let file = open("time,x\n0e-3,0\n121e-3,1\n242e-3,2\n", &options(None, "")).unwrap();
    assert!((file.recording.rate - 1.0 / 0.121).abs() < 1e-9, "{}", file.recording.rate);
    // Whole milliseconds, 387 for 99 frames: 255.81 was meant to be 256.
    let table: String = (0..100).map(|at| format!("{:e},0\n", (f64::from(at) / 0.256).round())).collect();
    assert!(table.contains("\n3.87e2,0\n"));
    let table = "Time (ms),x\n".to_owned() + &table;
    assert_eq!(open(&table, &options(None, "")).unwrap().recording.rate, 256.0);
}

#[test]
fn times_may_be_coarser_than_the_frames() {
    let table = |rate: f64, count: u32, missing: Option<u32>| -> String {
        let frame = |line: u32| f64::from(line + u32::from(missing.is_some_and(|missing| line >= missing)));
        let line = |line: u32| format!("{:.3},{line}\n", (frame(line) / rate * 1e3 + 0.2).floor() / 1e3);
        "time,x\n".to_owned() + &(0..count).map(line).collect::<String>()
    };
    for rate in [1024.0, 1000.0, 2000.0, 512.0, 2048.0] {
        let whole = table(rate, 3000, None);
        let mut file = open(&whole, &options(None, "")).unwrap();
        assert_eq!(file.recording.rate, rate);
        for _ in 0..2 {
            assert_eq!(values(&mut file).unwrap().len(), 3000, "{rate}");
            file.rewind().unwrap();
        }
        for missing in [700, 1501, 2222] {
            let gap = table(rate, 3000, Some(missing));
            let mut file = open(&gap, &options(None, ""));
            match file.as_mut().map_err(|why| why.clone()).and_then(values) {
                // At a millisecond each line tells how many are missing.
                Ok(values) => {
                    let gaps: Vec<_> =
                        file.unwrap().gaps().iter().map(|gap| (gap.position, gap.missing)).collect();
                    assert_eq!((rate, values.len(), gaps), (1000.0, 3000, vec![(missing.into(), Some(1))]));
                }
                Err(why) => assert!(why.ends_with("; --rate plays it regardless"), "{rate} {missing}: {why}"),
            }
            assert_eq!(values(&mut open(&gap, &options(Some(rate), "")).unwrap()).unwrap().len(), 3000);
        }
    }
    // Too few to tell them from others.
    let why = open(&table(2048.0, 50, None), &options(None, "")).unwrap_err();
    assert!(why.contains("too few digits") && why.ends_with("; --rate plays it regardless"), "{why}");
}

#[test]
fn gaps_are_told() {
    let read = |text: &str, rate| {
        let mut file = open(text, &options(rate, "")).unwrap();
        let values = values(&mut file)?;
        let gaps: Vec<_> = file.gaps().iter().map(|gap| (gap.position, gap.missing, gap.time)).collect();
        Ok::<_, String>((values.len(), gaps))
    };
    let gap =
        |position, missing, milliseconds| (position, Some(missing), Duration::from_millis(milliseconds));
    assert_eq!(read("position,x\n5,1\n6,2\n9,3\n", Some(5.0)), Ok((3, vec![gap(2, 2, 800)])));
    let twice = "position,x\n5,1\n7,2\n9,3\n10,4\n";
    assert_eq!(read(twice, Some(5.0)), Ok((4, vec![gap(1, 1, 400), gap(2, 1, 800)])));
    let mut file = open(twice, &options(Some(5.0), "")).unwrap();
    let mut out = Vec::new();
    file.read(100, &mut out).unwrap();
    assert_eq!((out.len(), file.gaps().len()), (8, 1), "what comes before a gap is given alone");
    file.rewind().unwrap();
    assert_eq!((values(&mut file).unwrap().len(), file.gaps().len()), (4, 2));
    let pause: String = (0..50).map(|at| format!("{},0\n", if at < 40 { at } else { at + 7 })).collect();
    assert_eq!(read(&format!("t,x\n{pause}"), None), Ok((50, vec![gap(40, 7, 47_000)])));
    assert_eq!(read(&format!("t,x\n{pause}"), Some(1.0)), Ok((50, vec![])), "the user's rate counts");
    let slip = format!("t,x\n{}46.5,0\n", (0..40).map(|at| format!("{at}.0,0\n")).collect::<String>());
    let lost = read(&slip, None).unwrap_err();
    assert!(lost.starts_with("line 42: the first column goes from 39 to 46.5 instead of 40"), "{lost}");
    assert!(lost.ends_with("; --rate plays it regardless"), "{lost}");
    assert!(read("position,x\n5,1\n5,2\n", Some(5.0)).unwrap_err().starts_with("line 3:"));
    let none = read("position,x\n5,1\nnan,2\n", Some(5.0)).unwrap_err();
    assert_eq!(none, "line 3, column 1: 'nan' is no number");
    let mut again = open("position,x\n5,1\n6,2\n", &options(Some(5.0), "")).unwrap();
    assert!(values(&mut again).is_ok());
    again.rewind().unwrap();
    assert!(values(&mut again).is_ok(), "starting over is no gap");
}

#[test]
fn bad_lines_are_named() {
    let read = |text: &str, format: &str| values(&mut open(text, &options(Some(5.0), format))?);
    let why = |text: &str, format: &str| read(text, format).unwrap_err();
    assert_eq!(why("a,b\n1,2\n3\n", ""), "line 3 has 1 fields, but the first line has 2");
    assert_eq!(why("a,b\n1,2\n\n\n3,4,5\n", ""), "line 5 has 3 fields, but the first line has 2");
    assert_eq!(why("a,b\r\n1,2\r\n\r\n3\r\n", ""), "line 4 has 1 fields, but the first line has 2");
    assert_eq!(why("\"a\nb\",b\n1,2\n3", ""), "line 4 has 1 fields, but the first line has 2");
    assert_eq!(why("a,b\n1,2\n3,x y\n", ""), "line 3, column 2: 'x y' is no f64 (see --type)");
    assert_eq!(why("a,b\n1,\n", ""), "line 2, column 2: '' is no f64 (see --type)");
    assert_eq!(why("a\n1\n2.5\n", "i16"), "line 3, column 1: '2.5' is no i16 (see --type)");
    assert_eq!(why("a\n40000\n", "i16"), "line 2, column 1: '40000' is no i16 (see --type)");
    assert_eq!(why("a\n-1\n", "u8"), "line 2, column 1: '-1' is no u8 (see --type)");
    assert_eq!(why("position,a\nx,1\n", ""), "line 2, column 1: 'x' is no number");
    assert_eq!(why("", ""), "it has no lines");
    assert_eq!(why("a,b\n", ""), "it has no line of numbers");
    assert!(why("position\n1\n", "").starts_with("usage: 0 columns"));
    assert!(why("a,b,c\n1,2,3\n", "cf32").starts_with("usage: 3 columns"));
    assert!(why("a\n1\n", "opaque").starts_with("usage: --type"));
    assert!(open("a\n1\n", &options(None, "")).unwrap_err().starts_with("usage: --rate is needed"));
    let mut bytes = Csv::new(Cursor::new(&b"a,b\n1,\xff\n"[..]), &options(Some(1.0), "")).unwrap();
    assert!(values(&mut bytes).unwrap_err().starts_with("line 2, column 2"));
}

#[test]
fn a_first_line_is_labels_or_numbers() {
    let why = |text: &str| open(text, &options(Some(5.0), "")).unwrap_err();
    for text in ["1,2,NA\n3,4,5\n", "\n\nNA,,nan\n3,4,5\n", "1,b\n2,3\n"] {
        let why = why(text);
        assert!(
            why.contains("which is a number, and") && why.contains("a frame has numbers only"),
            "{text}: {why}"
        );
    }
    assert!(
        why("\n\n1,2,N\u{9b}A\n").starts_with("line 3 has '1', which is a number, and 'N A', which is none")
    );
    // Nothing but labels can be in a line with one of these.
    for text in ["position,1,2\n0,3,4\n1,5,6\n", "Time (s),1,2\n0,3,4\n1,5,6\n"] {
        let mut file = open(text, &options(Some(5.0), "")).unwrap();
        assert_eq!(labels(&file), ["1", "2"]);
        assert_eq!(values(&mut file).unwrap(), [3.0, 4.0, 5.0, 6.0]);
    }
    assert_eq!(labels(&open(",b\n1,2\n", &options(Some(5.0), "")).unwrap()), ["", "b"]);
}

#[test]
fn labels_command_no_terminal() {
    let file = open("a\u{1b}[2J,\u{9b}b\t\n1,2\n", &options(Some(5.0), "")).unwrap();
    assert_eq!(labels(&file), ["a [2J", "b"]);
}

#[test]
fn an_empty_line_is_a_missing_value_where_there_is_one_column() {
    let read = |text: &str| values(&mut open(text, &options(Some(5.0), ""))?);
    for (text, line) in [
        ("a\n1\n\n2\n", 4),
        ("1\n2\n\n\n3", 5),
        ("a\r\n1\r\n\r\n2\r\n", 4),
        ("a\n\n1\n2\n", 3),
        ("\n1\n2\n", 2),
        ("a\r\n1\r\n2\n\r\n3", 5),
    ] {
        let why = read(text).unwrap_err();
        assert!(why.starts_with(&format!("line {line} comes after an empty one")), "{text:?}: {why}");
    }
    for text in ["1\n2\n3\n\n\n", "a\r\n1\r\n2\r\n3\r\n\r\n", "1\r2\r3", "1\n2\n3"] {
        assert_eq!(read(text).unwrap(), [1.0, 2.0, 3.0], "{text:?}");
    }
    // What was read ahead of an empty line is there, and again.
    let text = "a\n".to_owned() + &"1\n".repeat(50_000) + "\n2\n";
    let mut file = open(&text, &options(Some(5.0), "u8")).unwrap();
    for _ in 0..2 {
        let mut bytes = Vec::new();
        assert!(why(file.read(usize::MAX, &mut bytes).unwrap_err()).starts_with("line 50003 comes after"));
        assert_eq!(bytes.len(), 50_000);
        file.rewind().unwrap();
    }
}

#[test]
fn a_bad_line_among_the_times_comes_after_those_before_it() {
    let mut file = open("t,x\n0,1\n1,2\n2,3\nx,4\n", &options(None, "")).unwrap();
    let mut bytes = Vec::new();
    let broken = file.read(usize::MAX, &mut bytes).unwrap_err();
    assert_eq!((why(broken).as_str(), bytes.len()), ("line 5, column 1: 'x' is no number", 24));
}

#[test]
fn no_line_has_more_fields_than_a_stream_channels() {
    let widest = ",0".repeat(1 << 17);
    let complex = options(Some(5.0), "cf32");
    let table = format!("position{}\n0{widest}\n", ",a".repeat(1 << 17));
    assert_eq!(open(&table, &complex).unwrap().recording.channels.len(), 1 << 16);
    let why = open(&format!("0,0{widest}\n"), &complex).unwrap_err();
    assert_eq!(why, "line 1 has 131074 fields, more than a stream has channels");
    let commas = ",".repeat(LONGEST as usize - 10);
    assert!(open(&commas, &complex).unwrap_err().ends_with("more than a stream has channels"));
}

#[test]
fn a_line_without_an_end_is_not_kept() {
    let long = "a\n1\n\"".to_owned() + &"1,\n".repeat(LONGEST as usize / 3 + 10_000);
    let mut file = open(&long, &options(Some(5.0), "")).unwrap();
    assert!(values(&mut file).unwrap_err().contains("a line has more than 4 MiB"));
    // As many bytes in lines of their own are no matter.
    let lines = "a\n".to_owned() + &"1234567\n".repeat(LONGEST as usize / 8 + 1);
    let mut file = open(&lines, &options(Some(5.0), "u32")).unwrap();
    let mut bytes = Vec::new();
    file.read(usize::MAX, &mut bytes).unwrap();
    assert_eq!(bytes.len(), (LONGEST as usize / 8 + 1) * 4);
}
