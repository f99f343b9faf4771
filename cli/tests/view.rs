//! `view` on a terminal of 120 columns and 40 lines.

mod common;
mod terminal;

use annulus::Channel;
use common::{Place, until};
use rustix::process::Signal;
use std::fs;
use terminal::Terminal;

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;

fn view(place: &Place, options: &str) -> Terminal {
    let terminal = Terminal::new(place, &format!("view {options}"), COLUMNS, ROWS);
    terminal.until_taken();
    terminal
}

/// So much of the ECG, finished and kept: its picture does not move.
fn finished_ecg(place: &Place, frames: usize) {
    let done =
        place.run(&format!("gen --name a --wave ecg --frames {frames} --speed max --retain 20s --keep"));
    assert!(done.status.success(), "{done:?}");
}

/// The recording's raw counts, from its file.
fn recording() -> Vec<i16> {
    let file = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mitdb-208.edf")).unwrap();
    file[512..].chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

/// Positions of the R peaks: the highest count of each stretch that is far above the zero, 1024.
fn r_peaks(counts: &[i16]) -> Vec<usize> {
    const HIGH: i16 = 1024 + 120;
    let mut peaks: Vec<usize> = Vec::new();
    for (position, &count) in counts.iter().enumerate().filter(|(_, count)| **count > HIGH) {
        match peaks.last_mut() {
            // Less than 0.2 s after the last one it is the same beat.
            Some(last) if position - *last < 72 => {
                *last = if count > counts[*last] { position } else { *last }
            }
            _ => peaks.push(position),
        }
    }
    peaks
}

/// The cell of a text in the screen's lines.
fn find(lines: &[Vec<char>], text: &str) -> Option<(usize, usize)> {
    let text: Vec<char> = text.chars().collect();
    let on = |line: &Vec<char>| line.windows(text.len()).position(|window| window == text);
    lines.iter().enumerate().find_map(|(row, line)| Some((on(line)?, row)))
}

#[test]
fn the_r_peaks_are_at_their_times_and_heights() {
    let place = Place::new();
    finished_ecg(&place, 3600);
    let mut terminal = view(&place, "a --seconds 10s");
    terminal.until_shows(&["a@v1", "MLII (mV)", "360 Hz", "lost 0", "position 3600 = 0:10.000"]);
    terminal.until_shows(&[
        "the stream ended at position 3600; waiting for the next one",
        "q quit",
        "? help",
    ]);

    let text = terminal.text();
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    // What the picture itself says about its axes.
    let (zero, axis) = find(&lines, "\u{2575}0:00").expect("the time axis");
    let (eight, _) = find(&lines, "\u{2575}0:08").expect("the time axis");
    let per_frame = (eight - zero) as f64 / (8.0 * 360.0);
    let number = |row: usize| -> f64 {
        let panel: String = lines[row][1..zero].iter().collect();
        panel.split_whitespace().last().unwrap().parse().unwrap()
    };
    let (top, high, low) = (1, number(1), number(axis - 1));
    let braille = |cell: char| ('\u{2801}'..='\u{28FF}').contains(&cell);
    let highest = |x: usize| (top..axis).find(|&row| lines[row].get(x).is_some_and(|&cell| braille(cell)));

    let counts = &recording()[..3600];
    let peaks = r_peaks(counts);
    assert!(peaks.len() >= 10, "{peaks:?}");
    let cell = |position: usize| zero + (position as f64 * per_frame) as usize;
    for &peak in &peaks {
        let value = (f64::from(counts[peak]) - 1024.0) / 200.0;
        let row = top as f64 + (high - value) / (high - low) * (axis - top) as f64;
        let near = (cell(peak) - 1..=cell(peak) + 1).filter_map(highest).min();
        let found = near.unwrap_or_else(|| panic!("nothing is drawn at {peak}\n{text}"));
        assert!(
            (found as f64 - row).abs() <= 1.5,
            "{peak}: {value} mV is in line {found}, not {row}\n{text}"
        );
    }
    // And there are no others: nothing is as high except beside a peak.
    let limit = top as f64 + (high - 0.7) / (high - low) * (axis - top) as f64 - 1.0;
    for x in zero..lines[axis].len() - 1 {
        if peaks.iter().all(|&peak| cell(peak).abs_diff(x) > 2) {
            let found = highest(x).unwrap_or(axis);
            assert!(found as f64 >= limit, "column {x} is high, in line {found}\n{text}");
        }
    }
    terminal.press(b"q");
    terminal.assert_restored(0);
}

fn ends_with(keys: &[u8]) {
    let place = Place::new();
    let _producer = place.generate("a", "--wave ecg");
    let mut terminal = view(&place, "a");
    terminal.until_shows(&["MLII (mV)", "live"]);
    terminal.press(keys);
    terminal.assert_restored(0);
}

#[test]
fn q_ends_it() {
    ends_with(b"q");
}

#[test]
fn escape_ends_it() {
    ends_with(b"\x1b");
}

#[test]
fn ctrl_c_ends_it() {
    ends_with(b"\x03");
}

#[test]
fn signals_end_it() {
    let place = Place::new();
    let _producer = place.generate("a", "--wave ecg");
    for signal in [Signal::TERM, Signal::INT] {
        let terminal = view(&place, "a");
        terminal.until_shows(&["MLII (mV)", "live"]);
        terminal.signal(signal);
        terminal.assert_restored(0);
    }
    // One whose terminal was hung up has nothing to restore, and must not wait for keys that nobody can type.
    let mut terminal = view(&place, "a");
    terminal.signal(Signal::HUP);
    terminal.until_ends(1);
}

#[test]
fn a_killed_a_restarted_and_a_replaced_producer_are_told_and_followed() {
    let place = Place::new();
    let options = "--wave ecg --channels 2";
    let first = place.generate("a", options);
    let mut terminal = view(&place, "a");
    terminal.until_shows(&["MLII-1 (mV)", "live", "measured"]);
    let pid = first.pid();
    first.kill();
    terminal.until_shows(&[
        &format!("the producer (process {pid}) died at position"),
        "waiting for the next one",
    ]);
    let position = place.position("a");
    terminal.until_shows(&[&format!("position {position} = ")]);

    let second = place.generate("a", options);
    terminal.until_shows(&[&format!("a new producer carries on at position {position} (epoch 2)"), "live"]);
    until("the picture goes on", || !terminal.text().contains(&format!("position {position} = ")));
    // It finishes; another stream takes the name.
    assert!(second.interrupt().status.success());
    terminal.until_shows(&["the stream ended at position", "waiting for the next one"]);
    let third = place.generate("a", "--wave sine --channels 3 --rate 100");
    terminal.until_shows(&["the stream was replaced: this is the new one", "ch3", "100 Hz", "live"]);
    assert!(!terminal.text().contains("MLII"));
    // One that is killed and then replaced is not followed any longer than it has a name.
    third.kill();
    terminal.until_shows(&["died at position"]);
    let _fourth = place.generate("a", "--wave counter --channels 1 --type u16");
    terminal.until_shows(&["the stream was replaced: this is the new one", "ch1", "250 Hz", "live"]);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn a_producer_that_leaves_is_told() {
    let place = Place::new();
    let create = annulus::create("a").directory(place.path()).channels([Channel::new("x").unit("uV")]);
    let mut producer = create.rate(100.0).producer::<f32>().unwrap();
    producer.push(&[1.0, f32::NAN, f32::INFINITY, 2.0]).unwrap();
    let mut terminal = view(&place, "a");
    terminal.until_shows(&["x (uV)", "position 4 = 0:00.040", "live"]);
    drop(producer);
    terminal.until_shows(&["the producer left; waiting for the next one"]);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn keys_change_the_view() {
    let place = Place::new();
    finished_ecg(&place, 7200);
    let mut terminal = view(&place, "a --seconds 5s");
    terminal.until_shows(&["position 7200 = 0:20.000", "0:19"]);
    terminal.press(b"\x1b[D");
    terminal.until_shows(&["paused", " s behind", "\u{2575}0:15"]);
    terminal.press(b"\x1b[H");
    terminal.until_shows(&["\u{2575}0:00", "15.0 s behind"]);
    terminal.press(b"[");
    terminal.until_shows(&["\u{2575}0:02.5"]);
    terminal.press(b"\x1b[F");
    terminal.until_shows(&["\u{2575}0:19.5", "ended"]);
    terminal.press(b"c");
    terminal.until_shows(&["cursor position", "MLII", " mV"]);
    terminal.press(b"?");
    terminal.until_shows(&["all channels over each other"]);
    terminal.press(b"?co");
    until("help and cursor are gone", || {
        let text = terminal.text();
        !text.contains("cursor position") && !text.contains("all channels over each other")
    });
    terminal.press(b"o ");
    terminal.until_shows(&["paused"]);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn what_was_overwritten_while_it_was_paused_is_told() {
    let place = Place::new();
    let create = annulus::create("a").directory(place.path()).channels([Channel::new("x")]);
    let mut producer = create.rate(1000.0).capacity(4096).producer::<i32>().unwrap();
    producer.push(&[1; 1000]).unwrap();
    producer.push(&[2; 1000]).unwrap();
    let mut terminal = view(&place, "a --seconds 6s");
    terminal.until_shows(&["position 2000 = ", "lost 0"]);
    terminal.press(b" ");
    terminal.until_shows(&["paused"]);
    for _ in 0..8 {
        producer.push(&[3; 1000]).unwrap();
    }
    terminal.until_shows(&["8.00 s behind"]);
    assert!(!terminal.text().contains("overwritten"), "what was read stays in view");
    terminal.press(b"[");
    terminal.until_shows(&["this was overwritten meanwhile"]);
    terminal.press(b" ");
    terminal.until_shows(&["position 10000 = ", "lost 0", "live"]);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn one_who_is_held_up_is_told_what_it_lost() {
    let place = Place::new();
    let _producer = place.generate("a", "--rate 10000 --retain 100ms");
    let mut terminal = view(&place, "a --seconds 10s");
    terminal.until_shows(&["live", "lost 0"]);
    terminal.signal(Signal::STOP);
    let position = place.position("a");
    until("it is lapped several times", || place.position("a") > position + 10_000);
    terminal.signal(Signal::CONT);
    // A cross under each column that lacks something, and nothing is drawn there.
    until("the loss is shown", || !terminal.text().contains("lost 0 "));
    terminal.press(b" ");
    terminal.until_shows(&["paused", "\u{d7}\u{d7}\u{d7}\u{d7}"]);
    let text = terminal.text();
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let (first, axis) = find(&lines, "\u{d7}\u{d7}\u{d7}\u{d7}").unwrap();
    for line in &lines[1..axis] {
        assert_eq!(line[first + 1..first + 3], [' ', ' '], "{text}");
    }
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn hundreds_of_channels_are_turned_over() {
    let place = Place::new();
    let done = place.run("gen --name a --channels 300 --frames 1000 --speed max --keep");
    assert!(done.status.success());
    let mut terminal = view(&place, "a");
    terminal.until_shows(&["ch1 ", "ch12 "]);
    terminal.press(b"\x1b[6~");
    terminal.until_shows(&["ch13 ", "ch24 "]);
    terminal.press(b"s");
    until("one is alone", || terminal.text().matches("ch").count() == 2);
    terminal.press(b"sx");
    terminal.until_shows(&["299 of 300 shown"]);
    terminal.press(b"q");
    terminal.assert_restored(0);

    let mut terminal = view(&place, "a --channels ch7,299-300 --overlay --gain 4");
    terminal.until_shows(&["ch7", "ch299", "ch300", "3 of 300 shown", "2.00", "-2.00"]);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn any_size_will_do() {
    let place = Place::new();
    let _producer = place.generate("a", "--wave ecg --channels 20");
    let mut terminal = view(&place, "a");
    terminal.press(b"c?");
    for round in 0..3 {
        for (columns, rows) in
            [(1, 1), (2, 1), (1, 40), (300, 1), (23, 5), (24, 6), (8, 3), (500, 200), (3, 2), (120, 4)]
        {
            terminal.resize(columns, rows);
            terminal.press(if round == 1 { b"o]" } else { b"[\x1b[B" });
        }
    }
    terminal.press(b"?");
    terminal.resize(80, 20);
    until("the frame ends at the new corner", || terminal.cell(79, 18) == "┘");
    terminal.resize(1, 1);
    terminal.press(b"q");
    terminal.assert_restored(0);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let place = Place::new();
    finished_ecg(&place, 10);
    let refused = place.run("view a");
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("annulus cat a"), "{}", refused.stderr);
    assert!(refused.stderr.contains("annulus view a --snapshot"), "{}", refused.stderr);

    let mut plain = annulus::create("p").directory(place.path()).capacity(64).producer::<[u8; 12]>().unwrap();
    plain.push(&[[7; 12]]).unwrap();
    for (options, wanted) in [
        ("nothing", "nothing"),
        ("p", "12-byte elements"),
        ("a --channels V5", "no channel is called 'V5': there are MLII"),
        ("a --channels 2", "there are channels 1 to 1"),
    ] {
        let mut terminal = Terminal::new(&place, &format!("view {options}"), COLUMNS, ROWS);
        terminal.until_ends(if options == "nothing" { 1 } else { 2 });
        terminal.until_shows(&["annulus: ", wanted]);
        terminal.assert_restored(if options == "nothing" { 1 } else { 2 });
    }
}
