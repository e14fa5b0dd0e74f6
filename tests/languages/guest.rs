//! The component that misbehaves in one language, loaded. To compile one takes many seconds, so that each is compiled once for all tests.

use std::path::Path;

use serde_json::{Value, json};

use super::Language;
use crate::support::host::{Host, admission, specs};

/// The component as several policies, so that each check counts its own reviews and has its own limits.
pub struct Guest {
    pub language: &'static Language,
    pub host: Host,
}

/// Kinds and names, with milliseconds and more lines of their specs.
const POLICIES: [(&str, &str, u32, &str); 7] = [
    ("Validator", "p", PATIENT, ""),
    ("Mutator", "p", PATIENT, ""),
    ("Validator", "failing", PATIENT, ""),
    ("Validator", "hasty", 500, ""),
    ("Validator", "forgetful", PATIENT, ""),
    ("Validator", "reused", PATIENT, "  instancePolicy: Reuse"),
    ("Validator", "large", PATIENT, "  instancePolicy: Reuse"),
];

/// The environment, as a policy tells it.
pub const GRANTED: &str = "A=1 EMPTY= LONGER_NAME=a longer value";

/// On a busy machine.
const PATIENT: u32 = 20_000;

impl Guest {
    /// What was built of `component`, which is of this language.
    pub async fn of(language: &'static Language, component: &Path) -> &'static Self {
        let load = || async {
            let policies = POLICIES.map(|(kind, name, time, more)| {
                let written = policy(component, name, more).replace("kind: Validator", &format!("kind: {kind}"));
                written.replace(&PATIENT.to_string(), &time.to_string())
            });
            Self { language, host: Host::load(specs(&policies.concat())).await.unwrap() }
        };
        language.guest.get_or_init(load).await
    }

    /// What the policy says in a denial.
    pub async fn message(&self, policy: &str, deed: &str) -> String {
        let answer = self.ask(&format!("/validate/{policy}"), &named(deed, "u", object())).await;
        message(&answer).to_owned()
    }

    /// The response to a review.
    pub async fn ask(&self, path: &str, review: &Value) -> Value {
        self.host.review(path, review).await["response"].clone()
    }
}

/// A validator. All that prepares code is the same in each, so that the component is compiled once.
pub fn policy(component: &Path, name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec:\n  component: {{path: {}}}\n  \
         settings: {{do: print-in-init}}\n  limits: {{timeoutMilliseconds: {PATIENT}, memory: 128Mi}}\n  \
         grants: {{env: [{{name: A, value: \"1\"}}, {{name: LONGER_NAME, value: a longer value}}, {{name: EMPTY, value: \"\"}}]}}\n{more}\n",
        component.display()
    )
}

/// A review of an object that is called `deed`.
pub fn named(deed: &str, uid: &str, object: Value) -> Value {
    let mut review = admission(uid, object);
    review["request"]["name"] = deed.into();
    review
}

pub fn object() -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}})
}

/// What the policy says, without its name.
pub fn message(response: &Value) -> &str {
    let text = response["status"]["message"].as_str().unwrap_or_else(|| panic!("{response}"));
    text.split_once(": ").unwrap_or_else(|| panic!("{response}")).1
}
