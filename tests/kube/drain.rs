//! SIGTERM while requests run.

use std::{fs, thread, time::Duration};

use serde_json::json;

use super::{
    cluster::{cluster, policy},
    registration::{Namespaces, rules, webhook, webhooks},
};
use crate::support::{eventually, fixtures::misbehaving, processes::folder, verdict::Verdict};

#[test]
fn requests_in_flight_are_answered_when_the_server_ends() {
    let Some(cluster) = cluster() else { return };
    let folder = folder("drain");
    fs::create_dir_all(&folder).expect("a writable folder");
    // Each review takes 3 seconds, and then allows with a warning.
    let slow = policy(
        "slow",
        misbehaving("admission").to_str().expect("UTF-8"),
        &json!({"do": "sleep"}),
        &json!({"limits": {"timeoutMilliseconds": 3000}, "limitPolicy": "Ignore"}),
    );
    let mut verdict = Verdict::serve(&cluster.pki, &folder, &slow, &["--drain-delay=1s"]);
    cluster.namespace("drain");
    let hook = webhook(
        "slow.verdict.test",
        &cluster.pki,
        &verdict,
        "/validate/slow",
        Namespaces::Only("drain"),
        &rules("", "v1", "secrets"),
    );
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &webhooks("Validating", "drain", &[hook])).ok();
    eventually("the webhook is live", || {
        let output =
            cluster.plane.kubectl(&["create", "secret", "generic", "marker", "-n", "drain", "--dry-run=server"]);
        if output.stderr.starts_with("Warning: slow: ") { Ok(()) } else { Err(output) }
    });

    let plane = &cluster.plane;
    let names: Vec<String> = (0..6).map(|number| format!("in-flight-{number}")).collect();
    thread::scope(|scope| {
        let requests: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(move || plane.kubectl(&["create", "secret", "generic", name, "-n", "drain"])))
            .collect();
        eventually("all are in flight", || match verdict.in_flight("validate") {
            6 => Ok(()),
            other => Err(other),
        });
        verdict.process.terminate();
        for request in requests {
            let output = request.join().expect("no panic");
            assert_eq!(
                output.stderr, "Warning: slow: the policy took too long; ignored because of limitPolicy\n",
                "{output}"
            );
            output.ok();
        }
    });
    let status = verdict.process.wait(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    plane.kubectl(&["delete", "validatingwebhookconfiguration", "drain"]).ok();
}
