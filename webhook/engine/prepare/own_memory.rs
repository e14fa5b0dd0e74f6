//! A module that OPA compiled, with a memory of its own instead of the one that it imports, as the snapshot tool and the pool of memories
//! want it. No index changes, so that everything else stays byte for byte.
//!
//! Two globals are added, in which the host keeps where the policy's data lies: a snapshot carries them like the rest of its state.

use wasm_encoder::{
    ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, ImportSection, MemorySection, Module, RawSection,
    SectionId, ValType,
    reencode::{self, Reencode as _, RoundtripReencoder},
};
use wasmparser::{Parser, Payload, TypeRef};

use crate::{
    component::{opa::IMPORTED, protocol::MEMORY},
    engine::run::module::opa::{DATA, HEAP},
};

/// Of a module that was recognised as one of OPA's: it has one memory.
///
/// # Errors
/// It cannot be read.
pub(super) fn given(module: &[u8]) -> Result<Vec<u8>, String> {
    rewrite(module).map_err(|error| error.to_string())
}

fn rewrite(module: &[u8]) -> Result<Vec<u8>, reencode::Error> {
    let mut seen = Sections::default();
    let mut made = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let order = |it: SectionId| ORDER.iter().position(|other| *other == u8::from(it));
        let at = ORDER.iter().position(|it| *it == id);
        // What is missing comes where it belongs.
        if at > order(SectionId::Memory) {
            seen.memory(&mut made);
        }
        if at > order(SectionId::Global) {
            seen.globals(&mut made);
        }
        match payload {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Memory(memory) if (import.module, import.name) == IMPORTED => {
                            seen.memory = Some(RoundtripReencoder.memory_type(memory)?);
                        }
                        other => {
                            seen.global_count += u32::from(matches!(other, TypeRef::Global(_)));
                            imports.import(import.module, import.name, RoundtripReencoder.entity_type(other)?);
                        }
                    }
                }
                if !imports.is_empty() {
                    made.section(&imports);
                }
            }
            Payload::GlobalSection(section) => {
                seen.global_count += section.count();
                RoundtripReencoder.parse_global_section(&mut seen.globals, section)?;
                seen.globals(&mut made);
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                let has_memory = section.clone().into_iter().any(|it| it.is_ok_and(|it| it.name == MEMORY));
                RoundtripReencoder.parse_export_section(&mut exports, section)?;
                if !has_memory {
                    exports.export(MEMORY, ExportKind::Memory, 0);
                }
                exports.export(DATA, ExportKind::Global, seen.global_count);
                exports.export(HEAP, ExportKind::Global, seen.global_count + 1);
                made.section(&exports);
            }
            _ => {
                made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
            }
        }
    }
    Ok(made.finish())
}

/// What is added on the way.
#[derive(Default)]
struct Sections {
    memory: Option<wasm_encoder::MemoryType>,
    globals: GlobalSection,
    /// Without the added ones.
    global_count: u32,
    has_globals: bool,
}

impl Sections {
    /// What was imported becomes the module's own, with room for what a review puts there: OPA's code uses what there is before it asks for more, and
    /// memory that grows in each review is mapped anew each time, for which the kernel interrupts all other threads.
    fn memory(&mut self, made: &mut Module) {
        if let Some(mut memory) = self.memory.take() {
            memory.minimum = memory.minimum.saturating_add(ROOM).min(memory.maximum.unwrap_or(MOST));
            made.section(MemorySection::new().memory(memory));
        }
    }

    fn globals(&mut self, made: &mut Module) {
        if !std::mem::replace(&mut self.has_globals, true) {
            let number = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            self.globals.global(number, &ConstExpr::i32_const(0)).global(number, &ConstExpr::i32_const(0));
            made.section(&self.globals);
        }
    }
}

/// Wasm pages: 1 MiB.
const ROOM: u64 = 16;
/// Of a memory: 4 GiB.
const MOST: u64 = 1 << 16;
/// The order of sections in a module; custom sections stand anywhere.
const ORDER: [u8; 13] = [
    SectionId::Type as u8,
    SectionId::Import as u8,
    SectionId::Function as u8,
    SectionId::Table as u8,
    SectionId::Memory as u8,
    SectionId::Tag as u8,
    SectionId::Global as u8,
    SectionId::Export as u8,
    SectionId::Start as u8,
    SectionId::Element as u8,
    SectionId::DataCount as u8,
    SectionId::Code as u8,
    SectionId::Data as u8,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that names something by its index, and what may be missing.
    #[test]
    fn the_import_becomes_a_memory_of_its_own_and_nothing_else_changes() {
        let code = r#"(func (export "f") (result i32) (call $a (global.get $g)) (i32.load (i32.const 8)))
            (data (i32.const 8) "\07") (table 1 funcref) (elem (i32.const 0) $a)"#;
        let globals = r#"(global $g (export "g") i32 (i32.const 5))"#;
        for (imported, expected) in [
            (
                format!(
                    r#"(import "env" "memory" (memory 2)) (import "env" "a" (func $a (param i32))) {globals} {code}"#
                ),
                format!(
                    r#"(import "env" "a" (func $a (param i32))) (memory 18) {globals} (global (mut i32) (i32.const 0))
                    (global (mut i32) (i32.const 0)) {code} (export "memory" (memory 0)) (export "{DATA}" (global 1))
                    (export "{HEAP}" (global 2))"#
                ),
            ),
            (
                r#"(import "env" "memory" (memory 2 9)) (func $f) (export "memory" (memory 0)) (start $f)"#.to_owned(),
                format!(
                    r#"(memory 9 9) (global (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0)) (func $f)
                    (export "memory" (memory 0)) (export "{DATA}" (global 0)) (export "{HEAP}" (global 1)) (start $f)"#
                ),
            ),
            (
                r#"(import "env" "g" (global i32)) (memory 1) (export "x" (memory 0))"#.to_owned(),
                format!(
                    r#"(import "env" "g" (global i32)) (memory 1) (global (mut i32) (i32.const 0))
                    (global (mut i32) (i32.const 0)) (export "x" (memory 0)) (export "memory" (memory 0))
                    (export "{DATA}" (global 1)) (export "{HEAP}" (global 2))"#
                ),
            ),
        ] {
            let compiled = |text: &str| wat::parse_str(format!("(module {text})")).unwrap();
            let made = given(&compiled(&imported)).unwrap();
            assert_eq!(sections(&made), sections(&compiled(&expected)), "{imported}");
        }
    }

    /// But for names.
    fn sections(module: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let sections = Parser::new(0).parse_all(module).filter_map(|it| it.unwrap().as_section());
        sections.filter(|(id, _)| *id != 0).map(|(id, range)| (id, module[range].to_vec())).collect()
    }
}
