//! How many pull and push at once: few of each host, so that one that is slow leaves turns to whoever asks another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Turns {
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Held while something is pulled or pushed. Neither semaphore is ever closed.
pub(super) struct Turn {
    _of_host: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// `host`: who is asked.
    pub(super) async fn take(&self, host: String) -> Turn {
        let of_host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or awaits a turn of the others.
            hosts.retain(|_, it| Arc::strong_count(it) > 1);
            Arc::clone(hosts.entry(host).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE_HOST))))
        };
        // First that of the host: whoever waits for it holds nothing that others wait for.
        let of_host = of_host.acquire_owned().await.ok();
        Turn { _of_host: of_host, _of_all: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), hosts: Mutex::default() }
    }
}

/// Of all hosts together: what is pulled lies in memory.
const AT_ONCE: usize = 6;
const OF_ONE_HOST: usize = 2;
