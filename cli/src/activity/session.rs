//! The table on a terminal, until the user has had enough.

use super::lines::{Line, Tone, lines};
use super::look::Look;
use super::rows::rows;
use super::sort::Sort;
use crate::describe;
use crate::failure::Failure;
use crate::plain::plain;
use crate::scope::Screen;
use crate::stop::SLICE;
use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text;
use ratatui::widgets::Paragraph;
use std::time::{Duration, Instant};

const HINTS: &str =
    "q quit   space pause   \u{2190}\u{2192} order   r reverse   \u{2191}\u{2193} PgUp PgDn Home scroll";

/// What is shown, and how.
#[derive(Debug)]
pub(crate) struct Session {
    interval: Duration,
    sort: Sort,
    reversed: bool,
    paused: bool,
    over: bool,
    /// Lines that are scrolled past.
    past: usize,
    before: Option<Look>,
    look: Look,
}

impl Session {
    pub(crate) fn new(interval: Duration, sort: Sort) -> Result<Self, Failure> {
        let look = Look::now()?;
        Ok(Self { interval, sort, reversed: false, paused: false, over: false, past: 0, before: None, look })
    }

    /// Until the user, or `over`, has had enough.
    pub(crate) fn run(mut self, mut over: impl FnMut() -> bool) -> Result<(), Failure> {
        let mut screen = Screen::open()?;
        let mut next = Instant::now() + self.interval;
        while !over() && !self.over {
            if !self.paused && Instant::now() >= next {
                next = Instant::now() + self.interval;
                self.before = Some(std::mem::replace(&mut self.look, Look::now()?));
            }
            screen.draw(|frame| self.draw(frame))?;
            let slice = Instant::now() + SLICE;
            let due = if self.paused { slice } else { next.min(slice) };
            // Whatever it is, it may change the picture.
            screen.events_until(due, |event| {
                self.handle(&event);
                false
            })?;
        }
        Ok(())
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let mut rows = rows(self.before.as_ref(), &self.look);
        self.sort.sort(&mut rows, self.reversed);
        let lines = lines(&rows);
        let [title, head, body, troubles, hints] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(self.look.troubles().len() as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        self.past = self.past.min((lines.len() - 1).saturating_sub(body.height.into()));
        frame.render_widget(self.title(rows.len()), title);
        frame.render_widget(drawn(&lines[0]), head);
        let shown: Vec<_> = lines[1..].iter().skip(self.past).take(body.height.into()).map(drawn).collect();
        frame.render_widget(Paragraph::new(shown), body);
        let told: Vec<_> =
            self.look.troubles().iter().map(|one| text::Line::from(plain(one)).yellow()).collect();
        frame.render_widget(Paragraph::new(told), troubles);
        frame.render_widget(text::Line::from(HINTS).dim(), hints);
    }

    fn title(&self, streams: usize) -> text::Line<'static> {
        let order = if self.reversed { ", reversed" } else { "" };
        let told = format!(
            " {streams} streams, every {}, by {}{order} ",
            describe::seconds(self.interval),
            self.sort.head()
        );
        let paused = if self.paused { " paused ".yellow().bold() } else { "".into() };
        text::Line::from(vec!["annulus top".bold(), told.into(), paused])
    }

    fn handle(&mut self, event: &Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.press(*key),
            _ => {}
        }
    }

    fn press(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.over = true,
            _ if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {}
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => self.over = true,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Right => self.sort = self.sort.next(false),
            KeyCode::Left => self.sort = self.sort.next(true),
            KeyCode::Down => self.past += 1,
            KeyCode::Up => self.past = self.past.saturating_sub(1),
            KeyCode::PageDown => self.past += 10,
            KeyCode::PageUp => self.past = self.past.saturating_sub(10),
            KeyCode::Home => self.past = 0,
            _ => {}
        }
    }
}

fn drawn(line: &Line) -> text::Line<'static> {
    let style = match line.tone {
        Tone::Head => Style::new().reversed(),
        Tone::Stream => Style::new(),
        Tone::Bad => Style::new().red(),
        Tone::Reader => Style::new().dim(),
    };
    text::Line::styled(line.text.clone(), style)
}
