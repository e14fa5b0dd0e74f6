//! `verdict call`: one operation of a guest by itself, with the guest's host calls in sight.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{CacheArgs, Ended, Failed, compiler, component, json_argument, runtime, terminal};
use crate::{
    component::protocol::is_component,
    config::quantity,
    engine::{
        prepare::{CallError, Guest, GuestError, Priority, Source},
        run::{Capacity, Engine, HostCalls},
    },
    loader::file,
    spec::{Limits, MAX_MEMORY, MAX_TIME, MIN_MEMORY, PolicySpec},
    text::{line, shorten},
};

/// The answer goes to standard output, byte for byte (on a terminal with control characters escaped); what the guest calls of the host,
/// and what it logs, to standard error. The exit code is 1 when the guest fails, 2 for an operation that it cannot have, 3 for a file
/// that cannot be used.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A file of Wasm, or builtin:NAME.
    module: PathBuf,
    /// Any operation of a waPC guest, such as sample:Guest!Hello; authn, authz or validate of k8s-wasm; the argument of a WASI command of
    /// Kubewarden's; handle-event of a component.
    operation: String,
    /// What goes in, as it is: text, or @FILE; @- is standard input. Nothing goes in if it is not given.
    #[arg(long, value_name = "TEXT|@FILE")]
    input: Option<String>,
    /// What a call of the guest to the host is answered with: the content of a file. Calls that nothing is given for are answered as by
    /// the server, which grants none. Repeatable.
    #[arg(long = "answer", value_name = "BINDING:NAMESPACE:OPERATION=FILE")]
    answers: Vec<String>,
    /// Settings for a component's init: JSON, or @FILE.
    #[arg(long)]
    settings: Option<String>,
    /// How long the call may take, at most 30s. Default: 500ms.
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// What the guest's memory may reach, from 1Mi to 1Gi. Default: 64Mi.
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    memory: Option<usize>,
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let spec = match args.module.to_str().and_then(|it| it.strip_prefix("builtin:")) {
        Some(name) => PolicySpec::builtin(name),
        None => {
            let stem = args.module.file_stem().unwrap_or(args.module.as_os_str());
            PolicySpec::file(&stem.to_string_lossy(), &args.module)
        }
    };
    let answers = answers(&args.answers)?;
    let input = args.input.as_deref().map(input).transpose()?.unwrap_or_default();
    let settings = args.settings.as_deref().map(json_argument).transpose()?;
    let component = component(&spec, &args.cache)?;
    if settings.is_some() && !is_component(&component.bytes) {
        let words = "--settings: only components take settings by themselves: write those of a module into its --input";
        return Err(Failed::Usage(words.to_owned()));
    }
    let mut limits = Limits::default();
    limits.time = args.timeout.unwrap_or(limits.time);
    limits.memory = args.memory.unwrap_or(limits.memory);
    let engine = Engine::new(Capacity::default())?;
    let compiler = compiler(args.cache.open(), Priority::Normal)?;
    let source = Source::to_call(&engine, component, settings.as_deref(), &limits)?;
    let answered = runtime()?.block_on(async {
        let guest =
            Guest::load(&spec.name, &engine, &compiler, &source, limits).await.map_err(|error| match error {
                GuestError::Engine(error) => Failed::from(error),
                wrong => Failed::configuration(format!("{}: {wrong}", args.module.display())),
            })?;
        let guest = guest.answering(host_calls(answers));
        guest.call(&args.operation, &input).await.map_err(|error| match error {
            CallError::Operation { .. } | CallError::Input => {
                Failed::Usage(format!("{}: {error}", args.module.display()))
            }
            CallError::Failed(failure) => Failed::from(failure),
        })
    })?;
    terminal::print_bytes(&answered);
    Ok(Ended::Done)
}

/// By the whole name, since a namespace may hold colons too.
fn answers(given: &[String]) -> Result<BTreeMap<String, (String, Vec<u8>)>, Failed> {
    let mut answers = BTreeMap::new();
    for it in given {
        let named = it.split_once('=').filter(|(name, file)| name.matches(':').count() >= 2 && !file.is_empty());
        let Some((name, file)) = named else {
            return Err(Failed::Usage(format!("--answer: expected BINDING:NAMESPACE:OPERATION=FILE, got {it}")));
        };
        let content = content("--answer", Path::new(file))?;
        if answers.insert(name.to_owned(), (file.to_owned(), content)).is_some() {
            return Err(Failed::Usage(format!("--answer: {name} is given twice")));
        }
    }
    Ok(answers)
}

fn input(text: &str) -> Result<Vec<u8>, Failed> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX_FILE {
                let words = format!("--input: standard input has more than {MAX_FILE} bytes");
                return Err(Failed::configuration(words));
            }
            Ok(bytes)
        }
        Some(path) => content("--input", Path::new(path)),
    }
}

fn content(flag: &str, path: &Path) -> Result<Vec<u8>, Failed> {
    file::read(path, MAX_FILE).map_err(|error| Failed::configuration(format!("{flag}: {}: {error}", path.display())))
}

/// Shows them, and answers those for which there is something.
fn host_calls(answers: BTreeMap<String, (String, Vec<u8>)>) -> HostCalls {
    let count = AtomicUsize::new(0);
    HostCalls::some(move |binding, namespace, operation, payload| {
        let name = format!("{binding}:{namespace}:{operation}");
        let answer = answers.get(&name);
        let how = answer.map_or("without an --answer".to_owned(), |(file, _)| format!("answered with {file}"));
        match count.fetch_add(1, Ordering::Relaxed) {
            MAX_CALLS.. => {}
            before => {
                let payload = String::from_utf8_lossy(&payload[..payload.len().min(MAX_PAYLOAD * 4)]);
                let payload = shorten(&line(&payload), MAX_PAYLOAD);
                terminal::tell(&line(&format!("verdict: host call {name}, {how}: {payload}")));
                if before + 1 == MAX_CALLS {
                    terminal::tell("verdict: further host calls are not shown");
                }
            }
        }
        answer.map(|(_, content)| Ok(content.clone()))
    })
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|it| (Duration::from_millis(1)..=MAX_TIME).contains(it));
    time.ok_or_else(|| "expected a time such as 500ms, from 1ms to 30s".to_owned())
}

fn memory(text: &str) -> Result<usize, String> {
    let bytes = quantity::bytes(text).and_then(|it| usize::try_from(it).ok());
    let bytes = bytes.filter(|it| (MIN_MEMORY..=MAX_MEMORY).contains(it));
    bytes.ok_or_else(|| "expected an amount of memory such as 64Mi, from 1Mi to 1Gi".to_owned())
}

/// Bytes of what goes in, and of each answer.
const MAX_FILE: u64 = 16 << 20;
/// Host calls that are shown.
const MAX_CALLS: usize = 100;
/// Characters of a host call's payload that are shown.
const MAX_PAYLOAD: usize = 200;
