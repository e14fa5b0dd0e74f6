//! A component of the engine and a script: linked with the bindings of the contract, started once, and kept as it is then.
//!
//! The script's modules are evaluated here, at the build, with clocks that stand still and random numbers that are none, so that
//! the same script gives the same bytes. Whatever else it asks of the server at that time is an error.

use std::thread;

use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};
use wit_component::{StringEncoding, embed_component_metadata};

use super::{engine, positions::Positions};
use crate::{
    author::build::{
        BuildError,
        world::{self, World},
    },
    component::contract,
    engine::prepare::Instrumented,
};

/// The component of `script`; `engine` is as `engine::adapted` gives it.
pub(super) fn component(
    engine: &[u8],
    script: &str,
    positions: &Positions,
    world: &World,
) -> Result<Vec<u8>, BuildError> {
    let bad = |error: anyhow::Error| BuildError::NotAPolicy(format!("no component can be made: {error:#}"));
    let linked = link(engine, world).map_err(bad)?;
    // A thread of its own: it may be called from one that drives others.
    let started = thread::scope(|scope| scope.spawn(|| start(&linked, script)).join());
    let started = started.unwrap_or_else(|_| Err(Stopped::Tool(anyhow::anyhow!("the tool crashed"))));
    let Started { component, printed } = started.map_err(|stopped| match stopped {
        Stopped::Script(words) => {
            BuildError::NotAPolicy(format!("the policy cannot be loaded: {}", said(&positions.original(&words))))
        }
        Stopped::Tool(error) => bad(error),
    })?;
    if !printed.trim().is_empty() {
        crate::author::tell(positions.original(&printed).trim());
    }
    Ok(component)
}

/// What an author makes something of: without the SDK's own lines, and what the engine puts before the words.
fn said(words: &str) -> String {
    let words = words.trim();
    let words = words.rsplit_once(EVALUATING).map_or(words, |(_, rest)| rest);
    let own = |line: &&str| {
        !["verdict-policy-sdk/", "sdk/js/", "sdk-js/"].iter().any(|it| line.contains(&format!("{it}src/")))
    };
    let mut said = words.lines().filter(own).collect::<Vec<_>>().join("\n");
    if words.contains("Intl is not defined") {
        said += "\nQuickJS has no Intl: see \"No Intl\" in .verdict/sdk/js/README.md";
    }
    said
}

fn link(engine: &[u8], world: &World) -> anyhow::Result<Vec<u8>> {
    let bindings = bindings(&world.text())?;
    let adapter = world::adapter(include_str!("adapter.wat"))?;
    wit_component::Linker::default()
        .validate(true)
        .library("engine.wasm", engine, false)?
        .library("bindings.wasm", &bindings, false)?
        .adapter(engine::ADAPTER, &adapter)?
        .encode()
}

/// The library that translates between the contract and the engine.
fn bindings(guest: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = world::resolve(guest)?;
    let mut module = wit_dylib::create(&resolve, world, None);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

enum Stopped {
    /// It threw, in these words.
    Script(String),
    Tool(anyhow::Error),
}

/// The component, and what was printed while it was made.
struct Started {
    component: Vec<u8>,
    printed: String,
}

fn start(linked: &[u8], script: &str) -> Result<Started, Stopped> {
    let tool = |error: wasmtime::Error| Stopped::Tool(anyhow::anyhow!("{error:#}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| Stopped::Tool(error.into()))?;
    let instrumented = Instrumented::new(linked).map_err(|error| Stopped::Tool(anyhow::anyhow!(error)))?;
    let engine = Engine::new(&Config::new()).map_err(tool)?;
    let component = Component::new(&engine, &instrumented.bytes).map_err(tool)?;
    let linker = imports(&engine, &component).map_err(tool)?;
    runtime.block_on(async {
        let mut store = Store::new(&engine, Printed::default());
        let instance = linker.instantiate_async(&mut store, &component).await.map_err(tool)?;
        let init = instance.get_typed_func::<Arguments<'_>, (Result<(), String>,)>(&mut store, "init").map_err(tool)?;
        let answer = init.call_async(&mut store, (SHIM, script, None, false)).await;
        let printed = String::from_utf8_lossy(&store.data().0).into_owned();
        match answer {
            Ok((Ok(()),)) => {}
            Ok((Err(words),)) => return Err(Stopped::Script(format!("{words}\n{printed}"))),
            Err(error) => return Err(Stopped::Tool(anyhow::anyhow!("{error:#}\n{printed}"))),
        }
        let component = instrumented.read(&mut store, instance).await;
        let component = component.map_err(|error| Stopped::Tool(anyhow::anyhow!(error)))?;
        Ok(Started { component, printed })
    })
}

/// Of the engine's `init`: a script of its own, that of the policy, the file of it for imports, whether to collect no garbage.
type Arguments<'a> = (&'a str, &'a str, Option<&'a str>, bool);

/// What the engine says before an error of the script.
const EVALUATING: &str = "Failed to finish JavaScript module evaluation: ";

/// What the engine's own tool runs before a script that uses no streams.
const SHIM: &str = "const wit = globalThis.wit = {};\n";

/// What was printed at the build.
#[derive(Default)]
struct Printed(Vec<u8>);

fn imports(engine: &Engine, component: &Component) -> wasmtime::Result<Linker<Printed>> {
    let mut linker = Linker::<Printed>::new(engine);
    linker.allow_shadowing(true);
    linker.define_unknown_imports_as_traps(component)?;
    let mut runtime = linker.instance(contract::GUEST_RUNTIME)?;
    runtime.func_wrap("output", |mut store, (_fd, word, length): (u32, u64, u32)| {
        let bytes = word.to_le_bytes();
        store.data_mut().0.extend_from_slice(bytes.get(..length as usize).unwrap_or(&bytes));
        Ok(())
    })?;
    runtime.func_wrap("wall-clock", |_, ()| Ok((BUILT_AT,)))?;
    runtime.func_wrap("monotonic-clock", |_, ()| Ok((0_u64,)))?;
    runtime.func_wrap("random", |_, ()| Ok((BUILT_AT,)))?;
    Ok(linker)
}

/// Nanoseconds: 2000-01-01, a date that nobody takes for the present.
const BUILT_AT: u64 = 946_684_800_000_000_000;
