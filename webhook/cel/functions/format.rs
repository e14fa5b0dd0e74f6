//! Kubernetes' named formats: what names, labels, dates and the like must look like.

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use time::{
    Date, OffsetDateTime,
    format_description::well_known::{Iso8601, Rfc3339},
};

use super::{Function, function, url};
use crate::cel::{
    budget::{Budget, Fault, Outcome},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["kubernetes.NamedFormat.validate(string) -> optional_type(list(string))"], validate),
    function(&["format.named(string) -> optional_type(kubernetes.NamedFormat)"], named),
    function(&["format.dns1123Label() -> kubernetes.NamedFormat"], |_, _| constant("dns1123Label")),
    function(&["format.dns1123Subdomain() -> kubernetes.NamedFormat"], |_, _| constant("dns1123Subdomain")),
    function(&["format.dns1035Label() -> kubernetes.NamedFormat"], |_, _| constant("dns1035Label")),
    function(&["format.qualifiedName() -> kubernetes.NamedFormat"], |_, _| constant("qualifiedName")),
    function(&["format.dns1123LabelPrefix() -> kubernetes.NamedFormat"], |_, _| constant("dns1123LabelPrefix")),
    function(&["format.dns1123SubdomainPrefix() -> kubernetes.NamedFormat"], |_, _| constant("dns1123SubdomainPrefix")),
    function(&["format.dns1035LabelPrefix() -> kubernetes.NamedFormat"], |_, _| constant("dns1035LabelPrefix")),
    function(&["format.labelValue() -> kubernetes.NamedFormat"], |_, _| constant("labelValue")),
    function(&["format.uri() -> kubernetes.NamedFormat"], |_, _| constant("uri")),
    function(&["format.uuid() -> kubernetes.NamedFormat"], |_, _| constant("uuid")),
    function(&["format.byte() -> kubernetes.NamedFormat"], |_, _| constant("byte")),
    function(&["format.date() -> kubernetes.NamedFormat"], |_, _| constant("date")),
    function(&["format.datetime() -> kubernetes.NamedFormat"], |_, _| constant("datetime")),
];

pub(in crate::cel) struct Format {
    pub(in crate::cel) name: &'static str,
    fits: fn(&str) -> bool,
    /// What is said of a string that does not fit.
    complaint: &'static str,
}

static FORMATS: [Format; 13] = [
    Format {
        name: "dns1123Label",
        fits: label,
        complaint: "must be a DNS label as in RFC 1123, of 63 characters at most",
    },
    Format {
        name: "dns1123Subdomain",
        fits: subdomain,
        complaint: "must be a DNS subdomain as in RFC 1123, of 253 characters at most",
    },
    Format {
        name: "dns1035Label",
        fits: old_label,
        complaint: "must be a DNS label as in RFC 1035, of 63 characters at most",
    },
    Format {
        name: "qualifiedName",
        fits: qualified_name,
        complaint: "must be a name of 63 characters at most, with an optional DNS subdomain and / before it",
    },
    Format {
        name: "dns1123LabelPrefix",
        fits: |text| label(&masked(text)),
        complaint: "must be the beginning of a DNS label as in RFC 1123",
    },
    Format {
        name: "dns1123SubdomainPrefix",
        fits: |text| subdomain(&masked(text)),
        complaint: "must be the beginning of a DNS subdomain as in RFC 1123",
    },
    Format {
        name: "dns1035LabelPrefix",
        fits: |text| old_label(&masked(text)),
        complaint: "must be the beginning of a DNS label as in RFC 1035",
    },
    Format { name: "labelValue", fits: label_value, complaint: "must be a label value of 63 characters at most" },
    Format { name: "uri", fits: url::is_request_uri, complaint: "must be an absolute URI or an absolute path" },
    Format { name: "uuid", fits: uuid, complaint: "does not match the UUID format" },
    Format { name: "byte", fits: byte, complaint: "invalid base64" },
    Format { name: "date", fits: date, complaint: "invalid date" },
    Format { name: "datetime", fits: date_time, complaint: "invalid datetime" },
];

fn validate(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::Format(format), Value::String(text)] = args else { return Err(Fault::Overload) };
    budget.bytes(4 * text.len())?;
    Ok(if (format.fits)(text) {
        Value::Optional(None)
    } else {
        Value::some(Value::List(vec![Value::string(format.complaint)].into()))
    })
}

fn named(args: &[Value], _: &mut Budget) -> Outcome {
    let [Value::String(name)] = args else { return Err(Fault::Overload) };
    let format = FORMATS.iter().find(|format| format.name == &**name);
    Ok(format.map_or(Value::Optional(None), |format| Value::some(Value::Format(format))))
}

fn constant(name: &str) -> Outcome {
    FORMATS.iter().find(|format| format.name == name).map(Value::Format).ok_or(Fault::Overload)
}

fn label(text: &str) -> bool {
    text.len() <= 63 && ends_alphanumeric(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
}

fn old_label(text: &str) -> bool {
    label(text) && text.starts_with(|letter: char| letter.is_ascii_lowercase())
}

fn subdomain(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253 && text.split('.').all(|part| ends_alphanumeric(part, fine, b"-"))
}

fn label_value(text: &str) -> bool {
    text.is_empty() || text.len() <= 63 && ends_alphanumeric(text, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

fn qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => subdomain(prefix) && !name.is_empty() && label_value(name),
        None => !text.is_empty() && label_value(text),
    }
}

/// Letters at both ends, letters and `between` within.
fn ends_alphanumeric(text: &str, letter: impl Fn(u8) -> bool, between: &[u8]) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            letter(*first) && letter(*last) && bytes.iter().all(|byte| letter(*byte) || between.contains(byte))
        }
        _ => false,
    }
}

/// A prefix may end in a dash: the name goes on behind it.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(text) if !text.is_empty() => {
            let mut masked: String = text.chars().take(text.chars().count() - 1).collect();
            masked.push('a');
            masked
        }
        _ => text.to_owned(),
    }
}

/// Each dash may be missing.
fn uuid(text: &str) -> bool {
    let mut rest = text;
    for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        match rest.split_at_checked(length) {
            Some((digits, behind)) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => rest = behind,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn byte(text: &str) -> bool {
    !text.is_empty() && BASE64.decode(text).is_ok()
}

/// As in Go, the last letter may have bits that stand for nothing.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

fn date_time(text: &str) -> bool {
    matches!(text.as_bytes().get(10), Some(b't' | b'T')) && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

fn date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && Date::parse(text, &Iso8601::DATE).is_ok()
}
