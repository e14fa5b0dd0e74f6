//! `limits`: what one review may use.

use std::{sync::LazyLock, time::Duration};

use super::{
    fields::{Field, Report},
    quantity,
    walk::{Schema, without_nulls},
};
use crate::spec::{
    Limits,
    declared::{self, Memory},
    schema,
};

/// Of `limits` that stand in another document.
pub(crate) fn limits(field: &Field<'_>, report: &mut Report<'_>) -> Limits {
    let before = report.errors.len();
    if let Some(schema) = &*SCHEMA {
        schema.check(field, report, &|_, _| None);
    }
    if report.errors.len() > before {
        return Limits::default();
    }
    let parsed = serde_json::from_value(without_nulls(field.node)).ok();
    parsed.as_ref().and_then(read).unwrap_or_default()
}

/// Of what the schema allows.
pub(super) fn read(declared: &declared::Limits) -> Option<Limits> {
    let mut limits = Limits::default();
    if let Some(milliseconds) = declared.timeout_milliseconds {
        limits.time = Duration::from_millis(milliseconds.into());
    }
    match &declared.memory {
        Some(Memory::Bytes(bytes)) => limits.memory = usize::try_from(*bytes).ok()?,
        Some(Memory::Amount(text)) => limits.memory = usize::try_from(quantity::bytes(text)?).ok()?,
        None => {}
    }
    if let Some(fuel) = declared.fuel {
        limits.fuel = Some(u64::try_from(fuel).ok()?);
    }
    limits.concurrent = declared.concurrent_reviews;
    Some(limits)
}

static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| Schema::compile(&schema::schema::<declared::Limits>()).ok());
