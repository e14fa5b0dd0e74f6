//! One declared set of several sources: files, a cluster, and what is registered by requests. Whoever changes one of them gives an order; orders are
//! done one after the other, each whole or not at all.

use std::{
    future::pending,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until, timeout},
};
use tracing::{error, info};

use super::{
    Declared, Loader, Now, Object, State, Unreadable,
    fetches::Fetches,
    orders::{Order, Orders, Refused, WAITING},
    registered::{Entry, Key, Registered, given, has_room, key_of, of_registered, restored, sweep, used},
    store::Store,
};
use crate::{
    config::{ConfigError, name_of},
    spec::{ComponentRef, Given, Kind, PolicySpec},
};

/// Owns what loads, and all that is declared.
pub struct Keeper {
    /// Makes it the live set.
    pub loader: Loader,
    /// As they were read last.
    files: Vec<Declared>,
    unreadable: Vec<Unreadable>,
    cluster: Vec<Declared>,
    registered: Arc<ArcSwap<Registered>>,
    store: Option<Store>,
    orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    fetches: Fetches,
    /// How often it is looked whether tags name something else now.
    refresh: Option<Duration>,
}

impl Keeper {
    /// Nothing is declared yet. With a `store`, what is registered is kept there. `refresh`: how often it is looked whether tags of images
    /// name something else now; None: a tag is what it was when it was fetched.
    pub fn new(loader: Loader, store: Option<Store>, refresh: Option<Duration>) -> Self {
        Self {
            fetches: Fetches::default(),
            refresh,
            loader,
            files: Vec::new(),
            unreadable: Vec::new(),
            cluster: Vec::new(),
            registered: Arc::default(),
            store,
            orders: mpsc::channel(WAITING),
        }
    }

    /// For those who give orders.
    pub fn orders(&self) -> Orders {
        Orders::new(self.orders.0.clone(), Arc::clone(&self.registered), self.loader.components.clone())
    }

    /// Loads what files declare, and what was registered before this process began: of `kinds`, others fail.
    ///
    /// Gives what is wrong with those that do not load.
    ///
    /// # Errors
    /// The state folder cannot be read.
    pub async fn begin(&mut self, declared: Vec<Declared>, kinds: &[Kind]) -> io::Result<Vec<ConfigError>> {
        if let Some(store) = &self.store {
            let all = restored(store, kinds, self.loader.components.are_limited())?;
            sweep(store, &all);
            self.registered.store(Arc::new(all));
        }
        let all = self.registered.load_full();
        let specs = declared.iter().map(|it| &it.spec).chain(all.values().map(|it| &it.spec));
        self.fetches.begin(&self.loader.components, specs);
        // What takes longer is loaded when it is here.
        let _ = timeout(FIRST_FETCHES, self.fetches.all()).await;
        Ok(self.files(declared, Vec::new()).await)
    }

