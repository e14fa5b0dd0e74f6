//! ValidatingWebhookConfiguration and MutatingWebhookConfiguration: which policies share an entry, and what each entry says.
//!
//! kube-apiserver converts an object to a version that a rule lists only when no rule matches it exactly. A union of
//! rules with different versions would let objects in one version pass the policies of the other unseen, so policies share
//! one entry only where nothing of that kind can happen. Groups that share storage count as one group in this: kube-apiserver
//! converts between them as between versions. `/validate` asks every policy that matches, so either all
//! share, or each has its own entry and path: no policy runs twice for one request.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, ValidatingWebhook,
        ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{ManifestsError, Options, Place, Registered};
use crate::spec::{self, FailurePolicy, LimitPolicy, NAMESPACE_NAME_LABEL, ResourceRule, Scope};

pub(super) fn validating(
    policies: &[&Registered],
    options: &Options,
) -> Result<ValidatingWebhookConfiguration, ManifestsError> {
    // Validators run together, so the slowest counts.
    let entries = entries(policies, "validate", |times| times.max().unwrap_or_default())?;
    let webhooks = entries.iter().map(|entry| ValidatingWebhook {
        name: entry.name("validating"),
        client_config: client_config(options, &entry.path),
        rules: Some(entry.rules()),
        failure_policy: Some(failure_policy(entry.policies[0]).to_owned()),
        match_policy: Some(entry.match_policy().to_owned()),
        namespace_selector: Some(entry.namespace_selector(options)),
        object_selector: entry.object_selector(),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(seconds(entry.time)),
        admission_review_versions: vec!["v1".to_owned()],
        match_conditions: None,
    });
    Ok(ValidatingWebhookConfiguration { metadata: metadata(), webhooks: Some(webhooks.collect()) })
}

pub(super) fn mutating(
    policies: &[&Registered],
    options: &Options,
) -> Result<MutatingWebhookConfiguration, ManifestsError> {
    let entries = entries(policies, "mutate", |times| times.sum())?;
    let webhooks = entries.iter().map(|entry| MutatingWebhook {
        name: entry.name("mutating"),
        client_config: client_config(options, &entry.path),
        rules: Some(entry.rules()),
        failure_policy: Some(failure_policy(entry.policies[0]).to_owned()),
        match_policy: Some(entry.match_policy().to_owned()),
        namespace_selector: Some(entry.namespace_selector(options)),
        object_selector: entry.object_selector(),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(seconds(entry.time)),
        admission_review_versions: vec!["v1".to_owned()],
        match_conditions: None,
        // Mutators answer "unchanged" to their own result, and must see what others changed after them.
        reinvocation_policy: Some("IfNeeded".to_owned()),
    });
    Ok(MutatingWebhookConfiguration { metadata: metadata(), webhooks: Some(webhooks.collect()) })
}

/// One webhook of a configuration.
struct Entry<'a> {
    policies: Vec<&'a Registered>,
    path: String,
    time: Duration,
}

fn entries<'a>(
    policies: &[&'a Registered],
    route: &str,
    together: impl Fn(&mut dyn Iterator<Item = Duration>) -> Duration,
) -> Result<Vec<Entry<'a>>, ManifestsError> {
    if let Some(without) = policies.iter().find(|it| it.spec.matching.resource_rules.is_empty()) {
        return Err(ManifestsError::NoRules { file: without.spec.source.clone(), policy: without.spec.title() });
    }
    // The server's order: entries of one configuration are called in the order in which they are listed.
    let mut policies = policies.to_vec();
    policies.sort_by(|one, other| (one.spec.order, &one.spec.name).cmp(&(other.spec.order, &other.spec.name)));
    let entry = |policies: Vec<&'a Registered>, path: String| {
        let time = together(&mut policies.iter().map(|it| it.spec.limits.time));
        Entry { policies, path, time }
    };
    let share =
        policies.iter().enumerate().all(|(at, one)| policies[at + 1..].iter().all(|other| may_share(one, other)));
    Ok(if share {
        vec![entry(policies, format!("/{route}"))]
    } else {
        policies.into_iter().map(|it| entry(vec![it], format!("/{route}/{}", it.spec.name))).collect()
    })
}

