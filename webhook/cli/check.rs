//! `verdict check`: the loading of `serve`, without serving.

use std::path::PathBuf;

use super::{CacheArgs, Ended, Failed, load, runtime, specs, terminal};
use crate::{engine::run::Capacity, observe::Metrics};

/// Every error is printed, with its file, policy and field; the exit code is then 3.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Files and folders of policies; a component's file (.wasm), or builtin:NAME, is loaded with every default.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
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
