//! What happens to a cluster, while somebody asks all the time: the leader is cut off, kube-apiserver is away, watches are lost, policies change
//! fast. Two replicas behind a balancer, each on a way of its own to kube-apiserver.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{install, show};
use crate::support::{
    binaries::{Binaries, binaries},
    control_plane::{ControlPlane, kubeconfig_of},
    eventually, http,
    link::{Link, Way as Connections},
    pki::Pki,
    processes::folder,
    replicas::{
        Versions,
        balancer::Balancer,
        traffic::{self, Asked, Question, Tally, Traffic, Way},
    },
    verdict::Verdict,
};

/// A cluster with two replicas whose policy `version`, a validator of the namespace `robots`, comes in versions.
struct Cluster {
    plane: ControlPlane,
    pki: Pki,
    balancer: Balancer,
    replicas: Vec<Verdict>,
    /// Of each replica, to kube-apiserver.
    links: Vec<Link>,
    versions: Arc<Versions>,
}

const NAMES: [&str; 2] = ["one", "two"];

impl Drop for Cluster {
    fn drop(&mut self) {
        show(&self.plane, &self.replicas);
    }
}

fn flags() -> [String; 1] {
    ["--authorization-mode=RBAC".to_owned()]
}

fn start(binaries: &'static Binaries, name: &str) -> Cluster {
    let folder = folder(name);
    let pki = Pki::new(&folder);
    let plane = ControlPlane::start(binaries, &pki, &flags());
    install(&plane, &["verdict", "robots"]);
    let balancer = Balancer::new([]);
    let links: Vec<Link> = NAMES.iter().map(|_| Link::new(address(&plane))).collect();
    let replica = |(name, link): (&&str, &Link)| {
        let folder: PathBuf = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        let kubeconfig = folder.join("kubeconfig");
        let text = kubeconfig_of(&format!("https://{}", link.address), &pki, Some(plane.admin()));
        std::fs::write(&kubeconfig, text).expect("a writable folder");
        let url = format!("--advertise-url=https://{}", balancer.address);
        let replica = Verdict::in_cluster(&pki, &folder, &kubeconfig, &[&url, &format!("--replica={name}")]);
        balancer.add((replica.https, replica.admin));
        replica
    };
    let replicas = NAMES.iter().zip(&links).map(replica).collect();
    let cluster = Cluster { replicas, plane, pki, balancer, links, versions: Arc::new(Versions::first()) };
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &policy("version", &labels(0)).to_string()).ok();
    cluster.plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "validator", "version"]).ok();
    cluster
}

fn address(plane: &ControlPlane) -> SocketAddr {
    plane.url.trim_start_matches("https://").parse().expect("an address")
}

fn labels(version: usize) -> Value {
    json!([format!("v{version}")])
}

fn policy(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": name},
        "spec": {
            "component": {"builtin": "required-labels"},
            "settings": {"labels": labels},
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "robots"}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            },
        },
    })
}

impl Cluster {
    /// Users who ask kube-apiserver.
    fn users(&self) -> Traffic {
        self.callers(Way::ApiServer(self.plane.url.clone(), self.plane.admin().clone()))
    }

    /// Callers of the replicas themselves, whatever becomes of kube-apiserver.
    fn callers(&self, way: Way) -> Traffic {
        let asked = Asked {
            way,
            direct: format!("https://{}", self.balancer.address),
            pki: &self.pki,
            client: &self.replicas[0].client,
            versions: &self.versions,
        };
        Traffic::to(&asked, &[Question::Validate], 2, Duration::from_millis(10))
    }

    /// Writes these settings; gives the object's generation.
    fn edit(&self, labels: &Value) -> u64 {
        let url = format!("{}/apis/verdict.dev/v1alpha1/validators/version", self.plane.url);
        let body = json!({"spec": {"settings": {"labels": labels}}}).to_string();
        let head = [("content-type", "application/merge-patch+json")];
        let tls = http::tls(&self.pki, Some(self.plane.admin()));
        let (status, text) = http::ask("PATCH", &url, &head, body, tls).expect("an answer");
        assert_eq!(status, 200, "{text}");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        object["metadata"]["generation"].as_u64().expect("a generation")
    }

    /// The next version, which nobody has yet.
    fn next(&self) -> usize {
        let version = self.versions.next();
        self.edit(&labels(version));
        version
    }

    /// Until this replica answers so.
    fn serves(&self, replica: &Verdict, version: usize) {
        let url = format!("https://{}/validate/version", replica.https);
        eventually("the version serves", || {
            let found = traffic::validate(&url, &self.pki, &replica.client);
            if found == Ok(version) { Ok(()) } else { Err(format!("{found:?}, expected {version}")) }
        });
    }

