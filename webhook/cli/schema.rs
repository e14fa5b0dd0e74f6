//! `verdict schema`: what editors need to check documents while they are written.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::{
    Ended, Failed,
    explain::{document, documents},
    terminal,
};
use crate::spec::schema::editor;

/// JSON Schema (draft-07) of the documents that this program reads. With `# yaml-language-server: $schema=verdict.schema.json` as the
/// first line of a file, editors check it, complete fields and show what each is for.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A kind, such as Validator or PolicyManifest. Default: all of them in one schema, each known by its `kind`.
    kind: Option<String>,
    /// Write it into this file instead of to standard output.
    #[arg(long, short)]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let schema = match &args.kind {
        Some(kind) => editor::one(document(kind)?),
        None => editor::any_of(&documents().map(|(_, it)| it).collect::<Vec<_>>()),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    match &args.out {
        Some(path) => fs::write(path, format!("{text}\n")).with_context(|| path.display().to_string())?,
        None => terminal::print(&text),
    }
    Ok(Ended::Done)
}
