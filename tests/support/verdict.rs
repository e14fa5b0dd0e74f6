//! The real `verdict` binary: `serve` with mutual TLS, and its other commands run to their end.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use super::{
    http,
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
        fs::write(&file, policies).expect("a writable folder");
        let server = pki.server("verdict", &["verdict.verdict.svc"]);
        let client = pki.client("kube-apiserver-webhook-client", &[]);
        let log = folder.join("verdict.log");
        let mut command = command();
        command
            .args(["serve", "--log-format=json", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0", "--policies"])
            .arg(&file)
            .arg("--tls-cert")
            .arg(&server.cert)
            .arg("--tls-key")
            .arg(&server.key)
            .arg("--client-ca")
            .arg(&pki.ca)
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

    /// The value of a counter or gauge, as /metrics writes it: `name{label="value",...}`. Zero if it was never counted.
    pub fn metric(&self, series: &str) -> u64 {
        let (status, text) = http::get_plain(&format!("http://{}/metrics", self.admin)).expect("metrics");
        assert_eq!(status, 200, "{text}");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }
}

/// From the log line that says it serves.
fn addresses(log: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(log).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find_map(|line| Some((line["https"].as_str()?.parse().ok()?, line["admin"].as_str()?.parse().ok()?)))
}

/// A command line of `verdict` without any environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.env_clear();
    command
}

/// Runs a command of `verdict` to its end; its stdout. Fails unless it succeeds.
#[track_caller]
pub fn run(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command().args(args).output().expect("verdict");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "verdict {args:?}: {status}\n{stderr}");
    String::from_utf8(stdout).expect("UTF-8")
}
