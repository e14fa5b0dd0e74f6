//! A start function that reads a byte of each page of a module's memory.
//!
//! When an instance ends, the kernel is asked which pages were written, and takes those that nobody ever looked at for written (wasmtime 50
//! no longer asks for pages that are present): each of them would be cleared, after each review. One that was read once stays what it is, be it of the
//! image or the page of zeros, for all instances that come after, and is left alone.

use wasm_encoder::{BlockType, Encode, Function, MemArg, Module, RawSection, SectionId, StartSection, ValType};
use wasmparser::{BinaryReader, MemoryType, Parser, Payload, TypeRef};

use crate::engine::run::{rewind::LOOKED_AT, runtime::PAGE};

/// Looks at the pages that each memory begins with; None: one that is left out.
pub(super) fn function(sizes: &[Option<i32>]) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    look(&mut function, sizes);
    function.instructions().end();
    function
}

fn look(function: &mut Function, sizes: &[Option<i32>]) {
    let mut then = function.instructions();
    for (memory, size) in (0..).zip(sizes) {
        let Some(size) = size else { continue };
        let at = MemArg { offset: 0, align: 0, memory_index: memory };
        then.i32_const(*size).local_set(0).loop_(BlockType::Empty);
        then.local_get(0).i32_const(HOST_PAGE).i32_sub().local_tee(0).i32_load8_u(at).drop();
        then.local_get(0).br_if(0).end();
    }
}

/// Bytes that a memory begins with; None: too many, or its pages are of another size.
pub(super) fn size(memory: &MemoryType) -> Option<i32> {
    let size = memory.initial.checked_mul(PAGE as u64).filter(|it| (1..=LOOKED_AT as u64).contains(it))?;
    let plain = !memory.memory64 && memory.page_size_log2.is_none();
    i32::try_from(size).ok().filter(|_| plain)
}

/// What is known of a module where its new function goes.
#[derive(Default)]
struct Counts {
    types: u32,
    functions: u32,
    sizes: Vec<Option<i32>>,
    start: Option<u32>,
}

/// The module with such a start function before its own; itself, where it has no memory of its own to look at.
///
/// # Errors
/// It is no module.
pub(super) fn added(module: &[u8]) -> Result<Vec<u8>, String> {
    let words = |error: wasmparser::BinaryReaderError| error.to_string();
    let mut counts = Counts::default();
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(words)?;
        if let Some((id, range)) = payload.as_section() {
            sections.push((id, module.get(range).unwrap_or_default()));
        }
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    counts.types += u32::try_from(group.map_err(words)?.types().len()).unwrap_or(u32::MAX);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import.map_err(words)?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => counts.functions += 1,
                        TypeRef::Memory(_) => counts.sizes.push(None),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => counts.functions += section.count(),
            Payload::MemorySection(section) => {
                for memory in section {
                    counts.sizes.push(size(&memory.map_err(words)?));
                }
            }
            Payload::StartSection { func, .. } => counts.start = Some(func),
            // Bodies are the payloads of a section that is there as a whole.
            Payload::CodeSectionStart { .. } => {}
            _ => {}
        }
    }
    let has = |section: SectionId| sections.iter().any(|(id, _)| *id == u8::from(section));
    let complete = [SectionId::Type, SectionId::Function, SectionId::Code].into_iter().all(has);
    if !complete || counts.sizes.iter().all(Option::is_none) {
        return Ok(module.to_vec());
    }
    let mut function = Function::new([(1, ValType::I32)]);
    look(&mut function, &counts.sizes);
    if let Some(start) = counts.start {
        function.instructions().call(start);
    }
    function.instructions().end();

    let mut made = Module::new();
    let mut start = Some(StartSection { function_index: counts.functions });
    for (id, data) in sections {
        let is = |section: SectionId| id == u8::from(section);
        if is(SectionId::Start) {
            continue;
        }
        if is(SectionId::Element) || is(SectionId::DataCount) || is(SectionId::Code) {
            start.take().map(|it| made.section(&it));
        }
        let longer = if is(SectionId::Type) {
            Some(longer(data, |sink| sink.extend(NO_PARAMETERS_NO_RESULTS))?)
        } else if is(SectionId::Function) {
            Some(longer(data, |sink| counts.types.encode(sink))?)
        } else if is(SectionId::Code) {
            Some(longer(data, |sink| function.encode(sink))?)
        } else {
            None
        };
        made.section(&RawSection { id, data: longer.as_deref().unwrap_or(data) });
    }
    Ok(made.finish())
}

