//! The terminal while a picture is on it; as before when this is dropped, or the program panics.

use crate::failure::Failure;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use std::time::{Duration, Instant};

/// Holds the terminal in raw mode, on its alternate screen.
#[derive(Debug)]
pub(crate) struct Screen(DefaultTerminal);

impl Screen {
    pub(crate) fn open() -> Result<Self, Failure> {
        // This also makes a panic restore the terminal before it prints its message.
        let terminal = ratatui::try_init();
        terminal.map(Self).map_err(|error| Failure::Failed(format!("cannot draw on this terminal: {error}")))
    }

    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.0.draw(picture)?;
        Ok(())
    }

    /// Waits for the next picture's time, and says whether the user has asked to quit meanwhile.
    pub(crate) fn quits_within(&self, time: Duration) -> Result<bool, Failure> {
        let due = Instant::now() + time;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                return Ok(false);
            }
            if let Event::Key(key) = event::read()? {
                let control_c =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if control_c || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
