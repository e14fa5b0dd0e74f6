//! What one replica does for all: it registers what serves on every one of them, and writes each object's status.
//!
//! Nothing is ever taken away because something failed: what was registered stays so until the object that it was registered for is gone, or
//! serves everywhere as something else. What a policy was when it served everywhere last is written into its status before it is registered,
//! so that the next leader, and each replica that starts, knows it, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    Config,
    certificates::Published,
    client::{Refused, within},
    crowd,
    events::{PAUSED, Reports},
    fold::{self, HEARD, Known, Registration},
    lease,
    objects::{ACCEPTED, Object, Objects, named, resource},
    register::Register,
    replica::{self, Replica, Replicas},
    source::{is_admission, title},
    webhooks::Webhooks,
};
use crate::{
    observe::Metrics,
    policy::{self, Current, Key, Live},
    spec::{Actions, Interface, Kind},
    text,
};

/// Leads, when it is this replica's turn.
pub(super) struct Leader {
    client: Client,
    config: Arc<Config>,
    live: Arc<Live>,
    objects: Arc<Objects>,
    replicas: Replicas,
    webhooks: Webhooks,
    leads: watch::Receiver<bool>,
    hold: watch::Receiver<Option<String>>,
    /// What is to become the caBundle.
    ca: watch::Receiver<Option<String>>,
    /// What it is.
    published: watch::Sender<Option<Published>>,
    metrics: Arc<Metrics>,
    /// How it stands with what providers are told.
    events: Reports,
    recorder: Recorder,
}

/// What is known while this replica leads.
struct Term {
    register: Register,
    /// As they were written last, and onto which version of the object.
    statuses: BTreeMap<Key, (Value, String)>,
    /// That are being written.
    events: JoinSet<()>,
    is_failing: bool,
}

/// What one round knows.
struct Seen<'a> {
    /// As they are loaded here.
    own: &'a BTreeMap<Key, &'a policy::Object>,
    /// Those that answer.
    replicas: &'a [Replica],
    /// Why nothing may be registered.
    hold: Option<&'a str>,
    /// Those that their namespaces have no room for.
    too_many: &'a BTreeSet<Key>,
}

/// A status that is to be written.
struct Due<'a> {
    key: &'a Key,
    object: &'a Object,
    status: Value,
}

impl Leader {
    #[allow(clippy::too_many_arguments, reason = "it ties together all that the controller has")]
    pub(super) fn new(
        client: &Client,
        config: &Arc<Config>,
        live: Arc<Live>,
        objects: Arc<Objects>,
        replicas: Replicas,
        webhooks: Webhooks,
        leads: watch::Receiver<bool>,
        hold: watch::Receiver<Option<String>>,
        ca: watch::Receiver<Option<String>>,
        published: watch::Sender<Option<Published>>,
        metrics: Arc<Metrics>,
        events: Reports,
    ) -> Self {
        let reporter =
            Reporter { controller: "verdict.dev/verdict".to_owned(), instance: Some(config.replica.clone()) };
        let recorder = Recorder::new(client.clone(), reporter);
        let (client, config) = (client.clone(), Arc::clone(config));
        Self {
            client,
            config,
            live,
            objects,
            replicas,
            webhooks,
            leads,
            hold,
            ca,
            published,
            metrics,
            events,
            recorder,
        }
    }

    /// As long as the process lives.
    pub(super) async fn run(mut self) {
        loop {
            if self.leads.wait_for(|it| *it).await.is_err() {
                return;
            }
            self.metrics.leads(true);
            self.term().await;
            self.published.send_replace(None);
            self.metrics.leads(false);
        }
    }

    /// As long as this replica leads.
    async fn term(&mut self) {
        self.objects.are_known().await;
        self.replicas.are_known().await;
        self.webhooks.validating.is_known().await;
        self.webhooks.mutating.is_known().await;
        let mut term = Term {
            register: Register::default(),
            statuses: BTreeMap::new(),
            events: JoinSet::new(),
            is_failing: false,
        };
        let mut changes =
            [self.objects.changes(), self.replicas.changes(), self.webhooks.changes(), self.events.changes()];
        let [objects, replicas, webhooks, events] = &mut changes;
        let (mut ca, mut hold) = (self.ca.clone(), self.hold.clone());
        let mut seen = self.live.current();
        let mut next = Duration::ZERO;
        while *self.leads.borrow() {
            let wait = async {
                let begin = Instant::now();
                while begin.elapsed() < next && Arc::ptr_eq(&seen, &self.live.current()) {
                    sleep(LOOK).await;
                }
            };
            tokio::select! {
                _ = objects.changed() => {}
                _ = replicas.changed() => {}
                _ = webhooks.changed() => {}
                _ = events.changed() => {}
                _ = ca.changed() => {}
                _ = hold.changed() => {}
                _ = self.leads.changed() => {}
                () = wait => {}
            }
            // What comes together is done together.
            let _ = timeout(SETTLED, async { while objects.changed().await.is_ok() {} }).await;
            if !*self.leads.borrow() {
                return;
            }
            seen = self.live.current();
            match self.round(&mut term, &seen).await {
                Ok(soon) => {
                    next = soon;
                    term.is_failing = false;
                }
                Err(error) => {
                    if !term.is_failing {
                        warn!(%error, "what the leader has to write cannot be written: what was written stays");
                    }
                    term.is_failing = true;
                    next = RETRY;
                }
            }
        }
    }

