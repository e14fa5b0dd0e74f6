//! `verdict test` as an author has it: real components, exact words, exit codes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    cli::verdict,
    support::{fixtures, kinds, node},
};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");

/// An author's folder: its cases, and what goes with them.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(cases: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("tests")).unwrap();
        folder.write("tests/a.yaml", &format!("apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\n{cases}"));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// A policy beside the cases.
    fn policy(&self, name: &str, component: &str, more: &str) {
        let text = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: {name}}}\nspec: {{component: {{{component}}}{more}}}\n"
        );
        self.write(&format!("{name}.yaml"), &kinds::every(&text));
    }

    fn test(&self, more: &[&str]) -> (i32, String, String) {
        verdict(&[&["test", self.path().to_str().unwrap()], more].concat())
    }

    /// Asks the built-in required-labels.
    fn labels(&self, more: &[&str]) -> (i32, String, String) {
        self.test(&[&["--component", "builtin:required-labels"], more].concat())
    }

    /// Asks the policy that misbehaves.
    fn misbehaving(&self, more: &[&str]) -> (i32, String, String) {
        let component = fixtures::misbehaving("admission");
        self.test(&[&["--component", component.to_str().unwrap()], more].concat())
    }
}

const MAP: &str = "object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {team: x}}, data: {}}";

#[test]
fn the_cases_of_required_labels_hold_in_every_language() {
    let shown = |component: PathBuf| component.display().to_string();
    let components = [
        Some("builtin:required-labels".to_owned()),
        fixtures::go("required-labels-go").map(shown),
        node::component("required-labels-js").map(shown),
        fixtures::python("required-labels-python").map(shown),
    ];
    for component in components.into_iter().flatten() {
        let out = passes("required-labels", &component);
        assert!(out.contains("ok      labels.yaml: every label is there and matches ("), "{out}");
    }
}

#[test]
fn the_cases_of_the_examples_in_go_hold() {
    for name in ["pod-defaults-go", "ticket-authorizer-go", "hmac-authenticator-go"] {
        if let Some(component) = fixtures::go(name) {
            passes(name, component.to_str().unwrap());
        }
    }
}

/// All cases of a folder of `policies/`.
fn passes(policy: &str, component: &str) -> String {
    let (code, out, error) = verdict(&["test", &format!("{POLICIES}/{policy}"), "--component", component]);
    assert_eq!(code, 0, "{component}: {out}{error}");
    assert!(out.ends_with(" passed, 0 failed\n"), "{component}: {out}");
    out
}

/// Several policies together, in the server's order, of every kind.
#[test]
fn policies_of_every_kind_are_asked_as_the_server_asks_them() {
    let folder = Folder::new(&format!(
        "policies: [../mutator.yaml, ../validator.yaml, ../tokens.yaml, ../access.yaml, ../caesar.yaml]\nenv: {{SHIFT_AMOUNT: '1'}}\ncases:\n\
        - name: the validator sees what the mutator changed\n  {MAP}\n  expect:\n    verdict: mutated\n    object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, labels: {{team: x}}}}, data: {{magic-value: foobar}}}}\n\
        - name: nobody is asked about a pod\n  object: {{apiVersion: v1, kind: Pod, metadata: {{name: a}}}}\n  expect: {{verdict: not-asked, message: 'resourceRules[0] lists configmaps in resources, not pods'}}\n\
        - name: denied\n  object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{not-allowed-value: x}}}}\n  expect: {{verdict: denied, message: not-allowed-value, code: 403}}\n\
        - name: known\n  review: {POLICIES}/magic-authenticator/reviews/authenticated-magic-token.json\n  expect: {{verdict: authenticated, user: {{username: magic-user, groups: [magic-group]}}}}\n\
        - name: unknown\n  review: {POLICIES}/magic-authenticator/reviews/unknown-other-token.json\n  expect: {{verdict: unknown}}\n\
        - name: allow\n  review: {POLICIES}/magic-authorizer/reviews/allow-configmaps.json\n  expect: {{verdict: allow, message: magic-group may use configmaps}}\n\
        - name: an event\n  event: {{action: encrypt, message: abc}}\n  expect: {{verdict: answered, answer: {{result: bcd}}, annotations: {{action: encrypt, characters: '3'}}}}\n\
        - name: a bad event\n  event: {{action: shout, message: abc}}\n  expect: {{verdict: error, message: unknown variant}}\n"
    ));
    let rules = ", matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: ['*']}]}";
    folder.policy("mutator", "builtin: magic-mutator", rules);
    folder.policy("validator", "builtin: magic-validator", rules);
    folder.policy("tokens", "builtin: magic-authenticator", "");
    folder.policy("access", "builtin: magic-authorizer", "");
    folder.policy("caesar", "builtin: caesar-cipher", "");
    let (code, out, error) = folder.test(&[]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.ends_with("8 passed, 0 failed\n"), "{out}");
}

