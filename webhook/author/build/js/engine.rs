//! QuickJS as core Wasm, out of the npm package `componentize-qjs` in the author's folder.
//!
//! The package's own tool makes a component whose bytes differ with every run, and which no snapshot can be taken of. So only
//! the engine is taken from it: it lies as it is in the package's library, for every system the same bytes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use wasm_encoder::{ImportSection, Module, reencode};

use crate::author::build::{BuildError, read};

/// The engine, with everything that it imports of others under one name, for the adapter.
pub(super) fn adapted(modules: &Path) -> Result<Vec<u8>, BuildError> {
    let engine = find(modules)?;
    let mut module = Module::new();
    reencode::Reencode::parse_core_module(&mut Renaming, &mut module, wasmparser::Parser::new(0), &engine)
        .map_err(|error| BuildError::NotAPolicy(format!("the engine of {PACKAGE} cannot be read: {error}")))?;
    Ok(module.finish())
}

fn find(modules: &Path) -> Result<Vec<u8>, BuildError> {
    for library in libraries(modules)? {
        let bytes = read(&library)?;
        let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, it)| *it == MAGIC).map(|(at, _)| at);
        for start in starts {
            if let Some(module) = bytes.get(start..start + LENGTH)
                && format!("{:x}", Sha256::digest(module)) == SHA256
            {
                return Ok(module.to_vec());
            }
        }
    }
    Err(BuildError::NotAPolicy(format!(
        "{}: no engine of {PACKAGE} {VERSION} in it: package.json needs \"devDependencies\": {{\"{PACKAGE}\": \"{VERSION}\"}}; \
         then run npm install",
        modules.display()
    )))
}

/// There is one package for each system; npm installs that of this one.
fn libraries(modules: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let scope = modules.join("@andreiltd");
    let mut found = Vec::new();
    for package in folder(&scope)? {
        if package.file_name().is_some_and(|it| it.to_string_lossy().starts_with("componentize-qjs-binding-")) {
            found.extend(folder(&package)?.into_iter().filter(|it| it.extension().is_some_and(|it| it == "node")));
        }
    }
    Ok(found)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, BuildError> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let wrong = |error| BuildError::File { path: path.to_owned(), error };
    fs::read_dir(path).map_err(wrong)?.map(|entry| entry.map(|it| it.path()).map_err(wrong)).collect()
}

struct Renaming;

impl reencode::Reencode for Renaming {
    type Error = std::convert::Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        for import in section.into_imports() {
            let import = import?;
            let ty = self.entity_type(import.ty)?;
            let (interface, _version) = import.module.split_once('@').unwrap_or((import.module, ""));
            if interface.contains(':') || interface == "wasi_snapshot_preview1" {
                imports.import(ADAPTER, &format!("{interface}#{}", import.name), ty);
            } else {
                imports.import(import.module, import.name, ty);
            }
        }
        Ok(())
    }

    /// Of the worlds that the engine was linked with, only that of its own `init` is left.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let name = section.name();
        if !name.starts_with("component-type") || name.contains(":local:init:") {
            return reencode::utils::parse_custom_section(self, module, section);
        }
        Ok(())
    }
}

/// What the adapter is called.
pub(super) const ADAPTER: &str = "verdict-js-adapter";
/// The npm package and the version of it that is known here: another one's engine has another interface.
pub(super) const PACKAGE: &str = "componentize-qjs";
const VERSION: &str = "0.4.3";
/// The small engine without component-model async.
const SHA256: &str = "76750e8e8f58e442a9ee8385a3be3b1aa3307016cfd4b05290d287ace17d1179";
const LENGTH: usize = 900_514;
/// Wasm, version 1, and a custom section, as a module that is linked has it first.
const MAGIC: &[u8] = b"\0asm\x01\0\0\0\0";
