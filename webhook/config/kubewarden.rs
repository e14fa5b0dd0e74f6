//! Kubewarden's `policies.yml`: a mapping from ids to policies. Follows its policy-server (config.rs): there each id is asked at
//! `/validate/ID` about whatever arrives, whatever its metadata says.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tracing::warn;

use super::{
    ConfigError,
    component::web,
    fields::{Field, Object, Report},
    yaml::{Node, Value},
};
use crate::spec::{
    Actions, Class, ComponentRef, Family, Grants, GroupSpec, HostCapabilities, Image, Kind, Kubewarden, Limits,
    Location, MAX_TIME, NotAnImage, PolicySpec, Runs,
};

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
        let place = Place { document, folder };
        if field.at("expression").is_some() {
            specs.extend(group(id, &field, place, &mut report));
        } else {
            specs.extend(policy(id, &field, None, place, &mut report));
        }
    }
    report.object = None;
    report.finish()?;
    Ok(specs)
}

/// Where a document stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    document: &'a str,
    folder: &'a Path,
}

/// None only after an error was reported.
fn group(id: &str, field: &Field<'_>, place: Place<'_>, report: &mut Report<'_>) -> Option<PolicySpec> {
    let known = ["expression", "message", "policyMode", "policies", "namespacedName"];
    let is_id = is_id(id, field, report);
    let object = field.object(&known, report).filter(|_| is_id)?;
    let expression = object.required("expression", report).and_then(|it| it.text(report));
    let message = object.required("message", report).and_then(|it| it.text(report));
    let actions = actions(&object, report);
    let policies = object.required("policies", report).map(|it| it.entries(report)).unwrap_or_default();
    let names: Vec<&str> = policies.iter().map(|(name, _)| *name).collect();
    // There whoever is not in the expression is passed over.
    super::group::expression(field, &names, &[], report);
    let members = policies.iter().map(|(name, field)| policy(name, field, Some(id), place, report));
    // All of them, so that every error is told.
    let members: Vec<Option<PolicySpec>> = members.collect();
    let members = members.into_iter().collect::<Option<Vec<_>>>()?;
    let limits = Limits { time: GroupSpec::time(&members), ..Limits::default() };
    let runs = Runs::Group(GroupSpec { expression: expression?.to_owned(), members });
    Some(PolicySpec {
        actions: actions?,
        own_constraints: true,
        limits,
        message: Some(message?.to_owned()),
        kubewarden: Some(Kubewarden { may_mutate: false, looks_up: false }),
        ..PolicySpec::of(Some(Kind::PolicyGroup), id, runs, place.document.to_owned())
    })
}

fn is_id(id: &str, field: &Field<'_>, report: &mut Report<'_>) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is = !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(fits);
    if !is {
        field.error(report, format!("expected an id of letters, digits, -, _ and . that has at most {MAX_ID} of them"));
    } else if Class::of_entry(id).is_some() {
        field.error(
            report,
            "such ids stand for the policies that share an entry of a webhook configuration: choose another",
        );
        return false;
    }
    is
}

/// None only after an error was reported.
fn actions(object: &Object<'_>, report: &mut Report<'_>) -> Option<Actions> {
    let modes = [("protect", Actions::DECIDE), ("monitor", Actions::SHADOW)];
    object.optional("policyMode").map_or(Some(Actions::DECIDE), |it| it.choice(&modes, report))
}