#[test]
fn what_was_expected_and_what_came_is_said_for_each_failure() {
    let object = "object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    let folder = Folder::new(&format!(
        "settings: {{labels: [team]}}\ncases:\n\
        - {{name: verdict, {object}, expect: {{verdict: allowed}}}}\n\
        - {{name: message, {object}, expect: {{verdict: denied, message: the label owner}}}}\n\
        - {{name: code, {object}, expect: {{verdict: denied, code: 422, reason: Invalid}}}}\n\
        - {{name: causes, {object}, expect: {{verdict: denied, causes: [{{field: metadata.name}}]}}}}\n\
        - {{name: warnings, {MAP}, expect: {{verdict: allowed, warnings: [old]}}}}\n\
        - {{name: annotations, {MAP}, expect: {{verdict: allowed, annotations: {{a: b}}}}}}\n\
        - {{name: object, {MAP}, expect: {{verdict: allowed, object: {{apiVersion: v1, kind: ConfigMap}}}}}}\n\
        - {{name: settings, settings: {{}}, {MAP}, expect: {{verdict: allowed}}}}\n\
        - {{name: other setting, settings: {{}}, expect: {{verdict: settings-error, settingsErrors: [{{path: /labels/0}}]}}}}\n\
        - {{name: good settings, expect: {{verdict: settings-error}}}}\n\
        - {{name: no such review, review: {{kind: TokenReview, apiVersion: authentication.k8s.io/v1, spec: {{token: a}}}}, expect: {{verdict: unknown}}}}\n\
        - {{name: passes, {MAP}, expect: {{verdict: allowed}}}}\n"
    ));
    let (code, out, error) = folder.labels(&[]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.ends_with("\n1 passed, 11 failed\n"), "{out}");
    assert!(out.contains("FAILED  a.yaml: verdict (") && out.contains("ok      a.yaml: passes ("), "{out}");
    for words in [
        "--- a.yaml: verdict\nverdict:\n  expected allowed\n  got      denied: required-labels: the label team is required\n",
        "--- a.yaml: message\nmessage:\n  expected … the label owner …\n  got      required-labels: the label team is required\n",
        "code:\n  expected 422\n  got      403\nreason:\n  expected Invalid\n  got      Forbidden\n",
        "causes: - expected, + got\n",
        "  -    \"field\": \"metadata.name\"\n  +    \"field\": \"metadata.labels.team\",\n",
        "  -[\n  -  \"old\"\n  -]\n  +[]\n",
        "  -{\n  -  \"required-labels.a\": \"b\"\n  -}\n  +{}\n",
        "  +    \"labels\": {\n  +      \"team\": \"x\"\n",
        "  got      settings-error\n",
        "settings:\n  expected the policy to take them\n  got      spec.settings: expected at least one of labels and annotations\n",
        "settingsErrors:\n  expected spec.settings.labels[0]\n  got      spec.settings: expected at least one of",
        "  expected settings-error\n  got      the policy takes these settings\n",
        "review:\n  expected one that the policy can be asked\n  got      no policy here answers TokenReview: they answer AdmissionReview\n",
    ] {
        assert!(out.contains(words), "{words}\n---\n{out}");
    }
}

#[test]
fn a_policy_that_is_not_asked_does_not_allow() {
    let folder = Folder::new(&format!(
        "policies: [../p.yaml]\ncases:\n- {{name: a, {MAP}, expect: {{verdict: allowed}}}}\n- {{name: b, {MAP}, operation: DELETE, expect: {{verdict: not-asked}}}}\n"
    ));
    let conditions = ", settings: {labels: [team]}, matchConditions: [{name: updates, expression: 'request.operation == \"UPDATE\"'}]";
    folder.policy("p", "builtin: required-labels", conditions);
    let (code, out, _) = folder.test(&[]);
    assert_eq!(code, 1);
    assert!(out.contains("ok      a.yaml: b ("), "{out}");
    let words = "expected allowed\n  got      not-asked: the review does not match (p: matchConditions[0] (updates) is false: request.operation == \"UPDATE\")\n";
    assert!(out.contains(words), "{out}");
}

