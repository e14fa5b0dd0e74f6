//! The command line: one file per subcommand, and the exit codes in one place.

mod admin;
mod apply;
mod bench;
mod build;
mod call;
mod callers;
mod ceiling;
mod certificates;
mod certs;
mod check;
mod client;
mod cluster;
mod compile;
mod completions;
mod decisions;
mod docs;
mod documents;
mod examples;
mod explain;
mod get;
mod import;
mod inspect;
mod keygen;
mod log;
mod manifests;
mod new;
mod object;
mod own;
mod push;
mod registry;
mod reload;
mod review;
mod save;
mod schema;
mod seen;
mod serve;
mod sign;
mod sources;
mod terminal;
mod test;
mod tried;
mod unregister;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tracing::{level_filters::LevelFilter, warn};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{
    config::ConfigError,
    engine::{
        prepare::{Cache, Compiler, Priority},
        run::{Capacity, Engine},
    },
    loader::{Component, Components},
    observe::Metrics,
    policy::{Makers, Set},
    spec::{ComponentRef, Image, PolicySpec},
};
use registry::{RegistryArgs, VerificationArgs};

/// Answers kube-apiserver's TokenReview, SubjectAccessReview and AdmissionReview with sandboxed Wasm policies.
#[derive(Parser)]
#[command(
    name = "verdict",
    version,
    after_help = "Exit codes: 0 ok (for review: allowed), 1 failed (for review: not allowed; for test: a case failed), 2 usage, 3 bad configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines are written, to stderr.
    #[arg(long, env = "VERDICT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
    /// Which log lines are written: off, error, warn, info, debug or trace. Default: info; error for test,
    /// which shows what a policy logs beside its case, and for bench.
    #[arg(long, env = "VERDICT_LOG_LEVEL", global = true)]
    log_level: Option<LevelFilter>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Serve reviews over HTTPS.
    Serve(Box<serve::Args>),
    /// Register objects with a running server.
    Apply(apply::Args),
    /// Take objects that were registered away from a running server.
    Delete(apply::DeleteArgs),
    /// Show what a running server has, and how it fares.
    Get(get::Args),
    /// Load policies as `serve` would, and say what is wrong with them.
    Check(check::Args),
    /// Answer one review offline, through the same path as the server.
    Review(review::Args),
    /// Call an operation of a waPC guest, or a function of an older module, by itself.
    Call(call::Args),
    /// Show what a component exports and imports.
    Inspect(inspect::Args),
    /// Print a policy's manifest as a page of Markdown.
    Docs(docs::Args),
    /// Say what a field of a document is for, in the manner of kubectl explain.
    Explain(explain::Args),
    /// Print the JSON Schema of documents, for editors.
    Schema(schema::Args),
    /// Print what registers the server with a cluster, from its policies.
    Manifests(Box<manifests::Args>),
    /// Push a component to a registry.
    Push(push::Args),
    /// Break-glass: tell kube-apiserver to ask no admission policy any more.
    Unregister(unregister::Args),
    /// Pull a component from a registry into a file.
    Pull(push::PullArgs),
    /// Save images of a registry in a folder, for where there is none.
    Save(save::Args),
    /// Load what was saved, for servers that use the same cache.
    Load(save::LoadArgs),
    /// Compile policies into the cache ahead of time, for container images for example.
    Compile(compile::Args),
    /// What `serve` starts for each policy that it compiles: a component on standard input, code on standard output.
    #[command(hide = true)]
    Prepare(compile::PrepareArgs),
    /// Write objects for policies that are configured for another server.
    Import(import::Args),
    /// Begin a policy: a folder that builds, with an example and its tests.
    New(new::Args),
    /// Build the component of a policy from its sources.
    Build(build::Args),
    /// Show what a running server decided last.
    Decisions(decisions::Args),
    /// Measure what reviews take in a policy.
    Bench(bench::Args),
    /// Ask a policy its author's cases, and compare the answers.
    Test(test::Args),
    /// Make a development CA, a server certificate and a client certificate.
    Certs(certs::Args),
    /// Sign an image in a registry.
    Sign(sign::Args),
    /// Say whether an image in a registry is signed.
    Verify(sign::VerifyArgs),
    /// Make a key to sign components with, and the one that verifies them.
    Keygen(keygen::Args),
    /// Print what a shell needs to complete commands and flags.
    Completions(completions::Args),
}

/// How a command ended.
enum Ended {
    Done,
    /// The command worked, and the answer is no.
    No,
}

