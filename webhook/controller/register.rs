//! What kube-apiserver is told to ask: made of what served on every replica last, and written where it is something else than before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use super::{
    Config,
    certificates::Published,
    client::Refused,
    objects::Object,
    source::{is_admission, title},
    webhooks::Webhooks,
    written::{Listed, Written},
};
use crate::{
    config::{self, ConfigError, NamespacedCaps},
    policy::{Key, Policy},
    registration::{self, Options, Registered},
    spec::{Class, Interface, Kind, MAX_MEMORY, MAX_TIME, MatchSpec, PolicySpec, Revision},
};

/// What is registered, and what is to be.
#[derive(Default)]
pub(super) struct Register {
    /// Of each object: what served everywhere last.
    entries: BTreeMap<Key, Entry>,
    validating: Written,
    mutating: Written,
    /// What kube-apiserver does not take, and of which version of the object.
    refused: BTreeMap<Key, (i64, &'static str, String)>,
    /// Whose conditions it does not take, and of which version.
    not_pushed: BTreeMap<Key, i64>,
    /// What each was before it was settled last: it stays, should kube-apiserver not take the new one.
    before: BTreeMap<Key, Entry>,
    /// Accepted by an earlier leader, and not to be read here: until they settle, the configurations that may ask them are not touched.
    unknown: BTreeSet<Key>,
    /// The caBundle, and since when it is that in both.
    ca: Option<(String, Instant)>,
    /// Whether both are known to be what they should be.
    is_written: bool,
}

struct Entry {
    /// Of the object, since another one may get its name.
    uid: String,
    generation: i64,
    /// What of it is written into the status.
    accepted: Value,
    /// What it is registered for; none of kinds that the leader does not register.
    policies: Vec<Registered>,
}

impl Register {
    /// Objects that are gone are registered no more.
    pub(super) fn forget(&mut self, all: &BTreeMap<Key, Object>) {
        let is_there = |key: &Key, entry: &mut Entry| all.get(key).is_some_and(|it| it.uid() == entry.uid);
        self.entries.retain(is_there);
        self.before.retain(is_there);
        self.unknown.retain(|key| all.contains_key(key));
        self.refused.retain(|key, (generation, ..)| all.get(key).is_some_and(|it| it.generation() == *generation));
        self.not_pushed.retain(|key, generation| all.get(key).is_some_and(|it| it.generation() == *generation));
    }

    /// It serves everywhere as it is.
    pub(super) fn settled(&mut self, key: &Key, object: &Object, policies: &[Arc<Policy>]) {
        let is_known = |it: &Entry| it.generation == object.generation();
        if self.entries.get(key).is_some_and(is_known) || self.refused.contains_key(key) {
            return;
        }
        let effective = policies.first().map(|it| &it.spec().matching);
        if is_admission(key.0) && effective.is_none_or(|it| it.resource_rules.is_empty()) {
            let words = "spec.matchConstraints.resourceRules: name the resources that it is for, else nobody knows what to ask it about";
            self.refused.insert(key.clone(), (object.generation(), "NoRules", words.to_owned()));
            return;
        }
        let mut spec = object.spec().clone();
        if let Some(effective) = effective.filter(|_| is_admission(key.0) && spec["matchConstraints"].is_null()) {
            // As its component says; whoever reads this later may not have the component.
            spec["matchConstraints"] = constraints(effective);
        }
        let size = spec.to_string().len();
        let asks = if object.namespace().is_some() { size_of(&spec) } else { 0 };
        if (object.namespace().is_some() && size > LARGEST) || asks > LARGEST_OF_NAMESPACE {
            let words = format!(
                "a namespaced policy may have at most {LARGEST} bytes as spec, and {LARGEST_OF_NAMESPACE} as matchConstraints and matchConditions; it has {size} and {asks}"
            );
            self.refused.insert(key.clone(), (object.generation(), "TooLarge", words));
            return;
        }
        if object.namespace().is_some() && asked(object, &spec).is_err() {
            // Else it could not be registered any more, should another one lead.
            let words =
                "its component says of itself what it is for, and no object may say that: write spec.matchConstraints";
            self.refused.insert(key.clone(), (object.generation(), "NoRules", words.to_owned()));
            return;
        }
        let is_small = size <= LARGEST;
        let mut accepted = json!({"generation": object.generation()});
        if is_small {
            accepted["spec"] = spec;
        }
        let registered = |it: &Arc<Policy>| Registered { spec: it.spec().clone(), kind: it.kind() };
        let policies = if is_admission(key.0) { policies.iter().map(registered).collect() } else { Vec::new() };
        let (uid, generation) = (object.uid().to_owned(), object.generation());
        self.unknown.remove(key);
        if let Some(before) = self.entries.insert(key.clone(), Entry { uid, generation, accepted, policies }) {
            self.before.insert(key.clone(), before);
        }
    }

