//! The live scope: a stream's signals on the terminal.
//!
//! | file | question |
//! |---|---|
//! | `grid.rs`, `columns.rs` | which frame is in which column, and what the columns keep |
//! | `traces.rs`, `selection.rs`, `gain.rs`, `axis.rs` | what values mean; which are shown, how high, when |
//! | `view.rs`, `view/change.rs` | all of that together, and what the user may change |
//! | `feed.rs`, `rate.rs` | from the stream into the columns |
//! | `layout.rs`, `dots.rs`, `draw.rs`, `draw/words.rs`, `keys.rs` | the picture on a terminal |
//! | `screen.rs`, `session.rs` | the terminal, and the way from picture to picture |

pub(crate) mod axis;
pub(crate) mod columns;
mod dots;
mod draw;
pub(crate) mod feed;
pub(crate) mod gain;
pub(crate) mod grid;
mod keys;
mod layout;
mod rate;
mod screen;
pub(crate) mod selection;
mod session;
pub(crate) mod traces;
pub(crate) mod view;

pub(crate) use screen::Screen;
pub(crate) use session::Session;
pub(crate) use view::{Options, View};
