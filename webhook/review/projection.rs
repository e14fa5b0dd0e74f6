//! The part of an object that a policy reads: it is given no other.

use std::{borrow::Cow, collections::BTreeMap};

use super::skip::Reader;

/// Which fields of an object are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection(Part);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole,
    /// Of a map.
    Fields(BTreeMap<String, Part>),
    /// Of each element of a list.
    Each(Box<Part>),
}

impl Projection {
    /// What paths such as `spec.containers[].image` and `data[tls.crt]` name, with `apiVersion`, `kind` and `metadata`. A path that ends
    /// within a value names all of it; where one path takes for a map what is a list for another, all of it is kept.
    ///
    /// # Errors
    /// The first path that is none.
    pub fn new(paths: &[String]) -> Result<Self, String> {
        let mut root = Part::Fields(BTreeMap::new());
        for path in paths.iter().map(String::as_str).chain(["apiVersion", "kind", "metadata"]) {
            root.add(&steps(path).ok_or_else(|| path.to_owned())?);
        }
        Ok(Self(root))
    }

    /// The object, as JSON, with these fields only: lists keep their length and order, and keys and values their spelling. What does not have the
    /// shape that a path takes it for is kept whole.
    pub fn of<'a>(&self, object: &'a str) -> Cow<'a, str> {
        let mut kept = String::new();
        match self.0.keep(&mut Reader::new(object), &mut kept) {
            Some(()) => Cow::Owned(kept),
            None => Cow::Borrowed(object),
        }
    }
}

enum Step<'a> {
    Field(&'a str),
    Each,
}

/// None: it is no path.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).filter(|it| !it.0.is_empty())?;
        steps.push(Step::Field(name));
        rest = after;
        while let Some(bracket) = rest.strip_prefix('[') {
            let (key, after) = bracket.split_once(']').filter(|it| !it.0.contains('['))?;
            steps.push(if key.is_empty() { Step::Each } else { Step::Field(key) });
            rest = after;
        }
        if steps.len() > MAX_DEPTH {
            return None;
        }
        if rest.is_empty() {
            return Some(steps);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// What a key says.
fn name(key: &str) -> Option<Cow<'_, str>> {
    let plain = key.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') { serde_json::from_str(key).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(plain)) }
}

