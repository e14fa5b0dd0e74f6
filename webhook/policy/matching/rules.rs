//! matchConstraints, without a cluster at hand: resources, scope, the name of the namespace, labels.
//!
//! Follows k8s.io/apiserver `pkg/admission/plugin/webhook/predicates`. Objects are read only as far as their labels,
//! and only where a selector asks for them.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use super::Decision;
use crate::{
    config::{
        names::NAMESPACE_NAME_LABEL,
        schema::{LabelSelector, MatchSpec, ResourceRule, Scope},
    },
    review::{
        access::{Operator, Requirement},
        admission::{AdmissionRequest, same},
    },
};

impl MatchSpec {
    /// Whether a policy is asked about `request`; `object` is the object as changed so far in a chain of mutators.
    ///
    /// # Errors
    /// Labels that an object selector needs cannot be read; words for the operator.
    pub(super) fn admission(&self, request: &AdmissionRequest<'_>, object: Option<&str>) -> Result<Decision, String> {
        let applies = |rule: &ResourceRule| rule.misses(request).is_none();
        let rule = self.resource_rules.iter().position(applies);
        if rule.is_none() && !self.resource_rules.is_empty() {
            return Ok(Decision::NoRule);
        }
        if let Some(rule) = self.exclude_resource_rules.iter().position(applies) {
            return Ok(Decision::Excluded(rule));
        }
        if let (Some(selector), Some(namespace)) = (&self.namespace_selector, namespace(request)) {
            let labels = BTreeMap::from([(Cow::Borrowed(NAMESPACE_NAME_LABEL), Cow::Borrowed(namespace))]);
            if !selector.holds(&labels) {
                return Ok(Decision::Namespace);
            }
        }
        let Some(selector) = &self.object_selector else { return Ok(Decision::Asked(rule)) };
        for text in [object, request.old_object.map(serde_json::value::RawValue::get)].into_iter().flatten() {
            if selector.holds(&labels(text)?) {
                return Ok(Decision::Asked(rule));
            }
        }
        Ok(Decision::Object)
    }
}

/// The first part of a rule that a request does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Operation,
    Group,
    Version,
    Resource,
    Name,
    Scope,
}

impl ResourceRule {
    /// None: it applies.
    pub(super) fn misses(&self, request: &AdmissionRequest<'_>) -> Option<Part> {
        let listed = |list: &[String], value: &str| list.iter().any(|it| it == "*" || same(it, value));
        let scope = || match self.scope {
            Scope::All => true,
            Scope::Cluster => !is_namespaced(request),
            Scope::Namespaced => is_namespaced(request),
        };
        if !listed(&self.operations, request.operation.name()) {
            Some(Part::Operation)
        } else if !listed(&self.api_groups, &request.resource.group) {
            Some(Part::Group)
        } else if !listed(&self.api_versions, &request.resource.version) {
            Some(Part::Version)
        } else if !self.resources.iter().any(|it| names(it, &request.resource.resource, &request.subresource)) {
            Some(Part::Resource)
        } else if !self.resource_names.is_empty() && !self.resource_names.contains(&request.name) {
            Some(Part::Name)
        } else if !scope() {
            Some(Part::Scope)
        } else {
            None
        }
    }
}

/// `pods`, `pods/*`, `*`, `*/scale`, `*/*`: without a slash, subresources are not meant.
fn names(rule: &str, resource: &str, subresource: &str) -> bool {
    let (of_resource, of_subresource) = rule.split_once('/').unwrap_or((rule, ""));
    (of_resource == "*" || same(of_resource, resource)) && (of_subresource == "*" || same(of_subresource, subresource))
}

/// Namespaces carry their own name as namespace, and are cluster-scoped all the same.
fn is_namespaced(request: &AdmissionRequest<'_>) -> bool {
    !request.namespace.is_empty() && !is_namespace(request)
}

fn is_namespace(request: &AdmissionRequest<'_>) -> bool {
    request.resource.group.is_empty() && request.resource.resource == "namespaces"
}

/// The namespace by which a request is selected; None for other cluster-scoped objects, which a selector never leaves out.
fn namespace<'a>(request: &'a AdmissionRequest<'_>) -> Option<&'a str> {
    if is_namespace(request) {
        // On create, the object is the namespace, and its name is in either field.
        return Some(if request.name.is_empty() { &request.namespace } else { &request.name });
    }
    (!request.namespace.is_empty()).then_some(&request.namespace)
}

