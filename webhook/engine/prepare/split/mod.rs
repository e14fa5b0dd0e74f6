//! A component in two parts: code, which is the same whatever the settings are, and state, which is what `init` made of them.
//!
//! Memories and globals of its core modules move into one core module of their own, which the component imports. So code is
//! compiled once and lies in memory once, and what `init` of each settings left behind is compiled in no time. No index of a function, a
//! memory or a global changes: imports stand before definitions, and whatever stands before something that moves does so, too.

use wasm_encoder::{
    ComponentSectionId, EntityType,
    reencode::{self, Reencode, RoundtripReencoder},
};
use wasmparser::{ConstExpr, Encoding, Global, MemoryType, Operator, Parser, Payload, ValType};

use crate::engine::run::program::STATE;

mod code;
mod rewind;
mod state;

pub(super) use code::code;
pub(super) use state::state;

/// A section of a component.
enum Part<'a> {
    Module(&'a [u8]),
    Instances(wasmparser::InstanceSectionReader<'a>),
    Aliases(wasmparser::ComponentAliasSectionReader<'a>),
    Other(u8, &'a [u8]),
}

fn parts(component: &[u8]) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let (mut parser, mut at) = (Parser::new(0), 0);
    loop {
        let rest = component.get(at..).unwrap_or_default();
        let (size, payload) = match parser.parse(rest, true).map_err(|error| error.to_string())? {
            wasmparser::Chunk::Parsed { consumed, payload } => (consumed, payload),
            wasmparser::Chunk::NeedMoreData(_) => return Err("it ends too early".to_owned()),
        };
        at += size;
        let section = payload.as_section();
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => return Err("it is no component".to_owned()),
            Payload::Version { .. } => {}
            Payload::End(_) => return Ok(parts),
            Payload::CoreTypeSection(_) => return Err("it declares types of core modules".to_owned()),
            Payload::ComponentStartSection { .. } => return Err("it has a start function".to_owned()),
            Payload::InstanceSection(section) => parts.push(Part::Instances(section)),
            Payload::ComponentAliasSection(section) => parts.push(Part::Aliases(section)),
            Payload::ModuleSection { unchecked_range, .. } => {
                parts.push(Part::Module(component.get(unchecked_range.clone()).unwrap_or_default()));
                at = unchecked_range.end;
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                let content = component.get(unchecked_range.clone()).unwrap_or_default();
                parts.push(Part::Other(ComponentSectionId::Component.into(), content));
                at = unchecked_range.end;
            }
            _ => {
                let (id, range) = section.ok_or("it holds what is no section")?;
                parts.push(Part::Other(id, component.get(range).unwrap_or_default()));
            }
        }
    }
}

/// What a core module defines that `init` may change.
#[derive(Default)]
struct Held<'a> {
    memories: Vec<MemoryType>,
    /// Those that may change, and what stands before them.
    globals: Vec<Global<'a>>,
    /// Imported ones stand before those in their index space.
    imported_memories: u32,
}

impl<'a> Held<'a> {
    fn of(module: &'a [u8]) -> Result<Self, String> {
        let mut held = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let wrong = |error: wasmparser::BinaryReaderError| error.to_string();
            match payload.map_err(wrong)? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(wrong)?;
                        held.imported_memories += u32::from(matches!(import.ty, wasmparser::TypeRef::Memory(_)));
                        if import.module == STATE {
                            return Err(format!("it imports {STATE}"));
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    held.memories = section.into_iter().collect::<Result<_, _>>().map_err(wrong)?;
                }
                Payload::GlobalSection(section) => {
                    held.globals = section.into_iter().collect::<Result<_, _>>().map_err(wrong)?;
                    // What follows upon the last one that changes may stay where it is.
                    let changes = held.globals.iter().rposition(|it| it.ty.mutable);
                    held.globals.truncate(changes.map_or(0, |last| last + 1));
                }
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        if held.any() {
            for global in &held.globals {
                let is_number =
                    matches!(global.ty.content_type, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
                if !is_number || !is_constant(&global.init_expr) {
                    return Err("one of its globals does not begin with a number".to_owned());
                }
            }
        }
        Ok(held)
    }

    fn any(&self) -> bool {
        !self.memories.is_empty() || !self.globals.is_empty()
    }

    /// Names in the module of the state, with types.
    fn named(&self, number: usize) -> Result<Vec<(String, EntityType)>, reencode::Error> {
        let memories = self.memories.iter().enumerate().map(|(index, it)| {
            Ok((name_of_memory(number, index), EntityType::Memory(RoundtripReencoder.memory_type(*it)?)))
        });
        let globals = self.globals.iter().enumerate().map(|(index, it)| {
            Ok((name_of_global(number, index), EntityType::Global(RoundtripReencoder.global_type(it.ty)?)))
        });
        memories.chain(globals).collect()
    }
}

fn is_constant(expression: &ConstExpr<'_>) -> bool {
    let operators: Result<Vec<_>, _> = expression.get_operators_reader().into_iter().collect();
    matches!(
        operators.as_deref(),
        Ok([
            Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. },
            Operator::End
        ])
    )
}

fn name_of_memory(module: usize, index: usize) -> String {
    format!("{module}.memory.{index}")
}

fn name_of_global(module: usize, index: usize) -> String {
    format!("{module}.global.{index}")
}

