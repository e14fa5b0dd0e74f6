//! `verdict test`: an author's cases, asked of the policy that the folder makes.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{CacheArgs, Ended, Failed, compiler, runtime, specs};
use crate::{
    author::{
        build::{self, BuildError},
        cases::{self, Case, Example, Runner, report},
    },
    config::manifest::{self, manifest},
    engine::{
        prepare::Priority,
        run::{Capacity, Engine},
    },
    spec::PolicySpec,
};

/// Builds the policy, and asks it every case of DIR/tests/*.yaml (kind: PolicyTest) with the engine, the limits and the
/// matching of the server. A change of an object must be complete: asked about the changed object, the policy must leave it
/// alone. The exit code is 0 when all cases passed, 1 when some failed, 3 for files that are wrong or missing.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The policy's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The folder with the cases. Default: DIR/tests.
    #[arg(long, value_name = "FOLDER")]
    tests: Option<PathBuf>,
    /// Ask this component instead of building one: a file (.wasm), or builtin:NAME.
    #[arg(long, value_name = "FILE", conflicts_with = "no_build")]
    component: Option<PathBuf>,
    /// Ask the component that the last build left at DIR/NAME.wasm.
    #[arg(long)]
    no_build: bool,
    /// Only cases with this in their name, or in that of their file.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How the results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the results are written. Default: standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the snapshots of the cases that have one, instead of comparing.
    #[arg(long)]
    bless: bool,
    #[command(flatten)]
    cache: CacheArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// One line for each case, then what failed.
    Text,
    /// One object.
    Json,
    /// JUnit's XML, for CI systems.
    Junit,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let folder = args.tests.clone().unwrap_or_else(|| args.dir.join("tests"));
    let mut suite = cases::read(&folder).map_err(|errors| Failed::configurations(&errors))?;
    let mut examples = examples(&args.dir)?;
    suite.notes.extend(cases::unused(&examples, &suite.cases));
    // What is said of all cases is not asked for with some of them.
    if let Some(filter) = &args.filter {
        suite.notes.clear();
        suite.cases.retain(|it| contains(&it.name, &it.file, filter));
        examples.retain(|(file, name, _)| contains(name, file, filter));
        if suite.cases.is_empty() && examples.is_empty() {
            return Err(Failed::configuration(format!("--filter: no case has {filter:?} in its name or its file's")));
        }
    }
    let engine = Engine::new(Capacity::default())?;
    let compiler = compiler(args.cache.open(), Priority::Normal)?;
    let is_own = |case: &Case| case.setup.policies.is_empty();
    let own = if suite.cases.iter().any(is_own) || !examples.is_empty() { Some(own(args)?) } else { None };
    let components = args.cache.components()?;
    let runner = Runner { engine, compiler: Arc::new(compiler), components, own, examples, bless: args.bless };
    let mut results = runtime()?.block_on(runner.run(suite.cases)).map_err(|errors| Failed::configurations(&errors))?;
    results.notes = suite.notes;
    let written = match args.format {
        Format::Text => report::text(&results),
        Format::Json => report::json(&results),
        Format::Junit => report::junit(&results),
    };
    match &args.out {
        // Who stops reading has seen enough.
        None => match io::stdout().write_all(written.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        },
        Some(path) => {
            fs::write(path, written).map_err(|error| Failed::Error(anyhow::anyhow!("{}: {error}", path.display())))?
        }
    }
    Ok(if results.count().1 == 0 { Ended::Done } else { Ended::No })
}

fn contains(name: &str, file: &Path, filter: &str) -> bool {
    name.contains(filter) || file.file_name().is_some_and(|it| it.to_string_lossy().contains(filter))
}

/// The policy of the folder, built if it has to be.
fn own(args: &Args) -> Result<PolicySpec, Failed> {
    if let Some(component) = &args.component {
        return Ok(specs(component)?.remove(0));
    }
    let path = if args.no_build {
        let path = build::output(&args.dir).map_err(of_build)?;
        if !path.is_file() {
            let words = format!("{}: it is not built yet: leave out --no-build", path.display());
            return Err(Failed::configuration(words));
        }
        path
    } else {
        build::build(&args.dir, None).map_err(of_build)?.path
    };
    Ok(specs(&path)?.remove(0))
}

fn of_build(error: BuildError) -> Failed {
    match error {
        BuildError::Manifest(errors) => Failed::configurations(&errors),
        BuildError::NothingToBuild(_) => {
            Failed::configuration(format!("{error}; or give --component FILE, or `policies:` in the file of cases"))
        }
        error => error.into(),
    }
}

/// The example settings of the folder's manifest.
fn examples(folder: &Path) -> Result<Vec<Example>, Failed> {
    let manifest = manifest(folder).map_err(|errors| Failed::configurations(&errors))?;
    let file = folder.join(manifest::FILE);
    let examples = manifest.as_ref().map(|it| it.examples().to_vec()).unwrap_or_default();
    let named = examples.into_iter().enumerate();
    Ok(named.map(|(index, it)| (file.clone(), format!("example {} of the settings", index + 1), it)).collect())
}