/// A section with one more entry.
fn longer(section: &[u8], entry: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, String> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32().map_err(|error| error.to_string())?;
    let mut longer = Vec::with_capacity(section.len() + 64);
    count.saturating_add(1).encode(&mut longer);
    longer.extend(section.get(reader.original_position()..).unwrap_or_default());
    entry(&mut longer);
    Ok(longer)
}

/// The smallest page of any machine.
const HOST_PAGE: i32 = 4 << 10;
/// A type of functions.
const NO_PARAMETERS_NO_RESULTS: [u8; 3] = [0x60, 0, 0];

#[cfg(test)]
mod tests {
    use wasmtime::{Config, Enabled, Engine, Instance, Module, PoolingAllocationConfig, Store};

    use super::*;

    fn with(module: &str) -> Vec<u8> {
        added(&wat::parse_str(module).unwrap()).unwrap()
    }

    /// Of a memory of 8 MiB, of which two pages are written, each instance leaves no more behind, where the kernel
    /// tells which pages those are; what its own start function does is done as before.
    #[test]
    fn pages_that_nobody_writes_are_not_cleared() {
        let told = PoolingAllocationConfig::is_pagemap_scan_available();
        let mut pool = PoolingAllocationConfig::default();
        pool.total_memories(1).linear_memory_keep_resident(32 << 20).pagemap_scan(Enabled::Auto);
        let engine = Engine::new(Config::new().allocation_strategy(pool)).unwrap();
        let module = with(
            r#"(module (import "host" "f" (func $f)) (type $t (func (param i64) (result i64))) (memory 128) (global $g (mut i32) (i32.const 0))
                (func $begin (i32.store (i32.const 70000) (i32.const 5)) (global.set $g (i32.const 2)))
                (func (export "run") (result i32) (i32.store (i32.const 4000000) (i32.const 1))
                    (i32.add (global.get $g) (i32.load (i32.const 70000))))
                (table funcref (elem $begin)) (start $begin) (data (i32.const 8) "x"))"#,
        );
        let module = Module::new(&engine, module).unwrap();
        for _ in 0..3 {
            let mut store = Store::new(&engine, ());
            let host = wasmtime::Func::wrap(&mut store, || {});
            let instance = Instance::new(&mut store, &module, &[host.into()]).unwrap();
            let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
            assert_eq!(run.call(&mut store, ()).unwrap(), 7);
            drop(store);
            let resident = engine.pooling_allocator_metrics().unwrap().unused_memory_bytes_resident();
            assert!(!told || resident <= 64 << 10, "{resident}");
        }
    }

    #[test]
    fn what_has_nothing_to_look_at_stays_what_it_is() {
        for module in [
            "(module)",
            "(module (memory 1))",
            "(module (memory 0) (func))",
            "(module (memory i64 1) (func))",
            "(module (memory 2000) (func))",
            r#"(module (import "env" "memory" (memory 1)) (func))"#,
        ] {
            assert_eq!(with(module), wat::parse_str(module).unwrap(), "{module}");
        }
        let two = with(r#"(module (import "env" "memory" (memory 1)) (memory 1) (func (export "f")))"#);
        Module::new(&Engine::default(), &two).unwrap();
        assert!(added(b"\0asm\x01\0\0\0\x01").is_err() && added(b"no").is_err());
    }
}
