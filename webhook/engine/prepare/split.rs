//! A component in two parts: code, which is the same whatever the settings are, and state, which is what `init` made of them.
//!
//! Memories and globals of its core modules move into one core module of their own, which the component imports. So code is
//! compiled once and lies in memory once, and what `init` of each settings left behind is compiled in no time. No index of a function, a
//! memory or a global changes: imports stand before definitions, and whatever stands before something that moves does so, too.

use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentAliasSection, ComponentImportSection, ComponentSectionId,
    ComponentTypeRef, CoreTypeSection, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, ImportSection, InstanceSection, MemArg, MemorySection, Module, ModuleArg, ModuleType, RawSection,
    SectionId, StartSection, TypeSection,
    reencode::{self, Reencode, ReencodeComponent, RoundtripReencoder},
};
use wasmparser::{
    ComponentAlias, ConstExpr, DataKind, Encoding, Global, Instance, MemoryType, Operator, Parser, Payload, ValType,
};

use crate::engine::run::{program::STATE, runtime::PAGE};

/// The component without its state: a function of its bytes, whatever its settings are.
///
/// # Errors
/// Why its state cannot stand by itself.
pub(super) fn code(component: &[u8]) -> Result<Vec<u8>, String> {
    let parts = parts(component)?;
    let modules = parts.iter().filter_map(|it| if let Part::Module(bytes) = it { Some(*bytes) } else { None });
    let held: Vec<Held> = modules.map(Held::of).collect::<Result<_, _>>()?;
    if !held.iter().any(Held::any) {
        return Err("it has no state".to_owned());
    }
    rewritten(&parts, &held).map_err(|error| error.to_string())
}

/// The state of a component that was snapshotted, as a core module for [`code`] of what it was before.
///
/// # Errors
/// It is not what the snapshot tool writes.
pub(super) fn state(snapshot: &[u8]) -> Result<Vec<u8>, String> {
    let mut state = State::default();
    let parts = parts(snapshot)?;
    let modules = parts.iter().filter_map(|it| if let Part::Module(bytes) = it { Some(*bytes) } else { None });
    for (number, module) in modules.enumerate() {
        let held = Held::of(module)?;
        if held.any() {
            state.take(number, &held, module).map_err(|error| error.to_string())?;
        }
    }
    Ok(state.module())
}

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

fn rewritten(parts: &[Part<'_>], held: &[Held<'_>]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Component::new();
    let mut exported = ModuleType::new();
    for (number, held) in held.iter().enumerate().filter(|(_, it)| it.any()) {
        for (name, entity) in held.named(number)? {
            exported.export(&name, entity);
        }
    }
    let mut types = CoreTypeSection::new();
    types.ty().module(&exported);
    made.section(&types);
    let mut imports = ComponentImportSection::new();
    imports.import(STATE, ComponentTypeRef::Module(0));
    made.section(&imports);
    let mut instances = InstanceSection::new();
    instances.instantiate::<[(&str, ModuleArg); 0], &str>(0, []);
    made.section(&instances);
    let mut number = 0;
    for part in parts {
        match part {
            Part::Module(module) => {
                let data = match held.get(number) {
                    Some(held) if held.any() => without_state(number, held, module)?,
                    _ => without_start(module)?,
                };
                made.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: &data });
                number += 1;
            }
            Part::Instances(section) => {
                let mut instances = InstanceSection::new();
                for instance in section.clone() {
                    match instance? {
                        Instance::Instantiate { module_index, args } => {
                            let args = args.iter().map(|it| (it.name, ModuleArg::Instance(it.index + SHIFT)));
                            let at = usize::try_from(module_index).unwrap_or(usize::MAX);
                            let state = held.get(at).filter(|it| it.any()).map(|_| (STATE, ModuleArg::Instance(0)));
                            let args: Vec<_> = args.chain(state).collect();
                            instances.instantiate(module_index + SHIFT, args);
                        }
                        // They name none by its index.
                        other @ Instance::FromExports(_) => {
                            RoundtripReencoder.parse_instance(&mut instances, other)?;
                        }
                    }
                }
                made.section(&instances);
            }
            Part::Aliases(section) => {
                let mut aliases = ComponentAliasSection::new();
                for alias in section.clone() {
                    let alias = match alias? {
                        ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                            ComponentAlias::CoreInstanceExport { kind, instance_index: instance_index + SHIFT, name }
                        }
                        other => other,
                    };
                    aliases.alias(RoundtripReencoder.component_alias(alias)?);
                }
                made.section(&aliases);
            }
            Part::Other(id, data) => {
                made.section(&RawSection { id: *id, data });
            }
        }
    }
    Ok(made.finish())
}

/// One module and one instance of it stand before all others.
const SHIFT: u32 = 1;