    /// Until all do.
    fn is_served(&self, version: usize) {
        self.replicas.iter().for_each(|it| self.serves(it, version));
        self.versions.is_served();
    }

    fn get(&self, what: &[&str]) -> Value {
        let text = self.plane.kubectl(&[&["get"], what, &["-o", "json"]].concat()).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    /// The place of the replica that leads.
    fn leader(&self) -> usize {
        eventually("one leads", || {
            let lease = self.get(&["lease", "verdict", "--namespace=verdict"]);
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            NAMES.iter().position(|it| *it == holder).ok_or(holder)
        })
    }

    /// The version of what is registered: each write is another.
    fn registered(&self) -> String {
        self.get(&["validatingwebhookconfiguration", "verdict"])["metadata"]["resourceVersion"].to_string()
    }

    /// Until the policy's status says that the version that was written last is asked, and served by both.
    fn is_settled(&self) {
        eventually("both serve it, and its status says so", || {
            let object = self.get(&["validator", "version"]);
            let (status, generation) = (&object["status"], &object["metadata"]["generation"]);
            let ready =
                |it: &Value| it["type"] == "Ready" && it["status"] == "True" && it["observedGeneration"] == *generation;
            let is_ready = status["conditions"].as_array().into_iter().flatten().any(ready);
            let is_whole = status["replicas"] == json!({"ready": 2, "total": 2});
            if is_ready && is_whole { Ok(()) } else { Err(format!("{generation} {status}")) }
        });
    }

    fn are_ready(&self) {
        for replica in &self.replicas {
            let answer = http::get_plain(&format!("http://{}/readyz", replica.admin));
            assert!(matches!(answer, Ok((200, _))), "{answer:?}");
        }
    }
}

/// Nobody went without an answer, and nobody got a wrong one.
fn all_is_well(tally: &Tally) {
    println!("{} answers, the slowest after {:?}", tally.total(), tally.slowest());
    assert_eq!((tally.lost(), tally.wrong()), (Vec::new(), Vec::new()));
    assert!(tally.total() > 20, "{}", tally.total());
}

/// So many times what the default run does.
fn rounds() -> usize {
    std::env::var("VERDICT_DISTURBED").map_or(1, |it| it.parse().expect("a number in VERDICT_DISTURBED"))
}

#[test]
fn a_leader_that_is_cut_off_is_followed_by_another_and_comes_back_in_peace() {
    let Some(binaries) = binaries() else { return };
    let cluster = start(binaries, "cut");
    let users = cluster.users();
    for _ in 0..rounds() {
        for way in [Connections::Refused, Connections::Silent] {
            let before = cluster.leader();
            let other = 1 - before;
            cluster.links[before].set(way);
            // While nobody leads yet.
            let version = cluster.next();
            cluster.serves(&cluster.replicas[other], version);
            eventually("the other one leads", || {
                let now = cluster.leader();
                if now == other { Ok(()) } else { Err(now) }
            });
            let registered = cluster.registered();
            let version = cluster.next();
            cluster.serves(&cluster.replicas[other], version);
            cluster.are_ready();

            cluster.links[before].set(Connections::Open);
            cluster.is_served(version);
            // Versions that one of them never had.
            while cluster.versions.between(Instant::now(), Instant::now()).start() < &version {
                cluster.versions.is_served();
            }
            cluster.is_settled();
            thread::sleep(QUIET);
            assert_eq!((cluster.leader(), cluster.registered()), (other, registered), "{way:?}");
        }
    }
    all_is_well(&users.end());
}

#[test]
fn while_kube_apiserver_is_away_what_serves_goes_on_and_then_nothing_is_lost() {
    let Some(binaries) = binaries() else { return };
    let mut cluster = start(binaries, "away");
    let callers = cluster.callers(Way::Direct);
    let away = AWAY * u32::try_from(rounds()).expect("not so many");

    // It stands still.
    let registered = cluster.registered();
    cluster.plane.pause();
    thread::sleep(away);
    cluster.are_ready();
    cluster.plane.resume();
    let users = cluster.users();
    let version = cluster.next();
    cluster.is_served(version);
    cluster.is_settled();
    assert_eq!(cluster.registered(), registered);
    all_is_well(&users.end());

    // It ends, and comes back.
    cluster.plane.crash();
    thread::sleep(away);
    cluster.are_ready();
    cluster.plane.start_again(&cluster.pki, &flags());
    cluster.links.iter().for_each(|it| it.lead_to(address(&cluster.plane)));
    let users = cluster.users();
    let version = cluster.next();
    cluster.is_served(version);
    cluster.is_settled();
    assert_eq!(cluster.registered(), registered);
    all_is_well(&users.end());

    // The store forgets, while nobody watches, what happened meanwhile.
    for name in ["goes", "stays"] {
        cluster.plane.kubectl_with(&["apply", "-f", "-"], &policy(name, &labels(version)).to_string()).ok();
        cluster.plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "validator", name]).ok();
    }
    cluster.links.iter().for_each(|it| it.set(Connections::Refused));
    let version = cluster.next();
    cluster.plane.kubectl(&["delete", "validator", "goes"]).ok();
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &policy("comes", &labels(version)).to_string()).ok();
    cluster.plane.crash();
    cluster.plane.compact(&cluster.pki);
    cluster.plane.start_again(&cluster.pki, &flags());
    let since = cluster.plane.audit().len();
    cluster.links.iter().for_each(|it| it.lead_to(address(&cluster.plane)));
    cluster.links.iter().for_each(|it| it.set(Connections::Open));
    cluster.is_served(version);
    cluster.is_settled();
    cluster.plane.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "validator", "comes", "stays"]).ok();
    eventually("what was deleted is asked no more", || {
        let names = cluster.get(&["validatingwebhookconfiguration", "verdict"])["metadata"]["annotations"].to_string();
        if names.contains("goes") { Err(names) } else { Ok(()) }
    });
    // Who had watched began anew, with a list.
    let audit = cluster.plane.audit();
    let lists = audit[since..].iter().filter(|it| {
        let is_kubectl = it["userAgent"].as_str().unwrap_or_default().starts_with("kubectl");
        it["verb"] == "list" && it["objectRef"]["resource"] == "validators" && !is_kubectl
    });
    assert!(lists.count() >= 2, "both replicas list again");
    all_is_well(&callers.end());
}

