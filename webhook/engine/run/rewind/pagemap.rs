//! Which pages of a memory were written, as Linux tells since 6.7 (`PAGEMAP_SCAN`, `Documentation/admin-guide/mm/pagemap.rst`).

use std::{io, ops::Range};

use rustix::mm::{Advice, madvise};

/// The memory of an instance that is not running, for as long as that is.
pub(in crate::engine) struct Region {
    begin: *mut u8,
    length: usize,
}

// SAFETY: it is a place, which is looked at by whoever holds the store of the instance, in whatever thread.
#[allow(unsafe_code, reason = "see there")]
unsafe impl Send for Region {}
#[allow(unsafe_code, reason = "no function takes it shared and writes")]
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `length`, in bytes, is a multiple of every size that pages have.
    pub(super) fn new(begin: *const u8, length: usize) -> Self {
        Self { begin: begin.cast_mut(), length }
    }

    /// Bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// A copy of one page; None: there are fewer.
    #[allow(unsafe_code, reason = "wasmtime shows memory of a component in no other way")]
    pub(super) fn page(&self, number: usize) -> Option<Box<[u8]>> {
        let size = page_size();
        let at = number.checked_mul(size).filter(|at| at.checked_add(size).is_some_and(|end| end <= self.length))?;
        // SAFETY: within the memory, which is mapped and readable from its begin to its length; nothing runs in it.
        Some(unsafe { std::slice::from_raw_parts(self.begin.add(at), size) }.into())
    }

    /// Shows each page that differs in the eyes of the kernel from what was mapped, in ascending order, with its number.
    ///
    /// A page of memory that Wasm wrote is the process's own, be it present or swapped out. One that it only read belongs to
    /// the mapped image, or is the page of zeros; one that it never touched is neither.
    #[allow(unsafe_code, reason = "wasmtime shows memory of a component in no other way")]
    pub(super) fn each_written(&mut self, mut written: impl FnMut(usize, &mut [u8])) -> io::Result<()> {
        let size = page_size();
        let begin = self.begin;
        self.each(Which::Written, |found| {
            for at in found.step_by(size) {
                // SAFETY: the kernel was asked for pages between begin and length only; nothing else holds a reference to
                // the memory, and nothing runs in it.
                let bytes = unsafe { std::slice::from_raw_parts_mut(begin.add(at), size) };
                written(at / size, bytes);
            }
        })
    }

    /// Lets the kernel forget where the pages are that were only read, so that it has fewer to look at when it is asked which were written. They
    /// hold what they held: what nobody wrote is in the mapped image, or zero.
    #[allow(unsafe_code, reason = "it is about memory of a guest")]
    pub(super) fn thin(&mut self) -> io::Result<()> {
        let begin = self.begin;
        let mut wrong = Ok(());
        self.each(Which::OnlyRead, |found| {
            // SAFETY: within the memory, as above. A private page that was not written is a page of the mapped file or the page of
            // zeros, and is found again when it is next touched.
            let forgotten = unsafe { madvise(begin.add(found.start).cast(), found.len(), Advice::LinuxDontNeed) };
            wrong = std::mem::replace(&mut wrong, Ok(())).and(forgotten);
        })?;
        Ok(wrong?)
    }

    /// Looks at each page once: see [`crate::engine::prepare`]'s `looks`.
    #[allow(unsafe_code, reason = "it is about memory of a guest")]
    pub(super) fn look(&self) {
        for at in (0..self.length).step_by(page_size()) {
            // SAFETY: within the memory, which is readable; nothing runs in it.
            unsafe { self.begin.add(at).read_volatile() };
        }
    }

    /// How many pages are present that nobody wrote.
    #[cfg(test)]
    pub(in crate::engine) fn only_read(&self) -> usize {
        let mut bytes = 0;
        self.each(Which::OnlyRead, |found| bytes += found.len()).unwrap();
        bytes / page_size()
    }

    /// Ranges of pages, in bytes from the begin, ascending.
    fn each(&self, which: Which, mut each: impl FnMut(Range<usize>)) -> io::Result<()> {
        let begin = self.begin.addr();
        let mut at = begin;
        while at < begin + self.length {
            let mut found = [Found::default(); AT_ONCE];
            let (count, end) = scan(which, at..begin + self.length, &mut found)?;
            for Found { start, end, .. } in found.iter().take(count) {
                each(*start as usize - begin..*end as usize - begin);
            }
            if end <= at {
                return Err(io::Error::other("the kernel did not get on"));
            }
            at = end;
        }
        Ok(())
    }
}

/// Whether the kernel can tell.
pub(super) fn is_available() -> bool {
    page_size() <= super::super::runtime::PAGE && scan(Which::Written, 0..0, &mut [Found::default()]).is_ok()
}

/// Pages that are looked for.
#[derive(Clone, Copy)]
enum Which {
    /// The process's own, present or swapped out.
    Written,
    /// Present, and of the mapped file or the page of zeros.
    OnlyRead,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Found {
    start: u64,
    end: u64,
    categories: u64,
}

/// How many regions were found, and up to where.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no crate offers it")]
fn scan(which: Which, pages: Range<usize>, found: &mut [Found]) -> io::Result<(usize, usize)> {
    use std::{fs::File, os::fd::AsRawFd, sync::LazyLock};

    static OWN: LazyLock<io::Result<File>> = LazyLock::new(|| File::open("/proc/self/pagemap"));

    /// `struct pm_scan_arg`.
    #[repr(C)]
    struct Scan {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }
    const IS_FILE: u64 = 1 << 2;
    const IS_PRESENT: u64 = 1 << 3;
    const IS_SWAPPED: u64 = 1 << 4;
    const IS_ZERO: u64 = 1 << 5;
    // _IOWR('f', 16, struct pm_scan_arg)
    const PAGEMAP_SCAN: u64 = 3 << 30 | (size_of::<Scan>() as u64) << 16 | (b'f' as u64) << 8 | 16;

    let (inverted, all, any) = match which {
        Which::Written => (IS_FILE | IS_ZERO, IS_FILE | IS_ZERO, IS_PRESENT | IS_SWAPPED),
        Which::OnlyRead => (0, IS_PRESENT, IS_FILE | IS_ZERO),
    };
    let own = OWN.as_ref().map_err(|error| io::Error::from(error.kind()))?;
    let mut scan = Scan {
        size: size_of::<Scan>() as u64,
        flags: 0,
        start: pages.start as u64,
        end: pages.end as u64,
        walk_end: 0,
        vec: found.as_mut_ptr().addr() as u64,
        vec_len: found.len() as u64,
        max_pages: 0,
        category_inverted: inverted,
        category_mask: all,
        category_anyof_mask: any,
        return_mask: 0,
    };
    // SAFETY: both structures have the kernel's layout, and it writes no more of `found` than its length.
    let count = unsafe { libc::ioctl(own.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut scan) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok((count, scan.walk_end as usize))
}

#[cfg(not(target_os = "linux"))]
fn scan(_: Which, _: Range<usize>, _: &mut [Found]) -> io::Result<(usize, usize)> {
    Err(io::ErrorKind::Unsupported.into())
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// Regions that are asked for at once.
const AT_ONCE: usize = 64;