    /// Does what is ordered, as long as the process lives.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut refreshed = Instant::now();
        loop {
            let order = tokio::select! {
                order = self.orders.1.recv() => order,
                fetched = self.fetches.next() => {
                    self.again(&self.users(&fetched)).await;
                    continue;
                }
                () = sleep(pause), if !self.failing().is_empty() => {
                    self.retry().await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    continue;
                }
                () = due(refreshed, self.refresh) => {
                    refreshed = Instant::now();
                    let current = self.loader.live.current();
                    self.fetches.refresh(&self.loader.components, current.objects().iter().map(Object::spec));
                    continue;
                }
            };
            let Some(order) = order else { return };
            pause = FIRST_PAUSE;
            // Whoever ordered it may have gone: it is done all the same.
            match order {
                Order::Files { declared, unreadable, done } => {
                    self.files(declared, unreadable).await;
                    let _ = done.send(());
                }
                Order::Cluster { declared, done } => {
                    self.cluster(declared).await;
                    let _ = done.send(());
                }
                Order::Put { entry, dry_run, done } => drop(done.send(self.put(entry, dry_run).await)),
                Order::Delete { key, done } => drop(done.send(self.delete(&key).await)),
            }
        }
    }

    /// What does not serve as it is declared, though it can be read: a compiler that was killed or a disk that was full may be all that was wrong.
    fn failing(&self) -> Vec<Key> {
        let current = self.loader.live.current();
        let failing = |it: &&Object| matches!(it.state, State::Failed | State::Stale);
        let keys = current.objects().iter().filter(failing).filter_map(|it| key_of(it.spec()));
        let read = |key: &Key| {
            let found = self.others().find(|it| key_of(&it.spec).as_ref() == Some(key));
            found.is_none_or(|it| !matches!(it.now, Now::Unreadable(_)))
        };
        keys.filter(read).collect()
    }

    /// Those that run it.
    fn users(&self, reference: &ComponentRef) -> Vec<Key> {
        let current = self.loader.live.current();
        let uses = |it: &&Object| it.spec().references().any(|it| it == reference);
        current.objects().iter().filter(uses).filter_map(|it| key_of(it.spec())).collect()
    }

    /// Tries it once more, and nothing else: what could not be fetched is fetched first, beside everything else.
    async fn retry(&mut self) {
        let failing = self.failing();
        let registered = self.registered.load_full();
        let others = self.files.iter().chain(&self.cluster).map(|it| &it.spec);
        let specs = others.chain(registered.values().map(|it| &it.spec));
        let specs = specs.filter(|it| key_of(it).is_some_and(|it| failing.contains(&it)));
        self.fetches.begin(&self.loader.components, specs);
        self.again(&failing).await;
    }

    /// Loads these, and nothing else.
    async fn again(&self, keys: &[Key]) {
        let of = |it: &Declared| match (key_of(&it.spec), &it.now) {
            (Some(key), Now::Unreadable(_)) if keys.contains(&key) => it.clone(),
            (Some(key), _) if keys.contains(&key) => it.with(Now::Read),
            _ => it.with(Now::Untouched),
        };
        let registered = self.registered.load_full();
        let of_registered = of_registered(&registered, |it| if keys.contains(it) { Now::Read } else { Now::Untouched });
        let made = self.loader.prepare(self.others().map(of).chain(of_registered).collect()).await;
        self.loader.swap(made, self.unreadable.clone());
    }

    async fn files(&mut self, declared: Vec<Declared>, unreadable: Vec<Unreadable>) -> Vec<ConfigError> {
        self.files = declared;
        self.unreadable = unreadable;
        let others = self.cluster.iter().map(|it| it.with(Now::Untouched));
        let registered = self.registered.load_full();
        let all = self.files.iter().cloned().chain(others).chain(of_registered(&registered, |_| Now::Read)).collect();
        self.update(all).await
    }

    async fn cluster(&mut self, declared: Vec<Declared>) -> Vec<ConfigError> {
        self.cluster = declared;
        let registered = self.registered.load_full();
        let of_registered = of_registered(&registered, |_| Now::Untouched);
        let all = self
            .files
            .iter()
            .map(|it| it.with(Now::Untouched))
            .chain(self.cluster.iter().cloned())
            .chain(of_registered)
            .collect();
        self.update(all).await
    }

    async fn update(&mut self, all: Vec<Declared>) -> Vec<ConfigError> {
        let components = &self.loader.components;
        components.sweep(all.iter().flat_map(Declared::references));
        let specs = all.iter().flat_map(|it| std::iter::once(&it.spec).chain(it.fallback.as_deref()));
        self.fetches.begin(components, specs);
        self.loader.update(all, self.unreadable.clone()).await
    }

    /// What is not registered by requests; files first.
    fn others(&self) -> impl Iterator<Item = &Declared> {
        self.files.iter().chain(&self.cluster)
    }

    /// Whether it is new.
    async fn put(&mut self, entry: Arc<Entry>, dry_run: bool) -> Result<bool, Refused> {
        let registered = self.registered.load_full();
        let spec = &entry.spec;
        let Some(kind) = spec.kind else { return Err(Refused::Unknown) };
        let key: Key = (kind, spec.name.clone());
        self.is_free(spec, &registered, &key)?;
        let before = registered.get(&key).cloned();
        let mut next = Registered::clone(&registered);
        next.insert(key.clone(), Arc::clone(&entry));
        has_room(&next)?;
        if dry_run {
            self.loader.try_out(spec).await.map_err(Refused::Invalid)?;
            return Ok(before.is_none());
        }
        let others = self.others().map(|it| it.with(Now::Untouched));
        let is_it = |it: &Key| if *it == key { Now::Read } else { Now::Untouched };
        let made = self.loader.prepare(others.chain(of_registered(&next, is_it)).collect()).await;
        let wrong = made.wrong(spec);
        if !wrong.is_empty() {
            return Err(Refused::Invalid(wrong.to_vec()));
        }
        if let Some(store) = &self.store {
            let kept = used(&registered);
            let is_new = |it: &&Given| !kept.contains(&it.digest());
            let components: Vec<&Given> = given(spec).filter(is_new).collect();
            let text = entry.text.as_deref().unwrap_or_default();
            let old = before.as_ref().and_then(|it| it.text.as_deref().ok());
            store.put(&key, text, old, &components).map_err(|error| {
                sweep(store, &registered);
                self.lost(&error)
            })?;
        }
        self.loader.swap(made, self.unreadable.clone());
        info!(policy = spec.title(), "registered");
        self.registered(next);
        Ok(before.is_none())
    }

    async fn delete(&mut self, key: &Key) -> Result<(), Refused> {
        let registered = self.registered.load_full();
        let Some(entry) = registered.get(key) else {
            let other = self.others().map(|it| &it.spec).find(|it| key_of(it).as_ref() == Some(key));
            return Err(other.map_or(Refused::Unknown, |it| Refused::Taken(it.source.clone())));
        };
        if let Some(store) = &self.store {
            store.delete(key, entry.text.as_deref().ok()).map_err(|error| self.lost(&error))?;
        }
        let mut next = Registered::clone(&registered);
        next.remove(key);
        let others = self.others().map(|it| it.with(Now::Untouched));
        let made = self.loader.prepare(others.chain(of_registered(&next, |_| Now::Untouched)).collect()).await;
        self.loader.swap(made, self.unreadable.clone());
        info!(policy = entry.spec.title(), "deleted");
        self.registered(next);
        Ok(())
    }

    fn is_free(&self, spec: &PolicySpec, registered: &Registered, key: &Key) -> Result<(), Refused> {
        let name = name_of(spec);
        let others = registered.iter().filter(|(other, _)| *other != key).map(|(_, it)| &it.spec);
        match self.others().map(|it| &it.spec).chain(others).find(|it| name_of(it) == name) {
            Some(other) if other.kind == spec.kind => Err(Refused::Taken(other.source.clone())),
            Some(other) => Err(Refused::Taken(format!("{} ({})", other.source, other.title()))),
            None => Ok(()),
        }
    }

    /// In memory as on disk.
    fn registered(&self, next: Registered) {
        if let Some(store) = &self.store {
            sweep(store, &next);
        }
        self.registered.store(Arc::new(next));
    }

    fn lost(&self, error: &io::Error) -> Refused {
        error!(%error, "the state folder does not take a change: nothing is changed");
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        let words = format!("the state folder of the server does not take it: {error}");
        if full.contains(&error.kind()) { Refused::Full(words) } else { Refused::Lost(words) }
    }
}

/// When it is time to look again. Never, where nobody asked for that.
async fn due(before: Instant, every: Option<Duration>) {
    match every {
        Some(every) => sleep_until((before + every).into()).await,
        None => pending().await,
    }
}

/// How long the start waits for what has to be fetched.
const FIRST_FETCHES: Duration = Duration::from_secs(60);
/// Before what failed is loaded once more; doubled after each time, to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_secs(600);
