//! The command line as a user has it: exit codes, errors, answers.

use std::{fs, process::Command};

use crate::support::{fixtures, kinds};

/// Exit code, standard output, standard error.
pub fn verdict(args: &[&str]) -> (i32, String, String) {
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = command.args(args).env("VERDICT_CACHE_DIR", cache).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn review_answers_offline_with_an_exit_code_by_verdict() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let review = |policy: &str, sample: &str| {
        verdict(&["review", &format!("builtin:{policy}"), &format!("{folder}/{policy}/reviews/{sample}.json")])
    };
    let (code, out, _) = review("magic-validator", "denied-not-allowed-value");
    assert_eq!(code, 1);
    assert!(out.contains("value not-allowed-value not allowed in configmap"), "{out}");
    assert_eq!(review("magic-validator", "allowed-configmap").0, 0);
    assert_eq!(review("magic-authenticator", "unknown-other-token").0, 1);
    assert_eq!(review("magic-authorizer", "allow-configmaps").0, 0);
    let (code, out, log) = review("caesar-cipher", "answered-encrypt");
    assert_eq!((code, out.trim()), (0, "{\n  \"result\": \"khoor zruog\"\n}"));
    assert!(log.contains("encrypt"), "{log}");
    let (code, _, error) = verdict(&[
        "review",
        "builtin:magic-validator",
        &format!("{folder}/magic-authorizer/reviews/allow-configmaps.json"),
    ]);
    assert_eq!(code, 1);
    assert!(error.contains("no policy here answers SubjectAccessReview: they answer AdmissionReview"), "{error}");
}

/// As people keep it in a file.
#[test]
fn a_bare_object_is_asked_about_in_the_servers_order() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("configmap.yaml");
    fs::write(&object, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {not-allowed-value: x}\n")
        .unwrap();
    let policy = |name: &str| {
        format!(
            "---\napiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: {name}}}\nspec:\n  component: {{builtin: {name}}}\n  matchConstraints:\n    resourceRules: [{{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: ['*']}}]\n"
        )
    };
    let file = folder.path().join("policies.yaml");
    let review = |policies: &str, more: &[&str]| {
        fs::write(&file, kinds::every(policies)).unwrap();
        verdict(&[&["review", file.to_str().unwrap(), object.to_str().unwrap()], more].concat())
    };
    let validator = policy("magic-validator");
    let (code, out, _) = review(&validator, &[]);
    assert_eq!(code, 1);
    assert!(out.contains("not-allowed-value not allowed"), "{out}");
    // Nobody is asked about another resource, and a delete has no object to deny.
    assert_eq!(review(&validator, &["--resource", "mice"]).0, 0);
    assert_eq!(review(&validator, &["--operation", "delete"]).0, 0);
    let (code, _, error) = review(&validator, &["--operation", "update"]);
    assert_eq!(code, 2);
    assert!(error.contains("expected --old FILE"), "{error}");

    // Only asked about what the mutator adds.
    let condition = "  matchConditions: [{name: mutated, expression: \"'magic-value' in object.data\"}]\n";
    let validator = validator + condition;
    assert_eq!(review(&validator, &[]).0, 0);
    let (code, out, _) = review(&(validator + &policy("magic-mutator")), &[]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("\"allowed\": true") && out.contains("\"allowed\": false"), "{out}");
}

/// Whoever names a folder wants its policies: a server without any would be ready, and allow everything.
#[test]
fn no_policies_at_all_are_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let refused = |words: &str| {
        for command in [
            &["check", path][..],
            &["serve", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0", "--policies", path],
            &["compile", path],
        ] {
            let (code, _, error) = verdict(command);
            assert_eq!(code, 3, "{command:?}: {error}");
            assert!(error.contains(words) && error.contains(path), "{command:?}: {error}");
        }
    };
    refused("has no .yaml");
    let file = folder.path().join("cases.yaml");
    fs::write(&file, "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\nmetadata: {name: cases}\n").unwrap();
    refused("expected at least one policy, found none");
    fs::write(&file, "# nothing\n").unwrap();
    refused("holds no policy");
}

