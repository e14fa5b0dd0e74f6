//! One document to one [`PolicySpec`]: compared with the schema of its kind, then read, then compared with what only its reader can know.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use serde::de::DeserializeOwned;

use super::{
    ConfigError, NamespacedCaps, Values, cluster, component, elsewhere, events,
    fields::{Field, Report},
    grants, group, limits,
    rules::{self, NamespaceLabels},
    settings,
    walk::{Schema, without_nulls},
    yaml::{NO_LINE, Node, Value},
};
use crate::spec::{
    Actions, Digest, FailurePolicy, Given, GroupSpec, Instances, Kind, LimitPolicy, Limits, MatchSpec, PolicySpec,
    Runs,
    declared::{
        AUTHOR_API_VERSION, Action, AdmissionFailure, AdmissionSpec, AuthenticatorSpec, AuthorizationFailure,
        AuthorizerSpec, CommonSpec, InstancePolicy, Metadata, MutatorSpec, Object, PolicyGroupSpec, ProviderSpec,
        RunSpec, ValidatorSpec,
    },
    schema,
};

/// Where a document stands.
pub(super) struct Place<'a> {
    /// The file, as messages name it.
    pub(super) file: &'a str,
    /// The file, with the document's number where it has several.
    pub(super) document: String,
    /// How far it is trusted.
    pub(super) origin: Origin<'a>,
}

/// Where a document came from.
pub(super) enum Origin<'a> {
    /// A file: it may name others. What relative paths are relative to.
    Folder(&'a Path),
    /// A request: nothing of it is read from files.
    Request {
        /// The components that came with it, or before, by their digest.
        given: &'a dyn Fn(Digest) -> Option<Given>,
        /// Whether it may name what has to be fetched.
        fetches: bool,
    },
    /// A cluster: nothing of it is read from files.
    Cluster {
        /// What its keys hold.
        values: Values<'a>,
        /// What namespaced policies may have.
        caps: &'a NamespacedCaps,
    },
}

/// Parses one document, or says everything that is wrong with it.
pub(super) fn policy(node: &Node, place: &Place<'_>) -> Result<PolicySpec, Vec<ConfigError>> {
    let mut report = Report::new(place.file);
    let root = Field::root(node);
    let kind = kind(&root, &place.origin, &mut report);
    let Some(kind) = kind else {
        report.finish()?;
        return Err(Vec::new());
    };
    if let Some(name) = name(&root, kind) {
        report.object = Some(format!("{kind} {name}"));
    }
    let schemas = match place.origin {
        Origin::Folder(_) => &SCHEMAS,
        Origin::Request { .. } => &REGISTERED,
        Origin::Cluster { .. } => &CLUSTER,
    };
    schemas[&kind].check(&root, &mut report, &|path, key| elsewhere::why_not(kind, &place.origin, path, key));
    let spec = root.at("spec");
    let mut found = Vec::new();
    if let Some(spec) = &spec {
        let labels = match place.origin {
            Origin::Cluster { .. } => NamespaceLabels::All,
            Origin::Folder(_) | Origin::Request { .. } => NamespaceLabels::OnlyName,
        };
        rules::check(spec, kind, labels, &mut report);
        if kind == Kind::PolicyGroup {
            group::check(spec, &mut report);
        }
        for run in runs(spec, kind) {
            component::check(&run, &place.origin, &mut report);
            if let Origin::Cluster { caps, .. } = place.origin
                && kind.is_namespaced()
            {
                cluster::check(&run, caps, &mut report);
            }
            found.push(Found {
                settings: settings::read(&run, &place.origin, &mut report),
                variables: grants::from_elsewhere(&run, &place.origin, &mut report),
            });
        }
    }
    let object = report.object.clone();
    report.finish()?;
    read(&root, kind, place, found).ok_or_else(|| {
        let message = "its schema allows it, and it cannot be read: this is a fault of Verdict".to_owned();
        vec![ConfigError { source: place.document.clone(), object, field: None, message }]
    })
}

