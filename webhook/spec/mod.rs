//! What is declared: the objects of an operator as values that need no further checks, and the words that every room uses of them.
//!
//! Knows nothing: neither how it is written, nor what runs it.

mod capability;
mod class;
pub mod declared;
mod digest;
mod events;
mod failure;
mod image;
mod import;
mod kind;
pub mod lane;
mod limits;
mod matching;
mod outcome;
mod revision;
pub mod schema;
mod usage;
mod value_ref;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use url::Url;

pub use capability::HostCapabilities;
pub use class::Class;
pub use digest::{Digest, NotADigest};
pub use events::{Account, ChangeType, EventSource};
pub use failure::Failure;
pub(crate) use image::is_host_and_port;
pub use image::{Image, NotAnImage, Repository};
pub use import::Import;
pub use kind::{Interface, Kind};
pub use lane::Lane;
pub use limits::{Grants, Instances, Limits, MAX_MEMORY, MAX_TIME, MIN_MEMORY};
pub use matching::{
    LabelSelector, MAX_CONDITIONS, MatchCondition, MatchSpec, NAMESPACE_NAME_LABEL, Operation, Operator, Requirement,
    ResourceRule, Scope,
};
pub use outcome::Outcome;
pub use revision::Revision;
pub use usage::{Fact, Line, Timing, Usage};
pub use value_ref::{ValueKind, ValueRef};

impl PolicySpec {
    /// All that it runs, its own and its members'.
    pub fn references(&self) -> impl Iterator<Item = &ComponentRef> {
        std::iter::once(self).chain(self.members()).filter_map(Self::component)
    }

    /// Where the setting at this JSON Pointer stands, or what is nearest around it.
    pub(crate) fn place_of_setting(&self, pointer: &str) -> &str {
        let ends = pointer.rmatch_indices('/').map(|(end, _)| &pointer[..end]);
        let mut around = std::iter::once(pointer).chain(ends);
        around.find_map(|it| self.settings_lines.get(it)).unwrap_or(&self.source)
    }

    /// How the file that this policy is written in calls a field of an object, such as `spec.component`.
    pub(crate) fn field(&self, of_object: &str) -> String {
        // The longest name is the last of those that fit.
        let known = self.fields.iter().rev().find_map(|(name, written)| {
            let rest = of_object.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{written}{rest}"))
        });
        known.unwrap_or_else(|| of_object.to_owned())
    }
}

/// One object, parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicySpec {
    /// None: a component by itself, which stands for one policy of each kind that it can be.
    pub kind: Option<Kind>,
    /// metadata.name, unique among the objects of its kind: a DNS-1123 label of at most 63 characters, since it becomes a path of the server and a part of audit annotation keys.
    /// Of the namespaced kinds `NAMESPACE/NAME`, each of which is one.
    pub name: String,
    /// Where the document stands, for messages: `team.yaml` or `team.yaml, document 2`.
    pub source: String,
    /// Of an object of a cluster.
    pub revision: Option<Revision>,
    /// Fields of an object, such as `spec.component`, as a file of another format has them: `modules[0].module`. Empty for objects.
    pub fields: BTreeMap<&'static str, String>,
    /// What answers.
    pub runs: Runs,
    /// Whose protocol it must speak. None: any that is known.
    pub expects: Option<Family>,
    /// A JSON object as text, for modules of k8s-wasm any JSON; None: not given.
    pub settings: Option<String>,
    /// Where they are written: the file with the line of each value, by its JSON Pointer. Empty for those that come from
    /// elsewhere.
    pub settings_lines: BTreeMap<String, String>,
    /// What its verdict does.
    pub actions: Actions,
    /// What a failure does.
    pub failure_policy: FailurePolicy,
    /// What a used-up limit does.
    pub limit_policy: LimitPolicy,
    /// Chains run in this order, then by name.
    pub order: i32,
    /// What it is asked about.
    pub matching: MatchSpec,
    /// Whether it has matchConstraints of its own. If not, the component's manifest may.
    pub own_constraints: bool,
    /// What one review may use.
    pub limits: Limits,
    /// Which instance answers a review.
    pub instance_policy: Instances,
    /// What it gets beyond the contract.
    pub grants: Grants,
    /// Files whose content is in it, such as granted variables.
    pub files: Vec<PathBuf>,
    /// The operator's own words for a denial.
    pub message: Option<String>,
    /// What a waPC module is called with for each event.
    pub operation: Option<String>,
    /// Of whose changes it is told. Never without `account`.
    pub events: Vec<EventSource>,
    /// As whom it watches and acts.
    pub account: Option<Account>,
    /// From a file of Kubewarden's: asked by its name only, as there.
    pub kubewarden: Option<Kubewarden>,
    /// Classes under which it is asked beside its own, while kube-apiserver knows it by these. Says nothing of the policy: a change
    /// of it loads nothing again, so it is read from what is declared, never from what was loaded.
    pub also_answers: Vec<Class>,
}

/// Settings may hold what a Secret holds.
impl fmt::Debug for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.title(), self.source)
    }
}

/// What a file of Kubewarden's says of a policy beyond what all say. `policyMode: monitor` is [`Actions::SHADOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kubewarden {
    /// Whether it may change objects (`allowedToMutate`).
    pub may_mutate: bool,
    /// Whether it is granted look-ups of objects (`contextAwareResources`), which nobody does here yet.
    pub looks_up: bool,
}

