//! `verdict inspect`: what a component shows of itself.

use serde::Serialize;

use super::{Failed, Outcome, specs};
use crate::{
    engine::{Capacity, Engine, Program},
    loader::{self, builtin},
};

/// Nothing of the component is run.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A component's file, or builtin:NAME.
    component: std::path::PathBuf,
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
    exports: &'a [String],
    imports: &'a [String],
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failed> {
    let spec = specs(&args.component)?.remove(0);
    let component = loader::load(&spec.component).map_err(|error| Failed::configuration(error.to_string()))?;
    let engine = Engine::new(Capacity::default())?;
    let program = Program::compile(&engine, &component.bytes)
        .map_err(|error| Failed::configuration(format!("{}: {error}", args.component.display())))?;
    let description = program.description();
    let shown = Shown {
        component: spec.component.location.to_string(),
        description: builtin::find(&spec.name).filter(|_| spec.source.starts_with("builtin:")).map(|it| it.description),
        size: component.bytes.len(),
        digest: format!("sha256:{}", loader::hex(&component.digest)),
        kinds: description.interfaces.iter().map(|it| it.name()).collect(),
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
    for (name, items) in [("exports", shown.exports), ("imports", shown.imports)] {
        for (index, item) in items.iter().enumerate() {
            println!("{:<11} {item}", if index == 0 { name } else { "" });
        }
    }
    Ok(Outcome::Done)
}
