//! Worlds: what a component imports and exports, and a component of a core module of Go, whose WASI is an adapter.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, UnresolvedPackageGroup, WorldId};

use super::{BuildError, embedded, segments};
use crate::{
    component::contract,
    spec::{Import, Interface},
};

/// Everything that a component imports and exports of the contract, by whole names.
pub(super) struct World {
    imports: Vec<String>,
    exports: Vec<&'static str>,
    /// WIT of its own for more imports.
    more: &'static str,
}

impl World {
    /// The lifecycle is always exported.
    pub(super) fn new(imports: &[Import], interfaces: &[Interface], cleanup: bool) -> Self {
        let exports = [contract::LIFECYCLE].into_iter().chain(cleanup.then_some(contract::CLEANUP));
        let exports = exports.chain(interfaces.iter().map(|it| contract::exported(*it))).map(|it| it.name).collect();
        Self { imports: imports.iter().map(|it| contract::imported(*it)).collect(), exports, more: "" }
    }

    /// With what adapters of runtimes need.
    pub(super) fn with_runtime(mut self) -> Self {
        self.imports.push(contract::GUEST_RUNTIME.to_owned());
        self
    }

    /// With granted environment variables, as WASI has them.
    pub(super) fn with_environment(mut self) -> Self {
        self.imports.push(ENVIRONMENT.to_owned());
        self.more = " package wasi:cli@0.2.0 { interface environment { get-environment: func() -> list<tuple<string, string>>; } }";
        self
    }

    /// As WIT: the world `guest`.
    pub(super) fn text(&self) -> String {
        let imports: String = self.imports.iter().map(|it| format!("  import {it};\n")).collect();
        let exports: String = self.exports.iter().map(|it| format!("  export {it};\n")).collect();
        format!("package verdict:build;\n\nworld guest {{\n{imports}{exports}}}\n{}", self.more)
    }
}

/// The interface of granted environment variables.
pub(super) const ENVIRONMENT: &str = "wasi:cli/environment@0.2.0";

/// The component of `module`, with exactly the interfaces that it exports and those that it calls.
pub(super) fn component(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let exported = exports(module)?;
    let has = |interface: contract::Exported| exported.iter().any(|it| it.split('#').next() == Some(interface.name));
    let interfaces: Vec<Interface> = Interface::ALL.into_iter().filter(|it| has(contract::exported(*it))).collect();
    if !has(contract::LIFECYCLE) || interfaces.is_empty() {
        return Err(BuildError::NotAPolicy(
            "it exports no review interface: import at least one of verdict.dev/policy/authentication, authorization, \
             validating, mutating, provider and changes in package main, and call its Export in func init"
                .to_owned(),
        ));
    }
    let guest = World::new(&Import::ALL, &interfaces, has(contract::CLEANUP));
    encode(module, &guest).map_err(|error| BuildError::NotAPolicy(format!("no component can be made: {error:#}")))
}

fn encode(module: &[u8], guest: &World) -> anyhow::Result<Vec<u8>> {
    let module = with_world(&segments::merge(module)?, &guest.text())?;
    let adapter = adapter(include_str!("go-adapter.wat"))?;
    ComponentEncoder::default().validate(true).module(&module)?.adapter("wasi_snapshot_preview1", &adapter)?.encode()
}

/// An adapter from its text, which says `guest-runtime` for the interface that it is made of.
pub(super) fn adapter(text: &str) -> anyhow::Result<Vec<u8>> {
    let text = text.replace("(import \"guest-runtime\"", &format!("(import \"{}\"", contract::GUEST_RUNTIME));
    let world = format!("package verdict:adapter; world guest {{ import {}; }}", contract::GUEST_RUNTIME);
    with_world(&wat::parse_str(text)?, &world)
}

fn with_world(module: &[u8], world: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = resolve(world)?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

/// The world `guest` of `world`, with the contract that it names.
pub(super) fn resolve(world: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut contract = Vec::new();
    for file in embedded::WIT.iter().filter(|it| it.path.starts_with("deps/") && it.path.ends_with(".wit")) {
        contract.push(parse(file.path, str::from_utf8(file.bytes)?)?);
    }
    let mut resolve = Resolve::default();
    let guest = parse("guest.wit", world)?;
    let package = resolve.push_groups(guest, contract)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    Ok((resolve, world))
}

fn parse(path: &str, text: &str) -> anyhow::Result<UnresolvedPackageGroup> {
    UnresolvedPackageGroup::parse(Path::new(path), text).map_err(|(_, error)| anyhow::anyhow!("{error:?}"))
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
