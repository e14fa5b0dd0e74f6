//! From specs to a set: components read, each program prepared once, and all that is wrong with any of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::OnceCell;
use tracing::warn;

use super::{Answers, Policy, Set, group::Group, matching::Match};
use crate::{
    cel,
    component::protocol::Protocol,
    config::{ConfigError, manifest::default_match},
    engine::{
        prepare::{Compiler, Identity, PrepareError, SettingsError, Source},
        run::{Engine, Program, ProgramError, Rego, Start, Template},
    },
    loader::{Component, Components, LoadError},
    observe::Metrics,
    spec::{Class, ComponentRef, Digest, Family, GroupSpec, Instances, Interface, Kind, MatchSpec, PolicySpec, Runs},
    text::{line, shorten},
};

impl Set {
    /// Loads every policy, several at once, with what has to be fetched for them. Takes as long as preparing those that no cache holds.
    ///
    /// # Errors
    /// What is wrong with each policy that cannot be loaded; never empty.
    pub async fn load(makers: Makers<'_>, metrics: &Metrics, specs: Vec<PolicySpec>) -> Result<Self, Vec<ConfigError>> {
        makers.components.fetch_all(specs.iter().flat_map(PolicySpec::references)).await;
        let shelf = Shelf::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let loads: Vec<_> = specs.iter().map(|spec: &PolicySpec| load(makers, &shelf, spec)).collect();
        // Twice as many as there are cores, so that reading one overlaps compiling another.
        let loaded: Vec<_> = stream::iter(loads).buffered(cores * 2).collect().await;
        let mut policies: Vec<(Arc<Policy>, Vec<Class>)> = Vec::new();
        let mut errors = Vec::new();
        for (loaded, spec) in loaded.into_iter().zip(&specs) {
            match loaded {
                Ok(loaded) => {
                    let served = |it: Loaded| (Arc::new(it.register(metrics)), spec.also_answers.clone());
                    policies.extend(loaded.into_iter().map(served));
                }
                Err(wrong) => errors.extend(wrong),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let set = Self::new(policies, None);
        set.count(metrics);
        Ok(set)
    }

    /// Says how many policies there are.
    pub(super) fn count(&self, metrics: &Metrics) {
        for kind in Kind::ALL {
            let is = |it: &&Arc<Policy>| it.kind() == kind && !matches!(it.answers, Answers::Nobody);
            metrics.policies_loaded(kind, self.policies.iter().filter(is).count());
        }
        for snapshot in [true, false] {
            let components = self.policies.iter().flat_map(|it| it.components());
            let is = |(_, it): &(&PolicySpec, &super::Component)| (it.about().start == Start::Snapshot) == snapshot;
            metrics.policies_started(snapshot, components.filter(is).count());
        }
    }
}

/// What finds components, makes programs of them, and will run them.
#[derive(Clone, Copy)]
pub struct Makers<'a> {
    /// Runs them.
    pub engine: &'a Engine,
    /// Makes programs.
    pub compiler: &'a Compiler,
    /// Finds components.
    pub components: &'a Components,
}

/// What policies share while they are loaded: each component is read once, and each program prepared once.
#[derive(Default)]
pub(super) struct Shelf {
    components: Mutex<HashMap<String, Arc<OnceCell<Component>>>>,
    programs: Mutex<HashMap<Identity, Arc<OnceCell<Arc<Program>>>>>,
}

fn cell<K: Eq + Hash, V>(cells: &Mutex<HashMap<K, Arc<OnceCell<V>>>>, key: K) -> Arc<OnceCell<V>> {
    Arc::clone(cells.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
}

impl Shelf {
    pub(super) async fn component(
        &self,
        components: &Components,
        reference: &ComponentRef,
    ) -> Result<Component, LoadError> {
        let cell = cell(&self.components, format!("{reference:?}"));
        let read = || async { components.load(reference) };
        cell.get_or_try_init(read).await.cloned()
    }

    async fn program(&self, makers: Makers<'_>, source: &Source) -> Result<Arc<Program>, PrepareError> {
        let cell = cell(&self.programs, source.identity.clone());
        let load = || async { makers.compiler.load(makers.engine, source).await.map(Arc::new) };
        cell.get_or_try_init(load).await.map(Arc::clone)
    }
}

/// A policy that is not counted yet.
pub(super) struct Loaded {
    kind: Kind,
    spec: PolicySpec,
    matching: Match,
    parts: Parts,
}

/// What will answer for it.
enum Parts {
    /// Its digest, and that of its manifest.
    Component(Digest, Option<Box<Digest>>, Template),
    Group(cel::Group, Vec<Loaded>),
}

impl Loaded {
    pub(super) fn register(self, metrics: &Metrics) -> Policy {
        let Self { kind, spec, matching, parts } = self;
        let answers = match parts {
            Parts::Component(digest, manifest, template) => {
                Answers::Component(super::Component::new(digest, manifest, template))
            }
            Parts::Group(expression, members) => {
                let members = members.into_iter().map(|it| it.register(metrics)).collect();
                Answers::Group(Group::new(expression, members))
            }
        };
        let class = Class::of(&spec);
        Policy { metrics: metrics.for_policy(kind, &spec.name), kind, spec, class, matching, answers }
    }
}

/// Says what is wrong with a field of an object.
fn error(spec: &PolicySpec, field: &str, message: impl Into<String>) -> ConfigError {
    ConfigError {
        source: spec.source.clone(),
        object: Some(spec.title()),
        field: Some(spec.field(field)),
        message: message.into(),
    }
}

/// A policy; of a component by itself, one of each kind that it can be.
pub(super) async fn load(
    makers: Makers<'_>,
    shelf: &Shelf,
    spec: &PolicySpec,
) -> Result<Vec<Loaded>, Vec<ConfigError>> {
    match &spec.runs {
        Runs::Component(reference) => component(makers, shelf, spec, reference).await,
        Runs::Group(declared) => Ok(vec![group(makers, shelf, spec, declared).await?]),
    }
}

async fn component(
    makers: Makers<'_>,
    shelf: &Shelf,
    spec: &PolicySpec,
    reference: &ComponentRef,
) -> Result<Vec<Loaded>, Vec<ConfigError>> {
    let of_component = |message: String| vec![error(spec, "spec.component", message)];
    let component =
        shelf.component(makers.components, reference).await.map_err(|wrong| of_component(wrong.to_string()))?;
    let of_limits = |message: String| vec![error(spec, "spec.limits", message)];
    let (digest, manifest) = (component.digest, component.manifest.map(Box::new));
    let source = Source::new(makers.engine, component, spec.settings.as_deref(), &spec.grants, &spec.limits)
        .map_err(|wrong| of_limits(wrong.to_string()))?;
    let program = shelf.program(makers, &source).await.map_err(|wrong| match wrong {
        PrepareError::Program(wrong) => of_component(wrong.to_string()),
        PrepareError::Settings(wrong) => {
            let of_setting = |it: SettingsError| ConfigError {
                source: spec.place_of_setting(&it.path).to_owned(),
                ..error(spec, &format!("spec.settings{}", dotted(&it.path)), it.message)
            };
            wrong.into_iter().map(of_setting).collect()
        }
        PrepareError::Init(failure) => of_component(format!("init failed: {failure}")),
    })?;
    let kinds = kinds(&program, spec).map_err(of_component)?;
    if let Some((field, message)) = misfit(program.description().protocol, spec) {
        return Err(vec![error(spec, field, message)]);
    }
    let unserved = spec.grants.host_capabilities.unserved();
    if !unserved.is_empty() {
        let policy = &spec.name;
        warn!(
            policy,
            "granted and not built yet: {}: the policy is told that it was not granted them",
            unserved.join(", ")
        );
    }
    if let Some(Rego { entrypoints, .. }) = program.about().rego.as_ref().filter(|it| it.entrypoints.len() > 1) {
        let [asked, others] =
            [&entrypoints[..1], &entrypoints[1..]].map(|it| shorten(&line(&it.join(", ")), MAX_NAMES));
        warn!(policy = spec.name, "the module has several entrypoints: {asked} is asked, and never {others}");
    }
    let loaded = kinds.into_iter().map(|kind| {
        if kind == Kind::Authenticator && spec.instance_policy == Instances::Reuse {
            let words = "Reuse is not allowed for authenticators, since they see tokens";
            return Err(vec![error(spec, "spec.instancePolicy", words)]);
        }
        let mut spec = spec.clone();
        // What a manifest says of it is for admission.
        let admits = matches!(kind.interface(), Interface::Validating | Interface::Mutating);
        if let Some(manifest) = program.about().manifest.as_ref().filter(|_| admits && !spec.own_constraints) {
            let default = default_match(manifest).map_err(|wrong| {
                wrong.into_iter().map(|it| error(&spec, "spec.component", it.to_string())).collect::<Vec<_>>()
            })?;
            spec.matching = by_default(default, spec.matching);
        }
        let template =
            Template::new(makers.engine, Arc::clone(&program), &spec.name, spec.limits, spec.instance_policy)
                .map_err(|wrong| of_limits(wrong.to_string()))?;
        Ok(Loaded {
            kind,
            matching: compiled(&spec, kind)?,
            spec,
            parts: Parts::Component(digest, manifest.clone(), template),
        })
    });
    loaded.collect()
}

/// A group with its members; everything that is wrong with any of them.
async fn group(
    makers: Makers<'_>,
    shelf: &Shelf,
    spec: &PolicySpec,
    declared: &GroupSpec,
) -> Result<Loaded, Vec<ConfigError>> {
    let names: Vec<&str> = declared.members.iter().map(|it| GroupSpec::within(&it.name)).collect();
    let expression = cel::Group::compile(&declared.expression, &names)
        .map_err(|words| vec![error(spec, "spec.expression", words)])?;
    let (mut members, mut wrong) = (Vec::new(), Vec::new());
    for member in &declared.members {
        let Runs::Component(reference) = &member.runs else { continue };
        match component(makers, shelf, member, reference).await {
            Ok(loaded) => members.extend(loaded),
            Err(errors) => wrong.extend(errors),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut spec = spec.clone();
    if !spec.own_constraints {
        let mut defaults = members.iter().map(|it| &it.spec.matching);
        let first = defaults.next().cloned().unwrap_or_default();
        if defaults.any(|it| *it != first) {
            let words = "is required, since the manifests of the members are about different requests";
            return Err(vec![error(&spec, "spec.matchConstraints", words)]);
        }
        spec.matching = by_default(first, spec.matching);
    }
    let (kind, matching) = (Kind::PolicyGroup, compiled(&spec, Kind::PolicyGroup)?);
    Ok(Loaded { kind, spec, matching, parts: Parts::Group(expression, members) })
}

/// What a policy with the namespace and the conditions of `own`, and no constraints, is asked about.
fn by_default(default: MatchSpec, own: MatchSpec) -> MatchSpec {
    let MatchSpec { only_namespace, match_conditions, .. } = own;
    let match_conditions = if match_conditions.is_empty() { default.match_conditions } else { match_conditions };
    MatchSpec { only_namespace, match_conditions, ..default }
}

fn compiled(spec: &PolicySpec, kind: Kind) -> Result<Match, Vec<ConfigError>> {
    Match::compile(&spec.matching, kind)
        .map_err(|wrong| wrong.into_iter().map(|(field, message)| error(spec, &field, message)).collect())
}

/// What the program is to be.
fn kinds(program: &Program, spec: &PolicySpec) -> Result<Vec<Kind>, String> {
    let exported = &program.description().interfaces;
    let protocol = program.description().protocol;
    if let Some(family) = spec.expects.filter(|it| protocol.family() != Some(*it)) {
        return Err(format!("expected a policy of {}'s; this is {}", family.name(), protocol.name()));
    }
    let all = Kind::all_of(exported);
    match spec.kind {
        // Where such policies are listed, the list says which of them may change objects, not their metadata.
        Some(kind) if spec.expects == Some(Family::Kubewarden) => Ok(vec![kind]),
        Some(kind) if kind.interfaces().iter().any(|it| exported.contains(it)) => Ok(vec![kind]),
        Some(kind) => {
            let can: Vec<&str> = all.iter().map(|it| it.name()).collect();
            Err(format!("it cannot be a {kind}, only {}", can.join(", ")))
        }
        None => Ok(all),
    }
}

/// What a policy's fields say that its protocol does not have, or lack that it needs: the field and the words.
fn misfit(protocol: Protocol, spec: &PolicySpec) -> Option<(&'static str, String)> {
    let calls = protocol == Protocol::Wapc || protocol.is_kubewarden();
    if !calls && !spec.grants.host_capabilities.granted().is_empty() {
        let words = format!(
            "only modules of Kubewarden and waPC call these, and the protocol of this one is \"{}\"",
            protocol.name()
        );
        return Some(("spec.grants.hostCapabilities", words + ": remove the field"));
    }
    if protocol.is_rego() && spec.kubewarden.is_some_and(|it| it.looks_up) {
        return Some(("spec.component", ProgramError::LookUps.to_string()));
    }
    let (field, message) = match (protocol, &spec.operation) {
        (Protocol::Wapc, None) => (
            "spec.operation",
            "this waPC module answers no reviews: declare it as a Provider with spec.operation, the name of the operation that each \
             event is sent to (`verdict call` calls any operation once)"
                .to_owned(),
        ),
        (Protocol::Wapc, Some(_)) if spec.settings.is_some() => {
            ("spec.settings", "waPC has no settings: the operation gets the event and nothing else".to_owned())
        }
        (Protocol::Wapc, Some(_)) | (_, None) => return None,
        (other, Some(_)) => (
            "spec.operation",
            format!("only waPC modules have operations, and the protocol of this one is \"{}\": remove the field", other.name()),
        ),
    };
    Some((field, message))
}

/// A JSON Pointer as the rest of a field's path: `/labels/0` is `.labels[0]`.
pub(crate) fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, segment| {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if segment.bytes().all(|it| it.is_ascii_digit()) && !segment.is_empty() {
            format!("{path}[{segment}]")
        } else {
            format!("{path}.{segment}")
        }
    })
}

/// Characters of a module's own names in the log.
const MAX_NAMES: usize = 512;
