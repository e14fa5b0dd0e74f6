//! A thousand policies, and ten thousand objects that a provider is told of.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::install;
use crate::{
    registry::real::{Real, tools},
    support::{
        binaries::binaries,
        control_plane::ControlPlane,
        fixtures, http,
        pki::Pki,
        processes::folder,
        verdict::{Verdict, verdict},
        within,
    },
};

/// Opt-in: `cargo test --test verdict kube::scale -- --ignored --nocapture` prints the times and the memory.
#[test]
#[ignore = "takes minutes: it is there to be measured with"]
fn a_thousand_policies_and_ten_thousand_objects_are_ready_in_half_a_minute() {
    let (Some(binaries), Some(tools)) = (binaries(), tools()) else { return };
    let folder = folder("scale");
    let pki = Pki::new(&folder);
    let plane = ControlPlane::start(binaries, &pki, &["--authorization-mode=RBAC".to_owned()]);
    install(&plane, &["verdict"]);
    let registry = Real::start(tools, &[]);
    let image = format!("{}/echo:1", registry.host);
    let plain = format!("--registry-plain-http={}", registry.host);
    let (code, _, error) = verdict(&["push", fixtures::echo().to_str().expect("UTF-8"), &image, &plain]);
    assert_eq!(code, 0, "{error}");
    plane.kubectl(&["create", "namespace", "crowd"]).ok();
    let begin = Instant::now();
    written(
        &plane,
        &pki,
        "/api/v1/namespaces/crowd/configmaps",
        OBJECTS,
        |number| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c-{number}")}, "data": {"text": "x".repeat(1000)}}),
    );
    println!("{OBJECTS} objects of 1 KB written after {:?}", begin.elapsed());
    plane.kubectl_with(&["apply", "-f", "-"], &provider(&image).to_string()).ok();

    let start = || {
        let _ = fs::remove_file(folder.join("verdict.log"));
        let begin = Instant::now();
        let flags = ["--advertise-url=https://127.0.0.1:1", "--replica=one", &plain];
        let replica = Verdict::in_cluster(&pki, &folder, plane.kubeconfig(), &flags);
        let is_ready = || match http::get_plain(&format!("http://{}/readyz", replica.admin)) {
            Ok((200, _)) => Ok(()),
            other => Err(other),
        };
        within(Duration::from_secs(600), is_ready).expect("a replica that is ready");
        (replica, begin.elapsed())
    };
    let told = |replica: &Verdict, count: usize| {
        let begin = Instant::now();
        let all = || match changes(replica) {
            it if it >= count => Ok(()),
            it => {
                thread::sleep(Duration::from_millis(500));
                Err(it)
            }
        };
        within(Duration::from_secs(600), all).expect("a provider that is told of all objects");
        begin.elapsed()
    };
    let settled = |count: usize| {
        let begin = Instant::now();
        let all = || match ready(&plane, &pki) {
            it if it == count => Ok(()),
            it => {
                thread::sleep(Duration::from_millis(500));
                Err(it)
            }
        };
        within(Duration::from_secs(600), all).expect("policies that are ready");
        begin.elapsed()
    };

    let (mut replica, _) = start();
    println!("the provider was told of all objects after {:?}", told(&replica, OBJECTS));
    let begin = Instant::now();
    written(&plane, &pki, "/apis/verdict.dev/v1alpha1/validators", POLICIES, |number| policy(number, "l"));
    println!("{POLICIES} policies written after {:?}", begin.elapsed());
    println!("compiled, and all asked {:?} later", settled(POLICIES));
    replica.process.terminate();
    replica.process.wait(Duration::from_secs(60));
    let (replica, took) = start();
    println!("with a cache: ready after {took:?}, its peak is {} MiB", peak(replica.process.id()));

    let begin = Instant::now();
    plane.kubectl(&["annotate", "configmap", "c-7", "--namespace=crowd", "seen=no"]).ok();
    told(&replica, 1);
    println!("told of a change after {:?}, the peak is {} MiB", begin.elapsed(), peak(replica.process.id()));
    assert_eq!(changes(&replica), 1, "what it was told of before is not told again");

    let begin = Instant::now();
    let body = policy(7, "other").to_string();
    plane.kubectl_with(&["apply", "-f", "-"], &body).ok();
    plane.kubectl(&["wait", "--for=condition=Ready=False", "--timeout=60s", "validator", "p-7"]).ok();
    plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "validator", "p-7"]).ok();
    println!("one of them changed: asked after {:?}, the peak is {} MiB", begin.elapsed(), peak(replica.process.id()));
    let size = |what: &[&str]| plane.kubectl(&[&["get"], what, &["-o", "json"]].concat()).ok().len() >> 10;
    println!(
        "the report of a replica has {} KiB, the webhook configuration {} KiB",
        size(&["replica", "one", "--namespace=verdict"]),
        size(&["validatingwebhookconfiguration", "verdict"])
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
}

fn policy(number: usize, label: &str) -> Value {
    json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": format!("p-{number}")},
        "spec": {
            "component": {"builtin": "required-labels"},
            "settings": {"labels": [format!("{label}-{number}")]},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"team": format!("t-{}", number % 10)}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            },
        },
    })
}

/// A provider of all ConfigMaps of the crowd, with its account and what that may do.
fn provider(image: &str) -> Value {
    let group = "rbac.authorization.k8s.io";
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]);
    let named = json!({"name": "teller", "namespace": "crowd"});
    let items = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": named, "rules": rules}),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": named,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "teller"},
            "subjects": [{"kind": "ServiceAccount", "name": "teller", "namespace": "crowd"}],
        }),
        json!({
            "apiVersion": "verdict.dev/v1alpha1", "kind": "Provider", "metadata": {"name": "teller"},
            "spec": {
                "component": {"image": image},
                "events": [{"apiVersion": "v1", "kind": "ConfigMap", "namespaces": ["crowd"]}],
                "grants": {"kubernetes": {"serviceAccount": named}},
            },
        }),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// How many the provider was told of.
fn changes(replica: &Verdict) -> usize {
    let count = replica.metric("verdict_provider_changes_total{policy=\"teller\",result=\"handled\"}");
    usize::try_from(count).expect("a count")
}

/// How many say that they are.
fn ready(plane: &ControlPlane, pki: &Pki) -> usize {
    let url = format!("{}/apis/verdict.dev/v1alpha1/validators", plane.url);
    let (status, text) = http::get(&url, pki, Some(plane.admin()), &[]).expect("an answer");
    assert_eq!(status, 200, "{text}");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let is_ready = |it: &&Value| {
        let conditions = it["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    list["items"].as_array().into_iter().flatten().filter(is_ready).count()
}

/// MiB.
fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") >> 10
}

/// As many objects, eight at a time.
fn written(plane: &ControlPlane, pki: &Pki, path: &str, count: usize, object: impl Fn(usize) -> Value + Sync) {
    thread::scope(|scope| {
        for part in 0..8 {
            let object = &object;
            scope.spawn(move || {
                for number in (0..count).filter(|it| it % 8 == part) {
                    let (status, text) = plane.post(pki, path, &object(number)).expect("an answer");
                    assert_eq!(status, 201, "{text}");
                }
            });
        }
    });
}

const POLICIES: usize = 1_000;
const OBJECTS: usize = 10_000;
