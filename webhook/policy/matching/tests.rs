use super::*;
use crate::{
    config::schema::{MatchCondition, ResourceRule},
    review::{access, admission, token},
};

fn spec(expressions: &[&str]) -> MatchSpec {
    let condition =
        |(index, text): (usize, &&str)| MatchCondition { name: format!("c{index}"), expression: (*text).to_owned() };
    MatchSpec { match_conditions: expressions.iter().enumerate().map(condition).collect(), ..MatchSpec::default() }
}

fn compiled(expressions: &[&str], interface: Interface) -> Match {
    Match::compile(&spec(expressions), &[interface]).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A ConfigMap that is updated: `object` and `old` as JSON.
fn updated(matching: &Match, object: &str, old: &str, changed: Option<&str>) -> Result<bool, String> {
    let body = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"UPDATE",
        "kind":{{"version":"v1","kind":"ConfigMap"}},"resource":{{"version":"v1","resource":"configmaps"}},"namespace":"d",
        "name":"n","userInfo":{{"username":"alice"}},"object":{object},"oldObject":{old}}}}}"#
    );
    let request = admission::decode(body.as_bytes()).unwrap().review;
    matching.admission(&request, changed.or(request.object.map(RawValue::get))).map(Decision::is_asked)
}

#[test]
fn all_conditions_must_be_true() {
    let asked = |expressions: &[&str]| updated(&compiled(expressions, Interface::Validating), "{}", "null", None);
    assert_eq!(asked(&[]), Ok(true));
    assert_eq!(asked(&["request.userInfo.username == 'alice'", "request.operation == 'UPDATE'"]), Ok(true));
    assert_eq!(asked(&["true", "request.userInfo.username == 'bob'"]), Ok(false));
}

#[test]
fn false_counts_before_an_error() {
    let asked = |expressions: &[&str]| updated(&compiled(expressions, Interface::Mutating), "{}", "null", None);
    assert_eq!(asked(&["object.spec.replicas > 1", "false"]), Ok(false));
    let words = asked(&["true", "object.spec.replicas > 1"]).unwrap_err();
    assert!(words.starts_with("c1: "), "{words}");
}

#[test]
fn conditions_see_the_object_as_changed_so_far() {
    let matching = compiled(&["object.a == 1 && (oldObject == null || oldObject.a == 0)"], Interface::Mutating);
    assert_eq!(updated(&matching, r#"{"a":1}"#, r#"{"a":0}"#, None), Ok(true));
    assert_eq!(updated(&matching, r#"{"a":1}"#, "null", None), Ok(true));
    assert_eq!(updated(&matching, r#"{"a":1}"#, "null", Some(r#"{"a":2}"#)), Ok(false));
    assert_eq!(updated(&matching, r#"{"a":2}"#, "null", Some(r#"{"a":1}"#)), Ok(true));
}

#[test]
fn conditions_are_not_run_where_the_rules_do_not_match() {
    let mut spec = spec(&["object.spec.replicas > 1"]);
    spec.resource_rules.push(ResourceRule {
        api_groups: vec!["apps".into()],
        api_versions: vec!["v1".into()],
        resources: vec!["deployments".into()],
        operations: vec!["*".into()],
        ..ResourceRule::default()
    });
    let matching = Match::compile(&spec, &[Interface::Validating]).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(updated(&matching, "{}", "null", None), Ok(false));
}

#[test]
fn authenticators_see_the_spec_and_errors_no_token() {
    let body = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"abc.hunter2"}}"#;
    let review = token::decode(body.as_bytes()).unwrap().review;
    let asked =
        |expression| compiled(&[expression], Interface::Authentication).authentication(&review).map(Decision::is_asked);
    assert_eq!(asked("request.token.startsWith('abc.')"), Ok(true));
    assert_eq!(asked("request.token.startsWith('x.')"), Ok(false));
    let words = asked("int(request.token) > 0").unwrap_err();
    assert!(!words.contains("hunter2"), "{words}");
}

#[test]
fn authorizers_see_the_spec_of_v1() {
    let body = r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1beta1","spec":{"user":"alice",
        "group":["a"],"resourceAttributes":{"verb":"get","resource":"pods"}}}"#;
    let review = access::decode(body.as_bytes()).unwrap().review;
    let asked =
        |expression| compiled(&[expression], Interface::Authorization).authorization(&review).map(Decision::is_asked);
    assert_eq!(asked("'a' in request.groups && has(request.resourceAttributes)"), Ok(true));
    assert_eq!(asked("request.resourceAttributes.resource == 'secrets'"), Ok(false));
}

#[test]
fn a_condition_must_be_good_for_every_kind_of_review() {
    let errors = |expressions: &[&str], interfaces: &[Interface]| Match::compile(&spec(expressions), interfaces).err();
    let object = &["true", "object.metadata.name == 'a'"];
    assert!(errors(object, &[Interface::Validating, Interface::Mutating]).is_none());
    let wrong = errors(object, &[Interface::Validating, Interface::Authorization]).unwrap();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0].0, "spec.match.matchConditions[1].expression");
    assert_eq!(errors(&["1 +"], &Interface::ALL).unwrap().len(), 1);
}