#[test]
fn failures_of_a_policy_are_told_apart_from_denials_with_its_log() {
    let folder = Folder::new(&format!(
        "cases:\n- {{name: error, settings: {{do: error}}, {MAP}, expect: {{verdict: error, message: secret-detail}}}}\n\
        - {{name: trap, settings: {{do: trap}}, {MAP}, expect: {{verdict: denied}}}}\n\
        - {{name: memory, settings: {{do: hog-memory}}, {MAP}, expect: {{verdict: error, message: used up its memory}}}}\n\
        - {{name: init, settings: {{do: trap-in-init}}, {MAP}, expect: {{verdict: error, message: init failed}}}}\n\
        - {{name: chatter, settings: {{do: chatter}}, {MAP}, expect: {{verdict: denied}}}}\n\
        - {{name: dirty, settings: {{do: dirty-warnings}}, {MAP}, expect: {{verdict: allowed, warnings: []}}}}\n"
    ));
    let (code, out, error) = folder.misbehaving(&[]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("3 passed, 3 failed"), "{out}");
    assert!(
        out.contains("expected denied\n  got      error: ")
            && out.contains("the policy crashed (the policy trapped: thread "),
        "{out}"
    );
    // Nothing of it reaches the terminal as it was.
    assert!(out.contains("log:\n  info  misbehaving-admission: chatter 0 \\u{1b}[31mred\\u{1b}[0m\n"), "{out}");
    assert!(!out.contains('\u{1b}') && !error.contains("chatter"), "{error}");
}

#[test]
fn a_change_must_be_complete() {
    let cases = |more: &str| {
        Folder::new(&format!(
            "cases:\n- {{name: grows, settings: {{do: grow}}, {MAP}, {more}expect: {{verdict: mutated}}}}\n"
        ))
    };
    let (code, out, error) = cases("").misbehaving(&[]);
    assert_eq!(code, 1, "{out}{error}");
    let words = "asked twice: expected no further change when its own result is sent again (or `idempotent: false` in the case); it changes it again\n";
    assert!(out.contains(words), "{out}");
    assert!(out.contains("  -      \"grown\": \"x\",\n  +      \"grown\": \"xx\",\n"), "{out}");
    let (code, out, error) = cases("idempotent: false, ").misbehaving(&[]);
    assert_eq!(code, 0, "{out}{error}");
}

#[test]
fn snapshots_are_blessed_and_then_compared() {
    let folder = Folder::new(&format!(
        "settings: {{labels: [owner]}}\ncases:\n- {{name: Whole answer!, {MAP}, expect: {{snapshot: true}}}}\n- {{name: other, {MAP}, expect: {{verdict: denied}}}}\n"
    ));
    let kept = folder.path().join("tests/snapshots/a@whole-answer.json");
    let (code, out, _) = folder.labels(&[]);
    assert_eq!(code, 1);
    assert!(out.contains("there is none yet; look at the answer, and keep it with `verdict test --bless`:\n"), "{out}");
    assert!(!kept.exists());
    let (code, out, error) = folder.labels(&["--bless"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains(&format!("blessed  {}\n", kept.display())), "{out}");
    let text = fs::read_to_string(&kept).unwrap();
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&snapshot["verdict"], &snapshot["code"]), (&json!("denied"), &json!(403)));
    assert_eq!(snapshot["causes"][0]["field"], "metadata.labels.owner");
    let (code, out, _) = folder.labels(&["--bless"]);
    assert_eq!(code, 0);
    assert!(!out.contains("blessed"), "{out}");
    assert_eq!(folder.labels(&[]).0, 0);
    fs::write(&kept, text.replace("is required", "is needed")).unwrap();
    let (code, out, _) = folder.labels(&[]);
    assert_eq!(code, 1);
    assert!(out.contains("snapshot: - expected, + got\n") && out.contains("the label owner is needed"), "{out}");
    let left = kept.with_file_name("a@renamed.json");
    fs::write(&left, "{}").unwrap();
    assert!(folder.labels(&[]).1.contains(&format!("note: {}: no case has this snapshot\n", left.display())));
    fs::write(&kept, "{").unwrap();
    let (code, out, _) = folder.labels(&[]);
    assert!(code == 1 && out.contains("EOF while parsing"), "{out}");
    assert_eq!(folder.labels(&["--bless"]).0, 0);
    assert_eq!(fs::read_to_string(&kept).unwrap(), text);
}

