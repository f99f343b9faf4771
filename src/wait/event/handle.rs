//! Telling an event loop on Windows: an event without a name.

use crate::shm::system::NamedEvent;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};

/// A handle that is signalled while it is raised.
#[derive(Debug)]
pub(crate) struct Flag(NamedEvent);

impl Flag {
    pub(crate) fn new() -> io::Result<Self> {
        NamedEvent::open(None).map(Self)
    }

    pub(crate) fn raise(&self) {
        self.0.set();
    }

    pub(crate) fn lower(&self) {
        self.0.clear();
    }
}

impl AsHandle for Flag {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