/// What answers for a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// A component.
    Component(ComponentRef),
    /// Several of them, as an expression says.
    Group(GroupSpec),
}

/// Policies that decide together: `expression` over their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    /// `a() && (b() || !c())`.
    pub expression: String,
    /// Each runs a component; its name is that of the group, a slash, and its own (groups belong to no namespace). Of what a policy is asked about and of what its
    /// verdict does, they say nothing.
    pub members: Vec<PolicySpec>,
}

impl GroupSpec {
    /// What a member is called within its group.
    pub fn within(name: &str) -> &str {
        name.rsplit_once('/').map_or(name, |(_, own)| own)
    }

    /// The longest that they may take together, one after the other.
    pub fn time(members: &[PolicySpec]) -> Duration {
        members.iter().map(|it| it.limits.time).sum::<Duration>().min(MAX_TIME)
    }
}

impl PolicySpec {
    /// Whether both say the same, wherever they are written.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.anywhere() == other.anywhere()
    }

    fn anywhere(&self) -> Self {
        let mut bare = Self { source: String::new(), settings_lines: BTreeMap::new(), revision: None, ..self.clone() };
        bare.fields.clear();
        bare.also_answers.clear();
        if let Runs::Group(group) = &mut bare.runs {
            group.members = group.members.iter().map(Self::anywhere).collect();
        }
        bare
    }

    /// Its component; None: it is a group.
    pub fn component(&self) -> Option<&ComponentRef> {
        match &self.runs {
            Runs::Component(component) => Some(component),
            Runs::Group(_) => None,
        }
    }

    /// Those of a group.
    pub fn members(&self) -> &[PolicySpec] {
        match &self.runs {
            Runs::Component(_) => &[],
            Runs::Group(group) => &group.members,
        }
    }

    /// How messages call it: its kind and its name.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.map_or("policy", Kind::name), self.name)
    }
}

/// Who made the protocols that core modules speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// k8s-wasm, over standard input and output or by pointers.
    K8sWasm,
    /// Kubewarden, in any of its modes.
    Kubewarden,
}

impl Family {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::K8sWasm => "k8s-wasm",
            Self::Kubewarden => "Kubewarden",
        }
    }
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRef {
    /// Where the bytes are.
    pub location: Location,
    /// The digest that the bytes must have.
    pub digest: Option<Digest>,
    /// Who must have signed it, beside whoever must have signed everything.
    pub verify: Option<Box<declared::Verification>>,
}

impl ComponentRef {
    /// Whatever is there.
    pub fn new(location: Location) -> Self {
        Self { location, digest: None, verify: None }
    }
}

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Already resolved against the folder of the document.
    File(PathBuf),
    /// Compiled into this binary.
    Builtin(String),
    /// In a registry.
    Image(Image),
    /// On the web, by HTTPS.
    Url(Url),
    /// It came with the object.
    Given(Given),
}

impl Location {
    /// Whether what is here may be something else one day: a tag of a registry.
    pub fn moves(&self) -> bool {
        matches!(self, Self::Image(image) if image.digest().is_none())
    }
}

/// A component that came with its object.
#[derive(Clone)]
pub struct Given(Arc<(Digest, Bytes)>);

impl Given {
    /// These bytes, whatever they are.
    pub fn new(bytes: Bytes) -> Self {
        Self(Arc::new((Digest(Sha256::digest(&bytes).into()), bytes)))
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.0.0
    }

    /// The binary.
    pub fn bytes(&self) -> &Bytes {
        &self.0.1
    }
}

impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Given {}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({})", self.digest())
    }
}

/// What a verdict, or a failure that counts, does; it is counted in any case. Of validators as their `validationActions` say; the others
/// decide unless they are in `shadow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    /// It decides.
    pub deny: bool,
    /// A denial becomes a warning to the user.
    pub warn: bool,
    /// A denial is written into the audit log.
    pub audit: bool,
}

impl Actions {
    /// The default.
    pub const DECIDE: Self = Self { deny: true, warn: false, audit: false };
    /// Recorded, and nothing more.
    pub const SHADOW: Self = Self { deny: false, warn: false, audit: true };
    /// Counted only: of a member, whose group decides what is made of it.
    pub const COUNTED: Self = Self { deny: false, warn: false, audit: false };
}

/// What happens when the policy fails for any reason but a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// All kinds. Admission: denied. Authorization: no later allow, else HTTP 503.
    Fail,
    /// Admission only.
    Ignore,
    /// Authorization only.
    NoOpinion,
    /// Authorization only.
    Deny,
}

impl FailurePolicy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
            Self::NoOpinion => "NoOpinion",
            Self::Deny => "Deny",
        }
    }
}

/// What happens when time, memory or size is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitPolicy {
    /// As a failure that is not ignored.
    Fail,
    /// Admission only: as if the policy had allowed.
    Ignore,
}

impl LimitPolicy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
}

impl fmt::Display for ComponentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)?;
        match &self.digest {
            Some(digest) => write!(f, "@sha256:{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::Image(image) => image.fmt(f),
            // Whatever follows may be a secret.
            Self::Url(url) => {
                write!(f, "https://{}{}", url.authority().rsplit('@').next().unwrap_or_default(), url.path())
            }
            Self::Given(given) => write!(f, "registered:{}", given.digest()),
        }
    }
}

/// Where policies stand among the others, unless they say.
pub const DEFAULT_ORDER: i32 = 100;
