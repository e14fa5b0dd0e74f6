//! Reading a tree field by field: every error is kept, with its line and its path.

use super::{
    ConfigError,
    yaml::{NO_LINE, Node, Value},
};

/// The errors of one document.
pub(crate) struct Report<'s> {
    /// The file.
    pub(crate) source: &'s str,
    /// The object's kind and name, once known.
    pub(crate) object: Option<String>,
    /// With their lines.
    pub(crate) errors: Vec<(u64, ConfigError)>,
}

impl<'s> Report<'s> {
    /// Nothing wrong yet.
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, object: None, errors: Vec::new() }
    }

    /// What was found, in the order of the lines; never empty.
    pub(crate) fn finish(mut self) -> Result<(), Vec<ConfigError>> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|(line, _)| *line);
        Err(self.errors.into_iter().map(|(_, error)| error).collect())
    }

    pub(crate) fn error(&mut self, line: u64, path: &str, message: impl Into<String>) {
        let error = ConfigError {
            source: if line == NO_LINE { self.source.to_owned() } else { format!("{}:{line}", self.source) },
            object: self.object.clone(),
            field: (!path.is_empty()).then(|| path.into()),
            message: message.into(),
        };
        self.errors.push((line, error));
    }
}

/// A value and its path, such as `spec.matchConstraints.resourceRules[0]`.
#[derive(Clone)]
pub(crate) struct Field<'n> {
    pub(crate) node: &'n Node,
    pub(crate) path: String,
}

impl<'n> Field<'n> {
    /// The document itself.
    pub(crate) fn root(node: &'n Node) -> Self {
        Self { node, path: String::new() }
    }

    pub(crate) fn error(&self, report: &mut Report<'_>, message: impl Into<String>) {
        report.error(self.node.line, &self.path, message);
    }

    /// Says what was expected and what came.
    pub(crate) fn expected(&self, report: &mut Report<'_>, what: &str) {
        self.error(report, format!("expected {what}; got {}", describe(self.node)));
    }

    /// Says what was expected, and nothing of what came, since that may be a secret.
    pub(crate) fn expected_secret(&self, report: &mut Report<'_>, what: &str) {
        self.error(report, format!("expected {what}; got {}", kind(self.node)));
    }

    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<&'n str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Number(_) => {
                self.expected(report, "a string (in quotes)");
                None
            }
            _ => {
                self.expected(report, "a string");
                None
            }
        }
    }

    pub(crate) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        if let Value::Bool(value) = &self.node.value {
            return Some(*value);
        }
        self.expected(report, "true or false");
        None
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
        if let Value::Text(text) = &self.node.value
            && let Some((_, value)) = choices.iter().find(|(word, _)| word == text)
        {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        match &*words {
            [word] => self.expected(report, word),
            words => self.expected(report, &format!("one of {}", words.join(", "))),
        }
        None
    }

    /// The items of a list; none, with an error, of anything else.
    pub(crate) fn list(&self, report: &mut Report<'_>) -> Vec<Field<'n>> {
        if !matches!(self.node.value, Value::List(_)) {
            self.expected(report, "a list");
        }
        self.items()
    }

    /// A list of strings.
    pub(crate) fn texts(&self, report: &mut Report<'_>) -> Vec<(Field<'n>, &'n str)> {
        let items = self.list(report);
        let texts = items.into_iter();
        texts.filter_map(|item| item.text(report).map(|text| (item, text))).collect()
    }

    /// The entries of a mapping whose keys are free.
    pub(crate) fn entries(&self, report: &mut Report<'_>) -> Vec<(&'n str, Field<'n>)> {
        if !matches!(self.node.value, Value::Map(_)) {
            self.expected(report, "a mapping");
        }
        self.keys()
    }

    /// A mapping whose keys are `known`; any other key is an error.
    pub(crate) fn object(&self, known: &[&'static str], report: &mut Report<'_>) -> Option<Object<'n>> {
        self.object_with(known, |_| None, report)
    }

    /// The same; `why` may know more of a key that is not `known`.
    pub(crate) fn object_with(
        &self,
        known: &[&'static str],
        why: impl Fn(&str) -> Option<String>,
        report: &mut Report<'_>,
    ) -> Option<Object<'n>> {
        let Value::Map(_) = &self.node.value else {
            self.expected(report, "a mapping");
            return None;
        };
        let fields = self.entries(report);
        for (key, field) in &fields {
            if !known.contains(key) {
                field.error(report, why(key).unwrap_or_else(|| unknown(key, known)));
            }
        }
        Some(Object { at: self.clone(), fields })
    }

    /// What is below it by this name; None where there is nothing, or it is null or no mapping.
    pub(crate) fn at(&self, name: &str) -> Option<Field<'n>> {
        let Value::Map(entries) = &self.node.value else { return None };
        let (_, node) = entries.iter().find(|(key, _)| key == name)?;
        (!matches!(node.value, Value::Null)).then(|| self.below(name, node))
    }

    /// Its items; none of anything that is no list.
    pub(crate) fn items(&self) -> Vec<Field<'n>> {
        let Value::List(items) = &self.node.value else { return Vec::new() };
        let at = |(index, node)| Field { node, path: format!("{}[{index}]", self.path) };
        items.iter().enumerate().map(at).collect()
    }

    /// Its keys, and what each stands for; none of anything that is no mapping.
    pub(crate) fn keys(&self) -> Vec<(&'n str, Field<'n>)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let at = |(key, node): &'n (String, Node)| (&**key, self.below(key, node));
        entries.iter().map(at).collect()
    }

    /// Its text; None of anything else.
    pub(crate) fn words(&self) -> Option<&'n str> {
        if let Value::Text(text) = &self.node.value { Some(text) } else { None }
    }

    pub(crate) fn below(&self, key: &str, node: &'n Node) -> Field<'n> {
        let path = match &*self.path {
            "" => key.into(),
            path => format!("{path}.{key}"),
        };
        Field { node, path }
    }
}

