//! One line on the terminal that tells how far a file has been played, or recorded.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is written anew.
const OFTEN: Duration = Duration::from_millis(200);

/// A line on stderr that is written over and over.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shown: Option<Instant>,
}

impl Line {
    /// On a terminal only: elsewhere a line that is written over would be so many lines.
    pub(crate) fn on_terminal() -> Option<Self> {
        io::stderr().is_terminal().then(Self::default)
    }

    /// Shows that text, a few times a second.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.shown.is_some_and(|last| now.duration_since(last) < OFTEN) {
            return;
        }
        self.shown = Some(now);
        // Without wrapping, lest a narrow terminal gets a new line each time. One that is gone is noticed elsewhere.
        let _ = write!(io::stderr(), "\r\x1b[?7l{}\x1b[K\x1b[?7h", text());
    }

    /// Makes room for another line.
    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// How far a file has been played.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    rate: f64,
    /// Frames in the file, where that is known beforehand.
    total: Option<u64>,
    began: Instant,
    shown: Line,
}

impl Progress {
    /// As [`Line::on_terminal`].
    pub(crate) fn on_terminal(name: String, rate: f64, total: Option<u64>) -> Option<Self> {
        Line::on_terminal().map(|shown| Self { name, rate, total, began: Instant::now(), shown })
    }

    /// Tells that so many frames were played, and the position that this led to.
    pub(crate) fn show(&mut self, position: u64, played: u64) {
        let mut shown = std::mem::take(&mut self.shown);
        shown.show(|| self.line(position, played, self.began.elapsed()));
        self.shown = shown;
    }

    /// Makes room for another line.
    pub(crate) fn clear(&mut self) {
        self.shown.clear();
    }

    fn line(&self, position: u64, played: u64, elapsed: Duration) -> String {
        let seconds = played as f64 / self.rate;
        let speed = seconds / elapsed.as_secs_f64().max(1e-3);
        // A file that is played again begins again.
        let of = match self.total {
            Some(total) => {
                let here = if played > total { (played - 1) % total + 1 } else { played };
                let (at, length) = (here as f64 / self.rate, total as f64 / self.rate);
                format!("{} of {}   {:.0} %", clock(at), clock(length), 100.0 * here as f64 / total as f64)
            }
            None => clock(seconds),
        };
        format!("{}   position {position}   {of}   {speed:.1}x", self.name)
    }
}

/// `1:02:03`, or `2:03` below an hour.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_where_it_is() {
        let progress = |total| Progress {
            name: "a@v1".to_owned(),
            rate: 360.0,
            total,
            began: Instant::now(),
            shown: Line::default(),
        };
        let file = progress(Some(108_000));
        let line = file.line(54_100, 54_000, Duration::from_secs(75));
        assert_eq!(line, "a@v1   position 54100   2:30 of 5:00   50 %   2.0x");
        let whole = file.line(108_000, 108_000, Duration::from_secs(300));
        assert!(whole.contains("5:00 of 5:00   100 %"), "{whole}");
        let again = file.line(200_000, 109_800, Duration::from_secs(305));
        assert!(again.contains("position 200000   0:05 of 5:00   2 %"), "{again}");
        let unknown = progress(None).line(0, 360 * 3723, Duration::ZERO);
        assert!(unknown.contains("   1:02:03   "), "{unknown}");
    }
}
