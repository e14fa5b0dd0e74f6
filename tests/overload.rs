//! More than the server can do, on one processor of its own: what is answered is answered in time, the rest is refused at once, logins do not
//! notice, memory stays below what was printed, and it is over when the callers stop. And other policies that are loaded meanwhile.
//!
//! For real figures, with a release build and nothing else on the machine:
//! `VERDICT_OVERLOAD=30 cargo test --release --test verdict overload:: -- --nocapture --test-threads=1`, the number in seconds.

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

use crate::support::{
    fixtures,
    host::{access, admission, config_map, misbehaving, token},
    http,
    pki::Pki,
    verdict::Verdict,
};

type Https = Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A server on the first processor, with callers.
struct Loaded {
    verdict: Verdict,
    client: Https,
    folder: tempfile::TempDir,
}

/// How one request ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    status: StatusCode,
    took: Duration,
}

impl Loaded {
    fn new(yaml: &str, flags: &[&str]) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(&folder.path().join("pki"));
        let yaml = yaml.replace("$ADMISSION", &fixtures::misbehaving("admission").display().to_string());
        let yaml = yaml.replace("$AUTHORIZATION", &fixtures::misbehaving("authorization").display().to_string());
        let verdict = Verdict::serve_on(&pki, folder.path(), &yaml, flags, "0");
        let tls = http::tls(&pki, Some(&verdict.client));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Arc::new(Self { verdict, client, folder })
    }

    async fn ask(&self, path: &str, body: impl Into<Bytes>) -> Ended {
        self.try_ask(path, body).await.unwrap()
    }

    /// Err: the connection ended before, as it may where a body is refused that its caller still sends.
    async fn try_ask(&self, path: &str, body: impl Into<Bytes>) -> Result<Ended, String> {
        let begin = Instant::now();
        let request = Request::post(format!("https://{}{path}", self.verdict.https));
        let request = request.header("content-type", "application/json").body(Full::new(body.into())).unwrap();
        let answer = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        // kube-apiserver would ask again and again.
        assert!(!answer.headers().contains_key("retry-after"), "{status}");
        let text = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let is_review = serde_json::from_slice::<Value>(&text).is_ok_and(|it| it["apiVersion"].is_string());
        assert_eq!(status == StatusCode::OK, is_review, "{status} {}", String::from_utf8_lossy(&text));
        Ok(Ended { status, took: begin.elapsed() })
    }

    /// A review at each tick for so long, whether or not the last one is answered: how long the answers took, from when they were due.
    async fn steady(self: &Arc<Self>, path: &'static str, time: Duration) -> Vec<Duration> {
        let mut every = interval(Duration::from_millis(1));
        let (begin, mut callers) = (Instant::now(), JoinSet::new());
        while begin.elapsed() < time {
            let due = every.tick().await;
            let server = Arc::clone(self);
            callers.spawn(async move {
                assert_eq!(server.ask(path, config_map("u").to_string()).await.status, StatusCode::OK);
                due.elapsed()
            });
        }
        callers.join_all().await
    }

    /// Changes the settings of a policy until the flag falls: how long after each change it serves.
    async fn changes(&self, others: &str, busy: &AtomicBool) -> Vec<Duration> {
        let (file, url) = (self.folder.path().join("policies.yaml"), format!("https://{}", self.verdict.https));
        let mut took = Vec::new();
        while busy.load(Ordering::Acquire) {
            let label = format!("number-{}", took.len());
            let written = Instant::now();
            fs::write(&file, others.to_owned() + &labels("changes", &label)).unwrap();
            loop {
                let request =
                    Request::post(format!("{url}/validate/changes")).header("content-type", "application/json");
                let request = request.body(Full::new(config_map("u").to_string().into())).unwrap();
                let answer = self.client.request(request).await.unwrap().into_body().collect().await.unwrap();
                if String::from_utf8_lossy(&answer.to_bytes()).contains(&format!("the label {label} is required")) {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
            took.push(written.elapsed());
        }
        took
    }

    /// Bytes that were resident at most, and those that were printed.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.verdict.process.id())).unwrap();
        let peak =
            status.lines().find_map(|it| it.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        (peak.unwrap() << 10, self.verdict.metric("verdict_memory_ceiling_bytes"))
    }

    /// Reviews that are served in a second, by four callers who wait for their answers.
    async fn capacity(self: &Arc<Self>, path: &'static str, time: Duration) -> f64 {
        let (begin, served) = (Instant::now(), AtomicUsize::new(0));
        let one = async || {
            while begin.elapsed() < time {
                assert_eq!(self.ask(path, config_map("u").to_string()).await.status, StatusCode::OK);
                served.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::join!(one(), one(), one(), one());
        served.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
    }
}

/// Of a hundred, so many are not longer than this.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// `required-labels` for one label.
fn labels(name: &str, label: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: required-labels}}, settings: {{labels: [{label}]}}}}\n"
    )
}

