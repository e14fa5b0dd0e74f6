//! `verdict save` and `verdict load`: components in a folder, to where there is no registry.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{
    CacheArgs, Ended, Failed,
    registry::{RegistryArgs, VerificationArgs},
    runtime, terminal,
};
use crate::{
    loader::{Components, layout::Layout},
    spec::{ComponentRef, Image, Location},
};

/// With their signatures. The folder is an image layout of OCI's, which skopeo and crane read as well: `skopeo copy oci:FOLDER:IMAGE docker://...`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// REGISTRY/REPOSITORY:TAG, or REGISTRY/REPOSITORY@sha256:DIGEST.
    #[arg(required = true)]
    images: Vec<Image>,
    /// The folder that they are added to, made if it is missing.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    verification: VerificationArgs,
}

/// From then on they are what a server with this --cache-dir has fetched already.
#[derive(clap::Args)]
pub(super) struct LoadArgs {
    /// A folder that `verdict save` wrote.
    folder: PathBuf,
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let components = Components::new(args.registry.registry()?, args.output.clone());
    let components = components.requiring(args.verification.requirement()?);
    runtime()?.block_on(async {
        for image in &args.images {
            let reference = ComponentRef::new(Location::Image(image.clone()));
            components.fetch(&reference).await.with_context(|| image.to_string())?;
            let loaded = components.load(&reference)?;
            let signatures =
                components.keep_signatures(image).await.with_context(|| format!("signatures of {image}"))?;
            let pinned = loaded.manifest.map_or_else(|| image.clone(), |it| image.pinned(it));
            terminal::print(&pinned.to_string());
            if signatures > 0 {
                terminal::print(&format!("with {signatures} of its signatures"));
            }
        }
        Ok(Ended::Done)
    })
}

pub(super) fn load(args: &LoadArgs) -> Result<Ended, Failed> {
    let named = || args.folder.display().to_string();
    if !args.folder.is_dir() {
        return Err(Failed::configuration(format!("{}: expected a folder that `verdict save` wrote", named())));
    }
    let saved = Layout::open(&args.folder)?;
    let dir = args.cache.dir().ok_or_else(|| Failed::Usage("--cache-dir is needed".to_owned()))?;
    let kept = Layout::open(&dir.join("components"))?;
    let entries = saved.entries()?;
    if entries.is_empty() {
        return Err(Failed::configuration(format!("{}: it holds nothing", named())));
    }
    for entry in entries {
        let blobs = saved.blobs_of(&entry).map_err(|error| Failed::configuration(format!("{}: {error}", named())))?;
        kept.keep(&blobs, [entry.clone()])?;
        terminal::print(&format!("loaded {} sha256:{}", entry.name().unwrap_or("without a name"), entry.digest));
    }
    Ok(Ended::Done)
}
