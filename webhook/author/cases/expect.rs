//! What a case expects: `expect`, field by field.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::config::{
    fields::{Field, Object, Report},
    yaml::Value,
};

/// What should come of a case. What is None is not compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// Always there, but for a snapshot.
    pub verdict: Option<Verdict>,
    /// A part of the message.
    pub message: Option<String>,
    /// HTTP status code of a denial.
    pub code: Option<u16>,
    /// StatusReason of a denial.
    pub reason: Option<String>,
    /// All causes of a denial, in order.
    pub causes: Option<Vec<ExpectedCause>>,
    /// A part of each warning, in order.
    pub warnings: Option<Vec<String>>,
    /// All audit annotations; the policy's name before a key may be left out.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The whole object after the patch.
    pub object: Option<Json>,
    /// Fields of the user; others are not compared.
    pub user: Option<BTreeMap<String, Json>>,
    /// The whole answer of a provider.
    pub answer: Option<Json>,
    /// Settings that are wrong, others may be too.
    pub settings_errors: Option<Vec<ExpectedError>>,
    /// Whether all of it is compared with what was blessed.
    pub snapshot: bool,
}

/// A cause of a denial. What is None is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedCause {
    /// Path of the field.
    pub field: Option<String>,
    /// Machine-readable.
    pub reason: Option<String>,
    /// A part of it.
    pub message: Option<String>,
}

/// A setting that is wrong. What is None is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedError {
    /// A JSON Pointer into the settings.
    pub path: Option<String>,
    /// A part of it.
    pub message: Option<String>,
}

/// What can come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Admission: without a change.
    Allowed,
    /// Admission.
    Denied,
    /// Admission: allowed with a change.
    Mutated,
    /// Admission: allowed by mutators without a change.
    Unchanged,
    /// A user is known.
    Authenticated,
    /// No user is known.
    Unknown,
    /// The token is no good, and nobody else is asked.
    Rejected,
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// Others decide.
    NoOpinion,
    /// A provider's answer.
    Answered,
    /// A policy failed, and that decided.
    Error,
    /// The policy does not take these settings.
    SettingsError,
    /// No policy was asked.
    NotAsked,
}

impl Verdict {
    /// As it is written in a case.
    pub fn name(self) -> &'static str {
        VERDICTS.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// None only after an error was reported.
pub(super) fn expect(field: &Field<'_>, report: &mut Report<'_>) -> Option<Expect> {
    let object = field.object(FIELDS, report)?;
    let snapshot = object.optional("snapshot").and_then(|it| it.boolean(report)).unwrap_or_default();
    let verdict = match (object.optional("verdict"), snapshot) {
        (Some(verdict), _) => verdict.choice(&VERDICTS, report),
        (None, true) => None,
        (None, false) => {
            object.required("verdict", report);
            None
        }
    };
    if let Some(field) = object.optional("settingsErrors")
        && verdict.is_some_and(|verdict| verdict != Verdict::SettingsError)
    {
        field.error(report, "is allowed only with verdict: settings-error");
    }
    Some(Expect {
        verdict,
        message: text(&object, "message", report),
        code: object.optional("code").and_then(|it| code(it, report)),
        reason: text(&object, "reason", report),
        causes: object.optional("causes").map(|it| it.list(report).iter().filter_map(|it| cause(it, report)).collect()),
        warnings: object
            .optional("warnings")
            .map(|it| it.texts(report).into_iter().map(|(_, text)| text.to_owned()).collect()),
        annotations: object.optional("annotations").map(|it| {
            let entries = it.entries(report).into_iter();
            entries.filter_map(|(key, it)| Some((key.to_owned(), it.text(report)?.to_owned()))).collect()
        }),
        object: object.optional("object").and_then(|it| {
            if let Value::Map(_) = it.node.value {
                return Some(it.node.json());
            }
            it.expected(report, "the whole object after the patch");
            None
        }),
        user: object.optional("user").and_then(|it| user(it, report)),
        // A provider may answer null.
        answer: object.given("answer").map(|it| it.node.json()),
        settings_errors: object
            .optional("settingsErrors")
            .map(|it| it.list(report).iter().filter_map(|it| settings_error(it, report)).collect()),
        snapshot,
    })
}

fn text(object: &Object<'_>, name: &str, report: &mut Report<'_>) -> Option<String> {
    object.optional(name)?.text(report).map(str::to_owned)
}

fn code(field: &Field<'_>, report: &mut Report<'_>) -> Option<u16> {
    if let Value::Number(number) = &field.node.value
        && let Some(code) = number.as_u64().and_then(|it| u16::try_from(it).ok())
        && (400..=599).contains(&code)
    {
        return Some(code);
    }
    field.expected(report, "the HTTP status code of a denial, from 400 to 599");
    None
}

fn cause(field: &Field<'_>, report: &mut Report<'_>) -> Option<ExpectedCause> {
    let object = field.object(&["field", "reason", "message"], report)?;
    Some(ExpectedCause {
        field: text(&object, "field", report),
        reason: text(&object, "reason", report),
        message: text(&object, "message", report),
    })
}

fn user(field: &Field<'_>, report: &mut Report<'_>) -> Option<BTreeMap<String, Json>> {
    let object = field.object(USER, report)?;
    let fields = USER.iter().filter_map(|name| Some(((*name).to_owned(), object.optional(name)?.node.json())));
    Some(fields.collect())
}

fn settings_error(field: &Field<'_>, report: &mut Report<'_>) -> Option<ExpectedError> {
    let object = field.object(&["path", "message"], report)?;
    let path = object.optional("path").and_then(|field| pointer(field, report));
    Some(ExpectedError { path, message: text(&object, "message", report) })
}

fn pointer(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.text(report)?;
    if !text.is_empty() && !text.starts_with('/') {
        field.expected(report, "a JSON Pointer into the settings, such as /labels/0, or \"\" for all of them");
        return None;
    }
    Some(text.to_owned())
}

const USER: &[&str] = &["username", "uid", "groups", "extra"];
const FIELDS: &[&str] = &[
    "verdict",
    "message",
    "code",
    "reason",
    "causes",
    "warnings",
    "annotations",
    "object",
    "user",
    "answer",
    "settingsErrors",
    "snapshot",
];
const VERDICTS: [(&str, Verdict); 14] = [
    ("allowed", Verdict::Allowed),
    ("denied", Verdict::Denied),
    ("mutated", Verdict::Mutated),
    ("unchanged", Verdict::Unchanged),
    ("authenticated", Verdict::Authenticated),
    ("unknown", Verdict::Unknown),
    ("rejected", Verdict::Rejected),
    ("allow", Verdict::Allow),
    ("deny", Verdict::Deny),
    ("no-opinion", Verdict::NoOpinion),
    ("answered", Verdict::Answered),
    ("error", Verdict::Error),
    ("settings-error", Verdict::SettingsError),
    ("not-asked", Verdict::NotAsked),
];
