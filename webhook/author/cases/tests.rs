use std::fs;

use super::*;

const HEAD: &str = "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\n";

/// The suite of a folder with these files, or everything that is wrong with them.
fn suite(files: &[(&str, &str)]) -> Result<Suite, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let place = format!("{}/", folder.path().display());
    let words = |errors: Vec<crate::config::ConfigError>| {
        errors.iter().map(|it| it.to_string().replace(&place, "")).collect::<Vec<_>>().join("\n")
    };
    let mut suite = read(folder.path()).map_err(words)?;
    for note in &mut suite.notes {
        *note = note.replace(&place, "");
    }
    Ok(suite)
}

fn one(text: &str) -> Result<Suite, String> {
    suite(&[("a.yaml", &format!("{HEAD}{text}"))])
}

#[test]
fn a_case_has_a_whole_review_or_an_object_that_becomes_one() {
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, n: 12345678901234567890123}";
    let text = format!(
        "settings: {{a: 1}}\nenv: {{A: one}}\nlimits: {{timeoutMilliseconds: 2000}}\ncases:\n\
        - {{name: first, object: {object}, user: {{username: bob, groups: [dev]}}, namespace: shop, expect: {{verdict: allowed}}}}\n\
        - {{name: second, object: {object}, operation: UPDATE, oldObject: {object}, subresource: status, settings: {{}}, env: {{A: two}}, expect: {{verdict: denied}}}}\n\
        - {{name: third, review: review.json, now: 2026-03-02T09:00:00+01:00, idempotent: false, expect: {{snapshot: true}}}}\n\
        - {{name: fourth, event: [1, null], expect: {{verdict: answered, answer: null}}}}\n\
        - {{name: fifth, expect: {{verdict: settings-error, settingsErrors: [{{path: /a}}]}}}}\n"
    );
    let review = r#"{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "n": 1.50}"#;
    let found = suite(&[("a.yaml", &format!("{HEAD}{text}")), ("review.json", review)]).unwrap().cases;
    let names: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third", "fourth", "fifth"]);
    let request =
        |index: usize| serde_json::from_str::<serde_json::Value>(&found[index].review).unwrap()["request"].clone();
    assert_eq!(request(0)["userInfo"]["groups"], serde_json::json!(["dev", "system:authenticated"]));
    assert_eq!((&request(0)["namespace"], &request(0)["operation"]), (&"shop".into(), &"CREATE".into()));
    assert!(found[0].review.contains("\"n\":12345678901234567890123"), "{}", found[0].review);
    assert_eq!((&request(1)["subResource"], &request(1)["oldObject"]["kind"]), (&"status".into(), &"ConfigMap".into()));
    assert_eq!(
        (found[0].setup.settings.as_deref(), found[1].setup.settings.as_deref()),
        (Some(r#"{"a":1}"#), Some("{}"))
    );
    assert_eq!((found[0].setup.env["A"].as_str(), found[1].setup.env["A"].as_str()), ("one", "two"));
    assert_eq!(found[1].setup.limits.time, std::time::Duration::from_secs(2));
    // A file's own spelling stays.
    assert_eq!(found[2].review, review);
    let nine = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_772_438_400);
    assert_eq!((found[1].now, found[2].now), (None, Some(nine)));
    assert!(!found[2].idempotent && found[2].expect.snapshot && found[2].expect.verdict.is_none());
    assert_eq!((found[3].review.as_str(), &found[3].expect.answer), ("[1,null]", &Some(serde_json::Value::Null)));
    assert!(found[4].review.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_path() {
    let case = |fields: &str| format!("cases:\n- {{name: a, {fields}}}\n");
    let object = "object: {apiVersion: v1, kind: ConfigMap}";
    let allowed = "expect: {verdict: allowed}";
    for (text, expected) in [
        ("cases: []\n".to_owned(), "a.yaml:3: cases: expected at least one case"),
        ("case: []\n".to_owned(), "a.yaml:3: case: is not a field; did you mean cases?"),
        (case(allowed), "a.yaml:4: cases[0]: expected exactly one of object, review, event"),
        (case(&format!("{object}, review: {{}}, {allowed}")), "a.yaml:4: cases[0]: expected exactly one of object"),
        (
            case(&format!("{object}, expect: {{verdict: allow_ed}}")),
            "a.yaml:4: cases[0].expect.verdict: expected one of allowed, denied",
        ),
        (case(&format!("{object}, expect: {{}}")), "a.yaml:4: cases[0].expect.verdict: is required"),
        (
            case(&format!("{object}, expect: {{verdict: denied, mesage: a}}")),
            "a.yaml:4: cases[0].expect.mesage: is not a field; did you mean message?",
        ),
        (
            case(&format!("{object}, expect: {{verdict: denied, code: 200}}")),
            "a.yaml:4: cases[0].expect.code: expected the HTTP status code",
        ),
        (
            case(&format!("{object}, expect: {{verdict: settings-error, settingsErrors: [{{path: labels}}]}}")),
            "a.yaml:4: cases[0].expect.settingsErrors[0].path: expected a JSON Pointer",
        ),
        (
            case(&format!("{object}, expect: {{verdict: denied, settingsErrors: []}}")),
            "a.yaml:4: cases[0].expect.settingsErrors: is allowed only with",
        ),
        (case(&format!("object: missing.yaml, {allowed}")), "a.yaml:4: cases[0].object: missing.yaml: No such file"),
        (
            case(&format!("object: {{kind: Pod}}, {allowed}")),
            "a.yaml:4: cases[0].object: expected an object with apiVersion and kind",
        ),
        (
            case(&format!("review: {{apiVersion: v1, kind: Pod}}, {allowed}")),
            "a.yaml:4: cases[0].review: expected an AdmissionReview",
        ),
        (
            case(&format!("{object}, operation: UPDATE, {allowed}")),
            "a.yaml:4: cases[0]: operation UPDATE needs oldObject",
        ),
        (
            case(&format!("{object}, operation: CONNECT, {allowed}")),
            "a.yaml:4: cases[0].operation: expected one of CREATE, UPDATE, DELETE",
        ),
        (
            case(&format!("event: {{}}, user: {{username: a}}, {allowed}")),
            "a.yaml:4: cases[0].user: is allowed only with object",
        ),
        (
            case(&format!("{object}, now: 2026-03-02, {allowed}")),
            "a.yaml:4: cases[0].now: expected a time of RFC 3339 from 1970 to 2261, such as 2026-03-02T09:00:00+01:00",
        ),
        (case(&format!("{object}, now: 1969-12-31T23:59:59Z, {allowed}")), "a.yaml:4: cases[0].now: expected a time"),
        (case(&format!("{object}, now: 2263-01-01T00:00:00Z, {allowed}")), "a.yaml:4: cases[0].now: expected a time"),
        (case(&format!("{object}, now: 12, {allowed}")), "a.yaml:4: cases[0].now: expected"),
        (
            case("now: 2026-03-02T09:00:00Z, expect: {verdict: settings-error}"),
            "a.yaml:4: cases[0].now: only goes with object, review, event",
        ),
        (case(&format!("{object}, settings: [], {allowed}")), "a.yaml:4: cases[0].settings: expected a mapping"),
        (
            format!("policies: [a.yaml]\nsettings: {{}}\n{}", case(&format!("{object}, {allowed}"))),
            "a.yaml:4: settings: a file with `policies`",
        ),
        (
            format!("cases:\n- {{name: a, {object}, {allowed}}}\n- {{name: a, {object}, {allowed}}}\n"),
            "a.yaml:5: cases[1].name: another case of this file is called \"a\" too",
        ),
        (
            format!(
                "cases:\n- {{name: a b, {object}, expect: {{snapshot: true}}}}\n- {{name: a-B, {object}, expect: {{snapshot: true}}}}\n"
            ),
            "a.yaml:5: cases[1]: its snapshot needs a file's name of its own",
        ),
        (
            format!("limits: {{memory: 1Ti}}\n{}", case(&format!("{object}, {allowed}"))),
            "a.yaml:3: limits.memory: expected an amount of memory such as 64Mi",
        ),
        ("cases: [\n".to_owned(), "a.yaml:"),
    ] {
        let found = one(&text).map(|suite| suite.cases.len()).unwrap_err();
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn folders_without_cases_say_what_is_expected() {
    assert!(suite(&[]).unwrap_err().ends_with("there are no cases: expected a .yaml file of kind PolicyTest"));
    let missing = read(std::path::Path::new("/no/such/folder")).unwrap_err()[0].to_string();
    assert!(
        missing.ends_with("there are no cases: expected a folder with .yaml files of kind PolicyTest"),
        "{missing}"
    );
}

#[test]
fn other_files_beside_cases_are_named_unless_a_case_names_them() {
    let pod = "apiVersion: v1\nkind: Pod\n";
    let cases = format!("{HEAD}cases:\n- {{name: a, object: pod.yaml, expect: {{verdict: allowed}}}}\n");
    let found = suite(&[("a.yaml", &cases), ("pod.yaml", pod), ("other.yaml", pod)]).unwrap();
    assert_eq!(found.notes, ["other.yaml: it is not of kind PolicyTest, and no case names it"]);
    // Nobody's cases are left out because of a slip.
    let slip = cases.replace("PolicyTest", "PolicyTests");
    let found = suite(&[("a.yaml", &cases), ("b.yaml", &slip), ("pod.yaml", pod)]).unwrap_err();
    assert!(found.starts_with("b.yaml:1: kind: expected PolicyTest"), "{found}");
    let found = suite(&[("a.yaml", &cases), ("b.yaml", "a: [\n"), ("pod.yaml", pod)]).unwrap_err();
    assert!(found.starts_with("b.yaml:"), "{found}");
}

#[test]
fn hostile_files_end_in_words() {
    let deep = "[".repeat(5_000);
    for text in ["\u{0}", "- 1", "&a [*a]", "a: !!binary x", deep.as_str(), "{{{{", "cases: 1", "%YAML 9\n---\n1"] {
        let found = suite(&[("a.yaml", text)]);
        assert!(found.is_err(), "{text}");
        let _ = one(text);
    }
}

#[test]
fn annotations_need_no_policy_before_their_keys() {
    let came = |annotations: &[(&str, &str)]| {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Came { verdict: Some(Verdict::Allowed), policies: vec!["a".into(), "b".into()], annotations, ..Came::default() }
    };
    let wrong = |expected: &[(&str, &str)], annotations: &[(&str, &str)]| {
        let expected = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut wrong = Expect { annotations: Some(expected), ..Expect::default() }.compare(&came(annotations));
        wrong.pop().map(|it| it.diff.unwrap_or_default())
    };
    let both = [("a.team", "x"), ("b.team", "y")];
    assert_eq!(wrong(&[("a.team", "x"), ("b.team", "y")], &both), None);
    assert_eq!(wrong(&[("team", "x")], &both[..1]), None);
    assert_eq!(wrong(&[("team", "y")], &both[1..]), None);
    // Which policy is meant, the value tells.
    assert_eq!(wrong(&[("a.team", "x"), ("team", "y")], &both), None);
    let diff = wrong(&[("team", "z"), ("other", "o")], &both).unwrap();
    for line in ["-  \"a.team\": \"z\"", "-  \"b.other\": \"o\"", "+  \"a.team\": \"x\"", "+  \"b.team\": \"y\""] {
        assert!(diff.contains(line), "{diff}");
    }
}
