//! One document of kind PolicyTest to cases. Unknown fields are errors; relative paths are relative to the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value as Json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Case, Setup,
    expect::{Verdict, expect},
    object::{Circumstances, Object},
    snapshot,
};
use crate::{
    config::{
        fields::{self, Field, Report},
        limits,
        yaml::{self, Node, Value},
    },
    loader::file,
    review::user::UserInfo,
    spec::{Limits, Operation, declared::AUTHOR_API_VERSION},
};

/// What is known of the file while it is read.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    /// Names of the cases so far.
    pub(super) names: &'a mut BTreeSet<String>,
    /// What their snapshots are called.
    pub(super) slugs: &'a mut BTreeSet<String>,
    /// Files that cases name.
    pub(super) used: &'a mut BTreeSet<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn cases(&mut self, node: &Node, report: &mut Report<'_>) -> Vec<Case> {
        let known = ["apiVersion", "kind", "settings", "policies", "env", "limits", "cases"];
        let Some(document) = Field::root(node).object(&known, report) else { return Vec::new() };
        for (name, word) in [("apiVersion", AUTHOR_API_VERSION), ("kind", KIND)] {
            if let Some(field) = document.required(name, report) {
                field.choice(&[(word, ())], report);
            }
        }
        let policies = document.optional("policies").map(|field| self.policies(field, report)).unwrap_or_default();
        let shared = Setup {
            settings: settings(&document, &policies, report),
            env: document.optional("env").map(|field| environment(field, report)).unwrap_or_default(),
            limits: limits(&document, &policies, report),
            policies,
        };
        let cases = document.required("cases", report).map(|field| {
            let items = field.list(report);
            if items.is_empty() {
                field.error(report, "expected at least one case");
            }
            items
        });
        cases.into_iter().flatten().filter_map(|field| self.case(&field, &shared, report)).collect()
    }

    fn policies(&mut self, field: &Field<'_>, report: &mut Report<'_>) -> Vec<PathBuf> {
        let paths = field.texts(report).into_iter();
        paths.filter_map(|(field, text)| self.find(&field, text, report)).collect()
    }

    /// None only after an error was reported.
    fn case(&mut self, field: &Field<'_>, shared: &Setup, report: &mut Report<'_>) -> Option<Case> {
        let case = field.object(CASE, report)?;
        let name = case.required("name", report).and_then(|field| self.name(field, report));
        let own = settings(&case, &shared.policies, report);
        let env = case.optional("env").map(|field| environment(field, report)).unwrap_or_default();
        let setup = Setup {
            policies: shared.policies.clone(),
            limits: shared.limits,
            settings: own.or_else(|| shared.settings.clone()),
            env: shared.env.clone().into_iter().chain(env).collect(),
        };
        let expected = case.required("expect", report).and_then(|field| expect(field, report));
        if let (Some(name), true) = (&name, expected.as_ref().is_some_and(|it| it.snapshot)) {
            let slug = snapshot::slug(name);
            if slug.is_empty() || !self.slugs.insert(slug) {
                field.error(report, "its snapshot needs a file's name of its own: give it a name with other words");
            }
        }
        let refused = expected.as_ref().is_some_and(|it| it.verdict == Some(Verdict::SettingsError));
        let asks = QUESTIONS.iter().any(|name| case.given(name).is_some());
        // Where the settings are refused nothing can be asked.
        let review = if refused && !asks { Some(String::new()) } else { self.question(&case, field, report) };
        let now = case.optional("now").filter(|field| {
            // Settings are read before, once for all cases.
            if refused && !asks {
                field.error(report, format!("only goes with {}", QUESTIONS.join(", ")));
            }
            asks
        });
        let now = now.and_then(|field| time(field, report));
        let idempotent = case.optional("idempotent").is_none_or(|field| field.boolean(report).unwrap_or(true));
        let (file, expect) = (self.path.to_owned(), expected?);
        Some(Case { file, name: name?, setup, review: review?, now, expect, idempotent })
    }

    fn name(&mut self, field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
        let name = field.text(report)?.trim();
        if name.is_empty() || name.len() > MAX_NAME {
            field.error(report, format!("a name has from 1 to {MAX_NAME} bytes"));
            return None;
        }
        if !self.names.insert(name.to_owned()) {
            field.error(report, format!("another case of this file is called {name:?} too"));
            return None;
        }
        Some(name.to_owned())
    }

    /// The review or event as JSON; None only after an error was reported.
    fn question(&mut self, case: &fields::Object<'_>, at: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
        let asked: Vec<_> = QUESTIONS.iter().filter_map(|name| Some((*name, case.given(name)?))).collect();
        let [(name, field)] = asked[..] else {
            at.error(report, format!("expected exactly one of {}", QUESTIONS.join(", ")));
            return None;
        };
        if name != "object" {
            for name in OF_OBJECTS {
                if let Some(field) = case.optional(name) {
                    field.error(report, "is allowed only with object");
                }
            }
            let (tree, text) = self.value(field, report)?;
            if name == "review" && !Object::new(tree)?.is_review() {
                field.error(
                    report,
                    "expected an AdmissionReview, a TokenReview or a SubjectAccessReview (a bare object is `object:`)",
                );
                return None;
            }
            return Some(text);
        }
        let object = self.object(field, report);
        let operations = [("CREATE", Operation::Create), ("UPDATE", Operation::Update), ("DELETE", Operation::Delete)];
        let operation = case.optional("operation").and_then(|field| field.choice(&operations, report));
        let operation = operation.unwrap_or(Operation::Create);
        let old = match (case.optional("oldObject"), operation) {
            (None, Operation::Update) => {
                at.error(report, "operation UPDATE needs oldObject: the object as it is stored");
                return None;
            }
            (Some(field), Operation::Update) => Some(self.object(field, report)?),
            (Some(field), _) => {
                field.error(report, "is allowed only with operation: UPDATE (what is deleted is `object:`)");
                return None;
            }
            (None, _) => None,
        };
        let mut text = |name| case.optional(name).and_then(|field| field.text(report).map(str::to_owned));
        let (namespace, resource, subresource) = (text("namespace"), text("resource"), text("subresource"));
        let user = match case.optional("user") {
            Some(field) => user(field, report)?,
            None => UserInfo { username: "jane".to_owned(), ..UserInfo::default() },
        };
        let review = Circumstances { operation, user, namespace, resource, subresource };
        let review = review.review(&object?, old.as_ref());
        review.map_err(|words| field.error(report, words)).ok()
    }

    fn object(&mut self, field: &Field<'_>, report: &mut Report<'_>) -> Option<Object> {
        let (_, text) = self.value(field, report)?;
        let object = Object::parse(&text).map_err(|error| field.error(report, error.to_string())).ok()?;
        if object.kind().is_none() {
            field.error(report, "expected an object with apiVersion and kind");
            return None;
        }
        Some(object)
    }

    /// A value that is written here, or stands in a file of YAML or JSON: its tree, and its text as JSON.
    fn value(&mut self, field: &Field<'_>, report: &mut Report<'_>) -> Option<(Json, String)> {
        let Value::Text(path) = &field.node.value else {
            let tree = field.node.json();
            let text = tree.to_string();
            return Some((tree, text));
        };
        let path = self.find(field, path, report)?;
        let read = read(&path).map_err(|words| field.error(report, format!("{}{words}", path.display())));
        read.ok()
    }

    /// A file that this one names.
    fn find(&mut self, field: &Field<'_>, path: &str, report: &mut Report<'_>) -> Option<PathBuf> {
        let path = self.path.parent().unwrap_or(Path::new(".")).join(path);
        match fs::canonicalize(&path) {
            Ok(real) => {
                self.used.insert(real);
                Some(path)
            }
            Err(error) => {
                field.error(report, format!("{}: {error}", path.display()));
                None
            }
        }
    }
}

