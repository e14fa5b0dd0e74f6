use super::*;

fn decoded(version: &str, spec: &str) -> Result<SubjectAccessReview, String> {
    let body =
        format!(r#"{{"kind":"{KIND}","apiVersion":"{GROUP}/{version}","spec":{spec},"status":{{"allowed":false}}}}"#);
    decode(body.as_bytes()).map(|it| it.review).map_err(|it| it.to_string())
}

#[test]
fn each_version_has_its_spelling_of_groups() {
    let spec = r#"{"user":"jane","groups":["v1"],"group":["beta"],"nonResourceAttributes":{"verb":"get","path":"/x"}}"#;
    assert_eq!(decoded("v1", spec).unwrap().user.groups, ["v1"]);
    assert_eq!(decoded("v1beta1", spec).unwrap().user.groups, ["beta"]);
    let other = r#"{"groups":7,"group":["beta",null],"nonResourceAttributes":{}}"#;
    assert_eq!(decoded("v1beta1", other).unwrap().user.groups, ["beta", ""]);
    assert_eq!(decoded("v1", other).unwrap_err(), "wrong type: expected a sequence at line 1 column 1");
}

#[test]
fn selectors_are_read() {
    let review = decoded(
        "v1",
        r#"{"user":"jane","resourceAttributes":{"verb":"list","resource":"pods","namespace":null,
            "fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["n1"]},{"key":"x","operator":"Gt"}]}}}"#,
    )
    .unwrap();
    let Attributes::Resource(resource) = &review.attributes else { panic!() };
    assert_eq!(
        resource.field_selector,
        [Requirement { key: "spec.nodeName".into(), operator: Operator::In, values: vec!["n1".into()] }]
    );
    let spec = review.spec_json();
    assert_eq!(spec["resourceAttributes"]["fieldSelector"]["requirements"][0]["operator"], "In");
}

#[test]
fn conditions_see_what_they_see_in_kube_apiserver() {
    let spec = |text| decoded("v1", text).unwrap().spec_json();
    assert_eq!(
        spec(r#"{"user":"jane","extra":{"k":["v"],"n":null},"resourceAttributes":{"verb":"get","resource":"pods"}}"#),
        json!({
            "user": "jane", "uid": "", "groups": [], "extra": {"k": ["v"], "n": []},
            "resourceAttributes": {
                "verb": "get", "group": "", "version": "", "resource": "pods", "subresource": "", "namespace": "",
                "name": "",
            },
        })
    );
    assert_eq!(
        spec(r#"{"nonResourceAttributes":{"path":"/x","verb":null},"resourceAttributes":null,"groups":null}"#),
        json!({
            "user": "", "uid": "", "groups": [], "extra": {},
            "nonResourceAttributes": {"path": "/x", "verb": ""},
        })
    );
}

#[test]
fn either_attributes_must_be_there() {
    let both = r#"{"resourceAttributes":{"verb":"get"},"nonResourceAttributes":{"verb":"get"}}"#;
    assert_eq!(decoded("v1", both).unwrap_err(), "spec has both resourceAttributes and nonResourceAttributes");
    assert_eq!(decoded("v1", "{}").unwrap_err(), "spec has neither resourceAttributes nor nonResourceAttributes");
    assert_eq!(decoded("v1", "null").unwrap_err(), "spec is missing");
}

#[test]
fn never_both_allowed_and_denied() {
    let text = |decision| {
        let ruling = Ruling { decision, reason: "because".into() };
        String::from_utf8(encode(Version::V1Beta1, &ruling)).unwrap()
    };
    let head = r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1beta1","status":"#;
    assert_eq!(text(Decision::Allow), format!(r#"{head}{{"allowed":true,"reason":"because"}}}}"#));
    assert_eq!(text(Decision::Deny), format!(r#"{head}{{"allowed":false,"denied":true,"reason":"because"}}}}"#));
    assert_eq!(text(Decision::NoOpinion), format!(r#"{head}{{"allowed":false,"reason":"because"}}}}"#));
}
