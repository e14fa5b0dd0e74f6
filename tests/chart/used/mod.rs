//! The rights of the chart against kube-apiserver's audit log: all that the program asks for is allowed, and all that is allowed is asked for.

mod audit;
mod objects;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use self::{
    audit::{all_used, grant, refused_nothing, uses},
    objects::{of_values, policies, policy},
};
use super::{Cluster, RELEASE, account, helm, run, start};
use crate::support::{
    control_plane::Output,
    eventually, http,
    pki::Pki,
    processes::{folder, say},
    replicas::balancer::Balancer,
    verdict::Verdict,
};

#[test]
fn what_is_allowed_is_what_is_asked_for() {
    let (Some(helm), Some(cluster)) = (helm(), start()) else { return };
    let plane = &cluster.plane;
    let folder = folder("rights");
    let mut rights = grant(&helm, &cluster, &[]);

    // The definitions, one of which a user deleted.
    plane.kubectl(&["delete", "customresourcedefinition", "providers.verdict.dev"]).ok();
    run(&cluster, "verdict-crds", &["manifests", "crds", "--apply"]).unwrap();

    // kube-apiserver reaches the server by its Service. The chart's Lease is not applied, as if somebody had deleted it.
    let balancer = Balancer::new([]);
    apply(
        &cluster,
        &json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "verdict", "namespace": RELEASE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }),
    );
    let kubeconfig = account(&cluster, "verdict", &folder);
    let serve = |replica: &str| {
        let own = folder.join(replica);
        fs::create_dir_all(&own).unwrap();
        let place = format!("--service={RELEASE}/verdict:{}", balancer.address.port());
        let flags = [place.as_str(), &format!("--replica={replica}"), "--drain-delay=1s"];
        Verdict::with_kept_certificates(&cluster.pki, &own, &folder.join("cache"), &kubeconfig, &flags)
    };
    let mut server = serve("one");
    let _told = Told(&folder);
    balancer.add((server.https, server.admin));
    for object in policies() {
        apply(&cluster, &object);
    }
    ready(&cluster);
    let denied = config_map(&cluster).refused();
    assert!(denied.contains("the label team is required"), "{denied}");
    mistakes(&cluster);

    // Another replica that does not serve what this one does: is its Pod ready?
    apply(
        &cluster,
        &json!({
            "apiVersion": "verdict.dev/v1alpha1", "kind": "Replica",
            "metadata": {
                "name": "other", "namespace": RELEASE, "labels": {"verdict.dev/installation": "verdict"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "other", "uid": "of-the-other"}],
            },
            "status": {"digest": "sha256:0", "policies": []},
        }),
    );
    // And a namespace that it has not seen yet.
    ask_about_unseen(&cluster, server.https);

    server.process.terminate();
    drop(server);
    let server = serve("two");
    balancer.replace(0, (server.https, server.admin));
    eventually("it is asked again", || {
        let denied = config_map(&cluster);
        if denied.stderr.contains("the label team") { Ok(()) } else { Err(denied) }
    });

    // Up to here nothing more was granted; what this value adds is used, too.
    refused_nothing(&cluster);
    rights.extend(grant(&helm, &cluster, &["namespacedValues.enabled=true"]));
    apply(&cluster, &of_values("Secret", "used", "key", "labels: [team]"));
    apply(&cluster, &of_values("ConfigMap", "used", "labels", "labels: [team]"));
    let from = json!([
        {"configMapKeyRef": {"name": "labels", "key": "value"}},
        {"secretKeyRef": {"name": "key", "key": "value"}},
    ]);
    let mut namespaced = policy("NamespacedValidator", "values", "required-labels", &json!({}));
    namespaced["spec"]["settingsFrom"] = from;
    apply(&cluster, &namespaced);
    ready(&cluster);

    // And so is what a provider needs that acts as an account of its own.
    refused_nothing(&cluster);
    let account = r#"providers.serviceAccounts=[{"namespace": "policies", "name": "app-config"}]"#;
    for file in ["rights.yaml", "crd.yaml"] {
        example(&cluster, file);
    }
    plane
        .kubectl(&["wait", "--for=condition=Established", "crd", "appconfigs.config.example.org", "--timeout=60s"])
        .ok();
    rights.extend(grant(&helm, &cluster, &["namespacedValues.enabled=true", account]));
    example(&cluster, "policy.yaml");
    ready(&cluster);
    plane.kubectl(&["create", "namespace", "shop"]).ok();
    let web = json!({
        "apiVersion": "config.example.org/v1", "kind": "AppConfig", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"data": {"COLOR": "blue"}},
    });
    apply(&cluster, &web);
    eventually("the ConfigMap is in step", || {
        let color = plane.kubectl(&["get", "configmap", "web", "--namespace=shop", "-o", "jsonpath={.data.COLOR}"]);
        if color.stdout == "blue" { Ok(()) } else { Err(color) }
    });

    // And the leader mends what somebody damaged.
    let secret = ["secret", "verdict-certificates", "--namespace", RELEASE];
    plane.kubectl(&[&["patch"], &secret[..], &["--type=merge", "--patch={\"data\": null}"]].concat()).ok();
    eventually("there are certificates again", || {
        match plane.kubectl(&[&["get"], &secret[..], &["-o", "jsonpath={.data}"]].concat()).ok() {
            it if it.is_empty() => Err(it),
            _ => Ok(()),
        }
    });

    run(&cluster, "verdict-unregister", &["unregister", "--namespace", RELEASE, "--reason=it is uninstalled"]).unwrap();
    assert!(!plane.kubectl(&["get", "validatingwebhookconfiguration", "verdict"]).success());
    drop(server);
    refused_nothing(&cluster);
    eventually("all rights are used", || all_used(&rights, &uses(&cluster)));
}

