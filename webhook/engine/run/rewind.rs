//! Puts an instance back to what it was before its review, where its code can put back all but its memory (`prepare::split::rewind`): the
//! next review finds what it would find in a new one, and neither has to wait until one is made.
//!
//! The kernel tells which pages of the memory were written ([`pagemap`]); those are copied from what they are in an instance that has not run yet.

mod pagemap;

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use wasmtime::{
    Store, StoreContextMut,
    component::{ComponentExportIndex, Instance, InstancePre, Linker, WasmList},
};

pub(in crate::engine) use self::pagemap::Region;
use super::{
    program::{MEMORY, REWIND},
    state::State,
};

/// How instances of one program are put back.
pub(in crate::engine) struct Rewind {
    /// The function that puts back the globals and shows the memory.
    export: ComponentExportIndex,
    known: RwLock<Vec<Page>>,
    unknown: Mutex<Unknown>,
    budget: Arc<Budget>,
}

/// A page of memory as it is before any review.
struct Page {
    number: usize,
    bytes: Box<[u8]>,
}

/// Pages that a review wrote, and of which nobody knows what they were.
#[derive(Default)]
struct Unknown {
    numbers: Vec<usize>,
    /// They are more than may be kept. Until then nothing is put back.
    too_many: Option<Instant>,
}

impl Unknown {
    fn are_too_many(&self) -> bool {
        self.too_many.is_some_and(|it| Instant::now() < it)
    }
}

/// Bytes that pages of all programs may still take.
pub(in crate::engine) struct Budget {
    left: AtomicUsize,
    any: bool,
}

impl Budget {
    pub(in crate::engine) fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes), any: bytes > 0 }
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    #[cfg(test)]
    pub(in crate::engine) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    fn give(&self, pages: &[Page]) {
        self.left.fetch_add(pages.iter().map(|it| it.bytes.len()).sum(), Ordering::Relaxed);
    }
}

/// Makes it known to guests' code that shows its memory.
pub(in crate::engine) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.root().func_wrap(MEMORY, |mut store: StoreContextMut<'_, State>, (first, pages): (WasmList<u8>, u32)| {
        let begin = first.as_le_slice(&store).as_ptr();
        store.data_mut().region = Some(Region::new(begin, pages as usize * super::runtime::PAGE));
        Ok(())
    })
}

impl Rewind {
    /// None: instances of it cannot be put back, or not on this machine.
    pub(in crate::engine) fn new(pre: &InstancePre<State>, budget: &Arc<Budget>) -> Option<Self> {
        if !budget.any || !pagemap::is_available() {
            return None;
        }
        let component = pre.component();
        // Only what was added shows the memory: another function may have the name.
        let shows = component.component_type().imports(component.engine()).any(|(name, _)| name == MEMORY);
        let export = component.get_export_index(None, REWIND).filter(|_| shows)?;
        Some(Self { export, known: RwLock::default(), unknown: Mutex::default(), budget: Arc::clone(budget) })
    }

    /// Keeps what earlier reviews changed, as it is in an instance that has not run yet.
    pub(in crate::engine) async fn learn(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
        let numbers = {
            let mut unknown = self.unknown();
            if unknown.numbers.is_empty() || unknown.are_too_many() {
                return Ok(());
            }
            std::mem::take(&mut unknown.numbers)
        };
        let region = self.region(store, instance).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let Err(at) = known.binary_search_by_key(&number, |it| it.number) else { continue };
            let Some(bytes) = region.page(number) else { continue };
            if known.len() == MAX_PAGES || !self.budget.take(bytes.len()) {
                self.unknown().too_many = Some(Instant::now() + AGAIN);
                self.budget.give(&std::mem::take(&mut *known));
                return Ok(());
            }
            known.insert(at, Page { number, bytes });
        }
        Ok(())
    }

    /// The memory of the instance, if that is now what it was before its review. If not, it must not be asked again.
    pub(in crate::engine) async fn put_back(&self, store: &mut Store<State>, instance: &Instance) -> Option<Region> {
        if self.unknown().are_too_many() {
            return None;
        }
        // It says so itself; what goes wrong means that it ends.
        let mut region = self.region(store, instance).await.ok()?;
        let all = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = all.iter().peekable();
        let mut unknown = Vec::new();
        let scanned = region.each_written(|number, page| {
            // Both ascend.
            while known.next_if(|it| it.number < number).is_some() {}
            match known.peek() {
                Some(begin) if begin.number == number => page.copy_from_slice(&begin.bytes),
                _ => unknown.push(number),
            }
        });
        drop(all);
        if unknown.is_empty() {
            return scanned.is_ok().then_some(region);
        }
        let mut wanted = self.unknown();
        if unknown.len() > MAX_PAGES {
            wanted.too_many = Some(Instant::now() + AGAIN);
        } else {
            wanted.numbers = unknown;
        }
        None
    }

    /// Where the memory of `instance` is.
    async fn region(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Region> {
        let rewind = match store.data().rewind {
            Some(rewind) => rewind,
            None => {
                let rewind = instance.get_typed_func(&mut *store, self.export)?;
                *store.data_mut().rewind.insert(rewind)
            }
        };
        rewind.call_async(&mut *store, ()).await?;
        store.data_mut().region.take().ok_or_else(|| wasmtime::format_err!("it did not show its memory"))
    }

    /// All of the memory of `instance`.
    #[cfg(test)]
    pub(in crate::engine) async fn memory(&self, store: &mut Store<State>, instance: &Instance) -> Vec<u8> {
        let region = self.region(store, instance).await.unwrap();
        (0..).map_while(|number| region.page(number)).flatten().collect()
    }

    fn unknown(&self) -> std::sync::MutexGuard<'_, Unknown> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Rewind {
    fn drop(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.give(known);
    }
}

/// A memory of which the kernel knows only the pages that reviews touch: of the others, which all instances look at when they start, each would be looked at after each
/// review. When the instance ends they are looked at once more, as wasmtime wants them.
pub(in crate::engine) struct Thin(Region);

impl Thin {
    /// None: the kernel does not take part, or nobody looked at its pages.
    pub(in crate::engine) fn new(mut region: Region) -> Option<Self> {
        (region.length() <= LOOKED_AT && region.thin().is_ok()).then_some(Self(region))
    }

    /// Before its instance ends.
    pub(in crate::engine) fn end(&self) {
        self.0.look();
    }
}

/// Bytes of a memory up to which looking at each page costs less than clearing those that nobody writes.
pub(in crate::engine) const LOOKED_AT: usize = 64 << 20;
/// Of one program: 16 MiB on most machines.
const MAX_PAGES: usize = 4096;
/// After so long it is tried again whether there is room for what a program's reviews change.
const AGAIN: Duration = Duration::from_mins(1);
