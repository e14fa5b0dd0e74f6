//! A component that can put its own variables back to what they were before a review, so that the same instance can answer the next one and
//! find what a new one would find.
//!
//! All that Wasm lets code change (the specification's store): memories, globals, tables, and whether segments were dropped. What is split has its one
//! memory and its globals in the module of its state. Globals are set back by what is added here, memory by the host
//! ([`crate::engine::run::rewind`]), and whoever can change a table, drop a segment or hold a resource is not added to.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentImportSection, ComponentSection as _, ComponentTypeRef, ComponentTypeSection,
    ComponentValType, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalType, ImportSection,
    InstanceSection, Module, ModuleArg, ModuleSection, PrimitiveValType, TypeSection, ValType,
    reencode::{self, Reencode, RoundtripReencoder},
};
use wasmparser::{
    CanonicalFunction, Encoding, Instance, Operator, Parser, Payload, ValidPayload, Validator, WasmFeatures,
    types::Types,
};

use super::{Held, name_of_global, name_of_memory};
use crate::engine::run::{
    program::{MEMORY, REWIND, STATE},
    state::MAX_INSTANCES,
};

/// What a global that may change begins with, in one that may not.
fn name_of_initial(module: usize, index: usize) -> String {
    format!("{module}.initial.{index}")
}

/// Those of a module's globals that may change: their names, the names of what they begin with, and the type of that.
pub(super) fn initials(number: usize, held: &Held<'_>) -> Result<Vec<(String, String, GlobalType)>, reencode::Error> {
    let changing = held.globals.iter().enumerate().filter(|(_, it)| it.ty.mutable);
    changing
        .map(|(index, it)| {
            let fixed = GlobalType { mutable: false, ..RoundtripReencoder.global_type(it.ty)? };
            Ok((name_of_global(number, index), name_of_initial(number, index), fixed))
        })
        .collect()
}

/// How many there are of each kind in a component.
struct Counts {
    types: u32,
    functions: u32,
    modules: u32,
    memories: u32,
    core_instances: u32,
    /// Those that are made of a module.
    instantiated: usize,
    core_functions: u32,
}

impl Counts {
    fn of(types: &Types, instantiated: usize) -> Self {
        let types = types.as_ref();
        Self {
            types: types.component_type_count(),
            functions: types.component_function_count(),
            modules: types.module_count(),
            memories: types.memory_count(),
            core_instances: types.core_instance_count(),
            instantiated,
            core_functions: types.function_count(),
        }
    }
}

/// Adds to `code`, which imports its state as the core instance 0, a function that puts its globals back and shows the host its memory. None: it can change
/// more than that.
pub(super) fn rewinding(code: &[u8], held: &[Held<'_>]) -> Result<Option<Vec<u8>>, reencode::Error> {
    let memories: Vec<_> =
        held.iter().enumerate().flat_map(|(number, it)| it.memories.iter().map(move |it| (number, it))).collect();
    let [(number, memory)] = memories.as_slice() else {
        return Ok(None);
    };
    if memory.memory64 || memory.shared || memory.page_size_log2.is_some() || memory.initial == 0 {
        return Ok(None);
    }
    let Some(counts) = looked_at(code)? else {
        return Ok(None);
    };
    // With what is added it must not have more than any may have.
    let globals: usize = held.iter().map(|it| it.globals.len()).sum();
    if counts.instantiated + ADDED > MAX_INSTANCES || globals > MAX_GLOBALS {
        return Ok(None);
    }
    let mut added = code.to_vec();

    let mut types = ComponentTypeSection::new();
    let (list, tell, rewind) = (counts.types, counts.types + 1, counts.types + 2);
    types.defined_type().list(PrimitiveValType::U8);
    types
        .function()
        .params([
            ("first", ComponentValType::Type(list)),
            ("pages", ComponentValType::Primitive(PrimitiveValType::U32)),
        ])
        .result(None);
    types.function().params([] as [(&str, ComponentValType); 0]).result(None);
    types.append_to_component(&mut added);

    let mut imports = ComponentImportSection::new();
    imports.import(MEMORY, ComponentTypeRef::Func(tell));
    imports.append_to_component(&mut added);

    let named = name_of_memory(*number, 0);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport { instance: 0, kind: ExportKind::Memory, name: &named });
    aliases.append_to_component(&mut added);
    let mut lowered = CanonicalFunctionSection::new();
    lowered.lower(counts.functions, [CanonicalOption::Memory(counts.memories)]);
    lowered.append_to_component(&mut added);

    ModuleSection(&module(held, &named, RoundtripReencoder.memory_type(**memory)?)?).append_to_component(&mut added);
    let mut instances = InstanceSection::new();
    instances.export_items([(MEMORY, ExportKind::Func, counts.core_functions)]);
    let host = counts.core_instances;
    instances.instantiate(counts.modules, [(STATE, ModuleArg::Instance(0)), (MEMORY, ModuleArg::Instance(host))]);
    instances.append_to_component(&mut added);

    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport { instance: host + 1, kind: ExportKind::Func, name: REWIND });
    aliases.append_to_component(&mut added);
    let mut lifted = CanonicalFunctionSection::new();
    lifted.lift(counts.core_functions + 1, rewind, []);
    lifted.append_to_component(&mut added);
    let mut exports = ComponentExportSection::new();
    exports.export(REWIND, ComponentExportKind::Func, counts.functions + 1, None);
    exports.append_to_component(&mut added);
    Ok(Some(added))
}

