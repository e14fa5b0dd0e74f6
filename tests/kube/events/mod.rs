//! Providers that are told of changes of objects of a real cluster, and act in it as a service account: two replicas, a real kube-apiserver.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::cluster::cluster;
use crate::support::eventually;

mod cluster;

#[test]
fn a_provider_is_told_of_each_change_in_order_whoever_leads() {
    let Some(mut held) = cluster() else { return };
    let cluster = &mut held.0;
    let before = cluster.thing("default", "elsewhere", "", &json!(0));
    assert!(!before.is_empty());
    let provider = cluster.teller("order", ("example.org/v1", "Thing"));
    let there = cluster.thing("order", "there", "", &json!(0));
    cluster.apply(&provider).ok();
    cluster.ready("order");
    let names: Vec<String> = (0..5).map(|it| format!("thing-{it}")).collect();
    let mut written: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for round in 0..9 {
        for name in &names {
            written.entry(name).or_default().push(cluster.thing("order", name, "", &json!(round)));
        }
        match round {
            // Whoever leads is killed, in the middle of it.
            3 => {
                let leader = cluster.leader();
                cluster.replicas.remove(leader);
            }
            // Another one ends in good order.
            6 => {
                let leader = eventually("another one leads", || {
                    let lease = cluster.get(&["lease", "verdict", "--namespace=verdict"]);
                    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
                    cluster.replicas.keys().find(|it| **it == holder).copied().ok_or(holder)
                });
                let mut ends = cluster.replicas.remove(leader).expect("it runs");
                ends.process.terminate();
                ends.process.wait(std::time::Duration::from_secs(30));
                cluster.add("one");
                cluster.add("two");
            }
            _ => {}
        }
    }
    for (name, versions) in &written {
        let told = eventually("it was told of all", || {
            let told = cluster.told("order", name);
            if told.len() >= versions.len() { Ok(told) } else { Err(format!("{told:?} of {versions:?}")) }
        });
        let of: Vec<&str> = told.iter().map(|it| it[0].as_str()).collect();
        assert_eq!(of, *versions, "each change once, in order");
        assert_eq!(told[0][1..], ["Added", "", "false"]);
        for (at, change) in told.iter().enumerate().skip(1) {
            assert_eq!(change[1..], ["Modified", &versions[at - 1], "false"], "what was before");
        }
    }
    // What was there already says so, and what is elsewhere is nobody's business.
    assert_eq!(cluster.told("order", "there"), [[there.as_str(), "Added", "", "true"].map(str::to_owned)]);
    assert!(cluster.told("default", "elsewhere").is_empty());
    cluster.plane.kubectl(&["delete", "thing", "thing-0", "--namespace=order"]).ok();
    let last = eventually("it was told of the end", || {
        let told = cluster.told("order", "thing-0");
        told.last().filter(|it| it[1] == "Deleted").cloned().ok_or(format!("{told:?}"))
    });
    assert_eq!(Some(&last[2]), written["thing-0"].last());

    // What is written after what it should know of has been forgotten everywhere: what is there comes again.
    let gaps = r#"verdict_provider_gaps_total{policy="order"}"#;
    assert_eq!(cluster.counted(gaps), 0);
    for (_, mut replica) in std::mem::take(&mut cluster.replicas) {
        replica.process.terminate();
        replica.process.wait(std::time::Duration::from_secs(30));
    }
    cluster.plane.kubectl(&["delete", "thing", "thing-1", "--namespace=order"]).ok();
    let saved = cluster.get(&["configmap", "verdict-events-order", "--namespace=verdict"]);
    let saved: Value = serde_json::from_str(saved["data"]["handled"].as_str().expect("text")).expect("JSON");
    let version =
        saved["sources"].as_object().expect("sources").values().next().expect("one")["resourceVersion"].clone();
    let exactly = format!(
        "/apis/example.org/v1/namespaces/order/things?resourceVersionMatch=Exact&resourceVersion={}",
        version.as_str().expect("text")
    );
    eventually("it is forgotten", || {
        // Something must happen for what was to be in the past.
        cluster.thing("order", "later", "", &json!(0));
        let asked = cluster.plane.kubectl(&["get", "--raw", &exactly]);
        if asked.success() { Err(asked) } else { Ok(()) }
    });
    cluster.add("one");
    cluster.add("two");
    eventually("the gap is counted", || {
        let count = cluster.counted(gaps);
        if count == 1 { Ok(()) } else { Err(count.to_string()) }
    });
    let newest = written["thing-2"].last().expect("a version");
    eventually("what is there comes again", || {
        let told = cluster.told("order", "thing-2");
        let again = told.iter().find(|it| it[0] == *newest).cloned().unwrap_or_default();
        if again[3] == "true" { Ok(()) } else { Err(format!("{told:?}")) }
    });
    assert!(cluster.told("order", "thing-1").iter().all(|it| it[1] != "Deleted"));
    cluster.plane.kubectl(&["delete", "provider", "order"]).ok();
}

