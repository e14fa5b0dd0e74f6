//! How many policies a namespace may have: of too many, those that came last are too many. They are not even tried, so that whoever may write
//! objects in one namespace fills neither the live set nor the replicas' reports with them.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::Object;
use crate::policy::Key;

/// Those that their namespaces have no room for, if each has room for `most`.
pub(super) fn too_many(all: &BTreeMap<Key, Object>, most: usize) -> BTreeSet<Key> {
    let mut namespaces: BTreeMap<&str, Vec<(&Key, &Object)>> = BTreeMap::new();
    for (key, object) in all {
        if let Some(namespace) = object.namespace() {
            namespaces.entry(namespace).or_default().push((key, object));
        }
    }
    let crowded = namespaces.into_values().filter(|it| it.len() > most);
    let late = crowded.flat_map(|mut it| {
        it.sort_by_cached_key(|(_, object)| object.age());
        it.into_iter().skip(most)
    });
    late.map(|(key, _)| key.clone()).collect()
}

/// What is said of one that is too many.
pub(super) fn words(object: &Object, most: usize) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!(
        "namespace {namespace} has {most} policies that came before it, and no more are taken: delete some, or ask the operator, who can raise --namespaced-policies"
    )
}