#[test]
fn reports_for_programs_hold_whatever_cases_and_guests_say() {
    let folder = Folder::new(&format!(
        "limits: {{timeoutMilliseconds: 30000}}\ncases:\n- {{name: \"<&\\\"'>]]> \\e[2J\\u202e\\uFFFE\\n\", settings: {{do: chatter}}, {MAP}, expect: {{verdict: denied}}}}\n\
        - {{name: fine, settings: {{do: nothing}}, {MAP}, expect: {{verdict: allowed}}}}\n"
    ));
    let file = folder.path().join("out.xml");
    let (code, out, error) = folder.misbehaving(&["--format", "junit", "-o", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    let text = fs::read_to_string(file).unwrap();
    let xml = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let suites = xml.root_element();
    assert_eq!((suites.attribute("tests"), suites.attribute("failures")), (Some("2"), Some("1")));
    let cases: Vec<_> = xml.descendants().filter(|it| it.has_tag_name("testcase")).collect();
    assert_eq!(cases[0].attribute("name"), Some("<&\"'>]]> \\u{1b}[2J\\u{202e}\\u{fffe}"));
    let failure = cases[0].children().find(|it| it.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("verdict: expected denied, got allowed"));
    assert!(cases[0].children().any(|it| it.has_tag_name("system-out")), "{text}");
    assert_eq!(cases[1].children().filter(roxmltree::Node::is_element).count(), 0);

    let (code, out, _) = folder.misbehaving(&["--format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["passed"], &report["failed"]), (1, &json!(1), &json!(1)));
    assert_eq!(report["cases"][0]["failures"][0]["what"], "verdict");
    assert!(report["cases"][1]["memory"].as_u64().unwrap() > 0, "{out}");
    let (_, out, _) = folder.misbehaving(&[]);
    assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}'), "{out}");
}

#[test]
fn a_filter_picks_cases_and_bad_files_are_no_failures() {
    let good = format!(
        "settings: {{labels: [team]}}\ncases:\n- {{name: one, {MAP}, expect: {{verdict: allowed}}}}\n- {{name: two, {MAP}, expect: {{verdict: denied}}}}\n"
    );
    let folder = Folder::new(&good);
    let (code, out, _) = folder.labels(&["--filter", "one"]);
    assert!(code == 0 && out.ends_with("1 passed, 0 failed\n"), "{out}");
    assert!(folder.labels(&["--filter", "a.yaml"]).1.ends_with("1 passed, 1 failed\n"));
    let (code, _, error) = folder.labels(&["--filter", "three"]);
    assert!(code == 3 && error.contains("no case has \"three\" in its name"), "{error}");

    folder.write("tests/b.yaml", "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\ncases:\n- {nam: one}\n");
    let (code, out, error) = folder.labels(&[]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(error.contains("tests/b.yaml:4: cases[0].nam: is not a field; did you mean name?"), "{error}");

    // A file of somebody else's does not drive the terminal.
    folder
        .write("tests/b.yaml", "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\n\"\\e[2J\": 1\ncases: []\n");
    let (code, _, error) = folder.labels(&[]);
    assert!(code == 3 && error.contains("\\u{1b}[2J: is not a field") && !error.contains('\u{1b}'), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let (code, _, error) = verdict(&["test", empty.path().to_str().unwrap()]);
    assert!(code == 3 && error.contains("tests: there are no cases: expected a folder with .yaml files"), "{error}");
    let (code, _, error) = Folder::new(&good).test(&[]);
    assert!(code == 3 && error.contains("nothing to build: ") && error.contains("or give --component FILE"), "{error}");
    let broken =
        Folder::new(&format!("policies: [../p.yaml]\ncases:\n- {{name: a, {MAP}, expect: {{verdict: allowed}}}}\n"));
    broken.policy("p", "builtin: required-labels", ", messages: x");
    let (code, _, error) = broken.test(&[]);
    assert!(code == 3 && error.contains("spec.messages: is not a field; did you mean message?"), "{error}");
}

#[test]
fn examples_of_the_schema_must_be_taken_and_should_be_used() {
    let folder = Folder::new(&format!(
        "settings: {{labels: [team]}}\ncases:\n- {{name: one, {MAP}, expect: {{verdict: allowed}}}}\n"
    ));
    folder.write(
        "verdict.yaml",
        "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyManifest\nname: p\nsettings: {examples: [{labels: [team]}, {labels: [owner]}, {}]}\n",
    );
    let (code, out, error) = folder.labels(&[]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("ok      verdict.yaml: example 1 of the settings ("), "{out}");
    assert!(out.contains("--- verdict.yaml: example 3 of the settings\nsettings:\n  expected the policy to take its own example (or another schema: in Rust `BLESS=1 cargo test` writes that of the settings)\n  got      spec.settings: expected at least one of labels and annotations\n"), "{out}");
    assert!(out.contains("verdict.yaml: no case uses example 2 of the settings\n"), "{out}");
    assert!(!out.contains("no case uses example 1"), "{out}");
    let (code, _, error) = folder.test(&["--no-build"]);
    assert!(code == 3 && error.contains("nothing to build"), "{error}");
    folder.write("go.mod", "module example.org/p\n");
    let (code, _, error) = folder.test(&["--no-build"]);
    assert!(code == 3 && error.contains("p.wasm: it is not built yet: leave out --no-build"), "{error}");
}
