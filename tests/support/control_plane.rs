//! etcd and kube-apiserver on loopback: no kubelet, no controllers, no containers, no root.
//!
//! Knows nothing of Verdict: whoever starts one gives the flags. Objects need names of their own where tests share a control plane,
//! and namespaces are never really removed, since no controller runs.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    binaries::Binaries,
    http,
    pki::{Identity, Pki},
    processes::{Process, folder},
};

/// From the start of the processes to `/readyz`: 3 s on an idle machine, much more on a busy one.
const READY: Duration = Duration::from_secs(120);

/// A running API server and its store.
pub struct ControlPlane {
    // Dropped in this order: the API server first.
    apiserver: Process,
    _etcd: Process,
    binaries: &'static Binaries,
    folder: PathBuf,
    kubeconfig: PathBuf,
    admin: Identity,
    etcd_url: String,
    pub url: String,
}

/// What kubectl did.
#[derive(Debug)]
pub struct Output {
    command: String,
    success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl ControlPlane {
    /// Starts both and waits until the API server is ready. `flags` are kube-apiserver's, besides those that every test needs.
    pub fn start(binaries: &'static Binaries, pki: &Pki, flags: &[String]) -> Self {
        let folder = folder("control-plane");
        fs::write(folder.join("audit-policy.yaml"), AUDIT_POLICY).expect("a writable folder");
        pki.server("kube-apiserver", &["kubernetes.default.svc"]);
        pki.signing_key("service-accounts");
        let admin = pki.client("admin", &["system:masters"]);
        let (etcd, etcd_url) = start_etcd(binaries, &folder);
        let kubeconfig = folder.join("admin.kubeconfig");
        let (apiserver, url) = start_apiserver(binaries, pki, &folder, &etcd_url, &admin, flags);
        fs::write(&kubeconfig, kubeconfig_of(&url, pki, Some(&admin))).expect("a writable folder");
        Self { apiserver, _etcd: etcd, binaries, folder, kubeconfig, admin, etcd_url, url }
    }

    /// Ends the API server and starts it again on the same store with other flags.
    pub fn restart(self, pki: &Pki, flags: &[String]) -> Self {
        let Self { binaries, .. } = self;
        drop(self.apiserver);
        let (apiserver, url) = start_apiserver(binaries, pki, &self.folder, &self.etcd_url, &self.admin, flags);
        let config = kubeconfig_of(&url, pki, Some(&self.admin));
        fs::write(&self.kubeconfig, config).expect("a writable folder");
        Self { apiserver, url, ..self }
    }

    /// Ends the API server at once, without a word to anybody.
    pub fn crash(&mut self) {
        self.apiserver.kill();
    }

    /// Starts it again on the same store, elsewhere.
    pub fn start_again(&mut self, pki: &Pki, flags: &[String]) {
        let (apiserver, url) = start_apiserver(self.binaries, pki, &self.folder, &self.etcd_url, &self.admin, flags);
        fs::write(&self.kubeconfig, kubeconfig_of(&url, pki, Some(&self.admin))).expect("a writable folder");
        (self.apiserver, self.url) = (apiserver, url);
    }

    /// The API server stands still.
    pub fn pause(&self) {
        self.apiserver.pause();
    }

    /// It goes on.
    pub fn resume(&self) {
        self.apiserver.resume();
    }

    /// The store forgets all that was before now: watches cannot begin there any more.
    pub fn compact(&self, pki: &Pki) {
        let ask = |path: &str, body: serde_json::Value| {
            let url = format!("{}/v3/kv/{path}", self.etcd_url);
            let (status, text) = http::ask("POST", &url, &[], body.to_string(), http::tls(pki, None)).expect("etcd");
            assert_eq!(status, 200, "{text}");
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
        };
        let now = ask("range", serde_json::json!({"key": "AA=="}))["header"]["revision"].clone();
        ask("compaction", serde_json::json!({"revision": now, "physical": true}));
    }

    /// An administrator (system:masters).
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// Its file, for other programs.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// kubectl as an administrator (system:masters, whom authorizers never see).
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_with(args, "")
    }

    /// The same with `stdin`, for `-f -`.
    pub fn kubectl_with(&self, args: &[&str], stdin: &str) -> Output {
        run_kubectl(self.binaries, &self.kubeconfig, &self.folder, args, stdin)
    }

    /// kubectl as whoever bears `token`: no client certificate, which would come first.
    pub fn kubectl_as(&self, pki: &Pki, token: &str, args: &[&str], stdin: &str) -> Output {
        let kubeconfig = self.folder.join("bearer.kubeconfig");
        // Anew each time, since a restart moves the API server; under another name first, since tests run in parallel.
        let unfinished = self.folder.join(format!("bearer.{:?}", thread::current().id()));
        fs::write(&unfinished, kubeconfig_of(&self.url, pki, None)).expect("a writable folder");
        fs::rename(&unfinished, &kubeconfig).expect("a writable folder");
        let token = format!("--token={token}");
        let args: Vec<&str> = [token.as_str()].into_iter().chain(args.iter().copied()).collect();
        run_kubectl(self.binaries, &kubeconfig, &self.folder, &args, stdin)
    }

