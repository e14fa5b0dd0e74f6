//! Which interfaces of the contract this server serves, by their exact names; what it does not know is an error, never
//! something that is silently not asked.

use wasmtime::component::{Component, types::ComponentItem};

use super::program::ProgramError;

/// Of the package `verdict:policy`.
pub(super) const VERSION: &str = "0.1.0";

/// The whole name of an interface.
pub(super) fn name(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{VERSION}")
}

/// Every export that bears our name must be one that this server asks, with exactly the functions that it knows.
pub(super) fn check_exports(engine: &wasmtime::Engine, component: &Component) -> Result<(), ProgramError> {
    for (exported, item) in component.component_type().exports(engine) {
        if !exported.starts_with(NAMESPACE) {
            continue;
        }
        let newer = |words: &str| ProgramError::Newer(format!("it exports {exported}{words}"));
        let (_, known) = EXPORTS
            .iter()
            .find(|(it, _)| name(it) == exported)
            .ok_or_else(|| newer(", which this one does not ask"))?;
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
            return Err(newer(&format!(" without the function {missing}")));
        }
    }
    Ok(())
}

/// Of an import that there is not: whether nobody serves it, no policy is granted it, or it belongs to another host.
pub(super) fn check_imports(engine: &wasmtime::Engine, component: &Component) -> Result<(), ProgramError> {
    for (imported, _) in component.component_type().imports(engine) {
        let served = |it: &&str| name(it) == imported;
        if imported.starts_with(NAMESPACE) {
            if !IMPORTS.iter().any(served) {
                return Err(ProgramError::Newer(format!("it imports {imported}, which this one does not have")));
            }
        } else if imported.starts_with("wasi:") {
            let given = |it: &&str| imported.strip_prefix(*it).is_some_and(|rest| rest.starts_with('/'));
            let version = imported.rsplit_once('@').map_or("", |(_, version)| version);
            if !WASI.iter().any(given) || !version.starts_with("0.2.") {
                return Err(ProgramError::NotGranted(imported.to_owned()));
            }
        } else {
            return Err(ProgramError::Foreign(imported.to_owned()));
        }
    }
    Ok(())
}

const NAMESPACE: &str = "verdict:";
const PACKAGE: &str = "verdict:policy/";
/// What a policy may export, with all its functions.
const EXPORTS: [(&str, &[&str]); 6] = [
    ("lifecycle", &["init", "cleanup"]),
    ("authentication", &["authenticate"]),
    ("authorization", &["authorize"]),
    ("validating", &["validate"]),
    ("mutating", &["mutate"]),
    ("provider", &["handle-event"]),
];
/// What a policy may import. `types` and `admission` hold no functions.
const IMPORTS: [&str; 6] = ["types", "admission", "log", "audit-log", "review", "guest-runtime"];
/// The packages that are linked, of version 0.2; with nothing behind them.
const WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];
