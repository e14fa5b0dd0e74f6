//! `verdict manifests`: what registers the server with a cluster, from the policies that it would load.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    CacheArgs, Ended, Failed, load, runtime,
    sources::{self, Sources},
    terminal,
};
use crate::{
    controller::crds,
    engine::run::Capacity,
    observe::Metrics,
    registration::{self, Manifest, Options, Place, Registered},
};

/// Webhook configurations to apply, and files for kube-apiserver's machine. Nothing is applied.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = clap::ArgGroup::new("place").args(["url", "service"]).required(true), group = sources::any("policies"))]
pub(super) struct Args {
    #[command(subcommand)]
    of: Option<Of>,
    #[command(flatten)]
    sources: Sources,
    /// Where kube-apiserver reaches the server, as https://HOST:PORT.
    #[arg(long)]
    url: Option<String>,
    /// The Service through which kube-apiserver reaches the server, as NAMESPACE/NAME or NAMESPACE/NAME:PORT.
    #[arg(long)]
    service: Option<String>,
    /// The CA that signed the server's certificate, PEM; it becomes the caBundle.
    #[arg(long, required = true)]
    ca_file: Option<PathBuf>,
    /// On kube-apiserver's machine: the client certificate that it shows (with --client-key).
    #[arg(long, requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// On kube-apiserver's machine: the key of the client certificate.
    #[arg(long, requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// On kube-apiserver's machine: the file with the bearer token that it shows, one line.
    #[arg(long)]
    client_token_file: Option<PathBuf>,
    /// Write one file each into this folder, instead of everything to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The folder on kube-apiserver's machine where the files will be; some name others by their path.
    #[arg(long, default_value = "/etc/kubernetes/verdict")]
    config_dir: PathBuf,
    /// The server's own namespace, of which nothing is asked: else it could keep itself from starting. Default: that of
    /// --service; none with --url, since whoever creates a namespace of that name would be free of all policies.
    #[arg(long)]
    namespace: Option<String>,
    /// A namespace that is asked about although it is left out by default: kube-system or kube-node-lease. Repeatable.
    #[arg(long, value_name = "NAME")]
    include_namespace: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Manifests that need no policies.
#[derive(clap::Subcommand)]
enum Of {
    /// The CustomResourceDefinitions of the declared kinds.
    Crds {
        /// Write one file each into this folder, instead of everything to standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Apply them to the cluster of KUBECONFIG, or the one in which this is a Pod, and wait until it serves them. Helm does that before an upgrade.
        #[arg(long, conflicts_with = "out")]
        apply: bool,
    },
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    if let Some(Of::Crds { out, apply }) = &args.of {
        if *apply {
            for name in runtime()?.block_on(crds::apply())? {
                terminal::print(&format!("applied {name}"));
            }
            return Ok(Ended::Done);
        }
        let printed = registration::crds().map_err(|error| Failed::configuration(error.to_string()))?;
        show(printed, out.as_deref())?;
        return Ok(Ended::Done);
    }
    let place = place(args)?;
    let ca_file = args.ca_file.clone().unwrap_or_default();
    let ca = fs::read_to_string(&ca_file)
        .map_err(|error| Failed::configuration(format!("{}: {error}", ca_file.display())))?;
    if !ca.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Failed::configuration(format!("{} has no CERTIFICATE in PEM", ca_file.display())));
    }
    let own = match (&args.namespace, &place) {
        (Some(namespace), _) | (None, Place::Service { namespace, .. }) => Some(namespace.clone()),
        (None, Place::Url(_)) => None,
    };
    // These two are kube-apiserver's own: it makes them when it starts, and again when they are gone.
    let excluded = ["kube-system".to_owned(), "kube-node-lease".to_owned()].into_iter().chain(own);
    let excluded = excluded.filter(|it| !args.include_namespace.contains(it)).collect();
    let specs = args.sources.read()?;
    // Loaded as the server would, since what a component exports is what it is registered for.
    let set = runtime()?.block_on(load(specs, Capacity::default(), &args.cache, &Metrics::new()))?;
    let policies: Vec<Registered> = set
        .policies()
        .iter()
        .filter(|it| it.spec().kubewarden.is_none())
        .map(|it| Registered { spec: it.spec().clone(), kind: it.kind() })
        .collect();
    let client = args.client_cert.clone().zip(args.client_key.clone());
    let token_file = args.client_token_file.clone();
    let options = Options {
        name: "verdict".to_owned(),
        labels: BTreeMap::new(),
        place,
        ca: Some(ca),
        excluded,
        exempt_label: None,
        push_conditions: false,
        not_pushed: BTreeSet::new(),
        client,
        token_file,
        folder: args.config_dir.clone(),
    };
    let manifests =
        registration::generate(&policies, &options).map_err(|error| Failed::configuration(error.to_string()))?;
    if manifests.is_empty() {
        return Err(Failed::configuration(
            "none of these policies is asked by kube-apiserver: there is nothing to register",
        ));
    }
    show(manifests, args.out.as_deref())?;
    Ok(Ended::Done)
}

fn show(manifests: Vec<Manifest>, folder: Option<&Path>) -> anyhow::Result<()> {
    for manifest in manifests {
        match folder {
            None => terminal::print(&format!("---\n# {}\n{}", manifest.file, manifest.yaml.trim_end())),
            Some(folder) => write(folder, manifest.file, &manifest.yaml)?,
        }
    }
    Ok(())
}

fn place(args: &Args) -> Result<Place, Failed> {
    if let Some(text) = &args.service {
        let wrong = || Failed::Usage(format!("--service: expected NAMESPACE/NAME or NAMESPACE/NAME:PORT, got {text}"));
        return service(text).ok_or_else(wrong);
    }
    let text = args.url.clone().unwrap_or_default();
    url(&text).ok_or_else(|| Failed::Usage(format!("--url: expected https://HOST:PORT, got {text}")))
}

/// `NAMESPACE/NAME` or `NAMESPACE/NAME:PORT`.
pub(super) fn service(text: &str) -> Option<Place> {
    let (namespace, rest) = text.split_once('/')?;
    let (name, port) = match rest.split_once(':') {
        None => (rest, 443),
        Some((name, port)) => (name, port.parse().ok()?),
    };
    Some(Place::Service { namespace: namespace.to_owned(), name: name.to_owned(), port })
}

/// `https://HOST:PORT`.
pub(super) fn url(text: &str) -> Option<Place> {
    let url = text.trim_end_matches('/');
    let is_place = |it: &url::Url| {
        it.scheme() == "https" && it.path() == "/" && it.query().is_none() && it.username().is_empty() && it.has_host()
    };
    url::Url::parse(url).ok().filter(is_place).map(|_| Place::Url(url.to_owned()))
}

fn write(folder: &Path, file: &str, yaml: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(file);
    fs::write(&path, yaml).with_context(|| path.display().to_string())?;
    terminal::print(&format!("wrote {}", path.display()));
    Ok(())
}
