//! What is granted, and what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{Cluster, Helm, RELEASE};

/// A right to do one thing with one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    account: String,
    /// Of a role: where it is.
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
    /// None: whatever it is called.
    names: BTreeSet<String>,
}

/// One request that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    account: String,
    namespace: String,
    group: String,
    resource: String,
    verb: String,
    name: String,
}

impl Right {
    fn allows(&self, it: &Use) -> bool {
        (&self.account, &self.group, &self.resource, &self.verb) == (&it.account, &it.group, &it.resource, &it.verb)
            && self.namespace.as_ref().is_none_or(|own| *own == it.namespace)
            && (self.names.is_empty() || self.names.contains(&it.name))
    }

    /// Which of two rights is the narrower one.
    fn breadth(&self) -> (bool, bool) {
        (self.namespace.is_none(), self.names.is_empty())
    }
}

/// Applies the accounts and rights that the chart has with these values, of its hooks, too, and gives the rights.
pub fn grant(helm: &Helm, Cluster { plane, .. }: &Cluster, values: &[&str]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for kind in ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        for object in helm.objects(kind, values) {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or(RELEASE);
            plane.kubectl_with(&["apply", "--namespace", namespace, "-f", "-"], &object.to_string()).ok();
            // Roles are called as the accounts that they are bound to, and after whom these may act as.
            let name = object["metadata"]["name"].as_str().unwrap();
            let account = name.split("-provider-").next().unwrap();
            for rule in object["rules"].as_array().into_iter().flatten() {
                let all = |field: &str| texts(&rule[field]);
                let right = |group: &str, resource: &str, verb: &str| Right {
                    account: account.to_owned(),
                    namespace: (kind == "Role").then(|| namespace.to_owned()),
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    verb: verb.to_owned(),
                    names: all("resourceNames").into_iter().collect(),
                };
                let (groups, resources, verbs) = (all("apiGroups"), all("resources"), all("verbs"));
                for group in &groups {
                    for resource in &resources {
                        rights.extend(verbs.iter().map(|verb| right(group, resource, verb)));
                    }
                }
            }
        }
    }
    rights
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the accounts of the release asked for.
pub fn uses(cluster: &Cluster) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    for event in cluster.plane.audit() {
        let Some(account) = of_account(&event) else { continue };
        // What is asked as somebody else is theirs to be allowed.
        if let Some(other) = event["impersonatedUser"]["username"].as_str() {
            let (namespace, name) = other
                .strip_prefix("system:serviceaccount:")
                .and_then(|it| it.split_once(':'))
                .unwrap_or_else(|| panic!("{event}"));
            uses.insert(Use {
                account: account.to_owned(),
                namespace: namespace.to_owned(),
                group: String::new(),
                resource: "serviceaccounts".to_owned(),
                verb: "impersonate".to_owned(),
                name: name.to_owned(),
            });
            continue;
        }
        let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default();
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        let it = Use {
            account: account.to_owned(),
            namespace: text("namespace").to_owned(),
            group: text("apiGroup").to_owned(),
            resource,
            verb: event["verb"].as_str().unwrap_or_default().to_owned(),
            name: text("name").to_owned(),
        };
        // Whoever applies what is not there yet needs a right to create it, which kube-apiserver asks for by itself.
        if it.verb == "patch" && event["responseStatus"]["code"] == 201 {
            uses.insert(Use { verb: "create".to_owned(), ..it.clone() });
        }
        uses.insert(it);
    }
    uses
}

fn of_account(event: &Value) -> Option<&str> {
    event["user"]["username"].as_str()?.strip_prefix("system:serviceaccount:")?.strip_prefix(RELEASE)?.strip_prefix(':')
}

/// Each use is one of the narrowest right that allows it.
pub fn all_used(rights: &BTreeSet<Right>, uses: &BTreeSet<Use>) -> Result<(), String> {
    let mut used: BTreeMap<&Right, BTreeSet<&str>> = BTreeMap::new();
    for it in uses {
        if let Some(right) = rights.iter().filter(|right| right.allows(it)).min_by_key(|right| right.breadth()) {
            used.entry(right).or_default().insert(&it.name);
        }
    }
    let mut told = String::new();
    for right in rights {
        match used.get(right) {
            None => told += &format!("never used: {right:?}\n"),
            // A name cannot be asked for in a right to create.
            Some(names) if right.names.is_empty() && right.verb != "create" && names.iter().all(|it| is_own(it)) => {
                told += &format!("only used for {names:?}, which resourceNames could say: {right:?}\n");
            }
            Some(_) => {}
        }
    }
    if told.is_empty() { Ok(()) } else { Err(told) }
}

/// What the server itself makes has names that the chart knows.
fn is_own(name: &str) -> bool {
    name == "verdict" || name == "verdict-certificates"
}

#[track_caller]
pub fn refused_nothing(cluster: &Cluster) {
    let events = cluster.plane.audit();
    let asked = events.iter().filter(|it| of_account(it).is_some());
    let refused = asked.filter(|it| it["responseStatus"]["code"].as_u64().is_some_and(|it| REFUSALS.contains(&it)));
    let told: Vec<String> =
        refused.map(|it| format!("{} {} {}", it["verb"], it["requestURI"], it["responseStatus"])).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// What no server should be told. That something is not there, was changed meanwhile or comes too early are answers like others.
const REFUSALS: [u64; 5] = [400, 401, 403, 405, 422];
