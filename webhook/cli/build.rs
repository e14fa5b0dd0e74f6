//! `verdict build`: the component of a policy, from its folder.

use std::path::PathBuf;

use super::{Failed, Outcome};
use crate::build;

/// A folder with a Cargo.toml needs cargo with the target wasm32-wasip2, one with a go.mod needs go 1.26 or later and
/// nothing else. The component's path goes to standard output, what the tools say to standard error. The same sources
/// and tools give the same bytes.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The policy's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the component goes. In Rust without this it stays where cargo puts it; in Go it is DIR/NAME.wasm, after
    /// the last element of the module's path.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failed> {
    println!("{}", build::build(&args.dir, args.out.as_deref())?.display());
    Ok(Outcome::Done)
}
