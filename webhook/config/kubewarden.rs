//! Kubewarden's `policies.yml`: a mapping from ids to policies. Follows its policy-server (config.rs): there each id is asked at
//! `/validate/ID` about whatever arrives, whatever its metadata says.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tracing::warn;

use super::{
    ConfigError,
    fields::{Field, Object, Report},
    yaml::{Node, Value},
};
use crate::spec::{Actions, ComponentRef, Kind, Kubewarden, Limits, Location, MAX_TIME, PolicySpec};

/// Whether a document is one of Kubewarden's: no object of Kubernetes, and each of its values is a policy or a group.
pub(super) fn is_policies(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    let has =
        |node: &Node, name: &str| matches!(&node.value, Value::Map(keys) if keys.iter().any(|(key, _)| key == name));
    !entries.is_empty()
        && !["apiVersion", "kind"].iter().any(|name| has(node, name))
        && entries.iter().all(|(_, value)| has(value, "module") || has(value, "expression"))
}

/// All policies of a document, or everything that is wrong with any of them. What is not known is passed over with a warning, as there.
pub(super) fn policies(
    node: &Node,
    file: &str,
    document: &str,
    folder: &Path,
) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let mut report = Report::new(file);
    let mut specs = Vec::new();
    for (id, field) in Field::root(node).keys() {
        report.object = Some(format!("Kubewarden policy {}", crate::text::shorten(&crate::text::line(id), 64)));
        specs.extend(policy(id, &field, document, folder, &mut report));
    }
    report.object = None;
    report.finish()?;
    Ok(specs)
}

/// None only after an error was reported.
fn policy(id: &str, field: &Field<'_>, document: &str, folder: &Path, report: &mut Report<'_>) -> Option<PolicySpec> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(fits) {
        field.error(report, format!("expected an id of letters, digits, -, _ and . that has at most {MAX_ID} of them"));
        return None;
    }
    if field.at("module").is_none() {
        field.error(report, "policy groups are not served yet: only entries with `module` are");
        return None;
    }
    for (key, unknown) in field.keys().into_iter().filter(|(key, _)| !KNOWN.contains(key)) {
        // What its controller adds is no concern of anybody.
        if key != "namespacedName" {
            warn!(
                file = report.source,
                line = unknown.node.line,
                "{}: is not a field of a Kubewarden policy: it is passed over",
                crate::text::line(&unknown.path)
            );
        }
    }
    let object = Object::of(field, field.keys());
    let path = object.required("module", report).and_then(|it| module(it, folder, report));
    let monitor = object
        .optional("policyMode")
        .map_or(Some(false), |it| it.choice(&[("protect", false), ("monitor", true)], report));
    let may_mutate = object.optional("allowedToMutate").map_or(Some(false), |it| it.boolean(report));
    let settings = object.optional("settings");
    if let Some(settings) = settings.filter(|it| !matches!(it.node.value, Value::Map(_))) {
        settings.expected_secret(report, "a mapping");
    }
    let message = object.optional("message").map_or(Some(None), |it| it.text(report).map(|it| Some(it.to_owned())));
    let time = object.optional("timeoutEvalSeconds").map_or(Some(DEFAULT_TIME), |it| seconds(it, report));
    for (name, what) in [("hostCapabilities", "host capabilities"), ("contextAwareResources", "look-ups of objects")] {
        let wanted = object.optional(name).filter(|it| !it.list(report).is_empty());
        if let Some(wanted) = wanted {
            warn!(
                file = report.source,
                line = wanted.node.line,
                policy = id,
                "{what} are not built yet: the policy is told that it was not granted them"
            );
        }
    }
    let mut lines = BTreeMap::new();
    if let Some(settings) = settings {
        super::document::lines(settings.node, String::new(), report.source, &mut lines);
    }
    let (monitor, may_mutate) = (monitor?, may_mutate?);
    Some(PolicySpec {
        kind: Some(if may_mutate { Kind::Mutator } else { Kind::Validator }),
        name: id.to_owned(),
        source: document.to_owned(),
        component: ComponentRef { location: Location::File(path?), digest: None },
        settings: settings.map(|it| it.node.json().to_string()),
        settings_lines: lines,
        actions: if monitor { Actions::SHADOW } else { Actions::DECIDE },
        own_constraints: true,
        limits: Limits { time: time?, ..Limits::default() },
        message: message?,
        kubewarden: Some(Kubewarden { may_mutate }),
        ..PolicySpec::file(id, Path::new(""))
    })
}