/// The one document of a file; errors begin with what follows the file's name.
fn read(path: &Path) -> Result<(Json, String), String> {
    let bytes = file::read(path, MAX_OBJECT).map_err(|error| format!(": {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| ": it is not UTF-8".to_owned())?;
    // JSON stays as it came, spelling of numbers included.
    if let Ok(tree) = serde_json::from_str(&text) {
        return Ok((tree, text.trim().to_owned()));
    }
    let mut documents = yaml::documents(&text).into_iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err(": expected one document of YAML or JSON".to_owned());
    };
    match document {
        Ok(node) => {
            let tree = node.json();
            let text = tree.to_string();
            Ok((tree, text))
        }
        Err(problems) => {
            let first = problems.first().map(|it| format!(":{}: {}", it.line, it.message));
            Err(first.unwrap_or_default())
        }
    }
}

fn settings(object: &fields::Object<'_>, policies: &[PathBuf], report: &mut Report<'_>) -> Option<String> {
    let field = object.optional("settings")?;
    if !policies.is_empty() {
        field.error(report, "a file with `policies` takes the settings from them");
        return None;
    }
    let Value::Map(_) = &field.node.value else {
        field.expected(report, "a mapping");
        return None;
    };
    Some(field.node.json().to_string())
}

fn limits(document: &fields::Object<'_>, policies: &[PathBuf], report: &mut Report<'_>) -> Limits {
    let Some(field) = document.optional("limits") else { return Limits::default() };
    if !policies.is_empty() {
        field.error(report, "a file with `policies` takes the limits from them");
    }
    limits::limits(field, report)
}

/// From 1970 on, and as long as nanoseconds since then fit into 64 bits with a sign, in which Go counts.
fn time(field: &Field<'_>, report: &mut Report<'_>) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(field.text(report)?, &Rfc3339).ok();
    let since = time.and_then(|it| i64::try_from(it.unix_timestamp_nanos()).ok()).and_then(|it| u64::try_from(it).ok());
    if since.is_none() {
        field.expected(report, "a time of RFC 3339 from 1970 to 2261, such as 2026-03-02T09:00:00+01:00");
    }
    Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(since?))
}

fn environment(field: &Field<'_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let entries = field.entries(report).into_iter();
    entries.filter_map(|(name, field)| Some((name.to_owned(), field.text(report)?.to_owned()))).collect()
}

fn user(field: &Field<'_>, report: &mut Report<'_>) -> Option<UserInfo> {
    field.object(&["username", "uid", "groups", "extra"], report)?;
    let user = serde_json::from_value(field.node.json());
    user.map_err(|error| field.error(report, format!("expected username, uid, groups and extra of a user: {error}")))
        .ok()
}

pub(super) const KIND: &str = "PolicyTest";
const CASE: &[&str] = &[
    "name",
    "settings",
    "env",
    "object",
    "oldObject",
    "review",
    "event",
    "now",
    "operation",
    "user",
    "namespace",
    "resource",
    "subresource",
    "expect",
    "idempotent",
];
const QUESTIONS: [&str; 3] = ["object", "review", "event"];
const OF_OBJECTS: [&str; 6] = ["oldObject", "operation", "user", "namespace", "resource", "subresource"];
const MAX_NAME: usize = 200;
/// Bytes of a file with an object or a review.
const MAX_OBJECT: u64 = 16 << 20;
