//! Memory for small things. A review brings some twenty strings, and a policy parses an object into as many more: a list
//! of free blocks for each size costs a few instructions where the standard library's allocator has to search and to
//! join. What is larger goes to that one.

#![allow(unsafe_code, reason = "an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ptr,
};

/// Blocks of [`STEP`] bytes, twice, three times and so on up to [`LARGEST`].
struct Small {
    /// For each size the first free block, which holds the address of the next.
    free: [Cell<*mut u8>; LARGEST / STEP],
    /// What no block has been cut from.
    rest: Cell<*mut u8>,
    left: Cell<usize>,
}

#[global_allocator]
static ALLOCATOR: Small = Small {
    free: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP],
    rest: Cell::new(ptr::null_mut()),
    left: Cell::new(0),
};

// SAFETY: a component has one thread.
unsafe impl Sync for Small {}

// SAFETY: a block of a size is in one place: with its user, in the list of its size, or not cut yet.
unsafe impl GlobalAlloc for Small {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = small(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let free = &self.free[size];
        let block = free.get();
        if block.is_null() {
            return self.cut((size + 1) * STEP);
        }
        // SAFETY: a free block holds the address of the next, or null.
        free.set(unsafe { block.cast::<*mut u8>().read() });
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = small(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(block, layout) };
        };
        let free = &self.free[size];
        // SAFETY: the block is nobody's any more, and large and aligned enough for an address.
        unsafe { block.cast::<*mut u8>().write(free.get()) };
        free.set(block);
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (small(layout), small(new)) {
            (Some(old), Some(new)) if old == new => return block,
            // SAFETY: the caller's promise.
            (None, None) => return unsafe { System.realloc(block, layout, new_size) },
            _ => {}
        }
        // SAFETY: two blocks, each as large as its layout says.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

impl Small {
    /// A block that has not been used before.
    #[cold]
    fn cut(&self, size: usize) -> *mut u8 {
        if self.left.get() < size {
            // SAFETY: neither is zero, and the second is a power of two.
            let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK, STEP)) };
            if chunk.is_null() {
                return chunk;
            }
            self.rest.set(chunk);
            self.left.set(CHUNK);
        }
        let block = self.rest.get();
        // SAFETY: so much is left.
        self.rest.set(unsafe { block.add(size) });
        self.left.set(self.left.get() - size);
        block
    }
}

/// Which size a small block has; none for a large one.
#[inline]
fn small(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= STEP).then(|| layout.size().saturating_sub(1) / STEP)
}

const STEP: usize = 16;
const LARGEST: usize = 512;
const CHUNK: usize = 8 << 10;
