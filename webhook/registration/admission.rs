//! ValidatingWebhookConfiguration and MutatingWebhookConfiguration: which policies share an entry, and what each entry says.
//!
//! Policies of one [`Class`] may share an entry. Where all policies are of one, `/validate` asks them; else a class with
//! several policies has the path `/validate/entry.CLASS`, and every other policy its own: no policy runs twice for one request.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, ValidatingWebhook,
        ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{ManifestsError, Options, Place, Registered, conditions};
use crate::spec::{self, Class, NAMESPACE_NAME_LABEL, Scope};

pub(super) fn validating(
    policies: &[&Registered],
    options: &Options,
) -> Result<ValidatingWebhookConfiguration, ManifestsError> {
    let entries = entries(policies, &VALIDATING)?;
    let webhooks = entries.iter().map(|entry| ValidatingWebhook {
        name: entry.name.clone(),
        client_config: client_config(options, &entry.path),
        rules: Some(entry.rules()),
        failure_policy: Some(entry.failure_policy().to_owned()),
        match_policy: Some(entry.match_policy().to_owned()),
        namespace_selector: Some(entry.namespace_selector(options)),
        object_selector: entry.object_selector(),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(seconds(entry.time)),
        admission_review_versions: vec!["v1".to_owned()],
        match_conditions: conditions::of(&entry.policies, options),
    });
    Ok(ValidatingWebhookConfiguration { metadata: metadata(options), webhooks: Some(webhooks.collect()) })
}

pub(super) fn mutating(
    policies: &[&Registered],
    options: &Options,
) -> Result<MutatingWebhookConfiguration, ManifestsError> {
    let entries = entries(policies, &MUTATING)?;
    let webhooks = entries.iter().map(|entry| MutatingWebhook {
        name: entry.name.clone(),
        client_config: client_config(options, &entry.path),
        rules: Some(entry.rules()),
        failure_policy: Some(entry.failure_policy().to_owned()),
        match_policy: Some(entry.match_policy().to_owned()),
        namespace_selector: Some(entry.namespace_selector(options)),
        object_selector: entry.object_selector(),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(seconds(entry.time)),
        admission_review_versions: vec!["v1".to_owned()],
        match_conditions: conditions::of(&entry.policies, options),
        // Mutators answer "unchanged" to their own result, and must see what others changed after them.
        reinvocation_policy: Some("IfNeeded".to_owned()),
    });
    Ok(MutatingWebhookConfiguration { metadata: metadata(options), webhooks: Some(webhooks.collect()) })
}

/// What the entries of one configuration have in common.
struct Stage {
    path: &'static str,
    name: &'static str,
    /// Whether policies run one after the other: then their times add up, and their order counts across entries.
    is_chain: bool,
}

const VALIDATING: Stage = Stage { path: "/validate", name: "validating.verdict.dev", is_chain: false };
const MUTATING: Stage = Stage { path: "/mutate", name: "mutating.verdict.dev", is_chain: true };

/// One webhook of a configuration.
struct Entry<'a> {
    policies: Vec<&'a Registered>,
    path: String,
    /// A DNS name of at least three parts.
    name: String,
    time: Duration,
}

/// In the server's order: kube-apiserver calls those of mutators as they are listed.
fn entries<'a>(policies: &[&'a Registered], stage: &Stage) -> Result<Vec<Entry<'a>>, ManifestsError> {
    if let Some(without) = policies.iter().find(|it| it.spec.matching.resource_rules.is_empty()) {
        return Err(ManifestsError::NoRules { file: without.spec.source.clone(), policy: without.spec.title() });
    }
    let mut policies = policies.to_vec();
    policies.sort_by(|one, other| (one.spec.order, &one.spec.name).cmp(&(other.spec.order, &other.spec.name)));
    let mut classes: BTreeMap<Class, Vec<(usize, &'a Registered)>> = BTreeMap::new();
    for (position, policy) in policies.iter().copied().enumerate() {
        classes.entry(Class::of(&policy.spec)).or_default().push((position, policy));
    }
    if classes.len() == 1 {
        return Ok(vec![Entry::of_all(policies, stage)]);
    }
    let mut entries: Vec<(usize, Entry<'a>)> = Vec::new();
    for (class, members) in classes {
        match members[..] {
            // In a chain, no other may stand between them.
            [(first, _), .., (last, _)] if !stage.is_chain || last - first < members.len() => {
                let members = members.into_iter().map(|(_, policy)| policy).collect();
                entries.push((first, Entry::of_class(class, members, stage)));
            }
            _ => entries.extend(members.into_iter().map(|(position, it)| (position, Entry::of_one(it, stage)))),
        }
    }
    entries.sort_by_key(|(first, _)| *first);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

impl<'a> Entry<'a> {
    fn new(policies: Vec<&'a Registered>, stage: &Stage, part: Option<String>, name: &str) -> Self {
        let times = policies.iter().map(|it| it.spec.limits.time);
        let time = if stage.is_chain { times.sum() } else { times.max().unwrap_or_default() };
        let part = part.map(|it| format!("/{it}")).unwrap_or_default();
        Self { policies, path: format!("{}{part}", stage.path), name: format!("{name}.{}", stage.name), time }
    }

    fn of_all(policies: Vec<&'a Registered>, stage: &Stage) -> Self {
        let name = if let [one] = policies[..] { name(one) } else { "all".to_owned() };
        Self::new(policies, stage, None, &name)
    }

    fn of_class(class: Class, policies: Vec<&'a Registered>, stage: &Stage) -> Self {
        Self::new(policies, stage, Some(class.entry()), &format!("{class}.entry"))
    }

    fn of_one(policy: &'a Registered, stage: &Stage) -> Self {
        Self::new(vec![policy], stage, Some(policy.spec.name.clone()), &name(policy))
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
        if let Some(label) = &options.exempt_label {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: label.clone(),
                operator: "DoesNotExist".to_owned(),
                values: None,
            });
        }
        selector
    }

    /// All of an entry have the same.
    fn only_namespace(&self) -> Option<&str> {
        self.policies[0].spec.matching.only_namespace.as_deref()
    }

    fn failure_policy(&self) -> &'static str {
        if self.policies[0].spec.is_passed_over() { "Ignore" } else { "Fail" }
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

/// What the name of an entry for one policy begins with. No policy's name has a dot, so these are told apart from each other
/// and from those of classes.
fn name(policy: &Registered) -> String {
    match policy.spec.name.split_once('/') {
        None => policy.spec.name.clone(),
        Some((namespace, name)) => format!("{name}.{namespace}.namespaced"),
    }
}

fn client_config(options: &Options, path: &str) -> WebhookClientConfig {
    let ca_bundle = options.ca.clone().map(|it| ByteString(it.into_bytes()));
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

fn metadata(options: &Options) -> ObjectMeta {
    let labels = (!options.labels.is_empty()).then(|| options.labels.clone());
    ObjectMeta { name: Some(options.name.clone()), labels, ..ObjectMeta::default() }
}

/// Whole seconds in which a policy can use all of its time: the server keeps a tenth back for the way.
pub(super) fn seconds(time: Duration) -> i32 {
    let needed = (time + Duration::from_millis(500)).as_secs_f64().ceil();
    // From 2, so that a busy machine is not a failure, to the 30 that Kubernetes allows.
    (2..=30).find(|it| f64::from(*it) >= needed).unwrap_or(30)
}
