//! What expressions see of a review: JSON as CEL values, converted once for all conditions.

use std::sync::Arc;

use serde_json::{Number, Value as Json};

use super::{
    Document,
    value::{Key, Map, Value},
};

/// The variables of one review. Shared by all conditions that are asked about it.
pub struct Variables {
    pub(super) request: Value,
    pub(super) object: Value,
    pub(super) old_object: Value,
}

impl Variables {
    /// `request` as the subject of the condition says.
    pub fn new(request: Json) -> Self {
        Self { request: convert(request), object: Value::Null, old_object: Value::Null }
    }

    /// What was read of a review; what was not, or is not there, is CEL's null.
    pub fn of(request: Option<&Document>, object: Option<&Document>, old_object: Option<&Document>) -> Self {
        let value = |it: Option<&Document>| it.map_or(Value::Null, |it| it.value.clone());
        Self { request: value(request), object: value(object), old_object: value(old_object) }
    }

    /// `object`; None is CEL's null, as on DELETE.
    #[must_use]
    pub fn with_object(mut self, object: Option<Json>) -> Self {
        self.object = object.map_or(Value::Null, convert);
        self
    }

    /// `oldObject`; None is CEL's null, as on CREATE.
    #[must_use]
    pub fn with_old_object(mut self, object: Option<Json>) -> Self {
        self.old_object = object.map_or(Value::Null, convert);
        self
    }
}

/// Recurses as deep as the JSON: serde_json's parser allows 128 levels.
pub(super) fn convert(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => convert_number(&number),
        Json::String(text) => Value::string(text),
        Json::Array(items) => Value::List(items.into_iter().map(convert).collect()),
        Json::Object(fields) => Value::Map(Arc::new(
            fields.into_iter().map(|(name, value)| (Key::String(name.into()), convert(value))).collect::<Map>(),
        )),
    }
}

/// As Kubernetes' unstructured objects: int64 where it fits, else a double (beyond double's range: infinity).
fn convert_number(number: &Number) -> Value {
    match number.as_i64() {
        Some(number) => Value::Int(number),
        None => Value::Double(number.as_f64().unwrap_or(f64::INFINITY)),
    }
}
