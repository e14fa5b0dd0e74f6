//! A tree of lines against a schema of [`crate::spec::schema`]: every violation, where it stands and in words for people.
//!
//! Reads the part of JSON Schema that CRDs have, and gives the verdict that kube-apiserver gives with a CRD of the same schema and strict
//! field validation: an absent field may be null, rules in CEL count only where everything below is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use regex::Regex;
use serde_json::Value as Json;

use super::{
    fields::{Field, Report, unknown},
    yaml::{Node, Value},
};
use crate::cel::{Budget, Condition, Subject, Variables};

/// A schema, ready to be compared with.
pub(crate) struct Schema {
    shape: Shape,
    /// In words, what the value must be.
    expected: Option<String>,
    /// Whether messages keep quiet about values below.
    secret: bool,
    rules: Vec<Rule>,
}

enum Shape {
    Anything,
    Boolean,
    /// From the first to the last.
    Integer(i64, i64),
    Text(Text),
    /// A whole number, or a text.
    IntegerOrText(Text),
    List {
        items: Box<Schema>,
        /// From the first to the last.
        count: (usize, usize),
        unique: Option<Unique>,
    },
    /// Known fields.
    Fields {
        properties: BTreeMap<String, Schema>,
        required: Vec<String>,
        /// Whether there may be others.
        open: bool,
    },
    /// Fields of any name.
    Map {
        names: Option<(Text, String)>,
        values: Box<Schema>,
        most: usize,
    },
}

#[derive(Default)]
struct Text {
    /// If any, it must be one of them.
    words: Vec<String>,
    /// Characters, from the first to the last.
    length: Option<(usize, usize)>,
    pattern: Option<Regex>,
}

enum Unique {
    Items,
    /// By the value of this field.
    By(String),
}

/// An expression that must be true, and what is said if it is not.
struct Rule {
    condition: Condition,
    message: String,
}

/// What else is known of a field that the schema does not have: by its path, with the path of what it is in.
pub(crate) type Unknown<'u> = &'u dyn Fn(&str, &str) -> Option<String>;

