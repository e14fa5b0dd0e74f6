//! `spec.matchConstraints` and `spec.matchConditions`: the rules of ValidatingAdmissionPolicy's matchConstraints and matchConditions
//! (kubernetes `pkg/apis/admissionregistration/validation`).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    fields::{Field, Object, Report},
    names::{NAMESPACE_NAME_LABEL, is_label_value, is_path_segment, is_qualified_name},
};
use crate::{
    cel::{Condition, Subject},
    spec::{
        Kind, LabelSelector, MAX_CONDITIONS, MatchCondition, MatchSpec, Operator, Requirement, ResourceRule, Scope,
    },
};

/// Parses `matchConstraints` and `matchConditions` of `object`, which is one of `kind` or stands for one.
pub(super) fn match_spec(object: &Object<'_>, kind: Kind, report: &mut Report<'_>) -> MatchSpec {
    let constraints = object.optional("matchConstraints").map(|field| constraints(field, report));
    MatchSpec { match_conditions: conditions(object, kind, report), ..constraints.unwrap_or_default() }
}

/// What the conditions of a kind are about. None: events are of whatever shape, and nothing can be said of them.
pub(crate) fn subject(kind: Kind) -> Option<Subject> {
    match kind {
        Kind::Validator | Kind::Mutator => Some(Subject::Admission),
        Kind::Authorizer => Some(Subject::SubjectAccessReview),
        Kind::Authenticator => Some(Subject::TokenReview),
        Kind::Provider => None,
    }
}

fn constraints(field: &Field<'_>, report: &mut Report<'_>) -> MatchSpec {
    let known = ["resourceRules", "excludeResourceRules", "namespaceSelector", "objectSelector", "matchPolicy"];
    let Some(object) = field.object(&known, report) else {
        return MatchSpec::default();
    };
    let policies = [("Equivalent", false), ("Exact", true)];
    let exact = object.optional("matchPolicy").and_then(|field| field.choice(&policies, report));
    let namespace_selector = object.optional("namespaceSelector").map(|field| {
        let selector = selector(field, report);
        only_names(field, &selector, report);
        selector
    });
    MatchSpec {
        exact: exact.unwrap_or_default(),
        resource_rules: rules(&object, "resourceRules", report),
        exclude_resource_rules: rules(&object, "excludeResourceRules", report),
        namespace_selector,
        object_selector: object.optional("objectSelector").map(|field| selector(field, report)),
        match_conditions: Vec::new(),
    }
}

fn rules(object: &Object<'_>, name: &str, report: &mut Report<'_>) -> Vec<ResourceRule> {
    let items = object.optional(name).map(|field| field.list(report)).unwrap_or_default();
    items.iter().filter_map(|item| rule(item, report)).collect()
}

fn rule(field: &Field<'_>, report: &mut Report<'_>) -> Option<ResourceRule> {
    let known = ["apiGroups", "apiVersions", "resources", "operations", "resourceNames", "scope"];
    let object = field.object(&known, report)?;
    let scopes = [("*", Scope::All), ("Cluster", Scope::Cluster), ("Namespaced", Scope::Namespaced)];
    let scope = object.optional("scope").and_then(|field| field.choice(&scopes, report));
    Some(ResourceRule {
        api_groups: words(
            &object,
            "apiGroups",
            is_group,
            "a group without its version, such as apps; \"\" is the core group",
            report,
        ),
        api_versions: words(&object, "apiVersions", is_version, "a version without its group, such as v1", report),
        resources: resources(&object, report),
        operations: words(
            &object,
            "operations",
            |word| OPERATIONS.contains(&word),
            "one of CREATE, UPDATE, DELETE, CONNECT, *",
            report,
        ),
        resource_names: resource_names(&object, report),
        scope: scope.unwrap_or_default(),
    })
}

/// A list with at least one item, where `*` stands alone.
fn words(
    object: &Object<'_>,
    name: &str,
    is_valid: impl Fn(&str) -> bool,
    what: &str,
    report: &mut Report<'_>,
) -> Vec<String> {
    let Some(field) = object.required(name, report) else {
        return Vec::new();
    };
    let words = field.texts(report);
    for (item, word) in &words {
        if *word != "*" && !is_valid(word) {
            item.expected(report, what);
        }
    }
    if words.len() > 1 && words.iter().any(|(_, word)| *word == "*") {
        field.error(report, "\"*\" stands for all and must be alone");
    }
    at_least_one(field, report);
    words.into_iter().map(|(_, word)| word.into()).collect()
}

fn at_least_one(field: &Field<'_>, report: &mut Report<'_>) {
    if matches!(&field.node.value, super::yaml::Value::List(items) if items.is_empty()) {
        field.error(report, "expected at least one item");
    }
}

fn is_group(word: &str) -> bool {
    !word.contains(['/', '*']) && !word.contains(char::is_whitespace)
}

fn is_version(word: &str) -> bool {
    !word.is_empty() && is_group(word)
}

fn resources(object: &Object<'_>, report: &mut Report<'_>) -> Vec<String> {
    let Some(field) = object.required("resources", report) else {
        return Vec::new();
    };
    let items = field.texts(report);
    let texts: Vec<&str> = items.iter().map(|(_, text)| *text).collect();
    for (item, text) in &items {
        if !is_resource(text) {
            item.expected(
                report,
                "a resource in lower case and plural, such as pods, pods/status, */scale, pods/* or *",
            );
        } else if let Some(wider) = wider(text, &texts) {
            item.error(report, format!("{text:?} is part of {wider:?}, which stands beside it"));
        }
    }
    at_least_one(field, report);
    texts.into_iter().map(String::from).collect()
}

