//! One file per command: its options, and what it does.

pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod generate;
pub(crate) mod info;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod mark;
pub(crate) mod play;
pub(crate) mod prune;
pub(crate) mod push;
pub(crate) mod record;
pub(crate) mod rm;
pub(crate) mod salvage;
pub(crate) mod top;
pub(crate) mod view;
