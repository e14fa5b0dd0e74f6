use serde_json::value::RawValue;

use super::*;
use crate::{
    cel::Pool,
    review::{access, admission, token},
    spec::{MatchCondition, ResourceRule},
};

fn patient() -> Bounds {
    Bounds { deadline: Instant::now() + Duration::from_secs(60), time: Duration::from_secs(60) }
}

fn spec(expressions: &[&str]) -> MatchSpec {
    let condition =
        |(index, text): (usize, &&str)| MatchCondition { name: format!("c{index}"), expression: (*text).to_owned() };
    MatchSpec { match_conditions: expressions.iter().enumerate().map(condition).collect(), ..MatchSpec::default() }
}

fn compiled(expressions: &[&str], kind: Kind) -> Match {
    Match::compile(&spec(expressions), kind).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A ConfigMap that is updated: `object` and `old` as JSON.
async fn updated(matching: &Match, object: &str, old: &str, changed: Option<&str>) -> Result<bool, Failure> {
    let body = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"UPDATE",
        "kind":{{"version":"v1","kind":"ConfigMap"}},"resource":{{"version":"v1","resource":"configmaps"}},"namespace":"d",
        "name":"n","userInfo":{{"username":"alice"}},"object":{object},"oldObject":{old}}}}}"#
    );
    let request = admission::decode(body.as_bytes()).unwrap().review;
    let bounds = patient();
    let mut view = View::new(&request, matching.reads(), Pool::new(1 << 20, 1 << 20).share(), bounds.deadline);
    let object = changed.or(request.object.map(RawValue::get));
    matching.admission(&mut view, object, bounds, &mut Duration::default()).await.map(Decision::is_asked)
}

#[tokio::test]
async fn all_conditions_must_be_true() {
    let asked = async |expressions: &[&str]| updated(&compiled(expressions, Kind::Validator), "{}", "null", None).await;
    assert_eq!(asked(&[]).await, Ok(true));
    assert_eq!(asked(&["request.userInfo.username == 'alice'", "request.operation == 'UPDATE'"]).await, Ok(true));
    assert_eq!(asked(&["true", "request.userInfo.username == 'bob'"]).await, Ok(false));
}

#[tokio::test]
async fn false_counts_before_an_error() {
    let asked = async |expressions: &[&str]| updated(&compiled(expressions, Kind::Mutator), "{}", "null", None).await;
    assert_eq!(asked(&["object.spec.replicas > 1", "false"]).await, Ok(false));
    let failure = asked(&["true", "object.spec.replicas > 1"]).await.unwrap_err();
    assert!(matches!(&failure, Failure::Condition(words) if words.starts_with("c1: ")), "{failure}");
}

/// What users can inflate must not turn into what `failurePolicy` lets pass.
#[tokio::test]
async fn what_is_used_up_is_a_limit_whatever_else_is_wrong() {
    let asked = async |expressions: &[&str], object: &str| {
        updated(&compiled(expressions, Kind::Validator), object, "null", None).await
    };
    let whole = "object == oldObject || true";
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"a\":[{}0]}}", "{\"a\":0},".repeat(50_000));
    for object in [&deep, &large] {
        let failure = asked(&[whole], object).await.unwrap_err();
        assert!(matches!(failure, Failure::ConditionLimit(_)) && failure.is_limit(), "{failure}");
        // What the conditions do not read is neither too deep nor too large.
        assert_eq!(asked(&["size(object) == 1 && has(object.a)"], object).await, Ok(true));
    }
}