#[test]
fn what_it_wants_done_is_done_with_the_rights_of_its_account_only() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    cluster.apply(&cluster.teller("rights", ("example.org/v1", "Thing"))).ok();
    cluster.ready("rights");
    for (does, words) in [
        ("steal", "forbidden"),
        ("rise", "refused, whatever the account may do"),
        ("fail", "it was told to fail"),
        ("trap", "it was told to trap"),
    ] {
        cluster.thing("rights", does, does, &json!(0));
        let message = cluster.until("rights", "Handled", "GivenUp");
        assert!(message.contains(&format!("Thing rights/{does} ")) && message.contains(words), "{message}");
        // A change that is handled makes it good.
        cluster.thing("rights", does, "", &json!(1));
        cluster.until("rights", "Handled", "Handled");
    }
    let authentication = cluster.get(&["configmap", "extension-apiserver-authentication", "--namespace=kube-system"]);
    assert_eq!(authentication["data"].get("stolen"), None);
    assert!(!cluster.plane.kubectl(&["get", "clusterrolebinding", "risen"]).success());
    assert_eq!(cluster.counted(r#"verdict_provider_changes_total{policy="rights",result="dead"}"#), 4);
    let events = cluster.plane.kubectl(&["get", "events", "--field-selector=involvedObject.name=rights"]).ok();
    assert!(events.contains("GivenUp"), "{events}");

    cluster.thing("rights", "noted", "event", &json!(0));
    eventually("an event about it", || {
        let events = cluster.plane.kubectl(&["get", "events", "--namespace=rights"]).ok();
        let is_there = events.contains("Warning") && events.contains("ToldSo") && events.contains("thing/noted");
        if is_there { Ok(()) } else { Err(events) }
    });
    cluster.thing("rights", "later", "wait", &json!(0));
    eventually("it is asked again", || {
        // As it is then, whoever says that it should be: only what is replayed is deleted by nobody.
        let told = cluster.told("rights", "later");
        if told.iter().any(|it| it[1..] == ["Modified", "", "true"]) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    cluster.thing("rights", "doomed", "delete", &json!(0));
    eventually("it is deleted", || {
        let found = cluster.plane.kubectl(&["get", "thing", "doomed", "--namespace=rights"]);
        if found.success() { Err(found) } else { Ok(()) }
    });

    // In shadow all of it is tried, and nothing is done.
    let mut shadow = cluster.get(&["provider", "rights"]);
    shadow["spec"]["shadow"] = json!(true);
    cluster.apply(&shadow).ok();
    let generation = |it: &Value| it["metadata"]["generation"].as_i64().unwrap_or_default();
    let newest = generation(&cluster.get(&["provider", "rights"]));
    eventually("it is in shadow", || {
        let watching = cluster.condition("rights", "Watching");
        if watching["observedGeneration"] == newest && watching["status"] == "True" {
            Ok(())
        } else {
            Err(watching.to_string())
        }
    });
    let handled = r#"verdict_provider_changes_total{policy="rights",result="handled"}"#;
    let before = cluster.counted(handled);
    cluster.thing("rights", "spared", "delete", &json!(0));
    cluster.thing("rights", "tried", "", &json!(0));
    eventually("both are handled", || {
        let now = cluster.counted(handled);
        if now >= before + 2 { Ok(()) } else { Err(format!("{before} before, {now} now")) }
    });
    cluster.plane.kubectl(&["get", "thing", "spared", "--namespace=rights"]).ok();
    assert!(cluster.told("rights", "tried").is_empty());
    cluster.plane.kubectl(&["delete", "provider", "rights"]).ok();
}

#[test]
fn one_that_triggers_itself_is_paused_until_it_changes() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    let provider = cluster.teller("chase", ("example.org/v1", "Thing"));
    cluster.apply(&provider).ok();
    cluster.ready("chase");
    cluster.thing("chase", "tail", "chase", &json!(0));
    let message = cluster.until("chase", "Watching", "Paused");
    assert!(message.contains("Thing chase/tail was changed 16 times"), "{message}");
    let ready = cluster.condition("chase", "Ready");
    assert_eq!(ready["status"], "False", "{ready}");
    // Nothing happens any more.
    let version = || cluster.get(&["thing", "tail", "--namespace=chase"])["metadata"]["resourceVersion"].clone();
    let before = version();
    cluster.thing("chase", "other", "", &json!(0));
    cluster.thing("chase", "tail", "", &json!(1));
    assert!(cluster.told("chase", "other").is_empty());
    assert_ne!(before, version(), "that was the test");
    let mut changed = provider;
    changed["spec"]["limits"] = json!({"timeoutMilliseconds": 1000});
    cluster.apply(&changed).ok();
    cluster.ready("chase");
    eventually("it is told again, also of what came meanwhile", || {
        let told = cluster.told("chase", "other");
        if told.is_empty() { Err("nothing yet") } else { Ok(()) }
    });
    cluster.plane.kubectl(&["delete", "provider", "chase"]).ok();
}

#[test]
fn what_cannot_be_watched_is_told_and_watched_when_it_can_be() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    let mut provider = cluster.teller("missing", ("missing.example.org/v1", "Missing"));
    provider["spec"]["events"].as_array_mut().expect("a list").push(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "on": ["ADDED"],
    }));
    cluster.apply(&provider).ok();
    let message = cluster.until("missing", "Watching", "NoSuchKind");
    assert!(message.contains("the cluster has no kind Missing in missing.example.org/v1"), "{message}");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "missings.missing.example.org", "annotations": {"do": "event"}},
        "spec": {
            "group": "missing.example.org", "scope": "Namespaced",
            "names": {"kind": "Missing", "plural": "missings", "singular": "missing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    cluster.apply(&definition).ok();
    // Now it may not be seen: the account has no right to.
    let message = cluster.until("missing", "Watching", "Forbidden");
    assert!(message.contains("system:serviceaccount:missing:teller"), "{message}");
    let group = "rbac.authorization.k8s.io";
    let rules = json!([
        {"apiGroups": ["missing.example.org"], "resources": ["missings"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ]);
    cluster.apply(&json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "missing"}, "rules": rules})).ok();
    cluster
        .apply(&json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "missing"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "missing"},
            "subjects": [{"kind": "ServiceAccount", "name": "teller", "namespace": "missing"}],
        }))
        .ok();
    cluster.ready("missing");
    // Definitions are objects as all others are.
    eventually("an event about the definition", || {
        let events = cluster.plane.kubectl(&["get", "events", "--namespace=default"]).ok();
        if events.contains("ToldSo") && events.contains("missings.missing.example.org") { Ok(()) } else { Err(events) }
    });
    cluster.plane.kubectl(&["delete", "provider", "missing"]).ok();
}

