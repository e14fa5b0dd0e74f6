//! From the objects of the cluster to what is to serve.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kube::Client;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until, timeout},
};
use tracing::warn;

use super::{
    Config, crowd,
    mirror::Changes,
    objects::{Object, Objects},
    values::{Holder, Values},
};
use crate::{
    config::{self, ConfigError},
    policy::{Declared, Key, Now, Orders},
    spec::{Class, Kind, PolicySpec, Revision, ValueRef},
};

/// Declares them, whenever they change.
pub(super) struct Source {
    config: Arc<Config>,
    objects: Arc<Objects>,
    values: Values,
    /// Of values.
    changed: watch::Receiver<()>,
    /// What kube-apiserver is told to ask.
    registered: watch::Receiver<Arc<BTreeSet<String>>>,
    orders: Orders,
    /// As they were declared last.
    declared: BTreeMap<Key, Known>,
    /// Under which each was registered, or will be, beside its own now, and when that was seen last.
    classes: BTreeMap<Key, BTreeMap<Class, Instant>>,
}

/// An object that is declared.
struct Known {
    /// Of what it was read.
    of: Of,
    /// By which version; None: it cannot be read.
    revision: Option<Revision>,
    declared: Declared,
    /// The object is gone.
    gone: Option<Gone>,
}

/// What decides how an object is read: where it is the same, nothing is read again.
#[derive(PartialEq)]
struct Of {
    uid: String,
    generation: i64,
    accepted: Option<(i64, Option<serde_json::Value>)>,
    /// The versions of the values that it refers to.
    values: Vec<String>,
    is_too_many: bool,
}

/// Of an object that is gone.
#[derive(Clone, Copy)]
struct Gone {
    /// Since when nobody is told to ask it, as far as that was seen.
    since: Instant,
    /// Whether kube-apiserver was still told to ask it then.
    was_registered: bool,
}

impl Source {
    pub(super) fn new(
        client: &Client,
        config: &Arc<Config>,
        objects: Arc<Objects>,
        registered: watch::Receiver<Arc<BTreeSet<String>>>,
        orders: Orders,
    ) -> Self {
        let changes = Changes::new();
        let changed = changes.listen();
        let values = Values::new(client, &config.namespace, changes);
        Self {
            config: Arc::clone(config),
            objects,
            values,
            changed,
            registered,
            orders,
            declared: BTreeMap::new(),
            classes: BTreeMap::new(),
        }
    }