/// What the snapshot tool does to a module that has nothing to be kept: its start function has run.
fn without_start(module: &[u8]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        if id != u8::from(SectionId::Start) {
            made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    Ok(made.finish())
}

/// With imports in place of what it defined.
fn without_state(number: usize, held: &Held<'_>, module: &[u8]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Module::new();
    let mut imports = Some(ImportSection::new());
    let finished = |imports: ImportSection| -> Result<ImportSection, reencode::Error> {
        let mut imports = imports;
        for (name, entity) in held.named(number)? {
            imports.import(STATE, &name, entity);
        }
        Ok(imports)
    };
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let is = |section: SectionId| id == u8::from(section);
        if !(is(SectionId::Custom) || is(SectionId::Type) || is(SectionId::Import))
            && let Some(none) = imports.take()
        {
            made.section(&finished(none)?);
        }
        match payload {
            Payload::ImportSection(section) => {
                let mut had = imports.take().unwrap_or_default();
                for import in section.into_imports() {
                    let import = import?;
                    had.import(import.module, import.name, RoundtripReencoder.entity_type(import.ty)?);
                }
                made.section(&finished(had)?);
            }
            Payload::MemorySection(_) | Payload::StartSection { .. } => {}
            Payload::GlobalSection(section) => {
                let mut stay = GlobalSection::new();
                for global in section.into_iter().skip(held.globals.len()) {
                    RoundtripReencoder.parse_global(&mut stay, global?)?;
                }
                if !stay.is_empty() {
                    made.section(&stay);
                }
            }
            Payload::DataSection(section) => {
                let mut data = DataSection::new();
                for segment in section {
                    let segment = segment?;
                    match segment.kind {
                        // What is of use no more after it was applied once.
                        DataKind::Active { .. } => data.passive([]),
                        DataKind::Passive => data.passive(segment.data.iter().copied()),
                    };
                }
                made.section(&data);
            }
            _ => {
                made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
            }
        }
    }
    Ok(made.finish())
}

/// What all modules of a component hold.
#[derive(Default)]
struct State {
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    data: DataSection,
    /// Bytes of each memory when it begins; None: too many.
    sizes: Vec<Option<i32>>,
}

/// Reads a byte of each page of each memory.
///
/// When an instance ends, the kernel is asked which pages were written, and takes those that nobody ever looked at for written (wasmtime 50
/// no longer asks for pages that are present): each of them would be cleared, after each review. One that was read once stays what it is, be it of the
/// image or the page of zeros, for all instances that come after, and is left alone.
fn looks(sizes: &[Option<i32>]) -> Function {
    let mut function = Function::new([(1, wasm_encoder::ValType::I32)]);
    let mut then = function.instructions();
    for (memory, size) in (0..).zip(sizes) {
        let Some(size) = size else { continue };
        let at = MemArg { offset: 0, align: 0, memory_index: memory };
        then.i32_const(*size).local_set(0).loop_(BlockType::Empty);
        then.local_get(0).i32_const(HOST_PAGE).i32_sub().local_tee(0).i32_load8_u(at).drop();
        then.local_get(0).br_if(0).end();
    }
    then.end();
    function
}

impl State {
    fn take(&mut self, number: usize, held: &Held<'_>, module: &[u8]) -> Result<(), reencode::Error> {
        let first = self.memories.len();
        for (index, memory) in held.memories.iter().enumerate() {
            self.exports.export(&name_of_memory(number, index), ExportKind::Memory, self.memories.len());
            let size = memory.initial.checked_mul(PAGE as u64).filter(|it| (1..=LOOKED_AT).contains(it));
            self.sizes.push(
                size.filter(|_| !memory.memory64 && memory.page_size_log2.is_none())
                    .and_then(|it| i32::try_from(it).ok()),
            );
            self.memories.memory(RoundtripReencoder.memory_type(*memory)?);
        }
        for (index, global) in held.globals.iter().enumerate() {
            self.exports.export(&name_of_global(number, index), ExportKind::Global, self.globals.len());
            let init = RoundtripReencoder.const_expr(global.init_expr.clone())?;
            self.globals.global(RoundtripReencoder.global_type(global.ty)?, &init);
        }
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::DataSection(section) = payload? {
                for segment in section {
                    let segment = segment?;
                    if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                        let index = memory_index.checked_sub(held.imported_memories);
                        let index = index.ok_or(reencode::Error::UnexpectedNonCoreModuleSection)?;
                        let offset = RoundtripReencoder.const_expr(offset_expr)?;
                        self.data.active(first + index, &offset, segment.data.iter().copied());
                    }
                }
            }
        }
        Ok(())
    }

    fn module(self) -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        functions.function(0);
        code.function(&looks(&self.sizes));
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&self.memories)
            .section(&self.globals)
            .section(&self.exports);
        module.section(&StartSection { function_index: 0 }).section(&code).section(&self.data);
        module.finish()
    }
}

/// The smallest page of any machine.
const HOST_PAGE: i32 = 4 << 10;
/// Bytes of a memory up to which looking at each page costs less than clearing those that nobody writes.
const LOOKED_AT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use wasmtime::{
        Config, Enabled, Engine, Module, PoolingAllocationConfig, Store,
        component::{self, Linker},
    };

    use super::*;

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

    /// Of a memory of 8 MiB, of which two pages are written, each instance leaves no more behind.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn pages_that_nobody_writes_are_not_cleared() {
        if !PoolingAllocationConfig::is_pagemap_scan_available() {
            eprintln!("skipped: this kernel does not tell which pages were written");
            return;
        }
        let mut pool = PoolingAllocationConfig::default();
        pool.total_memories(1).linear_memory_keep_resident(32 << 20).pagemap_scan(Enabled::Yes);
        let engine = Engine::new(Config::new().allocation_strategy(pool)).unwrap();
        let large = component(&HELD.replace("memory\") 1 9", "memory\") 128 128"));
        let code = component::Component::new(&engine, code(&large).unwrap()).unwrap();
        let state = Module::new(&engine, state(&large).unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(run(&engine, &code, &state), [*b"k\0st", *b"kkst"]);
            let resident = engine.pooling_allocator_metrics().unwrap().unused_memory_bytes_resident();
            assert!(resident <= 64 << 10, "{resident}");
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
