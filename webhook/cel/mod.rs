//! CEL match conditions: compiled once when a policy loads, run once per review.
//!
//! They are Kubernetes' own: the grammar and the types of cel-go, the functions, variables and costs of k8s.io/apiserver
//! 1.36. Parsed, checked and run here, because the `cel` crate runs unknown names until they fail, knows no types and no
//! cost limit, copies whole objects into loops and prints values (tokens) in its errors. Knows nothing of policies,
//! reviews or HTTP: JSON in, a boolean or short words out.
//!
//! Missing, as said at load: `authorizer` and `params` (need a cluster). What Kubernetes does not have in match
//! conditions is missing here too: `variables`, messages, `jsonpatch.escapeKey`, `cel.bind`, names in backticks.
//!
//! [`parser`] makes a tree of text, [`lower`] checks it with [`unify`] and makes an [`expr`] of it, [`interpret`] runs
//! that within a [`Budget`]. Bounds: those of the parser at load, Kubernetes' cost, memory and a deadline when run.

use std::{sync::Arc, thread};

use self::{interpret::Run, lower::Lowered, value::Value};

mod budget;
mod canonical;
mod conditions;
mod cost;
mod document;
mod expr;
mod functions;
mod group;
mod interpret;
mod large;
mod list;
mod lower;
mod memory;
mod parser;
mod reads;
mod sought;
mod types;
mod unify;
mod value;
mod variables;

#[cfg(test)]
mod tests;

pub use self::{
    budget::{Budget, Unevaluated},
    conditions::{Conditions, Undecided},
    document::{Document, NotText, Unread},
    group::{Group, Members},
    memory::{Pool, Share, TooLate},
    reads::{Part, Reads},
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
    /// `self` is a declared object, or a part of it: the rules of its schema.
    Declared,
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

    /// What it reads of a review.
    pub fn reads(&self) -> &Reads {
        &self.program.reads
    }

    /// Runs it. `budget` is the one of all conditions that the policy has for this review. Never panics, whatever the
    /// review holds.
    ///
    /// # Errors
    /// Its words name fields of the expression, never values of the review.
    pub fn eval(&self, variables: &Variables, budget: &mut Budget) -> Result<bool, Unevaluated> {
        match run(&self.program, variables, budget)? {
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
        let value = run(&self.program, variables, budget)?;
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
    on_deep_stack(|| lower(expression, subject))
        .unwrap_or_else(|| Err("there is no thread to check the expression on".to_owned()))
}

/// Nearly all expressions are shallow; the others need more stack than a worker has.
fn run(program: &Lowered, variables: &Variables, budget: &mut Budget) -> Result<Value, Unevaluated> {
    budget.begin(program.subject);
    let mut work = || Run::new(variables, budget).run(&program.root);
    let outcome = if program.depth <= SHALLOW { Some(work()) } else { on_deep_stack(work) };
    budget.end();
    match outcome {
        Some(outcome) => Ok(outcome?),
        None => Err(Unevaluated::Limit("there is no thread for an expression that nests so deep")),
    }
}

/// None: the thread did not start, or it panicked.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, work).ok()?.join().ok())
}

/// Bytes that expressions can build in all: the large ones run one at a time, and logins apart.
pub const MOST_BUILT: usize = 2 * budget::MEMORY;
/// Bytes of virtual memory; pages are only touched by absurd expressions.
const DEEP_STACK: usize = 64 * 1024 * 1024;

/// Levels of the checked tree that fit the stack of a worker.
const SHALLOW: usize = 60;
