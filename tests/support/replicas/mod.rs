//! Two servers with the same files behind a balancer, and what happens to them over time: other policies, other certificates, restarts.
//! Their policies come in versions, which can be told from each answer.

pub mod balancer;
pub mod traffic;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    http,
    pki::{Identity, Pki},
    verdict::Verdict,
    within,
};
use balancer::Balancer;

/// Two servers and their balancer.
pub struct Replicas {
    pub pki: Arc<Pki>,
    pub balancer: Balancer,
    pub versions: Arc<Versions>,
    pub servers: [Verdict; 2],
    /// What is declared beside the policies of a version.
    more: String,
    folder: PathBuf,
    flags: Vec<String>,
    starts: usize,
}

/// Which versions of the policies there were, and when.
pub struct Versions {
    /// When each was written.
    written: Mutex<Vec<Instant>>,
    /// From when on every server had each or a later one.
    served: Mutex<Vec<Instant>>,
}

impl Versions {
    /// Only the first, which every server has.
    pub fn first() -> Self {
        let now = Instant::now();
        Self { written: Mutex::new(vec![now]), served: Mutex::new(vec![now]) }
    }

    /// The number of another, which is about to be written.
    pub fn next(&self) -> usize {
        let mut written = lock(&self.written);
        written.push(Instant::now());
        written.len() - 1
    }

    /// Every server has one more of those that were written.
    pub fn is_served(&self) {
        lock(&self.served).push(Instant::now());
    }

    /// Those that an answer may show: from the one that everybody had when it was asked for, to the last that was written when it came.
    pub fn between(&self, asked: Instant, answered: Instant) -> std::ops::RangeInclusive<usize> {
        let last = |moments: &Mutex<Vec<Instant>>, at| lock(moments).iter().rposition(|it| *it <= at).unwrap_or(0);
        last(&self.served, asked)..=last(&self.written, answered)
    }
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replicas {
    /// Both with the first version, and with these policies and flags beside it.
    pub fn start(folder: &Path, more: &str, flags: &[&str]) -> Self {
        let pki = Arc::new(Pki::new(&folder.join("pki")));
        fs::create_dir_all(folder.join("policies")).expect("a writable folder");
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        write(folder, 0, more);
        let servers = [0, 1].map(|number| serve(&pki, folder, number, &flags));
        Self {
            balancer: Balancer::new(servers.iter().map(places)),
            versions: Arc::new(Versions::first()),
            pki,
            servers,
            more: more.to_owned(),
            folder: folder.to_owned(),
            flags,
            starts: 2,
        }
    }

    /// What callers show.
    pub fn client(&self) -> &Identity {
        &self.servers[0].client
    }

    /// Writes the next version and waits until both have it.
    pub fn reload(&self) {
        let version = self.versions.next();
        write(&self.folder, version, &self.more);
        for server in &self.servers {
            let url = format!("https://{}/validate/version", server.https);
            let shows = || {
                let found = traffic::validate(&url, &self.pki, self.client());
                if found == Ok(version) { Ok(()) } else { Err(format!("{found:?}\n{}", server.process.tail())) }
            };
            within(Duration::from_secs(60), shows).unwrap_or_else(|last| panic!("version {version}: {last}"));
        }
        self.versions.is_served();
    }

    /// Gives both another certificate, and waits until they show it.
    pub fn rotate(&self) {
        let before = self.servers.each_ref().map(|it| shown(it, &self.pki));
        self.pki.renew_server("verdict", &["verdict.verdict.svc"]);
        for (server, before) in self.servers.iter().zip(before) {
            let other = || if shown(server, &self.pki) == before { Err(server.process.tail()) } else { Ok(()) };
            within(Duration::from_secs(60), other).unwrap_or_else(|last| panic!("the certificate: {last}"));
        }
    }

    /// Ends one of them and starts it again, as a rolling update does.
    pub fn restart(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.process.terminate();
        let status = server.process.wait(Duration::from_secs(60));
        assert!(status.success(), "{status}\n{}", server.process.tail());
        *server = serve(&self.pki, &self.folder, self.starts, &self.flags);
        self.starts += 1;
        self.balancer.replace(number, places(&self.servers[number]));
    }
}

fn places(server: &Verdict) -> (SocketAddr, SocketAddr) {
    (server.https, server.admin)
}

fn serve(pki: &Pki, folder: &Path, number: usize, flags: &[String]) -> Verdict {
    let own = folder.join(format!("server-{number}"));
    fs::create_dir_all(&own).expect("a writable folder");
    let (policies, cache) = (folder.join("policies"), folder.join("cache"));
    let mut all = vec!["--policies", policies.to_str().expect("UTF-8"), "--cache-dir", cache.to_str().expect("UTF-8")];
    all.extend(flags.iter().map(String::as_str));
    Verdict::start(pki, &own, &all)
}

/// The certificate that it shows.
fn shown(server: &Verdict, pki: &Pki) -> Vec<u8> {
    let mut connection = rustls::ClientConnection::new(
        Arc::new(http::tls(pki, Some(&server.client))),
        "localhost".try_into().expect("a name"),
    )
    .expect("a configuration");
    let mut stream = TcpStream::connect(server.https).expect("a server that listens");
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).expect("a handshake");
    }
    connection.peer_certificates().and_then(<[_]>::first).expect("a certificate").to_vec()
}

/// Under another name first: nobody reads half of it.
fn write(folder: &Path, version: usize, more: &str) {
    let unfinished = folder.join("unfinished");
    fs::write(&unfinished, policies(version) + more).expect("a writable folder");
    fs::rename(&unfinished, folder.join("policies/policies.yaml")).expect("a writable folder");
}

/// A policy for each question, of which all but the authorizer tell their version.
fn policies(version: usize) -> String {
    let policy = |kind: &str, name: &str, builtin: &str, settings: serde_json::Value| {
        let spec = json!({"component": {"builtin": builtin}, "settings": settings});
        let metadata = json!({"name": name});
        format!(
            "---\n{}\n",
            json!({"apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
        )
    };
    let tokens = (0..TOKENS).map(|number| {
        let digest: String = Sha256::digest(token(number)).iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"sha256": digest, "user": {"username": "robot", "groups": ["robots", format!("v{version}")]}})
    });
    let tokens: Vec<_> = tokens.collect();
    let rules = json!([{"group": "robots", "namespaces": ["robots"], "verbs": ["list"]}]);
    [
        policy("Validator", "version", "required-labels", json!({"labels": [format!("v{version}")]})),
        policy("Mutator", "version", "default-resources", json!({"limits": {"memory": format!("{}Mi", version + 1)}})),
        policy("Authenticator", "version", "token-file", json!({"tokens": tokens})),
        policy("Authorizer", "robots", "namespace-groups", json!({"rules": rules})),
        policy("Provider", "caesar", "caesar-cipher", json!({})),
    ]
    .concat()
}

/// One of [`TOKENS`].
pub fn token(number: usize) -> String {
    format!("token-of-robot-{number}")
}

/// So many that kube-apiserver, which keeps those that are good for ten seconds, asks about each.
pub const TOKENS: usize = 300;