/// What a component gets that is not all in its document.
struct Found {
    settings: Option<String>,
    variables: grants::FromElsewhere,
}

/// Where components are named, with all that they get.
fn runs<'n>(spec: &Field<'n>, kind: Kind) -> Vec<Field<'n>> {
    match kind {
        Kind::PolicyGroup => spec.at("members").map(|it| it.items()).unwrap_or_default(),
        _ => vec![spec.clone()],
    }
}

/// Another kind would only give errors that lead astray. It is not passed over either: a policy whose kind is misspelt would be missing
/// without a word. None only after an error was reported.
fn kind(root: &Field<'_>, origin: &Origin<'_>, report: &mut Report<'_>) -> Option<Kind> {
    if !matches!(root.node.value, Value::Map(_)) {
        root.expected(report, "an object");
        return None;
    }
    let Some(kind) = root.at("kind") else {
        report.object = plain(root, "name").map(|name| format!("policy {name}"));
        match root.at("modules") {
            // Without a kind it does not say what its modules are asked.
            Some(modules) => modules.error(
                report,
                "this is a file of k8s-wasm's: name it with --k8s-wasm-authentication, --k8s-wasm-authorization or --k8s-wasm-admission",
            ),
            None => root.below("kind", root.node).error(report, "is required"),
        }
        return None;
    };
    // Who has rights in one namespace writes to the cluster, not to the server.
    let is_taken = |kind: &Kind| !(kind.is_namespaced() && matches!(origin, Origin::Request { .. }));
    let kinds = Kind::ALL.into_iter().filter(is_taken).map(|kind| (kind.name(), kind));
    kind.choice(&kinds.collect::<Vec<_>>(), report)
}

/// What a policy is called, if it can be shown as it is.
fn name(root: &Field<'_>, kind: Kind) -> Option<String> {
    let name = plain(root, "name")?;
    Some(if kind.is_namespaced() { format!("{}/{name}", plain(root, "namespace")?) } else { name.to_owned() })
}

fn plain<'n>(root: &Field<'n>, field: &str) -> Option<&'n str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    root.at("metadata")?.at(field)?.words().filter(|it| it.len() <= 63 && it.bytes().all(plain))
}

/// Whether a document is one of those that authors keep for their tools.
pub(super) fn is_of_author(node: &Node) -> bool {
    let root = Field::root(node);
    let is =
        |name: &str, words: &[&str]| root.at(name).is_some_and(|it| it.words().is_some_and(|it| words.contains(&it)));
    is("kind", &OF_AUTHORS) && is("apiVersion", &[AUTHOR_API_VERSION])
}

