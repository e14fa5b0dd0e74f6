//! Who has rights on `NamespacedValidator` and `NamespacedMutator` in one namespace, and on nothing else, and tries with each of their fields to
//! reach more: objects elsewhere, Secrets of others, files of the server, logins.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    install, show,
    tries::{End, Try, tries},
};
use crate::support::{
    binaries::binaries, control_plane::ControlPlane, eventually, http, pki::Pki, processes::folder, verdict::Verdict,
    within,
};

/// A cluster with a server that may read everything in it, and Eve, who may write policies in the namespaces of [`HERS`].
struct Cluster {
    plane: ControlPlane,
    pki: Pki,
    replica: Verdict,
    crds: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        show(&self.plane, [&self.replica]);
    }
}

fn start() -> Option<Cluster> {
    let folder = folder("intruder");
    let pki = Pki::new(&folder);
    let plane = ControlPlane::start(binaries()?, &pki, &["--authorization-mode=RBAC".to_owned()]);
    let namespaces: Vec<&str> = HERS.iter().chain(&["verdict", "team-b"]).copied().collect();
    let crds = install(&plane, &namespaces);
    for namespace in ["verdict", "team-b"] {
        let secret = format!("--from-literal=key={SECRET}");
        plane.kubectl(&["create", "secret", "generic", "of-others", "--namespace", namespace, &secret]).ok();
        plane.kubectl(&["create", "configmap", "of-others", "--namespace", namespace, &secret]).ok();
    }
    plane.kubectl(&["create", "clusterrole", "author", "--verb=*", "--resource=namespacedvalidators.verdict.dev,namespacedvalidators.verdict.dev/status,namespacedmutators.verdict.dev,namespacedmutators.verdict.dev/status"]).ok();
    for namespace in HERS {
        plane
            .kubectl(&["create", "rolebinding", "eve", "--clusterrole=author", "--user=eve", "--namespace", namespace])
            .ok();
        plane
            .kubectl(&["create", "configmap", "own", "--from-literal=key=labels: [team]", "--namespace", namespace])
            .ok();
    }
    let flags = [
        "--advertise-url=https://127.0.0.1:1",
        "--replica=one",
        "--namespaced-registry=registry.example.org/team",
        "--namespaced-policies=70",
    ];
    let replica = Verdict::in_cluster(&pki, &folder, plane.kubeconfig(), &flags);
    Some(Cluster { plane, pki, replica, crds })
}

impl Cluster {
    /// What Eve gets for a request.
    fn eve(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let head = [("impersonate-user", "eve"), ("content-type", kind)];
        let tls = http::tls(&self.pki, Some(self.plane.admin()));
        let url = format!("{}{path}", self.plane.url);
        let (status, text) = http::ask(method, &url, &head, body.to_string(), tls).expect("an answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Unknown fields are no reason to refuse it: whoever attacks asks for that.
    fn create(&self, kind: &str, namespace: &str, name: &str, spec: &Value) -> (u16, Value) {
        let object = object(kind, namespace, name, spec);
        self.eve("POST", &format!("{}?fieldValidation=Ignore", path(kind, namespace)), &object)
    }

    fn get(&self, what: &[&str]) -> Value {
        let text = self.plane.kubectl(&[&["get"], what, &["-o", "json"]].concat()).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    /// Without its spec, which may be more than can be read here.
    fn status(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let get = ["get", kind, name, "--namespace", namespace, "-o", "jsonpath={.status}"];
        serde_json::from_str(&self.plane.kubectl(&get).ok()).unwrap_or_default()
    }

    fn items(&self, what: &[&str]) -> Vec<Value> {
        self.get(what)["items"].as_array().expect("a list").clone()
    }

    /// Every entry of hers, in both configurations, is for her namespaces only.
    fn nothing_is_registered_elsewhere(&self) -> usize {
        let mut hers = 0;
        for kind in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
            for entry in
                self.items(&[kind]).iter().flat_map(|it| it["webhooks"].as_array().cloned().unwrap_or_default())
            {
                let expressions = entry["namespaceSelector"]["matchExpressions"].as_array().expect("expressions");
                let is_bound = |namespace: &str| {
                    let own = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]});
                    expressions.contains(&own)
                };
                assert_eq!(HERS.iter().filter(|it| is_bound(it)).count(), 1, "{entry:#}");
                for rule in entry["rules"].as_array().expect("rules") {
                    assert_eq!(rule["scope"], "Namespaced", "{entry:#}");
                }
                hers += 1;
            }
        }
        hers
    }
}

