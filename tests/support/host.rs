//! The host in process: one engine, sets of policies, and the real router.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use verdict::{
    config,
    engine::{
        prepare::Compiler,
        run::{Capacity, Engine},
    },
    loader::Components,
    observe::{Decisions, Metrics},
    policy::{Answered, Ask, Live, Makers, Set},
    server::{
        callers::Callers,
        routes::{self, Limits},
    },
    spec::PolicySpec,
};

use super::{fixtures, kinds};

/// One for all tests, since each reserves address space.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(Capacity { instances: 64, memory: 4 << 30 }).unwrap())
}

/// One for all tests, since it bounds how many components are compiled at once.
pub fn compiler() -> &'static Compiler {
    static COMPILER: OnceLock<Compiler> = OnceLock::new();
    COMPILER.get_or_init(|| Compiler::in_process(None))
}

/// A loaded set with its router and metrics.
pub struct Host {
    pub app: Router,
    pub metrics: Arc<Metrics>,
    set: Arc<Set>,
}

impl Host {
    pub async fn load(specs: Vec<PolicySpec>) -> Result<Self, Vec<String>> {
        Self::load_in(engine(), specs).await
    }

    pub async fn load_in(engine: &Engine, specs: Vec<PolicySpec>) -> Result<Self, Vec<String>> {
        let metrics = Arc::new(Metrics::new());
        let makers = Makers { engine, compiler: compiler(), components: &Components::local() };
        let set = Set::load(makers, &metrics, specs).await;
        let set = set.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let set = Arc::new(set);
        let app = routes::app(
            Arc::new(Live::new(Arc::clone(&set))),
            Arc::clone(&metrics),
            Decisions::none(),
            // Tests that load a host from all sides are slow on few processors.
            Limits { wait: Duration::from_secs(25), ..Limits::default() },
            Arc::new(Callers { known: true, ..Callers::default() }),
        );
        Ok(Self { app, metrics, set })
    }

    /// Policies as YAML; `$FIXTURE`, `$ADMISSION` and `$AUTHORIZATION` are misbehaving components.
    pub async fn yaml(yaml: &str) -> Self {
        Self::load(specs(yaml)).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: impl Into<String>) -> (StatusCode, String) {
        let body = body.into();
        // Without its length it is charged as the largest that there may be.
        let request =
            Request::post(path).header("content-type", "application/json").header("content-length", body.len());
        let response = self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// A review that must be answered with a review.
    pub async fn review(&self, path: &str, review: &Value) -> Value {
        let (status, text) = self.post(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["kind"], review["kind"]);
        assert_eq!(answer["apiVersion"], review["apiVersion"]);
        answer
    }

    /// What the first policy that answers changes of objects wants done about this one: a list of actions, or a status and words.
    pub async fn told(&self, change: &Value) -> Result<Value, (u16, &'static str)> {
        let raw = change.to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        let ask = Ask { raw: &raw, deadline, watch: None, trail: None, now: None, audit: false };
        match self.set.answer(ask).await {
            Ok(Answered::Event(answer)) => answer.map(|it| serde_json::from_str(it.get()).unwrap()),
            Ok(_) => panic!("it was taken for a review: {raw}"),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn count(&self, kind: &str, policy: &str, outcome: &str) -> u64 {
        let text = self.metrics.text();
        text.lines()
            .filter(|it| it.starts_with("verdict_reviews_total{"))
            .filter(|it| {
                [("kind", kind), ("policy", policy), ("outcome", outcome)]
                    .iter()
                    .all(|(name, value)| it.contains(&format!("{name}=\"{value}\"")))
            })
            .filter_map(|it| it.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }
}

pub fn specs(yaml: &str) -> Vec<PolicySpec> {
    let mut yaml = kinds::every(yaml);
    for (place, kind) in [("$ADMISSION", "admission"), ("$AUTHORIZATION", "authorization"), ("$FIXTURE", "")] {
        if yaml.contains(place) {
            yaml = yaml.replace(place, &fixtures::misbehaving(kind).display().to_string());
        }
    }
    config::parse(&yaml, "test.yaml", Path::new("/")).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The misbehaving component under this name, as everything that it can be, with more lines of its spec.
pub fn misbehaving(name: &str, deed: &str, more: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: {name}}}\nspec:\n  component: {{path: $FIXTURE}}\n  settings: {{do: {deed}}}\n  limits: {{timeoutMilliseconds: 300, memory: 16Mi}}\n{more}\n"
    )
}

/// A ConfigMap of this name that was changed.
pub fn changed(name: &str) -> Value {
    let object = |version: &str| {
        let metadata = json!({"namespace": "shop", "name": name, "resourceVersion": version});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"n": 12345678901234567890u64}})
    };
    json!({"type": "MODIFIED", "object": object("2"), "oldObject": object("1"), "replayed": true})
}

pub fn config_map(uid: &str) -> Value {
    admission(uid, json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": {"a": "1"}}))
}

pub fn admission(uid: &str, object: Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": uid, "operation": "CREATE", "name": "cm", "namespace": "default",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "userInfo": {"username": "jane"}, "object": object}})
}

pub fn token(token: &str) -> Value {
    json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
        "spec": {"token": token, "audiences": ["https://kubernetes.default.svc"]}})
}

pub fn access() -> Value {
    json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {
        "user": "jane", "groups": ["magic-group"],
        "resourceAttributes": {"verb": "list", "resource": "configmaps", "version": "v1", "namespace": "default"}}})
}
