//! `verdict build`: the component of a policy, from its folder.

use std::path::PathBuf;

use super::{Ended, Failed, terminal};
use crate::author::build::{self, BuildError};

/// A folder with a Cargo.toml needs cargo with the target wasm32-wasip2, one with a go.mod needs go 1.26 or later, one with
/// a package.json Node.js 20 or later, one with a policy.py Python 3.10 or later. What verdict.yaml says goes into the
/// component. Its path goes to standard output, what the tools say to standard error. The same sources and tools give the
/// same bytes; in Python only on one machine, since CPython draws a seed when the component is made.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The policy's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the component goes. Default: DIR/NAME.wasm, with the name from verdict.yaml; without one after the Go module,
    /// the npm package or the folder.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    match build::build(&args.dir, args.out.as_deref()) {
        Ok(built) => terminal::print(&built.path.display().to_string()),
        Err(BuildError::Manifest(errors)) => return Err(Failed::configurations(&errors)),
        Err(error) => return Err(error.into()),
    }
    Ok(Ended::Done)
}
