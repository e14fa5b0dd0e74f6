//! SIGTERM while requests run.

use std::{fs, path::Path, thread, time::Duration};

use serde_json::json;

use super::{
    cluster::{cluster, policy},
    registration::{Namespaces, admission, authorization, authorizer, kubeconfig, rules, webhook, webhooks},
};
use crate::support::{
    binaries::{Binaries, binaries},
    control_plane::{ControlPlane, Output},
    eventually,
    fixtures::misbehaving,
    pki::Pki,
    processes::folder,
    replicas::{
        Replicas,
        traffic::{Question, Traffic, Way},
    },
    verdict::Verdict,
};

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

/// Reloads, other certificates and rolling restarts, while users go on asking. `VERDICT_ROLLING=10`: so many restarts of each, ten reloads and two
/// rotations beside each.
#[test]
fn nothing_is_lost_while_replicas_reload_rotate_and_restart() {
    let Some(binaries) = binaries() else { return };
    let rounds: usize =
        std::env::var("VERDICT_ROLLING").map_or(1, |it| it.parse().expect("a number in VERDICT_ROLLING"));
    let folder = folder("rolling");
    let mut replicas = Replicas::start(&folder, "", &["--drain-delay=1s"]);
    let plane = behind(&replicas, binaries, &folder);
    let way = Way::ApiServer(plane.url.clone(), plane.admin().clone());
    let traffic = Traffic::start(&replicas, &way, &Question::OF_USERS, 2, Duration::from_millis(10));
    let (mut reloads, mut rotations, mut restarts) = (0, 0, 0);
    for round in 0..rounds {
        for number in 0..10 {
            replicas.reload();
            reloads += 1;
            if number % 5 == 4 {
                replicas.rotate();
                rotations += 1;
            }
        }
        // One after the other, each while the other serves.
        for number in [0, 1] {
            replicas.restart(number);
            restarts += 1;
        }
        let so_far = traffic.tally.total();
        eventually("requests go on", || if traffic.tally.total() > so_far + 20 { Ok(()) } else { Err(round) });
        println!("{reloads} reloads, {rotations} rotations, {restarts} restarts: {} requests", traffic.tally.total());
        assert_eq!((traffic.tally.lost(), traffic.tally.wrong()), (Vec::new(), Vec::new()));
    }
    let tally = traffic.end();
    println!("{:?}, the slowest took {:?}", tally.counts(), tally.slowest());
    assert_eq!((tally.lost(), tally.wrong()), (Vec::new(), Vec::new()));
    assert!(tally.counts().values().all(|it| *it > 20), "{:?}", tally.counts());
}

/// A control plane that asks the balancer of these replicas about everything.
fn behind(replicas: &Replicas, binaries: &'static Binaries, folder: &Path) -> ControlPlane {
    let pki = &replicas.pki;
    let config = |path| kubeconfig(folder, pki, replicas, path);
    let mut authorizer = authorizer("verdict", &config("/authorize"), "Deny", &["robot"]);
    // Else the same question is asked once in five minutes.
    authorizer["webhook"]["cacheAuthorizedRequests"] = json!(false);
    authorizer["webhook"]["cacheUnauthorizedRequests"] = json!(false);
    let flags = [
        format!("--authorization-config={}", authorization(folder, vec![authorizer]).display()),
        format!("--admission-control-config-file={}", admission(folder, pki, replicas).display()),
        format!("--authentication-token-webhook-config-file={}", config("/authenticate").display()),
        "--authentication-token-webhook-version=v1".to_owned(),
        "--authentication-token-webhook-cache-ttl=0s".to_owned(),
    ];
    let plane = ControlPlane::start(binaries, pki, &flags);
    plane.kubectl(&["create", "namespace", "robots"]).ok();
    for (kind, path, resource) in
        [("Validating", "/validate/version", "configmaps"), ("Mutating", "/mutate/version", "pods")]
    {
        let hook = webhook(
            "version.verdict.test",
            pki,
            replicas,
            path,
            Namespaces::Only("robots"),
            &rules("", "v1", resource),
        );
        plane.kubectl_with(&["apply", "-f", "-"], &webhooks(kind, "rolling", &[hook])).ok();
    }
    let of_users = [
        (["create", "configmap", "marker", "-n", "robots", "--dry-run=server"].as_slice(), "the label v0 is required"),
        (&["run", "marker", "--image=x", "-n", "robots", "--dry-run=server", "-o", "yaml"], "memory: 1Mi"),
    ];
    for (args, words) in of_users {
        eventually("the webhook is live", || {
            let output = plane.kubectl(args);
            if output.to_string().contains(words) { Ok(()) } else { Err(output) }
        });
    }
    plane
}

/// The answer to a puzzle: kube-apiserver closes connections itself on which reviews are in flight. When it finds another client certificate in its
/// file, which it looks at for each handshake and every five minutes, it closes all that it has with the old one, the one that it is about to open
/// among them (client-go, `transport/cert_rotation.go` and `util/connrotation`). Nothing that a server says or does can keep them. What can be done:
/// not to make handshakes needlessly, and to tell operators (`manifests/README.md`).
#[test]
fn another_client_certificate_ends_what_kube_apiserver_has_in_flight() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("puzzle");
    let pki = Pki::new(&folder.join("pki"));
    let slow = policy(
        "slow",
        misbehaving("admission").to_str().expect("UTF-8"),
        &json!({"do": "sleep"}),
        &json!({"limits": {"timeoutMilliseconds": 8000}, "limitPolicy": "Ignore"}),
    );
    // The server asks for a new connection soon, and lets what is in flight on the old one end there.
    let verdict = Verdict::serve(&pki, &folder, &slow, &["--connection-age=1s"]);
    let flags = [format!("--admission-control-config-file={}", admission(&folder, &pki, &verdict).display())];
    let plane = ControlPlane::start(binaries, &pki, &flags);
    plane.kubectl(&["create", "namespace", "puzzle"]).ok();
    let only = Namespaces::Only("puzzle");
    let hook = webhook("slow.verdict.test", &pki, &verdict, "/validate/slow", only, &rules("", "v1", "secrets"));
    plane.kubectl_with(&["apply", "-f", "-"], &webhooks("Validating", "puzzle", &[hook])).ok();
    let create = |name: &str| plane.kubectl(&["create", "secret", "generic", name, "-n", "puzzle"]);
    eventually("the webhook is live", || {
        let output = create("marker");
        if output.stderr.starts_with("Warning: slow: ") { Ok(()) } else { Err(output) }
    });
    let told = |output: &Output| output.stderr.contains("use of closed network connection");
    thread::scope(|scope| {
        let in_flight = scope.spawn(|| create("in-flight"));
        eventually("it is in flight", || if verdict.in_flight("validate") == 1 { Ok(()) } else { Err("not yet") });
        pki.renew_client("kube-apiserver-webhook-client");
        // Once the connection of the first has been told to end, the next review needs another one, with a handshake.
        let other = eventually("one of them is cut off", || {
            let output =
                plane.kubectl(&["create", "secret", "generic", "other", "-n", "puzzle", "--request-timeout=2s"]);
            if told(&output) || in_flight.is_finished() { Ok(output) } else { Err(output) }
        });
        let in_flight = in_flight.join().expect("no panic");
        assert!(told(&in_flight) || told(&other), "{in_flight}\n{other}");
    });
    // And then all is well.
    eventually("reviews are answered again", || {
        let output = create("after");
        if output.success() { Ok(()) } else { Err(output) }
    });
}
