//! The keys of the scope: one table for what they do, what the bottom line says and what the help says.

use super::view::Action;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    let far = key.modifiers.contains(KeyModifiers::SHIFT);
    let (one, many) = if far { (5, 10) } else { (1, 1) };
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Action::Quit,
        _ if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => return None,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Action::Quit,
        KeyCode::Char(' ') => Action::Pause,
        KeyCode::Left => Action::Sideways(-one),
        KeyCode::Right => Action::Sideways(one),
        KeyCode::Home => Action::Oldest,
        KeyCode::End => Action::Newest,
        KeyCode::Up => Action::Select(-many),
        KeyCode::Down => Action::Select(many),
        KeyCode::PageUp => Action::Turn(-1),
        KeyCode::PageDown => Action::Turn(1),
        KeyCode::Char('+' | '=') => Action::Higher,
        KeyCode::Char('-' | '_') => Action::Lower,
        KeyCode::Char('a') => Action::Auto,
        KeyCode::Char('b') => Action::Baseline,
        KeyCode::Char('[') => Action::Shorter,
        KeyCode::Char(']') => Action::Longer,
        KeyCode::Char('o') => Action::Overlay,
        KeyCode::Char('c') => Action::Cursor,
        KeyCode::Char('s') => Action::Solo,
        KeyCode::Char('x') => Action::Hide,
        KeyCode::Char('u') => Action::ShowAll,
        KeyCode::Char('.') => Action::Crowd(true),
        KeyCode::Char(',') => Action::Crowd(false),
        KeyCode::Char('?' | 'h') => Action::Help,
        _ => return None,
    })
}

/// The bottom line; what does not fit is left out from the end.
pub(crate) const HINTS: [(&str, &str); 10] = [
    ("q", "quit"),
    ("?", "help"),
    ("space", "pause"),
    ("\u{2190}\u{2192}", "scroll"),
    ("\u{2191}\u{2193}", "channel"),
    ("+-", "gain"),
    ("[]", "time"),
    ("a", "auto"),
    ("o", "overlay"),
    ("c", "cursor"),
];

/// The help.
pub(crate) const HELP: [(&str, &str); 16] = [
    ("q, Esc, Ctrl-C", "quit"),
    ("space", "pause; go on with the newest"),
    ("\u{2190} \u{2192}", "scroll through what the ring retains (shift: farther), or move the cursor"),
    ("Home, End", "to the oldest; to the newest, and follow"),
    ("\u{2191} \u{2193}", "select a channel (shift: farther)"),
    ("PgUp, PgDn", "the channels of the page before; after"),
    (", .", "fewer channels on a page; more"),
    ("s", "the selected channel alone; all again"),
    ("x, u", "hide the selected channel; show all"),
    ("+ -", "higher; lower: this fixes the gain"),
    ("a", "autoscale: what is in view fills the height; fixed gain"),
    ("b", "centre on the baseline, the median of what is in view; on zero"),
    ("[ ]", "less time in view; more"),
    ("o", "all channels over each other; below each other"),
    ("c", "cursor: position, time and values"),
    ("?, h", "this"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_promised_does_something() {
        let key = |letter| action(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
        for (keys, what) in HELP.iter().chain(&HINTS) {
            for name in keys.split([' ', ',']).filter(|name| !name.is_empty()) {
                for letter in name.chars().filter(|_| name.is_ascii() && name.len() <= 2) {
                    assert!(key(letter).is_some(), "{letter}: {what}");
                }
            }
        }
        for letter in ", .".chars() {
            assert!(key(letter).is_some());
        }
        assert_eq!((key('z'), key('q')), (None, Some(Action::Quit)));
        let control = |letter| action(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
        assert_eq!((control('c'), control('s')), (Some(Action::Quit), None));
    }
}