fn path(kind: &str, namespace: &str) -> String {
    format!("/apis/verdict.dev/v1alpha1/namespaces/{namespace}/{}s", kind.to_lowercase())
}

fn object(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// Of a schema, the path of each field that has none below.
fn fields(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    if let Some(properties) = schema["properties"].as_object() {
        properties.iter().for_each(|(name, it)| fields(it, &below(name), found));
    } else if schema["items"].is_object() {
        fields(&schema["items"], &format!("{at}[]"), found);
    } else if schema["additionalProperties"].is_object() {
        fields(&schema["additionalProperties"], &below("*"), found);
    } else {
        found.insert(at.to_owned());
    }
}

/// Those of an object.
fn given(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) if at != "settings" && !at.ends_with(".subject") => {
            for (name, it) in entries {
                let is_map = ["matchLabels", "annotations"].iter().any(|map| at.ends_with(map));
                let name = if is_map { "*" } else { name };
                given(it, &if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|it| given(it, &format!("{at}[]"), found)),
        Value::Null => {}
        _ => drop(found.insert(at.to_owned())),
    }
}

#[test]
fn each_field_is_tried_and_none_reaches_beyond_the_namespace() {
    if binaries().is_none() {
        return;
    }
    let cluster = start().expect("a cluster");
    let mut wrong = Vec::new();
    let mut taken = Vec::new();
    for (kind, namespace) in KINDS {
        every_field_is_among_the_tries(&cluster.crds, kind);
        for (number, Try { spec, end }) in tries(kind).into_iter().enumerate() {
            let name = format!("t-{number}");
            let shown = format!("{kind} {name} {}", spec.to_string().chars().take(600).collect::<String>());
            let (status, answer) = cluster.create(kind, namespace, &name, &spec);
            let message = answer["message"].as_str().unwrap_or_default();
            match end {
                End::Refused(words) if status == 422 && message.contains(words) => {}
                End::Told(words) if status == 201 => taken.push((shown, kind, namespace, name, Some(words))),
                End::Serves if status == 201 => taken.push((shown, kind, namespace, name, None)),
                _ => wrong.push(format!("{shown}: {status} {message}")),
            }
        }
    }
    let deadline = Instant::now() + PATIENCE;
    for (shown, kind, namespace, name, words) in taken {
        let as_expected = || {
            let status = cluster.status(kind, namespace, &name);
            let message = status["message"].as_str().unwrap_or_default();
            let is_right = match words {
                Some(words) => !message.is_empty() && message.contains(words) && !is_ready(&status),
                None => is_ready(&status),
            };
            if is_right { Ok(()) } else { Err(status["conditions"].to_string()) }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        wrong.extend(within(left, as_expected).err().map(|it| format!("{shown}: {it}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cluster.nothing_is_registered_elsewhere() > 4);

    // The server itself, asked about what is elsewhere, says nothing of hers.
    let ask = |route: &str, namespace: &str, resource: &str| {
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": "u", "operation": "CREATE", "name": "it", "namespace": namespace,
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "resource": {"group": "", "version": "v1", "resource": resource},
            "userInfo": {"username": "jane"}, "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "it"}}}});
        let url = format!("https://{}/{route}", cluster.replica.https);
        let (status, text) =
            http::post(&url, review.to_string(), &cluster.pki, Some(&cluster.replica.client)).expect("an answer");
        (status, text)
    };
    let (status, text) = ask("validate", "team-a", "configmaps");
    assert!(status == 200 && text.contains("\"allowed\":false"), "{status} {text}");
    for (namespace, resource) in
        [("team-b", "configmaps"), ("verdict", "secrets"), ("", "nodes"), ("team-a", "namespaces")]
    {
        for route in ["validate", "mutate"] {
            let (status, text) = ask(route, namespace, resource);
            assert!(
                status == 200 && text.contains("\"allowed\":true") && !text.contains("patch"),
                "{route} {status} {text}"
            );
        }
    }
    for route in ["authenticate", "authorize", "events/t-0", "validate/t-0", "validate/team-b/t-0"] {
        assert_eq!(ask(route, "team-b", "configmaps").0, 404, "{route}");
    }

    // Nothing of what is not hers was asked for, and nothing of it is shown.
    for event in cluster.plane.audit() {
        let at = &event["objectRef"];
        let is_of_server = !event["userAgent"].as_str().unwrap_or_default().starts_with("kubectl");
        let is_value = at["resource"] == "secrets" || at["resource"] == "configmaps";
        let reads = ["get", "list", "watch"].iter().any(|it| event["verb"] == *it);
        let namespace = at["namespace"].as_str().unwrap_or_default();
        assert!(!(is_of_server && is_value && reads) || HERS.contains(&namespace), "{event}");
    }
    let shown =
        cluster.plane.kubectl(&["get", "namespacedvalidators,namespacedmutators,events", "-A", "-o", "yaml"]).ok();
    for text in [shown, cluster.replica.process.log()] {
        assert!(!text.contains(SECRET) && !text.contains("root:x:"), "{text}");
    }
}

#[test]
fn names_labels_numbers_and_forged_statuses_reach_no_further() {
    if binaries().is_none() {
        return;
    }
    let cluster = start().expect("a cluster");
    let kind = "NamespacedValidator";
    let spec = json!({
        "component": {"builtin": "required-labels"}, "settings": {"labels": ["team"]},
        "matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]},
    });
    // Names that others have, or could have.
    for name in ["a/b", "entry.0123456789abcdef", "..", "team-b/p", "A"] {
        let (status, answer) = cluster.create(kind, "team-a", name, &spec);
        assert!((400..500).contains(&status), "{name}: {answer}");
    }
    // Elsewhere, and other kinds.
    for (path, object) in [
        (path(kind, "team-b"), object(kind, "team-b", "p", &spec)),
        (path(kind, "team-a"), object(kind, "team-b", "p", &spec)),
        (
            "/apis/verdict.dev/v1alpha1/validators".to_owned(),
            json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": "p"}, "spec": spec}),
        ),
        (
            "/apis/verdict.dev/v1alpha1/namespaces/verdict/replicas".to_owned(),
            json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "Replica", "metadata": {"name": "two"}, "status": {}}),
        ),
    ] {
        let (status, answer) = cluster.eve("POST", &path, &object);
        assert!(status == 403 || status == 400, "{path}: {status} {answer}");
    }
    // Another installation's is not this one's.
    let mut labelled = object(kind, "team-a", "labelled", &spec);
    labelled["metadata"]["labels"] = json!({"verdict.dev/instance": "blue"});
    assert_eq!(cluster.eve("POST", &path(kind, "team-a"), &labelled).0, 201);

    // More than there is room for: not even tried, and told. Those that serve were there first.
    let many = |numbers: std::ops::Range<usize>, late: usize| {
        for number in numbers {
            let (status, answer) = cluster.create(kind, "team-m", &format!("many-{number}"), &spec);
            assert_eq!(status, 201, "{answer}");
        }
        eventually("those that are too many are told", || {
            let all = cluster.items(&["namespacedvalidators", "--namespace=team-m"]);
            let is_late =
                |it: &&Value| it["status"]["message"].as_str().is_some_and(|it| it.contains("no more are taken"));
            let told: Vec<Value> = all.iter().filter(is_late).map(|it| it["metadata"]["name"].clone()).collect();
            let ready = all.iter().filter(|it| is_ready(&it["status"])).count();
            if (told.len(), ready) == (late, 70) {
                Ok(told)
            } else {
                Err(format!("{} late, {ready} ready", told.len()))
            }
        })
    };
    many(0..70, 0);
    assert_eq!(many(70..75, 5), ["many-70", "many-71", "many-72", "many-73", "many-74"]);
    let reported = cluster.get(&["replica", "one", "--namespace=verdict"])["status"]["policies"].clone();
    assert_eq!(reported.as_array().expect("a list").len(), 70);
    assert!(!reported.to_string().contains("NamespacedValidator/team-m/many-70\""), "{reported}");

    // A status is what the server says, whoever writes one; and what it says served before reaches no further than a spec does.
    assert_eq!(
        cluster.create(kind, "team-a", "forged", &json!({"component": {"builtin": "no-such-component"}})).0,
        201
    );
    let forged = json!({"status": {
        "observedGeneration": 1, "message": "all is well",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "accepted": {"generation": 0, "spec": {
            "component": {"builtin": "required-labels"}, "settings": {"labels": ["forged"]},
            "settingsFrom": [{"secretKeyRef": {"name": "../verdict/of-others", "key": "key"}}],
            "grants": {"env": [{"name": "A", "valueFrom": {"file": "/etc/passwd"}}]},
            "limits": {"timeoutMilliseconds": 30_000},
            "matchConstraints": {
                "namespaceSelector": {},
                "resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "Cluster"}],
            },
        }},
    }});
    let (status, answer) = cluster.eve("PATCH", &format!("{}/forged/status", path(kind, "team-a")), &forged);
    assert_eq!(status, 200, "{answer}");
    eventually("the status is the server's again", || {
        let status = cluster.get(&[kind, "forged", "--namespace=team-a"])["status"].clone();
        let message = status["message"].as_str().unwrap_or_default();
        if message.contains("does not load") && !is_ready(&status) { Ok(()) } else { Err(status.to_string()) }
    });
    let mut reaches = forged.clone();
    for field in ["settingsFrom", "grants", "limits"] {
        reaches["status"]["accepted"]["spec"][field] = Value::Null;
    }
    let patch = format!("{}/forged/status", path(kind, "team-a"));
    assert_eq!(cluster.eve("PATCH", &patch, &reaches).0, 200);
    std::thread::sleep(Duration::from_secs(3));
    cluster.nothing_is_registered_elsewhere();
    // And nobody else waits for it.
    let of_all = json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "NamespacedValidator", "metadata": {"name": "after", "namespace": "team-a"}, "spec": spec});
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &of_all.to_string()).ok();
    cluster
        .plane
        .kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", kind, "after", "--namespace=team-a"])
        .ok();
    let labelled = cluster.get(&[kind, "labelled", "--namespace=team-a"]);
    assert!(labelled["status"].is_null(), "{labelled:#}");
}

fn every_field_is_among_the_tries(crds: &str, kind: &str) {
    let all = crds.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).expect("YAML"));
    let definition = all.into_iter().find(|it| it["spec"]["names"]["kind"] == kind).expect("its definition");
    let (mut known, mut tried) = (BTreeSet::new(), BTreeSet::new());
    fields(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "", &mut known);
    for Try { spec, .. } in tries(kind) {
        given(&spec, "", &mut tried);
    }
    let missing: Vec<&String> = known.difference(&tried).collect();
    assert!(missing.is_empty(), "what can be reached with these fields of {kind}? Add tries: {missing:?}");
}

fn is_ready(status: &Value) -> bool {
    status["conditions"].as_array().into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// In which all of hers are loaded, or told why not.
const PATIENCE: Duration = Duration::from_secs(90);
/// Eve's namespaces: one for each kind.
const HERS: [&str; 2] = ["team-a", "team-m"];
const KINDS: [(&str, &str); 2] = [("NamespacedValidator", "team-a"), ("NamespacedMutator", "team-m")];
const SECRET: &str = "not-for-eve-5f3c0f5e";
