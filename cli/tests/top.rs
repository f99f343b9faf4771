//! `annulus top`: what streams of several processes do.

mod common;
mod terminal;

use common::{Place, until};
use rustix::process::Signal;
use serde_json::Value;
use terminal::Terminal;

/// What `top --json` says of a stream.
fn top(place: &Place, name: &str) -> Value {
    let text = place.output("top --json --interval 300ms");
    let streams: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    streams.into_iter().find(|stream| stream["name"] == name).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// The cells of a stream's line: states and numbers hold no blanks but the ones asked for.
fn line(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_table_tells_what_each_stream_does() {
    let place = Place::new();
    assert_eq!(place.output("top --interval 1ms").lines().count(), 1, "only the heads");
    let live = place.generate("live", "--rate 2000 --type i16 --channels 4");
    let _shared = place.start("gen --system --name shared --rate 50");
    until("the shared one is there", || place.path().join("annulus.shared@v1.l1").exists());
    let dead = place.generate("dead", "--rate 100");
    let killed = dead.pid();
    dead.kill();
    place.output("gen --name over --rate 1000 --frames 500 --speed max --keep");
    std::fs::write(place.object("broken@v1"), [0; 100]).unwrap();
    let reader = place.start("cat live --wait block --chunk 100");
    reader.until_lines(101);

    let mut table = place.output("top --once --interval 1s");
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns[..6], ["NAME", "STATE", "KIND", "NOMINAL", "FRAMES/S", "MB/S"]);
    let row = line(&table, "live@v1");
    assert_eq!(row[1..4], ["live", "broadcast", "2000"]);
    assert!(row[4].parse::<f64>().unwrap() > 0.0 && row[5].parse::<f64>().unwrap() > 0.0, "{table}");
    assert_eq!(row[12..], [live.pid().to_string(), "annulus".to_owned()], "{table}");
    assert!(table.contains(&format!("  observer {} annulus: ", reader.pid())), "{table}");
    let row = line(&table, "dead@v1");
    assert_eq!((&*row[1], &*row[4], &*row[12]), ("dead", "0.0", &*killed.to_string()));
    assert_eq!(line(&table, "over@v1")[1], "ended");
    assert_eq!(line(&table, "shared@v1 (system)")[1], "live", "each is listed once: {table}");
    assert!(table.contains("broken@v1  broken: "), "{table}");
    assert_eq!(table.matches("shared@v1").count(), 1, "{table}");

    table = place.output("top --interval 300ms --sort rate");
    assert!(line(&table, "live@v1") == line(table.split_once('\n').unwrap().1, "live@v1"));
    assert!(table.lines().nth(1).unwrap().starts_with("live@v1"), "the fastest first: {table}");

    let told = top(&place, "live@v1");
    let activity = &told["activity"];
    let (rate, bytes) =
        (activity["frames_per_second"].as_f64().unwrap(), activity["bytes_per_second"].as_f64().unwrap());
    assert!((bytes / rate / 8.0 - 1.0).abs() < 1e-9, "{told}");
    assert!(
        activity["seconds"].as_f64().unwrap() >= 0.3 && activity["frames"].as_u64().unwrap() > 0,
        "{told}"
    );
    assert!(activity["wakes_per_second"].as_f64().unwrap() > 0.0, "one sleeps there: {told}");
    assert_eq!(activity["readers"][0]["pid"], reader.pid());
    let quiet = top(&place, "shared@v1");
    assert_eq!(quiet["activity"]["wakes_per_second"], 0.0, "nobody sleeps there: {quiet}");
    // Who looks takes no seat, and changes nothing.
    assert_eq!(quiet["attached"].as_array().unwrap().len(), 1, "{quiet}");
    assert_eq!(top(&place, "broken@v1")["state"], "broken");
}

#[test]
fn a_lapped_reader_and_its_loss_are_told() {
    let place = Place::new();
    let _live = place.generate("a", "--rate 20000 --channels 2 --type i32 --retain 2000");
    let reader = place.start("cat a");
    reader.until_lines(10);
    reader.signal(Signal::STOP);
    until("it is lapped", || {
        let told = top(&place, "a@v1");
        told["activity"]["readers"][0]["lag"].as_u64().unwrap() > 2 * told["capacity"].as_u64().unwrap()
    });
    let table = place.output("top --interval 1ms");
    assert!(table.contains(" frames behind ("), "frames and seconds: {table}");
    reader.signal(Signal::CONT);
    let mut told = Value::Null;
    until("it says what it lost", || {
        told = top(&place, "a@v1");
        told["activity"]["readers"][0]["lost"].as_u64().unwrap() > 0
    });
    let one = &told["activity"]["readers"][0];
    assert!(one["lost_in_interval"].as_u64().unwrap() <= one["lost"].as_u64().unwrap(), "{one}");
    let table = place.output("top --interval 1ms");
    let lost: u64 = line(&table, "a@v1")[10].split(' ').next().unwrap().parse().unwrap();
    assert!(lost >= one["lost"].as_u64().unwrap(), "{table}");
}

#[test]
fn a_stream_that_is_replaced_is_another_one() {
    let place = Place::new();
    let first = place.generate("a", "--rate 1000");
    let terminal = Terminal::new(&place, "top --interval 3s", 140, 12);
    terminal.until_shows(&["a@v1", &first.pid().to_string()]);
    until("the first one went far", || place.position("a") > 1000);
    first.interrupt();
    // Its positions begin at 0 again.
    let second = place.generate("a", "--rate 1000");
    terminal.until_shows(&["a@v1", &second.pid().to_string()]);
    let row = line(&terminal.text(), "a@v1");
    assert_eq!((&*row[3], &*row[4], &*row[11]), ("1000", "-", "-"), "{row:?}");
    until("its own rate is told", || line(&terminal.text(), "a@v1")[4].parse::<f64>().is_ok());
}

#[test]
fn a_terminal_shows_it_live_and_is_restored() {
    let place = Place::new();
    let _live = place.generate("a", "--rate 1000");
    let dead = place.generate("b", "--rate 1000");
    let mut terminal = Terminal::new(&place, "top --interval 100ms", 140, 12);
    terminal.until_taken();
    terminal.until_shows(&["annulus top", "2 streams, every 0.1 s, by NAME", "a@v1", "b@v1", "q quit"]);
    let shows = |terminal: &Terminal, name: &str, state: &str| {
        let text = terminal.text();
        text.lines().any(|line| line.starts_with(name) && line.contains(state))
    };
    dead.kill();
    until("the dead one is told", || shows(&terminal, "b@v1", "dead"));
    terminal.press(b" ");
    terminal.until_shows(&["paused"]);
    let _third = place.generate("c", "--rate 1000");
    terminal.press(b"\x1b[C");
    terminal.until_shows(&["by STATE"]);
    assert!(!terminal.text().contains("c@v1"), "{}", terminal.text());
    terminal.press(b"r");
    terminal.until_shows(&["by STATE, reversed"]);
    terminal.press(b" ");
    terminal.until_shows(&["c@v1", "3 streams"]);
    terminal.resize(60, 5);
    until("it fits", || terminal.text().lines().last().is_some_and(|line| line.starts_with("q quit")));
    terminal.press(b"q");
    terminal.assert_restored(0);
}
