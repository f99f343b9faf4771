//! Lines become frames, and what is no line of numbers is named by its line and column.

use super::lines::LONGEST;
use super::*;
use std::io::Cursor;

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
    let mut bytes = Vec::new();
    file.read(usize::MAX, &mut bytes).map_err(why)?;
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
fn gaps_are_not_passed_over() {
    let read = |text: &str, rate| values(&mut open(text, &options(rate, "")).unwrap());
    let lost = read("position,x\n5,1\n6,2\n9,3\n", Some(5.0)).unwrap_err();
    assert!(lost.starts_with("line 4: the first column goes from 6 to 9 instead of 7"), "{lost}");
    assert!(read("position,x\n5,1\n5,2\n", Some(5.0)).unwrap_err().starts_with("line 3:"));
    assert!(read("position,x\n5,1\nnan,2\n", Some(5.0)).unwrap_err().starts_with("line 3:"));
    let pause: String = (0..50).map(|at| format!("{},0\n", if at < 40 { at } else { at + 7 })).collect();
    assert!(read(&format!("t,x\n{pause}"), None).unwrap_err().starts_with("line 42: "));
    assert!(read(&format!("t,x\n{pause}"), Some(1.0)).is_ok(), "the user's rate counts");
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