#[test]
fn a_component_that_only_answers_events_gets_changes_as_events() {
    let Some(held) = cluster() else { return };
    let cluster = &held.0;
    let mut provider = cluster.teller("echo", ("example.org/v1", "Thing"));
    provider["spec"]["component"] = json!({"image": cluster.echo});
    cluster.thing("echo", "there", "", &json!(0));
    cluster.apply(&provider).ok();
    cluster.ready("echo");
    assert_eq!(cluster.get(&["provider", "echo"])["status"]["interfaces"], json!(["provider"]));
    cluster.thing("echo", "there", "", &json!(1));
    cluster.plane.kubectl(&["delete", "thing", "there", "--namespace=echo"]).ok();
    let expected = [
        json!({"type": "ADDED", "name": "there", "before": null, "replayed": true}),
        json!({"type": "MODIFIED", "name": "there", "before": 0, "replayed": false}),
        json!({"type": "DELETED", "name": "there", "before": 1, "replayed": false}),
    ];
    eventually("its answers are in the log", || {
        let log = cluster.replicas[cluster.leader()].process.log();
        let lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let of_echo = lines.filter(|it| it["provider"] == "echo" && it["message"] == "a change was handled");
        let answers: Vec<Value> =
            of_echo.filter_map(|it| serde_json::from_str(it["answer"].as_str().unwrap_or_default()).ok()).collect();
        if answers == expected { Ok(()) } else { Err(format!("{answers:?}")) }
    });
    cluster.plane.kubectl(&["delete", "provider", "echo"]).ok();
}