/// Ten edits, of which two are bad, one after the other as fast as both replicas follow; then it is deleted. With VERDICT_DISTURBED=5 fifty.
#[test]
fn fast_edits_are_each_served_or_told_and_a_deleted_policy_leaves_no_hole() {
    let Some(binaries) = binaries() else { return };
    let cluster = start(binaries, "edits");
    let users = cluster.users();
    for number in 0..10 * rounds() {
        if number % 5 != 3 {
            let version = cluster.next();
            cluster.is_served(version);
            continue;
        }
        let generation = cluster.edit(&json!("no list"));
        eventually("the mistake is told", || {
            let status = cluster.get(&["validator", "version"])["status"].clone();
            let message = status["message"].as_str().unwrap_or_default();
            let is_told = message.contains("serves as it was before") && status["observedGeneration"] == generation;
            if is_told { Ok(()) } else { Err(status.to_string()) }
        });
    }
    cluster.is_settled();
    all_is_well(&users.end());

    // Deleted: denied until kube-apiserver is told not to ask any more, and from then on allowed; nothing else, ever.
    let last = *cluster.versions.between(Instant::now(), Instant::now()).start();
    let ask = || {
        let path = "/api/v1/namespaces/robots/configmaps?dryRun=All";
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "deleted-"}});
        cluster.plane.post(&cluster.pki, path, &object).expect("an answer")
    };
    cluster.plane.kubectl(&["delete", "validator", "version"]).ok();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut denials = 0;
    let text = loop {
        let (status, text) = ask();
        if status == 201 {
            break text;
        }
        assert!(status == 403 && text.contains(&format!("the label v{last}")), "{status} {text}");
        denials += 1;
        assert!(Instant::now() < deadline, "it is asked after a minute");
    };
    let registered = cluster.get(&["validatingwebhookconfiguration", "verdict"])["webhooks"].clone();
    assert!(!registered.to_string().contains("version\""), "after {denials} denials: {registered} {text}");
    // Those who go on asking the replicas get their answer for a while, and nobody is asked without one.
    let begin = Instant::now();
    while begin.elapsed() < GONE {
        let (status, text) = ask();
        assert_eq!(status, 201, "{text}");
    }
    for replica in &cluster.replicas {
        assert_eq!(replica.labelled("verdict_requests_total", "code=\"404\""), 0);
        assert_eq!(replica.labelled("verdict_requests_total", "code=\"500\""), 0);
    }
    eventually("it answers nobody any more", || {
        let url = format!("https://{}/validate/version", cluster.replicas[0].https);
        let (status, _) = http::post(&url, "{}".to_owned(), &cluster.pki, Some(&cluster.replicas[0].client))?;
        if status == 404 { Ok(()) } else { Err(status.to_string()) }
    });
}

/// In which nothing may be written again.
const QUIET: Duration = Duration::from_secs(3);
/// How long kube-apiserver is away.
const AWAY: Duration = Duration::from_secs(5);
/// Longer than a policy goes on answering after nobody is told to ask it.
const GONE: Duration = Duration::from_secs(12);
