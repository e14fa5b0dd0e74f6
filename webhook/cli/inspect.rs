//! `verdict inspect`: what a component shows of itself.

use serde::Serialize;

use super::{CacheArgs, Ended, Failed, compiler, component, json_argument, runtime, specs, terminal};
use crate::{
    component::{manifest::Manifest, of_author, protocol::recognise},
    engine::{
        prepare::{PrepareError, Priority, Source, describe},
        run::{Capacity, Engine, Rego, Start},
    },
    loader::signatures_of,
    policy::dotted,
    signature::Made,
    spec::{Grants, Image, Kind, Location},
    text,
};

/// Of the component only `init` is run, once, to see whether reviews can start from its snapshot.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A component's file, builtin:NAME, or an image in a registry.
    component: std::path::PathBuf,
    /// Settings for init: JSON, or @FILE.
    #[arg(long)]
    settings: Option<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// What its author says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
    /// What it speaks.
    protocol: &'static str,
    size: usize,
    digest: String,
    /// Of an image: of its manifest, which signatures are about.
    #[serde(rename = "imageDigest", skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    /// Of an image, what says that it is signed; whether it is, `verify` and --verification-config tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<Vec<String>>,
    kinds: Vec<&'static str>,
    /// What a review begins with.
    start: &'static str,
    #[serde(rename = "noSnapshot", skip_serializing_if = "Option::is_none")]
    no_snapshot: Option<&'a str>,
    exports: &'a [String],
    imports: &'a [String],
    /// What a module of Kubewarden asks the host for.
    #[serde(rename = "hostCapabilities", skip_serializing_if = "<[String]>::is_empty")]
    host_capabilities: &'a [String],
    /// What a module in Rego can be asked, that first which is.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entrypoints: &'a [String],
    /// The builtin functions of Rego that it calls of the host.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    builtins: &'a [String],
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let spec = specs(&args.component)?.remove(0);
    let component = component(&spec, &args.cache)?;
    let location = spec.component().map(|it| it.location.to_string()).unwrap_or_default();
    let mut settings = args.settings.as_deref().map(json_argument).transpose()?;
    let wrong = |words: &dyn std::fmt::Display| Failed::configuration(format!("{}: {words}", args.component.display()));
    let mut description = describe(&component.bytes).map_err(|error| wrong(&error))?;
    let manifest = of_author(&component.bytes).map_err(|error| wrong(&error))?;
    let metadata = recognise(&component.bytes).ok().and_then(|it| it.metadata);
    let wants = metadata.map(|it| it.host_capabilities).unwrap_or_default();
    // Settings that it takes, to see how it starts: those given, else the author's example.
    if let Some(example) = manifest.as_ref().and_then(|it| it.examples().first()).filter(|_| args.settings.is_none()) {
        settings = Some(example.to_string());
    }
    let image = match spec.component().map(|it| &it.location) {
        Some(Location::Image(image)) => component.manifest.map(|digest| image.pinned(digest)),
        _ => None,
    };
    let image_digest = component.manifest.map(|it| format!("sha256:{it}"));
    let signatures = image.map(|it| signatures(&it, &args.cache)).transpose()?;
    let (size, digest) = (component.bytes.len(), format!("sha256:{}", component.digest));
    let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() })?;
    let compiler = compiler(args.cache.open(), Priority::Normal)?;
    let source = Source::new(&engine, component, settings.as_deref(), &Grants::default(), &spec.limits)?;
    let mut rego = None;
    let start = match runtime()?.block_on(compiler.load(&engine, &source)) {
        Ok(program) => {
            // Some protocols are told apart only by asking.
            description.clone_from(program.description());
            rego.clone_from(&program.about().rego);
            program.about().start.clone()
        }
        Err(PrepareError::Settings(errors)) => {
            let errors: Vec<String> =
                errors.iter().map(|it| format!("settings{}: {}", dotted(&it.path), it.message)).collect();
            Start::Init(format!(
                "not known, since init refuses these settings; give --settings ({})",
                errors.join("; ")
            ))
        }
        Err(PrepareError::Init(failure)) => Start::Init(format!("not known, since init fails: {failure}")),
        Err(PrepareError::Program(error)) => Start::Init(format!("not known: {error}")),
    };
    let Rego { builtins, entrypoints } = rego.unwrap_or_default();
    let shown = Shown {
        component: location,
        description: manifest.as_ref().and_then(|it| it.description.as_deref()),
        manifest: manifest.as_ref(),
        protocol: description.protocol.name(),
        size,
        digest,
        image_digest,
        signatures,
        kinds: Kind::all_of(&description.interfaces).into_iter().map(Kind::name).collect(),
        start: start.name(),
        no_snapshot: start.refusal(),
        exports: &description.exports,
        imports: &description.imports,
        host_capabilities: &wants,
        entrypoints: &entrypoints,
        builtins: &builtins.into_keys().collect::<Vec<_>>(),
    };
    if args.json {
        terminal::print(&text::json(&serde_json::to_string_pretty(&shown)?));
        return Ok(Ended::Done);
    }
    row("component", &shown.component);
    if let Some(description) = shown.description {
        row("description", description);
    }
    if let Some(manifest) = shown.manifest {
        print_manifest(manifest);
    }
    row("size", &format!("{} bytes", shown.size));
    row("digest", &shown.digest);
    if let Some(digest) = &shown.image_digest {
        row("image", digest);
    }
    list("signatures", shown.signatures.as_deref().unwrap_or_default());
    row("protocol", shown.protocol);
    row("kinds", &shown.kinds.join(", "));
    match shown.no_snapshot {
        None => row("start", shown.start),
        Some(why) => row("start", &format!("{}; no snapshot: {why}", shown.start)),
    }
    list("exports", shown.exports);
    list("imports", shown.imports);
    list("wants", shown.host_capabilities);
    list("entrypoints", shown.entrypoints);
    list("builtins", shown.builtins);
    Ok(Ended::Done)
}

