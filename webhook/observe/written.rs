//! A decision as JSON, with OPA's names where it has one for the same thing (https://www.openpolicyagent.org/docs/management-decision-logs).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    decision::{About, DecisionEvent, Part, Verdict},
    redact::Redacted,
};
use crate::{
    review::{
        access::Decision,
        admission::Cause,
        verdict::{AdmissionVerdict, TokenVerdict},
    },
    text,
};

/// What tells whose decisions these are.
pub type Labels = BTreeMap<String, String>;

impl DecisionEvent {
    /// As it is shown; `input` is the review, from which everything that nobody may read is gone.
    pub fn json(&self, labels: &Labels, input: Option<(Value, Redacted)>) -> Value {
        let mut all = json!({
            "decision_id": &*self.id,
            "timestamp": humantime::format_rfc3339_nanos(self.began).to_string(),
            "labels": labels,
            "path": self.path(),
            "result": self.result(),
            "metrics": {"timer_server_handler_ns": nanoseconds(self.took)},
            "review": about(&self.about),
            "policies": self.policies.iter().map(part).collect::<Vec<_>>(),
            "denied": self.is_denied(),
            "failed": self.is_failed(),
        });
        if let Some(set) = self.set {
            all["set"] = format!("sha256:{set}").into();
        }
        if let Some(trace) = self.trace {
            all["trace_id"] = format!("{:032x}", trace.trace).into();
            all["span_id"] = format!("{:016x}", trace.span).into();
        }
        let error = match &self.verdict {
            Verdict::Refused(code, words) => Some(json!({"code": code, "message": words})),
            Verdict::Abandoned => Some(json!({"message": "the caller hung up before the answer"})),
            _ => None,
        };
        if let Some(error) = error {
            all["error"] = error;
        }
        let mut redacted = Redacted::default();
        if let Some((review, of_input)) = input {
            if !review.is_null() {
                all["input"] = review;
            }
            redacted = of_input;
        }
        let erased: Vec<&String> = self.erased.iter().chain(&redacted.erased).collect();
        if !erased.is_empty() {
            all["erased"] = json!(erased);
        }
        if !redacted.masked.is_empty() {
            all["masked"] = json!(redacted.masked);
        }
        all
    }

    /// What was answered, as the review says it. Null: there was no review.
    fn result(&self) -> Value {
        match &self.verdict {
            Verdict::Admission(verdict) => admission(verdict),
            Verdict::Access(ruling) => json!({
                "allowed": ruling.decision == Decision::Allow,
                "denied": ruling.decision == Decision::Deny,
                "reason": ruling.reason,
            }),
            Verdict::Token(TokenVerdict::Authenticated { user, audiences }) => {
                json!({"authenticated": true, "user": user, "audiences": audiences})
            }
            Verdict::Token(TokenVerdict::Unauthenticated { error }) => {
                json!({"authenticated": false, "error": error})
            }
            Verdict::Answered => json!({"answered": true}),
            Verdict::Refused(..) | Verdict::Abandoned => Value::Null,
        }
    }
}

/// One line, in which nothing can forge another.
pub fn line(value: &Value) -> String {
    text::json(&value.to_string()) + "\n"
}

fn admission(verdict: &AdmissionVerdict) -> Value {
    let mut result = json!({"allowed": verdict.denial.is_none()});
    if let Some(denial) = &verdict.denial {
        let mut status = json!({"code": denial.code, "reason": denial.reason});
        put(&mut status, "message", &denial.message);
        list(&mut status, "causes", denial.causes.iter().map(cause).collect());
        result["status"] = status;
    }
    if let Some(patch) = &verdict.patch {
        result["patch"] = serde_json::from_str(patch).unwrap_or_else(|_| patch.as_str().into());
    }
    list(&mut result, "warnings", verdict.warnings.iter().map(|it| it.as_str().into()).collect());
    if !verdict.annotations.is_empty() {
        result["auditAnnotations"] = json!(verdict.annotations);
    }
    result
}

fn about(about: &About) -> Value {
    let mut review = Value::Object(Map::new());
    put(&mut review, "kind", about.review);
    put(&mut review, "operation", &about.operation);
    if !about.kind.kind.is_empty() {
        review["object"] = json!(about.kind);
    }
    if !about.resource.resource.is_empty() {
        review["resource"] = json!(about.resource);
    }
    for (key, text) in [
        ("subresource", &about.subresource),
        ("namespace", &about.namespace),
        ("name", &about.name),
        ("path", &about.path),
    ] {
        put(&mut review, key, text);
    }
    if about.user != Default::default() {
        review["user"] = json!(about.user);
    }
    if about.dry_run {
        review["dryRun"] = true.into();
    }
    review
}

fn part(part: &Part) -> Value {
    let timing = &part.timing;
    let mut value = json!({
        "kind": part.kind.name(),
        "name": part.name,
        "outcome": part.outcome,
        "decides": part.decides,
        "metrics": {
            "timer_queue_ns": nanoseconds(timing.queue),
            "timer_instantiate_ns": nanoseconds(timing.instantiate),
            "timer_guest_ns": nanoseconds(timing.guest),
            "timer_whole_ns": nanoseconds(timing.whole),
        },
    });
    put(&mut value, "message", &part.message);
    list(&mut value, "causes", part.causes.iter().map(cause).collect());
    list(&mut value, "log", part.log.iter().map(|it| json!({"level": it.level, "text": it.text})).collect());
    list(&mut value, "facts", part.facts.iter().map(|it| json!({"key": it.key, "value": it.value})).collect());
    value
}

fn cause(cause: &Cause) -> Value {
    let mut value = Value::Object(Map::new());
    for (key, text) in [("field", &cause.field), ("reason", &cause.reason), ("message", &cause.message)] {
        put(&mut value, key, text);
    }
    value
}

/// Unless it is empty.
fn put(value: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        value[key] = text.into();
    }
}

fn list(value: &mut Value, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        value[key] = items.into();
    }
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
