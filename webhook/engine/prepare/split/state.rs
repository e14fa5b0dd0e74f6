//! State as a module of its own.

use wasm_encoder::{
    CodeSection, DataSection, ExportKind, ExportSection, FunctionSection, GlobalSection, MemorySection, Module,
    StartSection, TypeSection,
    reencode::{self, Reencode, RoundtripReencoder},
};
use wasmparser::{DataKind, Parser, Payload};

use super::{Held, Part, name_of_global, name_of_memory, parts, rewind::initials};
use crate::engine::prepare::looks;

/// The state of a component that was snapshotted, as a core module for [`code`] of what it was before.
///
/// # Errors
/// It is not what the snapshot tool writes.
pub(in super::super) fn state(snapshot: &[u8]) -> Result<Vec<u8>, String> {
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

impl State {
    fn take(&mut self, number: usize, held: &Held<'_>, module: &[u8]) -> Result<(), reencode::Error> {
        let first = self.memories.len();
        for (index, memory) in held.memories.iter().enumerate() {
            self.exports.export(&name_of_memory(number, index), ExportKind::Memory, self.memories.len());
            self.sizes.push(looks::size(memory));
            self.memories.memory(RoundtripReencoder.memory_type(*memory)?);
        }
        for (index, global) in held.globals.iter().enumerate() {
            self.exports.export(&name_of_global(number, index), ExportKind::Global, self.globals.len());
            let init = RoundtripReencoder.const_expr(global.init_expr.clone())?;
            self.globals.global(RoundtripReencoder.global_type(global.ty)?, &init);
        }
        let changing = held.globals.iter().filter(|it| it.ty.mutable);
        for (global, (_, initial, fixed)) in changing.zip(initials(number, held)?) {
            self.exports.export(&initial, ExportKind::Global, self.globals.len());
            self.globals.global(fixed, &RoundtripReencoder.const_expr(global.init_expr.clone())?);
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
        code.function(&looks::function(&self.sizes));
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
