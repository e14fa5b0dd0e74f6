//! What came of a case, and in what it is not what was expected.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    expect::{Expect, ExpectedCause, Verdict},
    text::{difference, pretty},
};
use crate::review::{clean::annotation_key, user::UserInfo};

/// What came of a case, as far as it can be compared; also the content of a snapshot.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Came {
    /// In one word.
    #[serde(serialize_with = "named")]
    pub verdict: Option<Verdict>,
    /// For whoever asked; for a failure also what went wrong; for what was not asked why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Of a denial.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Of a denial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<CameCause>,
    /// For the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// For the audit log.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// After the patch; None if nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// As it came, for comparing where nothing changed.
    #[serde(skip)]
    pub original: Option<Value>,
    /// Who the bearer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserInfo>,
    /// A provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// Fields of an object and what is wrong with each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings_errors: Vec<WrongSetting>,
    /// The policies that were asked.
    #[serde(skip)]
    pub policies: Vec<String>,
    /// Whether a mutator was asked.
    #[serde(skip)]
    pub mutators: bool,
}

/// One violation.
#[derive(Debug, Clone, Serialize)]
pub struct CameCause {
    /// Path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Machine-readable.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For the user.
    pub message: String,
}

/// One setting that a policy does not take.
#[derive(Debug, Clone, Serialize)]
pub struct WrongSetting {
    /// Such as `spec.settings.labels[0]`.
    pub field: String,
    /// What was expected.
    pub message: String,
}

/// One difference between what was expected and what came.
#[derive(Debug, Clone, Serialize)]
pub struct Mismatch {
    /// The field of `expect`, or what else was wrong.
    pub what: String,
    /// In words, or JSON.
    pub expected: String,
    /// In words, or JSON.
    pub came: String,
    /// Line by line, for what has many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Mismatch {
    /// Of two texts.
    pub fn new(what: &str, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { what: what.to_owned(), expected: expected.into(), came: came.into(), diff: None }
    }

    /// Of two values.
    pub(super) fn values(what: &str, expected: &Value, came: &Value) -> Self {
        let (expected, came) = (pretty(expected), pretty(came));
        let diff = Some(difference(&expected, &came));
        Self { what: what.to_owned(), expected, came, diff }
    }
}

