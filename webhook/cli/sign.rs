//! `verdict sign` and `verdict verify`: signatures of images in a registry, by key, in both formats of cosign.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Ended, Failed,
    registry::{RegistryArgs, VerificationArgs},
    runtime, terminal,
};
use crate::{
    loader::{
        file,
        registry::{Content, Manifest, Registry},
        signatures_of,
    },
    signature::{
        Claim, Format,
        artifact::{self, Wrapped},
        bundle,
        key::PublicKey,
        private::PrivateKey,
        requirement::Requirement,
        simple::Simple,
    },
    spec::{Digest, Image},
};

/// What is signed is the digest that the image has now, and everything that it names. `cosign verify --key` takes it, too.
#[derive(clap::Args)]
pub(super) struct Args {
    /// REGISTRY/REPOSITORY:TAG, or better REGISTRY/REPOSITORY@sha256:DIGEST: a tag may name something else by now.
    image: Image,
    /// The private key: PEM, as `verdict keygen` writes it (ECDSA P-256 or Ed25519).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// bundle, as cosign 3 has it, or simplesigning, as cosign 2 has it.
    #[arg(long, default_value = "bundle", value_parser = format)]
    format: Format,
    /// What else is signed: NAME=VALUE. Repeatable.
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Whether all of these keys signed what the image is now. The exit code is 1 if not, and what is missing is told.
#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// REGISTRY/REPOSITORY:TAG, or REGISTRY/REPOSITORY@sha256:DIGEST.
    image: Image,
    /// A public key: PEM (ECDSA P-256, RSA or Ed25519). Repeatable.
    #[arg(long, value_name = "FILE", required_unless_present = "verification_config")]
    key: Vec<PathBuf>,
    /// What else they must have signed: NAME=VALUE. Repeatable.
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = annotation, requires = "key")]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    verification: VerificationArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let wrong = |words: String| Failed::configuration(format!("{}: {words}", args.key.display()));
    let key = PrivateKey::from_pem(&text(&args.key)?).map_err(|error| wrong(error.to_string()))?;
    let annotations = distinct(&args.annotations)?;
    let registry = args.registry.registry()?;
    let digest =
        runtime()?.block_on(sign(&registry, args, &key, annotations)).with_context(|| args.image.to_string())?;
    terminal::print(&args.image.pinned(digest).to_string());
    Ok(Ended::Done)
}

pub(super) fn verify(args: &VerifyArgs) -> Result<Ended, Failed> {
    let mut required: Vec<Requirement> = args.verification.requirement()?.into_iter().collect();
    let keys = args.key.iter().map(|path| {
        let wrong = |error: &dyn std::fmt::Display| Failed::configuration(format!("{}: {error}", path.display()));
        PublicKey::from_pem(&text(path)?).map_err(|error| wrong(&error))
    });
    let keys = keys.collect::<Result<Vec<_>, Failed>>()?;
    required.extend(Requirement::by(keys, &distinct(&args.annotations)?));
    let registry = args.registry.registry()?;
    let (digest, found) =
        runtime()?.block_on(signatures_of(&registry, &args.image)).with_context(|| args.image.to_string())?;
    let pinned = args.image.pinned(digest);
    let mut all = Vec::new();
    for requirement in &required {
        match requirement.check(digest, &found) {
            Ok(counted) => all.extend(counted),
            Err(refused) => {
                terminal::tell(&format!("verdict: {pinned}: {refused}"));
                return Ok(Ended::No);
            }
        }
    }
    terminal::print(&pinned.to_string());
    for counted in all {
        let owner = counted.owner.map(|it| format!(" of {it}")).unwrap_or_default();
        terminal::print(&format!("signed by the key {}{owner} ({})", counted.key.short(), counted.format.name()));
    }
    Ok(Ended::Done)
}

/// The digest that is signed now.
async fn sign(
    registry: &Registry,
    args: &Args,
    key: &PrivateKey,
    annotations: BTreeMap<String, String>,
) -> anyhow::Result<Digest> {
    let at = args.image.repository();
    let digest = registry.resolve(&args.image, None).await?;
    // That it is there: a signature of nothing would be found by nobody.
    let manifest = registry.manifest(at, digest).await?;
    let claim = Claim { digest, annotations };
    let (wrapped, tag) = match args.format {
        Format::Bundle => {
            let subject = artifact::Descriptor {
                media_type: manifest.media_type.clone(),
                digest,
                size: manifest.bytes.len() as u64,
            };
            (artifact::referring(&subject, bundle::sign(key, &claim)?), None)
        }
        Format::SimpleSigning => {
            let simple = Simple::sign(key, &claim, &at.to_string())?;
            let tag = artifact::tag(digest);
            let before = match registry.find(&at.tagged(&tag)?).await? {
                None => None,
                Some(manifest) => match &manifest.content {
                    Content::Image { config, .. } => {
                        let config = registry.blob(at, config, crate::signature::MAX_SIZE as u64).await?;
                        Some((manifest.bytes, config))
                    }
                    Content::Index(_) => anyhow::bail!("{at}:{tag} is no image of signatures"),
                },
            };
            let before = before.as_ref().map(|(manifest, config)| (&**manifest, &**config));
            (artifact::tagged(&[simple], before)?, Some(tag))
        }
    };
    let Wrapped { blobs, manifest } = wrapped;
    for blob in blobs {
        registry.push_blob(at, blob.bytes.into()).await?;
    }
    let manifest = Manifest::read(manifest.into()).map_err(anyhow::Error::msg)?;
    registry.push_manifest(at, tag.as_deref(), &manifest).await?;
    Ok(digest)
}

fn text(path: &Path) -> Result<String, Failed> {
    let wrong = |words: String| Failed::configuration(format!("{}: {words}", path.display()));
    let bytes = file::read(path, MAX_KEY).map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| wrong("it is not text: expected PEM".to_owned()))
}

fn format(name: &str) -> Result<Format, String> {
    let all = [Format::Bundle, Format::SimpleSigning];
    all.into_iter().find(|it| it.name() == name).ok_or_else(|| "expected bundle or simplesigning".to_owned())
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn distinct(annotations: &[(String, String)]) -> Result<BTreeMap<String, String>, Failed> {
    let all: BTreeMap<String, String> = annotations.iter().cloned().collect();
    if all.len() < annotations.len() {
        return Err(Failed::Usage("--annotation: the same name is given twice".to_owned()));
    }
    Ok(all)
}

/// Bytes of a file of a key.
const MAX_KEY: u64 = 64 << 10;
