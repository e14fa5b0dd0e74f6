//! `spec.expression` and `spec.members`: what of a group no schema can say.

use super::fields::{Field, Report};
use crate::cel;

/// What is wrong with the expression of `spec`, or with the members that it names.
pub(super) fn check(spec: &Field<'_>, report: &mut Report<'_>) {
    let members = spec.at("members").map(|it| it.items()).unwrap_or_default();
    let fields: Vec<Field<'_>> = members.iter().filter_map(|it| it.at("name")).collect();
    let Some(names) = fields.iter().map(|it| it.words()).collect::<Option<Vec<_>>>() else { return };
    expression(spec, &names, &fields, report);
}

/// Of an object, `expression` over members of these names, which stand there.
pub(super) fn expression(object: &Field<'_>, names: &[&str], fields: &[Field<'_>], report: &mut Report<'_>) {
    let Some(field) = object.at("expression") else { return };
    let Some(text) = field.words().filter(|it| !it.trim().is_empty()) else { return };
    match cel::Group::compile(text, names) {
        Err(words) => field.error(report, words),
        // Whoever lists it believes that it protects something.
        Ok(group) => {
            for (position, unused) in fields.iter().enumerate().filter(|(position, _)| !group.asks(*position)) {
                let name = names.get(position).copied().unwrap_or_default();
                unused.error(report, format!("the expression never asks it: write {name}() where it counts"));
            }
        }
    }
}
