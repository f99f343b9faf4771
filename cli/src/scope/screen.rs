//! The terminal while a picture is on it; as before when this is dropped, or anything in the program panics.

use crate::failure::Failure;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::layout::Size;
use ratatui::{DefaultTerminal, Frame};
use std::io;
use std::panic;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Held while something is written to the terminal.
static WRITING: Mutex<()> = Mutex::new(());

fn writing() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds the terminal in raw mode, on its alternate screen.
#[derive(Debug)]
pub(crate) struct Screen(DefaultTerminal);

impl Screen {
    pub(crate) fn open() -> Result<Self, Failure> {
        // This also makes a panic restore the terminal before it prints its message.
        let terminal = ratatui::try_init();
        let terminal =
            terminal.map_err(|error| Failure::Failed(format!("cannot draw on this terminal: {error}")))?;
        end_with_other_threads();
        Ok(Self(terminal))
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> Result<Size, Failure> {
        Ok(self.0.size()?)
    }

    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        let _writing = writing();
        self.0.draw(picture)?;
        Ok(())
    }

    /// Passes on what the user does until that time. False: there shall be no more pictures.
    pub(crate) fn events_until(
        &self,
        due: Instant,
        mut handle: impl FnMut(Event) -> bool,
    ) -> Result<bool, Failure> {
        loop {
            // A poll of no time at all would find nothing, and who draws slowly would never see a key.
            let left = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            if !event::poll(left)? {
                return Ok(true);
            }
            if !handle(event::read()?) {
                return Ok(false);
            }
            // Who types faster than we draw gets a picture nevertheless.
            if Instant::now() >= due + Duration::from_millis(100) {
                return Ok(true);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// When another thread than this one panics, this one would go on to draw, on a terminal that was given back. So the
/// process ends there, between two pictures.
fn end_with_other_threads() {
    let drawing = thread::current().id();
    let restore_and_print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().id() == drawing {
            return restore_and_print(panic);
        }
        let _writing = writing();
        // The terminal's handle, which would do this, is not dropped any more.
        let _ = execute!(io::stdout(), Show);
        restore_and_print(panic);
        process::exit(101);
    }));
}

#[cfg(test)]
mod tests;