/// What ends a command early, printed once.
#[derive(Debug)]
enum Failed {
    /// Exit code 1.
    Error(anyhow::Error),
    /// Exit code 2.
    Usage(String),
    /// Exit code 3.
    Configuration(Vec<String>),
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Failed {
    fn configuration(words: impl Into<String>) -> Self {
        Self::Configuration(vec![words.into()])
    }

    fn configurations(errors: &[ConfigError]) -> Self {
        Self::Configuration(errors.iter().map(ToString::to_string).collect())
    }
}

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_level = cli.log_level.unwrap_or(match cli.command {
        Command::Test(_) | Command::Bench(_) => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    });
    start_logging(cli.log_format, log_level);
    let ended = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Delete(args) => apply::delete(&args),
        Command::Get(args) => get::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Manifests(args) => manifests::run(&args),
        Command::Unregister(args) => unregister::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Pull(args) => push::pull(&args),
        Command::Save(args) => save::run(&args),
        Command::Load(args) => save::load(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Prepare(args) => compile::prepare(&args),
        Command::Import(args) => import::run(&args),
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Decisions(args) => decisions::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => sign::verify(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::No) => ExitCode::from(1),
        Err(Failed::Error(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::from(1)
        }
        Err(Failed::Usage(words)) => {
            complain(&words);
            ExitCode::from(2)
        }
        Err(Failed::Configuration(errors)) => {
            for error in errors {
                complain(&error);
            }
            ExitCode::from(3)
        }
    }
}

/// What is wrong may quote files of others, which must not drive the terminal.
fn complain(words: &str) {
    terminal::tell(&format!("verdict: {words}"));
}

/// How this process logs.
static LOG: OnceLock<(LogFormat, LevelFilter)> = OnceLock::new();

fn start_logging(format: LogFormat, level: LevelFilter) {
    // Only ever set once.
    let _ = LOG.set((format, level));
    log::subscriber(format, level, std::io::IsTerminal::is_terminal(&std::io::stderr()), std::io::stderr).init();
}

fn runtime() -> Result<tokio::runtime::Runtime, std::io::Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Where compiled policies, and what was fetched, are kept, and where that comes from.
#[derive(clap::Args)]
struct CacheArgs {
    /// Where compiled policies, fetched components, and certificates made on the spot are kept. Default: verdict in the user's cache folder.
    #[arg(long, env = "VERDICT_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// MiB that compiled policies may take there; those used longest ago go first. 0 keeps none.
    #[arg(long, env = "VERDICT_CACHE_SIZE", default_value_t = 1024)]
    cache_size: u64,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    verification: VerificationArgs,
}

impl CacheArgs {
    /// None: no folder is known.
    fn dir(&self) -> Option<PathBuf> {
        let from = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let default = || from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
        self.cache_dir.clone().or_else(|| Some(default()?.join("verdict")))
    }

    /// A folder that cannot be used costs time and nothing else.
    fn open(&self) -> Option<Cache> {
        if self.cache_size == 0 {
            return None;
        }
        let opened = Cache::open(&self.dir()?.join("code"), self.cache_size.saturating_mul(1 << 20));
        opened.inspect_err(|error| warn!(%error, "compiled policies are not kept; every start compiles")).ok()
    }
}

/// Compiles in children, and keeps the code.
fn compiler(cache: Option<Cache>, priority: Priority) -> Result<Compiler, Failed> {
    let program = std::env::current_exe().context("the path of this program")?;
    // What a policy logs in init comes from the child, and belongs into the same log.
    let (format, level) = LOG.get().copied().unwrap_or((LogFormat::Text, LevelFilter::INFO));
    let format = format.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default();
    let arguments = ["prepare", "--log-format", &format, "--log-level", &level.to_string()];
    Ok(Compiler::child(program, arguments.map(str::to_owned).to_vec(), priority, cache))
}

/// The set of these policies, with what loads and counts them.
async fn load(
    specs: Vec<PolicySpec>,
    capacity: Capacity,
    cache: &CacheArgs,
    metrics: &Metrics,
) -> Result<Arc<Set>, Failed> {
    let engine = Engine::new(capacity)?;
    // Somebody waits for it.
    let compiler = compiler(cache.open(), Priority::Normal)?;
    let makers = Makers { engine: &engine, compiler: &compiler, components: &cache.components()? };
    let set = Set::load(makers, metrics, specs).await;
    set.map(Arc::new).map_err(|errors| Failed::configurations(&errors))
}

/// The policies of a path: YAML, or a component with every default, which may be an image.
fn specs(path: &Path) -> Result<Vec<PolicySpec>, Failed> {
    if !path.exists()
        && let Some(Ok(image)) = path.to_str().map(str::parse::<Image>)
    {
        return Ok(vec![PolicySpec::image(image)]);
    }
    if let Some(name) = path.to_str().and_then(|it| it.strip_prefix("builtin:")) {
        return Ok(vec![PolicySpec::builtin(name)]);
    }
    if path.extension().is_some_and(|it| it == "wasm") {
        let stem = path.file_stem().map(|it| it.to_string_lossy().replace('_', "-")).unwrap_or_default();
        return Ok(vec![PolicySpec::file(&stem, path)]);
    }
    crate::config::read(&[path.to_owned()]).map_err(|errors| Failed::configurations(&errors))
}

/// The component of a policy that stands for it.
fn component(spec: &PolicySpec, cache: &CacheArgs) -> Result<Component, Failed> {
    let words = || {
        format!("{}: {}: expected one component, got a group of them: name one of its files", spec.source, spec.title())
    };
    let reference = spec.component().ok_or_else(|| Failed::configuration(words()))?;
    fetched(reference, &cache.components()?)
}

/// What a reference names, fetched if it must be.
fn fetched(reference: &ComponentRef, components: &Components) -> Result<Component, Failed> {
    let wrong = |error: &dyn std::fmt::Display| Failed::configuration(format!("{reference}: {error}"));
    runtime()?.block_on(components.fetch(reference)).map_err(|error| wrong(&error))?;
    components.load(reference).map_err(|error| Failed::configuration(error.to_string()))
}

/// A file's content; `-` is standard input.
fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(path) }
}

/// Settings as given on the command line: JSON, or `@` and a file of it.
fn json_argument(text: &str) -> Result<String, Failed> {
    let json = match text.strip_prefix('@') {
        Some(path) => read(Path::new(path)).with_context(|| path.to_owned())?,
        None => text.to_owned(),
    };
    match serde_json::from_str::<serde_json::Value>(&json) {
        Ok(serde_json::Value::Object(_)) => Ok(json),
        Ok(_) => Err(Failed::Usage("--settings: expected a JSON object".to_owned())),
        Err(error) => Err(Failed::Usage(format!("--settings: expected a JSON object: {error}"))),
    }
}