/// In words, one for each, or one that says that there are none.
fn signatures(image: &Image, cache: &CacheArgs) -> Result<Vec<String>, Failed> {
    let registry = cache.registry.registry()?;
    let found = match runtime()?.block_on(signatures_of(&registry, image)) {
        Ok((_, found)) => found,
        Err(error) => return Ok(vec![format!("not known: {error}")]),
    };
    let all = found.signatures().iter().map(|it| match it.made() {
        Made::Key(id) => format!("{}, says that it is by the key {}", it.format().name(), id.short()),
        Made::Certificate => format!("{}, keyless", it.format().name()),
        Made::Unknown => it.format().name().to_owned(),
    });
    let all: Vec<String> = all.collect();
    Ok(if all.is_empty() { vec!["none".to_owned()] } else { all })
}

fn print_manifest(manifest: &Manifest) {
    let Manifest {
        name,
        version,
        authors,
        license,
        source,
        settings,
        match_constraints,
        match_conditions,
        imports,
        reads,
        grants,
        ..
    } = manifest;
    row("name", name);
    for (field, value) in [("version", version), ("license", license), ("source", source)] {
        if let Some(value) = value {
            row(field, value);
        }
    }
    list("authors", authors);
    // On one line each: `verdict docs` shows them to be read.
    let json = [("settings", settings), ("matchConstraints", match_constraints), ("matchConditions", match_conditions)];
    for (field, value) in json {
        if let Some(value) = value {
            row(field, &text::json(&value.to_string()));
        }
    }
    list("calls", &imports.iter().flatten().map(|it| it.name().to_owned()).collect::<Vec<_>>());
    list("reads", reads);
    let env = grants.env.iter().map(|(name, what)| format!("env {name}: {what}"));
    let wanted: Vec<String> = env.chain(grants.log.then(|| "log".to_owned())).collect();
    list("wants", &wanted);
}

fn list(name: &str, items: &[String]) {
    for (index, item) in items.iter().enumerate() {
        row(if index == 0 { name } else { "" }, item);
    }
}

fn row(name: &str, value: &str) {
    terminal::print(&format!("{name:<11} {}", text::line(value)));
}
