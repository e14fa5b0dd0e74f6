//! Callers who ask all the time, and look at each answer: is it there, is it whole, and is it of a version that served meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::{
    super::{
        http::{post, tls},
        pki::{Identity, Pki},
    },
    Replicas, TOKENS, Versions, lock, token,
};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    Validate,
    Mutate,
    WhoIs,
    MayThey,
    MayTheyNot,
    Event,
}

/// Through whom.
#[derive(Clone)]
pub enum Way {
    /// To the servers themselves, as kube-apiserver would.
    Direct,
    /// kube-apiserver at this URL, as this administrator where it is not asked with a token.
    ApiServer(String, Identity),
}

/// What came of it so far.
#[derive(Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<Question, usize>>,
    slowest: Mutex<Duration>,
    /// Answers that did not come.
    lost: Mutex<Vec<String>>,
    /// Answers that no set gave that served meanwhile.
    wrong: Mutex<Vec<String>>,
}

/// Callers at work, until they are told to end.
pub struct Traffic {
    pub tally: Arc<Tally>,
    ended: Arc<AtomicBool>,
    runtime: tokio::runtime::Runtime,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Tally {
    /// Of each question.
    pub fn counts(&self) -> BTreeMap<Question, usize> {
        lock(&self.counts).clone()
    }

    pub fn total(&self) -> usize {
        lock(&self.counts).values().sum()
    }

    pub fn slowest(&self) -> Duration {
        *lock(&self.slowest)
    }

    pub fn lost(&self) -> Vec<String> {
        lock(&self.lost).clone()
    }

    pub fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }
}

/// Who is asked, and what they may answer.
pub struct Asked<'a> {
    pub way: Way,
    /// The URL of the servers themselves, for [`Way::Direct`].
    pub direct: String,
    /// Of the servers and of kube-apiserver.
    pub pki: &'a Pki,
    /// What callers of the servers themselves show.
    pub client: &'a Identity,
    pub versions: &'a Arc<Versions>,
}

impl Traffic {
    /// So many callers for each of these questions, who pause so long after each answer.
    pub fn start(replicas: &Replicas, way: &Way, questions: &[Question], callers: usize, pause: Duration) -> Self {
        let asked = Asked {
            way: way.clone(),
            direct: format!("https://{}", replicas.balancer.address),
            pki: &replicas.pki,
            client: replicas.client(),
            versions: &replicas.versions,
        };
        Self::to(&asked, questions, callers, pause)
    }

    /// The same, to whoever is asked.
    pub fn to(asked: &Asked<'_>, questions: &[Question], callers: usize, pause: Duration) -> Self {
        let Asked { way, direct, pki, client: shown, versions } = asked;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let (tally, ended) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let tokens = Arc::new(AtomicUsize::new(0));
        let caller = |question: Question, number: usize| {
            let caller = Caller {
                way: way.clone(),
                direct: direct.clone(),
                client: client(
                    match way {
                        Way::Direct => tls(pki, Some(shown)),
                        // Whoever shows a token must not show a certificate, which would count first.
                        Way::ApiServer(..) if question.shows_a_token() => tls(pki, None),
                        Way::ApiServer(_, admin) => tls(pki, Some(admin)),
                    },
                    number.is_multiple_of(2),
                ),
                versions: Arc::clone(versions),
                tokens: Arc::clone(&tokens),
                tally: Arc::clone(&tally),
            };
            let ended = Arc::clone(&ended);
            runtime.spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    caller.ask(question).await;
                    tokio::time::sleep(pause).await;
                }
            })
        };
        let callers = questions.iter().flat_map(|it| (0..callers).map(|number| caller(*it, number))).collect();
        Self { tally, ended, runtime, callers }
    }

    /// Lets everybody have their answer.
    pub fn end(self) -> Arc<Tally> {
        self.ended.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for caller in self.callers {
                caller.await.expect("no panic of a caller");
            }
        });
        self.tally
    }
}

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client(tls: ClientConfig, http2: bool) -> Https {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
    let connector = if http2 { builder.enable_http2().build() } else { builder.enable_http1().build() };
    // As kube-apiserver: what was written to a connection that then broke is not sent again.
    Client::builder(TokioExecutor::new()).http2_only(http2).retry_canceled_requests(false).build(connector)
}