#[test]
fn match_conditions_decide_whether_a_policy_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    let review = |policy: &str, sample: &str, expression: &str| {
        let spec = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: p}}\nspec:\n  component: {{builtin: {policy}}}\n  matchConditions: [{{name: only, expression: {expression:?}}}]\n"
        );
        fs::write(&file, kinds::every(&spec)).unwrap();
        let sample = format!("{}/policies/{policy}/reviews/{sample}.json", env!("CARGO_MANIFEST_DIR"));
        let (code, out, _) = verdict(&["review", file.to_str().unwrap(), &sample]);
        (code, out)
    };
    for (policy, sample, expression, asked, not_asked) in [
        ("magic-validator", "denied-not-allowed-value", "object.kind == 'ConfigMap'", 1, 0),
        ("magic-authorizer", "allow-configmaps", "request.user == 'magic-user'", 0, 1),
        ("magic-authenticator", "authenticated-magic-token", "size(request.token) > 0", 0, 1),
    ] {
        assert_eq!(review(policy, sample, expression).0, asked, "{policy}");
        assert_eq!(review(policy, sample, &format!("!({expression})")).0, not_asked, "{policy}");
    }
    let (code, out) = review("magic-validator", "allowed-configmap", "object.spec.missing == 1");
    assert!(code != 0 && out.contains("a match condition of the policy failed"), "{code}: {out}");
}

#[test]
fn check_names_the_file_the_policy_and_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("team.yaml");
    let write = |spec: &str| {
        fs::write(
            &file,
            format!("apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: team}}\nspec: {spec}\n"),
        )
        .unwrap();
        verdict(&["check", file.to_str().unwrap()])
    };
    let (code, out, error) = write("{component: {builtin: required-labels}, settings: {labels: [team]}}");
    assert_eq!((code, out.as_str()), (0, "ok Validator team\n"), "{error}");
    let misbehaving = fixtures::misbehaving("").display().to_string();
    for (spec, words) in [
        (
            "{component: {builtin: nothing}}".to_owned(),
            "spec.component: builtin:nothing does not exist; there are caesar-cipher",
        ),
        ("{component: {path: ./missing.wasm}}".to_owned(), "spec.component: "),
        ("{component: {path: ./team.yaml}}".to_owned(), "spec.component: this is not a Wasm component"),
        (
            "{component: {builtin: required-labels}, settings: {labels: [{key: a, pattern: '('}]}}".to_owned(),
            "spec.settings.labels[0].pattern: expected a regular expression",
        ),
        ("{component: {builtin: required-labels}, settings: {labels: [a]}, messages: x}".to_owned(), "spec.messages: "),
        (
            "{component: {builtin: magic-authenticator}}".to_owned(),
            "spec.component: it cannot be a Validator, only Authenticator",
        ),
        (
            "{component: {builtin: magic-validator}, matchConditions: [{name: a, expression: 'requests.uid'}]}"
                .to_owned(),
            "spec.matchConditions[0].expression: match condition \"a\": ",
        ),
        (
            format!("{{component: {{path: {misbehaving}}}, settings: {{do: refuse-settings}}}}"),
            "spec.settings.do: expected something else",
        ),
    ] {
        let (code, _, error) = write(&spec);
        assert_eq!(code, 3, "{spec}: {error}");
        assert!(
            error.contains("team.yaml") && error.contains("Validator team: ") && error.contains(words),
            "{spec}: {error}"
        );
    }
}

#[test]
fn inspect_shows_what_a_component_is() {
    let (code, out, _) = verdict(&["inspect", "--json", "builtin:magic-mutator"]);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["kinds"]), (0, &serde_json::json!(["Mutator"])));
    assert!(shown["exports"].as_array().unwrap().iter().any(|it| it == "verdict:admission/mutating@1.0.0"), "{out}");
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("core.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    let (code, _, error) = verdict(&["inspect", module.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(error.contains("this is a core Wasm module, not a component: build it for wasm32-wasip2"), "{error}");
}

