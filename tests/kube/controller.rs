//! Policies that are objects of a real cluster: two replicas behind a balancer, a real kube-apiserver that is told of them by the leader alone.

use std::{
    path::PathBuf,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{install, show};
use crate::support::{
    binaries::{Binaries, binaries},
    control_plane::{ControlPlane, Output},
    eventually,
    pki::Pki,
    processes::folder,
    replicas::balancer::Balancer,
    verdict::{Verdict, command},
};

/// A cluster whose policies are objects.
struct Cluster {
    plane: ControlPlane,
    pki: Pki,
    folder: PathBuf,
    balancer: Balancer,
    replicas: Vec<Verdict>,
}

/// One test at a time, since some of them stop what others need.
struct Held(MutexGuard<'static, Cluster>);

fn cluster() -> Option<Held> {
    static CLUSTER: LazyLock<Option<Mutex<Cluster>>> = LazyLock::new(|| binaries().map(start).map(Mutex::new));
    binaries()?;
    Some(Held(CLUSTER.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Drop for Held {
    fn drop(&mut self) {
        show(&self.0.plane, &self.0.replicas);
    }
}

fn start(binaries: &'static Binaries) -> Cluster {
    let folder = folder("controller");
    let pki = Pki::new(&folder);
    let plane = ControlPlane::start(binaries, &pki, &["--authorization-mode=RBAC".to_owned()]);
    install(&plane, &["verdict"]);
    let mut cluster = Cluster { plane, pki, folder, balancer: Balancer::new([]), replicas: Vec::new() };
    for name in ["one", "two"] {
        cluster.add(name);
    }
    cluster
}

impl Cluster {
    fn begin(&self, name: &str) -> Verdict {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        let url = format!("--advertise-url=https://{}", self.balancer.address);
        let replica = format!("--replica={name}");
        Verdict::in_cluster(&self.pki, &folder, self.plane.kubeconfig(), &[&url, &replica, "--drain-delay=1s"])
    }

    fn add(&mut self, name: &str) {
        let replica = self.begin(name);
        self.balancer.add((replica.https, replica.admin));
        self.replicas.push(replica);
    }

    fn apply(&self, object: &Value) -> Output {
        self.plane.kubectl_with(&["apply", "-f", "-"], &object.to_string())
    }

    fn namespace(&self, name: &str, labels: &Value) {
        let labels = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.apply(&labels).ok();
    }

    fn configmap(&self, namespace: &str, labels: &Value) -> Output {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"generateName": "tried-", "namespace": namespace, "labels": labels},
        });
        self.plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &object.to_string())
    }

    /// What kubectl shows of one object.
    fn get(&self, what: &[&str]) -> Value {
        let text = self.plane.kubectl(&[&["get"], what, &["-o", "json"]].concat()).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    fn wait(&self, what: &[&str]) {
        let wait = self.plane.kubectl(&[&["wait", "--for=condition=Ready", "--timeout=60s"], what].concat());
        if !wait.success() {
            panic!("{wait}\n{}", self.plane.kubectl(&[&["get", "-o", "yaml"], what].concat()));
        }
    }

    /// Of one replica, since two can only disagree for a moment.
    fn leader(&self) -> String {
        let lease = self.get(&["lease", "verdict", "--namespace=verdict"]);
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }
}

/// Wants a label of ConfigMaps in the namespaces that `selector` selects.
fn labels(name: &str, label: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": name},
        "spec": {
            "component": {"builtin": "required-labels"},
            "settings": {"labels": [label]},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": selector},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
                ],
            },
        },
    })
}

#[test]
fn an_object_that_is_applied_denies_soon_and_its_status_says_so() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    cluster.namespace("applied", &json!({"tried": "applied"}));
    let begin = Instant::now();
    cluster.apply(&labels("applied", "team", &json!({"tried": "applied"}))).ok();
    cluster.wait(&["validator", "applied"]);
    let took = begin.elapsed();
    let denied = cluster.configmap("applied", &json!({})).refused();
    assert!(denied.contains("team"), "{denied}");
    cluster.configmap("applied", &json!({"team": "a"})).ok();
    cluster.configmap("default", &json!({})).ok();
    assert!(took < Duration::from_secs(30), "{took:?}");
    let status = &cluster.get(&["validator", "applied"])["status"];
    assert_eq!(status["replicas"], json!({"ready": 2, "total": 2}), "{status:#}");
    assert_eq!(status["interfaces"], json!(["validating"]), "{status:#}");
    assert_eq!(status["mode"], "Deny", "{status:#}");
    assert!(status["component"].as_str().unwrap_or_default().starts_with("sha256:"), "{status:#}");
    // A namespace that gets the label later is selected from then on.
    cluster.namespace("later", &json!({}));
    cluster.configmap("later", &json!({})).ok();
    cluster.namespace("later", &json!({"tried": "applied"}));
    eventually("the label counts", || {
        let tried = cluster.configmap("later", &json!({}));
        if tried.success() { Err(tried) } else { Ok(()) }
    });

    // Who asks all the time while it is deleted is never told that nobody answers.
    let deleted = cluster.plane.kubectl(&["delete", "validator", "applied"]);
    deleted.ok();
    eventually("it is gone", || {
        let tried = cluster.configmap("applied", &json!({}));
        if tried.success() {
            return Ok(());
        }
        let words = tried.refused();
        assert!(words.contains("team") && !words.contains("failed calling"), "{words}");
        Err(words)
    });
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    assert!(!registered.to_string().contains("applied"), "{registered:#}");
}

