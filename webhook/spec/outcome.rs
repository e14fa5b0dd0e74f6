//! What came of one review of one policy. Metrics, logs, cases and reports take their names from here.

use super::Failure;

/// What a policy answered, or why there is no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object is allowed as it is, or the user may.
    Allowed,
    /// The object is not, or the user may not.
    Denied,
    /// An authorizer leaves it to others.
    NoOpinion,
    /// An authenticator knows the user.
    Authenticated,
    /// It does not.
    Unknown,
    /// It knows that the token is no good.
    Rejected,
    /// The object is allowed as the mutator changed it.
    Mutated,
    /// A provider answered.
    Answered,
    /// There is no usable answer.
    Failed(Failure),
}

impl Outcome {
    /// How many there are, each failure for itself.
    pub const COUNT: usize = 8 + Failure::COUNT;

    /// The value of the metric label `outcome`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::NoOpinion => "no_opinion",
            Self::Authenticated => "authenticated",
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
            Self::Mutated => "mutated",
            Self::Answered => "answered",
            Self::Failed(failure) => failure.name(),
        }
    }

    /// A number below [`Self::COUNT`] that no other outcome has.
    pub fn position(&self) -> usize {
        match self {
            Self::Allowed => 0,
            Self::Denied => 1,
            Self::NoOpinion => 2,
            Self::Authenticated => 3,
            Self::Unknown => 4,
            Self::Rejected => 5,
            Self::Mutated => 6,
            Self::Answered => 7,
            Self::Failed(failure) => 8 + failure.position(),
        }
    }

    /// Why there is no usable answer, if there is none.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_outcome_has_a_name_and_a_position_of_its_own() {
        use Outcome::*;
        let text = String::new;
        let failures = [
            Failure::Trap(text()),
            Failure::Timeout,
            Failure::Memory,
            Failure::Stack,
            Failure::Fuel,
            Failure::Size(text()),
            Failure::Overload,
            Failure::Concurrency,
            Failure::Guest(text()),
            Failure::Answer(text()),
            Failure::Condition(text()),
            Failure::ConditionLimit(text()),
            Failure::Host(text()),
            Failure::NotLoaded,
        ];
        let answers = [Allowed, Denied, NoOpinion, Authenticated, Unknown, Rejected, Mutated, Answered];
        let all: Vec<Outcome> = answers.into_iter().chain(failures.map(Failed)).collect();
        assert_eq!(all.len(), Outcome::COUNT);
        let names: BTreeSet<&str> = all.iter().map(Outcome::name).collect();
        assert_eq!(names.len(), Outcome::COUNT);
        let positions: BTreeSet<usize> = all.iter().map(Outcome::position).collect();
        assert!(positions.into_iter().eq(0..Outcome::COUNT));
    }
}
