//! The real `verdict` binary: one command, or `serve` with mutual TLS.

use std::{ffi::OsStr, fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::{
    http, kinds,
    pki::{Identity, Pki},
    processes::Process,
    within,
};

/// `verdict serve`, ready.
pub struct Verdict {
    pub process: Process,
    /// Where reviews are answered.
    pub https: SocketAddr,
    /// Where metrics are.
    pub admin: SocketAddr,
    /// The certificate that callers must present.
    pub client: Identity,
}

impl Verdict {
    /// Starts it on free ports with these policies, files in `folder`, and waits until it serves. `flags` come on top.
    pub fn serve(pki: &Pki, folder: &Path, policies: &str, flags: &[&str]) -> Self {
        let file = folder.join("policies.yaml");
        fs::write(&file, kinds::every(policies)).expect("a writable folder");
        let policies = ["--policies", file.to_str().expect("UTF-8")];
        Self::start(pki, folder, &[&policies, flags].concat())
    }

    /// As [`Self::serve`], on these processors only.
    pub fn serve_on(pki: &Pki, folder: &Path, policies: &str, flags: &[&str], processors: &str) -> Self {
        let file = folder.join("policies.yaml");
        fs::write(&file, kinds::every(policies)).expect("a writable folder");
        let line = ["taskset", "--cpu-list", processors, env!("CARGO_BIN_EXE_verdict")];
        let policies = ["--policies", file.to_str().expect("UTF-8")];
        Self::start_by(&line, pki, folder, &[&policies, flags].concat())
    }

    /// As [`Self::serve`]; `flags` say which policies.
    pub fn start(pki: &Pki, folder: &Path, flags: &[&str]) -> Self {
        Self::start_by(&[env!("CARGO_BIN_EXE_verdict")], pki, folder, flags)
    }

    /// As [`Self::start`], by a command line that ends in becoming the server.
    pub fn start_by(line: &[&str], pki: &Pki, folder: &Path, flags: &[&str]) -> Self {
        let server = pki.server("verdict", &["verdict.verdict.svc"]);
        let pair = ["--tls-cert".as_ref(), server.cert.as_os_str(), "--tls-key".as_ref(), server.key.as_os_str()];
        Self::begin(line, folder, &[&pair[..], &[OsStr::new("--client-ca"), pki.ca.as_os_str()]].concat(), pki, flags)
    }

    /// With the policies of the cluster that `kubeconfig` names, for anybody who asks; its objects are in the namespace `verdict`.
    pub fn in_cluster(pki: &Pki, folder: &Path, kubeconfig: &Path, flags: &[&str]) -> Self {
        let server = pki.server("verdict", &["verdict.verdict.svc"]);
        let named = format!("KUBECONFIG={}", kubeconfig.display());
        let cache = folder.join("cache");
        let given: [(&str, &Path); 4] =
            [("--tls-cert", &server.cert), ("--tls-key", &server.key), ("--ca-file", &pki.ca), ("--cache-dir", &cache)];
        let given: Vec<&OsStr> = given.iter().flat_map(|(flag, path)| [OsStr::new(flag), path.as_os_str()]).collect();
        let cluster = ["--cluster", "--namespace=verdict"];
        Self::begin(&["env", &named, env!("CARGO_BIN_EXE_verdict")], folder, &given, pki, &[&cluster, flags].concat())
    }

    /// The same, with certificates that the leader makes, and compiled policies in `cache`.
    pub fn with_kept_certificates(pki: &Pki, folder: &Path, cache: &Path, kubeconfig: &Path, flags: &[&str]) -> Self {
        let named = format!("KUBECONFIG={}", kubeconfig.display());
        let given = ["--cache-dir".as_ref(), cache.as_os_str()];
        let cluster = ["--cluster", "--namespace=verdict"];
        Self::begin(&["env", &named, env!("CARGO_BIN_EXE_verdict")], folder, &given, pki, &[&cluster, flags].concat())
    }

    /// With a certificate of its own making, signed by what is in `cache/certs/ca.crt` of `folder` then.
    pub fn start_by_itself(pki: &Pki, folder: &Path, flags: &[&str]) -> Self {
        let cache = folder.join("cache");
        let given = ["--cache-dir".as_ref(), cache.as_os_str(), "--client-ca".as_ref(), pki.ca.as_os_str()];
        Self::begin(&[env!("CARGO_BIN_EXE_verdict")], folder, &given, pki, flags)
    }

    fn begin(line: &[&str], folder: &Path, given: &[&OsStr], pki: &Pki, flags: &[&str]) -> Self {
        let client = pki.client("kube-apiserver-webhook-client", &[]);
        let log = folder.join("verdict.log");
        // Of its life before: where it serves now must not be read there.
        let _ = fs::rename(&log, folder.join("verdict.log.before"));
        let mut command = Command::new(line[0]);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .args(&line[1..])
            .args(["serve", "--log-format=json", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0"])
            .args(given)
            .args(flags);
        let mut process = Process::start("verdict", command, &log);
        // Compiling many policies without optimisation takes its time.
        let addresses = within(Duration::from_secs(120), || match addresses(&log) {
            Some(addresses) => Ok(Some(addresses)),
            None if process.ended().is_some() => Ok(None),
            None => Err(()),
        });
        let Ok(Some((https, admin))) = addresses else { panic!("verdict does not serve\n{}", process.tail()) };
        Self { process, https, admin, client }
    }

    /// The value of a metric without labels; zero if it was never counted.
    pub fn metric(&self, name: &str) -> u64 {
        self.sum(&format!("{name} "), &[])
    }

    /// How many reviews of `policy` ended with `outcome`, of all kinds together.
    pub fn reviews(&self, policy: &str, outcome: &str) -> u64 {
        let (policy, outcome) = (format!("policy=\"{policy}\""), format!("outcome=\"{outcome}\""));
        self.sum("verdict_reviews_total{", &[&policy, &outcome])
    }

    /// How many requests of a route are being answered now.
    pub fn in_flight(&self, route: &str) -> u64 {
        self.sum("verdict_requests_in_flight{", &[&format!("route=\"{route}\"")])
    }

    /// The sum of all series of a metric that have this label.
    pub fn labelled(&self, name: &str, label: &str) -> u64 {
        self.sum(&format!("{name}{{"), &[label])
    }

    /// The sum of all series of a metric that have these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let (status, text) = http::get_plain(&format!("http://{}/metrics", self.admin)).expect("metrics");
        assert_eq!(status, 200, "{text}");
        text.lines()
            .filter(|line| line.starts_with(name) && labels.iter().all(|it| line.contains(it)))
            .map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>().expect("a whole number"))
            .sum()
    }
}

/// From the log line that says it serves.
fn addresses(log: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(log).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find_map(|line| Some((line["https"].as_str()?.parse().ok()?, line["admin"].as_str()?.parse().ok()?)))
}

/// What a command ends with: exit code, standard output, standard error.
pub fn verdict(args: &[&str]) -> (i32, String, String) {
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = command.args(args).env("VERDICT_CACHE_DIR", cache).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A command line of `verdict` without any environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.env_clear();
    command
}
