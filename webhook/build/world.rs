//! A component of a core module of Go: its world is what it exports, its WASI is the adapter.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, WorldId};

use super::{BuildError, segments};
use crate::engine::Interface;

/// The contract, as a component's author would have it in a folder.
const CONTRACT: [(&str, &str); 7] = [
    ("types.wit", include_str!("../../wit/types.wit")),
    ("admission.wit", include_str!("../../wit/admission.wit")),
    ("authentication.wit", include_str!("../../wit/authentication.wit")),
    ("authorization.wit", include_str!("../../wit/authorization.wit")),
    ("provider.wit", include_str!("../../wit/provider.wit")),
    ("imports.wit", include_str!("../../wit/imports.wit")),
    ("worlds.wit", include_str!("../../wit/worlds.wit")),
];

const ADAPTER: &str = include_str!("go-adapter.wat");

/// The component of `module`, with exactly the interfaces that it exports.
pub(super) fn component(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let exported = exports(module)?;
    let lifecycle = exported.iter().any(|name| name.starts_with("verdict:policy/lifecycle@0.1.0#"));
    let interfaces: Vec<&str> = Interface::ALL
        .iter()
        .map(|it| it.name())
        .filter(|name| exported.iter().any(|it| it.starts_with(&format!("verdict:policy/{name}@0.1.0#"))))
        .collect();
    if !lifecycle || interfaces.is_empty() {
        return Err(BuildError::NotAPolicy(
            "it exports no review interface: import at least one of verdict.dev/policy/authentication, authorization, \
             validating, mutating and provider in package main, and call its Export in func init"
                .to_owned(),
        ));
    }
    let exports: String = interfaces.iter().map(|name| format!("export verdict:policy/{name}@0.1.0; ")).collect();
    let guest = format!(
        "package verdict:build; world guest {{ import verdict:policy/log@0.1.0; import verdict:policy/audit-log@0.1.0; \
         import verdict:policy/review@0.1.0; export verdict:policy/lifecycle@0.1.0; {exports}}}"
    );
    let adapter = "package verdict:adapter; world guest { import verdict:policy/guest-runtime@0.1.0; }";
    encode(module, &guest, adapter)
        .map_err(|error| BuildError::NotAPolicy(format!("no component can be made: {error:#}")))
}

fn encode(module: &[u8], guest: &str, adapter: &str) -> anyhow::Result<Vec<u8>> {
    let module = with_world(&segments::merge(module)?, guest)?;
    let adapter = with_world(&wat::parse_str(ADAPTER)?, adapter)?;
    ComponentEncoder::default().validate(true).module(&module)?.adapter("wasi_snapshot_preview1", &adapter)?.encode()
}

pub(super) fn with_world(module: &[u8], world: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = resolve(world)?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

pub(super) fn resolve(world: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut sources = SourceMap::new();
    for (name, text) in CONTRACT {
        sources.push(Path::new(name), text);
    }
    let contract = sources.parse().map_err(|(_, error)| anyhow::anyhow!("{error:?}"))?;
    let mut resolve = Resolve::default();
    resolve.push_group(contract)?;
    let package = resolve.push_str("guest.wit", world)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    Ok((resolve, world))
}

/// The names of a core module's exports.
fn exports(module: &[u8]) -> Result<Vec<String>, BuildError> {
    let bad = |error: &dyn std::fmt::Display| BuildError::NotAPolicy(format!("go built no core Wasm module: {error}"));
    let mut names = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ExportSection(section) = payload.map_err(|error| bad(&error))? {
            for export in section {
                names.push(export.map_err(|error| bad(&error))?.name.to_owned());
            }
        }
    }
    Ok(names)
}
