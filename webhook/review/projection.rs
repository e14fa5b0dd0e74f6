//! The part of an object that a policy reads: it is given no other.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize as _,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

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
    /// What paths such as `spec.containers[].image` name, with `apiVersion`, `kind` and `metadata`. A path that ends within a value
    /// names all of it; where one path takes for a map what is a list for another, all of it is kept.
    ///
    /// # Errors
    /// The first path that is none.
    pub fn new(paths: &[String]) -> Result<Self, String> {
        let mut root = Part::Fields(BTreeMap::new());
        for path in paths.iter().map(String::as_str).chain(["apiVersion", "kind", "metadata"]) {
            let mut steps = Vec::new();
            for field in path.split('.') {
                let name = field.trim_end_matches("[]");
                if name.is_empty() || name.contains(['[', ']']) {
                    return Err(path.to_owned());
                }
                steps.push(Step::Field(name));
                steps.extend(std::iter::repeat_n(Step::Each, (field.len() - name.len()) / 2));
            }
            if steps.len() > MAX_DEPTH {
                return Err(path.to_owned());
            }
            root.add(&steps);
        }
        Ok(Self(root))
    }

    /// The object, as JSON, with these fields only: lists keep their length and order, and values their spelling. Whole where it does not have
    /// the shape that the paths take it for: nobody is told less than there may be to see.
    pub fn of<'a>(&self, object: &'a str) -> Cow<'a, str> {
        let mut kept = Vec::new();
        let mut json = serde_json::Deserializer::from_str(object);
        let place = Place { part: &self.0, kept: &mut kept };
        match place.deserialize(&mut json).ok().and_then(|()| String::from_utf8(kept).ok()) {
            Some(kept) => Cow::Owned(kept),
            None => Cow::Borrowed(object),
        }
    }
}

#[derive(Clone)]
enum Step<'a> {
    Field(&'a str),
    Each,
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

    fn of(steps: &[Step<'_>]) -> Self {
        match steps {
            [] => Self::Whole,
            [Step::Field(name), rest @ ..] => Self::Fields([((*name).to_owned(), Self::of(rest))].into()),
            [Step::Each, rest @ ..] => Self::Each(Box::new(Self::of(rest))),
        }
    }
}

/// Reads a value, and writes what is kept of it.
struct Place<'a> {
    part: &'a Part,
    kept: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.part {
            Part::Whole => {
                self.kept.extend_from_slice(<&RawValue>::deserialize(deserializer)?.get().as_bytes());
                Ok(())
            }
            // As every field, it may be null.
            Part::Fields(_) | Part::Each(_) => deserializer.deserialize_option(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if matches!(self.part, Part::Each(_)) { "a list" } else { "a map" })
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.kept.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.part {
            Part::Each(_) => deserializer.deserialize_seq(self),
            Part::Fields(_) | Part::Whole => deserializer.deserialize_map(self),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Part::Fields(fields) = self.part else { return Err(A::Error::custom("a map")) };
        let mut separator = b'{';
        while let Some(known) = map.next_key_seed(Known(fields))? {
            let Some((name, part)) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.kept.push(separator);
            separator = b',';
            serde_json::to_writer(&mut *self.kept, name).map_err(A::Error::custom)?;
            self.kept.push(b':');
            map.next_value_seed(Place { part, kept: &mut *self.kept })?;
        }
        self.kept.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Part::Each(part) = self.part else { return Err(A::Error::custom("a list")) };
        self.kept.push(b'[');
        let begin = self.kept.len();
        loop {
            let end = self.kept.len();
            if end > begin {
                self.kept.push(b',');
            }
            if list.next_element_seed(Place { part, kept: &mut *self.kept })?.is_none() {
                self.kept.truncate(end);
                self.kept.push(b']');
                return Ok(());
            }
        }
    }
}

/// A field's name, if it is kept.
struct Known<'a>(&'a BTreeMap<String, Part>);

impl<'de, 'a> DeserializeSeed<'de> for Known<'a> {
    type Value = Option<(&'a String, &'a Part)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Known<'a> {
    type Value = Option<(&'a String, &'a Part)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get_key_value(name))
    }
}

/// Less than what serde_json reads.
const MAX_DEPTH: usize = 100;

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
    fn of_another_shape_than_expected_it_is_whole() {
        for (paths, object) in [
            (&["spec.containers[].image"][..], r#"{"spec":{"containers":{"image":"a"}},"x":1}"#),
            (&["spec.containers.image"], r#"{"spec":{"containers":[{"image":"a"}]},"x":1}"#),
            (&["spec.containers"], r#"{"spec":[{"x":1}],"x":1}"#),
            (&["spec.containers"], r#"{"spec":12345678901234567890.0,"x":1}"#),
            (&["spec.containers"], r#"{"spec":"text","x":1}"#),
            (&["spec"], "[1, 2]"),
        ] {
            assert_eq!(projected(paths, object), object, "{paths:?}");
        }
        // What is a list for one and a map for the other.
        assert_eq!(projected(&["a[].b", "a.b"], r#"{"a":{"b":1,"c":2},"x":1}"#), r#"{"a":{"b":1,"c":2}}"#);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(90), "}".repeat(90));
        assert_eq!(projected(&[&["a"; 90].join(".")], &deep), deep);
    }

    #[test]
    fn what_is_no_path_is_told() {
        for path in ["", ".", "a.", ".a", "a..b", "[]", "a[", "a[0]", "a]", "a[]b", &["a"; 101].join(".")] {
            assert_eq!(Projection::new(&[path.to_owned()]), Err(path.to_owned()), "{path}");
        }
    }
}
