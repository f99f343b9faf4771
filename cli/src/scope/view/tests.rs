//! What keys change, and that no sequence of them, of sizes and of positions is too much.

use super::*;
use proptest::prelude::*;

fn signal(numbers: usize, rate: f64, capacity: u64) -> Signal {
    let labels: Vec<String> = (1..=numbers).map(|number| format!("ch{number}")).collect();
    let traces = labels.iter().map(|label| Trace::plain(label)).collect();
    Signal { name: "a@v1".to_owned(), traces, labels, number: SampleType::I8, rate, capacity }
}

fn view(numbers: usize, rate: f64) -> View {
    View::new(signal(numbers, rate, 10_000), &Options::default()).unwrap()
}

/// Fills what the view wants with `position / 16`, of which `retained` is there.
fn fill(view: &mut View, numbers: usize, retained: Range<u64>) {
    view.see(retained.clone());
    let (columns, wanted) = view.filling();
    while let Some(next) = columns.next(&wanted, 4096) {
        let floor = retained.start.clamp(next.start, next.end);
        if next.end == columns.known().start && floor > next.start && !columns.known().is_empty() {
            columns.add(floor, &bytes(floor..next.end, numbers));
            columns.miss(next.start..floor, Missing::Overwritten);
            continue;
        }
        columns.miss(next.start..floor, Missing::Overwritten);
        columns.add(floor, &bytes(floor..next.end, numbers));
    }
}

fn bytes(positions: Range<u64>, numbers: usize) -> Vec<u8> {
    positions.flat_map(|position| std::iter::repeat_n((position / 16) as u8 & 0x7F, numbers)).collect()
}

#[test]
fn it_begins_with_six_seconds_or_what_there_is() {
    let span = |rate, capacity, seconds| {
        let options = Options { seconds, ..Options::default() };
        View::new(signal(1, rate, capacity), &options).map(|view| view.columns.grid().span())
    };
    assert_eq!(span(360.0, 10_000, None), Ok(2160));
    assert_eq!(span(360.0, 1000, None), Ok(1000));
    assert_eq!(span(360.0, 1000, Some(10.0)), Ok(3600));
    assert_eq!(span(0.0, 10_000, None), Ok(1000));
    assert!(span(0.0, 10_000, Some(1.0)).is_err());
}

#[test]
fn it_follows_until_it_is_paused() {
    let mut view = view(1, 360.0);
    view.fit(100, 20);
    fill(&mut view, 1, 0..5000);
    assert_eq!(view.columns.known().end, 5000);
    view.act(Action::Pause);
    fill(&mut view, 1, 0..7000);
    assert_eq!((view.columns.known().end, view.behind()), (5000, 2000));
    view.act(Action::Pause);
    fill(&mut view, 1, 0..7000);
    assert_eq!((view.columns.known().end, view.behind()), (7000, 0));
}

#[test]
fn a_paused_picture_is_not_filled_up() {
    let mut view = view(1, 100.0);
    view.fit(100, 20);
    fill(&mut view, 1, 0..300);
    view.act(Action::Pause);
    fill(&mut view, 1, 0..500);
    assert_eq!((view.columns.known(), view.columns.frames(50)), (0..300, None));
}

#[test]
fn scrolling_stops_at_what_is_retained() {
    let mut view = view(1, 360.0);
    view.fit(216, 20);
    fill(&mut view, 1, 3000..9000);
    view.act(Action::Sideways(-1));
    fill(&mut view, 1, 3000..9000);
    assert!(view.paused());
    assert_eq!(view.columns.known(), 6630..8790);
    for _ in 0..100 {
        view.act(Action::Sideways(-5));
    }
    fill(&mut view, 1, 3000..9000);
    assert_eq!((view.columns.known(), view.overwritten()), (3000..5160, false));
    // Time goes on, and takes the beginning away; what was read stays.
    fill(&mut view, 1, 4000..10_000);
    assert_eq!((view.columns.known(), view.overwritten()), (3000..5160, false));
    view.act(Action::Shorter);
    view.act(Action::Longer);
    view.act(Action::Longer);
    fill(&mut view, 1, 4000..10_000);
    assert!(view.overwritten(), "after a zoom it has to be read again");
    for action in [Action::Shorter, Action::Shorter, Action::Oldest] {
        view.act(action);
    }
    fill(&mut view, 1, 4000..10_000);
    assert!((3900..=4000).contains(&view.columns.known().start), "{:?}", view.columns.known());
    view.act(Action::Newest);
    fill(&mut view, 1, 4000..10_000);
    assert_eq!((view.paused(), view.columns.known().end), (false, 10_000));
}

#[test]
fn the_cursor_stays_in_the_picture_and_pushes_its_edge() {
    let mut view = view(2, 100.0);
    view.fit(60, 20);
    fill(&mut view, 2, 0..5000);
    view.act(Action::Cursor);
    assert_eq!((view.cursor(), view.cursor_position()), (Some(30), Some(4700)));
    view.act(Action::Sideways(1));
    assert_eq!(view.cursor_position(), Some(4710));
    view.act(Action::Sideways(100));
    assert_eq!((view.cursor(), view.paused()), (Some(31), true));
    view.fit(10, 20);
    assert_eq!(view.cursor(), Some(9));
    view.act(Action::Cursor);
    assert_eq!(view.cursor(), None);
}