fn apply(cluster: &Cluster, object: &Value) {
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &object.to_string()).ok();
}

/// A file of the example `app-config`.
fn example(cluster: &Cluster, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/app-config").join(file);
    cluster.plane.kubectl(&["apply", "-f", path.to_str().unwrap()]).ok();
}

fn config_map(cluster: &Cluster) -> Output {
    cluster.plane.kubectl(&["create", "configmap", "tried", "--namespace=used", "--dry-run=server"])
}

/// Waits until every policy is.
fn ready(cluster: &Cluster) {
    let kinds =
        "validators,mutators,authorizers,authenticators,providers,policygroups,namespacedvalidators,namespacedmutators";
    let wait = ["wait", kinds, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"];
    let waited = cluster.plane.kubectl(&wait);
    assert!(waited.success(), "{waited}\n{}", cluster.plane.kubectl(&["get", kinds, "--all-namespaces", "-o", "yaml"]));
}

/// Two of one policy, one after the other: an event, and one more of its kind.
fn mistakes(cluster: &Cluster) {
    for wrong in ["no-such-policy", "nor-such-one"] {
        let mut object = policy("Validator", "labels", wrong, &json!({}));
        object["spec"]["settingsFrom"] = json!([{"configMapKeyRef": {"name": "labels", "key": "value"}}]);
        apply(cluster, &object);
        eventually("the mistake is told", || {
            let shown = cluster.plane.kubectl(&["get", "validator", "labels", "-o", "jsonpath={.status.message}"]);
            if shown.stdout.contains(wrong) { Ok(()) } else { Err(shown) }
        });
    }
    for object in policies().iter().filter(|it| it["kind"] == "Validator") {
        apply(cluster, object);
    }
    ready(cluster);
}

/// A review as kube-apiserver would send it, of a namespace that nobody knows yet: it may be one that a policy selects.
fn ask_about_unseen(cluster: &Cluster, server: SocketAddr) {
    let bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    let bundle = cluster.plane.kubectl(&["get", "validatingwebhookconfiguration", "verdict", "-o", bundle]).ok();
    let bundle = String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap();
    let client = http::tls(&Pki::new(&folder("unseen")).trusting(bundle), None);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "unseen"}});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "of-the-review", "operation": "CREATE", "name": "a", "namespace": "unseen", "userInfo": {"username": "jane"},
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "object": object,
    }})
    .to_string();
    let name = format!("verdict.{RELEASE}.svc");
    let tls = ClientConnection::new(Arc::new(client), name.clone().try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, TcpStream::connect(server).unwrap());
    let head = "Content-Type: application/json\r\nConnection: close";
    write!(
        stream,
        "POST /validate HTTP/1.1\r\nHost: {name}\r\n{head}\r\nContent-Length: {}\r\n\r\n{review}",
        review.len()
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.contains("the label team is required"), "{answer}");
}

/// Of a test that failed: what the servers said.
struct Told<'a>(&'a Path);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for replica in ["one", "two"] {
                say(&fs::read_to_string(self.0.join(replica).join("verdict.log")).unwrap_or_default());
            }
        }
    }
}
