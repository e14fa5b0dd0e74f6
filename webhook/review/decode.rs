//! From a body to one of the reviews.
//!
//! Values that nobody asks for are skipped without recursion, however deeply they nest.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    Version,
    malformed::{Found, Malformed},
};

/// The fields that every Kubernetes object starts with.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) kind: Option<String>,
    pub(super) api_version: Option<String>,
}

/// The kind that `text` claims to be. None: it has none, as an event may.
///
/// # Errors
/// It is not JSON.
pub fn kind(text: &str) -> Result<Option<String>, Malformed> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        kind: Option<&'a RawValue>,
    }
    // Lists, numbers and text are events too, and a list would be read as the fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return parse::<IgnoredAny>(text).map(|_| None);
    }
    let kind = parse::<Kind<'_>>(text)?.kind;
    Ok(kind.and_then(|kind| serde_json::from_str(kind.get()).ok()))
}

/// A review as it is on the wire.
pub(super) trait Wire<'a>: Deserialize<'a> {
    /// Its first two fields.
    fn header(&mut self) -> Header;
}

/// Reads `body`, a `kind` of the API group `group`, in one pass: objects are long.
///
/// What it claims to be comes first among the errors, as if it had been read first.
pub(super) fn read<'a, T: Wire<'a>>(
    body: &'a [u8],
    kind: &'static str,
    group: &'static str,
) -> Result<(T, Version), Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed::NotText(error.valid_up_to()))?;
    match text.trim_ascii_start().as_bytes().first() {
        None => return Err(Malformed::Empty),
        Some(b'{') => (),
        Some(_) => return Err(Malformed::NoObject),
    }
    match serde_json::from_str::<T>(text) {
        Ok(mut wire) => {
            let version = version(wire.header(), kind, group)?;
            Ok((wire, version))
        }
        Err(error) => {
            version(parse(text)?, kind, group)?;
            Err(Malformed::from(&error))
        }
    }
}

fn version(header: Header, expected: &'static str, group: &'static str) -> Result<Version, Malformed> {
    let found = header.kind.unwrap_or_default();
    if found.is_empty() {
        return Err(Malformed::NoKind { expected });
    }
    if found != expected {
        return Err(Malformed::Kind { expected, found: Found::new(&found) });
    }
    let found = header.api_version.unwrap_or_default();
    if found.is_empty() {
        return Err(Malformed::NoVersion { group });
    }
    match found.split_once('/') {
        Some((its, "v1")) if its == group => Ok(Version::V1),
        Some((its, "v1beta1")) if its == group => Ok(Version::V1Beta1),
        Some((its, _)) if its == group => Err(Malformed::Version(Found::new(&found))),
        _ => Err(Malformed::Group { group, found: Found::new(&found) }),
    }
}

/// Reads a part of a body.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|error| Malformed::from(&error))
}

/// `field`, or that `name` is missing. Go leaves empty fields out or writes them empty.
pub(super) fn required(field: Option<String>, name: &'static str) -> Result<String, Malformed> {
    field.filter(|text| !text.is_empty()).ok_or(Malformed::Missing(name))
}

/// Go clients write `null` for empty slices and maps, and take it for every other type too.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list of strings in which both the list and its items may be `null`.
#[derive(Default)]
pub(super) struct Strings(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items: Option<Vec<Option<String>>> = Option::deserialize(deserializer)?;
        let items = items.unwrap_or_default();
        Ok(Self(items.into_iter().map(Option::unwrap_or_default).collect()))
    }
}