impl Part {
    fn add(&mut self, steps: &[Step<'_>]) {
        match (&mut *self, steps) {
            (Self::Whole, _) => {}
            (Self::Fields(fields), [Step::Field(name), rest @ ..]) => match fields.get_mut(*name) {
                Some(part) => part.add(rest),
                None => {
                    fields.insert((*name).to_owned(), Self::of(rest));
                }
            },
            (Self::Each(part), [Step::Each, rest @ ..]) => part.add(rest),
            (Self::Fields(_) | Self::Each(_), _) => *self = Self::Whole,
        }
    }

    /// Reads a value, and writes what is kept of it. None: it is no JSON.
    fn keep(&self, reader: &mut Reader<'_>, kept: &mut String) -> Option<()> {
        match (self, reader.peek()?) {
            (Self::Fields(fields), b'{') => {
                kept.push('{');
                let begin = kept.len();
                let mut entries = reader.entries(b'}');
                while entries.next(reader)? {
                    let key = reader.value()?;
                    let part = fields.get(&*name(key)?);
                    reader.take(b':')?;
                    let Some(part) = part else {
                        reader.value()?;
                        continue;
                    };
                    if kept.len() > begin {
                        kept.push(',');
                    }
                    kept.push_str(key);
                    kept.push(':');
                    part.keep(reader, kept)?;
                }
                kept.push('}');
            }
            (Self::Each(part), b'[') => {
                kept.push('[');
                let begin = kept.len();
                let mut entries = reader.entries(b']');
                while entries.next(reader)? {
                    if kept.len() > begin {
                        kept.push(',');
                    }
                    part.keep(reader, kept)?;
                }
                kept.push(']');
            }
            _ => kept.push_str(reader.value()?),
        }
        Some(())
    }

    fn of(steps: &[Step<'_>]) -> Self {
        match steps {
            [] => Self::Whole,
            [Step::Field(name), rest @ ..] => Self::Fields([((*name).to_owned(), Self::of(rest))].into()),
            [Step::Each, rest @ ..] => Self::Each(Box::new(Self::of(rest))),
        }
    }
}

/// As many steps may a path have.
const MAX_DEPTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn projected(paths: &[&str], object: &str) -> String {
        let paths: Vec<String> = paths.iter().map(|it| (*it).to_owned()).collect();
        let projection = Projection::new(&paths).unwrap();
        let kept = projection.of(object).into_owned();
        assert_eq!(projection.of(&kept), kept, "nothing is left out of what was kept");
        kept
    }

    #[test]
    fn fields_that_are_named_are_kept_as_they_are_spelled() {
        let object = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"\u0061"}},
            "spec":{"nodeName":"n","containers":[{"name":"a","image":"i","env":[{"name":"A","value":1.0}]},{"name":"b"},null]},
            "status":{"phase":"Running"}}"#;
        let head = r#""apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"\u0061"}}"#;
        for (paths, rest) in [
            (&[][..], ""),
            (&["metadata.name"], ""),
            (&["spec.containers[].image"], r#","spec":{"containers":[{"image":"i"},{},null]}"#),
            (
                &["spec.containers[].env[].value", "spec.containers[].name", "spec.nodeName"],
                r#","spec":{"nodeName":"n","containers":[{"name":"a","env":[{"value":1.0}]},{"name":"b"},null]}"#,
            ),
            (&["status"], r#","status":{"phase":"Running"}"#),
            (&["status", "status.phase"], r#","status":{"phase":"Running"}"#),
            (&["status.phase", "status"], r#","status":{"phase":"Running"}"#),
            (&["spec.none.at[].all"], r#","spec":{}"#),
        ] {
            assert_eq!(projected(paths, object), format!("{{{head}{rest}}}"), "{paths:?}");
        }
    }

    #[test]
    fn lists_of_lists_and_nothing() {
        assert_eq!(projected(&["a[][].b"], r#"{"a":[[{"b":1,"c":2}],[]]}"#), r#"{"a":[[{"b":1}],[]]}"#);
        assert_eq!(projected(&["a[].b"], r#"{"a":[]}"#), r#"{"a":[]}"#);
        assert_eq!(projected(&["a[].b", "c.d"], r#"{"a":null,"c":null}"#), r#"{"a":null,"c":null}"#);
        assert_eq!(projected(&["a.b"], "{}"), "{}");
        assert_eq!(projected(&["a.b"], "null"), "null");
        // Whatever serde_json calls numbers and raw text in private.
        let private = r#"{"a":{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"x"},"b":1e400}"#;
        assert_eq!(projected(&["a", "b"], private), private);
        assert_eq!(projected(&["a.b"], private), r#"{"a":{}}"#);
    }

    #[test]
    fn of_another_shape_than_expected_a_value_is_whole_and_the_rest_as_ever() {
        for (paths, object, kept) in [
            (
                &["spec.containers[].image"][..],
                r#"{"spec":{"containers":{"image":"a","b":1},"x":1},"x":1}"#,
                r#"{"spec":{"containers":{"image":"a","b":1}}}"#,
            ),
            (&["spec.a.b"], r#"{"spec":{"a":[{"b":"a"}],"x":1},"x":1}"#, r#"{"spec":{"a":[{"b":"a"}]}}"#),
            (&["spec[].a"], r#"{"spec":[{"a":1,"b":1},[2],3,null],"x":1}"#, r#"{"spec":[{"a":1},[2],3,null]}"#),
            (&["spec.a"], r#"{"spec":12345678901234567890.0,"x":1}"#, r#"{"spec":12345678901234567890.0}"#),
            (&["spec.a", "x.a"], r#"{"spec":"text","x":{"a":1,"b":1},"y":1}"#, r#"{"spec":"text","x":{"a":1}}"#),
            (&["spec"], "[1, 2]", "[1, 2]"),
        ] {
            assert_eq!(projected(paths, object), kept, "{paths:?}");
        }
        // What is a list for one and a map for the other.
        assert_eq!(projected(&["a[].b", "a.b"], r#"{"a":{"b":1,"c":2},"x":1}"#), r#"{"a":{"b":1,"c":2}}"#);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        assert_eq!(projected(&[&["a"; 24].join(".")], &deep), deep);
        let lists = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        assert_eq!(projected(&["a.b"], &format!(r#"{{"a":{lists},"x":1}}"#)), format!(r#"{{"a":{lists}}}"#));
    }

    #[test]
    fn keys_with_dots_stand_in_brackets() {
        let object = r#"{"data":{"tls.crt":"a","tls":{"crt":"b"},"x":1}}"#;
        assert_eq!(projected(&["data[tls.crt]"], object), r#"{"data":{"tls.crt":"a"}}"#);
        assert_eq!(projected(&["data.tls.crt"], object), r#"{"data":{"tls":{"crt":"b"}}}"#);
        let list = r#"{"a":[{"b/c":[{"d":1,"e":2}]}]}"#;
        assert_eq!(projected(&["a[][b/c][].d"], list), r#"{"a":[{"b/c":[{"d":1}]}]}"#);
    }

    #[test]
    fn what_is_no_path_is_told() {
        for path in
            ["", ".", "a.", ".a", "a..b", "[]", "[a]", "a[", "a[[]]", "a]", "a[]b", "a[].", &["a"; 25].join(".")]
        {
            assert_eq!(Projection::new(&[path.to_owned()]), Err(path.to_owned()), "{path}");
        }
    }
}