fn may_share(one: &Registered, other: &Registered) -> bool {
    let (a, b) = (&one.spec.matching, &other.spec.matching);
    // What cannot decide keeps to itself: it may take the time of an entry, and so the verdict of another.
    one.decides() == other.decides()
        && a.only_namespace == b.only_namespace
        && failure_policy(one) == failure_policy(other)
        && a.exact == b.exact
        && a.namespace_selector == b.namespace_selector
        && a.object_selector == b.object_selector
        && a.resource_rules.iter().all(|a| b.resource_rules.iter().all(|b| !overlap(a, b) || same_versions(a, b)))
        && a.resource_rules.iter().all(|a| b.resource_rules.iter().all(|b| share_storage_alike(a, b)))
}

/// Whether some resource is in both rules.
fn overlap(one: &ResourceRule, other: &ResourceRule) -> bool {
    let groups = one.api_groups.iter().any(|a| other.api_groups.iter().any(|b| alike(a, b)));
    groups && one.resources.iter().any(|a| other.resources.iter().any(|b| meet(a, b, None)))
}

/// Whether the rules list the same groups and versions wherever groups share storage and both have some of them.
fn share_storage_alike(one: &ResourceRule, other: &ResourceRule) -> bool {
    SHARED_STORAGE.iter().all(|(resource, groups)| {
        let listed = |rule: &ResourceRule| -> BTreeSet<&str> {
            let is_listed = |group: &&str| rule.api_groups.iter().any(|it| it == "*" || it == group);
            groups.iter().copied().filter(is_listed).collect()
        };
        let (a, b) = (listed(one), listed(other));
        let both = !a.is_empty()
            && !b.is_empty()
            && one.resources.iter().any(|a| other.resources.iter().any(|b| meet(a, b, Some(resource))));
        !both || (a == b && same_versions(one, other))
    })
}

/// Whether two patterns, `resource` or `resource/subresource` each, have something in common; that is `only`, if given.
fn meet(one: &str, other: &str, only: Option<&str>) -> bool {
    let split =
        |it: &'_ str| it.split_once('/').map_or((it.to_owned(), String::new()), |(a, b)| (a.to_owned(), b.to_owned()));
    let ((a, a_sub), (b, b_sub)) = (split(one), split(other));
    let named = only.is_none_or(|only| alike(&a, only) && alike(&b, only));
    named && alike(&a, &b) && alike(&a_sub, &b_sub)
}

fn alike(one: &str, other: &str) -> bool {
    one == "*" || other == "*" || one == other
}

fn same_versions(one: &ResourceRule, other: &ResourceRule) -> bool {
    let versions = |rule: &ResourceRule| rule.api_versions.iter().cloned().collect::<BTreeSet<String>>();
    versions(one) == versions(other)
}

/// Resources that kube-apiserver stores once for several groups, so that it converts an object of one group for a rule
/// that lists another: `AddCohabitatingResources` in pkg/kubeapiserver/default_storage_factory_builder.go of
/// k8s.io/kubernetes 1.36. Resources of one name in other groups have nothing to do with each other.
const SHARED_STORAGE: [(&str, [&str; 2]); 8] = [
    ("events", ["", "events.k8s.io"]),
    ("networkpolicies", ["networking.k8s.io", "extensions"]),
    ("ingresses", ["networking.k8s.io", "extensions"]),
    ("deployments", ["apps", "extensions"]),
    ("daemonsets", ["apps", "extensions"]),
    ("replicasets", ["apps", "extensions"]),
    ("replicationcontrollers", ["", "extensions"]),
    ("podsecuritypolicies", ["policy", "extensions"]),
];