#[tokio::test]
async fn a_deadline_ends_conditions_and_reading() {
    let matching = compiled(&["object.a.all(x, object.a.all(y, x == y))"], Kind::Validator);
    let body = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"CREATE",
        "kind":{{"version":"v1","kind":"K"}},"resource":{{"version":"v1","resource":"ks"}},"object":{{"a":[{}0]}}}}}}"#,
        "0,".repeat(2_000)
    );
    let request = admission::decode(body.as_bytes()).unwrap().review;
    let pool = Pool::new(1 << 20, 1 << 20);
    let (soon, late) = (Duration::from_millis(2), Duration::from_secs(60));
    for (reading, deadline, time) in
        [(soon, soon, late), (late, soon, late), (late, late, soon), (Duration::ZERO, late, late)]
    {
        let now = Instant::now();
        let mut view = View::new(&request, matching.reads(), pool.share(), now + reading);
        let bounds = Bounds { deadline: now + deadline, time };
        let object = request.object.map(RawValue::get);
        let ended = matching.admission(&mut view, object, bounds, &mut Duration::default()).await;
        assert_eq!(ended, Err(Failure::Timeout));
    }
}

#[tokio::test]
async fn conditions_see_the_object_as_changed_so_far() {
    let matching = compiled(&["object.a == 1 && (oldObject == null || oldObject.a == 0)"], Kind::Mutator);
    assert_eq!(updated(&matching, r#"{"a":1}"#, r#"{"a":0}"#, None).await, Ok(true));
    assert_eq!(updated(&matching, r#"{"a":1}"#, "null", None).await, Ok(true));
    assert_eq!(updated(&matching, r#"{"a":1}"#, "null", Some(r#"{"a":2}"#)).await, Ok(false));
    assert_eq!(updated(&matching, r#"{"a":2}"#, "null", Some(r#"{"a":1}"#)).await, Ok(true));
}

#[tokio::test]
async fn conditions_are_not_run_where_the_rules_do_not_match() {
    let mut spec = spec(&["object.spec.replicas > 1"]);
    spec.resource_rules.push(ResourceRule {
        api_groups: vec!["apps".into()],
        api_versions: vec!["v1".into()],
        resources: vec!["deployments".into()],
        operations: vec!["*".into()],
        ..ResourceRule::default()
    });
    let matching = Match::compile(&spec, Kind::Validator).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(updated(&matching, "{}", "null", None).await, Ok(false));
}

#[tokio::test]
async fn authenticators_see_the_spec_and_errors_no_token() {
    let body = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"abc.hunter2"}}"#;
    let review = token::decode(body.as_bytes()).unwrap().review;
    let asked = async |expression| {
        let matching = compiled(&[expression], Kind::Authenticator);
        matching.authentication(&review, patient()).await.map(Decision::is_asked)
    };
    assert_eq!(asked("request.token.startsWith('abc.')").await, Ok(true));
    assert_eq!(asked("request.token.startsWith('x.')").await, Ok(false));
    let words = asked("int(request.token) > 0").await.unwrap_err().to_string();
    assert!(!words.contains("hunter2"), "{words}");
}

#[tokio::test]
async fn authorizers_see_the_spec_of_v1() {
    let body = r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1beta1","spec":{"user":"alice",
        "group":["a"],"resourceAttributes":{"verb":"get","resource":"pods"}}}"#;
    let review = access::decode(body.as_bytes()).unwrap().review;
    let asked = async |expression| {
        let matching = compiled(&[expression], Kind::Authorizer);
        matching.authorization(&review, patient()).await.map(Decision::is_asked)
    };
    assert_eq!(asked("'a' in request.groups && has(request.resourceAttributes)").await, Ok(true));
    assert_eq!(asked("request.resourceAttributes.resource == 'secrets'").await, Ok(false));
}

#[test]
fn a_condition_is_checked_against_the_reviews_of_its_kind() {
    let errors = |expressions: &[&str], kind: Kind| Match::compile(&spec(expressions), kind).err();
    let object = &["true", "object.metadata.name == 'a'"];
    assert!(errors(object, Kind::Validator).is_none() && errors(object, Kind::Mutator).is_none());
    let wrong = errors(object, Kind::Authorizer).unwrap();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0].0, "spec.matchConditions[1].expression");
    assert_eq!(errors(&["1 +", "2 +"], Kind::Authenticator).unwrap().len(), 2);
}