/// What a component counts, or None where its code can change what nobody puts back.
fn looked_at(component: &[u8]) -> Result<Option<Counts>, reencode::Error> {
    let mut validator = Validator::new_with_features(KNOWN);
    // What encloses the present payload, from outside to inside.
    let mut within: Vec<Encoding> = Vec::new();
    let mut instantiated = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        let refused = match &payload {
            Payload::Version { encoding, .. } => {
                let in_a_nested_one = *encoding == Encoding::Module && within.len() > 1;
                within.push(*encoding);
                in_a_nested_one
            }
            Payload::End(_) => {
                within.pop();
                false
            }
            Payload::InstanceSection(section) => {
                let made = |it: &Result<_, _>| matches!(it, Ok(Instance::Instantiate { .. }));
                instantiated += section.clone().into_iter().filter(made).count();
                false
            }
            Payload::ComponentCanonicalSection(section) => {
                let mut functions = section.clone().into_iter();
                !functions.all(|it| {
                    matches!(
                        it,
                        Ok(CanonicalFunction::Lift { .. }
                            | CanonicalFunction::Lower { .. }
                            | CanonicalFunction::ResourceDrop { .. })
                    )
                })
            }
            Payload::ComponentImportSection(section) => {
                section.clone().into_iter().any(|it| it.is_ok_and(|it| it.name.name == MEMORY))
            }
            Payload::ComponentExportSection(section) => {
                section.clone().into_iter().any(|it| it.is_ok_and(|it| it.name.name == REWIND))
            }
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader()?;
                let mut changes = false;
                while !operators.eof() && !changes {
                    changes = changes_more(&operators.read()?);
                }
                changes
            }
            _ => false,
        };
        if refused {
            return Ok(None);
        }
        // Bodies of functions are left to the compiler.
        match validator.payload(&payload) {
            Ok(ValidPayload::End(types)) if within.is_empty() => return Ok(Some(Counts::of(&types, instantiated))),
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether it changes a table, or what a segment holds.
fn changes_more(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
    )
}

