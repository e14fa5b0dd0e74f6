//! The steps of one review in process, without sockets: decode, match, ask a policy, patch, encode; and all of them
//! through the router.
//!
//! `cargo bench --bench review`

#![allow(missing_docs, reason = "what criterion's macros make has none")]
#![allow(clippy::expect_used, reason = "without its parts nothing can be measured")]

#[path = "load/reviews.rs"]
mod reviews;

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use verdict::{
    config,
    engine::{
        prepare::Compiler,
        run::{Capacity, Engine},
    },
    loader::Components,
    observe::{Decisions, Metrics},
    policy::{Ask, Live, Makers, Set, Which},
    review::{access, admission, patch, token},
    server::{
        callers::Callers,
        routes::{self, Limits},
    },
    spec::Interface,
};

/// The wire: what every review costs, whoever is asked.
fn wire(criterion: &mut Criterion) {
    let small = reviews::config_map();
    let large = reviews::large_config_map();
    let token = reviews::token();
    let access = reviews::access();

    let mut group = criterion.benchmark_group("decode");
    for (name, body) in [("admission", &small), ("admission, 1 MB", &large)] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |it| it.iter(|| black_box(admission::decode(body.as_bytes()).is_ok())));
    }
    group.throughput(Throughput::Bytes(token.len() as u64));
    group.bench_function("token", |it| it.iter(|| black_box(token::decode(token.as_bytes()).is_ok())));
    group.throughput(Throughput::Bytes(access.len() as u64));
    group.bench_function("access", |it| it.iter(|| black_box(access::decode(access.as_bytes()).is_ok())));
    group.finish();

    let envelope = admission::decode(small.as_bytes()).expect("a review");
    let object = envelope.review.object.expect("with an object").get();
    let change = admission::Change::MergePatch(r#"{"metadata":{"labels":{"touched":"yes"}}}"#.to_owned());
    let work = || patch::Work::until(std::time::Instant::now() + std::time::Duration::from_secs(60));
    let changed = patch::apply(object, &change, &mut work()).expect("a patch").expect("a change");
    let mut group = criterion.benchmark_group("patch");
    group.bench_function("apply", |it| it.iter(|| black_box(patch::apply(object, &change, &mut work()).is_ok())));
    group.bench_function("between", |it| it.iter(|| black_box(patch::between(object, &changed, &mut work()).is_ok())));
    group.finish();
}

/// From the decoded review to the encoded verdict.
fn policies(criterion: &mut Criterion) {
    let host = Host::new();
    let body = reviews::config_map();
    let envelope = admission::decode(body.as_bytes()).expect("a review");
    let mut group = criterion.benchmark_group("policies");
    for (name, yaml) in [("none match", SECRETS), ("one", CONFIG_MAPS)] {
        let set = host.load(yaml);
        let selection = set.select(Interface::Validating, Which::All).expect("the policies");
        let ask = || Ask {
            raw: &body,
            deadline: Instant::now() + Duration::from_secs(10),
            watch: None,
            trail: None,
            now: None,
            audit: false,
        };
        group.bench_function(name, |it| {
            it.iter(|| host.runtime.block_on(selection.validate(ask(), &envelope.review)));
        });
        let verdict = host.runtime.block_on(selection.validate(ask(), &envelope.review));
        assert!(verdict.denial.is_none(), "{verdict:?}");
        group.bench_function(format!("{name}, encode"), |it| {
            it.iter(|| black_box(admission::encode(envelope.version, &envelope.review, &verdict)));
        });
    }
    group.finish();
}

/// Everything but the connection.
fn routes(criterion: &mut Criterion) {
    let host = Host::new();
    let mut group = criterion.benchmark_group("route");
    let labels = include_str!("../policies/required-labels/policy.yaml");
    let authenticator = include_str!("../policies/magic-authenticator/policy.yaml");
    let authorizer = include_str!("../policies/magic-authorizer/policy.yaml");
    let mutator = include_str!("../policies/magic-mutator/policy.yaml");
    for (name, yaml, path, body) in [
        ("no policy that matches", SECRETS, "/validate", reviews::config_map()),
        ("required-labels", labels, "/validate", reviews::config_map()),
        ("required-labels, 1 MB", labels, "/validate", reviews::large_config_map()),
        ("magic-authenticator", authenticator, "/authenticate", reviews::token()),
        ("magic-authorizer", authorizer, "/authorize", reviews::access()),
        ("magic-mutator", mutator, "/mutate", reviews::config_map()),
    ] {
        let app = routes::app(
            Arc::new(Live::new(host.load(yaml))),
            Arc::clone(&host.metrics),
            Decisions::none(),
            Limits::default(),
            Arc::new(Callers { known: true, ..Callers::default() }),
        );
        let body = bytes::Bytes::from(body);
        let answer = host.runtime.block_on(post(&app, path, body.clone()));
        assert!(answer.contains("\"allowed\":true") || answer.contains("\"authenticated\":true"), "{answer}");
        group.bench_function(name, |it| {
            it.iter(|| host.runtime.block_on(post(&app, path, body.clone())));
        });
    }
    group.finish();
}

async fn post(app: &Router, path: &str, body: bytes::Bytes) -> String {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body));
    let response = app.clone().oneshot(request.expect("a request")).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.into()).expect("text")
}

struct Host {
    runtime: Runtime,
    engine: Engine,
    compiler: Compiler,
    metrics: Arc<Metrics>,
}

impl Host {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let engine = Engine::new(Capacity { instances: 64, memory: 4 << 30 }).expect("an engine");
        Self { runtime, engine, compiler: Compiler::in_process(None), metrics: Arc::new(Metrics::new()) }
    }

    fn load(&self, yaml: &str) -> Arc<Set> {
        let specs = config::parse(yaml, "bench.yaml", Path::new("/")).expect("good policies");
        let makers = Makers { engine: &self.engine, compiler: &self.compiler, components: &Components::local() };
        let set = self.runtime.block_on(Set::load(makers, &self.metrics, specs));
        Arc::new(set.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("a set"))
    }
}

/// The example of `required-labels`, which asks about ConfigMaps.
const CONFIG_MAPS: &str = include_str!("../policies/required-labels/policy.yaml");

/// The same for what is not asked about.
const SECRETS: &str = r#"
apiVersion: verdict.dev/v1alpha1
kind: Validator
metadata: {name: required-labels}
spec:
  component: {builtin: required-labels}
  settings: {labels: [team]}
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], resources: [secrets], operations: [CREATE, UPDATE]}
"#;

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = wire, policies, routes
}
criterion_main!(benches);