    /// Writes all that is to be written now; gives how long until it should be looked again.
    async fn round(&self, term: &mut Term, current: &Current) -> Result<Duration, Refused> {
        let all = self.objects.all();
        let own: BTreeMap<Key, &policy::Object> =
            current.objects().iter().filter_map(|it| Some(((it.spec().kind?, it.spec().name.clone()), it))).collect();
        let too_many = crowd::too_many(&all, self.config.most_of_namespace);
        let (replicas, lags) = self.answering(&all, &own).await?;
        if self.published.borrow().is_none() {
            // Whoever makes the CA wants to know first which one kube-apiserver knows; nobody is ready before there is one.
            self.published.send_replace(Some(self.webhooks.published().await?));
        }
        if !replicas.iter().any(|it| it.name == self.config.replica && it.digest == replica::digest(current)) {
            // It has not said yet what serves here: what there is may be of its life before, in which more did.
            return Ok(RETRY);
        }
        let mut hold = self.hold.borrow().clone();
        if hold.is_none() && self.webhooks.is_one_missing() {
            // Somebody may have deleted it, and said so before: what was seen of the Lease may be older than that.
            hold = lease::held(&self.client, &self.config).await?;
        }
        let mut soon = if lags { LAG } else { IDLE };
        term.register.forget(&all);
        // What serves everywhere is written down before kube-apiserver is told to ask it.
        let seen = Seen { own: &own, replicas: &replicas, hold: hold.as_deref(), too_many: &too_many };
        let mut due = Vec::new();
        for (key, object) in &all {
            let policies = own.get(key).map(|it| it.policies()).unwrap_or_default();
            let serves_here = !policies.is_empty() && policies.iter().all(|it| it.is_loaded());
            if serves_here && self.known(term, key, object, &seen).is_settled() {
                term.register.settled(key, object, policies);
            }
            term.register.recall(key, object);
            if term.register.accepted(key).is_some_and(|it| Some(it) != object.status().get(ACCEPTED)) {
                due.extend(self.due(term, key, object, &seen));
            }
        }
        let mut failed = None;
        for (key, error) in self.write(term, due).await? {
            term.register.postpone(key);
            failed.get_or_insert(error);
        }
        let ca = self.ca.borrow().clone();
        if hold.is_none()
            && let Some(ca) = ca
        {
            term.register.write(&self.config, &self.webhooks, &ca).await?;
            if let Some(published) = term.register.published() {
                self.published.send_replace(Some(published));
            }
        }
        self.metrics.registration_held(hold.is_some());
        let ages = all.keys().filter(|key| is_admission(key.0)).map(|key| term.register.age(key));
        if let Some(age) = ages.filter(|it| *it < HEARD).max() {
            soon = soon.min(HEARD - age);
        }
        let due = all.iter().filter_map(|(key, object)| self.due(term, key, object, &seen)).collect();
        for (_, error) in self.write(term, due).await? {
            failed.get_or_insert(error);
        }
        term.statuses.retain(|key, _| all.contains_key(key));
        failed.map_or(Ok(soon), Err)
    }

