//! The memory of CPython as it is after the imports, without what the machine left in it where no guest can reach: the stack, which
//! is empty again, and what constructors of libraries draw from the clock.

use std::{collections::BTreeMap, ops::Range};

use wasm_encoder::{Component, Module, RawSection};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

use crate::author::build::segments;

/// The component with such a memory; unchanged where there is none that is known.
pub(super) fn cleaned(component: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut made = Component::new();
    // Of what is nested, the sections come too.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let (0, Some((id, range))) = (depth, payload.as_section()) {
            let data = component.get(range).unwrap_or_default();
            let module = if matches!(payload, Payload::ModuleSection { .. }) { without_leftovers(data)? } else { None };
            made.section(&RawSection { id, data: module.as_deref().unwrap_or(data) });
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(made.finish())
}

/// The module with the memory of all libraries; none if this is another one.
fn without_leftovers(module: &[u8]) -> wasmparser::Result<Option<Vec<u8>>> {
    let (mut places, mut memory, mut sections) = (Places::default(), None, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        places.see(&payload)?;
        if let Payload::DataSection(section) = &payload {
            memory = segments::active(section.clone())?.map(|it| Image::of(&it));
        }
        if matches!(payload, Payload::DataCountSection { .. }) {
            return Ok(None);
        }
        sections.extend(payload.as_section().map(|it| (it, matches!(payload, Payload::DataSection(_)))));
    }
    let Some(mut memory) = memory else { return Ok(None) };
    let Some(python) = places.of(PYTHON) else { return Ok(None) };
    memory.clear(places.stack());
    memory.clear_random(python.clone());
    memory.clear_clocks(&python, places.of(CLOCK));
    let mut made = Module::new();
    for ((id, range), is_data) in sections {
        if is_data {
            made.section(&segments::section(&memory.segments()));
        } else {
            made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    Ok(Some(made.finish()))
}

/// Where things lie in the memory: what the module's globals say, by the names under which it exports them.
#[derive(Default)]
struct Places {
    globals: Vec<Option<usize>>,
    names: BTreeMap<String, usize>,
}

impl Places {
    fn see(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    if matches!(import?.ty, TypeRef::Global(_)) {
                        self.globals.push(None);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    let value = match global?.init_expr.get_operators_reader().read()? {
                        Operator::I32Const { value } => usize::try_from(value.cast_unsigned()).ok(),
                        _ => None,
                    };
                    self.globals.push(value);
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let value = self.globals.get(export.index as usize).copied().flatten();
                    if let (ExternalKind::Global, Some(value)) = (export.kind, value) {
                        self.names.insert(export.name.to_owned(), value);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is not in use of it.
    fn stack(&self) -> Range<usize> {
        let at = |name| self.names.get(name).copied();
        at("__stack_low").zip(at("__stack_pointer")).map_or(0..0, |(low, pointer)| low..pointer)
    }

    /// The constants and variables of a library: until those of the next.
    fn of(&self, library: &str) -> Option<Range<usize>> {
        let begin = *self.names.get(&format!("{library}{BASE}"))?;
        let bases = self.names.iter().filter(|(name, _)| name.ends_with(BASE)).map(|(_, base)| *base);
        Some(begin..bases.filter(|base| *base > begin).min()?)
    }
}

struct Image(Vec<u8>);

impl Image {
    fn of(segments: &[(u32, &[u8])]) -> Self {
        let mut image = Vec::new();
        for (begin, bytes) in segments {
            image.resize(*begin as usize, 0);
            image.extend_from_slice(bytes);
        }
        Self(image)
    }

    fn clear(&mut self, range: Range<usize>) {
        if let Some(bytes) = self.0.get_mut(range) {
            bytes.fill(0);
        }
    }

    /// The random numbers of an allocator that CPython carries and does not use (mimalloc's `mi_random_ctx_t` with the keys before
    /// it). They begin with ChaCha's constant, which stands among the constants once more, before the numbers from 0 on.
    fn clear_random(&mut self, within: Range<usize>) {
        let found = self.0.get(within.clone()).unwrap_or_default().windows(CHACHA.len() + 4);
        let state = found
            .enumerate()
            .find(|(_, bytes)| bytes.starts_with(CHACHA) && !bytes.ends_with(&[0, 1, 2, 3]))
            .map(|(at, _)| within.start + at);
        if let Some(state) = state {
            self.clear(state.saturating_sub(12)..state + 136);
        }
    }

    /// When the process began: for the same allocator in milliseconds, and how long it takes to ask for the time (mostly none), for
    /// `clock` in seconds and nanoseconds. Both were read at one time: where they do not say the same, these are not they.
    fn clear_clocks(&mut self, python: &Range<usize>, clock: Option<Range<usize>>) {
        let Some(clock) = clock else { return };
        let (allocator, clock) = (python.start + BEGAN_IN_PYTHON, clock.start + BEGAN_IN_CLOCK);
        let read = |at: usize| {
            let bytes = self.0.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(milliseconds), Some(seconds), Some(nanoseconds)) = (read(allocator), read(clock), read(clock + 8))
        else {
            return;
        };
        let same = seconds.checked_mul(1000).and_then(|it| it.checked_add(nanoseconds / 1_000_000));
        if same.is_some_and(|it| it.abs_diff(milliseconds) < APART) {
            self.clear(allocator..allocator + 16);
            self.clear(clock..clock + 16);
        }
    }

    /// Everything that is not zero.
    fn segments(&self) -> Vec<(u32, &[u8])> {
        let mut segments = Vec::new();
        let mut begin = None;
        for (at, word) in self.0.chunks(WORD).enumerate() {
            let zero = word.iter().all(|byte| *byte == 0);
            match (zero, begin) {
                (false, None) => begin = Some(at * WORD),
                (true, Some(from)) => {
                    segments.push((from, at * WORD));
                    begin = None;
                }
                _ => {}
            }
        }
        segments.extend(begin.map(|from| (from, self.0.len())));
        let segment = |(from, to): (usize, usize)| Some((u32::try_from(from).ok()?, self.0.get(from..to)?));
        segments.into_iter().filter_map(segment).collect()
    }
}

const PYTHON: &str = "libpython3.14.so";
const CLOCK: &str = "libwasi-emulated-process-clocks.so";
/// Behind a library's name: where its constants and variables begin.
const BASE: &str = ":memory_base";
const CHACHA: &[u8] = b"expand 32-byte k";
/// In the libraries of componentize-py 0.25.1.
const BEGAN_IN_PYTHON: usize = 0x2f_98f8;
const BEGAN_IN_CLOCK: usize = 8;
/// Milliseconds that a busy machine may need from one to the other.
const APART: u64 = 10_000;
/// Bytes that are looked at together.
const WORD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(component: &[u8]) -> Vec<u8> {
        let mut image = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::DataSection(section) = payload.unwrap() {
                image = Image::of(&segments::active(section).unwrap().unwrap()).0;
            }
        }
        image
    }

    fn component(globals: &str, data: &str) -> Vec<u8> {
        let text = format!("(component (core module (memory (export \"memory\") 100) {globals} {data}))");
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_the_machine_left_is_zero_and_the_rest_stays() {
        let began = 4096 + BEGAN_IN_PYTHON;
        let globals = "(global (export \"__stack_low\") i32 (i32.const 0))
             (global (export \"__stack_pointer\") (mut i32) (i32.const 4096))
             (global (export \"libpython3.14.so:memory_base\") i32 (i32.const 4096))
             (global (export \"libwasi-emulated-process-clocks.so:memory_base\") i32 (i32.const 4194304))
             (global (export \"libdl.so:memory_base\") i32 (i32.const 4194336))";
        let data = |stack: &str, key: &str, clock: &str| {
            format!(
                "(data (i32.const 4000) \"{stack}\") (data (i32.const 4096) \"kept\")
                 (data (i32.const 5000) \"expand 32-byte k\\00\\01\\02\\03\")
                 (data (i32.const 5988) \"{key}expand 32-byte k{key}\")
                 (data (i32.const {began}) {clock})
                 (data (i32.const 4194304) \"\\01\") (data (i32.const 4194336) \"expand 32-byte k, of the author\")"
            )
        };
        // The word in which it took a millisecond to ask for the time holds something that is kept, too.
        let clock = |milliseconds: &str, took: &str, seconds: &str| {
            format!(
                "\"{milliseconds}\\00\\00\\00{took}\\00\\00\\00\\00\\00\\00\\00\\07\") (data (i32.const 4194312) \"{seconds}\\00\\00\\00\\00\\00\\00\\00\""
            )
        };
        let one =
            cleaned(&component(globals, &data("left", "some random1", &clock("\\d0\\07\\00\\00\\00", "\\00", "\\02"))))
                .unwrap();
        let other =
            cleaned(&component(globals, &data("over", "other number", &clock("\\b8\\0b\\00\\00\\00", "\\01", "\\03"))))
                .unwrap();
        assert!(one == other);
        wasmparser::validate(&one).unwrap();
        let memory = memory(&one);
        assert!(memory[..4096].iter().all(|byte| *byte == 0));
        assert_eq!(memory[4096..4100], *b"kept");
        assert_eq!(memory[5000..5016], *CHACHA);
        assert_eq!(memory[5988..6200], [0; 212]);
        assert_eq!((memory[4_194_304], memory[4_194_312]), (1, 0));
        assert_eq!(memory[4_194_336..4_194_352], *CHACHA);

        // Not what it is taken for: it stays.
        let strange =
            cleaned(&component(globals, &data("", "", &clock("\\d0\\07\\00\\00\\00", "\\00", "\\2a")))).unwrap();
        assert_eq!(super::tests::memory(&strange)[4_194_312], 42);
    }

    #[test]
    fn another_component_stays_as_it_is() {
        let other = component("", "(data (i32.const 4000) \"x\")");
        assert_eq!(cleaned(&other).unwrap(), other);
    }
}
