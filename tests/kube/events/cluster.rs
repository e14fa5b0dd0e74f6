//! The cluster that they share.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::super::{install, show};
use crate::{
    registry::real::{Real, tools},
    support::{
        binaries::{Binaries, binaries},
        control_plane::{ControlPlane, Output},
        eventually, fixtures, http,
        pki::Pki,
        processes::folder,
        verdict::{Verdict, verdict},
    },
};

/// A cluster, and a registry with the provider that does as it is told.
pub(super) struct Cluster {
    pub(super) plane: ControlPlane,
    pki: Pki,
    folder: PathBuf,
    registry: Real,
    image: String,
    /// Of one that exports `provider` only.
    pub(super) echo: String,
    pub(super) replicas: BTreeMap<&'static str, Verdict>,
}

/// One test at a time, since some of them stop what others need.
pub(super) struct Held(pub(super) MutexGuard<'static, Cluster>);

pub(super) fn cluster() -> Option<Held> {
    static CLUSTER: LazyLock<Option<Mutex<Cluster>>> = LazyLock::new(|| {
        let registry = Real::start(tools()?, &[]);
        binaries().map(|it| start(it, registry)).map(Mutex::new)
    });
    binaries()?;
    Some(Held(CLUSTER.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Drop for Held {
    fn drop(&mut self) {
        show(&self.0.plane, self.0.replicas.values());
    }
}

fn start(binaries: &'static Binaries, registry: Real) -> Cluster {
    let folder = folder("events");
    let pki = Pki::new(&folder);
    // What was is soon forgotten: a test waits for that.
    let flags = ["--authorization-mode=RBAC", "--etcd-compaction-interval=5s"].map(str::to_owned);
    let plane = ControlPlane::start(binaries, &pki, &flags);
    let things = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    plane.kubectl_with(&["apply", "-f", "-"], &things.to_string()).ok();
    install(&plane, &["verdict"]);
    let plain = format!("--registry-plain-http={}", registry.host);
    let [image, echo] = [("told", fixtures::told()), ("echo", fixtures::echo())].map(|(name, component)| {
        let image = format!("{}/{name}:1", registry.host);
        let (code, _, error) = verdict(&["push", component.to_str().expect("UTF-8"), &image, &plain]);
        assert_eq!(code, 0, "{error}");
        image
    });
    let mut cluster = Cluster { plane, pki, folder, registry, image, echo, replicas: BTreeMap::new() };
    for name in ["one", "two"] {
        cluster.add(name);
    }
    cluster
}

impl Cluster {
    pub(super) fn add(&mut self, name: &'static str) {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        let flags = [
            // Nobody asks it anything here.
            "--advertise-url=https://127.0.0.1:1".to_owned(),
            format!("--replica={name}"),
            format!("--registry-plain-http={}", self.registry.host),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let replica = Verdict::in_cluster(&self.pki, &folder, self.plane.kubeconfig(), &flags);
        self.replicas.insert(name, replica);
    }

    pub(super) fn apply(&self, object: &Value) -> Output {
        self.plane.kubectl_with(&["apply", "-f", "-"], &object.to_string())
    }

    /// A namespace with a service account of its own, `teller`, that may do in it what a provider does there; and that provider, of its name.
    pub(super) fn teller(&self, name: &str, kind: (&str, &str)) -> Value {
        self.plane.kubectl(&["create", "namespace", name]).ok();
        let rule = |groups: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [groups], "resources": resources, "verbs": verbs});
        let rules = [
            rule("", &["configmaps"], &["get", "list", "watch", "create", "patch", "delete"]),
            rule("example.org", &["things"], &["get", "list", "watch", "patch", "delete"]),
            rule("events.k8s.io", &["events"], &["create"]),
        ];
        let group = "rbac.authorization.k8s.io";
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "teller", "namespace": name}}),
            json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "teller", "namespace": name}, "rules": rules}),
            json!({
                "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "teller", "namespace": name},
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "teller"},
                "subjects": [{"kind": "ServiceAccount", "name": "teller", "namespace": name}],
            }),
        ] {
            self.apply(&object).ok();
        }
        json!({
            "apiVersion": "verdict.dev/v1alpha1", "kind": "Provider", "metadata": {"name": name},
            "spec": {
                "component": {"image": self.image},
                "events": [{"apiVersion": kind.0, "kind": kind.1, "namespaces": [name]}],
                "grants": {"kubernetes": {"serviceAccount": {"namespace": name, "name": "teller"}}},
            },
        })
    }

    pub(super) fn thing(&self, namespace: &str, name: &str, does: &str, data: &Value) -> String {
        let annotations = if does.is_empty() { json!({}) } else { json!({"do": does}) };
        let object = json!({
            "apiVersion": "example.org/v1", "kind": "Thing",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations}, "data": data,
        });
        let version =
            ["apply", "--server-side", "--force-conflicts", "-o", "jsonpath={.metadata.resourceVersion}", "-f", "-"];
        self.plane.kubectl_with(&version, &object.to_string()).ok().trim().to_owned()
    }

    pub(super) fn get(&self, what: &[&str]) -> Value {
        let text = self.plane.kubectl(&[&["get"], what, &["-o", "json"]].concat()).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    pub(super) fn ready(&self, provider: &str) {
        let provider = format!("provider/{provider}");
        let wait = self.plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &provider]);
        if !wait.success() {
            panic!("{wait}\n{}", self.plane.kubectl(&["get", "-o", "yaml", &provider]));
        }
    }

    pub(super) fn condition(&self, provider: &str, kind: &str) -> Value {
        let status = self.get(&["provider", provider])["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|it| it["type"] == kind).unwrap_or_default()
    }

    /// Until a condition has this reason; its message.
    pub(super) fn until(&self, provider: &str, kind: &str, reason: &str) -> String {
        eventually(&format!("{kind} {reason}"), || {
            let condition = self.condition(provider, kind);
            if condition["reason"] == reason {
                Ok(condition["message"].to_string())
            } else {
                Err(condition.to_string())
            }
        })
    }

    /// What the provider of a namespace was told of an object, in the order in which it wrote it down: version, type, version before, replayed.
    pub(super) fn told(&self, namespace: &str, name: &str) -> Vec<[String; 4]> {
        let all = self.get(&["configmaps", "--namespace", namespace, &format!("--selector=told={name}")]);
        let mut all: Vec<Value> = all["items"].as_array().cloned().unwrap_or_default();
        let version = |it: &Value| {
            it["metadata"]["resourceVersion"].as_str().unwrap_or_default().parse::<u64>().expect("a number")
        };
        all.sort_by_key(version);
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let one = |it: &Value| {
            let of = text(&it["metadata"]["name"]).rsplit('.').next().unwrap_or_default().to_owned();
            [of, text(&it["data"]["type"]), text(&it["data"]["before"]), text(&it["data"]["replayed"])]
        };
        all.iter().map(one).collect()
    }

    pub(super) fn leader(&self) -> &'static str {
        let lease = self.get(&["lease", "verdict", "--namespace=verdict"]);
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        self.replicas.keys().find(|it| **it == holder).copied().expect("one of those that run")
    }

    pub(super) fn counted(&self, metric: &str) -> u64 {
        let lines = self
            .replicas
            .values()
            .map(|it| http::get_plain(&format!("http://{}/metrics", it.admin)).map(|(_, text)| text));
        let of = |text: String| {
            text.lines().filter_map(|it| it.strip_prefix(metric)?.trim().parse::<u64>().ok()).sum::<u64>()
        };
        lines.filter_map(|it| it.ok().map(of)).sum()
    }
}
