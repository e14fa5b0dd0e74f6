//! Why what could not be fetched could not, and for how long whoever was asked wants to be left alone.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{FetchError, registry::RegistryError};

/// What came of the last try, by the key of what was to be fetched.
#[derive(Default)]
pub(super) struct Faults(Mutex<HashMap<String, Fault>>);

struct Fault {
    error: FetchError,
    /// Before that it is not to be asked again.
    until: Option<Instant>,
}

impl Faults {
    pub(super) fn of(&self, key: &str) -> Option<FetchError> {
        self.all().get(key).map(|it| it.error.clone())
    }

    /// The same, as long as another try would come too soon.
    pub(super) fn resting(&self, key: &str) -> Option<FetchError> {
        let is_resting = |it: &&Fault| it.until.is_some_and(|until| Instant::now() < until);
        self.all().get(key).filter(is_resting).map(|it| it.error.clone())
    }

    pub(super) fn keep(&self, key: String, fetched: &Result<(), FetchError>) {
        match fetched {
            Ok(()) => drop(self.all().remove(&key)),
            Err(error) => {
                let until = rest(error).map(|it| Instant::now() + it);
                drop(self.all().insert(key, Fault { error: error.clone(), until }));
            }
        }
    }

    /// Forgets those that nobody needs.
    pub(super) fn retain(&self, used: &BTreeSet<String>) {
        self.all().retain(|key, _| used.contains(key));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rest(error: &FetchError) -> Option<Duration> {
    match error {
        FetchError::Registry(RegistryError::RateLimited { after, .. } | RegistryError::Server { after, .. }) => {
            after.map(|it| it.min(LONGEST))
        }
        _ => None,
    }
}

/// Whatever a registry says: an operator may have changed what was wrong.
const LONGEST: Duration = Duration::from_secs(600);
