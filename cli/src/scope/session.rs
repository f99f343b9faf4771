//! The scope from its first picture to its last: follows the stream, and does what the user wants.

use super::draw::{self, Status};
use super::feed::{Feed, Producer};
use super::keys;
use super::layout::Layout;
use super::rate::Rate;
use super::screen::Screen;
use super::view::{Action, Options, View};
use crate::failure::Failure;
use annulus::{Observer, ProducerState};
use ratatui::crossterm::event::Event;
use ratatui::layout::{Position, Rect};
use std::time::{Duration, Instant};

/// Pictures are so far apart, and reading for one takes at most about so long.
const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / 30);
const READING: Duration = Duration::from_millis(15);

/// How often to look what the producer does, and for how long news are shown.
const LOOK: Duration = Duration::from_millis(100);
const NEWS: Duration = Duration::from_secs(10);

/// Who shows which stream.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) options: Options,
    /// What the producer is called in messages.
    pub(crate) producer: &'static str,
    /// Whether the end of the stream is ours, too; else we wait for another one of its name.
    pub(crate) ends_with_stream: bool,
}

impl Session {
    /// Shows the stream on the terminal until the user, or `over`, has had enough.
    pub(crate) fn run(self, observer: Observer<u8>, mut over: impl FnMut() -> bool) -> Result<(), Failure> {
        let feed = Feed::new(observer);
        let view =
            feed.signal().and_then(|signal| View::new(signal, &self.options)).map_err(Failure::Usage)?;
        let mut scope = Scope::new(self, feed, view);
        let mut screen = Screen::open()?;
        let mut due = Instant::now();
        while !over() {
            if scope.look()? {
                break;
            }
            let size = screen.size()?;
            scope.read(Rect::from((Position::ORIGIN, size)))?;
            screen.draw(|frame| draw::draw(frame, &mut scope.view, &scope.status))?;
            due = (due + PICTURE).max(Instant::now());
            if !screen.events_until(due, |event| scope.handle(&event))? {
                break;
            }
        }
        Ok(())
    }
}

struct Scope {
    session: Session,
    feed: Feed,
    view: View,
    status: Status,
    rate: Rate,
    /// How many producers we have told of.
    epoch: u64,
    /// When to look at the producer again.
    next_look: Instant,
    news: Option<(String, Instant)>,
}

impl Scope {
    fn new(session: Session, feed: Feed, view: View) -> Self {
        let (status, rate) = (Status::default(), Rate::default());
        let epoch = feed.epoch();
        Self { session, feed, view, status, rate, epoch, next_look: Instant::now(), news: None }
    }

    /// Brings the picture up to date.
    fn read(&mut self, area: Rect) -> Result<(), Failure> {
        let layout = Layout::of(area, self.view.traces());
        self.view.fit(layout.columns(), layout.plot.height.into());
        let retained = self.feed.retained();
        let now = Instant::now();
        if let Producer::Is(ProducerState::Live { .. }) = self.feed.producer() {
            self.rate.look(now, retained.end);
        } else {
            self.rate.forget();
        }
        self.view.see(retained);
        if self.view.paused() {
            self.feed.rest();
        }
        let (columns, wanted) = self.view.filling();
        self.feed.fill(columns, &wanted, now + READING)?;
        self.status.measured = self.rate.measured();
        self.status.lost = self.feed.lost();
        if self.status.restarts != self.feed.restarts() {
            self.status.restarts = self.feed.restarts().to_vec();
        }
        Ok(())
    }

    /// Looks what the producer does, now and then. True: it is all over.
    fn look(&mut self) -> Result<bool, Failure> {
        if Instant::now() < self.next_look {
            return Ok(false);
        }
        self.next_look = Instant::now() + LOOK;
        let producer = self.feed.look()?;
        let epoch = self.feed.epoch();
        if epoch != self.epoch
            && let Some(position) = self.feed.restarts().last()
        {
            self.epoch = epoch;
            self.tell(format!(
                "a new {} carries on at position {position} (epoch {epoch})",
                self.session.producer
            ));
            self.rate.forget();
        }
        if let Producer::Is(ProducerState::Ended { .. }) = producer
            && self.session.ends_with_stream
        {
            return Ok(true);
        }
        let waiting = !matches!(producer, Producer::Is(ProducerState::Live { .. } | ProducerState::Never));
        let trouble = if waiting { self.turn_to_successor() } else { None };
        self.news.take_if(|(_, until)| Instant::now() >= *until);
        let (state, message) = self.words();
        (self.status.state, self.status.well) = (state, !waiting);
        self.status.notice =
            trouble.or(message).or_else(|| self.news.clone().map(|news| news.0)).unwrap_or_default();
        Ok(false)
    }

    /// What to say about the producer: in a word, and if it is gone, in a sentence.
    fn words(&self) -> (&'static str, Option<String>) {
        let (who, wait) = (self.session.producer, "waiting for the next one");
        let position = self.view.columns().known().end;
        match self.feed.producer() {
            Producer::Is(ProducerState::Never) => ("no producer yet", None),
            Producer::Is(ProducerState::Live { .. }) if self.view.paused() && self.view.overwritten() => {
                ("live", Some("\u{b7} this was overwritten meanwhile".to_owned()))
            }
            Producer::Is(ProducerState::Live { .. }) => ("live", None),
            Producer::Is(ProducerState::Left) => ("left", Some(format!("the {who} left; {wait}"))),
            Producer::Is(ProducerState::Dead { pid }) => {
                let end = if self.view.paused() { String::new() } else { format!(" at position {position}") };
                ("dead", Some(format!("the {who} (process {pid}) died{end}; {wait}")))
            }
            Producer::Is(ProducerState::Ended { position }) => {
                ("ended", Some(format!("the stream ended at position {position}; {wait}")))
            }
            Producer::Replaced => ("gone", Some(format!("the stream was replaced or removed; {wait}"))),
        }
    }

    /// Goes on with the stream that has this one's name now, from its first frame. Says what is wrong with it, if we
    /// cannot.
    fn turn_to_successor(&mut self) -> Option<String> {
        let turned = self.feed.successor().map_err(|error| error.to_string()).and_then(|feed| {
            let Some(feed) = feed else { return Ok(None) };
            self.view.turn_to(feed.signal()?, &self.session.options)?;
            Ok(Some(feed))
        });
        match turned {
            Ok(None) => None,
            Ok(Some(feed)) => {
                self.epoch = feed.epoch();
                self.feed = feed;
                self.rate.forget();
                self.tell("the stream was replaced: this is the new one".to_owned());
                None
            }
            Err(why) => Some(why),
        }
    }

    fn tell(&mut self, news: String) {
        self.news = Some((news, Instant::now() + NEWS));
    }

    /// False: the user has had enough.
    fn handle(&mut self, event: &Event) -> bool {
        let Event::Key(key) = event else { return true };
        match keys::action(*key) {
            Some(Action::Quit) => return false,
            Some(action) => self.view.act(action),
            None => {}
        }
        true
    }
}
