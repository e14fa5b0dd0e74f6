//! `verdict push` and `verdict pull`: a component to a registry, and back.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;

use super::{
    CacheArgs, Ended, Failed, component,
    registry::{RegistryArgs, VerificationArgs},
    runtime, specs, terminal,
};
use crate::{
    component::{manifest::Manifest, of_author, protocol::is_component},
    engine::prepare::describe,
    loader::{
        file,
        registry::{Artifact, Interfaces},
        signatures_of,
    },
    spec::Image,
};

/// In the layout of the CNCF, with what its manifest says of it as annotations. The same component has the same digest wherever it is pushed.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A component's file (.wasm), builtin:NAME, or an image in another registry.
    component: PathBuf,
    /// What it is to be called: REGISTRY/REPOSITORY:TAG.
    image: Image,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Whatever layout it has there.
#[derive(clap::Args)]
pub(super) struct PullArgs {
    /// REGISTRY/REPOSITORY:TAG, or REGISTRY/REPOSITORY@sha256:DIGEST.
    image: Image,
    /// Where it is written.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    verification: VerificationArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let to = &args.image;
    if to.digest().is_some() {
        return Err(Failed::Usage(format!("{to}: a digest cannot be chosen: write REGISTRY/REPOSITORY:TAG")));
    }
    let spec = specs(&args.component)?.remove(0);
    let component = component(&spec, &args.cache)?;
    let wrong = |words: String| Failed::configuration(format!("{}: {words}", args.component.display()));
    // What no server would load is not pushed.
    let description = describe(&component.bytes).map_err(|error| wrong(error.to_string()))?;
    let manifest = of_author(&component.bytes).map_err(wrong)?;
    let interfaces = is_component(&component.bytes).then(|| Interfaces {
        exports: description.exports.clone(),
        imports: description.imports.clone(),
        target: None,
    });
    let artifact =
        Artifact { bytes: component.bytes, interfaces, annotations: manifest.map(annotations).unwrap_or_default() };
    let registry = args.cache.registry.registry()?;
    let digest = runtime()?
        .block_on(registry.push_component(to.repository(), to.tag(), &artifact))
        .with_context(|| to.to_string())?;
    terminal::print(&to.pinned(digest).to_string());
    Ok(Ended::Done)
}

pub(super) fn pull(args: &PullArgs) -> Result<Ended, Failed> {
    let registry = args.registry.registry()?;
    let requirement = args.verification.requirement()?;
    let pull = async {
        let Some(requirement) = requirement else { return Ok(registry.component(&args.image).await?) };
        let (digest, found) = signatures_of(&registry, &args.image).await?;
        requirement.check(digest, &found)?;
        anyhow::Ok(registry.component(&args.image.pinned(digest)).await?)
    };
    let pulled = runtime()?.block_on(pull).with_context(|| args.image.to_string())?;
    let folder = args.output.parent().filter(|it| !it.as_os_str().is_empty());
    let (Some(name), folder) = (args.output.file_name().and_then(|it| it.to_str()), folder.unwrap_or(".".as_ref()))
    else {
        return Err(Failed::Usage(format!("--output {}: expected the name of a file", args.output.display())));
    };
    file::write(folder, name, &pulled.component.bytes).with_context(|| args.output.display().to_string())?;
    terminal::print(&args.image.pinned(pulled.manifest.digest).to_string());
    Ok(Ended::Done)
}

/// What tools show of an artifact.
fn annotations(manifest: Manifest) -> BTreeMap<String, String> {
    let authors = (!manifest.authors.is_empty()).then(|| manifest.authors.join(", "));
    let all = [
        ("title", Some(manifest.name)),
        ("version", manifest.version),
        ("description", manifest.description),
        ("authors", authors),
        ("licenses", manifest.license),
        ("source", manifest.source),
    ];
    all.into_iter().filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?))).collect()
}
