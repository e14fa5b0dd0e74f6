//! Two replicas in real Pods, behind their Service, with a real kube-apiserver that asks them: what operators do to clusters, and what fails in
//! them, while users go on asking. See `tests/pods/README.md`.

mod chart;
mod install;
mod policies;
mod replicas;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use self::{
    install::{How, install, rolled_out, write_policies},
    policies::policies,
    replicas::{addresses, digests, gone, nodes, pods, raw, restarts, reviews},
};
use crate::support::{
    eventually,
    pods::Cluster,
    processes::{Process, folder},
    replicas::{
        Versions,
        traffic::{Asked, Question, Traffic, Way},
    },
};

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn two_replicas_come_up_and_deny() {
    let Some(cluster) = started(1) else { return };
    let denial = cluster.kubectl(&["create", "configmap", "cm", "--namespace=robots"]).refused();
    assert!(denial.contains("the label v0 is required"), "{denial}");
    cluster.kubectl(&["create", "configmap", "cm", "--namespace=default"]).ok();
    let limits =
        ["run", "one", "--image=x", "--namespace=robots", "-o", "jsonpath={.spec.containers[0].resources.limits}"];
    assert_eq!(cluster.kubectl(&limits).ok(), r#"{"memory":"1Mi"}"#);

    let (traffic, _) = traffic(&cluster);
    nothing_lost(traffic);

    let pod = &pods(&cluster)[0];
    let version = cluster.kubectl(&["exec", "--namespace=verdict", pod, "--", "/verdict", "--version"]).ok();
    assert!(version.starts_with("verdict "), "{version}");
    let log = cluster.kubectl(&["logs", "--namespace=verdict", pod]).ok();
    assert!(log.contains("\"https\":"), "{log}");
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn rolling_updates_lose_nothing() {
    let Some(cluster) = started(1) else { return };
    let (traffic, _) = traffic(&cluster);
    for _ in 0..3 {
        let before: BTreeSet<String> = pods(&cluster).into_iter().collect();
        cluster.kubectl(&["rollout", "restart", "deployment/verdict", "--namespace=verdict"]).ok();
        rolled_out(&cluster);
        assert!(pods(&cluster).iter().any(|it| !before.contains(it)), "{before:?}");
    }
    gone(&cluster, 2);
    nothing_lost(traffic);
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn draining_each_node_loses_nothing() {
    let Some(cluster) = started(2) else { return };
    assert_eq!(nodes(&cluster).len(), 2, "one replica on each");
    let (traffic, _) = traffic(&cluster);
    for node in ["node1", "node2"] {
        cluster.kubectl(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]).ok();
        rolled_out(&cluster);
        gone(&cluster, 2);
        assert!(!nodes(&cluster).contains(node), "{node} is empty");
        cluster.kubectl(&["uncordon", node]).ok();
    }
    nothing_lost(traffic);
}

/// kube-apiserver learns that a Pod is gone when its node has been silent for a while (20 s here, 50 s by default); until then it goes on asking
/// it, and with failurePolicy Fail what it asks there is refused. No webhook can help that; it must be all.
#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn what_a_killed_node_costs_ends_with_its_lease() {
    let Some(mut cluster) = started(2) else { return };
    assert_eq!(nodes(&cluster).len(), 2, "one replica on each");
    let (traffic, _) = traffic(&cluster);
    assert_eq!(traffic.tally.lost(), Vec::<String>::new());
    let killed = Instant::now();
    cluster.kill_node("node2");
    cluster.eventually_ready("node2", "Unknown");
    eventually("the Service has one address", || match addresses(&cluster) {
        it if it.len() == 1 => Ok(()),
        it => Err(format!("{it:?}")),
    });
    // And what was in flight then has had its time.
    thread::sleep(Duration::from_secs(10));
    let took = killed.elapsed();
    let (asked, lost) = (traffic.tally.total(), traffic.tally.lost().len());
    let slowest = traffic.tally.slowest();
    println!("a killed node: {lost} of {asked} requests lost in the first {took:.0?}, the slowest took {slowest:.1?}");
    assert!(took < Duration::from_secs(60), "{took:?}");

    // Another replica comes up where there is a node, and from here on nothing is lost.
    eventually("two replicas on the node that is left", || {
        let found = addresses(&cluster);
        if found.len() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    eventually("users go on asking", || if traffic.tally.total() > asked + 200 { Ok(()) } else { Err("not yet") });
    let tally = traffic.end();
    assert_eq!(tally.lost()[lost..], Vec::<String>::new());
    assert_eq!(tally.wrong(), Vec::<String>::new());
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn a_restart_of_kube_apiserver_is_no_matter() {
    let Some(mut cluster) = started(1) else { return };
    let (traffic, _) = traffic(&cluster);
    let before = restarts(&cluster);
    cluster.stop_apiserver();
    thread::sleep(Duration::from_secs(5));
    cluster.start_apiserver();
    let so_far = traffic.tally.total();
    eventually("users go on asking", || if traffic.tally.total() > so_far + 200 { Ok(()) } else { Err("not yet") });
    let tally = traffic.end();
    // What kube-apiserver could not take is its own; of what it took, nothing failed because of the webhooks.
    let lost = tally.lost();
    println!("kube-apiserver was away: {} of {} requests", lost.len(), tally.total());
    let of_webhooks: Vec<_> = lost.iter().filter(|it| it.contains("webhook")).collect();
    assert_eq!((of_webhooks, tally.wrong()), (Vec::new(), Vec::new()));
    assert_eq!(restarts(&cluster), before, "no replica was started again");
}

#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn other_policies_in_the_config_map_serve_everywhere() {
    let Some(cluster) = started(1) else { return };
    let (traffic, versions) = traffic(&cluster);
    let mut last = 0;
    for _ in 0..3 {
        let before = digests(&cluster);
        let start = Instant::now();
        last = versions.next();
        write_policies(&cluster, &policies(last));
        eventually("both replicas have it", || {
            let now = digests(&cluster);
            if now.len() == 1 && now != before { Ok(()) } else { Err(format!("{now:?}")) }
        });
        versions.is_served();
        println!("served everywhere after {:.1} s", start.elapsed().as_secs_f32());
    }
    // What is wrong changes nothing.
    let before = digests(&cluster);
    write_policies(&cluster, &policies(last).replace("required-labels", "no-such-policy"));
    eventually("the replicas say so", || {
        let told: Vec<String> = pods(&cluster).iter().map(|pod| raw(&cluster, pod, "policies")).collect();
        if told.iter().all(|it| it.contains("no-such-policy")) { Ok(()) } else { Err(told.join("\n")) }
    });
    assert_eq!(digests(&cluster), before);
    nothing_lost(traffic);
}

/// The test process itself is killed, in the middle of it all.
#[test]
#[ignore = "needs root, cgroup v1, containerd, runc and CNI plug-ins: tests/pods/README.md"]
fn nothing_is_left_of_a_test_that_was_killed() {
    if env::var_os(HELD).is_some() {
        let Some(cluster) = started(1) else { return };
        println!("HELD {}", cluster.folder().display());
        thread::sleep(Duration::from_secs(600));
        return;
    }
    let Some(cluster) = Cluster::start(1) else { return };
    let own = cluster.folder().to_owned();
    let groups = groups_of(&own);
    assert!(!groups.is_empty());
    let network = cluster.inside(&["ip", "-brief", "link"]).expect("a network");
    assert!(network.contains("node1"), "{network}");
    assert!(!Path::new("/sys/class/net/node1").exists(), "the machine's own network is as it was");
    drop(cluster);
    assert_eq!(still_there(&groups), Vec::<String>::new());

    let log = folder("killed").join("log");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env(HELD, "1").args([
        "--ignored",
        "--exact",
        "--nocapture",
        "pods::nothing_is_left_of_a_test_that_was_killed",
    ]);
    let mut held = Process::start("a test", command, &log);
    let start = Instant::now();
    let folder = loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("HELD ")
            && let Some((folder, _)) = rest.split_once('\n')
        {
            break PathBuf::from(folder);
        }
        assert!(held.ended().is_none() && start.elapsed() < Duration::from_secs(180), "{text}");
        thread::sleep(Duration::from_millis(100));
    };
    let groups = groups_of(&folder);
    assert!(!groups.is_empty());
    held.kill();
    eventually("nothing is left", || {
        let left = still_there(&groups);
        if left.is_empty() && !folder.join("nodes").exists() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    let mounts = fs::read_to_string("/proc/mounts").expect("proc");
    assert!(!mounts.contains(folder.to_str().expect("UTF-8")), "{mounts}");
}

/// With the first version of the policies; users may use the namespace `robots`.
fn started(nodes: usize) -> Option<Cluster> {
    let mut cluster = Cluster::start(nodes)?;
    install(&mut cluster, &How::Files { policies: &policies(0) });
    cluster.kubectl(&["create", "namespace", "robots"]).ok();
    let of_users = [
        (["create", "configmap", "marker", "-n", "robots", "--dry-run=server"].as_slice(), "the label v0 is required"),
        (&["run", "marker", "--image=x", "-n", "robots", "--dry-run=server", "-o", "yaml"], "memory: 1Mi"),
    ];
    for (args, words) in of_users {
        eventually("the webhook is live", || {
            let output = cluster.kubectl(args);
            if output.to_string().contains(words) { Ok(()) } else { Err(output) }
        });
    }
    Some(cluster)
}

/// Users who ask kube-apiserver all the time, about what the policies validate and mutate; so many that it asks both replicas, since it keeps
/// its connections.
fn traffic(cluster: &Cluster) -> (Traffic, Arc<Versions>) {
    let versions = Arc::new(Versions::first());
    let asked = Asked {
        way: Way::ApiServer(cluster.url.clone(), cluster.admin.clone()),
        direct: String::new(),
        pki: &cluster.pki,
        client: &cluster.admin,
        versions: &versions,
    };
    let questions = [Question::Validate, Question::Mutate];
    let traffic = Traffic::to(&asked, &questions, 4, Duration::from_millis(20));
    eventually("both replicas are asked", || {
        let asked: Vec<u64> = pods(cluster).iter().map(|pod| reviews(cluster, pod)).collect();
        if asked.len() == 2 && asked.iter().all(|it| *it > 10) { Ok(()) } else { Err(format!("{asked:?}")) }
    });
    (traffic, versions)
}

#[track_caller]
fn nothing_lost(traffic: Traffic) {
    let so_far = traffic.tally.total();
    eventually("users go on asking", || if traffic.tally.total() > so_far + 200 { Ok(()) } else { Err("not yet") });
    let tally = traffic.end();
    println!("{:?}, the slowest took {:?}", tally.counts(), tally.slowest());
    assert_eq!((tally.lost(), tally.wrong()), (Vec::new(), Vec::new()));
    assert!(tally.counts().values().all(|it| *it > 50), "{:?}", tally.counts());
}

/// The control groups of a cluster.
fn groups_of(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("cgroups")).expect("the control groups");
    text.lines().map(str::to_owned).collect()
}

fn still_there(groups: &[String]) -> Vec<String> {
    groups.iter().filter(|it| fs::metadata(it).is_ok()).cloned().collect()
}

/// Set for the process that is to be killed.
const HELD: &str = "VERDICT_PODS_HELD";
