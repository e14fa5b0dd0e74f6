//! Which interfaces of the contract this server serves, by their exact names; what it does not know is an error, never
//! something that is silently not asked. The only place that spells a name or a version: a test holds it against `wit/`.

use serde::{Deserialize, Serialize};
use wasmtime::component::{Component, types::ComponentItem};

use crate::spec::{Import, Interface};

/// An interface that policies export.
#[derive(Debug)]
pub(crate) struct Exported {
    /// The whole name.
    pub(crate) name: &'static str,
    pub(crate) functions: &'static [&'static str],
}

pub(crate) const LIFECYCLE: Exported = Exported { name: "verdict:policy/lifecycle@1.0.0", functions: &["init"] };
pub(crate) const CLEANUP: Exported = Exported { name: "verdict:policy/cleanup@1.0.0", functions: &["cleanup"] };
pub(crate) const AUTHENTICATION: Exported =
    Exported { name: "verdict:authentication/authentication@1.0.0", functions: &["authenticate"] };
pub(crate) const AUTHORIZATION: Exported =
    Exported { name: "verdict:authorization/authorization@1.0.0", functions: &["authorize"] };
pub(crate) const VALIDATING: Exported =
    Exported { name: "verdict:admission/validating@1.0.0", functions: &["validate"] };
pub(crate) const MUTATING: Exported = Exported { name: "verdict:admission/mutating@1.0.0", functions: &["mutate"] };
pub(crate) const PROVIDER: Exported = Exported { name: "verdict:events/provider@1.0.0", functions: &["handle-event"] };
pub(crate) const CHANGES: Exported = Exported { name: "verdict:events/changes@1.0.0", functions: &["handle"] };

/// For the adapters of runtimes.
pub(crate) const GUEST_RUNTIME: &str = "verdict:guest-runtime/guest-runtime@1.0.0";
/// Types only.
const TYPES: [&str; 2] = ["verdict:policy/types@1.0.0", "verdict:admission/admission@1.0.0"];

/// In one line, for people and caches: what components are made for.
pub(crate) const CONTRACT: &str = "verdict:policy@1.0.0";

/// In what a component differs from the contract. The words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ContractError {
    /// It is made for a contract that this server does not know, or knows in another way.
    #[error("the component needs a newer Verdict, or must be built against the WIT of this one: {0}")]
    Newer(String),
    /// An interface that it exports is not whole.
    #[error(
        "the component is not complete: it exports {0}, which its interface has: build it against the WIT of this Verdict"
    )]
    Lacking(String),
    /// It wants a part of WASI that no policy is granted.
    #[error(
        "the component imports {0}, which no policy is granted: policies get WASI 0.2 without files and network, \
         and nothing beyond it"
    )]
    NotGranted(String),
    /// It is made for another host.
    #[error(
        "the component imports {0}, which belongs to another host: policies import the interfaces of Verdict's WIT and WASI 0.2 only"
    )]
    Foreign(String),
}

/// The interface of the contract.
pub(crate) fn exported(interface: Interface) -> Exported {
    match interface {
        Interface::Authentication => AUTHENTICATION,
        Interface::Authorization => AUTHORIZATION,
        Interface::Validating => VALIDATING,
        Interface::Mutating => MUTATING,
        Interface::Provider => PROVIDER,
        Interface::Changes => CHANGES,
    }
}

/// What of the server it is.
pub(crate) fn imported(import: Import) -> String {
    format!("verdict:host/{}@1.0.0", import.name())
}

/// What a policy may import.
fn imports() -> impl Iterator<Item = String> {
    let others = TYPES.into_iter().chain([GUEST_RUNTIME]).map(str::to_owned);
    Import::ALL.into_iter().map(imported).chain(others)
}

/// Every export that bears our name must be one that this server asks, with exactly the functions that it knows.
pub(crate) fn check_exports(engine: &wasmtime::Engine, component: &Component) -> Result<(), ContractError> {
    for (exported, item) in component.component_type().exports(engine) {
        if !exported.starts_with(NAMESPACE) {
            continue;
        }
        let newer = |words: &str| ContractError::Newer(format!("it exports {exported}{words}"));
        let known = EXPORTS
            .iter()
            .find(|it| it.name == exported)
            .ok_or_else(|| newer(", which this one does not ask"))?
            .functions;
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            return Err(newer(", which is no interface"));
        };
        let functions: Vec<&str> = instance
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name)
            .collect();
        if let Some(stranger) = functions.iter().find(|it| !known.contains(it)) {
            return Err(newer(&format!(" with the function {stranger}, which this one does not ask")));
        }
        if let Some(missing) = known.iter().find(|it| !functions.contains(it)) {
            return Err(ContractError::Lacking(format!("{exported} without the function {missing}")));
        }
    }
    Ok(())
}

/// Of an import that there is not: whether nobody serves it, no policy is granted it, or it belongs to another host.
pub(crate) fn check_imports(engine: &wasmtime::Engine, component: &Component) -> Result<(), ContractError> {
    for (imported, _) in component.component_type().imports(engine) {
        if imported.starts_with(NAMESPACE) {
            if !imports().any(|it| it == imported) {
                return Err(ContractError::Newer(format!("it imports {imported}, which this one does not have")));
            }
        } else if imported.starts_with("wasi:") {
            let given = |it: &&str| imported.strip_prefix(*it).is_some_and(|rest| rest.starts_with('/'));
            let version = imported.rsplit_once('@').map_or("", |(_, version)| version);
            if !WASI.iter().any(given) || !version.starts_with("0.2.") {
                return Err(ContractError::NotGranted(imported.to_owned()));
            }
        } else {
            return Err(ContractError::Foreign(imported.to_owned()));
        }
    }
    Ok(())
}

const NAMESPACE: &str = "verdict:";
/// What a policy may export, with all its functions.
const EXPORTS: [Exported; 8] =
    [LIFECYCLE, CLEANUP, AUTHENTICATION, AUTHORIZATION, VALIDATING, MUTATING, PROVIDER, CHANGES];
/// The packages that are linked, of version 0.2; with nothing behind them.
const WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wit_parser::{Resolve, WorldItem};

    use super::*;

    #[test]
    fn the_names_are_those_of_the_wit() {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("wit")).unwrap();
        let world = resolve.select_world(&[package], Some("everything")).unwrap();
        let world = &resolve.worlds[world];
        let named = |items: &mut dyn Iterator<Item = (&wit_parser::WorldKey, &WorldItem)>| {
            let mut names: Vec<(String, Vec<String>)> = items
                .map(|(key, item)| {
                    let WorldItem::Interface { id, .. } = item else { panic!("{key:?} is no interface") };
                    let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
                    (resolve.name_world_key(key), functions)
                })
                .collect();
            names.sort();
            names
        };
        let mut exports: Vec<(String, Vec<String>)> = EXPORTS
            .iter()
            .map(|it| (it.name.to_owned(), it.functions.iter().map(|it| (*it).to_owned()).collect()))
            .collect();
        exports.sort();
        assert_eq!(named(&mut world.exports.iter()), exports);
        let mut imports: Vec<String> = imports().collect();
        imports.sort_unstable();
        let found: Vec<String> = named(&mut world.imports.iter()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, imports);
    }
}