/// Of what the schema allows; what was `found` of each of [`runs`]. None: it cannot be read all the same.
fn read(root: &Field<'_>, kind: Kind, place: &Place<'_>, found: Vec<Found>) -> Option<PolicySpec> {
    let spec = root.at("spec")?;
    let mut found = found.into_iter();
    let mut common = |head: Metadata, common: CommonSpec| {
        let run = Run { declared: common.run, field: &spec, found: found.next()? };
        let name = match &head.namespace {
            Some(namespace) => format!("{namespace}/{}", head.name),
            None => head.name,
        };
        let run = run.read(kind, &name, place)?;
        let matching = MatchSpec { only_namespace: head.namespace, ..MatchSpec::default() };
        Some(PolicySpec { order: common.order, matching, ..run })
    };
    Some(match kind {
        Kind::Validator | Kind::NamespacedValidator => {
            let Object { metadata, spec } = parsed::<ValidatorSpec>(root)?;
            PolicySpec {
                actions: actions(&spec.validation_actions),
                ..of_objects(spec.admission, common(metadata, spec.common)?)
            }
        }
        Kind::Mutator | Kind::NamespacedMutator => {
            let Object { metadata, spec } = parsed::<MutatorSpec>(root)?;
            PolicySpec { actions: in_shadow(spec.shadow), ..of_objects(spec.admission, common(metadata, spec.common)?) }
        }
        Kind::Authorizer => {
            let Object { metadata, spec } = parsed::<AuthorizerSpec>(root)?;
            PolicySpec {
                actions: in_shadow(spec.shadow),
                failure_policy: spec.failure_policy.into(),
                matching: rules::read(None, spec.match_conditions),
                instance_policy: spec.instance_policy.into(),
                message: spec.message.map(|it| it.trim_end().to_owned()),
                ..common(metadata, spec.common)?
            }
        }
        Kind::Authenticator => {
            let Object { metadata, spec } = parsed::<AuthenticatorSpec>(root)?;
            PolicySpec {
                actions: in_shadow(spec.shadow),
                matching: rules::read(None, spec.match_conditions),
                ..common(metadata, spec.common)?
            }
        }
        Kind::Provider => {
            let Object { metadata, spec } = parsed::<ProviderSpec>(root)?;
            PolicySpec {
                actions: in_shadow(spec.shadow),
                operation: spec.operation,
                account: events::account(&spec.common.run.grants),
                events: events::read(spec.events),
                instance_policy: spec.instance_policy.into(),
                ..common(metadata, spec.common)?
            }
        }
        Kind::PolicyGroup => {
            let Object { metadata, spec } = parsed::<PolicyGroupSpec>(root)?;
            let instance_policy = spec.admission.instance_policy.into();
            let fields = runs(&root.at("spec")?, kind);
            let members = spec.members.into_iter().zip(&fields).zip(found).enumerate();
            let members = members.map(|(at, ((member, field), found))| {
                let run = Run { declared: member.run, field, found };
                let written = |it: &'static str| (it, it.replacen("spec", &format!("spec.members[{at}]"), 1));
                Some(PolicySpec {
                    fields: ["spec.component", "spec.settings", "spec.limits", "spec.grants"].map(written).into(),
                    actions: Actions::COUNTED,
                    instance_policy,
                    ..run.read(kind, &format!("{}/{}", metadata.name, member.name), place)?
                })
            });
            let members = members.collect::<Option<Vec<_>>>()?;
            let whole = PolicySpec {
                order: spec.order,
                actions: actions(&spec.validation_actions),
                limits: Limits { time: GroupSpec::time(&members), ..Limits::default() },
                ..PolicySpec::of(
                    Some(kind),
                    &metadata.name,
                    Runs::Group(GroupSpec { expression: spec.expression, members }),
                    place.document.clone(),
                )
            };
            of_objects(spec.admission, whole)
        }
    })
}

/// A component with all that it gets.
struct Run<'a> {
    declared: RunSpec,
    field: &'a Field<'a>,
    found: Found,
}

impl Run<'_> {
    fn read(self, kind: Kind, name: &str, place: &Place<'_>) -> Option<PolicySpec> {
        let mut settings_lines = BTreeMap::new();
        if let Some(settings) = self.field.at("settings").filter(|it| it.node.line != NO_LINE) {
            lines(settings.node, String::new(), place.file, &mut settings_lines);
        }
        let component = component::read(self.declared.component, &place.origin)?;
        let limits = limits::read(&self.declared.limits)?;
        let Found { settings, variables } = self.found;
        Some(PolicySpec {
            settings,
            settings_lines,
            limits: match place.origin {
                Origin::Cluster { caps, .. } if kind.is_namespaced() => cluster::capped(limits, caps),
                _ => limits,
            },
            grants: grants::read(self.declared.grants, &variables)?,
            files: variables.into_values().filter_map(|it| it.file).collect(),
            ..PolicySpec::of(Some(kind), name, Runs::Component(component), place.document.clone())
        })
    }
}