/// Sets each global to what it began with, and tells the host where the memory is and how many pages it has.
fn module(held: &[Held<'_>], memory: &str, memory_type: wasm_encoder::MemoryType) -> Result<Module, reencode::Error> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 3], []);
    types.ty().function([], []);
    let (mut imports, mut rewind) = (ImportSection::new(), Function::new([]));
    imports.import(MEMORY, MEMORY, EntityType::Function(0));
    imports.import(STATE, memory, EntityType::Memory(memory_type));
    let mut global = 0;
    for (number, held) in held.iter().enumerate() {
        for (name, initial, fixed) in initials(number, held)? {
            imports.import(STATE, &name, EntityType::Global(GlobalType { mutable: true, ..fixed }));
            imports.import(STATE, &initial, EntityType::Global(fixed));
            rewind.instructions().global_get(global + 1).global_set(global);
            global += 2;
        }
    }
    rewind.instructions().i32_const(0).i32_const(1).memory_size(0).call(0).end();
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    functions.function(1);
    exports.export(REWIND, ExportKind::Func, 1);
    code.function(&rewind);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    Ok(module)
}

/// Core instances that are added, of modules.
const ADDED: usize = 1;
/// Globals that are worth being put back.
const MAX_GLOBALS: usize = 1000;
/// Parts of Wasm of which it is known what they can change: no objects of a collector's, no threads, no continuations.
const KNOWN: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::COMPONENT_MODEL)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::EXCEPTIONS);

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use wasmtime::{
        Store,
        component::{self, Instance, InstancePre, Linker},
    };

    use super::{
        super::{code, state},
        *,
    };
    use crate::engine::run::{
        output::{Output, Voice},
        rewind::{self, Budget, Rewind, Thin},
        runtime::Wasm,
        state::State,
    };

    /// Reads its globals and a byte of every other page, changes all of them, and says what they were.
    const CHANGES: &str = r#"(core module $a
            (memory (export "memory") 40 60) (global $g (mut i64) (i64.const 5)) (global $f (mut f64) (f64.const 0.5))
            (global $fixed i32 (i32.const 7)) (global $h (mut i32) (i32.const 9))
            (table (export "t") 1 funcref) (elem (i32.const 0) $run)
            (func $run (export "run") (param $step i32) (result i64)
                (local $sum i64) (local $at i32)
                (local.set $sum (i64.add (i64.mul (global.get $g) (i64.const 1000))
                    (i64.add (i64.trunc_f64_s (f64.mul (global.get $f) (f64.const 2))) (i64.extend_i32_s (global.get $h)))))
                (local.set $at (i32.const 100))
                (loop $next
                    (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
                    (i32.store8 (local.get $at) (i32.const 3))
                    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (local.get $step))) (i32.const 2600000))))
                (global.set $g (i64.const 77)) (global.set $f (f64.const 8)) (global.set $h (i32.const 1))
                (local.get $sum))
            (func (export "grow") (param i32) (result i64) (i64.extend_i32_s (memory.grow (local.get 0))))
            (data (i32.const 8192) "begin") (data (i32.const 2000000) "end"))
        (core instance $a (instantiate $a))
        (func (export "run") (param "step" u32) (result s64) (canon lift (core func $a "run")))
        (func (export "grow") (param "pages" u32) (result s64) (canon lift (core func $a "grow")))"#;

    struct Guest {
        wasm: Wasm,
        pre: InstancePre<State>,
    }

    impl Guest {
        fn new(text: &str) -> Self {
            let component = wat::parse_str(format!("(component {text})")).unwrap();
            let mut config = crate::engine::run::runtime::base();
            config.allocation_strategy(wasmtime::PoolingAllocationConfig::default());
            let wasm = Wasm::new(config, false, 0).unwrap();
            let code = component::Component::new(&wasm.engine, code(&component).unwrap()).unwrap();
            let state = wasmtime::Module::new(&wasm.engine, state(&component).unwrap()).unwrap();
            let mut linker = Linker::new(&wasm.engine);
            linker.root().module(STATE, &state).unwrap();
            rewind::add_to_linker(&mut linker).unwrap();
            let pre = linker.instantiate_pre(&code).unwrap();
            Self { wasm, pre }
        }

        async fn started(&self) -> (Store<State>, Instance) {
            let output = Output::new(&Voice::of("p"), true);
            let deadline = Instant::now() + Duration::from_mins(1);
            let mut store = self.wasm.store(State::new(&Arc::default(), 64 << 20, output, Arc::from(""), deadline));
            let instance = self.pre.instantiate_async(&mut store).await.unwrap();
            (store, instance)
        }
    }

    async fn call(store: &mut Store<State>, instance: &Instance, name: &str, argument: u32) -> i64 {
        let function = instance.get_typed_func::<(u32,), (i64,)>(&mut *store, name).unwrap();
        function.call_async(store, (argument,)).await.unwrap().0
    }

    #[tokio::test]
    async fn an_instance_is_again_what_it_was() {
        let guest = Guest::new(CHANGES);
        let rewind = Rewind::new(&guest.pre, &Arc::new(Budget::new(64 << 20)));
        if !wasmtime::PoolingAllocationConfig::is_pagemap_scan_available() {
            return assert!(rewind.is_none());
        }
        let rewind = rewind.unwrap();
        let (mut store, instance) = guest.started().await;
        let first = call(&mut store, &instance, "run", 8192).await;
        assert_eq!(first, 5000 + 1 + 9);
        // As a sibling of the test: without it, the next one finds what this one left.
        let second = call(&mut store, &instance, "run", 8192).await;
        assert_eq!(second, 77_000 + 16 + 1 + 318 * 3);
        assert!(rewind.put_back(&mut store, &instance).await.is_none(), "nobody knows yet what it was");

        let (mut store, instance) = guest.started().await;
        rewind.learn(&mut store, &instance).await.unwrap();
        // From the second review on the kernel knows only pages that were touched since.
        let mut thin = None;
        for (review, step) in [8192, 8192, 65_536, 303_104, 8192].into_iter().enumerate() {
            assert_eq!(call(&mut store, &instance, "run", step).await, first, "{step}");
            let memory = rewind.put_back(&mut store, &instance).await.unwrap();
            let only_read = memory.only_read();
            if review == 1 {
                assert!(only_read > 200, "{only_read}: all were looked at");
                thin = Thin::new(memory);
            } else if review > 1 {
                assert!(only_read < 20, "{only_read}");
            }
        }
        // All of the memory, with the data that it began with.
        let (mut other, new) = guest.started().await;
        let was = rewind.memory(&mut other, &new).await;
        assert!(was.len() == 40 << 16 && was[8192..8197] == *b"begin" && was[2_000_000..2_000_003] == *b"end");
        assert!(was == rewind.memory(&mut store, &instance).await, "a byte of it differs");
        thin.unwrap().end();
        let memory = rewind.put_back(&mut store, &instance).await.unwrap();
        assert!(memory.only_read() > 200, "all were looked at again");

        // Pages that no review has written yet.
        assert_eq!(call(&mut store, &instance, "run", 4096).await, first);
        assert!(rewind.put_back(&mut store, &instance).await.is_none());
        // And one that has more memory than it began with.
        let used = other.data().memory.used();
        assert!(!other.data_mut().was_changed(used));
        assert_eq!(call(&mut other, &new, "grow", 1).await, 40);
        assert!(other.data_mut().was_changed(used));
    }

    #[tokio::test]
    async fn what_is_known_stays_within_its_budget() {
        if !wasmtime::PoolingAllocationConfig::is_pagemap_scan_available() {
            return;
        }
        let guest = Guest::new(CHANGES);
        let budget = Arc::new(Budget::new(1 << 20));
        let rewind = Rewind::new(&guest.pre, &budget).unwrap();
        for _ in 0..3 {
            let (mut store, instance) = guest.started().await;
            rewind.learn(&mut store, &instance).await.unwrap();
            call(&mut store, &instance, "run", 4096).await;
            assert!(rewind.put_back(&mut store, &instance).await.is_none(), "600 pages do not fit");
            assert_eq!(budget.left(), 1 << 20, "and are not held");
        }
        let rewind = Rewind::new(&guest.pre, &budget).unwrap();
        for known in [false, true] {
            let (mut store, instance) = guest.started().await;
            rewind.learn(&mut store, &instance).await.unwrap();
            call(&mut store, &instance, "run", 1 << 20).await;
            assert_eq!(rewind.put_back(&mut store, &instance).await.is_some(), known);
        }
        assert!(budget.left() < 1 << 20);
        drop(rewind);
        assert_eq!(budget.left(), 1 << 20);
    }

    #[test]
    fn a_function_of_the_same_name_is_not_called() {
        let guest = Guest::new(&format!(
            r#"(core module $a (memory (export "memory") 1) (func (export "f") unreachable)) (core instance $a (instantiate $a))
                (func (export "{REWIND}") (canon lift (core func $a "f")))"#
        ));
        assert!(Rewind::new(&guest.pre, &Arc::new(Budget::new(1 << 20))).is_none());
    }

    #[test]
    fn what_changes_more_than_can_be_put_back_is_not_added_to() {
        let rewinds = |text: &str| {
            let bytes = wat::parse_str(format!("(component {text})")).unwrap();
            let code = code(&bytes).unwrap();
            let is_ours = |payload: &Payload<'_>| {
                let Payload::ComponentImportSection(section) = payload else { return false };
                section.clone().into_iter().any(|it| it.unwrap().name.name == MEMORY)
            };
            Parser::new(0).parse_all(&code).any(|it| is_ours(&it.unwrap()))
        };
        let with = |body: &str| {
            format!(
                r#"(core module $a (memory (export "memory") 1) (global $g (mut i32) (i32.const 1))
                    (table $t (export "t") 2 funcref) (elem $e func $f) (data $d "x")
                    (func $f (export "f") {body})) (core instance $a (instantiate $a)) (core instance (instantiate $a))"#
            )
        };
        assert!(rewinds(CHANGES) && rewinds(&with("")));
        // What only reads, or changes what is put back.
        for body in [
            "(drop (table.get 0 (i32.const 0)))",
            "(global.set $g (i32.const 2))",
            "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))",
            "(drop (memory.grow (i32.const 1)))",
        ] {
            assert!(rewinds(&with(body)), "{body}");
        }
        for body in [
            "(table.set 0 (i32.const 0) (ref.null func))",
            "(drop (table.grow 0 (ref.null func) (i32.const 1)))",
            "(table.fill 0 (i32.const 0) (ref.null func) (i32.const 1))",
            "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
            "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))",
            "(elem.drop $e)",
            "(data.drop $d)",
        ] {
            assert!(!rewinds(&with(body)), "{body}");
        }
        // As many core instances as there may be, with and without what is added: the state's is one of them.
        let many = |more: usize| {
            format!(
                "{} {CHANGES}",
                "(core module $none) ".to_owned()
                    + &(0..more).map(|_| "(core instance (instantiate $none))").collect::<String>()
            )
        };
        assert!(rewinds(&many(MAX_INSTANCES - 3)) && !rewinds(&many(MAX_INSTANCES - 2)));
        let globals = CHANGES
            .replace("(global $fixed", &("(global (mut i32) (i32.const 0))".repeat(MAX_GLOBALS) + "(global $fixed"));
        assert!(!rewinds(&globals));
        let shared = CHANGES.replace("40 60", "40 60 shared");
        let two = CHANGES.replace("(table (export", "(memory 1) (table (export");
        let none = CHANGES
            .replace("40 60", "0 60")
            .replace(r#"(data (i32.const 8192) "begin") (data (i32.const 2000000) "end")"#, "");
        let resource = format!("(type $r (resource (rep i32))) (core func (canon resource.new $r)) {CHANGES}");
        let own_name = format!(
            r#"{CHANGES} (func (export "{REWIND}") (param "step" u32) (result s64) (canon lift (core func $a "run")))"#
        );
        let inner = format!(r#"{CHANGES} (component (core module (memory 1) (func)))"#);
        let collected = CHANGES.replace("(table (export", "(type (struct (field (mut i32)))) (table (export");
        for (what, text) in [
            ("shared", shared),
            ("two", two),
            ("none", none),
            ("resource", resource),
            ("own name", own_name),
            ("inner", inner),
            ("collected", collected),
        ] {
            assert!(!rewinds(&text), "{what}");
        }
    }
}
