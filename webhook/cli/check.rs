//! `verdict check`: the loading of `serve`, without serving.

use std::path::PathBuf;

use super::{
    CacheArgs, Ended, Failed, load, runtime,
    sources::{self, K8sWasm},
    specs, terminal,
};
use crate::{engine::run::Capacity, observe::Metrics};

/// Every error is printed, with its file, policy and field; the exit code is then 3.
#[derive(clap::Args)]
#[command(group = sources::any("paths"))]
pub(super) struct Args {
    /// Files and folders of policies; a component's file (.wasm), or builtin:NAME, is loaded with every default.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    k8s_wasm: K8sWasm,
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let mut all = Vec::new();
    let mut wrong = Vec::new();
    for path in &args.paths {
        match specs(path) {
            Ok(specs) => all.extend(specs),
            Err(Failed::Configuration(errors)) => wrong.extend(errors),
            Err(other) => return Err(other),
        }
    }
    match args.k8s_wasm.beside(&all) {
        Ok(specs) => all.extend(specs),
        Err(errors) => wrong.extend(errors.iter().map(ToString::to_string)),
    }
    let loaded = runtime()?.block_on(load(all, Capacity::default(), &args.cache, &Metrics::new()));
    match loaded {
        Ok(set) if wrong.is_empty() => {
            for policy in set.policies() {
                terminal::print(&format!("ok {} {}", policy.kind(), policy.spec().name));
            }
            Ok(Ended::Done)
        }
        Ok(_) => Err(Failed::Configuration(wrong)),
        Err(Failed::Configuration(errors)) => {
            wrong.extend(errors);
            Err(Failed::Configuration(wrong))
        }
        Err(other) => Err(other),
    }
}
