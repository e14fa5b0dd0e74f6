//! Fields that an object does not have, and others of its kind, or from elsewhere, do.

use super::document::Origin;
use crate::spec::{Kind, schema};

/// Of a field that the kind does not have, why not.
pub(super) fn why_not(kind: Kind, origin: &Origin<'_>, path: &str, key: &str) -> Option<String> {
    if let Origin::Request { .. } = origin {
        match key {
            "path" if path.ends_with(".component") => {
                return Some(
                    "is not allowed in a request, which reads no file of the server: send the component beside the object, and name it by sha256".to_owned(),
                );
            }
            "valueFrom" => {
                return Some("is not allowed in a request, which reads no file of the server: write value".to_owned());
            }
            "events" if path == "spec" => {
                return Some(
                    "is not allowed in a request: apply the object to a cluster whose changes it is to be told of"
                        .to_owned(),
                );
            }
            "settingsFrom" => {
                return Some("is not allowed in a request, behind which is no cluster: write settings".to_owned());
            }
            _ => {}
        }
    }
    match path {
        "metadata" => (key == "namespace").then(|| format!("is not a field: a {kind} belongs to no namespace")),
        "spec.matchConstraints" if key == "namespaceSelector" && kind.is_namespaced() => {
            Some(format!("is not a field of {kind}, which is asked about its own namespace only"))
        }
        "spec" => {
            let has = |it: &Kind| schema::object(*it)["properties"]["spec"]["properties"].get(key).is_some();
            // A namespaced kind has none that its sibling for the whole cluster has not.
            let named = Kind::ALL.into_iter().filter(|it| !it.is_namespaced() && has(it));
            let kinds: Vec<&str> = named.map(Kind::name).collect();
            (!kinds.is_empty()).then(|| format!("is not a field of {kind}, only of {}", kinds.join(", ")))
        }
        _ => None,
    }
}
