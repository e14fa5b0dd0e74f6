//! The chart, installed by Helm; policies are objects of the cluster.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    install::{How, install, rolled_out, uninstall, upgrade},
    nothing_lost,
    policies::policies,
    replicas::{gone, nodes, pods, restarts},
    traffic,
};
use crate::support::{
    eventually,
    helm::{Helm, helm},
    pods::Cluster,
};

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn one_command_installs_it_and_a_policy_denies_within_seconds() {
    let (Some(helm), Some(mut cluster)) = (helm(), Cluster::start(2)) else { return };
    let begin = Instant::now();
    let standards = "policies.podSecurity={\"level\": \"baseline\", \"action\": \"Deny\"}";
    install(&mut cluster, &How::Chart { helm: &helm, values: &[standards] });
    println!("installed after {:.1?}", begin.elapsed());
    assert_eq!((pods(&cluster).len(), nodes(&cluster).len()), (2, 2), "one replica on each node");
    // The chart's own policy is ready when Helm says so.
    cluster.kubectl(&["create", "namespace", "robots"]).ok();
    let privileged = ["run", "bad", "--image=registry.test/image", "--namespace=robots", "--privileged"];
    let denial = cluster.kubectl(&privileged).refused();
    assert!(denial.contains("pod-security") && denial.contains("privileged"), "{denial}");

    // And one that a user applies.
    let begin = Instant::now();
    cluster.kubectl_with(&["apply", "-f", "-"], &labelled_pods().to_string()).ok();
    cluster.kubectl(&["wait", "--for=condition=Ready", "validator/labelled-pods", "--timeout=30s"]).ok();
    let run = ["run", "pod", "--image=registry.test/image", "--namespace=robots"];
    let denial = cluster.kubectl(&run).refused();
    let took = begin.elapsed();
    println!("applied, ready and denied after {took:.1?}");
    assert!(denial.contains("the label team is required"), "{denial}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    cluster.kubectl(&[&run[..], &["--labels=team=robots"]].concat()).ok();
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn upgrades_and_rolling_updates_of_the_chart_lose_nothing() {
    let Some((helm, cluster)) = started() else { return };
    let (traffic, _) = traffic(&cluster);
    for values in [&["log.level=\"debug\"", "capacity.instances=32"][..], &["replicas=3"], &["replicas=2"]] {
        upgrade(&cluster, &helm, values);
        rolled_out(&cluster);
    }
    let before = pods(&cluster);
    cluster.kubectl(&["rollout", "restart", "deployment/verdict", "--namespace=verdict"]).ok();
    rolled_out(&cluster);
    gone(&cluster, 2);
    assert!(pods(&cluster).iter().all(|it| !before.contains(it)), "{before:?}");
    nothing_lost(traffic);
    serve_everywhere(&cluster);
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn draining_each_node_loses_nothing_of_the_chart() {
    let Some((_, cluster)) = started() else { return };
    let (traffic, _) = traffic(&cluster);
    for node in ["node1", "node2"] {
        cluster.kubectl(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]).ok();
        rolled_out(&cluster);
        gone(&cluster, 2);
        assert!(!nodes(&cluster).contains(node), "{node} is empty");
        cluster.kubectl(&["uncordon", node]).ok();
    }
    nothing_lost(traffic);
    serve_everywhere(&cluster);
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn a_leader_that_is_deleted_by_force_costs_nothing() {
    let Some((_, cluster)) = started() else { return };
    let (traffic, _) = traffic(&cluster);
    let (registered, before) = (generations(&cluster), leader(&cluster));
    // It is gone for kube-apiserver at once; the kubelet gives it two seconds, in which it ends in order.
    cluster.kubectl(&["delete", "pod", &before, "--namespace=verdict", "--force", "--grace-period=0"]).ok();
    led_by_another(&cluster, &before);
    rolled_out(&cluster);
    serve_everywhere(&cluster);
    assert_eq!(generations(&cluster), registered, "what is registered stays as it is");
    nothing_lost(traffic);
}

/// kube-apiserver hears that a Pod does not answer when its kubelet has seen it; what it has sent there until then is refused, with failurePolicy
/// Fail. That must be all: the leader comes up again in the same Pod, and nobody gets past it meanwhile.
#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn a_leader_that_is_killed_costs_no_more_than_what_is_sent_to_it_until_that_is_known() {
    let Some((_, cluster)) = started() else { return };
    let (traffic, _) = traffic(&cluster);
    let (registered, before) = (generations(&cluster), leader(&cluster));
    assert_eq!(traffic.tally.lost(), Vec::<String>::new());
    let killed = Instant::now();
    cluster.kill_container("verdict", &before);
    eventually("its kubelet knows", || match restarts(&cluster) {
        it if it.contains(&"1".to_owned()) => Ok(()),
        it => Err(format!("{it:?}")),
    });
    let known = killed.elapsed();
    rolled_out(&cluster);
    serve_everywhere(&cluster);
    // And what was sent before that has its answer.
    thread::sleep(Duration::from_secs(1));
    let (lost, asked) = (traffic.tally.lost(), traffic.tally.total());
    println!("a killed leader, known after {known:.1?}: {} of {asked} requests lost", lost.len());
    let let_in: Vec<&String> = lost.iter().filter(|it| !it.contains("failed calling webhook")).collect();
    assert_eq!((let_in, traffic.tally.wrong()), (Vec::new(), Vec::new()));
    assert_eq!(generations(&cluster), registered);
    eventually("users go on asking", || if traffic.tally.total() > asked + 200 { Ok(()) } else { Err("not yet") });
    let tally = traffic.end();
    assert_eq!((tally.lost()[lost.len()..].to_vec(), tally.wrong()), (Vec::new(), Vec::new()));
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn uninstalling_leaves_nobody_to_ask_and_installing_again_works() {
    let Some((helm, cluster)) = started() else { return };
    let (traffic, _) = traffic(&cluster);
    uninstall(&cluster, &helm);
    // From some moment on nobody denies; until then, and from then on, nobody is asked in vain.
    let lost = traffic.end().lost();
    let in_vain: Vec<&String> = lost.iter().filter(|it| it.contains("webhook")).collect();
    assert_eq!(in_vain, Vec::<&String>::new());
    cluster.kubectl(&["create", "configmap", "cm", "--namespace=robots", "--dry-run=server"]).ok();
    eventually("the Pods are gone", || match cluster.kubectl(&["get", "pods", "--namespace=verdict", "-o", "name"]) {
        it if it.stdout.is_empty() => Ok(()),
        it => Err(it),
    });
    let of_cluster = "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,\
                      validatingadmissionpolicybindings,clusterroles,clusterrolebindings";
    let of_namespace = "deployments,jobs,services,leases,serviceaccounts,roles,rolebindings,replicas.verdict.dev";
    for kinds in [of_cluster, of_namespace] {
        eventually("nothing is left", || {
            let left = cluster.kubectl(&["get", kinds, "--namespace=verdict", "-o", "name"]).ok();
            if left.contains("verdict-") || left.contains("/verdict\n") { Err(left) } else { Ok(()) }
        });
    }

    // The policies are the users': they are still there, and are asked once more.
    upgrade(&cluster, &helm, &[]);
    serve_everywhere(&cluster);
    let denial = cluster.kubectl(&["create", "configmap", "cm", "--namespace=robots"]).refused();
    assert!(denial.contains("the label v0 is required"), "{denial}");
}

/// On two nodes, with the first version of the policies as objects; users may use the namespace `robots`.
fn started() -> Option<(Helm, Cluster)> {
    let helm = helm()?;
    let mut cluster = Cluster::start(2)?;
    install(&mut cluster, &How::Chart { helm: &helm, values: &[] });
    cluster.kubectl(&["create", "namespace", "robots"]).ok();
    cluster.kubectl_with(&["apply", "-f", "-"], &policies(0)).ok();
    serve_everywhere(&cluster);
    Some((helm, cluster))
}

/// Waits until all policies are ready on two replicas.
fn serve_everywhere(cluster: &Cluster) {
    let shown = "jsonpath={range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status} {.status.replicas.ready} of {.status.replicas.total}\n{end}";
    eventually("all policies serve on both replicas", || {
        let output = cluster.kubectl(&["get", "validators,mutators", "-o", shown]);
        let all = output.stdout.lines().collect::<Vec<_>>();
        if !all.is_empty() && all.iter().all(|it| *it == "True 2 of 2") { Ok(()) } else { Err(output) }
    });
}

/// Which Pod leads.
fn leader(cluster: &Cluster) -> String {
    let holder = "jsonpath={.spec.holderIdentity}";
    cluster.kubectl(&["get", "lease", "verdict", "--namespace=verdict", "-o", holder]).ok()
}

fn led_by_another(cluster: &Cluster, before: &str) {
    let begin = Instant::now();
    eventually("another one leads", || match leader(cluster) {
        it if it != before && !it.is_empty() => Ok(()),
        it => Err(it),
    });
    println!("another one leads after {:.1?}", begin.elapsed());
}

/// Changes with each change of what is registered.
fn generations(cluster: &Cluster) -> String {
    let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
    cluster.kubectl(&["get", kinds, "-o", "jsonpath={.items[*].metadata.generation}"]).ok()
}

/// Wants a label of Pods in the namespace `robots`.
fn labelled_pods() -> serde_json::Value {
    json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": "labelled-pods"},
        "spec": {
            "component": {"builtin": "required-labels"},
            "settings": {"labels": ["team"]},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "robots"}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            },
        },
    })
}
