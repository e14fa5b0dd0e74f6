//! The class of a policy: all that policies must have in common to share one entry of a webhook configuration. It follows
//! from a policy by itself, so that replicas agree on it without knowing each other's policies.
//!
//! kube-apiserver converts an object to a version that a rule lists only when no rule of the entry matches it exactly. A
//! union of rules with different versions would let objects in one version pass the policies of the other unseen. Groups
//! that share storage count as one group in this: kube-apiserver converts between them as between versions.
//!
//! A class is SHA-256 of a JSON array without spaces, in which lists are sorted and nothing is in a list twice:
//! 1. `"verdict.dev/class/1"`, to be counted up when anything below changes;
//! 2. whether the policy decides: what does not may take the time of an entry, and so the verdict of another;
//! 3. `"Fail"` or `"Ignore"`, what kube-apiserver does without an answer; 4. `"Equivalent"` or `"Exact"`;
//! 5. the one namespace that the policy is for, or null; 6. namespaceSelector, 7. objectSelector, each `[[[KEY, VALUE], ...], [[KEY, OPERATOR, [VALUE, ...]], ...]]`, or null where it
//!    selects everything;
//! 8. the rules. `["versions", [VERSION, ...], [[RESOURCE, [GROUP, ...]], ...]]` where all of them list the same versions, and
//!    for each row of [`SHARED_STORAGE`] that they touch the same groups; rows of which only the first group is listed are
//!    left out. Else `["rules", [[[GROUP, ...], [VERSION, ...], [RESOURCE, ...], [OPERATION, ...], SCOPE], ...]]`: policies
//!    with the very same rules hide nothing from each other.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{FailurePolicy, LabelSelector, LimitPolicy, PolicySpec, ResourceRule, Scope};

/// The first bytes of that SHA-256. Shown as 16 hex digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u64);

impl Class {
    /// That of a policy.
    pub fn of(spec: &PolicySpec) -> Self {
        let mut first = [0; 8];
        for (byte, of_digest) in first.iter_mut().zip(Sha256::digest(text(spec))) {
            *byte = of_digest;
        }
        Self(u64::from_be_bytes(first))
    }

    /// What stands where the name of a policy could, in the path that asks all policies of the class: no policy has a name
    /// with a dot.
    pub fn entry(self) -> String {
        format!("{ENTRY}{self}")
    }

    /// The class that [`Self::entry`] made this of.
    pub fn of_entry(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(ENTRY)?;
        let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
        let number = u64::from_str_radix(digits, 16).ok()?;
        (digits.len() == 16 && digits.bytes().all(is_digit)).then_some(Self(number))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl PolicySpec {
    /// Whether a verdict of it changes what kube-apiserver answers; one that warns or is only recorded does not.
    pub fn decides(&self) -> bool {
        self.actions.deny
    }

    /// Whether kube-apiserver goes on where it has no answer: the policy decides nothing when it answers, or says so for
    /// failures and for limits alike, since kube-apiserver cannot tell them apart.
    pub fn is_passed_over(&self) -> bool {
        let ignored = self.failure_policy == FailurePolicy::Ignore && self.limit_policy == LimitPolicy::Ignore;
        ignored || !self.decides()
    }
}

fn text(spec: &PolicySpec) -> String {
    let matching = &spec.matching;
    let all = json!([
        "verdict.dev/class/1",
        spec.decides(),
        if spec.is_passed_over() { "Ignore" } else { "Fail" },
        if matching.exact { "Exact" } else { "Equivalent" },
        matching.only_namespace,
        matching.namespace_selector.as_ref().map_or(Value::Null, selector),
        matching.object_selector.as_ref().map_or(Value::Null, selector),
        rules(&matching.resource_rules),
    ]);
    all.to_string()
}

fn selector(selector: &LabelSelector) -> Value {
    let labels: BTreeSet<_> = selector.match_labels.iter().collect();
    let requirements: BTreeSet<_> =
        selector.match_expressions.iter().map(|it| (&it.key, it.operator.name(), set(&it.values))).collect();
    if labels.is_empty() && requirements.is_empty() { Value::Null } else { json!([labels, requirements]) }
}

fn rules(rules: &[ResourceRule]) -> Value {
    let versions: BTreeSet<_> = rules.iter().map(|it| set(&it.api_versions)).collect();
    let storage = SHARED_STORAGE.map(|(resource, groups)| {
        let listed: BTreeSet<_> = rules.iter().filter_map(|it| listed(it, resource, groups)).collect();
        (resource, groups, listed)
    });
    if versions.len() > 1 || storage.iter().any(|(.., listed)| listed.len() > 1) {
        let whole = |it| {
            let ResourceRule { api_groups, api_versions, resources, operations, scope, .. }: &ResourceRule = it;
            let scope = match scope {
                Scope::All => "*",
                Scope::Cluster => "Cluster",
                Scope::Namespaced => "Namespaced",
            };
            (set(api_groups), set(api_versions), set(resources), set(operations), scope)
        };
        return json!(["rules", rules.iter().map(whole).collect::<BTreeSet<_>>()]);
    }
    let unusual = storage.iter().flat_map(|(resource, [usual, _], listed)| {
        listed.iter().filter(|it| !it.iter().eq([usual])).map(|it| (*resource, it)).collect::<BTreeSet<_>>()
    });
    json!(["versions", versions.iter().flatten().collect::<BTreeSet<_>>(), unusual.collect::<BTreeSet<_>>()])
}

/// Which of the groups that share the storage of `resource` a rule lists, if it is about that resource at all.
fn listed<'a>(rule: &ResourceRule, resource: &str, groups: [&'a str; 2]) -> Option<BTreeSet<&'a str>> {
    let is_about = |it: &String| {
        let name = it.split_once('/').map_or(it.as_str(), |(name, _)| name);
        name == "*" || name == resource
    };
    let is_listed = |group: &&str| rule.api_groups.iter().any(|it| it == "*" || it == group);
    let listed: BTreeSet<&str> = groups.into_iter().filter(is_listed).collect();
    (!listed.is_empty() && rule.resources.iter().any(is_about)).then_some(listed)
}

fn set(list: &[String]) -> BTreeSet<&str> {
    list.iter().map(String::as_str).collect()
}

/// Resources that kube-apiserver stores once for several groups, so that it converts an object of one group for a rule
/// that lists another: `AddCohabitatingResources` in pkg/kubeapiserver/default_storage_factory_builder.go of
/// k8s.io/kubernetes 1.36. Resources of one name in other groups have nothing to do with each other. The group that
/// clusters of today serve comes first.
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
const ENTRY: &str = "entry.";

#[cfg(test)]
mod tests;