/// None only after an error was reported.
fn policy(
    id: &str,
    field: &Field<'_>,
    group: Option<&str>,
    Place { document, folder }: Place<'_>,
    report: &mut Report<'_>,
) -> Option<PolicySpec> {
    if !is_id(id, field, report) {
        return None;
    }
    if group.is_some() {
        // Its server refuses others there: members have no mode of their own.
        field.object(&MEMBER, report)?;
    }
    for (key, unknown) in field.keys().into_iter().filter(|(key, _)| group.is_none() && !KNOWN.contains(key)) {
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
    let location = object.required("module", report).and_then(|it| module(it, folder, report));
    let actions = actions(&object, report);
    let may_mutate = object.optional("allowedToMutate").map_or(Some(false), |it| it.boolean(report));
    let settings = object.optional("settings");
    if let Some(settings) = settings.filter(|it| !matches!(it.node.value, Value::Map(_))) {
        settings.expected_secret(report, "a mapping");
    }
    let message = object.optional("message").map_or(Some(None), |it| it.text(report).map(|it| Some(it.to_owned())));
    let time = object.optional("timeoutEvalSeconds").map_or(Some(DEFAULT_TIME), |it| seconds(it, report));
    let host_capabilities = object.optional("hostCapabilities").map(|it| capabilities(it, report));
    let wanted = object.optional("contextAwareResources").filter(|it| !it.list(report).is_empty());
    if let Some(wanted) = wanted {
        warn!(
            file = report.source,
            line = wanted.node.line,
            policy = id,
            "look-ups of objects are not built yet: the policy is told that it was not granted them"
        );
    }
    let mut lines = BTreeMap::new();
    if let Some(settings) = settings {
        super::document::lines(settings.node, String::new(), report.source, &mut lines);
    }
    let may_mutate = may_mutate?;
    let (kind, name) = match group {
        Some(group) => (Kind::PolicyGroup, format!("{group}/{id}")),
        None => (if may_mutate { Kind::Mutator } else { Kind::Validator }, id.to_owned()),
    };
    let component = ComponentRef::new(location?);
    Some(PolicySpec {
        fields: [
            ("spec.component", "module"),
            ("spec.settings", "settings"),
            ("spec.grants.hostCapabilities", "hostCapabilities"),
        ]
        .map(|(ours, theirs)| (ours, theirs.to_owned()))
        .into(),
        expects: Some(Family::Kubewarden),
        settings: settings.map(|it| it.node.json().to_string()),
        settings_lines: lines,
        actions: if group.is_some() { Actions::COUNTED } else { actions? },
        own_constraints: true,
        limits: Limits { time: time?, ..Limits::default() },
        grants: Grants { host_capabilities: host_capabilities.unwrap_or_default(), ..Grants::default() },
        message: message?,
        kubewarden: Some(Kubewarden { may_mutate, looks_up: wanted.is_some() }),
        ..PolicySpec::of(Some(kind), &name, Runs::Component(component), document.to_owned())
    })
}

/// Those that are wrong are reported.
fn capabilities(field: &Field<'_>, report: &mut Report<'_>) -> HostCapabilities {
    let patterns = HostCapabilities::patterns();
    let choices: Vec<(&str, &str)> = patterns.iter().map(|it| (it.as_str(), it.as_str())).collect();
    let items = field.list(report);
    let granted = items.iter().filter_map(|it| it.choice(&choices, report)).map(str::to_owned);
    HostCapabilities::new(granted.collect()).unwrap_or_default()
}

/// Where the module is. A text without a scheme is a registry's, and without a tag the latest.
fn module(field: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> Option<Location> {
    let text = field.text(report)?;
    let image = |text: &str| {
        text.parse::<Image>().or_else(|error| match error {
            NotAnImage::NoVersion => format!("{text}:latest").parse(),
            other => Err(other),
        })
    };
    let wrong = match text.split_once("://") {
        Some(("file", path)) => return Some(Location::File(folder.join(path))),
        Some(("https", _)) => match web(text) {
            Ok(url) => return Some(Location::Url(url)),
            Err(wrong) => wrong.to_owned(),
        },
        Some(("registry", _)) | None => match image(text.strip_prefix("registry://").unwrap_or(text)) {
            Ok(image) => return Some(Location::Image(image)),
            Err(wrong) => wrong.to_string(),
        },
        Some(_) => "expected file://PATH, registry://REFERENCE or https://URL".to_owned(),
    };
    field.error(report, wrong);
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
const MEMBER: [&str; 5] = ["module", "settings", "contextAwareResources", "hostCapabilities", "timeoutEvalSeconds"];
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
                    allowedToMutate: true\n  settings: {x: [1]}\n  message: never\n  timeoutEvalSeconds: 5\n  hostCapabilities: []\n  contextAwareResources: [{apiVersion: v1, kind: Pod}]\n";
        let found = parse(text, "policies.yml", Path::new("/folder")).unwrap();
        let [a, b] = &found[..] else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), a.kind, a.limits.time), ("a-policy", Some(Kind::Validator), DEFAULT_TIME));
        assert_eq!(a.component().unwrap().location, Location::File("/folder/a.wasm".into()));
        assert!(
            a.settings.is_none()
                && a.actions.deny
                && a.kubewarden == Some(Kubewarden { may_mutate: false, looks_up: false })
        );
        assert_eq!(b.component().unwrap().location, Location::File("/b.wasm".into()));
        assert_eq!((b.settings.as_deref(), b.message.as_deref()), (Some(r#"{"x":[1]}"#), Some("never")));
        assert!(!b.actions.deny && b.kubewarden == Some(Kubewarden { may_mutate: true, looks_up: true }));
        assert_eq!(b.limits.time, Duration::from_secs(5));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "a:\n  module: registry://x:1\n  policyMode: maybe\nb:\n  module: file://b.wasm\n  settings: 7\n  \
                    timeoutEvalSeconds: 0\nc/d:\n  module: file://c.wasm\ng:\n  expression: a()\n  message: x\n  policies:\n    b: {module: file://b.wasm, policyMode: monitor}\n";
        let errors: Vec<String> =
            parse(text, "p.yml", Path::new("/")).unwrap_err().iter().map(ToString::to_string).collect();
        let expected = [
            "p.yml:2: Kubewarden policy a: a.module: it must begin with a registry",
            "p.yml:3: Kubewarden policy a: a.policyMode: expected one of protect, monitor; got \"maybe\"",
            "p.yml:6: Kubewarden policy b: b.settings: expected a mapping; got a number",
            "p.yml:7: Kubewarden policy b: b.timeoutEvalSeconds: expected whole seconds from 1 to 30; got 0",
            "p.yml:9: Kubewarden policy c/d: c/d: expected an id of letters",
            "p.yml:11: Kubewarden policy g: g.expression: line 1, column 2: a is no policy of this group; there are b",
            "p.yml:14: Kubewarden policy g: g.policies.b.policyMode: is not a field",
        ];
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// It would be asked in place of others.
    #[test]
    fn an_id_is_never_the_path_of_an_entry() {
        for (id, is_taken) in [("entry.0123456789abcdef", true), ("entry.0123456789abcdeg", false), ("entry.", false)] {
            let parsed = parse(&format!("{id}: {{module: 'file://a.wasm'}}\n"), "p.yml", Path::new("/"));
            assert_eq!(parsed.is_err(), is_taken, "{id}: {parsed:?}");
        }
    }

    #[test]
    fn groups_and_policies_share_one_space_of_names() {
        let group = "g: {expression: a(), message: x, policies: {a: {module: 'file://a.wasm'}}}\n";
        let other = group.to_owned() + "---\ng: {module: 'file://b.wasm'}\n";
        let errors = parse(&other, "p.yml", Path::new("/")).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().ends_with("the name is already used in p.yml, document 1"), "{}", errors[0]);
        assert_eq!(parse(group, "p.yml", Path::new("/")).unwrap()[0].members()[0].name, "g/a");
    }

    #[test]
    fn other_documents_are_none() {
        for text in ["a: {settings: {}}", "apiVersion: x\nkind: Z\nspec: {module: z}", "a: {module: x}\nb: 7"] {
            let node = crate::config::yaml::documents(text).remove(0).ok().unwrap();
            assert!(!is_policies(&node), "{text}");
        }
    }
}
