//! matchConstraints, as far as reviews say what they need: resources, scope, the name of the namespace, labels of objects.
//!
//! Follows k8s.io/apiserver `pkg/admission/plugin/webhook/predicates`. Of objects only the labels are read that selectors
//! name.

use super::{
    Decision,
    view::{Side, View},
};
use crate::{
    cel::{Document, NotText, Part as Read, Reads},
    review::admission::{AdmissionRequest, same},
    spec::{Failure, LabelSelector, MatchSpec, NAMESPACE_NAME_LABEL, Operator, Requirement, ResourceRule, Scope},
};

impl MatchSpec {
    /// Whether a policy is asked about `request`, as far as that can be told without its objects.
    pub(super) fn admission(&self, request: &AdmissionRequest<'_>) -> Decision {
        if let Some(own) = &self.only_namespace
            && !(is_namespaced(request) && request.namespace == *own)
        {
            return Decision::Elsewhere;
        }
        let applies = |rule: &ResourceRule| rule.misses(request, self.exact).is_none();
        let rule = self.resource_rules.iter().position(applies);
        if rule.is_none() && !self.resource_rules.is_empty() {
            return Decision::NoRule;
        }
        if let Some(rule) = self.exclude_resource_rules.iter().position(applies) {
            return Decision::Excluded(rule);
        }
        if let (Some(selector), Some(namespace)) = (&self.namespace_selector, namespace(request))
            && selector.is_of_names()
            && !selector.holds(|_| Some(namespace))
        {
            return Decision::Namespace;
        }
        Decision::Asked(rule)
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
    /// None: it applies. `exact`: to what was asked for, else to what kube-apiserver converted that to for a rule.
    pub(super) fn misses(&self, request: &AdmissionRequest<'_>, exact: bool) -> Option<Part> {
        let (resource, subresource) = if exact {
            (&request.request_resource, &request.request_subresource)
        } else {
            (&request.resource, &request.subresource)
        };
        let listed = |list: &[String], value: &str| list.iter().any(|it| it == "*" || same(it, value));
        let scope = || match self.scope {
            Scope::All => true,
            Scope::Cluster => !is_namespaced(request),
            Scope::Namespaced => is_namespaced(request),
        };
        if !listed(&self.operations, request.operation.name()) {
            Some(Part::Operation)
        } else if !listed(&self.api_groups, &resource.group) {
            Some(Part::Group)
        } else if !listed(&self.api_versions, &resource.version) {
            Some(Part::Version)
        } else if !self.resources.iter().any(|it| names(it, &resource.resource, subresource)) {
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

pub(super) fn is_namespace(request: &AdmissionRequest<'_>) -> bool {
    request.resource.group.is_empty() && request.resource.resource == "namespaces"
}

/// The namespace by which a request is selected; None for other cluster-scoped objects, which a selector never leaves out.
pub(super) fn namespace<'a>(request: &'a AdmissionRequest<'_>) -> Option<&'a str> {
    if is_namespace(request) {
        // On create, the object is the namespace, and its name is in either field.
        return Some(if request.name.is_empty() { &request.namespace } else { &request.name });
    }
    (!request.namespace.is_empty()).then_some(&request.namespace)
}

impl LabelSelector {
    /// Adds what it reads of both objects: the labels that it names.
    pub(super) fn reads(&self, reads: &mut Reads) {
        for object in [&mut reads.object, &mut reads.old_object] {
            self.read_labels(object.get_or_insert_default());
        }
    }

    pub(super) fn read_labels(&self, object: &mut Read) {
        for key in self.keys() {
            object.add(&[METADATA, LABELS, key]);
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.match_labels.keys().chain(self.match_expressions.iter().map(|it| &it.key))
    }

    /// Whether it selects the object or the old one, as in Kubernetes; `object` is the object as changed so far.
    ///
    /// # Errors
    /// Their labels cannot be read.
    pub(super) async fn selects(&self, view: &mut View<'_>, object: Option<&str>) -> Result<bool, Failure> {
        for (side, name) in [(Side::Object, "object"), (Side::OldObject, "old object")] {
            if let Some(document) = view.document(side, object).await? {
                let not_text = |_| Failure::Condition(format!("the labels of the {name} are not all text"));
                if self.holds_of(document, None).map_err(not_text)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// `name`: of what is a namespace.
    pub(super) fn holds_of(&self, document: &Document, name: Option<&str>) -> Result<bool, NotText> {
        let mut wrong = None;
        let label = |key: &str| {
            if key == NAMESPACE_NAME_LABEL && name.is_some() {
                return name;
            }
            document.text(&[METADATA, LABELS, key]).unwrap_or_else(|error| {
                wrong = Some(error);
                None
            })
        };
        let holds = self.holds(label);
        wrong.map_or(Ok(holds), Err)
    }

    pub(super) fn holds<'a>(&self, mut label: impl FnMut(&str) -> Option<&'a str>) -> bool {
        self.match_labels.iter().all(|(key, value)| label(key).is_some_and(|it| it == value))
            && self.match_expressions.iter().all(|it| it.holds(label(&it.key)))
    }
}

impl Requirement {
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|value| self.values.iter().any(|it| it == value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

const METADATA: &str = "metadata";
const LABELS: &str = "labels";

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::{
        cel::Pool,
        policy::matching::{Bounds, Match, View},
        review::admission,
        spec::Kind,
    };

    async fn matches(spec: &str, resource: &str, subresource: &str, namespace: &str, object: &str) -> bool {
        asked("kind: Validator\nmetadata: {name: p}", spec, resource, subresource, namespace, object).await
    }

    async fn in_namespace(own: &str, spec: &str, resource: &str, subresource: &str, namespace: &str) -> bool {
        let head = format!("kind: NamespacedValidator\nmetadata: {{name: p, namespace: {own}}}");
        asked(&head, spec, resource, subresource, namespace, "{}").await
    }

    async fn asked(head: &str, spec: &str, resource: &str, subresource: &str, namespace: &str, object: &str) -> bool {
        let text = format!(
            "apiVersion: verdict.dev/v1alpha1\n{head}\nspec: {{component: {{builtin: x}}, matchConstraints: {spec}}}"
        );
        let specs = crate::config::parse(&text, "f", std::path::Path::new(".")).unwrap();
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"CREATE",
            "kind":{{"version":"v1","kind":"K"}},"resource":{{"version":"v1","resource":"{resource}"}},"subResource":"{subresource}",
            "namespace":"{namespace}","name":"n","object":{object}}}}}"#
        );
        let request = admission::decode(body.as_bytes()).unwrap().review;
        let matching = Match::compile(&specs[0].matching, Kind::Validator).unwrap_or_else(|it| panic!("{it:?}"));
        let bounds = Bounds { deadline: Instant::now() + Duration::from_secs(60), time: Duration::from_secs(60) };
        let mut view = View::new(&request, matching.reads(), Pool::new(1 << 20, 1 << 20).share(), bounds.deadline);
        let object = request.object.map(serde_json::value::RawValue::get);
        matching.admission(&mut view, object, bounds, &mut Duration::default()).await.unwrap().is_asked()
    }

    fn rule(resources: &str, more: &str) -> String {
        format!(
            "{{resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [{resources}]{more}}}]}}"
        )
    }

    #[tokio::test]
    async fn rules_name_resources_and_subresources() {
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
                matches(&rule(rules, ""), resource, subresource, "d", "{}").await,
                expected,
                "{rules} {resource}/{subresource}"
            );
        }
    }

    #[tokio::test]
    async fn scope_counts_namespaces_as_cluster_scoped() {
        assert!(matches(&rule("pods", ", scope: Namespaced"), "pods", "", "d", "{}").await);
        assert!(!matches(&rule("pods", ", scope: Cluster"), "pods", "", "d", "{}").await);
        assert!(matches(&rule("namespaces", ", scope: Cluster"), "namespaces", "", "n", "{}").await);
        assert!(!matches(&rule("pods", ", resourceNames: [other]"), "pods", "", "d", "{}").await);
    }

    #[tokio::test]
    async fn a_namespace_selector_looks_at_the_name_only() {
        let not = "{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, 'n']}]}}";
        assert!(matches(not, "pods", "", "default", "{}").await);
        assert!(!matches(not, "pods", "", "kube-system", "{}").await);
        assert!(matches(not, "nodes", "", "", "{}").await);
        assert!(!matches(not, "namespaces", "", "n", "{}").await);
    }

    #[tokio::test]
    async fn a_namespaced_policy_sees_its_own_namespace_only() {
        let everything =
            "{resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]}";
        for spec in ["{}", everything] {
            for (resource, subresource, namespace, expected) in [
                ("pods", "", "team-a", true),
                ("pods", "exec", "team-a", true),
                ("pods", "", "team-b", false),
                ("pods", "", "team-a2", false),
                ("nodes", "", "", false),
                ("namespaces", "", "team-a", false),
                ("namespaces", "finalize", "team-a", false),
            ] {
                let asked = in_namespace("team-a", spec, resource, subresource, namespace).await;
                assert_eq!(asked, expected, "{spec} {resource}/{subresource} in {namespace}");
            }
        }
    }

    #[tokio::test]
    async fn an_object_selector_reads_the_labels() {
        let selector =
            "{objectSelector: {matchLabels: {app: web}, matchExpressions: [{key: skip, operator: DoesNotExist}]}}";
        assert!(matches(selector, "pods", "", "d", r#"{"metadata":{"labels":{"app":"web"}}}"#).await);
        assert!(!matches(selector, "pods", "", "d", r#"{"metadata":{"labels":{"app":"web","skip":""}}}"#).await);
        assert!(!matches(selector, "pods", "", "d", r#"{"metadata":{"labels":null}}"#).await);
        assert!(!matches(selector, "pods", "", "d", "null").await);
    }

    #[tokio::test]
    async fn exclusion_wins() {
        let spec = "{resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE], resources: ['*']}],
            excludeResourceRules: [{apiGroups: [''], apiVersions: ['*'], operations: ['*'], resources: [secrets]}]}";
        assert!(matches(spec, "pods", "", "d", "{}").await);
        assert!(!matches(spec, "secrets", "", "d", "{}").await);
    }
}
