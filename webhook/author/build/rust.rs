//! Rust: cargo makes a component by itself; this finds it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::{BuildError, read, run};

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, BuildError> {
    has_target(folder)?;
    let printed = run(
        "cargo",
        INSTALL,
        Command::new("cargo").current_dir(folder).args([
            "build",
            "--release",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ]),
    )?;
    let built = components(&String::from_utf8_lossy(&printed));
    match &*built {
        [one] => read(one),
        [] => Err(BuildError::NotAPolicy(
            "cargo built no component: Cargo.toml needs [lib] with crate-type = [\"cdylib\"]".to_owned(),
        )),
        _ => {
            let all: Vec<String> = built.iter().map(|it| it.display().to_string()).collect();
            Err(BuildError::NotAPolicy(format!(
                "cargo built several components, name the folder of one policy: {}",
                all.join(", ")
            )))
        }
    }
}

/// Before cargo begins: its own words for this are many.
fn has_target(folder: &Path) -> Result<(), BuildError> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(folder).args(["--print", "target-libdir", "--target", TARGET]);
    let printed = run("rustc", INSTALL, &mut rustc)?;
    if Path::new(String::from_utf8_lossy(&printed).trim()).is_dir() {
        return Ok(());
    }
    Err(BuildError::ToolMissing {
        tool: "Rust's target wasm32-wasip2",
        advice: "run `rustup target add wasm32-wasip2`",
    })
}

const TARGET: &str = "wasm32-wasip2";
const INSTALL: &str = "install Rust from https://rustup.rs";

/// What matters of cargo's messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

fn components(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|it| it.reason == "compiler-artifact")
        .filter(|it| it.target.as_ref().is_some_and(|target| target.kind.iter().any(|kind| kind == "cdylib")))
        .flat_map(|it| it.filenames)
        .filter(|it| it.extension().is_some_and(|extension| extension == "wasm"))
        .collect()
}