impl Entry<'_> {
    /// A DNS name of at least three parts.
    fn name(&self, kind: &str) -> String {
        match &self.policies[..] {
            // Of a namespaced policy the namespace is one part more, so that no two have the same.
            [one] => {
                let parts: Vec<&str> = one.spec.name.rsplit('/').collect();
                format!("{}.{kind}.verdict.dev", parts.join("."))
            }
            _ => format!("all.{kind}.verdict.dev"),
        }
    }

    fn rules(&self) -> Vec<RuleWithOperations> {
        let mut rules: Vec<RuleWithOperations> = Vec::new();
        for rule in self.policies.iter().flat_map(|it| &it.spec.matching.resource_rules) {
            let rule = RuleWithOperations {
                api_groups: Some(rule.api_groups.clone()),
                api_versions: Some(rule.api_versions.clone()),
                operations: Some(rule.operations.clone()),
                resources: Some(rule.resources.clone()),
                scope: Some(
                    match rule.scope {
                        _ if self.only_namespace().is_some() => "Namespaced",
                        Scope::All => "*",
                        Scope::Cluster => "Cluster",
                        Scope::Namespaced => "Namespaced",
                    }
                    .to_owned(),
                ),
            };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    fn namespace_selector(&self, options: &Options) -> LabelSelector {
        let mut selector = self.policies[0].spec.matching.namespace_selector.as_ref().map(selector).unwrap_or_default();
        if let Some(own) = self.only_namespace() {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: NAMESPACE_NAME_LABEL.to_owned(),
                operator: "In".to_owned(),
                values: Some(vec![own.to_owned()]),
            });
        }
        if !options.excluded.is_empty() {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: NAMESPACE_NAME_LABEL.to_owned(),
                operator: "NotIn".to_owned(),
                values: Some(options.excluded.clone()),
            });
        }
        selector
    }

    /// All of an entry have the same.
    fn only_namespace(&self) -> Option<&str> {
        self.policies[0].spec.matching.only_namespace.as_deref()
    }

    fn match_policy(&self) -> &'static str {
        if self.policies[0].spec.matching.exact { "Exact" } else { "Equivalent" }
    }

    fn object_selector(&self) -> Option<LabelSelector> {
        self.policies[0].spec.matching.object_selector.as_ref().map(selector)
    }
}

fn selector(selector: &spec::LabelSelector) -> LabelSelector {
    let expressions = selector.match_expressions.iter().map(|it| LabelSelectorRequirement {
        key: it.key.clone(),
        operator: it.operator.name().to_owned(),
        values: (!it.values.is_empty()).then(|| it.values.clone()),
    });
    LabelSelector {
        match_labels: (!selector.match_labels.is_empty()).then(|| selector.match_labels.clone()),
        match_expressions: Some(expressions.collect()),
    }
}

/// What kube-apiserver does without an answer. Ignore where the policy decides nothing when it answers, or says so for
/// failures and for limits alike: the API server cannot tell them apart.
fn failure_policy(policy: &Registered) -> &'static str {
    let ignored =
        policy.spec.failure_policy == FailurePolicy::Ignore && policy.spec.limit_policy == LimitPolicy::Ignore;
    if ignored || !policy.decides() { "Ignore" } else { "Fail" }
}

fn client_config(options: &Options, path: &str) -> WebhookClientConfig {
    let ca_bundle = Some(ByteString(options.ca.clone().into_bytes()));
    match &options.place {
        Place::Url(url) => WebhookClientConfig { ca_bundle, service: None, url: Some(format!("{url}{path}")) },
        Place::Service { namespace, name, port } => WebhookClientConfig {
            ca_bundle,
            service: Some(ServiceReference {
                name: name.clone(),
                namespace: namespace.clone(),
                path: Some(path.to_owned()),
                port: Some(i32::from(*port)),
            }),
            url: None,
        },
    }
}

fn metadata() -> ObjectMeta {
    ObjectMeta { name: Some("verdict".to_owned()), ..ObjectMeta::default() }
}

/// Whole seconds in which a policy can use all of its time: the server keeps a tenth back for the way.
pub(super) fn seconds(time: Duration) -> i32 {
    let needed = (time + Duration::from_millis(500)).as_secs_f64().ceil();
    // From 2, so that a busy machine is not a failure, to the 30 that Kubernetes allows.
    (2..=30).find(|it| f64::from(*it) >= needed).unwrap_or(30)
}
