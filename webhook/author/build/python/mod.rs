//! Python: componentize-py puts CPython and the author's modules, as they are after their imports, into a component.
//!
//! Knows python3, pip and componentize-py, which come from PyPI by the hashes of a lock file. The tool is installed once
//! per lock file, in the user's cache folder.

mod image;
mod lock;
mod packages;
mod sources;
mod stage;
mod tool;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use self::{sources::Sources, stage::Stage};
use super::{BuildError, beside, embedded, imported, read, started, world::World};
use crate::{
    component::manifest::Manifest,
    spec::{Import, Interface},
};

pub(super) fn build(folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, BuildError> {
    let python = tool::python()?;
    let sources = Sources::find(folder)?;
    let seen = look(&python, folder, &sources)?;
    imported(Import::ALL.into_iter().filter(|it| seen.calls.iter().any(|name| name == it.name())), manifest.imports())?;
    let cache = tool::cache(folder);
    let tool = tool::componentize(&python, folder, &cache)?;
    let stage = Stage::new(beside(&cache.join("python-build"), "unfinished"));
    if let Some(packages) = packages::install(&tool, folder)? {
        packages::stage(&packages, &stage)?;
    }
    stage.write("glue/start.zip", &packed(&tool, &cache)?)?;
    fill(&stage, &sources, &seen.defined, manifest.imports())?;
    let made_by = format!("{} {}", tool.name, env!("CARGO_PKG_VERSION"));
    let kept = cache.join("python-built").join(format!("{}.wasm", stage.digest(&made_by)?));
    // To make it takes many seconds.
    if let Ok(bytes) = fs::read(&kept) {
        return Ok(bytes);
    }
    let bytes = componentize(&stage, &tool, folder)?;
    let bytes = image::cleaned(&bytes).map_err(|error| {
        BuildError::NotAPolicy(format!("componentize-py made a component that cannot be read: {error}"))
    })?;
    tool::keep(&kept, &bytes)?;
    Ok(bytes)
}

/// What is seen of the author's modules without running them.
struct Seen {
    /// Functions of the contract that they define.
    defined: Vec<String>,
    /// Imports of the contract that they call.
    calls: Vec<String>,
}

fn look(python: &Path, folder: &Path, sources: &Sources) -> Result<Seen, BuildError> {
    let mut look = Command::new(python);
    // Isolated from the author's own Python: a module that is called `ast` must not be taken for the real one.
    look.args(["-I", "-c", include_str!("look.py")]).arg(folder).args(sources.modules());
    let printed = said("python3", &mut look)?;
    let lines = |kind: &str| printed.lines().filter_map(|it| it.strip_prefix(kind)).map(str::to_owned).collect();
    Ok(Seen { defined: lines("defines "), calls: lines("calls ") })
}

fn fill(stage: &Stage, sources: &Sources, defined: &[String], imports: &[Import]) -> Result<(), BuildError> {
    let interfaces: Vec<Interface> =
        Interface::ALL.into_iter().filter(|it| defined.iter().any(|name| name == function(*it))).collect();
    let cleanup = defined.iter().any(|name| name == "cleanup");
    let world = World::new(imports, &interfaces, cleanup).with_runtime();
    stage.write("wit/guest.wit", world.text().as_bytes())?;
    for file in embedded::WIT.iter().filter(|it| it.path.starts_with("deps/")) {
        stage.write(&format!("wit/{}", file.path), file.bytes)?;
    }
    for file in embedded::SDK_PYTHON.iter().filter(|it| it.path.starts_with("verdict_policy/")) {
        stage.write(&format!("sdk/{}", file.path), file.bytes)?;
    }
    sources.copy(&stage.path("policy"))?;
    let left_out = packages::too_large(stage)?;
    if !left_out.is_empty() {
        crate::author::tell(&format!(
            "verdict: too large to be kept in the component: the files of {}: what they read while a review is answered is not there",
            left_out.join(", ")
        ));
    }
    // Each has its number among the folders that the tool mounts, whether there is anything in it or not.
    for folder in ["packages", "environment/lib/site-packages"] {
        stage.create(folder)?;
    }
    let listing = stage.listing(&[("policy", "/1"), ("sdk", "/2"), ("packages", "/3")])?;
    stage.write("glue/verdict_guest.py", glue(&interfaces, imports, &left_out, &listing).as_bytes())?;
    stage.start()?;
    stage.set_times()
}

fn componentize(stage: &Stage, tool: &tool::Tool, folder: &Path) -> Result<Vec<u8>, BuildError> {
    crate::author::tell("verdict: making a component of CPython and the policy: some seconds");
    let out = stage.path("out.wasm");
    // As the author calls it, in what Python says of it.
    let shown = if folder == Path::new(".") { String::new() } else { format!("{}/", folder.display()) };
    let mut command = Command::new(&tool.python);
    command.args(["-I", "-c", include_str!("componentize.py")]).arg(shown);
    command.arg("--quiet").arg("--wit-path").arg(stage.path("wit")).args(["--world", "guest", "componentize"]);
    for path in ["glue", "policy", "sdk", "packages"].map(|it| stage.path(it)) {
        command.arg("--python-path").arg(path);
    }
    command.arg("verdict_first").arg("--output").arg(&out);
    // It adds the packages of this environment, or else all that are installed on this machine, and its own frames to what
    // Python says.
    command.env("VIRTUAL_ENV", stage.path("environment")).env("RUST_BACKTRACE", "0");
    said("componentize-py", &mut command)?;
    read(&out)
}

/// Runs it, and gives what it printed. Where it fails, what it said is the error; else that goes on to standard error.
fn said(tool: &'static str, command: &mut Command) -> Result<String, BuildError> {
    let output = started(tool, tool::ADVICE, command.stdin(Stdio::null()).output())?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(if words.is_empty() {
            BuildError::ToolFailed { tool, status: output.status }
        } else {
            BuildError::NotAPolicy(words)
        });
    }
    if !words.is_empty() {
        crate::author::tell(&words);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a policy defines to answer it.
fn function(interface: Interface) -> &'static str {
    match interface {
        Interface::Authentication => "authenticate",
        Interface::Authorization => "authorize",
        Interface::Validating => "validate",
        Interface::Mutating => "mutate",
        Interface::Provider => "handle_event",
        Interface::Changes => "handle_change",
    }
}

/// What CPython starts with as a zip, first.py in it: made by the tool itself once, since only it has Python's own modules.
fn packed(tool: &tool::Tool, cache: &Path) -> Result<Vec<u8>, BuildError> {
    let kept = cache.join("python-start").join(format!("{}-{}.zip", tool.name, tool::short(&[FIRST.as_bytes()])));
    if let Ok(bytes) = fs::read(&kept) {
        return Ok(bytes);
    }
    let stage = Stage::new(beside(&cache.join("python-start"), "unfinished"));
    stage.write("wit/pack.wit", b"package verdict:pack;\n\nworld pack {\n    export run: func();\n}\n")?;
    stage.write("glue/verdict_first.py", FIRST.as_bytes())?;
    stage.write("glue/verdict_pack.py", include_bytes!("pack.py"))?;
    stage.create("environment/lib/site-packages")?;
    let mut command = Command::new(&tool.python);
    command.args(["-I", "-c", include_str!("componentize.py"), "", "--quiet", "--wit-path"]).arg(stage.path("wit"));
    command.args(["--world", "pack", "componentize", "--python-path"]).arg(stage.path("glue"));
    command.arg("verdict_pack").arg("--output").arg(stage.path("out.wasm"));
    command.env("VIRTUAL_ENV", stage.path("environment")).env("RUST_BACKTRACE", "0");
    // It ends with an error, since nothing is defined: what counts is what it leaves.
    let ended = said("componentize-py", &mut command);
    let Ok(bytes) = fs::read(stage.path("glue/start.zip")) else {
        return Err(ended.err().unwrap_or_else(|| BuildError::NotAPolicy("componentize-py packed nothing".to_owned())));
    };
    tool::keep(&kept, &bytes)?;
    Ok(bytes)
}

const FIRST: &str = include_str!("first.py");

/// The module that first.py goes on with. It imports the bindings, which are there only for what the world has.
fn glue(interfaces: &[Interface], imports: &[Import], left_out: &[String], listing: &str) -> String {
    let has = |some: &[Interface]| interfaces.iter().any(|it| some.contains(it));
    let mut imports: String = imports.iter().map(|it| format!("{}, ", it.name().replace('-', "_"))).collect();
    imports += "guest_runtime";
    if has(&[Interface::Validating, Interface::Mutating]) {
        imports += ", admission";
    }
    if has(&[Interface::Authentication]) {
        imports += ", types";
    }
    let exports: String = interfaces
        .iter()
        .filter(|it| **it != Interface::Provider)
        .map(|it| format!("import wit_world.exports.{}\n", it.name()))
        .collect();
    format!(
        "import verdict_first\n\nverdict_first.listed({listing})\nfrom verdict_policy import guest\n\n\
         guest.keep_files({left_out:?})\nwith guest.importing():\n    import policy\nfrom componentize_py_types \
         import Err\nimport wit_world.exports.lifecycle\n{exports}from wit_world import exports, imports\nfrom \
         wit_world.imports import {imports}\n\nexported = guest.exports(policy, Err, imports, exports)\n"
    )
}
