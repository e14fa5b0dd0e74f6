//! CEL match conditions: compiled once when a policy loads, run once per review.
//!
//! The grammar and the parser are the `cel` crate's; names are checked, macros resolved and the expression run here,
//! because `cel` runs unknown names until they fail, has no cost limit, copies whole objects into loops and prints
//! values (tokens) in its errors. Knows nothing of policies, reviews or HTTP: JSON in, a boolean or short words out.
//!
//! Functions are those of Kubernetes 1.36: the standard ones, strings, lists (both libraries), sets, regex, URLs, IP,
//! CIDR, quantity, semver, named formats, optional values and two-variable comprehensions. Missing: `authorizer` (needs
//! a cluster), `jsonpatch.escapeKey` and messages (`Object{}`, only for mutation), `cel.bind`, IANA time zone names
//! (offsets work), and types are checked when run, as for `dyn` in Kubernetes. All missing names fail at load.
//!
//! Bounds: [`scan`] before parsing, a stack of its own while parsing, [`MAX_DEPTH`] on the tree, [`Budget`] per review.

use std::{sync::Arc, thread};

use self::{interpret::Run, lower::Lowered, value::Value};

mod budget;
mod canonical;
mod expr;
mod functions;
mod interpret;
mod lower;
mod scan;
mod types;
mod value;
mod variables;

#[cfg(test)]
mod tests;

pub use self::{
    budget::{Budget, Unevaluated},
    variables::Variables,
};

/// A named expression, checked and ready to run from any thread.
#[derive(Clone)]
pub struct Condition {
    name: Arc<str>,
    program: Arc<Lowered>,
}

/// An expression of any type, to be tried by a person or compared with another implementation.
pub struct Expression {
    program: Lowered,
}

/// Which review a condition is for, so which variables it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `request` is the TokenReview's spec.
    TokenReview,
    /// `request` is the spec of a SubjectAccessReview in v1.
    SubjectAccessReview,
    /// `request` is the AdmissionRequest, beside `object` and `oldObject` (null where there is none).
    Admission,
}

impl Condition {
    /// Parses and checks `expression`: its syntax, every name, the arguments' number, constant patterns, durations and
    /// the like.
    ///
    /// # Errors
    /// Words for the operator, with line and column where known.
    pub fn compile(name: &str, expression: &str, subject: Subject) -> Result<Self, String> {
        let program = parse(expression, subject, lower::compile_condition)
            .map_err(|reason| format!("match condition {name:?}: {reason}"))?;
        Ok(Self { name: name.into(), program: Arc::new(program) })
    }

    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `object` is used, so whether it must be parsed.
    pub fn uses_object(&self) -> bool {
        self.program.uses_object
    }

    /// Whether `oldObject` is used, so whether it must be parsed.
    pub fn uses_old_object(&self) -> bool {
        self.program.uses_old_object
    }

    /// Runs it. `budget` is the one of all conditions that the policy has for this review. Never panics, whatever the
    /// review holds.
    ///
    /// # Errors
    /// Its words name fields of the expression, never values of the review.
    pub fn eval(&self, variables: &Variables, budget: &mut Budget) -> Result<bool, Unevaluated> {
        match Run::new(variables, budget).run(&self.program.root)? {
            Value::Bool(flag) => Ok(flag),
            other => Err(Unevaluated::Failed(format!("the result is of type {}, not bool", other.kind().name()))),
        }
    }
}

impl Expression {
    /// As [`Condition::compile`], but the result may be of any type.
    ///
    /// # Errors
    /// Words for the author, with line and column where known.
    pub fn compile(expression: &str, subject: Subject) -> Result<Self, String> {
        parse(expression, subject, lower::compile).map(|program| Self { program })
    }

    /// Its value in one canonical spelling that tells types apart: `1`, `1u`, `1e0`, `"1"`; maps are sorted.
    ///
    /// For comparing, and for people who try expressions. The server has no use for it: the value may be a token.
    ///
    /// # Errors
    /// Words for the author, without values of the review.
    pub fn show(&self, variables: &Variables, budget: &mut Budget) -> Result<String, Unevaluated> {
        let value = Run::new(variables, budget).run(&self.program.root)?;
        let mut text = String::new();
        canonical::write(&value, &mut text);
        Ok(text)
    }
}

fn parse(
    expression: &str,
    subject: Subject,
    lower: impl FnOnce(&str, Subject) -> Result<Lowered, String> + Send,
) -> Result<Lowered, String> {
    scan::check(expression)?;
    on_deep_stack(|| lower(expression, subject))
}

/// `cel`'s parser recurses per operator in a chain (`a+a+…`): what [`scan`] lets through needs more stack than a tokio
/// worker has.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, work)
            .map_err(|_| "no thread to parse it on".to_owned())?
            .join()
            .unwrap_or_else(|_| Err("the parser gave up on it".to_owned()))
    })
}

/// Virtual memory; pages are only touched by absurd expressions.
const PARSER_STACK: usize = 256 * 1024 * 1024;

/// Levels of the checked tree; the run recurses once per level.
const MAX_DEPTH: usize = 100;
