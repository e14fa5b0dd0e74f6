//! The kinds of declared objects, and the interfaces of the contract that they stand for.

use std::fmt;

/// What a policy has the power to do: the `kind` of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Refuses objects.
    Validator,
    /// Changes objects.
    Mutator,
    /// Says who may do what.
    Authorizer,
    /// Says who somebody is.
    Authenticator,
    /// Answers events of the operator's own programs, and changes of objects.
    Provider,
    /// Refuses objects, as several policies decide together.
    PolicyGroup,
    /// Refuses objects of its own namespace.
    NamespacedValidator,
    /// Changes objects of its own namespace.
    NamespacedMutator,
}

impl Kind {
    /// As they are listed to operators.
    pub const ALL: [Self; 8] = [
        Self::Validator,
        Self::PolicyGroup,
        Self::Mutator,
        Self::Authorizer,
        Self::Authenticator,
        Self::Provider,
        Self::NamespacedValidator,
        Self::NamespacedMutator,
    ];

    /// Whether its objects belong to a namespace, and see nothing else.
    pub fn is_namespaced(self) -> bool {
        matches!(self, Self::NamespacedValidator | Self::NamespacedMutator)
    }

    /// What a component must export to be one, or to be a member of one.
    pub fn interface(self) -> Interface {
        match self {
            Self::Validator | Self::PolicyGroup | Self::NamespacedValidator => Interface::Validating,
            Self::Mutator | Self::NamespacedMutator => Interface::Mutating,
            Self::Authorizer => Interface::Authorization,
            Self::Authenticator => Interface::Authentication,
            Self::Provider => Interface::Provider,
        }
    }

    /// Those of which a component must export one to be one: [`Self::interface`], or another that does as well.
    pub fn interfaces(self) -> &'static [Interface] {
        match self.interface() {
            Interface::Authentication => &[Interface::Authentication],
            Interface::Authorization => &[Interface::Authorization],
            Interface::Validating => &[Interface::Validating],
            Interface::Mutating => &[Interface::Mutating],
            Interface::Provider | Interface::Changes => &[Interface::Provider, Interface::Changes],
        }
    }

    /// Which a component by itself that exports `interface` can be.
    pub fn of(interface: Interface) -> Self {
        match interface {
            Interface::Validating => Self::Validator,
            Interface::Mutating => Self::Mutator,
            Interface::Authorization => Self::Authorizer,
            Interface::Authentication => Self::Authenticator,
            Interface::Provider | Interface::Changes => Self::Provider,
        }
    }

    /// What a component by itself that exports these, in the order of [`Interface::ALL`], can be: each once.
    pub fn all_of(interfaces: &[Interface]) -> Vec<Self> {
        let mut all: Vec<Self> = interfaces.iter().map(|it| Self::of(*it)).collect();
        all.dedup();
        all
    }

    /// As it is written in `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validator => "Validator",
            Self::Mutator => "Mutator",
            Self::Authorizer => "Authorizer",
            Self::Authenticator => "Authenticator",
            Self::Provider => "Provider",
            Self::PolicyGroup => "PolicyGroup",
            Self::NamespacedValidator => "NamespacedValidator",
            Self::NamespacedMutator => "NamespacedMutator",
        }
    }
}

impl Kind {
    /// As it stands in paths: in lower case.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Mutator => "mutator",
            Self::Authorizer => "authorizer",
            Self::Authenticator => "authenticator",
            Self::Provider => "provider",
            Self::PolicyGroup => "policygroup",
            Self::NamespacedValidator => "namespacedvalidator",
            Self::NamespacedMutator => "namespacedmutator",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A review interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Interface {
    /// TokenReview.
    Authentication,
    /// SubjectAccessReview.
    Authorization,
    /// AdmissionReview, without changes.
    Validating,
    /// AdmissionReview, with changes.
    Mutating,
    /// Events.
    Provider,
    /// Changes of objects of a cluster.
    Changes,
}

impl Interface {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [Self; 6] =
        [Self::Authentication, Self::Authorization, Self::Validating, Self::Mutating, Self::Provider, Self::Changes];

    /// The name of the interface in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Validating => "validating",
            Self::Mutating => "mutating",
            Self::Provider => "provider",
            Self::Changes => "changes",
        }
    }
}