type Labels<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

fn labels(object: &str) -> Result<Labels<'_>, String> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow)]
        metadata: Option<Metadata<'a>>,
    }
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow)]
        labels: Option<Labels<'a>>,
    }
    let object: Object<'_> =
        serde_json::from_str(object).map_err(|error| format!("the labels of the object cannot be read: {error}"))?;
    Ok(object.metadata.and_then(|it| it.labels).unwrap_or_default())
}

impl LabelSelector {
    fn holds(&self, labels: &Labels<'_>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key.as_str()).is_some_and(|it| it == value))
            && self.match_expressions.iter().all(|it| it.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels<'_>) -> bool {
        let value = labels.get(self.key.as_str());
        let listed = value.is_some_and(|value| self.values.iter().any(|it| it == value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::review::admission;

    fn matches(spec: &str, resource: &str, subresource: &str, namespace: &str, object: &str) -> bool {
        let text = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Policy\nmetadata: {{name: p}}\nspec: {{component: 'builtin:x', match: {spec}}}"
        );
        let specs = crate::config::parse(&text, "f", std::path::Path::new(".")).unwrap();
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"CREATE",
            "kind":{{"version":"v1","kind":"K"}},"resource":{{"version":"v1","resource":"{resource}"}},"subResource":"{subresource}",
            "namespace":"{namespace}","name":"n","object":{object}}}}}"#
        );
        let request = admission::decode(body.as_bytes()).unwrap().review;
        specs[0].matching.admission(&request, request.object.map(serde_json::value::RawValue::get)).unwrap().is_asked()
    }

    fn rule(resources: &str, more: &str) -> String {
        format!(
            "{{resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [{resources}]{more}}}]}}"
        )
    }

    #[test]
    fn rules_name_resources_and_subresources() {
        for (rules, resource, subresource, expected) in [
            ("pods", "pods", "", true),
            ("pods", "pods", "status", false),
            ("pods/status", "pods", "status", true),
            ("'pods/*'", "pods", "exec", true),
            ("'*'", "secrets", "", true),
            ("'*'", "pods", "exec", false),
            ("'*/*'", "pods", "exec", true),
            ("'*/scale'", "deployments", "scale", true),
            ("secrets", "pods", "", false),
        ] {
            assert_eq!(
                matches(&rule(rules, ""), resource, subresource, "d", "{}"),
                expected,
                "{rules} {resource}/{subresource}"
            );
        }
    }

    #[test]
    fn scope_counts_namespaces_as_cluster_scoped() {
        assert!(matches(&rule("pods", ", scope: Namespaced"), "pods", "", "d", "{}"));
        assert!(!matches(&rule("pods", ", scope: Cluster"), "pods", "", "d", "{}"));
        assert!(matches(&rule("namespaces", ", scope: Cluster"), "namespaces", "", "n", "{}"));
        assert!(!matches(&rule("pods", ", resourceNames: [other]"), "pods", "", "d", "{}"));
    }

    #[test]
    fn a_namespace_selector_looks_at_the_name_only() {
        let not = "{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, 'n']}]}}";
        assert!(matches(not, "pods", "", "default", "{}"));
        assert!(!matches(not, "pods", "", "kube-system", "{}"));
        assert!(matches(not, "nodes", "", "", "{}"));
        assert!(!matches(not, "namespaces", "", "n", "{}"));
    }

    #[test]
    fn an_object_selector_reads_the_labels() {
        let selector =
            "{objectSelector: {matchLabels: {app: web}, matchExpressions: [{key: skip, operator: DoesNotExist}]}}";
        assert!(matches(selector, "pods", "", "d", r#"{"metadata":{"labels":{"app":"web"}}}"#));
        assert!(!matches(selector, "pods", "", "d", r#"{"metadata":{"labels":{"app":"web","skip":""}}}"#));
        assert!(!matches(selector, "pods", "", "d", r#"{"metadata":{"labels":null}}"#));
        assert!(!matches(selector, "pods", "", "d", "null"));
    }

    #[test]
    fn exclusion_wins() {
        let spec = "{resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE], resources: ['*']}],
            excludeResourceRules: [{apiGroups: [''], apiVersions: ['*'], operations: ['*'], resources: [secrets]}]}";
        assert!(matches(spec, "pods", "", "d", "{}"));
        assert!(!matches(spec, "secrets", "", "d", "{}"));
    }
}
