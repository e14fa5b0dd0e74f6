//! What a core module shows of itself: its imports, its exports and their types. Hostile bytes, read without running any of them.

use wasmparser::{
    CompositeInnerType, Export, ExternalKind, FuncType, MemoryType, Operator, Parser, Payload, TypeRef, ValType,
};

/// What is looked at of a module.
#[derive(Default)]
pub(super) struct Seen<'a> {
    types: Vec<Option<FuncType>>,
    /// Of all functions, those imported first.
    functions: Vec<u32>,
    /// Of all globals, those imported first: the number that it begins as, where that is a constant.
    globals: Vec<Option<i32>>,
    pub(super) imports: Vec<(&'a str, &'a str)>,
    /// All of them, each with where it is imported from.
    pub(super) memories: Vec<(Option<(&'a str, &'a str)>, MemoryType)>,
    pub(super) exports: Vec<Export<'a>>,
    pub(super) metadata: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut seen = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        seen.types.extend(group?.into_types().map(|it| match it.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let name = (import.module, import.name);
                        match import.ty {
                            TypeRef::Func(function) | TypeRef::FuncExact(function) => seen.functions.push(function),
                            TypeRef::Memory(memory) => seen.memories.push((Some(name), memory)),
                            TypeRef::Global(_) => seen.globals.push(None),
                            TypeRef::Table(_) | TypeRef::Tag(_) => {}
                        }
                        seen.imports.push(name);
                    }
                }
                Payload::FunctionSection(section) => {
                    for function in section {
                        seen.functions.push(function?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        seen.memories.push((None, memory?));
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let constant = match global?.init_expr.get_operators_reader().read()? {
                            Operator::I32Const { value } => Some(value),
                            _ => None,
                        };
                        seen.globals.push(constant);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        seen.exports.push(export?);
                    }
                }
                Payload::CustomSection(section) if section.name() == super::kubewarden::SECTION => {
                    seen.metadata = Some(section.data());
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.exports.iter().any(|it| it.name == name)
    }

    /// Whether this is a memory.
    pub(super) fn has_memory(&self, name: &str) -> bool {
        self.exports.iter().any(|it| it.name == name && it.kind == ExternalKind::Memory)
    }

    /// The number that an exported global begins as, if it is a constant.
    pub(super) fn constant(&self, name: &str) -> Option<i32> {
        let export = self.exports.iter().find(|it| it.name == name && it.kind == ExternalKind::Global)?;
        *self.globals.get(export.index as usize)?
    }

    pub(super) fn function(&self, name: &str) -> Option<&FuncType> {
        let export = self.exports.iter().find(|it| it.name == name && it.kind == ExternalKind::Func)?;
        let function = self.functions.get(export.index as usize)?;
        self.types.get(*function as usize)?.as_ref()
    }

    pub(super) fn is(&self, name: &str, expected: Signature) -> bool {
        self.function(name).is_some_and(|it| it.params() == expected.params && it.results() == expected.results)
    }
}

/// Of a function.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    pub(super) params: &'static [ValType],
    pub(super) results: &'static [ValType],
    pub(super) words: &'static str,
}
