//! Settings against the JSON Schema of a manifest (draft 2020-12 unless it says otherwise).
//!
//! A schema comes with a component, so it is hostile: no reference outside of itself is followed, regular expressions
//! take linear time, and the engine calls this where it calls `init`, in the child process that compiles.

use boon::{Compiler, ErrorKind, Schemas, ValidationError};
use serde_json::Value;

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A JSON Pointer into the settings.
    pub path: String,
    /// What was expected and what came.
    pub message: String,
}

/// A schema, ready for any number of settings.
pub struct Schema {
    schemas: Schemas,
    index: boon::SchemaIndex,
}

impl Schema {
    /// # Errors
    /// It is no JSON Schema, or refers to another document.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nothing));
        let wrong = |error: &boon::CompileError| words(&format!("{error:#}"));
        compiler.add_resource(LOCATION, schema.clone()).map_err(|error| wrong(&error))?;
        let index = compiler.compile(LOCATION, &mut schemas).map_err(|error| wrong(&error))?;
        Ok(Self { schemas, index })
    }

    /// All that is wrong with `settings`, the innermost causes only.
    pub fn check(&self, settings: &Value) -> Vec<Violation> {
        let mut violations = Vec::new();
        if let Err(error) = self.schemas.validate(settings, self.index) {
            collect(&error, &mut violations);
        }
        violations
    }
}

/// Of errors that only say that there are others, those others are told.
fn collect(error: &ValidationError<'_, '_>, violations: &mut Vec<Violation>) {
    if violations.len() >= MAX_VIOLATIONS {
        return;
    }
    let alternatives = matches!(error.kind, ErrorKind::OneOf(_) | ErrorKind::AnyOf);
    if !error.causes.is_empty() && !alternatives {
        for cause in &error.causes {
            collect(cause, violations);
        }
        return;
    }
    let path = error.instance_location.to_string();
    let mut message = words(&error.kind.to_string());
    if alternatives {
        let reasons: Vec<String> =
            error.causes.iter().map(|it| words(&innermost(it).kind.to_string())).take(MAX_REASONS).collect();
        message = format!("none of the allowed forms fits: {}", reasons.join("; or "));
    }
    violations.push(Violation { path, message });
}

fn innermost<'e, 's, 'v>(error: &'e ValidationError<'s, 'v>) -> &'e ValidationError<'s, 'v> {
    error.causes.first().map_or(error, innermost)
}

/// Without the place where the library keeps the schema, and not endless.
fn words(text: &str) -> String {
    let text = text.replace(LOCATION, "the schema");
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Finds no document.
struct Nothing;

impl boon::UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("a schema must not refer to another document ({url})").into())
    }
}

const LOCATION: &str = "urn:verdict:settings";
const MAX_VIOLATIONS: usize = 64;
const MAX_REASONS: usize = 4;
/// Characters.
const MAX_MESSAGE: usize = 500;
