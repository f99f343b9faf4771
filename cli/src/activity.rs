//! What all streams do at the moment.
//!
//! | file | question |
//! |---|---|
//! | `look.rs` | what there is, and what is kept of it until the next look |
//! | `rows.rs` | what happened between two looks |
//! | `sort.rs`, `lines.rs` | in which order, and in which words |
//! | `session.rs` | on a terminal, until the user has had enough |

mod lines;
mod look;
mod rows;
mod session;
mod sort;

pub(crate) use lines::{json, lines};
pub(crate) use look::Look;
pub(crate) use rows::rows;
pub(crate) use session::Session;
pub(crate) use sort::Sort;
