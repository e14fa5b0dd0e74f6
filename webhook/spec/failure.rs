//! How a policy can fail, told apart so that each has its own words, status and metric label.

/// Why a policy gave no usable answer. The text inside is for the operator's log; [`Failure::message`] is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Failure {
    /// The guest trapped: unreachable code, out of bounds, a panic.
    #[error("the policy trapped: {0}")]
    Trap(String),
    /// The time limit, or the caller's, was used up in the guest or in a host call.
    #[error("the policy used up its time")]
    Timeout,
    /// The guest asked for more memory than its limit. Whatever it answers after that is not used.
    #[error("the policy used up its memory")]
    Memory,
    /// The stack was used up: the guest calls itself too often, or nests too deep.
    #[error("the policy used up its stack")]
    Stack,
    /// The instructions that it may run were used up.
    #[error("the policy used up its fuel")]
    Fuel,
    /// The answer, or what it would take to read it, exceeds the size limits.
    #[error("the answer of the policy is too large: {0}")]
    Size(String),
    /// No free instance, or no memory to read the review, before the time was used up.
    #[error("no instance or memory was free in time")]
    Overload,
    /// The policy had as many reviews as it may have at once, for as long as there was time.
    #[error("the policy had as many reviews as limits.concurrentReviews allows")]
    Concurrency,
    /// The policy said itself that it could not decide.
    #[error("the policy reported an error: {0}")]
    Guest(String),
    /// The answer breaks the contract: an empty username, a patch that does not apply, text that is not UTF-8.
    #[error("the answer of the policy is not valid: {0}")]
    Answer(String),
    /// A match condition could not be evaluated.
    #[error("a match condition failed: {0}")]
    Condition(String),
    /// A match condition used up its cost or memory, or could not read an object because of its size or depth.
    #[error("a match condition used up a limit: {0}")]
    ConditionLimit(String),
    /// The host could not run the policy; not the guest's fault.
    #[error("the host failed: {0}")]
    Host(String),
    /// It was declared, and could never be loaded.
    #[error("the policy is not loaded")]
    NotLoaded,
}

impl Failure {
    /// How many there are.
    pub(super) const COUNT: usize = 14;

    /// A number below [`Self::COUNT`] that no other failure has.
    pub(super) fn position(&self) -> usize {
        match self {
            Self::Trap(_) => 0,
            Self::Timeout => 1,
            Self::Memory => 2,
            Self::Stack => 3,
            Self::Fuel => 4,
            Self::Size(_) => 5,
            Self::Overload => 6,
            Self::Guest(_) => 7,
            Self::Answer(_) => 8,
            Self::Condition(_) => 9,
            Self::ConditionLimit(_) => 10,
            Self::Host(_) => 11,
            Self::NotLoaded => 12,
            Self::Concurrency => 13,
        }
    }

    /// The value of the metric label `outcome`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Fuel => "fuel",
            Self::Size(_) => "size",
            Self::Overload => "overload",
            Self::Concurrency => "concurrency",
            Self::Guest(_) => "guest_error",
            Self::Answer(_) => "invalid_answer",
            Self::Condition(_) => "condition_error",
            Self::ConditionLimit(_) => "condition_limit",
            Self::Host(_) => "host_error",
            Self::NotLoaded => "not_loaded",
        }
    }

    /// Short words for the caller, without anything the guest wrote.
    pub fn message(&self) -> &'static str {
        match self {
            Self::Trap(_) => "the policy crashed",
            Self::Timeout => "the policy took too long",
            Self::Memory => "the policy ran out of memory",
            Self::Stack => "the policy ran out of stack",
            Self::Fuel => "the policy computed too much",
            Self::Size(_) => "the policy's answer is too large",
            Self::Overload => "the server is busy",
            Self::Concurrency => "the policy has too many reviews at once",
            Self::Guest(_) => "the policy could not decide",
            Self::Answer(_) => "the policy's answer is not valid",
            Self::Condition(_) => "a match condition of the policy failed",
            Self::ConditionLimit(_) => "a match condition of the policy used up a limit",
            Self::Host(_) => "the policy could not be run",
            Self::NotLoaded => "the policy is not loaded",
        }
    }

    /// HTTP status code for a review that fails because of this: 504 where time ran out, else 500.
    pub fn code(&self) -> u16 {
        match self {
            Self::Timeout | Self::Overload | Self::Concurrency => 504,
            _ => 500,
        }
    }

    /// Whether a limit was used up (time, memory, stack, fuel, size or cost), so that `limitPolicy` decides and not
    /// `failurePolicy`.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Timeout
            | Self::Memory
            | Self::Stack
            | Self::Fuel
            | Self::Size(_)
            | Self::Overload
            | Self::Concurrency
            | Self::ConditionLimit(_) => true,
            Self::Trap(_) | Self::Guest(_) | Self::Answer(_) | Self::Condition(_) | Self::Host(_) | Self::NotLoaded => {
                false
            }
        }
    }
}
