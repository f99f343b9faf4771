//! Memory of one process in the place of an object: what the tests of everything above run on.

#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// A zeroed block, aligned to a page.
#[derive(Debug)]
pub(crate) struct Heap {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block is owned memory, tied to no thread.
unsafe impl Send for Heap {}
// SAFETY: through a shared reference only the base address can be had.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), 4096).expect("a test's segment is small");
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        Self { base, layout }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, freed once, here.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