    /// As long as the process lives; `first` is told when all that there was at the beginning was loaded, or tried to be.
    pub(super) async fn run(mut self, first: oneshot::Sender<()>) {
        let mut changes = self.objects.changes();
        self.objects.are_known().await;
        self.values_are_there().await;
        self.declare(true).await;
        let _ = first.send(());
        loop {
            let due = self.due();
            tokio::select! {
                _ = changes.changed() => {}
                _ = self.changed.changed() => {}
                _ = self.registered.changed() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now) + LINGER), if due.is_some() => {}
            }
            // Whoever applies a folder is let finish.
            let patience = Instant::now() + LONGEST;
            while timeout(SETTLED, changes.changed()).await.is_ok() && Instant::now() < patience {}
            self.values_are_there().await;
            self.declare(false).await;
        }
    }

    /// Until what the objects refer to was seen, too, or for as long as may be waited for that.
    async fn values_are_there(&mut self) {
        self.want(&self.objects.all());
        let deadline = Instant::now() + FIRST_VALUES;
        while self.values.are_awaited() && Instant::now() < deadline {
            let _ = timeout(SETTLED, self.changed.changed()).await;
        }
    }

    /// Declares what there is now, where that is something else than before.
    async fn declare(&mut self, is_first: bool) {
        let all = self.objects.all();
        self.want(&all);
        let mut next = BTreeMap::new();
        let mut is_changed = is_first;
        let too_many = crowd::too_many(&all, self.config.most_of_namespace);
        for (key, object) in &all {
            // One that served stays as it was, should the operator want fewer.
            let is_too_many = too_many.contains(key);
            if is_too_many && object.accepted().is_none() && !self.declared.contains_key(key) {
                continue;
            }
            let of = self.of(object, is_too_many);
            let same_as = |it: &&Known| it.of == of && it.revision.is_some() && it.gone.is_none();
            let (revision, declared) = match self.declared.get(key).filter(same_as) {
                // Each status that is written is a change of its object, and none that matters here.
                Some(known) => (known.revision.clone(), Declared { now: Now::Read, ..known.declared.clone() }),
                None => self.read(object, is_too_many),
            };
            let declared = self.with_classes(key, declared);
            let before = self.declared.get(key);
            is_changed |= before.is_none_or(|it| it.declared.spec.also_answers != declared.spec.also_answers);
            let same = before.is_some_and(|it| match (&it.revision, &revision) {
                (Some(before), Some(now)) => before.is(now) && it.gone.is_none(),
                (None, None) => reason(&it.declared) == reason(&declared),
                _ => false,
            });
            is_changed |= !same;
            let now = if same && matches!(declared.now, Now::Read) { Now::Untouched } else { declared.now.clone() };
            next.insert(key.clone(), Known { of, revision, declared: Declared { now, ..declared }, gone: None });
        }
        let registered = self.registered.borrow().clone();
        for (key, known) in std::mem::take(&mut self.declared) {
            if next.contains_key(&key) {
                continue;
            }
            // Until nobody asks it any more, it answers as it did.
            let is_registered = is_admission(key.0) && registered.contains(&title(&key));
            let gone = match known.gone {
                Some(gone) if !is_registered && !gone.was_registered => gone,
                _ => Gone { since: Instant::now(), was_registered: is_registered },
            };
            if is_admission(key.0) && gone.since.elapsed() < LINGER {
                let declared = Declared { now: Now::Untouched, ..known.declared };
                next.insert(key, Known { declared, gone: Some(gone), ..known });
            } else {
                is_changed = true;
            }
        }
        self.declared = next;
        self.classes.retain(|key, _| all.contains_key(key));
        if is_changed {
            self.orders.cluster(self.declared.values().map(|it| it.declared.clone()).collect()).await;
        }
    }

    /// While kube-apiserver may still ask an entry for which it was registered before, it answers there as it is now.
    fn with_classes(&mut self, key: &Key, mut declared: Declared) -> Declared {
        if !is_admission(key.0) {
            return declared;
        }
        let own = Class::of(&declared.spec);
        let before = self.declared.get(key).map(|it| Class::of(&it.declared.spec));
        let seen = self.classes.entry(key.clone()).or_default();
        let now = Instant::now();
        let others = declared.fallback.as_deref().map(Class::of).into_iter().chain(before.filter(|it| *it != own));
        seen.extend(others.map(|it| (it, now)));
        seen.retain(|class, seen| *class != own && seen.elapsed() < LINGER);
        declared.spec.also_answers = seen.keys().copied().collect();
        declared
    }

    /// When something is to be done although nothing changed.
    fn due(&self) -> Option<Instant> {
        let gone = self.declared.values().filter_map(|it| it.gone.map(|it| it.since));
        gone.chain(self.classes.values().flat_map(|it| it.values().copied())).min()
    }

    fn want(&mut self, all: &BTreeMap<Key, Object>) {
        let too_many = crowd::too_many(all, self.config.most_of_namespace);
        let counts = all.iter().filter(|(key, _)| !too_many.contains(key) || self.declared.contains_key(key));
        let holders = counts.flat_map(|(_, object)| {
            let specs = std::iter::once(object.spec()).chain(object.accepted().and_then(|(_, spec)| spec));
            let references: Vec<ValueRef> = specs.flat_map(|it| config::wanted(object.kind, it)).collect();
            references.into_iter().map(|it| Holder::of(&it, self.namespace(object)))
        });
        let holders = holders.collect();
        self.values.want(holders);
    }

    /// Where what it refers to is.
    fn namespace<'a>(&'a self, object: &'a Object) -> &'a str {
        object.namespace().unwrap_or(&self.config.namespace)
    }

    fn of(&self, object: &Object, is_too_many: bool) -> Of {
        let accepted = object.accepted();
        let specs = std::iter::once(object.spec()).chain(accepted.and_then(|(_, spec)| spec));
        let references = specs.flat_map(|it| config::wanted(object.kind, it));
        let namespace = self.namespace(object);
        Of {
            uid: object.uid().to_owned(),
            generation: object.generation(),
            values: references.map(|it| self.values.version(&Holder::of(&it, namespace))).collect(),
            // Of the version that there is, it is not read.
            accepted: accepted.map(|(it, spec)| (it, spec.filter(|_| it != object.generation()).cloned())),
            is_too_many,
        }
    }

    /// What is to serve for an object, and in which version it was read.
    fn read(&self, object: &Object, is_too_many: bool) -> (Option<Revision>, Declared) {
        let accepted = object.accepted();
        let is_registered = accepted.is_some();
        // What is as it was accepted is not loaded a second time.
        let accepted = accepted.filter(|(generation, _)| *generation != object.generation());
        let fallback = accepted.and_then(|(generation, spec)| {
            let spec = self.parsed(object, spec?, generation, is_registered);
            spec.inspect_err(|why| warn!(policy = title(&key(object)), why, "what was accepted cannot be read")).ok()
        });
        let spec = match is_too_many {
            true => Err(crowd::words(object, self.config.most_of_namespace)),
            false => self.parsed(object, object.spec(), object.generation(), is_registered),
        };
        let fallback = fallback.map(Box::new);
        match spec {
            Ok(spec) => (spec.revision.clone(), Declared { fallback, ..Declared::read(spec) }),
            Err(why) => {
                // Of what cannot be read, what it was last.
                let before = self.declared.get(&key(object)).map(|it| it.declared.spec.clone());
                let known = before.or_else(|| fallback.as_deref().cloned());
                let spec = known.unwrap_or_else(|| PolicySpec::unknown(object.kind, &object.name));
                let revision = Revision::new(object.uid(), object.generation(), &[], is_registered);
                let spec = PolicySpec { revision: Some(revision), ..spec };
                (None, Declared { spec, now: Now::Unreadable(why), fallback })
            }
        }
    }

    fn parsed(
        &self,
        object: &Object,
        spec: &serde_json::Value,
        generation: i64,
        is_registered: bool,
    ) -> Result<PolicySpec, String> {
        let namespace = self.namespace(object);
        let document = object.document(spec);
        let text = |it: &ValueRef| self.values.text(&Holder::of(it, namespace), &it.key);
        let read = config::cluster(&document, &text, &self.config.caps).map_err(|wrong| {
            let words = |it: &ConfigError| match &it.field {
                Some(field) => format!("{field}: {}", it.message),
                None => it.message.clone(),
            };
            wrong.iter().map(words).collect::<Vec<_>>().join("; ")
        });
        let values: BTreeSet<Holder> =
            config::wanted(object.kind, spec).iter().map(|it| Holder::of(it, namespace)).collect();
        let versions: Vec<String> = values.iter().map(|it| self.values.version(it)).collect();
        let revision = Revision::new(object.uid(), generation, &versions, is_registered);
        Ok(PolicySpec { revision: Some(revision), ..read? })
    }
}

fn reason(declared: &Declared) -> Option<&str> {
    match &declared.now {
        Now::Unreadable(why) => Some(why),
        Now::Read | Now::Untouched => None,
    }
}

fn key(object: &Object) -> Key {
    (object.kind, object.name.clone())
}

/// As kind and name together are written.
pub(super) fn title(key: &Key) -> String {
    format!("{}/{}", key.0.name(), key.1)
}

/// Whether the leader registers objects of the kind.
pub(super) fn is_admission(kind: Kind) -> bool {
    match kind {
        Kind::Validator | Kind::NamespacedValidator | Kind::PolicyGroup | Kind::Mutator | Kind::NamespacedMutator => {
            true
        }
        Kind::Authorizer | Kind::Authenticator | Kind::Provider => false,
    }
}

/// How long nothing must change before objects are read.
const SETTLED: Duration = Duration::from_millis(100);
/// Who changes something all the time is read all the same.
const LONGEST: Duration = Duration::from_secs(1);
/// How long an object that is gone answers after kube-apiserver was told not to ask it: it needs about a second to hear of that.
const LINGER: Duration = Duration::from_secs(10);
/// How long objects wait for ConfigMaps and Secrets that were never looked at.
const FIRST_VALUES: Duration = Duration::from_secs(5);