/// A mapping with known keys.
pub(crate) struct Object<'n> {
    at: Field<'n>,
    fields: Vec<(&'n str, Field<'n>)>,
}

impl<'n> Object<'n> {
    /// The keys that `at` has, whatever they are.
    pub(crate) fn of(at: &Field<'n>, fields: Vec<(&'n str, Field<'n>)>) -> Self {
        Self { at: at.clone(), fields }
    }

    /// As Kubernetes reads it, `null` is absent.
    pub(crate) fn optional(&self, name: &str) -> Option<&Field<'n>> {
        let (_, field) = self.fields.iter().find(|(key, _)| *key == name)?;
        (!matches!(field.node.value, Value::Null)).then_some(field)
    }

    /// A field that is written, also if it is `null`.
    pub(crate) fn given(&self, name: &str) -> Option<&Field<'n>> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, field)| field)
    }

    /// A field that has to be there.
    pub(crate) fn required(&self, name: &str, report: &mut Report<'_>) -> Option<&Field<'n>> {
        let field = self.optional(name);
        if field.is_none() {
            let path = self.at.below(name, self.at.node).path;
            report.error(self.at.node.line, &path, "is required");
        }
        field
    }
}

/// What came, short enough for a message.
fn describe(node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string().chars().take(LONGEST_SHOWN).collect(),
        Value::Text(text) if text.chars().count() > LONGEST_SHOWN => {
            let shown: String = text.chars().take(LONGEST_SHOWN).collect();
            format!("{shown:?}…")
        }
        Value::Text(text) => format!("{text:?}"),
        Value::Null | Value::List(_) | Value::Map(_) => kind(node).into(),
    }
}

fn kind(node: &Node) -> &'static str {
    match &node.value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    let shown: String = key.chars().take(LONGEST_SHOWN).collect();
    let near = known.iter().find(|word| is_near(&shown, word));
    match near {
        Some(word) => format!("is not a field; did you mean {word}?"),
        None => format!("is not a field; expected one of {}", known.join(", ")),
    }
}

/// Whether two words differ in case only, or in at most two letters.
pub(crate) fn is_near(left: &str, right: &str) -> bool {
    let (left, right) = (left.to_lowercase(), right.to_lowercase());
    left == right || strsim::levenshtein(&left, &right) <= 2.min(right.len() / 3)
}

/// Characters of a value that a message repeats.
const LONGEST_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let known = ["failurePolicy", "mode", "match"];
        for (key, word) in [
            ("failurepolicy", "failurePolicy"),
            ("failurePolice", "failurePolicy"),
            ("Mode", "mode"),
            ("mach", "match"),
        ] {
            assert_eq!(unknown(key, &known), format!("is not a field; did you mean {word}?"));
        }
        assert_eq!(unknown("rules", &known), "is not a field; expected one of failurePolicy, mode, match");
    }
}