/// Where the module is.
fn module(field: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> Option<std::path::PathBuf> {
    let text = field.text(report)?;
    if let Some(path) = text.strip_prefix("file://") {
        return Some(folder.join(path));
    }
    let words = match text.split_once("://") {
        Some(("registry" | "https" | "http", _)) | None => {
            "modules from registries and from the web are not fetched yet: save it beside this file and write file://FILE (a text without \
             a scheme is a registry's too)"
        }
        Some(_) => "expected file://PATH, registry://REFERENCE or https://URL",
    };
    field.error(report, words);
    None
}

fn seconds(field: &Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let seconds = match &field.node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    let time = seconds.map(Duration::from_secs).filter(|it| !it.is_zero() && *it <= MAX_TIME);
    if time.is_none() {
        field.expected(report, &format!("whole seconds from 1 to {}", MAX_TIME.as_secs()));
    }
    time
}

const KNOWN: [&str; 9] = [
    "module",
    "policyMode",
    "allowedToMutate",
    "settings",
    "contextAwareResources",
    "hostCapabilities",
    "message",
    "timeoutEvalSeconds",
    "namespacedName",
];
/// `--policy-timeout` of its server.
const DEFAULT_TIME: Duration = Duration::from_secs(2);
const MAX_ID: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn a_file_of_policies_is_recognised_and_read() {
        let text = "a-policy:\n  module: file://a.wasm\n  namespacedName: x\nB_2.c:\n  module: file:///b.wasm\n  policyMode: monitor\n  \
                    allowedToMutate: true\n  settings: {x: [1]}\n  message: never\n  timeoutEvalSeconds: 5\n  hostCapabilities: []\n";
        let found = parse(text, "policies.yml", Path::new("/folder")).unwrap();
        let [a, b] = &found[..] else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), a.kind, a.limits.time), ("a-policy", Some(Kind::Validator), DEFAULT_TIME));
        assert_eq!(a.component.location, Location::File("/folder/a.wasm".into()));
        assert!(a.settings.is_none() && a.actions.deny && a.kubewarden == Some(Kubewarden { may_mutate: false }));
        assert_eq!(b.component.location, Location::File("/b.wasm".into()));
        assert_eq!((b.settings.as_deref(), b.message.as_deref()), (Some(r#"{"x":[1]}"#), Some("never")));
        assert!(!b.actions.deny && b.kubewarden == Some(Kubewarden { may_mutate: true }));
        assert_eq!(b.limits.time, Duration::from_secs(5));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "a:\n  module: registry://ghcr.io/x:1\n  policyMode: maybe\nb:\n  module: file://b.wasm\n  settings: 7\n  \
                    timeoutEvalSeconds: 0\nc/d:\n  module: file://c.wasm\ng:\n  expression: a()\n  message: x\n  policies: {}\n";
        let errors: Vec<String> =
            parse(text, "p.yml", Path::new("/")).unwrap_err().iter().map(ToString::to_string).collect();
        let expected = [
            "p.yml:2: Kubewarden policy a: a.module: modules from registries",
            "p.yml:3: Kubewarden policy a: a.policyMode: expected one of protect, monitor; got \"maybe\"",
            "p.yml:6: Kubewarden policy b: b.settings: expected a mapping; got a number",
            "p.yml:7: Kubewarden policy b: b.timeoutEvalSeconds: expected whole seconds from 1 to 30; got 0",
            "p.yml:9: Kubewarden policy c/d: c/d: expected an id of letters",
            "p.yml:11: Kubewarden policy g: g: policy groups are not served yet",
        ];
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn other_documents_are_none() {
        for text in ["a: {settings: {}}", "apiVersion: x\nkind: Z\nspec: {module: z}", "a: {module: x}\nb: 7"] {
            let node = crate::config::yaml::documents(text).remove(0).ok().unwrap();
            assert!(!is_policies(&node), "{text}");
        }
    }
}
