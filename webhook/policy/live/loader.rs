//! What makes declared objects the live set: it loads what is new, keeps what is not, and swaps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use futures_util::{StreamExt as _, stream};
use tracing::{error, info};

use super::{
    super::{
        Answers, Policy, Set,
        load::{Makers, Shelf, load},
        matching::{Match, Namespaces},
    },
    Current, Declared, Live, Now, Object, State, Unreadable, digest,
};
use crate::{
    config::{ConfigError, name_of},
    engine::{prepare::Compiler, run::Engine},
    loader::{Components, LoadError},
    observe::Metrics,
    spec::{Class, Digest, Kind, PolicySpec},
};

/// Objects that are loaded and do not serve yet, each with what is wrong with it.
pub(super) struct Made(Vec<(Object, Vec<ConfigError>)>);

impl Made {
    /// What is wrong with an object.
    pub(super) fn wrong(&self, spec: &PolicySpec) -> &[ConfigError] {
        let is = |it: &&(Object, Vec<ConfigError>)| it.0.is(spec) && it.0.declared.source == spec.source;
        self.0.iter().find(is).map_or(&[], |(_, wrong)| wrong)
    }
}

/// Makes declared objects the live set.
pub struct Loader {
    /// What it changes.
    pub live: Arc<Live>,
    /// Runs the policies.
    pub engine: Engine,
    /// Makes their programs.
    pub compiler: Compiler,
    /// Finds their components.
    pub components: Components,
    /// Counts them.
    pub metrics: Arc<Metrics>,
    /// Of the cluster, where there is one.
    pub namespaces: Option<Arc<dyn Namespaces>>,
}

impl Loader {
    /// Loads what is new or changed, and swaps it in with what is not. What is gone is told so once nobody uses it.
    ///
    /// Must not run at the same time as itself, nor as any other that changes: what it finds is what it changes.
    ///
    /// Gives what is wrong with those that do not load.
    pub async fn update(&self, declared: Vec<Declared>, unreadable: Vec<Unreadable>) -> Vec<ConfigError> {
        self.announce(&self.live.current(), &declared);
        let made = self.prepare(declared).await;
        let errors = made.0.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
        self.swap(made, unreadable);
        errors
    }

    /// Loads what is new or changed, and changes nothing of what serves.
    pub(super) async fn prepare(&self, declared: Vec<Declared>) -> Made {
        let before = self.live.current();
        let known: HashMap<(Option<Kind>, &str), &Object> =
            before.objects.iter().rev().map(|it| ((it.declared.kind, &*it.declared.name), it)).collect();
        let shelf = Shelf::default();
        let mut names: BTreeMap<(Option<Kind>, String), String> = BTreeMap::new();
        let mut steps = Vec::new();
        for it in declared {
            let taken = names.get(&name_of(&it.spec)).cloned();
            if taken.is_none() {
                names.insert(name_of(&it.spec), it.spec.source.clone());
            }
            let old = match &taken {
                None => known.get(&(it.spec.kind, &*it.spec.name)).copied(),
                Some(_) => before.objects.iter().find(|old| old.is(&it.spec) && old.declared.source == it.spec.source),
            };
            steps.push(self.object(old, &shelf, it, taken));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Made(stream::iter(steps).buffered(cores * 2).collect().await)
    }

    /// Loads an object, and forgets it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) async fn try_out(&self, spec: &PolicySpec) -> Result<(), Vec<ConfigError>> {
        load(self.makers(), &Shelf::default(), spec).await.map(drop)
    }

