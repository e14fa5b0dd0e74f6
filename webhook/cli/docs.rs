//! `verdict docs`: a policy's manifest as a page of Markdown.

use std::path::PathBuf;

use super::{CacheArgs, Ended, Failed, component, specs, terminal};
use crate::{author::docs, component::of_author, config, engine::prepare::describe, spec::Kind};

/// What the policy does, its settings with an example of each kind, what it is asked about and what it wants to be granted.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A policy's folder with verdict.yaml, its component (.wasm), builtin:NAME, or an image in a registry.
    #[arg(default_value = ".")]
    policy: PathBuf,
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    if args.policy.is_dir() {
        let manifest = config::manifest::manifest(&args.policy).map_err(|errors| Failed::configurations(&errors))?;
        let manifest = manifest.ok_or_else(|| {
            Failed::configuration(format!("{}: expected a file verdict.yaml in it", args.policy.display()))
        })?;
        terminal::print(docs::markdown(&manifest, &[]).trim_end());
        return Ok(Ended::Done);
    }
    let spec = specs(&args.policy)?.remove(0);
    let component = component(&spec, &args.cache)?;
    let named = args.policy.display();
    let manifest = of_author(&component.bytes).map_err(|error| Failed::configuration(format!("{named}: {error}")))?;
    let manifest = manifest.ok_or_else(|| {
        Failed::configuration(format!("{named}: it has no manifest: `verdict build` puts one into it"))
    })?;
    let description = describe(&component.bytes).map_err(|error| Failed::configuration(format!("{named}: {error}")))?;
    let kinds: Vec<&str> = Kind::all_of(&description.interfaces).into_iter().map(Kind::name).collect();
    terminal::print(docs::markdown(&manifest, &kinds).trim_end());
    Ok(Ended::Done)
}