#[test]
fn zooming_a_paused_view_keeps_what_is_at_the_cursor() {
    let mut view = view(1, 100.0);
    view.fit(100, 20);
    fill(&mut view, 1, 0..9000);
    view.act(Action::Sideways(-5));
    view.act(Action::Cursor);
    fill(&mut view, 1, 0..9000);
    let position = view.cursor_position().unwrap();
    for action in [Action::Shorter, Action::Shorter, Action::Longer, Action::Longer] {
        view.act(action);
        fill(&mut view, 1, 0..9000);
        let there = view.cursor_position().unwrap();
        let column = view.columns.grid().span() / 100;
        assert!(there.abs_diff(position) <= 2 * column.max(6), "{position} became {there} by {action:?}");
    }
}

#[test]
fn touching_the_gain_fixes_it_as_it_was() {
    let mut view = view(2, 100.0);
    view.fit(100, 20);
    fill(&mut view, 2, 0..600);
    let extent = view.extents(&[0])[0].1;
    let before = view.gain.of_row(0, extent, true);
    view.act(Action::Higher);
    let after = view.gain.of_row(0, extent, true);
    assert!(((before.high - before.low) / (after.high - after.low) - 1.25).abs() < 1e-9);
    view.act(Action::Lower);
    let back = view.gain.of_row(0, extent, true);
    assert!(((before.high - before.low) / (back.high - back.low) - 1.0).abs() < 1e-9);
    view.act(Action::Auto);
    assert_eq!(view.gain, Gain::Auto);
}

#[test]
fn a_frame_of_a_million_numbers_is_kept_in_part() {
    let mut view = view(1 << 20, 0.0);
    view.fit(10, 30);
    assert!(view.columns.band().len() <= BAND);
    view.act(Action::Select(127));
    for _ in 0..150 {
        view.act(Action::Turn(1));
        view.fit(10, 30);
        assert!(view.page().contains(&view.selection.selected().unwrap()));
    }
    assert!(view.columns.band().start > 0 && view.columns.band().len() <= BAND);
    view.act(Action::Overlay);
    assert!(view.page().len() <= BAND);
}

#[test]
fn a_successor_that_is_alike_keeps_the_view() {
    let mut view = view(4, 100.0);
    view.fit(100, 20);
    fill(&mut view, 4, 0..5000);
    for action in [Action::Pause, Action::Hide, Action::Longer, Action::Cursor, Action::Higher] {
        view.act(action);
    }
    let options = Options::default();
    view.turn_to(signal(4, 100.0, 10_000), &options).unwrap();
    assert_eq!((view.selection.counts(), view.columns.grid().span(), view.paused()), ((3, 4), 1000, false));
    assert!(view.cursor().is_some() && view.gain != Gain::Auto);
    // Another one begins anew, even if it lacks what the user has asked for.
    let options = Options { channels: Some("ch4".to_owned()), seconds: Some(1.0), ..options };
    view.turn_to(signal(2, 0.0, 500), &options).unwrap();
    assert_eq!((view.selection.counts(), view.columns.grid().span()), ((2, 2), 500));
    assert_eq!((view.columns.known(), view.gain.clone()), (0..0, Gain::Auto));
}

fn any_action() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        Just(Pause),
        (-9_i8..9).prop_map(Sideways),
        Just(Oldest),
        Just(Newest),
        (-3_i8..4).prop_map(Select),
        (-2_i8..3).prop_map(Turn),
        Just(Higher),
        Just(Lower),
        Just(Auto),
        Just(Baseline),
        Just(Shorter),
        Just(Longer),
        Just(Overlay),
        Just(Cursor),
        Just(Solo),
        Just(Hide),
        Just(ShowAll),
        any::<bool>().prop_map(Crowd),
        Just(Help)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_the_columns_show_the_frames(
        steps in prop::collection::vec((any_action(), 0_usize..40, 0_usize..20, 0_u64..3000), 1..40),
        numbers in 1_usize..6,
    ) {
        let mut view = view(numbers, 50.0);
        let mut tail = 0;
        for (action, columns, lines, more) in steps {
            view.act(action);
            if columns < 30 {
                view.fit(columns, lines);
            }
            tail += more;
            let retained = tail.saturating_sub(10_000)..tail;
            fill(&mut view, numbers, retained);
            let (columns, wanted) = (&view.columns, view.wanted.clone());
            prop_assert_eq!(columns.next(&wanted, 1), None);
            for x in 0..columns.grid().columns() {
                let Some(frames) = columns.frames(x) else { continue };
                let mut values = frames.map(|position| ((position / 16) as u8 & 0x7F) as i8);
                let first = values.next().unwrap();
                let (low, high) = values.fold((first, first), |(low, high), v| (low.min(v), high.max(v)));
                prop_assert_eq!(columns.extent(x, numbers - 1), Some((low.into(), high.into())));
            }
            prop_assert!(view.page().len() <= numbers);
            prop_assert!(view.cursor().is_none_or(|cursor| cursor < columns_of(&view)));
            if !view.paused() {
                prop_assert_eq!(view.behind(), 0);
            }
        }
    }
}

fn columns_of(view: &View) -> usize {
    view.columns.grid().columns()
}