/// The child that compiles is on the server's own processor, too.
#[test]
fn a_changed_policy_serves_soon_and_nobody_else_waits_for_it() {
    let seconds = env::var("VERDICT_OVERLOAD").ok().map(|it| it.parse::<u64>().unwrap());
    let time = Duration::from_secs(seconds.unwrap_or(4));
    if seconds.is_some() {
        // Callers on the server's processor would be measured as well.
        let own = std::process::id().to_string();
        let others = format!("1-{}", std::thread::available_parallelism().unwrap().get() - 1);
        let moved = std::process::Command::new("taskset").args(["--all-tasks", "-cp", &others, &own]).status();
        assert!(moved.is_ok_and(|it| it.success()), "callers cannot be kept off the first processor");
    }
    let others = labels("stays", "one");
    let server = Loaded::new(&(others.clone() + &labels("changes", "none")), &["--max-wait=1m"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut alone, mut beside, mut took) = runtime.block_on(async {
        server.steady("/validate/stays", Duration::from_secs(1)).await;
        let alone = server.steady("/validate/stays", time).await;
        let busy = Arc::new(AtomicBool::new(true));
        let changes = tokio::spawn({
            let (server, busy) = (Arc::clone(&server), Arc::clone(&busy));
            async move { server.changes(&others, &busy).await }
        });
        let beside = server.steady("/validate/stays", time).await;
        busy.store(false, Ordering::Release);
        (alone, beside, changes.await.unwrap())
    });
    let (alone, beside) =
        ([50, 99].map(|it| percentile(&mut alone, it)), [50, 99].map(|it| percentile(&mut beside, it)));
    println!(
        "p50 and p99 {alone:?}, and while policies are loaded {beside:?}; {} changes served after {took:?}",
        took.len()
    );
    let longest = percentile(&mut took, 100);
    if seconds.is_some() {
        assert!(longest < Duration::from_secs(2), "{took:?}");
        assert!(beside[1] < alone[1] * 3 / 2, "{alone:?} {beside:?}");
    } else {
        // In a debug build, on processors that others use as well.
        assert!(
            longest < Duration::from_secs(60) && beside[1] < alone[1] * 10 + Duration::from_millis(500),
            "{alone:?} {beside:?}"
        );
    }
}

#[test]
fn beyond_what_it_can_do_it_refuses_at_once_and_logins_go_on() {
    let seconds = env::var("VERDICT_OVERLOAD").ok().map(|it| it.parse::<u64>().unwrap());
    let time = Duration::from_secs(seconds.unwrap_or(4));
    // A fixed amount of work in each review, however fast the machine is: it ends when its fuel does.
    let yaml = misbehaving("work", "loop", "")
        .replace("$FIXTURE", "$ADMISSION")
        .replace("timeoutMilliseconds: 300, memory: 16Mi", "timeoutMilliseconds: 20000, memory: 16Mi, fuel: 150000000")
        + &misbehaving("may", "nothing", "").replace("$FIXTURE", "$AUTHORIZATION")
        + "---\napiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: login}\nspec: {component: {builtin: magic-authenticator}}\n";
    let yaml = yaml.replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 20000");
    let server = Loaded::new(&yaml, &["--guest-memory=1024", "--max-bodies=128", "--max-connections=2048"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (capacity, ended, mut logins, back) = runtime.block_on(async {
        server.capacity("/validate/work", Duration::from_millis(500)).await;
        let capacity = server.capacity("/validate/work", Duration::from_secs(2)).await;
        let busy = Arc::new(AtomicBool::new(true));
        let logins = tokio::spawn({
            let (server, busy) = (Arc::clone(&server), Arc::clone(&busy));
            async move {
                let (mut waits, mut every) = (Vec::new(), interval(Duration::from_millis(20)));
                while busy.load(Ordering::Acquire) {
                    every.tick().await;
                    let may = server.ask("/authorize?timeout=3s", access().to_string()).await;
                    let is = server.ask("/authenticate?timeout=3s", token("magic-token").to_string()).await;
                    assert_eq!((may.status, is.status), (StatusCode::OK, StatusCode::OK));
                    waits.extend([may.took, is.took]);
                }
                waits
            }
        });
        // Four times as many, whether or not they are answered.
        let mut every = interval(Duration::from_secs_f64(1.0 / (4.0 * capacity)));
        let (begin, mut callers) = (Instant::now(), JoinSet::new());
        while begin.elapsed() < time {
            every.tick().await;
            let server = Arc::clone(&server);
            callers.spawn(async move { server.ask("/validate/work?timeout=2s", config_map("u").to_string()).await });
        }
        let stopped = Instant::now();
        while server.ask("/validate/work?timeout=2s", config_map("u").to_string()).await.status != StatusCode::OK {
            sleep(Duration::from_millis(20)).await;
        }
        let back = stopped.elapsed();
        busy.store(false, Ordering::Release);
        (capacity, callers.join_all().await, logins.await.unwrap(), back)
    });
    let times = |status| ended.iter().filter(|it| it.status == status).map(|it| it.took).collect::<Vec<_>>();
    let (mut answered, mut refused) = (times(StatusCode::OK), times(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(answered.len() + refused.len(), ended.len(), "{ended:?}");
    let (peak, ceiling) = server.memory();
    let p99 = |times: &mut Vec<Duration>| percentile(times, 99);
    println!(
        "{capacity:.0} reviews a second; {} of {} answered, p99 {:?}; refused p50 {:?}, p99 {:?}; logins p99 {:?}; back after {back:?}; {} of {} MiB",
        answered.len(),
        ended.len(),
        p99(&mut answered),
        percentile(&mut refused, 50),
        p99(&mut refused),
        p99(&mut logins),
        peak >> 20,
        ceiling >> 20,
    );
    // Not all at once gave up: it does what it can, and no more.
    assert!(answered.len() as f64 > capacity * time.as_secs_f64() / 4.0, "{} answered", answered.len());
    assert!(refused.len() > ended.len() / 4, "{} refused of {}", refused.len(), ended.len());
    assert!(server.verdict.labelled("verdict_lane_refused_total", "lane=\"admission\"") >= refused.len() as u64);
    assert!(peak < ceiling, "{peak} {ceiling}");
    // One line in ten seconds, not one for each.
    let lines = server.verdict.process.log().matches("reviews are refused at once").count() as u64;
    assert!((1..=time.as_secs() / 10 + 2).contains(&lines), "{lines}");
    // In a debug build, on processors that others use as well, only what is far from this is told.
    let slack = if seconds.is_some() { Duration::ZERO } else { Duration::from_secs(1) };
    assert!(p99(&mut answered) < Duration::from_secs(2) + slack);
    assert!(p99(&mut refused) < Duration::from_millis(25) + slack);
    assert!(p99(&mut logins) < Duration::from_millis(25) + slack);
    assert!(back < Duration::from_secs(1) + 3 * slack, "{back:?}");
}

/// Bodies, connections and guests, each as much as there may be, at the same time.
#[test]
fn memory_stays_below_what_is_printed() {
    let policies = ["hog-memory", "sleep", "large"].map(|deed| misbehaving(deed, deed, "")).concat();
    let yaml = policies.replace("$FIXTURE", "$ADMISSION").replace("memory: 16Mi", "memory: 64Mi");
    let flags =
        ["--guest-memory=512", "--max-bodies=96", "--max-connections=512", "--max-instances=32", "--max-wait=1m"];
    let server = Loaded::new(&yaml, &flags);
    let large = admission("u", json!({"metadata": {"name": "cm"}, "data": {"a": "x".repeat(4 << 20)}})).to_string();
    let (small, large) = (Bytes::from(config_map("u").to_string()), Bytes::from(large));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // On a machine that others use as well, fewer of them come to anything at the same time.
    for _ in 0..4 {
        runtime.block_on(async {
            let mut callers = JoinSet::new();
            for caller in 0..300 {
                let server = Arc::clone(&server);
                let body = if caller % 3 == 0 { large.clone() } else { small.clone() };
                callers.spawn(async move {
                    for path in ["/validate/hog-memory", "/validate/sleep", "/validate/large"] {
                        let _ = server.try_ask(&format!("{path}?timeout=20s"), body.clone()).await;
                    }
                });
            }
            callers.join_all().await;
        });
        if server.memory().0 > ENOUGH {
            break;
        }
    }
    let (peak, ceiling) = server.memory();
    println!("{} of {} MiB", peak >> 20, ceiling >> 20);
    assert!(peak < ceiling, "{} of {} MiB", peak >> 20, ceiling >> 20);
    // Enough came of it to tell something.
    assert!(peak > ENOUGH && server.verdict.process.log().contains("memory_ceiling_mib"), "{} MiB", peak >> 20);
}

/// Bytes: less came of too little.
const ENOUGH: u64 = 200 << 20;
