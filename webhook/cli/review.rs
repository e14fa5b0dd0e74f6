//! `verdict review`: one review offline, through the same set of policies as the server's.

use std::{path::PathBuf, time::Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CacheArgs, Failed, Outcome, json_argument, load, object::Asked, read, runtime, specs};
use crate::{
    engine::{Capacity, Interface},
    metrics::Metrics,
    policy::{Ask, Authorization, Selection, Set},
    review::{access, access::Decision, admission, patch, token, verdict::TokenVerdict},
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
        let admits = exports(&set, Interface::Mutating) || exports(&set, Interface::Validating);
        let text = if admits { args.asked.review(&text)?.unwrap_or(text) } else { text };
        // Every policy may use all of its time, as mutator and as validator.
        let ask = Ask { raw: &text, deadline: Instant::now() + time };
        answer(&set, ask).await
    })
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    kind: Option<serde_json::Value>,
}

async fn answer(set: &Set, ask: Ask<'_>) -> Result<Outcome, Failed> {
    let header: Header = serde_json::from_str(ask.raw).unwrap_or(Header { kind: None });
    let bytes = ask.raw.as_bytes();
    match header.kind.as_ref().and_then(serde_json::Value::as_str) {
        Some("TokenReview") => {
            let envelope = token::decode(bytes)?;
            let verdict = selected(set, Interface::Authentication)?.authenticate(ask, &envelope.review).await;
            print(&token::encode(envelope.version, &envelope.review, &verdict))?;
            Ok(outcome(matches!(verdict, TokenVerdict::Authenticated { .. })))
        }
        Some("SubjectAccessReview") => {
            let envelope = access::decode(bytes)?;
            match selected(set, Interface::Authorization)?.authorize(ask, &envelope.review).await {
                Authorization::Decided(ruling) => {
                    print(&access::encode(envelope.version, &ruling))?;
                    Ok(outcome(ruling.decision == Decision::Allow))
                }
                Authorization::Unavailable(words) => Err(Failed::Error(anyhow::anyhow!("{words}"))),
            }
        }
        Some("AdmissionReview") => {
            let envelope = admission::decode(bytes)?;
            let (mutators, validators) =
                (set.select(Interface::Mutating, None), set.select(Interface::Validating, None));
            let mutates = exports(set, Interface::Mutating);
            let validates = exports(set, Interface::Validating);
            if !mutates && !validates {
                return Err(not_of("AdmissionReview"));
            }
            let mut allowed = true;
            let changed: Box<RawValue>;
            let mut request = envelope.review;
            if let Some(mutators) = mutators.filter(|_| mutates) {
                let verdict = mutators.mutate(ask, &request).await;
                allowed = verdict.denial.is_none();
                print(&admission::encode(envelope.version, &request, &verdict))?;
                if let (Some(object), Some(patch)) = (request.object, verdict.patch) {
                    let object = patch::apply(object.get(), &admission::Change::JsonPatch(patch))?;
                    if let Some(object) = object {
                        changed = RawValue::from_string(object)?;
                        request.object = Some(&changed);
                    }
                }
            }
            if let Some(validators) = validators.filter(|_| validates && allowed) {
                let verdict = validators.validate(ask, &request).await;
                allowed = verdict.denial.is_none();
                print(&admission::encode(envelope.version, &request, &verdict))?;
            }
            Ok(outcome(allowed))
        }
        _ => match selected(set, Interface::Provider)?.handle_event(ask).await {
            Ok(answer) => {
                print(answer.get().as_bytes())?;
                Ok(Outcome::Done)
            }
            Err((_, words)) => Err(Failed::Error(anyhow::anyhow!("{words}"))),
        },
    }
}

fn selected(set: &Set, interface: Interface) -> Result<Selection<'_>, Failed> {
    set.select(interface, None).filter(|_| exports(set, interface)).ok_or_else(|| not_of(interface.name()))
}

fn exports(set: &Set, interface: Interface) -> bool {
    set.policies().iter().any(|it| it.interfaces().contains(&interface))
}

fn not_of(what: &str) -> Failed {
    Failed::Error(anyhow::anyhow!("the policy does not answer this: it does not export what {what} needs"))
}

fn outcome(allowed: bool) -> Outcome {
    if allowed { Outcome::Done } else { Outcome::No }
}

fn print(json: &[u8]) -> Result<(), Failed> {
    let value: serde_json::Value = serde_json::from_slice(json)?;
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}
