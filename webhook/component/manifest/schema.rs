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
    /// The rule that is broken. Never the value: settings may be secrets, and this goes to logs.
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

/// An error that only groups others is left out: its causes are reported.
fn collect(error: &ValidationError<'_, '_>, violations: &mut Vec<Violation>) {
    if violations.len() >= MAX_VIOLATIONS {
        return;
    }
    // The library gives no place for the name of a field.
    if let ErrorKind::PropertyName { prop } = &error.kind {
        let message = words(&format!("the name of the field {prop}: {}", rule(&innermost(error).kind)));
        return violations.push(Violation { path: error.instance_location.to_string(), message });
    }
    let alternatives = matches!(error.kind, ErrorKind::OneOf(_) | ErrorKind::AnyOf);
    if !error.causes.is_empty() && !alternatives {
        for cause in &error.causes {
            collect(cause, violations);
        }
        return;
    }
    let path = error.instance_location.to_string();
    let mut message = words(&rule(&error.kind));
    if alternatives {
        let reasons: Vec<String> =
            error.causes.iter().map(|it| words(&rule(&innermost(it).kind))).take(MAX_REASONS).collect();
        message = format!("none of the allowed forms fits: {}", reasons.join("; or "));
    }
    violations.push(Violation { path, message });
}

/// What was expected, in words that hold nothing of the setting but the type of its value and the names of its fields.
/// The library's own words quote values.
fn rule(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        // These quote only the schema, types, names of fields, counts of fields and positions.
        ErrorKind::FalseSchema
        | ErrorKind::Type { .. }
        | ErrorKind::Enum { .. }
        | ErrorKind::Const { .. }
        | ErrorKind::MinProperties { .. }
        | ErrorKind::MaxProperties { .. }
        | ErrorKind::AdditionalProperties { .. }
        | ErrorKind::Required { .. }
        | ErrorKind::Dependency { .. }
        | ErrorKind::DependentRequired { .. }
        | ErrorKind::MinItems { .. }
        | ErrorKind::MaxItems { .. }
        | ErrorKind::Contains
        | ErrorKind::MinContains { .. }
        | ErrorKind::MaxContains { .. }
        | ErrorKind::UniqueItems { .. }
        | ErrorKind::AdditionalItems { .. }
        | ErrorKind::PropertyName { .. }
        | ErrorKind::AllOf
        | ErrorKind::AnyOf
        | ErrorKind::OneOf(_) => kind.to_string(),
        ErrorKind::Format { want, .. } => format!("expected the format {want}"),
        ErrorKind::MinLength { want, .. } => format!("expected at least {want} characters"),
        ErrorKind::MaxLength { want, .. } => format!("expected at most {want} characters"),
        ErrorKind::Pattern { want, .. } => format!("expected text that matches the pattern {want}"),
        ErrorKind::ContentEncoding { want, .. } => format!("expected text in the encoding {want}"),
        ErrorKind::ContentMediaType { want, .. } => format!("expected content of the type {want}"),
        ErrorKind::Minimum { want, .. } => format!("expected {want} or more"),
        ErrorKind::Maximum { want, .. } => format!("expected {want} or less"),
        ErrorKind::ExclusiveMinimum { want, .. } => format!("expected more than {want}"),
        ErrorKind::ExclusiveMaximum { want, .. } => format!("expected less than {want}"),
        ErrorKind::MultipleOf { want, .. } => format!("expected a multiple of {want}"),
        ErrorKind::Not => "has what the schema forbids".to_owned(),
        ErrorKind::Group
        | ErrorKind::Schema { .. }
        | ErrorKind::ContentSchema
        | ErrorKind::Reference { .. }
        | ErrorKind::RefCycle { .. } => "does not fit the schema".to_owned(),
    }
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
