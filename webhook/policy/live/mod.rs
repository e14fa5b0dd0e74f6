//! The live set: what is declared, which of it serves, and since when. One immutable value behind one pointer: a change is made beside it and
//! swapped in whole, and requests in flight end on what they began with.

mod fetches;
mod keeper;
mod loader;
mod orders;
mod registered;
mod store;

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use super::{Policy, Set};
use crate::spec::{ComponentRef, Digest, PolicySpec};
pub use keeper::Keeper;
pub use loader::Loader;
pub use orders::{Orders, Refused};
pub use registered::{Entry, Key, MOST_REGISTERED, Registered};
pub use store::{Store, StoreError};

/// What is declared, and the set that serves it.
pub struct Live(ArcSwap<Current>);

/// At a moment.
pub struct Current {
    set: Arc<Set>,
    objects: Vec<Object>,
    unreadable: Vec<Unreadable>,
    digest: Digest,
}

/// What should declare objects and cannot be read now. What it declared before stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// A file.
    pub source: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How an object fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being loaded; what served before serves on.
    Loading,
    /// As it is declared, it serves.
    Active,
    /// It never loaded: whatever it is asked fails, and its failurePolicy decides.
    Failed,
    /// As it is declared now it does not load: what it was before serves.
    Stale,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Loading, Self::Active, Self::Failed, Self::Stale];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

/// A declared object.
#[derive(Clone)]
pub struct Object {
    /// As it was declared when its policies were last loaded, or tried to be.
    declared: Arc<PolicySpec>,
    /// Of its components, then.
    digests: Vec<Option<Digest>>,
    /// How it fares.
    pub state: State,
    /// Why, if not well.
    pub reason: Option<String>,
    /// From when on.
    pub since: SystemTime,
    /// What serves for it.
    policies: Vec<Arc<Policy>>,
    /// Whether that is what is declared.
    is_declared: bool,
}

/// What a source says of an object.
#[derive(Clone)]
pub struct Declared {
    /// As it is to be, or as it was last when it could be read.
    pub spec: PolicySpec,
    /// What is to be done with it.
    pub now: Now,
    /// As it was when it loaded, if that is known from elsewhere: it serves where the object does not load as it is to be, and nothing of it serves yet.
    pub fallback: Option<Box<PolicySpec>>,
}

impl Declared {
    /// It is loaded, unless it is the same as before.
    pub fn read(spec: PolicySpec) -> Self {
        Self { spec, now: Now::Read, fallback: None }
    }

    /// All that it may run.
    pub(super) fn references(&self) -> impl Iterator<Item = &ComponentRef> {
        std::iter::once(&self.spec).chain(self.fallback.as_deref()).flat_map(PolicySpec::references)
    }

    /// The same, if `now` says so; what could not be read when it was looked at stays that.
    fn with(&self, now: Now) -> Self {
        match self.now {
            Now::Unreadable(_) => self.clone(),
            Now::Read | Now::Untouched => Self { now, ..self.clone() },
        }
    }
}

/// What is to be done with a declared object.
#[derive(Clone)]
pub enum Now {
    /// It is loaded, unless it is the same as before.
    Read,
    /// The source cannot be read now, for this reason: the object stays what it is.
    Unreadable(String),
    /// Nobody looked at it: the object stays what it is, unless its name was free only now.
    Untouched,
}

impl Live {
    /// A set, all of it as it is declared.
    pub fn new(set: Arc<Set>) -> Self {
        let object = |policy: &Arc<Policy>| Object {
            declared: Arc::new(policy.spec.clone()),
            digests: Vec::new(),
            state: State::Active,
            reason: None,
            since: SystemTime::now(),
            policies: vec![Arc::clone(policy)],
            is_declared: true,
        };
        let objects: Vec<Object> = set.policies().iter().map(object).collect();
        Self(ArcSwap::from_pointee(Current { digest: digest(&objects), set, objects, unreadable: Vec::new() }))
    }

    /// What serves now. Whoever takes it ends on it.
    pub fn set(&self) -> Arc<Set> {
        Arc::clone(&self.0.load().set)
    }

    /// What is declared now, and how it fares.
    pub fn current(&self) -> Arc<Current> {
        self.0.load_full()
    }
}

impl Current {
    /// All objects, in the order of their sources.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// What cannot be read.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Of what serves: the same for replicas that serve the same.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Object {
    /// As it is declared.
    pub fn spec(&self) -> &PolicySpec {
        &self.declared
    }

    /// What serves for it; of a component by itself one of each kind that it can be.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    fn is(&self, spec: &PolicySpec) -> bool {
        (self.declared.kind, &self.declared.name) == (spec.kind, &spec.name)
    }
}

/// Of all that decides what the policies say, but for the values of variables, which are secrets.
fn digest(objects: &[Object]) -> Digest {
    let mut lines: Vec<String> = objects
        .iter()
        .flat_map(|it| &it.policies)
        .map(|policy| {
            let spec = &policy.spec;
            // Of an object of a cluster settings may come from Secrets, and who reads this could try what they are.
            let revision = spec.revision.as_ref().map(ToString::to_string);
            let code: Vec<String> = policy
                .components()
                .map(|(part, component)| {
                    format!(
                        "{} {:?} {:?} {:?} {}",
                        part.name,
                        part.settings.as_ref().filter(|_| revision.is_none()),
                        part.limits,
                        part.grants,
                        component.digest()
                    )
                })
                .collect();
            format!(
                "{:?} {} {revision:?} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?} {code:?}",
                policy.kind,
                spec.name,
                spec.actions,
                spec.failure_policy,
                spec.limit_policy,
                spec.order,
                spec.matching,
                spec.instance_policy,
                spec.message,
                spec.operation,
                spec.kubewarden
            )
        })
        .collect();
    lines.sort();
    Digest(Sha256::digest(lines.join("\n")).into())
}