#[cfg(test)]
mod tests {
    use wasmtime::{
        Config, Enabled, Engine, Module, PoolingAllocationConfig, Store,
        component::{self, Linker},
    };

    use super::*;
    use crate::engine::run::program::MEMORY;

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {text})")).unwrap()
    }

    /// Everything that names something by its index.
    const HELD: &str = r#"(core module $a
            (import "host" "f" (func $f)) (import "host" "g" (global i32))
            (memory (export "memory") 1 9) (global $first i32 (i32.const 2)) (global $mutable (mut i32) (i32.const 6))
            (global $fixed i32 (i32.const 4)) (global funcref (ref.func $begin))
            (func (export "run") (result i32)
                (memory.init 1 (global.get $mutable) (i32.const 0) (i32.const 1))
                (global.set $mutable (i32.add (global.get $mutable) (i32.const 1)))
                (i32.load (i32.add (global.get $first) (global.get $fixed))))
            (func $begin unreachable) (start $begin) (data (i32.const 8) "st") (data "kept"))
        (core module $b (func $begin unreachable) (start $begin) (table (export "t") 1 funcref) (elem (i32.const 0) $begin))
        (core module $host (func (export "f")) (global (export "g") i32 (i32.const 1)))
        (core instance $host (instantiate $host))
        (core instance (instantiate $b))
        (core instance $a (instantiate $a (with "host" (instance $host))))
        (core instance $all (export "run" (func $a "run")))
        (func (export "run") (result s32) (canon lift (core func $all "run")))"#;

    /// Twice.
    fn run(engine: &Engine, code: &component::Component, state: &Module) -> [[u8; 4]; 2] {
        let mut linker = Linker::new(engine);
        linker.root().module(STATE, state).unwrap();
        linker.root().func_wrap(MEMORY, |_, (_, _): (component::WasmList<u8>, u32)| Ok(())).unwrap();
        let mut store = Store::new(engine, ());
        let instance = linker.instantiate(&mut store, code).unwrap();
        let run = instance.get_typed_func::<(), (i32,)>(&mut store, "run").unwrap();
        [(); 2].map(|()| run.call(&mut store, ()).unwrap().0.to_le_bytes())
    }

    /// Without start functions: the snapshot tool, which runs them, is left out here.
    #[test]
    fn code_runs_with_the_state_that_it_is_given() {
        let held = component(HELD);
        let engine = Engine::default();
        let code = component::Component::new(&engine, code(&held).unwrap()).unwrap();
        let run = |state: &[u8]| run(&engine, &code, &Module::new(&engine, state).unwrap());
        assert_eq!(run(&state(&held).unwrap()), [*b"k\0st", *b"kkst"]);
        let other = HELD.replace("8) \"st\"", "8) \"ab\"").replace("memory\") 1 9", "memory\") 3 9");
        let other = component(&other.replace("(i32.const 6)", "(i32.const 7)"));
        assert_eq!(run(&state(&other).unwrap()), [*b"\0kab", *b"\0kkb"]);
        assert_eq!(super::code(&other).unwrap().len(), super::code(&held).unwrap().len(), "of the same shape");
    }

    /// Of a memory of 8 MiB, of which two pages are written, each instance leaves no more behind, where the kernel
    /// tells which pages those are.
    #[test]
    fn pages_that_nobody_writes_are_not_cleared() {
        let told = PoolingAllocationConfig::is_pagemap_scan_available();
        let mut pool = PoolingAllocationConfig::default();
        pool.total_memories(1).linear_memory_keep_resident(32 << 20).pagemap_scan(Enabled::Auto);
        let engine = Engine::new(Config::new().allocation_strategy(pool)).unwrap();
        let large = component(&HELD.replace("memory\") 1 9", "memory\") 128 128"));
        let code = component::Component::new(&engine, code(&large).unwrap()).unwrap();
        let state = Module::new(&engine, state(&large).unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(run(&engine, &code, &state), [*b"k\0st", *b"kkst"]);
            let resident = engine.pooling_allocator_metrics().unwrap().unused_memory_bytes_resident();
            assert!(!told || resident <= 64 << 10, "{resident}");
        }
    }

    #[test]
    fn what_cannot_stand_by_itself_stays() {
        let global = |init: &str| {
            format!(
                "(core module (memory 1) (func $f) (elem declare func $f) (global {init}) (global (mut i32) (i32.const 0)))"
            )
        };
        for (text, expected) in [
            ("(core module (func))".to_owned(), "it has no state"),
            ("(core module (global i32 (i32.const 1)))".to_owned(), "it has no state"),
            (global("funcref (ref.func $f)"), "one of its globals does not begin with a number"),
            (global("(mut externref) (ref.null extern)"), "one of its globals does not begin with a number"),
            (global("i32 (i32.add (i32.const 1) (i32.const 2))"), "one of its globals does not begin with a number"),
            ("(core type (func)) (core module (memory 1))".to_owned(), "it declares types of core modules"),
            (format!(r#"(core module (import "{STATE}" "m" (memory 1)) (memory 1))"#), "it imports verdict-state"),
        ] {
            assert_eq!(code(&component(&text)).unwrap_err(), expected, "{text}");
        }
        assert!(code(b"\0asm\x01\0\0\0").is_err() && code(b"\0asm\x0d\0\x01\0\x01").is_err() && code(b"").is_err());
    }
}
