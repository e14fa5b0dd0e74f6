//! `verdict inspect`: what a component shows of itself.

use std::sync::Arc;

use serde::Serialize;

use super::{CacheArgs, Failed, Outcome, engine, json_argument, runtime, specs};
use crate::{
    engine::{Capacity, PrepareError, Program, Source, Start},
    loader::{self, builtin},
};

/// Of the component only `init` is run, once, to see whether reviews can start from its snapshot.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A component's file, or builtin:NAME.
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
    description: Option<&'static str>,
    size: usize,
    digest: String,
    kinds: Vec<&'static str>,
    /// What a review begins with.
    start: &'static str,
    #[serde(rename = "noSnapshot", skip_serializing_if = "Option::is_none")]
    no_snapshot: Option<&'a str>,
    exports: &'a [String],
    imports: &'a [String],
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failed> {
    let spec = specs(&args.component)?.remove(0);
    let component = loader::load(&spec.component).map_err(|error| Failed::configuration(error.to_string()))?;
    let settings = args.settings.as_deref().map_or(Ok(spec.settings.clone()), json_argument)?;
    let source = Source {
        bytes: component.bytes,
        digest: component.digest,
        settings: settings.into(),
        grants: Arc::default(),
        memory: spec.limits.memory,
        fuelled: false,
    };
    let engine = engine(Capacity { instances: 1, ..Capacity::default() }, args.cache.open())?;
    let description = Program::describe(&engine, &source.bytes)
        .map_err(|error| Failed::configuration(format!("{}: {error}", args.component.display())))?;
    let start = match runtime()?.block_on(Program::load(&engine, &source)) {
        Ok(program) => program.about().start.clone(),
        Err(PrepareError::Settings(errors)) => {
            let errors: Vec<String> = errors.iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
            Start::Init(format!(
                "not known, since init refuses these settings; give --settings ({})",
                errors.join("; ")
            ))
        }
        Err(PrepareError::Init(failure)) => Start::Init(format!("not known, since init fails: {failure}")),
        Err(PrepareError::Program(error)) => Start::Init(format!("not known: {error}")),
    };
    let shown = Shown {
        component: spec.component.location.to_string(),
        description: builtin::find(&spec.name).filter(|_| spec.source.starts_with("builtin:")).map(|it| it.description),
        size: source.bytes.len(),
        digest: format!("sha256:{}", loader::hex(&source.digest)),
        kinds: description.interfaces.iter().map(|it| it.name()).collect(),
        start: start.name(),
        no_snapshot: start.refusal(),
        exports: &description.exports,
        imports: &description.imports,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(Outcome::Done);
    }
    println!("component   {}", shown.component);
    if let Some(description) = shown.description {
        println!("description {description}");
    }
    println!("size        {} bytes", shown.size);
    println!("digest      {}", shown.digest);
    println!("kinds       {}", shown.kinds.join(", "));
    match shown.no_snapshot {
        None => println!("start       {}", shown.start),
        Some(why) => println!("start       {}; no snapshot: {why}", shown.start),
    }
    for (name, items) in [("exports", shown.exports), ("imports", shown.imports)] {
        for (index, item) in items.iter().enumerate() {
            println!("{:<11} {item}", if index == 0 { name } else { "" });
        }
    }
    Ok(Outcome::Done)
}
