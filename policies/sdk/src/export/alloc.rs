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

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Small = Small::new();

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
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; a small block is as large as its layout says.
        unsafe {
            // Large ones are often zero already.
            if small(layout).is_none() {
                return System.alloc_zeroed(layout);
            }
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
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
    const fn new() -> Self {
        Self {
            free: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP],
            rest: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A block, its layout, and what it was filled with.
    type Block = (*mut u8, Layout, u8);

    fn check(&(block, layout, filled): &Block, len: usize) {
        let bytes = unsafe { std::slice::from_raw_parts(block, len.min(layout.size())) };
        assert!(bytes.iter().all(|byte| *byte == filled), "{layout:?}");
        assert_eq!(block.addr() % layout.align(), 0, "{layout:?}");
    }

    #[test]
    fn blocks_keep_what_is_in_them_until_they_are_freed() {
        let small = Small::new();
        let mut blocks: Vec<Block> = Vec::new();
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for turn in 0..20_000 {
            let filled = turn as u8;
            let sizes = [16, 100, LARGEST + 200, 20_000][next(4)];
            let layout = Layout::from_size_align(1 + next(sizes), 1 << next(6)).unwrap();
            match next(5) {
                0 | 1 if blocks.len() < 200 => unsafe {
                    let block = small.alloc(layout);
                    block.write_bytes(filled, layout.size());
                    blocks.push((block, layout, filled));
                },
                2 if blocks.len() < 200 => unsafe {
                    let block = small.alloc_zeroed(layout);
                    check(&(block, layout, 0), layout.size());
                    block.write_bytes(filled, layout.size());
                    blocks.push((block, layout, filled));
                },
                3 if !blocks.is_empty() => unsafe {
                    let (block, old, was) = blocks.swap_remove(next(blocks.len()));
                    let new = Layout::from_size_align(layout.size(), old.align()).unwrap();
                    let moved = small.realloc(block, old, new.size());
                    check(&(moved, new, was), old.size());
                    moved.write_bytes(filled, new.size());
                    blocks.push((moved, new, filled));
                },
                _ if !blocks.is_empty() => {
                    let block = blocks.swap_remove(next(blocks.len()));
                    check(&block, usize::MAX);
                    unsafe { small.dealloc(block.0, block.1) };
                }
                _ => {}
            }
        }
        for block in &blocks {
            check(block, usize::MAX);
            unsafe { small.dealloc(block.0, block.1) };
        }
    }

    #[test]
    fn a_freed_block_is_the_next_of_its_size() {
        let small = Small::new();
        let layout = |size| Layout::from_size_align(size, 1).unwrap();
        unsafe {
            let block = small.alloc(layout(20));
            small.dealloc(block, layout(20));
            assert_ne!(small.alloc(layout(5)), block);
            assert_eq!(small.alloc(layout(32)), block);
            assert_eq!(small.realloc(block, layout(32), 17), block);
        }
    }
}
