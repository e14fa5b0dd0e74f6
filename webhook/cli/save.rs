//! `verdict save` and `verdict load`: components in a folder, to where there is no registry.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{CacheArgs, Ended, Failed, registry::RegistryArgs, runtime, terminal};
use crate::{
    loader::{Components, layout::Layout},
    spec::{ComponentRef, Image, Location},
};

/// The folder is an image layout of OCI's, which skopeo and crane read as well: `skopeo copy oci:FOLDER:IMAGE docker://...`.
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
    runtime()?.block_on(async {
        for image in &args.images {
            let reference = ComponentRef { location: Location::Image(image.clone()), digest: None };
            components.fetch(&reference).await.with_context(|| image.to_string())?;
            let loaded = components.load(&reference)?;
            let pinned = loaded.manifest.map_or_else(|| image.clone(), |it| image.pinned(it));
            terminal::print(&pinned.to_string());
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
