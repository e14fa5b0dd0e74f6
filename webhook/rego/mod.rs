//! The builtin functions of Rego that OPA compiles into calls of the host, and what a review may spend on them.
//!
//! Served are those that Kubewarden serves and those that Gatekeeper's library uses, with their nearest kin; each gives
//! what OPA 1.22.2 gives (`tests/rego`). Values cross as Rego's text (JSON with sets, keys of any type), and all of it is
//! hostile. One family of builtins a file. Knows nothing of Wasm, policies or reviews.

use self::value::Value;

mod encoding;
mod net;
mod number;
mod objects;
mod parse;
mod patch;
mod regex;
mod semver;
mod sprintf;
mod strings;
mod time;
mod value;
mod work;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

pub use self::work::{Exhausted, Work};

/// A builtin function that the host serves.
#[derive(Clone, Copy)]
pub struct Builtin(&'static Function);

struct Function {
    name: &'static str,
    arity: usize,
    run: fn(&[Value], &mut Work) -> Outcome,
}

/// What a builtin gives for arguments that were parsed.
type Outcome = Result<Value, Fault>;

enum Fault {
    /// OPA's own builtin gives an error here, so the expression that calls it is undefined.
    Undefined,
    Exhausted,
}

impl From<Exhausted> for Fault {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

impl Builtin {
    /// None: it is not served, and a policy that needs it cannot be loaded.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        FAMILIES.iter().copied().flatten().find(|it| it.name == name).map(Self)
    }

    /// All that are served, by their families.
    pub fn all() -> impl Iterator<Item = Self> {
        FAMILIES.iter().copied().flatten().map(Self)
    }

    /// As Rego calls it, such as `sprintf`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How many arguments it takes: 0 to 4.
    #[must_use]
    pub fn arity(self) -> usize {
        self.0.arity
    }

    /// `arguments` are Rego's texts of values, as `opa_value_dump` writes them; so is the answer, for `opa_value_parse`.
    /// None: undefined, also where OPA's builtin gives an error, and for arguments that are no values or too many.
    ///
    /// # Errors
    ///
    /// `work` is used up. What is left of it must not be used again.
    pub fn call(self, arguments: &[&[u8]], work: &mut Work) -> Result<Option<Vec<u8>>, Exhausted> {
        match self.run(arguments, work) {
            Ok(value) => write::guest(&value, work).map(Some),
            Err(Fault::Undefined) => Ok(None),
            Err(Fault::Exhausted) => Err(Exhausted),
        }
    }

    fn run(self, arguments: &[&[u8]], work: &mut Work) -> Outcome {
        work.steps(STEPS_A_CALL)?;
        if arguments.len() != self.0.arity {
            return Err(Fault::Undefined);
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(parse::value(argument, work)?);
        }
        (self.0.run)(&values, work)
    }
}

/// Of a family.
const fn function(name: &'static str, arity: usize, run: fn(&[Value], &mut Work) -> Outcome) -> Function {
    Function { name, arity, run }
}

const FAMILIES: &[&[Function]] = &[
    encoding::FUNCTIONS,
    net::FUNCTIONS,
    objects::FUNCTIONS,
    patch::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    sprintf::FUNCTIONS,
    strings::FUNCTIONS,
    time::FUNCTIONS,
    yaml::FUNCTIONS,
];

/// What a call takes beside its arguments and its answer.
const STEPS_A_CALL: usize = 50;