    /// It cannot be written down that it serves: what did last stays, until it can be.
    pub(super) fn postpone(&mut self, key: &Key) {
        if self.entries.get(key).is_some_and(|it| self.generation(key) != Some(it.generation)) {
            self.take_back(key);
        }
    }

    fn take_back(&mut self, key: &Key) {
        match self.before.remove(key) {
            Some(before) => drop(self.entries.insert(key.clone(), before)),
            None => drop(self.entries.remove(key)),
        }
    }

    /// Where it does not serve everywhere as it is, or is not taken so: what did last stays, as its status says where this leader has not seen it.
    pub(super) fn recall(&mut self, key: &Key, object: &Object) {
        if self.entries.contains_key(key) {
            return;
        }
        let Some((generation, spec)) = object.accepted() else { return };
        let mut policies = Vec::new();
        if is_admission(key.0) {
            let Some(spec) =
                spec.and_then(|it| asked(object, it).ok()).filter(|it| !it.matching.resource_rules.is_empty())
            else {
                // What one namespace has in its objects holds up nobody else: such a status is forged.
                if object.namespace().is_none() && self.unknown.insert(key.clone()) {
                    warn!(
                        policy = title(key),
                        "what was registered for it cannot be read here: the webhook configuration stays as it is until the policy serves on every replica, or is deleted"
                    );
                }
                return;
            };
            let revision = Some(Revision::new(object.uid(), generation, &[], true));
            policies.push(Registered { spec: PolicySpec { revision, ..spec }, kind: key.0 });
        }
        let accepted = object.status()[super::objects::ACCEPTED].clone();
        let uid = object.uid().to_owned();
        self.entries.insert(key.clone(), Entry { uid, generation, accepted, policies });
    }

    /// What its status is to say of what served everywhere last.
    pub(super) fn accepted(&self, key: &Key) -> Option<&Value> {
        self.entries.get(key).map(|it| &it.accepted)
    }

    /// The generation of it that kube-apiserver was told of.
    pub(super) fn generation(&self, key: &Key) -> Option<i64> {
        self.written(key.0).generation(key)
    }

    /// How long it has been written as it is.
    pub(super) fn age(&self, key: &Key) -> Duration {
        self.written(key.0).age(key)
    }

    /// Why it is not registered, if somebody says so.
    pub(super) fn refused(&self, key: &Key) -> Option<(&'static str, String)> {
        self.refused.get(key).map(|(_, reason, words)| (*reason, words.clone()))
    }

    /// Writes both configurations, where they are others than before or somebody else wrote them. `ca` is what is to become the caBundle.
    pub(super) async fn write(&mut self, config: &Config, webhooks: &Webhooks, ca: &str) -> Result<(), Refused> {
        // Each time, one that kube-apiserver does not take is left out.
        for _ in 0..=self.entries.len() + self.before.len() {
            if !self.unknown.is_empty() {
                return Ok(());
            }
            let Some((made, lists)) = self.made(config, ca) else { return Ok(()) };
            let validating = made.validating.unwrap_or_default();
            let is_taken = match self.validating.put(&webhooks.validating, validating, &lists.0, config).await {
                Ok(()) => {
                    let mutating = made.mutating.unwrap_or_default();
                    match self.mutating.put(&webhooks.mutating, mutating, &lists.1, config).await {
                        Ok(()) => {
                            let is_there = self.validating.is_there() || self.mutating.is_there();
                            if !is_there {
                                self.ca = None;
                            } else if self.ca.as_ref().is_none_or(|(before, _)| before != ca) {
                                self.ca = Some((ca.to_owned(), Instant::now()));
                            }
                            self.is_written = true;
                            return Ok(());
                        }
                        Err((refused, paths)) => self.blame(&lists.1, refused, &paths),
                    }
                }
                Err((refused, paths)) => self.blame(&lists.0, refused, &paths),
            };
            is_taken?;
        }
        Ok(())
    }

    /// What kube-apiserver knows as caBundle. None: nothing was written yet.
    pub(super) fn published(&self) -> Option<Published> {
        self.is_written.then(|| match &self.ca {
            Some((ca, since)) => Published::bundle(ca, since.into_std()),
            None => Published::nothing(std::time::Instant::now()),
        })
    }