    fn known<'a>(&self, term: &Term, key: &Key, object: &'a Object, seen: &Seen<'a>) -> Known<'a> {
        let own = seen.own.get(key).copied();
        let revision = own.and_then(|it| it.spec().revision.as_ref()).filter(|it| it.generation == object.generation());
        let serving = own.map(|it| it.policies()).unwrap_or_default().iter().filter(|it| it.is_loaded());
        let mut components: Vec<String> =
            serving.flat_map(|it| it.components()).map(|(_, it)| format!("sha256:{}", it.digest())).collect();
        components.dedup();
        let registration = is_admission(key.0).then(|| Registration {
            generation: term.register.generation(key),
            age: term.register.age(key),
            refused: seen.hold.map(|it| ("Hold", held(it))).or_else(|| term.register.refused(key)),
        });
        Known {
            title: title(key),
            generation: object.generation(),
            revision: revision.map(ToString::to_string),
            status: object.status(),
            replicas: seen.replicas,
            too_many: (own.is_none() && seen.too_many.contains(key))
                .then(|| crowd::words(object, self.config.most_of_namespace)),
            registration,
            interfaces: own.map(|it| interfaces(it.policies())).unwrap_or_default(),
            events: own.filter(|it| !it.spec().events.is_empty()).map(|it| {
                let report = self.events.of(&it.spec().name);
                report.filter(|it| it.generation == object.generation()).unwrap_or_default()
            }),
            component: (!components.is_empty()).then(|| components.join(",")),
            mode: own.map(|it| mode(key.0, it.spec().actions)).unwrap_or_default(),
            accepted: term.register.accepted(key).cloned(),
        }
    }

    /// The replicas that kube-apiserver may ask, and whether some do not serve what this one does.
    async fn answering(
        &self,
        all: &BTreeMap<Key, Object>,
        own: &BTreeMap<Key, &policy::Object>,
    ) -> Result<(Vec<Replica>, bool), Refused> {
        let wanted: Vec<(String, String)> = all
            .keys()
            .filter_map(|key| Some((title(key), own.get(key)?.spec().revision.as_ref()?.to_string())))
            .collect();
        let (mut answering, mut lags) = (Vec::new(), false);
        for replica in self.replicas.all() {
            let serves = |(title, revision): &(String, String)| {
                replica.policies.get(title).is_some_and(|it| it.serves == *revision)
            };
            if replica.is_silent {
                self.remove(&replica).await;
                continue;
            }
            if !wanted.iter().all(serves) {
                lags = true;
                // Whoever is not asked holds up nobody. This one leads, and may be waiting for that itself.
                let is_own = replica.name == self.config.replica;
                if replica.is_of_pod && !is_own && !self.is_ready(&replica.name).await? {
                    continue;
                }
            }
            answering.push(replica);
        }
        Ok((answering, lags))
    }

