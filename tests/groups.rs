//! `PolicyGroup`: policies that decide together. Real components in the real router; those of Kubewarden's files are in `modules`.

use serde_json::{Value, json};

use crate::support::host::{Host, admission, config_map, specs};

/// A group of the misbehaving component: each member does its deed.
fn group(expression: &str, members: &[(&str, &str)], more: &str) -> String {
    let members: String = members
        .iter()
        .map(|(name, deed)| {
            format!(
                "    - {{name: {name}, component: {{path: $FIXTURE}}, settings: {{do: {deed}}}, limits: {{timeoutMilliseconds: 300}}}}\n"
            )
        })
        .collect();
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: PolicyGroup\nmetadata: {{name: g}}\nspec:\n  expression: \"{expression}\"\n  members:\n{members}{more}"
    )
}

async fn asked(yaml: &str) -> (Host, Value) {
    let host = Host::yaml(yaml).await;
    let answer = host.review("/validate", &config_map("u")).await["response"].clone();
    (host, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expression_decides_and_only_those_are_asked_who_matter() {
    let members = [("good", "nothing"), ("bad", "deny"), ("other", "nothing")];
    for (expression, allowed, asked_members) in [
        ("good() || bad() || other()", true, &["good"][..]),
        ("good() && (bad() || other())", true, &["good", "bad", "other"]),
        ("!bad() && good() && other()", true, &["bad", "good", "other"]),
        ("bad() && good() && other()", false, &["bad"]),
        ("bad() == good() || other() && bad()", false, &["bad", "good", "other"]),
    ] {
        let (host, answer) = asked(&group(expression, &members, "")).await;
        assert_eq!(answer["allowed"], allowed, "{expression}: {answer}");
        for (member, _) in members {
            let name = format!("g/{member}");
            let count = host.count("PolicyGroup", &name, "allowed") + host.count("PolicyGroup", &name, "denied");
            assert_eq!(count, u64::from(asked_members.contains(&member)), "{expression}: {member}");
        }
        assert_eq!(host.count("PolicyGroup", "g", if allowed { "allowed" } else { "denied" }), 1, "{expression}");
        // Its members are no policies of their own.
        for path in ["/validate/good", "/validate/g%2Fgood", "/mutate/g", "/mutate"] {
            assert_eq!(host.post(path, config_map("u").to_string()).await.0, 404, "{path}");
        }
        assert_eq!(host.review("/validate/g", &config_map("u")).await["response"]["allowed"], allowed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_tells_who_denied_and_why() {
    let members = [("first", "deny"), ("second", "try-later")];
    let (_, answer) = asked(&group("first() || second()", &members, "")).await;
    let causes = json!([
        {"message": "first: denied on purpose"},
        {"field": "spec.x", "reason": "FieldValueInvalid", "message": "first: x is wrong"},
        {"message": "second: try later"},
    ]);
    assert_eq!(answer["status"]["details"]["causes"], causes, "{answer}");
    let message = answer["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("g: it does not hold that first() || second()\n"), "{message}");
    assert!(
        message.contains("\n* second: try later") && message.contains("\n* spec.x: first: x is wrong"),
        "{message}"
    );
    assert_eq!(answer["status"]["code"], 403);

    let (_, answer) = asked(&group("first() || second()", &members, "  message: ask the platform team\n")).await;
    assert!(answer["status"]["message"].as_str().unwrap().starts_with("g: ask the platform team\n"), "{answer}");
    assert_eq!(answer["status"]["details"]["causes"], causes);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_and_annotations_of_members_are_kept() {
    let members = [("one", "speak"), ("two", "speak"), ("bad", "deny")];
    let (_, answer) = asked(&group("one() && two() && bad()", &members, "  validationActions: [Warn, Audit]\n")).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    let annotations = answer["auditAnnotations"].clone();
    assert_eq!((&annotations["g.one.a"], &annotations["g.two.a"]), (&json!("b"), &json!("b")), "{answer}");
    assert!(annotations["g.denied"].as_str().unwrap().starts_with("it does not hold"), "{answer}");
    let warnings: Vec<&str> = answer["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(warnings.iter().filter(|it| **it == "be warned").count(), 2, "{answer}");
    assert!(warnings[0].starts_with("g: it does not hold"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_fails_fails_the_group_and_its_policies_say_what_that_does() {
    for (deed, outcome, words, ignores, counts) in [
        ("loop", "timeout", "the policy took too long", "limitPolicy", "failurePolicy"),
        ("trap", "trap", "the policy crashed", "failurePolicy", "limitPolicy"),
    ] {
        // Whoever fails does not say no.
        let yaml = group("!bad()", &[("bad", deed)], "");
        let (host, answer) = asked(&yaml).await;
        assert_eq!((&answer["allowed"], &answer["status"]["message"]), (&json!(false), &json!(format!("g: {words}"))));
        assert_eq!(host.count("PolicyGroup", "g/bad", outcome), 1);
        assert_eq!(host.count("PolicyGroup", "g", outcome), 1);
        let (_, answer) = asked(&format!("{yaml}  {ignores}: Ignore\n")).await;
        assert_eq!(answer["allowed"], true, "{deed}: {answer}");
        assert_eq!(answer["warnings"], json!([format!("g: {words}; ignored because of {ignores}")]));
        let (_, answer) = asked(&format!("{yaml}  {counts}: Ignore\n")).await;
        assert_eq!(answer["allowed"], false, "{deed}: {answer}");
        // Who is not asked cannot fail.
        let (_, answer) = asked(&group("good() || bad()", &[("good", "nothing"), ("bad", deed)], "")).await;
        assert_eq!(answer, json!({"uid": "u", "allowed": true}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_about_what_its_constraints_say() {
    let rules = "  matchConstraints:\n    resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: ['*']}]\n";
    let (host, answer) = asked(&group("bad()", &[("bad", "deny")], rules)).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(host.count("PolicyGroup", "g", "denied"), 0);
    let condition = "  matchConditions: [{name: named, expression: \"object.metadata.name == 'x'\"}]\n";
    let (host, answer) = asked(&group("bad()", &[("bad", "deny")], condition)).await;
    assert_eq!(answer["allowed"], true);
    let named = admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}));
    assert_eq!(host.review("/validate", &named).await["response"]["allowed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_member_is_told_with_its_place() {
    let yaml = group("a() && b() && c()", &[("a", "trap-in-init"), ("b", "unknown-deed"), ("c", "nothing")], "")
        .replace("name: c, component: {path: $FIXTURE}", "name: c, component: {builtin: caesar-cipher}");
    let errors = Host::load(specs(&yaml)).await.err().unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    let expected = [
        "test.yaml: PolicyGroup g/a: spec.members[0].component: init failed: the policy trapped",
        "test.yaml:9: PolicyGroup g/b: spec.members[1].settings.do: unknown variant",
        "test.yaml:10: PolicyGroup g/c: spec.members[2].settings: additionalProperties",
    ];
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}");
    }
}