fn is_resource(text: &str) -> bool {
    let (resource, subresource) = match text.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (text, None),
    };
    let plain = |part: &str| !part.is_empty() && !part.contains(['*', ' ']);
    let lower = !resource.contains(|letter: char| letter.is_ascii_uppercase());
    (resource == "*" || plain(resource) && lower) && subresource.is_none_or(|part| part == "*" || plain(part))
}

/// What in the same list already says `text`, as Kubernetes refuses it.
fn wider<'t>(text: &str, all: &[&'t str]) -> Option<&'t str> {
    let covers = |other: &&&str| match (other.split_once('/'), text.split_once('/')) {
        (None, None) => **other == "*" && text != "*",
        (Some(("*", "*")), _) => text != "*/*",
        (Some((resource, "*")), Some((name, part))) => resource == name && part != "*",
        (Some(("*", part)), Some((name, subresource))) => part == subresource && name != "*",
        _ => false,
    };
    all.iter().find(covers).copied()
}

fn resource_names(object: &Object<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = object.optional("resourceNames").map(|field| field.texts(report)).unwrap_or_default();
    for (item, name) in &names {
        if !is_path_segment(name) {
            item.expected(report, "the name of an object");
        } else if !seen.insert(*name) {
            item.error(report, format!("{name:?} is there twice"));
        }
    }
    names.into_iter().map(|(_, name)| name.into()).collect()
}

fn selector(field: &Field<'_>, report: &mut Report<'_>) -> LabelSelector {
    let Some(object) = field.object(&["matchLabels", "matchExpressions"], report) else {
        return LabelSelector::default();
    };
    let mut match_labels = BTreeMap::new();
    for (key, item) in object.optional("matchLabels").map(|field| field.entries(report)).unwrap_or_default() {
        if !is_qualified_name(key) {
            item.error(report, "its name is not a label key");
        }
        if let Some(value) = label_value(&item, report) {
            match_labels.insert(key.into(), value);
        }
    }
    let expressions = object.optional("matchExpressions").map(|field| field.list(report)).unwrap_or_default();
    LabelSelector {
        match_labels,
        match_expressions: expressions.iter().filter_map(|item| requirement(item, report)).collect(),
    }
}

fn requirement(field: &Field<'_>, report: &mut Report<'_>) -> Option<Requirement> {
    let object = field.object(&["key", "operator", "values"], report)?;
    let operators = [
        ("In", Operator::In),
        ("NotIn", Operator::NotIn),
        ("Exists", Operator::Exists),
        ("DoesNotExist", Operator::DoesNotExist),
    ];
    let key = object.required("key", report).and_then(|key| {
        let text = key.text(report)?;
        if !is_qualified_name(text) {
            key.expected(report, "a label key");
        }
        Some(text)
    });
    let operator = object.required("operator", report).and_then(|field| field.choice(&operators, report));
    let items = object.optional("values").map(|field| field.list(report)).unwrap_or_default();
    let (key, operator) = (key?, operator?);
    match operator {
        Operator::In | Operator::NotIn if items.is_empty() => {
            field.error(report, "expected at least one of values for In and NotIn");
        }
        Operator::Exists | Operator::DoesNotExist if !items.is_empty() => {
            field.error(report, "expected no values for Exists and DoesNotExist");
        }
        _ => {}
    }
    Some(Requirement {
        key: key.into(),
        operator,
        values: items.iter().filter_map(|item| label_value(item, report)).collect(),
    })
}

fn label_value(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.text(report)?;
    if !is_label_value(text) {
        field.expected(report, "a label value");
    }
    Some(text.into())
}

/// An AdmissionReview carries a namespace's name, and that is also the value of one label that every namespace has.
fn only_names(field: &Field<'_>, selector: &LabelSelector, report: &mut Report<'_>) {
    let expressions = selector.match_expressions.iter().map(|requirement| &requirement.key);
    for key in selector.match_labels.keys().chain(expressions) {
        if key != NAMESPACE_NAME_LABEL {
            field.error(report, format!("{key:?} cannot be decided here, since a review carries no labels of its namespace: only {NAMESPACE_NAME_LABEL} can be selected"));
        }
    }
}

fn conditions(object: &Object<'_>, kind: Kind, report: &mut Report<'_>) -> Vec<MatchCondition> {
    let Some(field) = object.optional("matchConditions") else {
        return Vec::new();
    };
    let items = field.list(report);
    if items.len() > MAX_CONDITIONS {
        field.error(report, format!("expected at most {MAX_CONDITIONS} conditions; got {}", items.len()));
    }
    let mut seen = BTreeSet::new();
    let mut conditions = Vec::new();
    for item in &items {
        let Some(object) = item.object(&["name", "expression"], report) else {
            continue;
        };
        let name = object.required("name", report).and_then(|field| Some((field, field.text(report)?)));
        if let Some((field, name)) = name {
            if !is_qualified_name(name) {
                field.expected(report, "a name such as not-nodes");
            } else if !seen.insert(name) {
                field.error(report, format!("{name:?} is the name of another condition"));
            }
        }
        let expression = object.required("expression", report).and_then(|field| {
            let text = field.text(report)?;
            if text.trim().is_empty() {
                field.expected(report, "a CEL expression");
            } else if let Some(subject) = subject(kind)
                && let Err(words) = Condition::compile(name.map_or("", |(_, name)| name), text, subject)
            {
                // Now, so that it is told with everything else that is wrong, and with its line.
                field.error(report, words);
            }
            Some(text)
        });
        if let (Some((_, name)), Some(expression)) = (name, expression) {
            conditions.push(MatchCondition { name: name.into(), expression: expression.into() });
        }
    }
    conditions
}

const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
