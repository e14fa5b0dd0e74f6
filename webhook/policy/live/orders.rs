//! Orders for what keeps the declared set: what they say, how they end, and who may give them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::{
    Declared, Digest, Unreadable,
    registered::{Entry, Key, Registered, given},
};
use crate::{config::ConfigError, loader::Components, spec::Given};

/// Why an order changed nothing.
#[derive(Debug)]
pub enum Refused {
    /// All that is wrong with the object.
    Invalid(Vec<ConfigError>),
    /// Another source has it, or another object of this one its name: where.
    Taken(String),
    /// There is no such object.
    Unknown,
    /// There is no room for it: why.
    Full(String),
    /// It could not be kept: why.
    Lost(String),
    /// Too many orders wait, or the server ends.
    Busy,
}

/// What is to be done.
pub(super) enum Order {
    Files { declared: Vec<Declared>, unreadable: Vec<Unreadable>, done: oneshot::Sender<()> },
    Cluster { declared: Vec<Declared>, done: oneshot::Sender<()> },
    Put { entry: Arc<Entry>, dry_run: bool, done: oneshot::Sender<Result<bool, Refused>> },
    Delete { key: Key, done: oneshot::Sender<Result<(), Refused>> },
}

/// Gives a [`super::Keeper`] its orders.
#[derive(Clone)]
pub struct Orders {
    orders: mpsc::Sender<Order>,
    registered: Arc<ArcSwap<Registered>>,
    components: Components,
}

impl Orders {
    pub(super) fn new(
        orders: mpsc::Sender<Order>,
        registered: Arc<ArcSwap<Registered>>,
        components: Components,
    ) -> Self {
        Self { orders, registered, components }
    }

    /// What is registered now.
    pub fn registered(&self) -> Arc<Registered> {
        self.registered.load_full()
    }

    /// A component that came with a registered object.
    pub fn component(&self, digest: Digest) -> Option<Given> {
        let registered = self.registered();
        registered.values().flat_map(|it| given(&it.spec)).find(|it| it.digest() == digest).cloned()
    }

    /// Whether requests may name what has to be fetched.
    pub fn fetches(&self) -> bool {
        self.components.are_limited()
    }

    /// Declares what files say now. Returns when it serves.
    pub async fn files(&self, declared: Vec<Declared>, unreadable: Vec<Unreadable>) {
        let (done, ended) = oneshot::channel();
        // Neither fails while the process lives.
        let _ = self.orders.send(Order::Files { declared, unreadable, done }).await;
        let _ = ended.await;
    }

    /// Declares what a cluster says now. Returns when it serves.
    pub async fn cluster(&self, declared: Vec<Declared>) {
        let (done, ended) = oneshot::channel();
        // Neither fails while the process lives.
        let _ = self.orders.send(Order::Cluster { declared, done }).await;
        let _ = ended.await;
    }

    /// Registers an object; says whether it is new. With `dry_run` only tries it out.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn put(&self, entry: Entry, dry_run: bool) -> Result<bool, Refused> {
        // Beside the orders of others, who do not wait for a registry. What cannot be had is told when it is loaded.
        self.components.fetch_all(entry.spec.references()).await;
        let (done, ended) = oneshot::channel();
        let order = Order::Put { entry: Arc::new(entry), dry_run, done };
        self.orders.try_send(order).map_err(|_| Refused::Busy)?;
        ended.await.unwrap_or(Err(Refused::Busy))
    }

    /// Takes away what was registered.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn delete(&self, key: Key) -> Result<(), Refused> {
        let (done, ended) = oneshot::channel();
        self.orders.try_send(Order::Delete { key, done }).map_err(|_| Refused::Busy)?;
        ended.await.unwrap_or(Err(Refused::Busy))
    }
}

/// Orders that wait.
pub(super) const WAITING: usize = 16;
