//! `verdict compile`: fills the cache of compiled policies ahead of time, and what compiles each of them.

use std::{io, path::PathBuf};

use super::{
    CacheArgs, Ended, Failed, compiler, runtime,
    sources::{self, K8sWasm},
    specs, terminal,
};
use crate::{
    engine::{
        prepare::{Cache, Priority, answer_parent, limit_memory},
        run::{Capacity, Engine},
    },
    observe::Metrics,
    policy::{Makers, Set},
};

/// Policies are initialised with their settings and grants, as `serve` would do, so that it finds all of them. The
/// folder must be the --cache-dir of `serve`, written by root or by the user that serves, on the same kind of processor.
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
    for path in &args.paths {
        all.extend(specs(path)?);
    }
    let modules = args.k8s_wasm.beside(&all).map_err(|errors| Failed::configurations(&errors))?;
    all.extend(modules);
    let dir = args.cache.dir().ok_or_else(|| Failed::Usage("--cache-dir is needed".to_owned()))?.join("code");
    if args.cache.cache_size == 0 {
        return Err(Failed::Usage("--cache-size: expected at least 1".to_owned()));
    }
    // Here the cache is the purpose, so a folder that cannot be used is an error.
    let cache = Cache::open(&dir, args.cache.cache_size.saturating_mul(1 << 20))?;
    // Ahead of time, maybe beside a server.
    let compiler = compiler(Some(cache), Priority::Idle)?;
    let engine = Engine::new(Capacity::default())?;
    let makers = Makers { engine: &engine, compiler: &compiler, components: &args.cache.components()? };
    let set = runtime()?.block_on(Set::load(makers, &Metrics::new(), all));
    let set = set.map_err(|errors| Failed::configurations(&errors))?;
    for (spec, component) in set.policies().iter().flat_map(|it| it.components()) {
        terminal::print(&format!("ok {} (starts from {})", spec.name, component.about().start.name()));
    }
    terminal::print(&format!("{} policies, compiled code in {}", set.policies().len(), dir.display()));
    Ok(Ended::Done)
}

/// What `serve` starts for each policy that it compiles: a component on standard input, code on standard output.
#[derive(clap::Args)]
pub(super) struct PrepareArgs {
    /// Bytes of memory that this process may take.
    #[arg(long, value_name = "BYTES")]
    max_memory: u64,
}

/// One component from standard input to standard output.
pub(super) fn prepare(args: &PrepareArgs) -> Result<Ended, Failed> {
    limit_memory(args.max_memory)?;
    let answered = runtime()?.block_on(answer_parent(io::stdin().lock(), io::stdout().lock()));
    answered.map_err(|error| Failed::Error(anyhow::anyhow!("{error}")))?;
    Ok(Ended::Done)
}
