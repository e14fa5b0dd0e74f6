//! `verdict review`: reviews offline, through the same set of policies as the server's.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Ended, Failed, complain, documents::Document, load, runtime, terminal, tried::Tried};
use crate::{
    author::cases::text::difference,
    engine::run::Capacity,
    observe::{Metrics, Seen, Watch},
    policy::{Admission, Answered, Ask, Authorization, Set},
    review::{
        access::{self, Decision},
        admission, token,
        verdict::TokenVerdict,
    },
    text,
};

/// The answers go to standard output; what a mutator changed, what the policy logs, and the time and memory that it took,
/// to standard error. The exit code is 0 when each review is allowed, authenticated or answered, 1 when one is not (an
/// authorizer without an opinion does not allow), 2 for a file that holds no review, 3 for a bad policy. An
/// AdmissionReview goes to the mutators, then with the object as they changed it to the validators. A bare object, YAML or
/// JSON, is asked about as if a user created it.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    tried: Tried,
    /// Tell on standard error which rule, selector or condition decided that a policy is asked, or is not.
    #[arg(long)]
    explain: bool,
    /// What is printed: the answer that kube-apiserver would get, or, of an AdmissionReview that is allowed, the object as
    /// it would be stored.
    #[arg(short, long, value_enum, default_value_t = Output::Json)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// The answer.
    Json,
    /// The object as it would be stored; of everything else the answer.
    Yaml,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let all = args.tried.specs()?;
    // Every policy may use all of its time, as mutator and as validator.
    let time = all.iter().map(|it| it.limits.time).sum::<Duration>() * 2;
    let documents = args.tried.documents()?;
    runtime()?.block_on(async {
        let set = load(all, Capacity::default(), &args.tried.cache, &Metrics::new()).await?;
        // What is no review is told before anything is asked.
        let reviews: Vec<Result<String, String>> =
            documents.iter().map(|it| args.tried.review(&set, &it.json)).collect();
        let wrong = documents.iter().zip(&reviews).filter_map(|(it, review)| Some((it, review.as_ref().err()?)));
        let wrong: Vec<String> = wrong.map(|(it, words)| format!("{}: {words}", it.name)).collect();
        if !wrong.is_empty() {
            return Err(Failed::Usage(wrong.join("\n")));
        }
        let mut all_allowed = true;
        for (document, review) in documents.iter().zip(reviews.iter().flatten()) {
            if documents.len() > 1 {
                terminal::tell_coloured([(Some(terminal::Colour::Cyan), document.name.as_str())]);
            }
            all_allowed &= ask(&set, args, document, review, time).await?;
        }
        Ok(if all_allowed { Ended::Done } else { Ended::No })
    })
}

/// Whether it is allowed.
async fn ask(set: &Set, args: &Args, document: &Document, review: &str, time: Duration) -> Result<bool, Failed> {
    let watch = if args.explain { Watch::default().explaining() } else { Watch::default() };
    let asked =
        Ask { raw: review, deadline: Instant::now() + time, watch: Some(&watch), trail: None, now: None, audit: false };
    let answered = match set.answer(asked).await {
        Ok(answered) => answered,
        // The others are asked all the same.
        Err(error) => {
            complain(&format!("{}: {error}", document.name));
            return Ok(false);
        }
    };
    tell(&watch.take(), args.explain);
    print(&answered, args.output)
}

/// Where the time went, and why.
fn tell(seen: &[Seen], explain: bool) {
    for it in seen {
        let named = format!("verdict: {} ({})", it.policy, it.kind);
        if explain {
            let word = if it.asked { "asked" } else { "not asked" };
            terminal::tell(&format!("{named}: {word}: {}", it.why));
        }
        if let Some(called) = &it.called {
            let outcome = called.outcome.name();
            let (timing, memory) = (&called.usage.timing, called.usage.memory);
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            terminal::tell(&format!(
                "{named}: {outcome}, {:.2} ms ({:.2} to start, {:.2} in the policy), {:.1} MiB",
                milliseconds(timing.whole),
                milliseconds(timing.instantiate),
                milliseconds(timing.guest),
                memory as f64 / f64::from(1 << 20),
            ));
        }
    }
    if !explain && !seen.iter().any(|it| it.asked) {
        terminal::tell("verdict: no policy is asked about this; --explain tells why");
    }
}

/// Prints the whole answer. Whether it allows.
fn print(answered: &Answered<'_>, output: Output) -> Result<bool, Failed> {
    match answered {
        Answered::Token { version, review, verdict } => {
            output.print(&token::encode(*version, review, verdict))?;
            Ok(matches!(verdict, TokenVerdict::Authenticated { .. }))
        }
        Answered::Access { version, answer: Authorization::Decided(ruling) } => {
            output.print(&access::encode(*version, ruling))?;
            Ok(ruling.decision == Decision::Allow)
        }
        Answered::Access { answer: Authorization::Unavailable(words), .. } => {
            complain(words);
            Ok(false)
        }
        Answered::Event(Err((_, words))) => {
            complain(words);
            Ok(false)
        }
        Answered::Admission(admission) => admitted(admission, output),
        Answered::Event(Ok(answer)) => {
            output.print(answer.get().as_bytes())?;
            Ok(true)
        }
    }
}

fn admitted(admission: &Admission<'_>, output: Output) -> Result<bool, Failed> {
    let came = admission.request.object.map(|it| it.get());
    if let (Some(before), Some(after)) = (came, &admission.object) {
        let difference = difference(&yaml(before.as_bytes())?, &yaml(after.as_bytes())?);
        terminal::tell_coloured(difference.lines().map(|line| (colour(line), line)));
    }
    let verdicts: Vec<_> = admission.mutated.iter().chain(&admission.validated).collect();
    let allowed = verdicts.iter().all(|it| it.denial.is_none());
    match admission.object.as_deref().or(came).filter(|_| allowed && output == Output::Yaml) {
        Some(object) => output.print(object.as_bytes())?,
        None => {
            for verdict in verdicts {
                output.print(&admission::encode(admission.version, &admission.request, verdict))?;
            }
        }
    }
    Ok(allowed)
}

fn colour(line: &str) -> Option<terminal::Colour> {
    match line.as_bytes().first()? {
        b'-' => Some(terminal::Colour::Red),
        b'+' => Some(terminal::Colour::Green),
        b'@' => Some(terminal::Colour::Cyan),
        _ => None,
    }
}

impl Output {
    fn print(self, json: &[u8]) -> Result<(), Failed> {
        match self {
            Self::Json => {
                let value: Value = serde_json::from_slice(json)?;
                terminal::print(&text::json(&serde_json::to_string_pretty(&value)?));
            }
            Self::Yaml => terminal::print(&format!("---\n{}", yaml(json)?.trim_end())),
        }
        Ok(())
    }
}

fn yaml(json: &[u8]) -> Result<String, Failed> {
    Ok(text::yaml(&serde_json::from_slice(json)?)?)
}