    fn makers(&self) -> Makers<'_> {
        Makers { engine: &self.engine, compiler: &self.compiler, components: &self.components }
    }

    /// What is to be loaded is shown as that.
    fn announce(&self, before: &Current, declared: &[Declared]) {
        let now = SystemTime::now();
        let objects = declared.iter().map(|it| match before.objects.iter().find(|old| old.is(&it.spec)) {
            Some(old) if old.declared.says_as(&it.spec) => old.clone(),
            Some(old) => Object { state: State::Loading, reason: None, since: now, ..old.clone() },
            None => Object {
                declared: Arc::new(it.spec.clone()),
                digests: Vec::new(),
                state: State::Loading,
                reason: None,
                since: now,
                policies: Vec::new(),
                is_declared: false,
            },
        });
        // What is gone serves until the new set does.
        let gone = before.objects.iter().filter(|old| !declared.iter().any(|it| old.is(&it.spec))).cloned();
        let current = Current {
            set: Arc::clone(&before.set),
            objects: objects.chain(gone).collect(),
            unreadable: before.unreadable.clone(),
            digest: before.digest,
        };
        self.show(&current.objects);
        self.live.0.store(Arc::new(current));
    }

    async fn object(
        &self,
        old: Option<&Object>,
        shelf: &Shelf,
        Declared { spec, now, fallback }: Declared,
        taken: Option<String>,
    ) -> (Object, Vec<ConfigError>) {
        let fallback = fallback.as_deref();
        if let Some(first) = taken {
            let message = format!("the name is already used in {first}");
            let field = Some(spec.field("metadata.name"));
            let error = ConfigError { source: spec.source.clone(), object: Some(spec.title()), field, message };
            // Its name is somebody else's: nothing serves for it.
            let unserved = old.map(|it| Object { policies: Vec::new(), ..it.clone() });
            let failed = self.not_loaded(unserved.as_ref(), &spec, error.to_string(), Vec::new());
            return (Object { policies: Vec::new(), ..failed }, vec![error]);
        }
        // What failed for want of its name has nothing that serves: it is loaded now.
        if let (Now::Untouched, Some(old)) = (&now, old.filter(|it| !it.policies.is_empty())) {
            if old.declared.also_answers == spec.also_answers {
                return (old.clone(), Vec::new());
            }
            let declared = PolicySpec { also_answers: spec.also_answers, ..PolicySpec::clone(&old.declared) };
            return (Object { declared: Arc::new(declared), ..old.clone() }, Vec::new());
        }
        if let Now::Unreadable(reason) = now {
            let not_loaded = self.not_loaded(old, &spec, reason, Vec::new());
            let not_loaded = self.as_before(not_loaded, shelf, fallback).await;
            // What it was is what it was declared as: it needs no loading when it can be read again.
            let kept = old.filter(|it| it.is_declared && it.declared.says_as(&spec));
            let kept = kept.map(|it| Object { digests: it.digests.clone(), is_declared: true, ..not_loaded.clone() });
            return (kept.unwrap_or(not_loaded), Vec::new());
        }
        let mut digests = Vec::new();
        for reference in spec.references() {
            let found = shelf.component(&self.components, reference).await;
            if let Err(error @ LoadError::Missing(_)) = &found {
                let waits = self.not_loaded(old, &spec, error.to_string(), Vec::new());
                let waits = self.as_before(waits, shelf, fallback).await;
                return (Object { state: State::Loading, ..waits }, vec![missing(&spec, error)]);
            }
            digests.push(found.ok().map(|it| it.digest));
        }
        if let Some(old) = old.filter(|it| it.is_declared && it.declared.says_as(&spec) && it.digests == digests) {
            let since = if old.state == State::Active { old.since } else { SystemTime::now() };
            let declared = Arc::new(spec);
            return (Object { declared, state: State::Active, reason: None, since, ..old.clone() }, Vec::new());
        }
        match load(self.makers(), shelf, &spec).await {
            Err(errors) => {
                let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let not_loaded = self.not_loaded(old, &spec, words.join("; "), digests);
                (self.as_before(not_loaded, shelf, fallback).await, errors)
            }
            Ok(loaded) => {
                let policies = loaded.into_iter().map(|it| Arc::new(it.register(&self.metrics))).collect();
                let since = SystemTime::now();
                let state = State::Active;
                let object = Object {
                    declared: Arc::new(spec),
                    digests,
                    state,
                    reason: None,
                    since,
                    policies,
                    is_declared: true,
                };
                (object, Vec::new())
            }
        }
    }

    /// Where nothing of it serves, it is loaded as it was when it was known to be good.
    async fn as_before(&self, object: Object, shelf: &Shelf, fallback: Option<&PolicySpec>) -> Object {
        let (State::Failed, Some(fallback)) = (object.state, fallback) else { return object };
        match load(self.makers(), shelf, fallback).await {
            Ok(loaded) => {
                let policies = loaded.into_iter().map(|it| Arc::new(it.register(&self.metrics))).collect();
                Object { state: State::Stale, policies, ..object }
            }
            Err(_) => object,
        }
    }

    /// It serves as it did, or, if it never did, fails whatever it is asked; what nobody was told to ask it, it is not asked.
    fn not_loaded(
        &self,
        old: Option<&Object>,
        spec: &PolicySpec,
        reason: String,
        digests: Vec<Option<Digest>>,
    ) -> Object {
        let served = old.filter(|it| it.policies.iter().any(|it| !matches!(it.answers, Answers::Nobody)));
        let state = if served.is_some() { State::Stale } else { State::Failed };
        let same = old.filter(|it| it.state == state && it.reason.as_ref() == Some(&reason));
        Object {
            declared: Arc::new(spec.clone()),
            digests,
            state,
            since: same.map_or_else(SystemTime::now, |it| it.since),
            policies: match served {
                Some(served) => served.policies.clone(),
                None => {
                    let is_asked = spec.revision.as_ref().is_none_or(|it| it.is_registered);
                    let kind = spec.kind.filter(|_| is_asked);
                    kind.map(|kind| Arc::new(Policy::nobody(kind, spec, &self.metrics))).into_iter().collect()
                }
            },
            reason: Some(reason),
            is_declared: false,
        }
    }

    /// What was made serves from now on.
    pub(super) fn swap(&self, made: Made, unreadable: Vec<Unreadable>) {
        let objects: Vec<Object> = made.0.into_iter().map(|(object, _)| object).collect();
        // Of what is declared: what is served was not loaded again where nothing else changed.
        let also = |it: &Object| it.declared.also_answers.clone();
        let policies =
            objects.iter().flat_map(|it| it.policies.iter().map(move |policy| (Arc::clone(policy), also(it))));
        let policies = policies.collect();
        let before = self.live.current();
        let set = Arc::new(Set::new(policies, Some(before.set.memory.clone())).with(self.namespaces.clone()));
        set.count(&self.metrics);
        self.show(&objects);
        self.tell(&before, &objects);
        let digest = digest(&objects);
        self.metrics.active_set(&digest);
        let removed = |it: &&Arc<Policy>| !set.policies.iter().any(|other| Arc::ptr_eq(it, other));
        let gone: Vec<Arc<Policy>> = before.set.policies.iter().filter(removed).map(Arc::clone).collect();
        let names = |set: &Set| -> BTreeSet<String> {
            let all = set.policies.iter().flat_map(|it| std::iter::once(&**it).chain(it.members()));
            all.map(|it| it.spec.name.clone()).collect()
        };
        for name in names(&before.set).difference(&names(&set)) {
            self.metrics.forget(name);
        }
        let mut unused = before.set.used.subscribe();
        self.live.0.store(Arc::new(Current { set, objects, unreadable, digest }));
        drop(before);
        if !gone.is_empty() {
            tokio::spawn(async move {
                // Ends when the last request of the set of before does.
                while unused.changed().await.is_ok() {}
                for (_, component) in gone.iter().flat_map(|it| it.components()) {
                    component.cleanup().await;
                }
            });
        }
    }

    fn show(&self, objects: &[Object]) {
        for state in State::ALL {
            self.metrics.objects(state.name(), objects.iter().filter(|it| it.state == state).count());
        }
    }

    /// What changed, once.
    fn tell(&self, before: &Current, objects: &[Object]) {
        for object in objects {
            let policy = object.declared.title();
            let is_known =
                |it: &&Object| it.is(&object.declared) && it.since == object.since && it.state == object.state;
            if before.objects.iter().any(|it| is_known(&it)) {
                continue;
            }
            match object.state {
                State::Active => info!(policy, "active"),
                State::Loading => {}
                State::Failed => error!(
                    policy,
                    reason = object.reason,
                    "not loaded: whatever it is asked fails, and its failurePolicy decides"
                ),
                State::Stale => {
                    error!(
                        policy,
                        reason = object.reason,
                        "not loaded as it is declared now: it serves as it was before"
                    )
                }
            }
        }
        for gone in before.objects.iter().filter(|it| !objects.iter().any(|new| new.is(&it.declared))) {
            info!(policy = gone.declared.title(), "gone");
        }
    }
}

fn missing(spec: &PolicySpec, error: &LoadError) -> ConfigError {
    ConfigError {
        source: spec.source.clone(),
        object: Some(spec.title()),
        field: Some(spec.field("spec.component")),
        message: error.to_string(),
    }
}

impl Policy {
    /// One that never loaded.
    fn nobody(kind: Kind, spec: &PolicySpec, metrics: &Metrics) -> Self {
        // Its conditions were compiled where they were read; should they not be the same now, it is asked about everything.
        let matching = Match::compile(&spec.matching, kind).unwrap_or_default();
        Self {
            kind,
            class: Class::of(spec),
            matching,
            metrics: metrics.for_policy(kind, &spec.name),
            spec: spec.clone(),
            answers: Answers::Nobody,
        }
    }
}