#[test]
fn a_mistake_changes_nothing_and_is_told() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    cluster.namespace("mistaken", &json!({"tried": "mistaken"}));
    let good = labels("mistaken", "team", &json!({"tried": "mistaken"}));
    cluster.apply(&good).ok();
    cluster.wait(&["validator", "mistaken"]);
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    let mut bad = good.clone();
    bad["spec"]["settings"] = json!({"labels": "no list"});
    cluster.apply(&bad).ok();
    let status = eventually("the mistake is told", || {
        let status = cluster.get(&["validator", "mistaken"])["status"].clone();
        let ready = status["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "False");
        if ready && status["observedGeneration"] == 2 { Ok(status) } else { Err(status.to_string()) }
    });
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("serves as it was before") && message.contains("labels"), "{status:#}");
    assert_eq!(status["accepted"]["generation"], 1, "{status:#}");
    let after = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    assert_eq!(after["metadata"]["generation"], registered["metadata"]["generation"]);
    let denied = cluster.configmap("mistaken", &json!({})).refused();
    assert!(denied.contains("team"), "{denied}");
    let events = cluster.plane.kubectl(&["get", "events", "--field-selector=involvedObject.name=mistaken"]).ok();
    assert!(events.contains("Stale"), "{events}");

    // One that never was good is not there for anybody.
    let mut never = labels("never-good", "other", &json!({"tried": "mistaken"}));
    never["spec"]["settings"] = json!({"labels": 7});
    cluster.apply(&never).ok();
    eventually("the mistake is told", || {
        let status = cluster.get(&["validator", "never-good"])["status"].clone();
        let message = status["message"].as_str().unwrap_or_default();
        if message.contains("does not load") { Ok(()) } else { Err(status.to_string()) }
    });
    cluster.configmap("mistaken", &json!({"team": "a"})).ok();

    // And what is mended serves.
    bad["spec"]["settings"] = json!({"labels": ["owner"]});
    cluster.apply(&bad).ok();
    cluster.wait(&["validator", "mistaken"]);
    let denied = cluster.configmap("mistaken", &json!({"team": "a"})).refused();
    assert!(denied.contains("owner"), "{denied}");
    cluster.plane.kubectl(&["delete", "validator", "mistaken", "never-good"]).ok();
}

#[test]
fn policies_of_a_namespace_see_nothing_else() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    for name in ["team-a", "team-b"] {
        cluster.namespace(name, &json!({}));
    }
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "team-a"},
        "data": {"labels.yaml": "labels: [team]\n"},
    });
    cluster.apply(&value).ok();
    let policy = json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "NamespacedValidator", "metadata": {"name": "own", "namespace": "team-a"},
        "spec": {
            "component": {"builtin": "required-labels"},
            "settingsFrom": [{"configMapKeyRef": {"name": "settings", "key": "labels.yaml"}}],
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]},
            ]},
        },
    });
    cluster.apply(&policy).ok();
    cluster.wait(&["namespacedvalidator", "own", "--namespace=team-a"]);
    let denied = cluster.configmap("team-a", &json!({})).refused();
    assert!(denied.contains("team"), "{denied}");
    cluster.configmap("team-b", &json!({})).ok();
    cluster.plane.kubectl(&["create", "namespace", "team-c", "--dry-run=server"]).ok();
    // Its own objects can be written in any case.
    cluster.apply(&{
        let mut other = policy.clone();
        other["metadata"]["name"] = json!("other");
        other["spec"]["validationActions"] = json!(["Audit"]);
        other
    });
    cluster.plane.kubectl(&["get", "namespacedvalidator", "other", "--namespace=team-a"]).ok();
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    let of_team = |it: &&Value| it["clientConfig"]["url"].as_str().unwrap_or_default().contains("team-a");
    for entry in registered["webhooks"].as_array().into_iter().flatten().filter(of_team) {
        assert_eq!(entry["rules"][0]["scope"], "Namespaced", "{entry:#}");
        let selected = entry["namespaceSelector"]["matchExpressions"].to_string();
        assert!(selected.contains("\"In\"") && selected.contains("team-a"), "{entry:#}");
    }

    // Values that change are read again.
    let mut changed = value;
    changed["data"]["labels.yaml"] = json!("labels: [owner]\n");
    changed["metadata"]["labels"] = json!({"team": "a"});
    cluster.apply(&changed).ok();
    eventually("the new value counts", || {
        let denied = cluster.configmap("team-a", &json!({"team": "a"}));
        if denied.success() { Err(denied) } else { Ok(()) }
    });
    cluster.plane.kubectl(&["delete", "namespacedvalidator", "--all", "--namespace=team-a"]).ok();
}

