//! A loaded policy, what it matches, and how the answers of several fold to one verdict.
//!
//! Once a review is decoded, everything here is infallible: every outcome, failures included, is a verdict.

mod admission;
mod answer;
mod ask;
mod authentication;
mod authorization;
mod changes;
mod component;
mod fold;
mod group;
mod index;
mod kubewarden;
mod live;
mod load;
mod matching;
mod provider;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

pub use answer::{Admission, Answered, Unanswerable, UnknownKind};
pub use authorization::Authorization;
pub use component::Component;
use group::Group;
use index::{ByResource, Index};
pub use kubewarden::{OfKubewarden, Vanilla};
pub use live::{
    Current, Declared, Entry, Keeper, Key, Live, Loader, MOST_REGISTERED, Now, Object, Orders, Refused, Registered,
    State, Store, StoreError, Unreadable,
};
pub use load::Makers;
pub(crate) use load::dotted;
use matching::{Bounds, Match};
pub use matching::{Found, Labels, Namespaces};
use tokio::sync::watch;

use crate::{
    cel::{Pool, Reads},
    observe::{PolicyMetrics, Trail, Watch},
    review::admission::AdmissionRequest,
    spec::{Class, Interface, Kind, PolicySpec},
};

/// All policies that are loaded: one immutable value.
pub struct Set {
    /// In the order in which chains run.
    policies: Vec<Arc<Policy>>,
    index: Index,
    /// For what is read of objects.
    memory: Pool,
    /// Of the cluster, where there is one.
    namespaces: Option<Arc<dyn Namespaces>>,
    /// Dropped with the set, when nobody uses it any more.
    used: watch::Sender<()>,
}

/// One loaded policy.
pub struct Policy {
    kind: Kind,
    spec: PolicySpec,
    class: Class,
    matching: Match,
    metrics: Arc<PolicyMetrics>,
    answers: Answers,
}

/// Who answers for a policy.
#[allow(clippy::large_enum_variant, reason = "nearly all are components, and each review asks one")]
enum Answers {
    Component(Component),
    Group(Group),
    /// Nobody: it never loaded, and every question fails.
    Nobody,
}

/// Which policies of an interface are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// The one of this name.
    One(&'a str),
    /// Those that share an entry of a webhook configuration.
    Class(Class),
}

impl<'a> Which<'a> {
    /// As the last part of a path says it; None: there is no such part.
    pub fn of(part: Option<&'a str>) -> Self {
        part.map_or(Self::All, |part| Class::of_entry(part).map_or(Self::One(part), Self::Class))
    }
}

/// The policies that one request asks.
pub struct Selection<'a> {
    set: &'a Set,
    asked: Selected<'a>,
}

enum Selected<'a> {
    One(&'a Policy),
    Several(&'a ByResource),
}

/// One request's circumstances.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The body as it came.
    pub raw: &'a str,
    /// When the caller must have its answer.
    pub deadline: Instant,
    /// Sees what each policy did. The server has none.
    pub watch: Option<&'a Watch>,
    /// The request that this is, of the server.
    pub trail: Option<&'a Arc<Trail>>,
    /// What time it is for the policies; None: that of this machine's clock.
    pub now: Option<SystemTime>,
    /// Whether it is about what is there already, and nobody waits for the answer.
    pub audit: bool,
}

impl Set {
    /// Each policy with the classes under which it answers beside its own. `memory` is that of the set before.
    fn new(mut policies: Vec<(Arc<Policy>, Vec<Class>)>, memory: Option<Pool>) -> Self {
        let place = |(policy, _): &(Arc<Policy>, Vec<Class>)| (policy.spec.order, policy.spec.name.clone());
        policies.sort_by_cached_key(place);
        let index = Index::new(&policies);
        let memory = memory.unwrap_or_else(|| Pool::new(READ, READ_OF_ONE));
        let policies = policies.into_iter().map(|(policy, _)| policy).collect();
        Self { policies, index, memory, namespaces: None, used: watch::Sender::new(()) }
    }

    /// Where there is a cluster.
    fn with(self, namespaces: Option<Arc<dyn Namespaces>>) -> Self {
        Self { namespaces, ..self }
    }

    /// No policies: nothing can be asked of it.
    pub fn empty() -> Self {
        Self::new(Vec::new(), None)
    }

