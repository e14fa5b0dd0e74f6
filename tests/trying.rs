//! `verdict review` and `verdict bench` as somebody has them who tries a policy.

use std::fs;

use serde_json::{Value, json};

use crate::{cli::verdict, support::fixtures};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");

#[test]
fn bench_measures_both_kinds_of_instances_but_for_authenticators() {
    let bench = |policy: &str, sample: &str, more: &[&str]| {
        let review = format!("{POLICIES}/{policy}/reviews/{sample}.json");
        let (code, out, error) =
            verdict(&[&["bench", &format!("builtin:{policy}"), &review, "--reviews", "50"], more].concat());
        assert_eq!(code, 0, "{out}{error}");
        out
    };
    let report: Value = serde_json::from_str(&bench("magic-validator", "allowed-configmap", &["--json"])).unwrap();
    let rows = report["measurements"].as_array().unwrap();
    let kinds: std::collections::BTreeSet<&str> = rows.iter().map(|it| it["instances"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["PerReview", "Reuse"].into());
    for row in rows {
        assert_eq!((&row["reviews"], &row["failed"], &row["outcomes"]), (&json!(50), &json!(0), &json!(["allowed"])));
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!(number("p50") > 0.0 && number("p99") >= number("p50") && number("memory") > 65_536.0, "{row}");
        assert!(number("instantiate") + number("guest") <= number("mean"), "{row}");
    }
    let out = bench("magic-authenticator", "authenticated-magic-token", &[]);
    assert!(!out.contains("Reuse ") && out.contains("instances of authenticators are never used again"), "{out}");
    let broken = fixtures::misbehaving("admission");
    let review = format!("{POLICIES}/magic-validator/reviews/allowed-configmap.json");
    let settings = r#"{"do": "error"}"#;
    let (code, out, _) =
        verdict(&["bench", broken.to_str().unwrap(), &review, "--reviews", "3", "--settings", settings]);
    assert!(code == 1 && out.contains("a policy failed in "), "{out}");
}

#[test]
fn review_tells_what_was_used_and_why_a_policy_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("map.yaml");
    fs::write(&object, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").unwrap();
    let policy = folder.path().join("p.yaml");
    let review = |matching: &str, more: &[&str]| {
        let text = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec: {{component: {{builtin: required-labels}}, settings: {{labels: [team]}}, {matching}}}\n"
        );
        fs::write(&policy, text).unwrap();
        let (policy, object) = (policy.to_str().unwrap(), object.to_str().unwrap());
        verdict(&[&["review", policy, "-f", object], more].concat())
    };
    let rule = |more: &str| {
        format!(
            "matchConstraints: {{resourceRules: [{{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}]{more}}}"
        )
    };
    let (code, out, error) = review(&rule(""), &[]);
    assert_eq!(code, 1);
    assert!(serde_json::from_str::<Value>(&out).is_ok(), "{out}");
    assert!(error.contains("verdict: p (Validator): denied, ") && error.contains(" MiB\n"), "{error}");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verdict"));
    let input = fs::File::open(&object).unwrap();
    let output = command.arg("review").arg(&policy).arg("-").stdin(input).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), out);
    for (matching, more, words) in [
        (rule(""), &[][..], "p (Validator): asked: resourceRules[0] matches\n"),
        (String::new(), &[], "asked: it is asked about everything\n"),
        (rule(""), &["--operation", "delete"], "not asked: resourceRules[0] lists CREATE in operations, not DELETE\n"),
        (rule(""), &["--resource", "maps"], "not asked: resourceRules[0] lists configmaps in resources, not maps\n"),
        (rule(""), &["--subresource", "status"], "lists configmaps in resources, not configmaps/status\n"),
        (rule(", objectSelector: {matchLabels: {a: b}}"), &[], "not asked: objectSelector does not select the labels"),
        (
            rule(", namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}"),
            &[],
            "not asked: namespaceSelector does not select the namespace \"default\"\n",
        ),
        (
            rule(", namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}")
                + ", matchConditions: [{name: jane, expression: 'request.userInfo.username == \"jane\"'}]",
            &["--namespace", "shop"],
            "asked: resourceRules[0] matches, namespaceSelector selects it, matchConditions[0] (jane) is true\n",
        ),
        (
            "matchConditions: [{name: bob, expression: 'request.userInfo.username == \"bob\"'}]".to_owned(),
            &[],
            "not asked: matchConditions[0] (bob) is false: request.userInfo.username == \"bob\"\n",
        ),
        (
            "matchConditions: [{name: odd, expression: 'object.spec.x == 1'}]".to_owned(),
            &[],
            "asked: nobody can tell, which is a failure of the policy: odd: ",
        ),
        (
            rule(
                ", excludeResourceRules: [{apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], operations: ['*']}]",
            ),
            &[],
            "not asked: excludeResourceRules[0] matches\n",
        ),
    ] {
        let (_, _, error) = review(&matching, &[&["--explain"], more].concat());
        assert!(error.contains(words), "{matching} {more:?}: {error}");
    }
    let (_, _, error) = review(&rule(""), &["--operation", "delete"]);
    assert!(error.contains("no policy is asked about this; --explain tells why"), "{error}");

    fs::write(
        folder.path().join("verdict.yaml"),
        "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyManifest\nname: own\n",
    )
    .unwrap();
    fs::write(folder.path().join("go.mod"), "module example.org/own\n").unwrap();
    let dir = folder.path().to_str().unwrap();
    let (code, _, error) = verdict(&["review", dir, object.to_str().unwrap()]);
    assert!(code == 3 && error.contains("own.wasm: it is not built yet: run `verdict build "), "{error}");
    fs::copy(fixtures::misbehaving("admission"), folder.path().join("own.wasm")).unwrap();
    let (code, _, error) = verdict(&["review", dir, object.to_str().unwrap(), "--settings", r#"{"do": "deny"}"#]);
    assert!(code == 1 && error.contains("verdict: own (Mutator): denied, "), "{error}");
}