impl Expect {
    /// In what `came` differs from what is expected; the snapshot is not looked at.
    pub(super) fn compare(&self, came: &Came) -> Vec<Mismatch> {
        let mut wrong = Vec::new();
        if let Some(verdict) = self.verdict
            && !came.is(verdict)
        {
            let got = came.verdict.map_or("nothing", Verdict::name);
            let got = if came.message.is_empty() { got.to_owned() } else { format!("{got}: {}", came.message) };
            wrong.push(Mismatch::new("verdict", verdict.name(), got));
            wrong.extend(came.settings_errors.iter().filter(|_| verdict != Verdict::SettingsError).map(|it| {
                Mismatch::new("settings", "the policy to take them", format!("{}: {}", it.field, it.message))
            }));
            // Everything else would only say so again.
            return wrong;
        }
        if let Some(part) = &self.message
            && !came.message.contains(part.as_str())
            && !came.settings_errors.iter().any(|it| it.message.contains(part.as_str()))
        {
            let said = came.settings_errors.iter().map(|it| it.message.clone());
            let said: Vec<String> =
                Some(came.message.clone()).into_iter().filter(|it| !it.is_empty()).chain(said).collect();
            wrong.push(Mismatch::new("message", format!("… {part} …"), said.join("\n")));
        }
        if let Some(code) = self.code
            && came.code != Some(code)
        {
            wrong.push(Mismatch::new(
                "code",
                code.to_string(),
                came.code.map_or("none".to_owned(), |it| it.to_string()),
            ));
        }
        if let Some(reason) = &self.reason
            && *reason != came.reason
        {
            wrong.push(Mismatch::new("reason", reason, &came.reason));
        }
        if let Some(causes) = &self.causes
            && !(causes.len() == came.causes.len()
                && causes.iter().zip(&came.causes).all(|(one, other)| one.meets(other)))
        {
            wrong.push(Mismatch::values(
                "causes",
                &causes.iter().map(ExpectedCause::json).collect(),
                &json!(came.causes),
            ));
        }
        if let Some(parts) = &self.warnings
            && !(parts.len() == came.warnings.len()
                && parts.iter().zip(&came.warnings).all(|(part, it)| it.contains(part.as_str())))
        {
            wrong.push(Mismatch::values("warnings", &json!(parts), &json!(came.warnings)));
        }
        if let Some(annotations) = self.annotations.as_ref().map(|it| came.in_full(it))
            && annotations != came.annotations
        {
            wrong.push(Mismatch::values("annotations", &json!(annotations), &json!(came.annotations)));
        }
        if let Some(object) = &self.object {
            let after = came.object.as_ref().or(came.original.as_ref()).unwrap_or(&Value::Null);
            if after != object {
                wrong.push(Mismatch::values("object", object, after));
            }
        }
        if let Some(user) = &self.user {
            let whole = json!(came.user);
            let given = |name: &String| (name.clone(), whole.get(name).cloned().unwrap_or_default());
            let found: BTreeMap<String, Value> = user.keys().map(given).collect();
            if found != *user {
                wrong.push(Mismatch::values("user", &json!(user), &json!(found)));
            }
        }
        if let Some(answer) = &self.answer
            && came.answer.as_ref() != Some(answer)
        {
            wrong.push(Mismatch::values("answer", answer, came.answer.as_ref().unwrap_or(&Value::Null)));
        }
        for expected in self.settings_errors.iter().flatten() {
            let path = expected.path.as_deref().map(setting);
            let meets = |it: &WrongSetting| {
                path.as_ref().is_none_or(|path| it.field == *path)
                    && expected.message.as_ref().is_none_or(|part| it.message.contains(part.as_str()))
            };
            if !came.settings_errors.iter().any(meets) {
                let words = [path.clone(), expected.message.clone()].into_iter().flatten().collect::<Vec<_>>();
                let said = came.settings_errors.iter().map(|it| format!("{}: {}", it.field, it.message));
                let said = said.collect::<Vec<_>>().join("\n");
                wrong.push(Mismatch::new("settingsErrors", words.join(": "), said));
            }
        }
        wrong
    }
}

impl Came {
    fn is(&self, verdict: Verdict) -> bool {
        match (verdict, self.verdict) {
            // Who allows without a change has left it unchanged.
            (Verdict::Allowed, Some(Verdict::Unchanged)) => true,
            (Verdict::Unchanged, Some(Verdict::Allowed)) => self.mutators,
            (verdict, came) => Some(verdict) == came,
        }
    }

    /// With the name of a policy before each key, as the audit log has it, whether the author wrote it or not.
    fn in_full(&self, expected: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let full = |(key, value): (&String, &String)| {
            let prefixed = self.policies.iter().map(|policy| annotation_key(policy, key));
            let mut keys: Vec<String> = Some(key.clone()).into_iter().chain(prefixed).collect();
            let same = keys.iter().find(|key| self.annotations.get(*key) == Some(value));
            let there = same.or_else(|| keys.iter().find(|key| self.annotations.contains_key(*key))).cloned();
            // What nobody wrote is shown as the last policy would have written it.
            let key = there.or_else(|| keys.pop()).unwrap_or_default();
            (key, value.clone())
        };
        expected.iter().map(full).collect()
    }
}

impl ExpectedCause {
    fn meets(&self, cause: &CameCause) -> bool {
        self.field.as_ref().is_none_or(|it| *it == cause.field)
            && self.reason.as_ref().is_none_or(|it| *it == cause.reason)
            && self.message.as_ref().is_none_or(|it| cause.message.contains(it.as_str()))
    }

    fn json(&self) -> Value {
        let fields = [("field", &self.field), ("reason", &self.reason), ("message", &self.message)];
        fields.into_iter().filter_map(|(name, it)| Some((name.to_owned(), json!(it.as_ref()?)))).collect()
    }
}

/// A JSON Pointer as the field of an object.
fn setting(pointer: &str) -> String {
    format!("spec.settings{}", crate::policy::dotted(pointer))
}

fn named<S: serde::Serializer>(verdict: &Option<Verdict>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict.map_or("", Verdict::name))
}