    /// One request of the administrator, as JSON; for what kubectl cannot send.
    pub fn post(&self, pki: &Pki, path: &str, json: &serde_json::Value) -> http::Reply {
        let url = format!("{}{path}", self.url);
        http::post(&url, json.to_string(), pki, Some(&self.admin))
    }

    /// GET by the administrator as `user`.
    pub fn get_as(&self, pki: &Pki, user: &str, path: &str) -> http::Reply {
        http::get(&format!("{}{path}", self.url), pki, Some(&self.admin), &[("impersonate-user", user)])
    }

    /// The audit log so far. Lines are written after the answer was sent: ask `eventually`.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.join("audit.log")).unwrap_or_default();
        // The last line may be half written.
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    }

    /// The ends of the logs, for a test that failed.
    pub fn tail(&self) -> String {
        self.apiserver.tail()
    }
}

impl Output {
    /// What it printed; fails unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success, "{self}");
        self.stdout
    }

    /// What it complained; fails if it succeeded.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.success, "{self}");
        self.stderr
    }

    pub fn success(&self) -> bool {
        self.success
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, success, stdout, stderr } = self;
        write!(f, "kubectl {command}\nsuccess: {success}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// A kubeconfig for `server`, as `identity` or as nobody.
pub fn kubeconfig_of(server: &str, pki: &Pki, identity: Option<&Identity>) -> String {
    let user = identity.map_or_else(String::new, |Identity { cert, key }| {
        format!("client-certificate: {}, client-key: {}", cert.display(), key.display())
    });
    let ca = pki.ca.display();
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: \"{server}\", certificate-authority: {ca}}}}}]
users: [{{name: u, user: {{{user}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"
    )
}

/// kubectl with this kubeconfig; its caches go to `home`.
pub fn run_kubectl(binaries: &Binaries, kubeconfig: &Path, home: &Path, args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(binaries.kubectl())
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .arg("--request-timeout=60s")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl");
    let mut pipe = child.stdin.take().expect("a pipe");
    let stdin = stdin.to_owned();
    // kubectl may end without reading: then there is nobody to tell.
    let writer = thread::spawn(move || pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output().expect("kubectl's output");
    let _ = writer.join().expect("no panic in a write");
    Output {
        command: args.join(" "),
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn start_etcd(binaries: &Binaries, folder: &Path) -> (Process, String) {
    let ports = free_ports::<2>();
    let [client, peer] = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = Command::new(binaries.etcd());
    command
        .arg("--name=default")
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        .args(["--unsafe-no-fsync", "--log-level=warn"]);
    (Process::start("etcd", command, &folder.join("etcd.log")), client)
}

/// Another process can take a free port between our asking and the API server's binding: then the next is tried.
fn start_apiserver(
    binaries: &Binaries,
    pki: &Pki,
    folder: &Path,
    etcd: &str,
    admin: &Identity,
    flags: &[String],
) -> (Process, String) {
    for _ in 0..3 {
        let [port] = free_ports::<1>();
        let url = format!("https://127.0.0.1:{port}");
        let mut command = Command::new(binaries.kube_apiserver());
        command.args(apiserver_flags(pki, folder, etcd, port)).args(flags);
        let log = folder.join(format!("kube-apiserver-{port}.log"));
        let mut process = Process::start("kube-apiserver", command, &log);
        let deadline = Instant::now() + READY;
        loop {
            let reply = http::get(&format!("{url}/readyz"), pki, Some(admin), &[]);
            if matches!(reply, Ok((200, _))) {
                return (process, url);
            }
            if process.ended().is_some() {
                let text = fs::read_to_string(&log).unwrap_or_default();
                assert!(text.contains("address already in use"), "{}", process.tail());
                break;
            }
            assert!(Instant::now() < deadline, "not ready: {reply:?}\n{}", process.tail());
            thread::sleep(Duration::from_millis(100));
        }
    }
    panic!("kube-apiserver found its port taken three times");
}

fn apiserver_flags(pki: &Pki, folder: &Path, etcd: &str, port: u16) -> Vec<String> {
    let certs = pki.ca.parent().expect("a file in a folder").display();
    let folder = folder.display();
    vec![
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--tls-cert-file={certs}/kube-apiserver.crt"),
        format!("--tls-private-key-file={certs}/kube-apiserver.key"),
        format!("--client-ca-file={certs}/ca.crt"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={certs}/service-accounts.pub"),
        format!("--service-account-signing-key-file={certs}/service-accounts.key"),
        // No controller makes the service accounts that this plugin demands.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--audit-policy-file={folder}/audit-policy.yaml"),
        format!("--audit-log-path={folder}/audit.log"),
        "--shutdown-delay-duration=0s".to_owned(),
    ]
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let sockets = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound socket").port())
}

/// Everything that users ask, with bodies; not what the API server asks itself.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ['system:apiserver']}
- {level: Request}
";
