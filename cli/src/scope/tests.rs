//! What the scope keeps and draws.

use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn scope() -> Scope {
    Scope {
        title: " demo@v1 ".to_owned(),
        channel: Channel::new("MLII").unit("mV").scaled(0.005, -5.12),
        rate: 100.0,
        values: VecDeque::new(),
        next: 0,
        lost: 0,
        message: String::new(),
    }
}

fn picture(scope: &Scope) -> String {
    let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
    terminal.draw(|frame| scope.draw(frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_picture_says_what_it_shows() {
    let mut scope = scope();
    assert!(picture(&scope).contains("MLII (mV)"), "also before the first frame");
    scope.append(0, (0..1000).map(|position| if position == 700 { 1224.0 } else { 1024.0 }));
    scope.lose(17);
    scope.say("the acquisition died".to_owned());
    let text = picture(&scope);
    for wanted in [
        "demo@v1",
        "MLII (mV)",
        "100 Hz",
        "position 1000",
        "lost 17",
        "died",
        "0:04.0",
        "0:10.0",
        "1.05",
        "-0.05",
    ] {
        assert!(text.contains(wanted), "no '{wanted}' in\n{text}");
    }
}

#[test]
fn a_peak_is_drawn_at_its_time() {
    let mut scope = scope();
    // Half-way between 4 s and 10 s.
    scope.append(0, (0..1000).map(|position| if position == 700 { 1224.0 } else { 1024.0 }));
    let text = picture(&scope);
    let dots = |line: &str| -> Vec<usize> {
        let cells = line.chars().enumerate();
        cells.filter(|(_, cell)| ('\u{2801}'..='\u{28FF}').contains(cell)).map(|(column, _)| column).collect()
    };
    let top = text.lines().map(dots).find(|columns| !columns.is_empty()).expect("something is drawn");
    assert!(top.len() <= 2, "one narrow peak: {top:?}\n{text}");
    assert!((40..48).contains(&top[0]), "in the middle of the picture: {top:?}\n{text}");
}

#[test]
fn only_the_window_is_kept_and_gaps_stay_gaps() {
    let mut scope = scope();
    scope.append(0, (0..10_000).map(f64::from));
    assert_eq!((scope.values.len(), scope.next), (601, 10_000));
    scope.append(10_050, [1.0; 10]);
    let runs = scope.runs();
    assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [541, 10]);
    assert_eq!(runs[1][0].0, 100.5);
    scope.append(u64::from(u32::MAX), [1.0]);
    assert_eq!((scope.values.len(), scope.runs().concat().len()), (601, 1), "an old picture does not stay");
}