impl Schema {
    /// Of JSON Schema with the extensions of [`crate::spec::schema`].
    ///
    /// # Errors
    /// What of it is not understood. Schemas are our own: this is a mistake of ours.
    pub(crate) fn compile(schema: &Json) -> Result<Self, String> {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten().map(Rule::compile);
        Ok(Self {
            shape: Shape::compile(schema)?,
            expected: schema["x-expected"].as_str().map(str::to_owned),
            secret: schema["x-secret"] == true,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Reports everything that is wrong with `field`.
    pub(crate) fn check(&self, field: &Field<'_>, report: &mut Report<'_>, unknown: Unknown<'_>) {
        self.walk(field, false, &mut Walk { report, unknown });
    }

    /// Recursion is bounded by the depth of the schema.
    fn walk(&self, field: &Field<'_>, secret: bool, walk: &mut Walk<'_, '_>) {
        let secret = secret || self.secret;
        let before = walk.report.errors.len();
        let wrong = |walk: &mut Walk<'_, '_>, what: &str| {
            let what = self.expected.as_deref().unwrap_or(what);
            if secret { field.expected_secret(walk.report, what) } else { field.expected(walk.report, what) }
        };
        match (&self.shape, &field.node.value) {
            (Shape::Anything, _) => {}
            (Shape::Boolean, Value::Bool(_)) => {}
            (Shape::Boolean, _) => wrong(walk, "true or false"),
            (Shape::Integer(least, most), value) => {
                let number = if let Value::Number(number) = value { number.as_i64() } else { None };
                if number.is_none_or(|it| it < *least || it > *most) {
                    wrong(walk, "a whole number");
                }
            }
            (Shape::Text(text) | Shape::IntegerOrText(text), Value::Text(given)) => {
                if !text.fits(given) {
                    wrong(walk, &text.expected());
                }
            }
            (Shape::IntegerOrText(_), Value::Number(number)) if number.is_i64() => {}
            (Shape::Text(Text { words, .. }), _) if !words.is_empty() => wrong(walk, &one_of(words)),
            // What it should be like matters less than that it is no text.
            (Shape::Text(_), value) => {
                let quoted = matches!(value, Value::Bool(_) | Value::Number(_));
                let what = if quoted { "a string (in quotes)" } else { "a string" };
                if secret { field.expected_secret(walk.report, what) } else { field.expected(walk.report, what) }
            }
            (Shape::IntegerOrText(_), _) => wrong(walk, "a number or a string"),
            (Shape::List { items, count, unique }, Value::List(_)) => {
                walk.list(field, items, *count, unique.as_ref(), secret);
            }
            (Shape::List { .. }, _) => wrong(walk, "a list"),
            (Shape::Fields { properties, required, open }, Value::Map(entries)) => {
                for name in required {
                    if !entries.iter().any(|(key, it)| key == name && !matches!(it.value, Value::Null)) {
                        field.below(name, field.node).error(walk.report, "is required");
                    }
                }
                for (key, node) in entries {
                    let below = field.below(key, node);
                    match properties.get(key) {
                        Some(_) if matches!(node.value, Value::Null) => {}
                        Some(schema) => schema.walk(&below, secret, walk),
                        None if *open => {}
                        None => {
                            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                            let words = (walk.unknown)(&field.path, key).unwrap_or_else(|| unknown(key, &known));
                            below.error(walk.report, words);
                        }
                    }
                }
            }
            (Shape::Map { names, values, most }, Value::Map(entries)) => {
                if entries.len() > *most {
                    field.error(walk.report, format!("expected at most {most} fields; got {}", entries.len()));
                }
                let given = entries.iter().filter(|(_, it)| !matches!(it.value, Value::Null));
                for (key, node) in given {
                    let below = field.below(key, node);
                    if let Some((names, expected)) = names
                        && !names.fits(key)
                    {
                        below.error(walk.report, format!("expected {expected} as its name"));
                    }
                    values.walk(&below, secret, walk);
                }
            }
            (Shape::Fields { .. } | Shape::Map { .. }, _) => wrong(walk, "a mapping"),
        }
        if !self.rules.is_empty() && walk.report.errors.len() == before {
            self.follow(field, walk.report);
        }
    }

    /// Rules see the value as kube-apiserver does: without fields that are null.
    fn follow(&self, field: &Field<'_>, report: &mut Report<'_>) {
        let variables = Variables::new(Json::Null).with_object(Some(without_nulls(field.node)));
        for rule in &self.rules {
            let mut budget = Budget::new(Instant::now() + RULE_TIME);
            match rule.condition.eval(&variables, &mut budget) {
                Ok(true) => {}
                Ok(false) => field.error(report, rule.message.as_str()),
                Err(why) => field.error(report, format!("{}: could not be evaluated: {why}", rule.message)),
            }
        }
    }
}

struct Walk<'r, 's> {
    report: &'r mut Report<'s>,
    unknown: Unknown<'r>,
}

impl Walk<'_, '_> {
    fn list(
        &mut self,
        field: &Field<'_>,
        items: &Schema,
        (least, most): (usize, usize),
        unique: Option<&Unique>,
        secret: bool,
    ) {
        let fields = field.list(self.report);
        if fields.is_empty() && least > 0 {
            field.error(self.report, "expected at least one item");
        } else if fields.len() > most {
            field.error(self.report, format!("expected at most {most} items; got {}", fields.len()));
        }
        let mut seen = BTreeSet::new();
        for item in fields {
            items.walk(&item, secret, self);
            let key = match unique {
                None => continue,
                Some(Unique::Items) => Some(item.clone()),
                Some(Unique::By(name)) => item.at(name),
            };
            if let Some((key, Value::Text(text))) = key.as_ref().map(|it| (it, &it.node.value))
                && !seen.insert(text.as_str())
            {
                key.error(self.report, format!("{text:?} is listed twice"));
            }
        }
    }
}

impl Shape {
    fn compile(schema: &Json) -> Result<Self, String> {
        let number = |name: &str| schema[name].as_u64().and_then(|it| usize::try_from(it).ok());
        let most = |name: &str| number(name).unwrap_or(usize::MAX);
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        if schema["x-kubernetes-int-or-string"] == true {
            return Ok(Self::IntegerOrText(Text::compile(schema)?));
        }
        Ok(match schema["type"].as_str() {
            None if open => Self::Anything,
            Some("boolean") => Self::Boolean,
            Some("integer") => {
                let bound = |name: &str, otherwise| schema[name].as_i64().unwrap_or(otherwise);
                Self::Integer(bound("minimum", i64::MIN), bound("maximum", i64::MAX))
            }
            Some("string") => Self::Text(Text::compile(schema)?),
            Some("array") => Self::List {
                items: Box::new(Schema::compile(&schema["items"])?),
                count: (number("minItems").unwrap_or_default(), most("maxItems")),
                unique: match schema["x-kubernetes-list-type"].as_str() {
                    Some("set") => Some(Unique::Items),
                    Some("map") => schema["x-kubernetes-list-map-keys"][0].as_str().map(|it| Unique::By(it.to_owned())),
                    _ => None,
                },
            },
            Some("object") if schema["properties"].is_object() || open => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                let required = schema["required"].as_array().into_iter().flatten();
                Self::Fields {
                    properties: properties
                        .map(|(name, it)| Ok((name.clone(), Schema::compile(it)?)))
                        .collect::<Result<_, String>>()?,
                    required: required.filter_map(Json::as_str).map(str::to_owned).collect(),
                    open,
                }
            }
            Some("object") if schema["additionalProperties"].is_object() => {
                let names = &schema["propertyNames"];
                let expected = names["x-expected"].as_str().unwrap_or("another").to_owned();
                Self::Map {
                    names: names.is_object().then(|| Ok::<_, String>((Text::compile(names)?, expected))).transpose()?,
                    values: Box::new(Schema::compile(&schema["additionalProperties"])?),
                    most: most("maxProperties"),
                }
            }
            _ => return Err(format!("a schema that is not understood: {schema}")),
        })
    }
}

impl Text {
    fn compile(schema: &Json) -> Result<Self, String> {
        let number = |name: &str| schema[name].as_u64().and_then(|it| usize::try_from(it).ok());
        let (least, most) = (number("minLength"), number("maxLength"));
        let words = schema["enum"].as_array().into_iter().flatten();
        Ok(Self {
            words: words.filter_map(Json::as_str).map(str::to_owned).collect(),
            length: (least.is_some() || most.is_some())
                .then(|| (least.unwrap_or_default(), most.unwrap_or(usize::MAX))),
            pattern: schema["pattern"].as_str().map(Regex::new).transpose().map_err(|error| error.to_string())?,
        })
    }

    fn fits(&self, text: &str) -> bool {
        (self.words.is_empty() || self.words.iter().any(|word| word == text))
            && self.length.is_none_or(|(least, most)| (least..=most).contains(&text.chars().count()))
            && self.pattern.as_ref().is_none_or(|it| it.is_match(text))
    }

    fn expected(&self) -> String {
        match self.length {
            _ if !self.words.is_empty() => one_of(&self.words),
            Some((least, most)) => format!("from {least} to {most} characters"),
            None => "another text".to_owned(),
        }
    }
}

impl Rule {
    fn compile(rule: &Json) -> Result<Self, String> {
        let text = |name: &str| rule[name].as_str().ok_or_else(|| format!("a rule without {name}: {rule}"));
        let message = text("message")?.to_owned();
        Ok(Self { condition: Condition::compile("rule", text("rule")?, Subject::Declared)?, message })
    }
}

fn one_of(words: &[String]) -> String {
    match words {
        [word] => word.clone(),
        words => format!("one of {}", words.join(", ")),
    }
}

/// As serde and rules read it: a field that is null is absent. Depth is bounded since the tree's is.
pub(crate) fn without_nulls(node: &Node) -> Json {
    match &node.value {
        Value::Map(entries) => {
            let given = entries.iter().filter(|(_, it)| !matches!(it.value, Value::Null));
            given.map(|(key, it)| (key.clone(), without_nulls(it))).collect()
        }
        Value::List(items) => items.iter().map(without_nulls).collect(),
        _ => node.json(),
    }
}

/// Rules are our own, and what they look at is at most a file: they take a moment.
const RULE_TIME: Duration = Duration::from_secs(10);