/// Over HTTP/2, what crossed a polite GOAWAY is sent again, as Go's client does: the server says that it did not begin it.
fn was_never_begun(error: &hyper_util::client::legacy::Error) -> bool {
    format!("{error:?}").contains("GoAway(b\"\", NO_ERROR, Remote)")
}

struct Caller {
    way: Way,
    direct: String,
    client: Https,
    versions: Arc<Versions>,
    tokens: Arc<AtomicUsize>,
    tally: Arc<Tally>,
}

impl Caller {
    async fn ask(&self, question: Question) {
        let (method, url, token, body) = self.request(question);
        let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let asked = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, async {
            let answer = match self.client.request(request.clone()).await {
                Err(error) if was_never_begun(&error) => self.client.request(request).await,
                answer => answer,
            };
            let answer = answer.map_err(|error| format!("{error:?}"))?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((status, body))
        });
        let answer = answer.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let answered = Instant::now();
        *lock(&self.tally.counts).entry(question).or_default() += 1;
        let took = answered - asked;
        let mut slowest = lock(&self.tally.slowest);
        *slowest = took.max(*slowest);
        drop(slowest);
        let read = answer.and_then(|(status, body)| {
            let json: Value = serde_json::from_slice(&body).unwrap_or_default();
            self.read(question, status, &json).ok_or_else(|| format!("{status} {}", String::from_utf8_lossy(&body)))
        });
        // kube-apiserver remembers a token that was good for ten seconds.
        let remembered = matches!(self.way, Way::ApiServer(..)) && question == Question::WhoIs;
        let since = if remembered { asked.checked_sub(REMEMBERED).unwrap_or(asked) } else { asked };
        let between = self.versions.between(since, answered);
        match read {
            Err(why) => lock(&self.tally.lost).push(format!("{question:?} after {took:?}: {why}")),
            Ok(Some(version)) if !between.contains(&version) => {
                lock(&self.tally.wrong).push(format!("{question:?}: version {version}, expected one of {between:?}"));
            }
            Ok(_) => {}
        }
    }

    fn request(&self, question: Question) -> (Method, String, Option<String>, String) {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed) % TOKENS;
        let (path, body) = match &self.way {
            Way::Direct => {
                let (path, body) = question.review(number);
                return (Method::POST, format!("{}{path}", self.direct), None, body.to_string());
            }
            Way::ApiServer(url, _) => {
                let (path, body) = question.of_a_user();
                (format!("{url}{path}"), body)
            }
        };
        let method = if body.is_null() { Method::GET } else { Method::POST };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        (method, path, question.shows_a_token().then(|| token(number)), body)
    }

    /// What version it shows, if any. None: it is not what was to come.
    fn read(&self, question: Question, status: u16, answer: &Value) -> Option<Option<usize>> {
        match &self.way {
            Way::Direct => (status == 200).then(|| question.verdict(answer)).flatten(),
            Way::ApiServer(..) => question.user_sees(status, answer),
        }
    }
}

impl Question {
    /// All that a user can make kube-apiserver ask.
    pub const OF_USERS: [Self; 5] = [Self::Validate, Self::Mutate, Self::WhoIs, Self::MayThey, Self::MayTheyNot];
    /// All that a server answers.
    pub const ALL: [Self; 6] =
        [Self::Validate, Self::Mutate, Self::WhoIs, Self::MayThey, Self::MayTheyNot, Self::Event];

    fn shows_a_token(self) -> bool {
        matches!(self, Self::WhoIs | Self::MayThey | Self::MayTheyNot)
    }

