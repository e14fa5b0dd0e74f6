//! `verdict review`: one review offline, through the same set of policies as the server's.

use std::time::{Duration, Instant};

use super::{Failed, Outcome, load, runtime, tried::Tried};
use crate::{
    config::schema::Kind,
    engine::Capacity,
    metrics::Metrics,
    policy::{Answered, Ask, Authorization, Seen, Watch},
    review::{access, access::Decision, admission, token, verdict::TokenVerdict},
    text,
};

/// The answer goes to standard output; what the policy logs, and the time and memory that it took, to standard error. The
/// exit code is 0 when it is allowed, authenticated or answered, 1 when not (an authorizer without an opinion does not
/// allow), 3 for a bad policy. An AdmissionReview goes to the mutators, then with the object as they changed it to the
/// validators. A bare object, YAML or JSON, is asked about as if a user created it.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    tried: Tried,
    /// Tell on standard error which rule, selector or condition decided that a policy is asked, or is not.
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failed> {
    let all = args.tried.specs()?;
    // Every policy may use all of its time, as mutator and as validator.
    let time = all.iter().map(|it| it.limits.time).sum::<Duration>() * 2;
    let text = args.tried.read()?;
    runtime()?.block_on(async {
        let set = load(all, Capacity::default(), &args.tried.cache, &Metrics::new()).await?;
        let text = args.tried.review(&set, text)?;
        let watch = if args.explain { Watch::default().explaining() } else { Watch::default() };
        let ask = Ask { raw: &text, deadline: Instant::now() + time, watch: Some(&watch) };
        let answered = set.answer(ask).await?;
        tell(&watch.take(), args.explain);
        print(&answered)
    })
}

/// Where the time went, and why.
fn tell(seen: &[Seen], explain: bool) {
    for it in seen {
        let named = format!("verdict: {} ({})", it.policy, Kind::of(it.interface).name());
        if explain {
            let word = if it.asked { "asked" } else { "not asked" };
            text::tell(&format!("{named}: {word}: {}", it.why));
        }
        if let Some(called) = &it.called {
            let outcome = match &called.outcome {
                Ok(outcome) => outcome,
                Err(failure) => failure.label(),
            };
            let (timing, memory) = (&called.usage.timing, called.usage.memory);
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            text::tell(&format!(
                "{named}: {outcome}, {:.2} ms ({:.2} to start, {:.2} in the policy), {:.1} MiB",
                milliseconds(timing.whole),
                milliseconds(timing.instantiate),
                milliseconds(timing.guest),
                memory as f64 / f64::from(1 << 20),
            ));
        }
    }
    if !explain && !seen.iter().any(|it| it.asked) {
        text::tell("verdict: no policy is asked about this; --explain tells why");
    }
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
    text::print(&text::json(&serde_json::to_string_pretty(&value)?));
    Ok(())
}