    /// Both, with the policies of each. None: they cannot be made, and nothing may be written.
    fn made(&self, config: &Config, ca: &str) -> Option<(registration::Webhooks, (Listed, Listed))> {
        let mut not_pushed = BTreeSet::new();
        not_pushed.extend(self.not_pushed.keys().map(|it| it.1.clone()));
        let options = Options {
            name: config.installation.clone(),
            labels: BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "verdict".to_owned())]),
            place: config.place.clone(),
            ca: (!ca.is_empty()).then(|| ca.to_owned()),
            excluded: config.excluded.clone(),
            exempt_label: config.exempt_label.clone(),
            push_conditions: true,
            not_pushed,
            client: None,
            token_file: None,
            folder: Default::default(),
        };
        let is_in = |key: &Key| !self.refused.contains_key(key) || self.generation(key).is_some();
        let entries = || self.entries.iter().filter(|(key, _)| is_in(key));
        let policies: Vec<Registered> = entries()
            .flat_map(|(_, it)| &it.policies)
            .map(|it| Registered { spec: it.spec.clone(), kind: it.kind })
            .collect();
        let listed = |interface: Interface| {
            let of = entries().filter(|(key, it)| key.0.interface() == interface && !it.policies.is_empty());
            of.map(|(key, it)| (key.clone(), (it.generation, it.policies.first().map(|it| Class::of(&it.spec)))))
                .collect()
        };
        let lists = (listed(Interface::Validating), listed(Interface::Mutating));
        // Those without rules were left out.
        let made = registration::webhooks(&policies, &options);
        let made = made.inspect_err(|error| warn!(%error, "what is registered stays as it is"));
        made.ok().map(|it| (it, lists))
    }

    /// Leaves out what kube-apiserver does not take: the conditions of an entry, or all of it.
    fn blame(&mut self, listed: &Listed, refused: Refused, paths: &[String]) -> Result<(), Refused> {
        let causes = match &refused {
            Refused::Status(status) if status.code == 422 => {
                status.details.iter().flat_map(|it| it.causes.clone()).collect()
            }
            _ => Vec::new(),
        };
        let mut is_found = false;
        for cause in causes {
            let Some((at, field)) = at(&cause.field) else { continue };
            let Some(path) = paths.get(at) else { continue };
            for (key, (generation, class)) in listed {
                let asks = path == &format!("/{}/{}", route(key.0), key.1)
                    || path == &format!("/{}", route(key.0))
                    || class.is_some_and(|it| path == &format!("/{}/{}", route(key.0), it.entry()));
                if !asks {
                    continue;
                }
                is_found = true;
                if field.starts_with("matchConditions") && !self.not_pushed.contains_key(key) {
                    warn!(
                        policy = title(key),
                        cause = cause.message,
                        "kube-apiserver does not take its matchConditions: they are evaluated here"
                    );
                    self.not_pushed.insert(key.clone(), *generation);
                } else {
                    warn!(policy = title(key), cause = cause.message, field, "kube-apiserver does not take it");
                    self.refused.insert(key.clone(), (*generation, "Refused", format!("{field}: {}", cause.message)));
                    self.take_back(key);
                }
            }
        }
        if is_found { Ok(()) } else { Err(refused) }
    }

    fn written(&self, kind: Kind) -> &Written {
        if kind.interface() == Interface::Mutating { &self.mutating } else { &self.validating }
    }
}

/// What it is asked about. Nobody is asked with its values, and what it may use may have been more once.
fn asked(object: &Object, spec: &Value) -> Result<PolicySpec, Vec<ConfigError>> {
    let caps = NamespacedCaps { time: MAX_TIME, memory: MAX_MEMORY, reviews: u32::MAX, registries: None };
    config::cluster(&object.document(spec), &|_| Ok("{}".to_owned()), &caps)
}

/// Of `webhooks[3].matchConditions[0].expression`: the place, and what follows.
fn at(field: &str) -> Option<(usize, &str)> {
    let (at, rest) = field.strip_prefix("webhooks[")?.split_once(']')?;
    Some((at.parse().ok()?, rest.trim_start_matches('.')))
}

fn route(kind: Kind) -> &'static str {
    if kind.interface() == Interface::Mutating { "mutate" } else { "validate" }
}

/// As an object writes them.
fn constraints(matching: &MatchSpec) -> Value {
    let rules = |rules: &[crate::spec::ResourceRule]| {
        let rule = |it: &crate::spec::ResourceRule| {
            let mut rule = json!({
                "apiGroups": it.api_groups,
                "apiVersions": it.api_versions,
                "resources": it.resources,
                "operations": it.operations,
                "scope": it.scope.name(),
            });
            if !it.resource_names.is_empty() {
                rule["resourceNames"] = json!(it.resource_names);
            }
            rule
        };
        rules.iter().map(rule).collect::<Vec<_>>()
    };
    let mut constraints = json!({
        "matchPolicy": if matching.exact { "Exact" } else { "Equivalent" },
        "resourceRules": rules(&matching.resource_rules),
    });
    if !matching.exclude_resource_rules.is_empty() {
        constraints["excludeResourceRules"] = json!(rules(&matching.exclude_resource_rules));
    }
    constraints
}

/// Bytes of what of it becomes a part of the webhook configuration, which all policies share.
fn size_of(spec: &Value) -> usize {
    ["matchConstraints", "matchConditions"].iter().map(|it| spec[it].to_string().len()).sum()
}

/// Bytes of a spec that is written into the status a second time.
const LARGEST: usize = 256 << 10;
/// Bytes of what a namespaced policy puts into the webhook configuration: etcd takes 1.5 MB of it.
const LARGEST_OF_NAMESPACE: usize = 16 << 10;