    /// Path and review.
    fn review(self, token_number: usize) -> (&'static str, Value) {
        let access = |namespace: &str| {
            json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {
                "user": "robot", "groups": ["robots"],
                "resourceAttributes": {"verb": "list", "resource": "configmaps", "version": "v1", "namespace": namespace}}})
        };
        match self {
            Self::Validate => ("/validate/version", admission("ConfigMap", "configmaps", &config_map())),
            Self::Mutate => ("/mutate/version", admission("Pod", "pods", &pod())),
            Self::WhoIs => (
                "/authenticate",
                json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token(token_number)}}),
            ),
            Self::MayThey => ("/authorize", access("robots")),
            Self::MayTheyNot => ("/authorize", access("others")),
            Self::Event => ("/events/caesar", json!({"action": "encrypt", "message": "abc"})),
        }
    }

    /// Path and object; null: it is a GET.
    fn of_a_user(self) -> (&'static str, Value) {
        match self {
            Self::Validate => ("/api/v1/namespaces/robots/configmaps?dryRun=All", config_map()),
            Self::Mutate => ("/api/v1/namespaces/robots/pods?dryRun=All", pod()),
            Self::WhoIs => (
                "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}),
            ),
            Self::MayThey => ("/api/v1/namespaces/robots/configmaps", Value::Null),
            Self::MayTheyNot => ("/api/v1/namespaces/others/configmaps", Value::Null),
            Self::Event => unreachable!("kube-apiserver asks no provider"),
        }
    }

    fn verdict(self, answer: &Value) -> Option<Option<usize>> {
        let response = &answer["response"];
        match self {
            Self::Validate => {
                let is_denial = response["allowed"] == false && response["uid"] == UID;
                is_denial.then(|| of_denial(&response["status"]["message"])).flatten().map(Some)
            }
            Self::Mutate => {
                let patch = STANDARD.decode(response["patch"].as_str()?).ok()?;
                let is_patch = response["allowed"] == true && response["uid"] == UID;
                is_patch.then(|| of_limit(&String::from_utf8(patch).ok()?)).flatten().map(Some)
            }
            Self::WhoIs => of_groups(&answer["status"]["user"]["groups"]).map(Some),
            Self::MayThey => (answer["status"]["allowed"] == true).then_some(None),
            Self::MayTheyNot => {
                let status = &answer["status"];
                (status["allowed"] == false && status["denied"] != true).then_some(None)
            }
            Self::Event => answer.to_string().contains("def").then_some(None),
        }
    }

    fn user_sees(self, status: u16, answer: &Value) -> Option<Option<usize>> {
        match (self, status) {
            (Self::Validate, 403) => of_denial(&answer["message"]).map(Some),
            (Self::Mutate, 201) => {
                let limits = &answer["spec"]["containers"][0]["resources"]["limits"];
                of_limit(&limits.to_string()).map(Some)
            }
            (Self::WhoIs, 201) => of_groups(&answer["status"]["userInfo"]["groups"]).map(Some),
            (Self::MayThey, 200) => (answer["kind"] == "ConfigMapList").then_some(None),
            (Self::MayTheyNot, 403) => (answer["reason"] == "Forbidden").then_some(None),
            _ => None,
        }
    }
}

/// The version that a server shows at this URL of its validator.
pub fn validate(url: &str, pki: &Pki, client: &Identity) -> Result<usize, String> {
    let (_, review) = Question::Validate.review(0);
    let (status, text) = post(url, review.to_string(), pki, Some(client))?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    Question::Validate.verdict(&answer).flatten().ok_or_else(|| format!("{status} {text}"))
}

fn of_denial(message: &Value) -> Option<usize> {
    number(message.as_str()?.split_once("the label v")?.1)
}

fn of_limit(text: &str) -> Option<usize> {
    let (before, _) = text.split_once("Mi\"")?;
    number(before.rsplit('"').next()?)?.checked_sub(1)
}

fn of_groups(groups: &Value) -> Option<usize> {
    number(groups.as_array()?.iter().find_map(|it| it.as_str()?.strip_prefix('v'))?)
}

/// At the beginning of a text.
fn number(text: &str) -> Option<usize> {
    text.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
}

fn admission(kind: &str, resource: &str, object: &Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": UID, "operation": "CREATE", "name": "it", "namespace": "robots",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": resource},
        "userInfo": {"username": "jane"}, "object": object}})
}

fn config_map() -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "it", "namespace": "robots"}, "data": {"a": "1"}})
}

fn pod() -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "it", "namespace": "robots"},
        "spec": {"containers": [{"name": "only", "image": "registry.test/image"}]}})
}

const UID: &str = "5f3c0f5e-0000-4000-8000-000000000001";
const PATIENCE: Duration = Duration::from_secs(30);
/// With what a busy machine adds.
const REMEMBERED: Duration = Duration::from_secs(12);
