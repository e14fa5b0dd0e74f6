//! `verdict decisions`: what a running server decided last.

use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use http::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Ended, Failed,
    client::{Asker, ServerArgs},
    runtime, terminal,
};
use crate::text;

/// Of one replica: each has its own. The server keeps as many as fit into its --decisions-memory.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Wait for more, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Only those in which somebody denied, even where that decided nothing.
    #[arg(long)]
    denied: bool,
    /// Only those in which this policy was asked.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The last so many.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// For people, or a line of JSON for each.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let asker = args.server.asker()?;
    runtime()?.block_on(async {
        let (mut after, mut limit) = (0, args.limit);
        // A server that is started again is asked again; what never answered is wrong.
        let mut answered = false;
        loop {
            match ask(&asker, args, after, limit).await {
                Ok(decisions) => {
                    answered = true;
                    for decision in &decisions {
                        show(decision, args.output);
                        after = decision["sequence"].as_u64().unwrap_or(after);
                    }
                }
                Err(error) if args.follow && answered => terminal::tell(&format!("verdict: {error:#}")),
                Err(error) => return Err(error.into()),
            }
            if !args.follow {
                return Ok(Ended::Done);
            }
            limit = FOLLOWED;
            sleep(EVERY).await;
        }
    })
}

async fn ask(asker: &Asker, args: &Args, after: u64, limit: usize) -> anyhow::Result<Vec<Value>> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string()).append_pair("after", &after.to_string());
    if args.denied {
        query.append_pair("denied", "true");
    }
    if let Some(policy) = &args.policy {
        query.append_pair("policy", policy);
    }
    let said = asker.ask(Method::GET, &format!("/decisions?{}", query.finish()), None).await?;
    let body = said.good().map_err(anyhow::Error::msg)?;
    serde_json::from_slice(&body).context("the answer is no list of decisions")
}

fn show(decision: &Value, output: Output) {
    match output {
        Output::Json => terminal::print(&text::json(&decision.to_string())),
        Output::Text => terminal::print(&lines(decision).join("\n")),
    }
}

/// Who wanted what, and what each policy made of it.
fn lines(decision: &Value) -> Vec<String> {
    let review = &decision["review"];
    let resource = [words(&review["resource"]["resource"]), words(&review["subresource"])];
    let object = [words(&review["namespace"]), words(&review["name"])];
    let what = [words(&review["operation"]), joined(&resource), joined(&object), words(&review["path"])];
    let what: Vec<String> = what.into_iter().filter(|it| !it.is_empty()).collect();
    let who = match words(&review["user"]["username"]) {
        who if who.is_empty() => who,
        who => format!(" by {who}"),
    };
    let mut lines = vec![format!(
        "{} {}: {}{who} ({}, {})",
        words(&decision["timestamp"]),
        answered(decision),
        if what.is_empty() { words(&review["kind"]) } else { what.join(" ") },
        words(&decision["path"]),
        words(&decision["decision_id"]),
    )];
    if let Some(error) = decision["error"]["message"].as_str() {
        lines.push(format!("  {}", text::line(error)));
    }
    for (at, policy) in items(&decision["policies"]).enumerate() {
        let decides = if policy["decides"] == false { ", decides nothing" } else { "" };
        let (kind, name, outcome) = (words(&policy["kind"]), words(&policy["name"]), words(&policy["outcome"]));
        let message = match words(&policy["message"]) {
            message if !message.is_empty() => format!(": {message}"),
            _ if items(&decision["erased"]).any(|it| *it == format!("/policies/{at}/message")) => {
                ": (withheld: the review is about a Secret or a token)".to_owned()
            }
            message => message,
        };
        lines.push(format!("  {kind} {name}: {outcome}{decides}{message}"));
        for cause in items(&policy["causes"]) {
            let named = [words(&cause["field"]), words(&cause["message"])];
            lines.push(format!(
                "    * {}",
                named.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(": ")
            ));
        }
        lines.extend(items(&policy["log"]).map(|it| format!("    {}: {}", words(&it["level"]), words(&it["text"]))));
        lines.extend(items(&policy["facts"]).map(|it| format!("    {}: {}", words(&it["key"]), words(&it["value"]))));
    }
    lines
}

/// What the caller was told, which is not what each policy said: one that only audits denies as well.
fn answered(decision: &Value) -> &'static str {
    let result = &decision["result"];
    let is = |field: &str| result[field].as_bool();
    match (is("authenticated"), is("allowed"), is("denied")) {
        (Some(true), ..) => "authenticated",
        (Some(false), ..) => "not authenticated",
        (_, Some(true), _) => "allowed",
        (_, _, Some(false)) => "no opinion",
        (_, Some(false), _) => "denied",
        _ if is("answered") == Some(true) => "answered",
        _ => "failed",
    }
}

/// A text on one line, which forges no other.
fn words(value: &Value) -> String {
    value.as_str().map(text::line).unwrap_or_default()
}

/// With a slash between those that there are.
fn joined(parts: &[String]) -> String {
    parts.iter().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().join("/")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// How often a server is asked for more.
const EVERY: Duration = Duration::from_secs(1);
/// How many of those may be missed at most, of a server that decides more than that between two questions.
const FOLLOWED: usize = 10_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_answer_has_its_word() {
        let words = [
            (json!({"result": {"allowed": false, "status": {"code": 403}}, "denied": true}), "denied"),
            // Only recorded.
            (json!({"result": {"allowed": true}, "denied": true}), "allowed"),
            // What failed denied, as its failurePolicy says.
            (json!({"result": {"allowed": false, "status": {"code": 500}}, "failed": true}), "denied"),
            (json!({"result": {"allowed": true, "denied": false, "reason": ""}}), "allowed"),
            (json!({"result": {"allowed": false, "denied": true, "reason": ""}}), "denied"),
            (json!({"result": {"allowed": false, "denied": false, "reason": ""}}), "no opinion"),
            (json!({"result": {"authenticated": true, "user": {}}}), "authenticated"),
            (json!({"result": {"authenticated": false, "error": "expired"}}), "not authenticated"),
            (json!({"result": {"answered": true}}), "answered"),
            (json!({"result": null, "error": {"code": 503, "message": "too busy"}}), "failed"),
        ];
        for (decision, word) in words {
            assert_eq!(answered(&decision), word, "{decision}");
        }
    }
}
