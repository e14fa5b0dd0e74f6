//! Why a change cannot be made.

use std::fmt;

use super::{MAX_DEPTH, MAX_OBJECT, MAX_OPERATIONS, MAX_VALUES};

/// Why a change cannot be made; for the operator. Quotes at most a path of what the policy said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The change is not JSON, does not apply, or makes something else of the object.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is more than the server makes of anything.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The deadline was reached.
    #[error("the time for making the change is used up")]
    OutOfTime,
}

/// A text that is read for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchText {
    /// The object before the change.
    Object,
    /// The object after all changes.
    Changed,
    /// The options of a request.
    Options,
    /// RFC 6902.
    JsonPatch,
    /// RFC 7386.
    MergePatch,
    /// The whole object after the change.
    Full,
}

/// What is wrong with a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not JSON.
    #[error("the {text} cannot be read: {why}")]
    Unreadable {
        /// Which of the texts.
        text: PatchText,
        /// The parser's words, with line and column.
        why: String,
    },
    /// Something else than an object would be left.
    #[error("the {0} leaves no JSON object")]
    LeavesNoObject(PatchText),
    /// What is compared is no object.
    #[error("the object is not a JSON object")]
    NoObject,
    /// It is no list.
    #[error("the JSON Patch is not an RFC 6902 patch: it is not an array")]
    NoArray,
    /// One of its operations is none.
    #[error("the JSON Patch is not an RFC 6902 patch: operation {index} {wrong}")]
    Operation {
        /// Where it stands, from 0.
        index: usize,
        /// What is wrong with it.
        wrong: WrongOperation,
    },
    /// One of its operations does not fit the object.
    #[error("operation {index} of the JSON Patch does not apply at {path}: {stuck}")]
    DoesNotApply {
        /// Where it stands, from 0.
        index: usize,
        /// At most 200 characters of its path, escaped and in quotes.
        path: String,
        /// What is in its way.
        stuck: Stuck,
    },
}

/// Why something is no operation of RFC 6902.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongOperation {
    /// Not an object.
    #[error("is not an object")]
    NoObject,
    /// No `op`.
    #[error("has no op")]
    NoOp,
    /// An `op` that there is not.
    #[error("has an unknown op")]
    UnknownOp,
    /// No `path`, or no JSON Pointer.
    #[error("has no valid path")]
    Path,
    /// No `from`, or no JSON Pointer.
    #[error("has no valid from")]
    From,
    /// No `value`.
    #[error("has no value")]
    Value,
}

/// Why an operation does not fit an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// Nothing is at its path.
    #[error("the path does not exist")]
    NotThere,
    /// Nothing is at its `from`.
    #[error("there is nothing at its from")]
    NothingAtFrom,
    /// What moves holds where it goes.
    #[error("a value cannot move into itself")]
    IntoItself,
    /// Another value is there.
    #[error("the test failed")]
    Test,
}

/// Of what there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// More than [`MAX_OBJECT`].
    #[error("the {0} is larger than {MAX_OBJECT} bytes")]
    Bytes(PatchText),
    /// More than [`MAX_DEPTH`].
    #[error("the {0} nests deeper than {MAX_DEPTH} levels")]
    Depth(PatchText),
    /// More than [`MAX_VALUES`].
    #[error("the {0} has more than {MAX_VALUES} values")]
    Values(PatchText),
    /// Too many for a tree that is kept.
    #[error("the {0} has too many values")]
    Weight(PatchText),
    /// More than [`MAX_OPERATIONS`].
    #[error("the JSON Patch has more than {MAX_OPERATIONS} operations")]
    Operations,
    /// More values than the object and the patch have.
    #[error("the JSON Patch copies more than the object has")]
    Copies,
    /// Too many items make room or close up.
    #[error("the JSON Patch changes long arrays too often")]
    Shifts,
}

impl fmt::Display for PatchText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Object => "object",
            Self::Changed => "changed object",
            Self::Options => "options",
            Self::JsonPatch => "JSON Patch",
            Self::MergePatch => "JSON Merge Patch",
            Self::Full => "full object",
        })
    }
}