    /// Which of the policies that are asked `interface`, in order. None: there is no such policy, or none at all that could be
    /// asked: that nobody was asked must not look like "allowed".
    pub fn select(&self, interface: Interface, which: Which<'_>) -> Option<Selection<'_>> {
        let asked = match which {
            Which::All => Selected::Several(Some(self.index.of(interface)).filter(|it| !it.is_empty())?),
            Which::Class(class) => Selected::Several(self.index.of_class(interface, class)?),
            Which::One(name) => {
                // Those of Kubewarden's files are asked to validate, whatever they do then.
                let is = |it: &&Policy| match &it.spec.kubewarden {
                    None => it.answers(interface),
                    Some(_) => interface == Interface::Validating,
                };
                Selected::One(self.policies.iter().map(|it| &**it).filter(|it| it.spec.name == name).find(is)?)
            }
        };
        Some(Selection { set: self, asked })
    }

    /// All policies, in order.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Tells every policy that it is unloaded.
    pub async fn unload(&self) {
        for (_, component) in self.policies.iter().flat_map(|it| it.components()) {
            component.cleanup().await;
        }
    }
}

impl<'a> Selection<'a> {
    /// All of them, in order.
    fn policies(&self) -> impl Iterator<Item = &'a Policy> + use<'a> {
        self.of(None)
    }

    /// Those that may be asked about objects of `resource`, in order: all whose rules do not rule it out by name. With a
    /// watch all, since it wants to see why.
    fn about(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> impl Iterator<Item = &'a Policy> + use<'a> {
        self.of(resource(ask, request))
    }

    /// What those of [`Self::about`] read together.
    fn reads(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> &'a Reads {
        match self.asked {
            Selected::One(policy) => policy.matching.reads(),
            Selected::Several(policies) => policies.reads(resource(ask, request)),
        }
    }

    fn of(&self, resource: Option<&str>) -> impl Iterator<Item = &'a Policy> + use<'a> {
        let (one, several): (_, &'a [usize]) = match self.asked {
            Selected::One(policy) => (Some(policy), &[]),
            Selected::Several(policies) => (None, policies.about(resource)),
        };
        let policies = &self.set.policies;
        one.into_iter().chain(several.iter().filter_map(|position| policies.get(*position).map(|it| &**it)))
    }
}

/// By what name the index is asked; None: by none, since policies may be asked for two reasons.
fn resource<'r>(ask: Ask<'_>, request: &'r AdmissionRequest<'_>) -> Option<&'r str> {
    let (resource, requested) = (&request.resource.resource, &request.request_resource.resource);
    (ask.watch.is_none() && resource == requested).then_some(resource)
}

impl Policy {
    /// What it has the power to do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it is asked. A provider that never loaded is asked whatever providers are, and fails.
    pub fn interfaces(&self) -> impl Iterator<Item = Interface> {
        let exported = self.component().map(|it| it.template().program().description().interfaces.as_slice());
        let all = self.kind.interfaces();
        // Of Kubewarden's metadata nothing follows here.
        let of = move |it: &Interface| all.len() == 1 || exported.is_none_or(|exported| exported.contains(it));
        all.iter().copied().filter(of)
    }

    /// Whether it is asked this.
    pub fn answers(&self, interface: Interface) -> bool {
        self.interfaces().any(|it| it == interface)
    }

    /// As written, with everything resolved.
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// What it has in common with those that may share an entry of a webhook configuration with it.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Those of a group.
    pub fn members(&self) -> &[Policy] {
        match &self.answers {
            Answers::Component(_) | Answers::Nobody => &[],
            Answers::Group(group) => group.members(),
        }
    }

    /// Its component; None: it is a group, or was never loaded.
    pub fn component(&self) -> Option<&Component> {
        match &self.answers {
            Answers::Component(component) => Some(component),
            Answers::Group(_) | Answers::Nobody => None,
        }
    }

    /// All components that answer for it: its own, or those of its members, each with what it runs for.
    pub fn components(&self) -> impl Iterator<Item = (&PolicySpec, &Component)> {
        let all = std::iter::once(self).chain(self.members());
        all.filter_map(|it| Some((&it.spec, it.component()?)))
    }

    /// Whether somebody answers for it.
    pub fn is_loaded(&self) -> bool {
        !matches!(self.answers, Answers::Nobody)
    }

    fn enforces(&self) -> bool {
        self.spec.actions.deny
    }

    /// How long its conditions may take.
    fn bounds(&self, ask: Ask<'_>) -> Bounds {
        Bounds { deadline: ask.deadline, time: self.spec.limits.time }
    }
}

/// Bytes that what is read of objects for selectors and conditions, and changes of objects, can take in all.
pub const MOST_OBJECTS: usize = READ + (changes::ROOM << 20);
/// Bytes of what is read of all reviews at the same time for selectors and conditions, and of one review.
const READ: usize = 96 << 20;
const READ_OF_ONE: usize = 48 << 20;