#[test]
fn components_that_are_no_policies_are_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |text: &str| {
        let file = folder.path().join("c.wasm");
        fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let (code, _, error) = verdict(&["inspect", file.to_str().unwrap()]);
        assert_eq!(code, 3, "{error}");
        error
    };
    let error = inspect("(component)");
    assert!(
        error.contains("does not export verdict:policy/lifecycle@1.0.0, which every policy must; it exports nothing"),
        "{error}"
    );
    let error = inspect(
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func $run (canon lift (core func $i "run")))
            (instance $l (export "init" (func $run)))
            (export "verdict:policy/lifecycle@1.0.0" (instance $l)))"#,
    );
    assert!(error.contains("exports none of the review interfaces"), "{error}");
    let error = inspect(r#"(component (import "acme:secrets/vault@1.0.0" (instance (export "read" (func)))))"#);
    assert!(error.contains("imports acme:secrets/vault@1.0.0, which belongs to another host"), "{error}");
    // The names of the contract, and other types.
    let file = folder.path().join("c.wasm");
    fs::write(
        &file,
        wat::parse_str(
            r#"(component
                (core module $m (func (export "run")))
                (core instance $i (instantiate $m))
                (func $run (canon lift (core func $i "run")))
                (instance $l (export "init" (func $run)))
                (instance $v (export "validate" (func $run)))
                (export "verdict:policy/lifecycle@1.0.0" (instance $l))
                (export "verdict:admission/validating@1.0.0" (instance $v)))"#,
        )
        .unwrap(),
    )
    .unwrap();
    let (code, _, error) = verdict(&["check", file.to_str().unwrap()]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("needs a newer Verdict"), "{error}");
}

#[test]
fn a_token_reaches_the_log_only_where_the_operator_grants_it() {
    let folder = tempfile::tempdir().unwrap();
    let review = folder.path().join("review.json");
    let secret = "s3cret-t0ken";
    fs::write(
        &review,
        format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{{"token":"{secret}"}}}}"#),
    )
    .unwrap();
    let policy = folder.path().join("p.yaml");
    let ask = |grants: &str| {
        let component = fixtures::misbehaving("");
        let text = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {{name: p}}\nspec: {{component: {{path: {}}}, settings: {{do: print-token}}{grants}}}\n",
            component.display()
        );
        fs::write(&policy, text).unwrap();
        let (code, out, log) =
            verdict(&["--log-level", "trace", "review", policy.to_str().unwrap(), review.to_str().unwrap()]);
        assert_eq!(code, 1, "{log}");
        assert!(out.contains("policy p: the policy could not decide") && !out.contains(secret), "{out}");
        log
    };
    let log = ask("");
    assert!(!log.contains(secret), "{log}");
    assert!(log.contains("a policy failed"), "{log}");
    let log = ask(", grants: {log: true}");
    assert!(log.contains(secret), "{log}");
}

