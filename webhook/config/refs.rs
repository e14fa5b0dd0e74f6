//! References to keys of ConfigMaps and Secrets: read where they stand, and listed before anything else of an object is read.

use serde_json::Value as Json;

use super::fields::Field;
use crate::spec::{Kind, ValueKind, ValueRef};

/// What the values of an object with this `spec` are read from: each key once. Of one with mistakes, those that are right; of anything else, none.
pub fn wanted(kind: Kind, spec: &Json) -> Vec<ValueRef> {
    let is_group = kind == Kind::PolicyGroup;
    let runs: Vec<&Json> = if is_group { items(&spec["members"], MEMBERS).collect() } else { vec![spec] };
    let mut wanted = Vec::new();
    for run in runs {
        let variables = items(&run["grants"]["env"], VARIABLES).map(|it| &it["valueFrom"]);
        for from in variables.chain(items(&run["settingsFrom"], SETTINGS)) {
            let reference = one_of(|field| from.get(field).filter(|it| !it.is_null()));
            wanted.extend(reference.and_then(|(kind, it)| named(kind, |part| it[part].as_str())));
        }
    }
    wanted.sort();
    wanted.dedup();
    wanted
}

/// The first of a list; none of anything else.
fn items(list: &Json, most: usize) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten().take(most)
}

/// The key that `from` refers to, and the field that does. None: it refers to none, or its schema refuses it.
pub(super) fn reference<'n>(from: &Field<'n>) -> Option<(ValueRef, Field<'n>)> {
    let (kind, field) = one_of(|field| from.at(field))?;
    let reference = named(kind, |part| field.at(part).and_then(|it| it.words()))?;
    Some((reference, field))
}

fn one_of<T>(at: impl Fn(&str) -> Option<T>) -> Option<(ValueKind, T)> {
    let mut given = ValueKind::ALL.into_iter().filter_map(|kind| Some((kind, at(kind.field())?)));
    given.next().filter(|_| given.next().is_none())
}

fn named<'t>(kind: ValueKind, part: impl Fn(&str) -> Option<&'t str>) -> Option<ValueRef> {
    ValueRef::new(kind, part("name")?, part("key")?)
}

/// Of what refers to a cluster's objects elsewhere.
pub(super) const ONLY_IN_A_CLUSTER: &str = "only objects of a cluster have this: there is no cluster behind a file";

/// As many as the schemas allow.
const MEMBERS: usize = 32;
const VARIABLES: usize = 256;
const SETTINGS: usize = 32;