#[test]
fn another_leads_when_the_leader_dies_and_what_is_registered_stays() {
    let Some(mut held) = cluster() else { return };
    let cluster = &mut held.0;
    cluster.namespace("led", &json!({"tried": "led"}));
    cluster.apply(&labels("led", "team", &json!({"tried": "led"}))).ok();
    cluster.wait(&["validator", "led"]);
    let before = cluster.leader();
    let number = ["one", "two"].iter().position(|it| *it == before).expect("one of the two");
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    // Killed: it says nothing to anybody.
    let dead = cluster.replicas.remove(number);
    drop(dead);
    let other = cluster.replicas[0].https;
    cluster.balancer.replace(number, (other, cluster.replicas[0].admin));
    let denied = cluster.configmap("led", &json!({})).refused();
    assert!(denied.contains("team"), "{denied}");
    eventually("another one leads", || {
        let now = cluster.leader();
        if now != before && !now.is_empty() { Ok(()) } else { Err(now) }
    });
    let after = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    assert_eq!(after["metadata"]["generation"], registered["metadata"]["generation"], "{after:#}");

    // What somebody deletes is registered again.
    cluster.plane.kubectl(&["delete", "validatingwebhookconfiguration", "verdict"]).ok();
    eventually("it is registered again", || {
        let denied = cluster.configmap("led", &json!({}));
        if denied.success() { Err(denied) } else { Ok(()) }
    });

    // Unless it is held.
    let kubeconfig = cluster.plane.kubeconfig().to_owned();
    let run = command()
        .env("KUBECONFIG", &kubeconfig)
        .args(["unregister", "--namespace=verdict", "--reason=a drill"])
        .output()
        .expect("verdict runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    eventually("nobody is asked", || {
        let tried = cluster.configmap("led", &json!({}));
        if tried.success() { Ok(()) } else { Err(tried) }
    });
    let status = eventually("it is told", || {
        let status = cluster.get(&["validator", "led"])["status"].clone();
        if status.to_string().contains("a drill") { Ok(status) } else { Err(status.to_string()) }
    });
    assert!(status["message"].as_str().unwrap_or_default().contains("verdict.dev/hold"), "{status:#}");
    assert!(!cluster.plane.kubectl(&["get", "validatingwebhookconfiguration", "verdict"]).success());
    cluster.plane.kubectl(&["annotate", "lease", "verdict", "--namespace=verdict", "verdict.dev/hold-"]).ok();
    cluster.wait(&["validator", "led"]);
    cluster.configmap("led", &json!({})).refused();

    // A replica that starts anew counts again.
    let again = cluster.begin(&before);
    cluster.balancer.replace(number, (again.https, again.admin));
    cluster.replicas.insert(number, again);
    eventually("both serve it", || {
        let status = cluster.get(&["validator", "led"])["status"].clone();
        if status["replicas"] == json!({"ready": 2, "total": 2}) { Ok(()) } else { Err(status.to_string()) }
    });
    cluster.plane.kubectl(&["delete", "validator", "led"]).ok();
}

/// What it said in its life before is still there when it leads again, and nothing serves on it yet.
#[test]
fn a_leader_that_is_killed_and_comes_up_at_once_takes_nothing_away() {
    let Some(mut held) = cluster() else { return };
    let cluster = &mut held.0;
    cluster.namespace("again", &json!({"tried": "again"}));
    cluster.apply(&labels("again", "team", &json!({"tried": "again"}))).ok();
    cluster.wait(&["validator", "again"]);
    let name = cluster.leader();
    let number = ["one", "two"].iter().position(|it| *it == name).expect("one of the two");
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
    cluster.replicas[number].process.kill();
    drop(cluster.replicas.remove(number));
    let again = cluster.begin(&name);
    cluster.balancer.replace(number, (again.https, again.admin));
    cluster.replicas.insert(number, again);
    for _ in 0..20 {
        let now = cluster.get(&["validatingwebhookconfiguration", "verdict"]);
        assert_eq!(now["metadata"]["generation"], registered["metadata"]["generation"], "{now:#}");
        thread::sleep(Duration::from_millis(100));
    }
    cluster.wait(&["validator", "again"]);
    let denied = cluster.configmap("again", &json!({})).refused();
    assert!(denied.contains("team"), "{denied}");
    cluster.plane.kubectl(&["delete", "validator", "again"]).ok();
}