#[test]
fn certs_are_private_and_not_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made");
    let dir = dir.to_str().unwrap();
    assert_eq!(verdict(&["certs", dir]).0, 0);
    let mode = fs::metadata(format!("{dir}/server.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, error) = verdict(&["certs", dir]);
    assert_eq!(code, 1);
    assert!(error.contains("--force"), "{error}");
    assert_eq!(verdict(&["certs", dir, "--force"]).0, 0);
}

#[test]
fn serve_refuses_what_would_be_unsafe() {
    for (args, code, words) in [
        (&["serve", "--bind", "0.0.0.0:0"][..], 3, "give --tls-cert and --tls-key"),
        (&["serve", "--tls-cert", "x"], 2, "--tls-key"),
        (&["serve", "--tls-cert", "x", "--tls-key", "y"], 3, "--policies is missing"),
        (&["serve", "--policies", "/does/not/exist"], 3, "/does/not/exist"),
        (&["serve", "--bind", "nowhere"], 2, "invalid value 'nowhere'"),
    ] {
        let (got, _, error) = verdict(args);
        assert_eq!(got, code, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[test]
fn manifests_refuse_what_would_register_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, "-----BEGIN CERTIFICATE-----").unwrap();
    let manifests = |spec: &str, more: &[&str]| {
        let text = format!("apiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: p}}\nspec: {spec}\n");
        fs::write(&file, kinds::every(&text)).unwrap();
        let args = ["manifests", "--policies", file.to_str().unwrap(), "--ca-file", ca.to_str().unwrap()];
        verdict(&[&args[..], more].concat())
    };
    let url = ["--url", "https://h:8443"];
    let (code, _, error) = manifests("{component: {builtin: magic-validator}}", &url);
    assert_eq!(code, 3);
    assert!(error.contains("Validator p: spec.matchConstraints.resourceRules: "), "{error}");
    let (code, _, error) = manifests("{component: {builtin: caesar-cipher}}", &url);
    assert_eq!(code, 3);
    assert!(error.contains("nothing to register"), "{error}");
    for place in [&["--url", "http://h"][..], &["--url", "https://h/path"], &["--service", "verdict"], &[]] {
        assert_eq!(manifests("{component: {builtin: magic-authenticator}}", place).0, 2, "{place:?}");
    }
    let (code, out, _) = manifests("{component: {builtin: magic-authenticator}}", &url);
    assert_eq!(code, 0);
    assert!(
        out.contains("server: https://h:8443/authenticate") || out.contains("server: \"https://h:8443/authenticate\""),
        "{out}"
    );
}

#[test]
fn compile_makes_everything_that_check_would() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policies.yaml");
    let policy = |name: &str, component: &str, more: &str| {
        format!(
            "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: {component}}}{more}}}\n"
        )
    };
    let labels = |labels: &str| format!(", settings: {{labels: [{labels}]}}");
    let yaml = [
        policy("one", "required-labels", &labels("team")),
        policy("same", "required-labels", &(labels("team") + ", limits: {memory: 32Mi}")),
        policy("other", "required-labels", &labels("owner")),
    ];
    fs::write(&file, yaml.concat()).unwrap();
    let (file, cache) = (file.to_str().unwrap(), folder.path().join("cache"));
    let run = |command: &str| verdict(&[command, file, "--cache-dir", cache.to_str().unwrap()]);
    let entries = || {
        let read = |it: std::io::Result<fs::DirEntry>| {
            let path = it.unwrap().path();
            (path.clone(), std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap()))
        };
        fs::read_dir(cache.join("code")).unwrap().map(read).collect::<std::collections::BTreeSet<_>>()
    };
    let (code, out, error) = run("compile");
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("ok one (starts from snapshot)") && out.contains("3 policies"), "{out}");
    let compiled = entries();
    assert_eq!(compiled.len(), 2, "the same component, settings and grants share their code");
    assert_eq!(run("check").0, 0);
    assert_eq!(entries(), compiled, "check compiled something again");

    std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).unwrap();
    let (code, _, error) = verdict(&["compile", file, "--cache-dir", folder.path().join("link").to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(error.contains("link/code"), "{error}");
}

#[test]
fn inspect_says_what_a_review_begins_with() {
    let (code, out, _) = verdict(&["inspect", "builtin:magic-validator"]);
    assert_eq!(code, 0);
    assert!(out.contains("start       snapshot\n"), "{out}");
    let (code, out, _) =
        verdict(&["inspect", fixtures::misbehaving("").to_str().unwrap(), "--settings", "{\"do\": \"hold-in-init\"}"]);
    assert_eq!(code, 0);
    assert!(out.contains("start       init; no snapshot: after init it holds handles of the host"), "{out}");
    let (code, out, _) = verdict(&["inspect", fixtures::misbehaving("").to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("init refuses these settings; give --settings"), "{out}");
}
