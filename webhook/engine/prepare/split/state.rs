//! State as a module of its own.

use wasm_encoder::{
    BlockType, CodeSection, DataSection, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, MemArg,
    MemorySection, Module, StartSection, TypeSection,
    reencode::{self, Reencode, RoundtripReencoder},
};
use wasmparser::{DataKind, Parser, Payload};

use super::{Held, Part, name_of_global, name_of_memory, parts, rewind::initials};
use crate::engine::run::runtime::PAGE;

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