/// [`Strings`] for a field that is a plain list.
pub(super) fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Strings::deserialize(deserializer)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "authentication.k8s.io";

    impl Wire<'_> for Header {
        fn header(&mut self) -> Header {
            std::mem::take(self)
        }
    }

    fn refused(body: impl AsRef<[u8]>) -> String {
        read::<Header>(body.as_ref(), "TokenReview", GROUP).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_kind_is_read_off_whatever_is_json() {
        let is = |text: &str| kind(text).unwrap();
        assert_eq!(is(r#"{"a": [{"kind": "B"}], "kind": "A"}"#), Some("A".to_owned()));
        for none in
            ["{}", "[1]", "1", "null", "\"kind\"", "[\"TokenReview\"]", r#"{"kind": null}"#, r#"{"kind": {"a": 1}}"#]
        {
            assert_eq!(is(none), None, "{none}");
        }
        assert_eq!(kind("{\"kind\": \"A\",\n").unwrap_err().to_string(), "not JSON: cut off at line 2 column 0");
        assert_eq!(kind("[1, x]").unwrap_err().to_string(), "not JSON: expected value at line 1 column 5");
    }

    #[test]
    fn both_versions_are_told_apart() {
        for (name, version) in [("v1", Version::V1), ("v1beta1", Version::V1Beta1)] {
            let body = format!(r#"{{"kind":"TokenReview","apiVersion":"{GROUP}/{name}"}}"#);
            let (_, found) = read::<Header>(body.as_bytes(), "TokenReview", GROUP).unwrap();
            assert_eq!(found, version);
        }
    }

    #[test]
    fn what_is_not_a_review_is_refused_in_few_words() {
        let cases: [(&[u8], &str); 14] = [
            (b"", "the body is empty"),
            (b" \n\t", "the body is empty"),
            (b"hello", "the body is not a JSON object"),
            (b"[]", "the body is not a JSON object"),
            (b"null", "the body is not a JSON object"),
            (b"{\"kind\":\"\xff\"}", "not UTF-8 after 9 bytes"),
            (b"{\"kind\":\"Token", "not JSON: cut off at line 1 column 14"),
            (b"{kind: 1}", "not JSON: key must be a string at line 1 column 2"),
            (b"{} {}", "not JSON: trailing characters at line 1 column 4"),
            (b"{}", "kind is missing: expected TokenReview"),
            (b"{\"kind\":null}", "kind is missing: expected TokenReview"),
            (b"{\"kind\":\"Pod\"}", "expected kind TokenReview, got \"Pod\""),
            (
                b"{\"kind\":\"TokenReview\"}",
                "apiVersion is missing: expected authentication.k8s.io/v1 or authentication.k8s.io/v1beta1",
            ),
            (b"{\"kind\":[\"s3cret\"]}", "wrong type: expected a string at line 1 column 8"),
        ];
        for (body, words) in cases {
            assert_eq!(refused(body), words);
        }
    }

    #[test]
    fn other_versions_and_groups_are_named() {
        let with = |version: &str| refused(format!(r#"{{"kind":"TokenReview","apiVersion":"{version}"}}"#));
        assert_eq!(
            with("authentication.k8s.io/v2"),
            "apiVersion \"authentication.k8s.io/v2\" is not supported; expected v1 or v1beta1"
        );
        for other in ["v1", "apps/v1", "authentication.k8s.io", "authentication.k8s.io.evil/v1"] {
            assert_eq!(with(other), format!("expected apiVersion {GROUP}/v1 or {GROUP}/v1beta1, got \"{other}\""));
        }
    }

    #[test]
    fn a_long_kind_is_shown_in_part() {
        let words = refused(format!(r#"{{"kind":"{}"}}"#, "é".repeat(1000)));
        assert_eq!(words, format!("expected kind TokenReview, got \"{}…\"", "é".repeat(64)));
    }

    #[test]
    fn nesting_costs_no_stack() {
        const MANY: usize = 10 << 20;
        assert_eq!(refused("[".repeat(MANY)), "the body is not a JSON object");
        for opening in ["[", "{\"a\":"] {
            let body = format!(r#"{{"x":{}"#, opening.repeat(MANY / opening.len()));
            assert!(refused(body).starts_with("not JSON: cut off at line 1"));
        }
        let whole = format!(r#"{{"x":{}{},"kind":"Pod"}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(refused(whole), "expected kind TokenReview, got \"Pod\"");
    }

    #[test]
    fn a_wrong_type_is_described_without_its_content() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its errors count")]
        struct Sample {
            list: Option<Vec<String>>,
        }
        let words = |text| parse::<Sample>(text).unwrap_err().to_string();
        assert_eq!(
            words(r#"{"list":"s3cret, expected nothing"}"#),
            "wrong type: expected a sequence at line 1 column 34"
        );
        assert_eq!(words(r#"{"list":null,"list":null}"#), "duplicate field `list` at line 1 column 19");
    }
}