fn of_objects(declared: AdmissionSpec, common: PolicySpec) -> PolicySpec {
    PolicySpec {
        failure_policy: declared.failure_policy.into(),
        limit_policy: declared.limit_policy.into(),
        own_constraints: declared.match_constraints.is_some(),
        matching: MatchSpec {
            only_namespace: common.matching.only_namespace.clone(),
            ..rules::read(declared.match_constraints, declared.match_conditions)
        },
        instance_policy: declared.instance_policy.into(),
        message: declared.message.map(|it| it.trim_end().to_owned()),
        ..common
    }
}

/// Settings stay what they are: serde's flatten cannot hold their numbers.
fn parsed<S: DeserializeOwned>(root: &Field<'_>) -> Option<Object<S>> {
    let mut object = without_nulls(root.node);
    let spec = object.get_mut("spec")?.as_object_mut()?;
    spec.remove("settings");
    for member in spec.get_mut("members").and_then(|it| it.as_array_mut()).into_iter().flatten() {
        member.as_object_mut()?.remove("settings");
    }
    serde_json::from_value(object).ok()
}

fn actions(declared: &[Action]) -> Actions {
    let does = |action| declared.contains(&action);
    Actions { deny: does(Action::Deny), warn: does(Action::Warn), audit: does(Action::Audit) }
}

fn in_shadow(shadow: bool) -> Actions {
    if shadow { Actions::SHADOW } else { Actions::DECIDE }
}

/// Depth is bounded since the tree's is.
pub(super) fn lines(node: &Node, pointer: String, file: &str, lines_of: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                lines(item, format!("{pointer}/{at}"), file, lines_of);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                lines(value, format!("{pointer}/{key}"), file, lines_of);
            }
        }
        _ => {}
    }
    lines_of.insert(pointer, format!("{file}:{}", node.line));
}

impl From<AdmissionFailure> for FailurePolicy {
    fn from(it: AdmissionFailure) -> Self {
        match it {
            AdmissionFailure::Fail => Self::Fail,
            AdmissionFailure::Ignore => Self::Ignore,
        }
    }
}

impl From<AdmissionFailure> for LimitPolicy {
    fn from(it: AdmissionFailure) -> Self {
        match it {
            AdmissionFailure::Fail => Self::Fail,
            AdmissionFailure::Ignore => Self::Ignore,
        }
    }
}

impl From<AuthorizationFailure> for FailurePolicy {
    fn from(it: AuthorizationFailure) -> Self {
        match it {
            AuthorizationFailure::Fail => Self::Fail,
            AuthorizationFailure::NoOpinion => Self::NoOpinion,
            AuthorizationFailure::Deny => Self::Deny,
        }
    }
}

impl From<InstancePolicy> for Instances {
    fn from(it: InstancePolicy) -> Self {
        match it {
            InstancePolicy::PerReview => Self::PerReview,
            InstancePolicy::Reuse => Self::Reuse,
        }
    }
}

static SCHEMAS: LazyLock<BTreeMap<Kind, Schema>> = LazyLock::new(|| {
    // That each compiles is tested.
    Kind::ALL.into_iter().filter_map(|kind| Some((kind, Schema::compile(schema::object(kind)).ok()?))).collect()
});

/// Of objects that are registered.
static REGISTERED: LazyLock<BTreeMap<Kind, Schema>> = LazyLock::new(|| {
    let compiled = |kind| Some((kind, Schema::compile(&schema::registered::object(kind)).ok()?));
    Kind::ALL.into_iter().filter_map(compiled).collect()
});

/// Of objects of a cluster.
static CLUSTER: LazyLock<BTreeMap<Kind, Schema>> = LazyLock::new(|| {
    let compiled = |kind| Some((kind, Schema::compile(&schema::cluster::object(kind)).ok()?));
    Kind::ALL.into_iter().filter_map(compiled).collect()
});

/// The kinds of ours that are no policies.
const OF_AUTHORS: [&str; 2] = [super::manifest::KIND, "PolicyTest"];
