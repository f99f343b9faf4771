//! Texts that others wrote: whoever makes a stream or a file names its channels, and the terminal must not take that
//! for commands.

/// The text with a blank for each control character.
pub(crate) fn plain(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_commands_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\u{7f}b\n\u{9b}c\u{9d}\td\u{e4}"), "a [2J b  c  d\u{e4}");
        for code in (0..0x20).chain(0x7f..0xa0) {
            assert_eq!(plain(&char::from(code).to_string()), " ", "{code:#x}");
        }
    }
}