    async fn is_ready(&self, pod: &str) -> Result<bool, Refused> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.config.namespace);
        let Some(pod) = within(pods.get_opt(pod)).await? else { return Ok(false) };
        let conditions = pod.status.and_then(|it| it.conditions).unwrap_or_default();
        Ok(conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
    }

    /// It has no Pod with which it would go.
    async fn remove(&self, replica: &Replica) {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.config.namespace, &named("Replica", "replicas"));
        match within(api.delete(&replica.name, &DeleteParams::default())).await {
            Ok(_) => info!(replica = replica.name, "it has been silent for long, and is gone"),
            Err(error) => warn!(replica = replica.name, %error, "it has been silent for long, and cannot be removed"),
        }
    }

    /// The status of an object, where it is to be another one.
    fn due<'a>(&self, term: &Term, key: &'a Key, object: &'a Object, seen: &Seen<'a>) -> Option<Due<'a>> {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let status = self.known(term, key, object, seen).status(&now);
        // The watch may not have shown yet what was written.
        let is_written = |(before, onto): &(Value, String)| same(before, &status) && onto == object.version();
        let is_as_it_was = *object.status() == status || term.statuses.get(key).is_some_and(is_written);
        (!is_as_it_was).then_some(Due { key, object, status })
    }

    /// Writes these, some at a time. One that kube-apiserver does not take stops none of the others: its author may have seen to that.
    ///
    /// # Errors
    /// kube-apiserver does not answer.
    async fn write<'a>(&self, term: &mut Term, due: Vec<Due<'a>>) -> Result<Vec<(&'a Key, Refused)>, Refused> {
        let writes: Vec<_> = due.iter().map(|it| self.apply(it)).collect();
        let written: Vec<Result<bool, Refused>> = stream::iter(writes).buffered(WRITES).collect().await;
        let mut refused = Vec::new();
        for (Due { key, object, status }, result) in due.into_iter().zip(written) {
            match result {
                Ok(true) => {
                    self.tell(&mut term.events, object, &status);
                    term.statuses.insert(key.clone(), (status, object.version().to_owned()));
                }
                Ok(false) => {}
                Err(error) if error.code().is_some() => refused.push((key, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Whether it was written.
    async fn apply(&self, Due { key, object, status }: &Due<'_>) -> Result<bool, Refused> {
        let api: Api<DynamicObject> = match object.namespace() {
            None => Api::all_with(self.client.clone(), &resource(key.0)),
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource(key.0)),
        };
        let mut document = object.document(&Value::Null);
        if let Some(fields) = document.as_object_mut() {
            fields.remove("spec");
            fields.insert("status".to_owned(), status.clone());
        }
        // Not of another object of the same name.
        document["metadata"]["uid"] = json!(object.uid());
        let apply = PatchParams::apply(&self.config.installation).force();
        match within(api.patch_status(object.own_name(), &apply, &Patch::Apply(document))).await {
            Ok(_) => Ok(true),
            // It is gone, or another one has its name: the watch will say so.
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What went wrong just now becomes an event. Nobody waits for it: policies of the object's namespace may be asked about it first.
    fn tell(&self, events: &mut JoinSet<()>, object: &Object, status: &Value) {
        while events.try_join_next().is_some() {}
        let find = |of: &Value, kind: &str| {
            of["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == kind).cloned().unwrap_or_default()
        };
        for (kind, trouble) in TROUBLE {
            let (before, now) = (find(object.status(), kind), find(status, kind));
            let reason = now["reason"].as_str().unwrap_or_default();
            let is_trouble = now["status"] == "False" && trouble.contains(&reason);
            if !is_trouble || (before["reason"] == now["reason"] && before["message"] == now["message"]) {
                continue;
            }
            let event = Event {
                type_: EventType::Warning,
                reason: reason.to_owned(),
                note: now["message"].as_str().map(|it| text::shorten(it, LONGEST_NOTE)),
                action: match kind {
                    "Loaded" => "Load",
                    "Registered" => "Register",
                    _ => "HandleEvents",
                }
                .to_owned(),
                secondary: None,
            };
            if events.len() >= EVENTS {
                warn!(policy = object.name, "no event is written about it: there are too many");
                continue;
            }
            let (recorder, reference, policy) = (self.recorder.clone(), object.reference(), object.name.clone());
            events.spawn(async move {
                let told = timeout(EVENT, recorder.publish(&event, &reference)).await;
                if !matches!(told, Ok(Ok(()))) {
                    warn!(policy, "an event about it cannot be written");
                }
            });
        }
    }
}

/// Whether both say the same, whenever they said it.
fn same(one: &Value, other: &Value) -> bool {
    let timeless = |it: &Value| {
        let mut it = it.clone();
        for condition in it["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastTransitionTime"] = Value::Null;
        }
        it
    };
    timeless(one) == timeless(other)
}

/// What of the contract its components answer.
fn interfaces(policies: &[Arc<policy::Policy>]) -> Vec<&'static str> {
    let loaded = policies.iter().filter(|it| it.is_loaded());
    let mut names: Vec<&str> = loaded.flat_map(|it| it.interfaces()).map(Interface::name).collect();
    names.dedup();
    names
}

fn mode(kind: Kind, actions: Actions) -> String {
    match kind {
        Kind::Validator | Kind::NamespacedValidator | Kind::PolicyGroup => {
            let named = [("Deny", actions.deny), ("Warn", actions.warn), ("Audit", actions.audit)];
            named.into_iter().filter_map(|(name, does)| does.then_some(name)).collect::<Vec<_>>().join(",")
        }
        _ if actions.deny => "Enforce".to_owned(),
        _ => "Shadow".to_owned(),
    }
}

fn held(reason: &str) -> String {
    let reason = text::line(&text::shorten(reason, LONGEST_NOTE / 2));
    format!("nothing is registered while the Lease has the annotation {}: {reason}", super::lease::HOLD)
}

/// What is worth an event.
const TROUBLE: [(&str, &[&str]); 4] = [
    ("Loaded", &["NotLoaded", "Stale"]),
    ("Registered", &["Refused", "NoRules", "Hold"]),
    (fold::WATCHING, &[PAUSED, "NoSuchKind", "WrongScope", "Forbidden", "Unreachable"]),
    (fold::HANDLED, &["GivenUp"]),
];
/// What comes within this is written together.
const SETTLED: Duration = Duration::from_millis(100);
/// How often it is looked what serves here.
const LOOK: Duration = Duration::from_millis(200);
/// Before what could not be written is written again.
const RETRY: Duration = Duration::from_secs(1);
/// Before it is looked again at a replica that does not serve what the others do.
const LAG: Duration = Duration::from_secs(2);
/// Where nothing changes, it is looked once in a while all the same.
const IDLE: Duration = Duration::from_secs(60);
/// Statuses that are written at the same time.
const WRITES: usize = 16;
/// Events that are written at the same time.
const EVENTS: usize = 64;
/// How long an event may take.
const EVENT: Duration = Duration::from_secs(5);
/// Characters of an event: kube-apiserver takes 1024.
const LONGEST_NOTE: usize = 1000;
