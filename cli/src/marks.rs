//! The markers of a signal: the stream that they are in, and what stands for them in files.

use annulus::{Builder, Error, Info, Marker, Producer};

/// What the stream is called, unless the user says something else.
pub(crate) fn name(signal: &Info) -> String {
    format!("{}.markers@v{}", signal.name, signal.version)
}

/// Makes it, or carries on with it.
pub(crate) fn producer(builder: Builder, signal: &Info) -> Result<Producer<Marker>, Error> {
    // Windows keeps no memory that nobody has open.
    builder.marks(signal.full_name()).keep(!cfg!(windows)).producer()
}

/// What a file has of a marker: its text, with its number behind if it has one.
pub(crate) fn written(marker: &Marker) -> String {
    match (marker.text(), marker.code()) {
        (text, 0) => text.to_owned(),
        ("", code) => code.to_string(),
        (text, code) => format!("{text} ({code})"),
    }
}

/// The text and the number again; 0 is none.
pub(crate) fn parts(written: &str) -> (&str, i64) {
    // Only as it is written: 007 is a text.
    let code = |text: &str| text.parse().ok().filter(|code: &i64| *code != 0 && code.to_string() == text);
    if let Some(code) = code(written) {
        return ("", code);
    }
    let behind = written.strip_suffix(')').and_then(|written| written.rsplit_once(" ("));
    behind
        .filter(|(text, _)| !text.is_empty())
        .and_then(|(text, number)| Some((text, code(number)?)))
        .unwrap_or((written, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_come_back() {
        for (text, code) in [
            ("left", 7),
            ("left", -7),
            ("left", 0),
            ("", 7),
            ("", 0),
            ("a (b)", 1),
            ("a (b)", 0),
            ("7 (8)", 9),
        ] {
            let marker = Marker::new(text).unwrap().with_code(code);
            assert_eq!(parts(&written(&marker)), (text, code));
        }
        for text in ["007", "+7", "0", "x (0)", "x (7", "x(7)", " (7)", "x (7.5)", "x (99999999999999999999)"]
        {
            assert_eq!(parts(text), (text, 0));
        }
    }
}
