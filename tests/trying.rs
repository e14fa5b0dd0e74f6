//! `verdict review` and `verdict bench` as somebody has them who tries a policy.

use std::fs;

use serde_json::{Value, json};

use crate::support::{fixtures, verdict::verdict};

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
fn what_is_no_review_is_told_with_its_place_and_the_kinds_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asked");
    let review = |policy: &str, text: &str| {
        fs::write(&file, text).unwrap();
        let (code, out, error) = verdict(&["review", policy, file.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (2, ""), "{text}: {error}");
        error.replace(file.to_str().unwrap(), "FILE")
    };
    let kinds = "expected TokenReview, SubjectAccessReview or AdmissionReview";
    for (policy, text, words) in [
        (
            "mutator",
            "{\"kind\": \"AdmissionReview\",\n \"request\": {",
            "it is not JSON: EOF while parsing an object at line 2",
        ),
        ("mutator", "kind: ConfigMap\ndata: {a: [b}\n", "line 2: "),
        ("mutator", "", "it is empty"),
        ("mutator", "a: b", &format!("kind is missing: {kinds}, or an object with apiVersion and kind\n")),
        (
            "mutator",
            "kind: AdmissionRevew\napiVersion: admission.k8s.io/v1\n",
            &format!(
                "the kind \"AdmissionRevew\" is unknown: {kinds}, or an object with apiVersion and kind; did you mean AdmissionReview?\n"
            ),
        ),
        ("authenticator", "{\"kind\": \"Pod\"}", &format!("the kind \"Pod\" is unknown: {kinds}\n")),
    ] {
        let error = review(&format!("builtin:magic-{policy}"), text);
        assert!(error.starts_with(&format!("verdict: FILE: {words}")), "{text}: {error}");
    }
}

#[test]
fn reviews_of_many_files_and_documents_are_asked_and_changes_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects.yaml");
    fs::write(
        &objects,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: '1'}\nlarge: 12345678901234567890123\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b}\n",
    )
    .unwrap();
    let whole = format!("{POLICIES}/magic-mutator/reviews/changed-configmap.json");
    let (code, out, error) =
        verdict(&["review", "builtin:magic-mutator", objects.to_str().unwrap(), &whole, "-o", "yaml"]);
    assert_eq!(code, 0, "{error}");
    let stored = "---\napiVersion: v1\ndata:\n  magic-value: foobar\n  \"n\": \"1\"\nkind: ConfigMap\nlarge: 12345678901234567890123\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: b\n---\n";
    assert!(out.starts_with(stored), "{out}");
    assert!(error.contains("objects.yaml, document 1\n") && error.contains("changed-configmap.json\n"), "{error}");
    assert!(error.contains("\n data:\n+  magic-value: foobar\n"), "{error}");
    let (code, out, _) = verdict(&["review", "builtin:magic-mutator", objects.to_str().unwrap(), "-f", &whole]);
    let answers: Vec<Value> = serde_json::Deserializer::from_str(&out).into_iter().map(Result::unwrap).collect();
    assert_eq!((code, answers.len()), (0, 3), "{out}");

    // One that is denied among those that are allowed, and nothing to store.
    let sample = |name: &str| format!("{POLICIES}/magic-validator/reviews/{name}.json");
    let (code, out, _) = verdict(&[
        "review",
        "builtin:magic-validator",
        &sample("allowed-secret"),
        &sample("denied-update"),
        "-o",
        "yaml",
    ]);
    assert!(code == 1 && out.contains("kind: Secret\n") && out.contains("  allowed: false\n"), "{out}");

    let coloured = |name: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verdict"));
        command.args(["review", "builtin:magic-mutator", &whole]).env(name, "1");
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let green = "\u{1b}[32m+  magic-value: foobar\u{1b}[0m\n";
    assert!(coloured("CLICOLOR_FORCE").contains(green), "{}", coloured("CLICOLOR_FORCE"));
    assert!(!coloured("NO_COLOR").contains('\u{1b}'));
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, error) = verdict(&["completions", shell]);
        assert!(code == 0 && out.contains("review") && out.contains("explain"), "{error}");
    }
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
            "asked: could not be evaluated, which counts as a failure of the policy: odd: ",
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
