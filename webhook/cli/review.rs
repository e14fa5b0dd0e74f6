//! `verdict review`: one review offline, through the same set of policies as the server's.

use std::{path::PathBuf, time::Instant};

use super::{CacheArgs, Failed, Outcome, json_argument, load, object::Asked, read, runtime, specs};
use crate::{
    engine::{Capacity, Interface},
    metrics::Metrics,
    policy::{Answered, Ask, Authorization},
    review::{access, access::Decision, admission, token, verdict::TokenVerdict},
};

/// The answer goes to standard output, what the policy logs to standard error. The exit code is 0 when it is allowed,
/// authenticated or answered, 1 when not (an authorizer without an opinion does not allow), 3 for a bad policy.
/// An AdmissionReview goes to the mutators, then with the object as they changed it to the validators. A bare object,
/// YAML or JSON, is asked about as if a user created it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A policy's YAML, a component's file (.wasm), or builtin:NAME.
    policy: PathBuf,
    /// The review, an object, or an event for a provider; - is standard input.
    review: PathBuf,
    /// Settings for a bare component: JSON, or @FILE.
    #[arg(long)]
    settings: Option<String>,
    /// An environment variable for a bare component, as NAME=VALUE. Repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failed> {
    let mut all = specs(&args.policy)?;
    for spec in &mut all {
        if let Some(settings) = &args.settings {
            spec.settings = json_argument(settings)?;
        }
        for variable in &args.env {
            let (name, value) = variable
                .split_once('=')
                .ok_or_else(|| Failed::Usage(format!("--env: expected NAME=VALUE, got {variable}")))?;
            spec.grants.env.insert(name.to_owned(), value.to_owned());
        }
    }
    let time = all.iter().map(|it| it.limits.time).sum::<std::time::Duration>() * 2;
    let text = read(&args.review)?;
    runtime()?.block_on(async {
        let set = load(all, Capacity::default(), &args.cache, &Metrics::new()).await?;
        let admits = set.exports(Interface::Mutating) || set.exports(Interface::Validating);
        let text = if admits { args.asked.review(&text)?.unwrap_or(text) } else { text };
        // Every policy may use all of its time, as mutator and as validator.
        let ask = Ask { raw: &text, deadline: Instant::now() + time, watch: None };
        print(&set.answer(ask).await?)
    })
}

/// Prints the whole answer.
fn print(answered: &Answered<'_>) -> Result<Outcome, Failed> {
    match answered {
        Answered::Token { version, review, verdict } => {
            print_json(&token::encode(*version, review, verdict))?;
            Ok(outcome(matches!(verdict, TokenVerdict::Authenticated { .. })))
        }
        Answered::Access { version, answer: Authorization::Decided(ruling) } => {
            print_json(&access::encode(*version, ruling))?;
            Ok(outcome(ruling.decision == Decision::Allow))
        }
        Answered::Access { answer: Authorization::Unavailable(words), .. } => {
            Err(Failed::Error(anyhow::anyhow!("{words}")))
        }
        Answered::Admission(admission) => {
            let mut allowed = true;
            for verdict in admission.mutated.iter().chain(&admission.validated) {
                print_json(&admission::encode(admission.version, &admission.request, verdict))?;
                allowed &= verdict.denial.is_none();
            }
            Ok(outcome(allowed))
        }
        Answered::Event(Ok(answer)) => {
            print_json(answer.get().as_bytes())?;
            Ok(Outcome::Done)
        }
        Answered::Event(Err((_, words))) => Err(Failed::Error(anyhow::anyhow!("{words}"))),
    }
}

fn outcome(allowed: bool) -> Outcome {
    if allowed { Outcome::Done } else { Outcome::No }
}

fn print_json(json: &[u8]) -> Result<(), Failed> {
    let value: serde_json::Value = serde_json::from_slice(json)?;
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}
