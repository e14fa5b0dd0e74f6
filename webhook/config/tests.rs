//! Documents as files: `tests/config/valid` must be read, and each of `tests/config/invalid` refused with the messages
//! of its snapshot.

use std::{fs, time::Duration};

use super::*;
use crate::spec::{
    Actions, FailurePolicy, Instances, Kind, LimitPolicy, Limits, Location, MAX_MEMORY, Operator, Scope,
};

/// Where the example files are.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn messages(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn named(policies: Vec<PolicySpec>, name: &str) -> PolicySpec {
    policies.into_iter().find(|policy| policy.name == name).unwrap()
}

/// A document with `spec` given as the rest of a flow mapping.
fn document(name: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: verdict.dev/v1alpha1, kind: Validator, metadata: {{name: {name}}}, spec: {{component: {{path: a.wasm}}{rest}}}}}\n"
    )
}

#[test]
fn every_field_arrives() {
    let policies = read(&[examples().join("valid")]).unwrap_or_else(|errors| panic!("{}", messages(&errors)));
    let names: Vec<&str> = policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["team-labels", "minimal", "no-opinion", "no-opinion", "greeter", "as-json"]);
    let policy = named(policies.clone(), "team-labels");
    assert_eq!(policy.component().unwrap().location, Location::File(examples().join("valid/required-labels.wasm")));
    assert_eq!(
        policy.settings.as_deref().unwrap(),
        r#"{"big":123456789012345678901234567890,"labels":["team"],"ratio":1.10}"#
    );
    assert_eq!(
        (policy.actions, policy.failure_policy, policy.limit_policy),
        (Actions { deny: false, warn: true, audit: true }, FailurePolicy::Ignore, LimitPolicy::Ignore)
    );
    assert_eq!(policy.order, -5);
    assert_eq!(policy.limits, Limits { time: Duration::from_secs(2), memory: 128 << 20, fuel: None, concurrent: None });
    assert!(policy.grants.log);
    assert_eq!(policy.grants.env["SHIFT_AMOUNT"], "5");
    assert_eq!(policy.grants.env["PASSWORD"], "from a file");
    assert_eq!(policy.message.as_deref(), Some("every deployment names its team"));
    let matching = &policy.matching;
    assert_eq!(matching.resource_rules[0].resources, ["deployments", "deployments/scale"]);
    assert_eq!(matching.resource_rules[0].scope, Scope::Namespaced);
    assert_eq!(matching.exclude_resource_rules[0].resource_names, ["legacy"]);
    let namespaces = matching.namespace_selector.as_ref().unwrap();
    assert_eq!(namespaces.match_expressions[0].operator, Operator::NotIn);
    assert_eq!(namespaces.match_expressions[0].values, ["kube-system"]);
    assert_eq!(matching.object_selector.as_ref().unwrap().match_labels["app"], "web");
    assert_eq!(matching.match_conditions[0].name, "not-nodes");
    assert!(matching.exact && policy.component().unwrap().digest.is_some());
    assert_eq!((policies[2].kind, policies[3].kind), (Some(Kind::Authorizer), Some(Kind::Mutator)));
    assert_eq!(policies[3].actions, Actions::SHADOW);
    assert_eq!(policies[4].operation.as_deref(), Some("sample:Guest!Hello"));
    let json = named(policies, "as-json");
    assert_eq!(json.component().unwrap().location, Location::Builtin("pod-security".into()));
}

#[test]
fn defaults_are_those_of_a_builtin() {
    let policies = read(&[examples().join("valid")]).unwrap();
    let mut minimal = named(policies, "minimal");
    assert!(minimal.source.ends_with("valid/two.yaml, document 1"), "{}", minimal.source);
    assert_eq!(minimal.kind, Some(Kind::Authenticator));
    (minimal.kind, minimal.source) = (None, "builtin:minimal".into());
    assert!(minimal == PolicySpec::builtin("minimal"));
}

#[test]
fn what_is_wrong_is_said() {
    insta::with_settings!({snapshot_path => "../../tests/config/snapshots", prepend_module_to_snapshot => false}, {
        insta::glob!("../../tests/config/invalid", "*.yaml", |path| {
            let text = fs::read_to_string(path).unwrap();
            let file = path.file_name().unwrap().to_str().unwrap();
            let errors = parse(&text, file, Path::new("/nowhere")).expect_err(file);
            insta::assert_snapshot!(messages(&errors));
        });
    });
}

#[test]
fn names_are_unique_over_files() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["one.yaml", "two.yaml"] {
        fs::write(folder.path().join(file), document("same", "")).unwrap();
    }
    let errors = read(&[folder.path().into()]).unwrap_err();
    let text = messages(&errors);
    assert_eq!(errors.len(), 1, "{text}");
    assert!(text.contains("two.yaml: Validator same: metadata.name: the name is already used in"), "{text}");
    assert!(text.contains("one.yaml"), "{text}");
}

#[test]
fn errors_of_all_files_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "a: [").unwrap();
    fs::write(folder.path().join("b.yaml"), [0xff, 0xfe, 0xfd]).unwrap();
    fs::write(folder.path().join("c.yaml"), document("c", ", order: x, failurePolicy: z")).unwrap();
    let errors = read(&[folder.path().into(), "/no/such".into()]).unwrap_err();
    let sources: Vec<&str> = errors.iter().map(|error| error.source.rsplit('/').next().unwrap()).collect();
    assert_eq!(sources.len(), 5, "{}", messages(&errors));
    assert_eq!(sources[0], "such");
    assert!(sources[1].starts_with("a.yaml:"), "{sources:?}");
    assert_eq!(sources[2..], ["b.yaml", "c.yaml:1", "c.yaml:1"]);
}

#[test]
fn secrets_are_never_repeated() {
    let text = document(
        "p",
        ", settings: [hunter2], grants: {env: [{name: A, value: 31337}, {name: B, valueFrom: {file: x, hunter2: z}}, [hunter2]]}",
    );
    let text = messages(&parse(&text, "f", Path::new("/nowhere")).unwrap_err());
    assert!(!text.contains("31337") && !text.contains("[hunter2"), "{text}");
    assert!(text.contains("spec.grants.env[0].value: expected a string (in quotes); got a number"), "{text}");
}

#[test]
fn values_from_files_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let text = document("p", ", grants: {env: [{name: A, valueFrom: {file: value}}]}");
    let read = |bytes: &[u8]| {
        fs::write(folder.path().join("value"), bytes).unwrap();
        let policies = parse(&text, "f", folder.path()).map_err(|errors| messages(&errors))?;
        Ok::<_, String>(policies[0].grants.env["A"].clone())
    };
    assert_eq!(read(b"secret\n").unwrap(), "secret");
    assert_eq!(read(b"two\nlines\r\n").unwrap(), "two\nlines");
    assert!(read(&[0xff]).unwrap_err().contains("it is not UTF-8"));
    assert!(read(&[b'a'; 65_537]).unwrap_err().contains("larger than 65536 bytes"));
    assert!(read(b"a\0b").unwrap_err().contains("a zero byte"));
}

#[test]
fn limits_have_bounds() {
    let parsed = |limits: &str| parse(&document("p", &format!(", limits: {limits}")), "f", Path::new(""));
    assert_eq!(parsed("{memory: 1Gi}").unwrap()[0].limits.memory, MAX_MEMORY);
    assert_eq!(parsed("{memory: 1048576, timeoutMilliseconds: 1}").unwrap()[0].limits.memory, 1 << 20);
    assert_eq!(parsed("{fuel: 1000000}").unwrap()[0].limits.fuel, Some(1_000_000));
    let instances = |value: &str| parse(&document("p", &format!(", instancePolicy: {value}")), "f", Path::new(""));
    assert_eq!(instances("Reuse").unwrap()[0].instance_policy, Instances::Reuse);
    assert_eq!(instances("Always").unwrap_err().len(), 1);
    for wrong in [
        "{memory: 0}",
        "{memory: 1023Ki}",
        "{memory: 1025Mi}",
        "{memory: -5}",
        "{timeoutMilliseconds: 0}",
        "{timeoutMilliseconds: 30001}",
        "{timeoutMilliseconds: 500ms}",
        "{timeoutMilliseconds: 1.5}",
        "{fuel: 0}",
        "{fuel: -1}",
        "{fuel: 1.5}",
        "{fuel: 1M}",
    ] {
        assert_eq!(parsed(wrong).unwrap_err().len(), 1, "{wrong}");
    }
}

#[test]
fn nothing_to_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&[folder.path().into()]).unwrap_err().len(), 1);
    assert!(parse("# nothing\n", "f", Path::new("")).is_err());
}

#[test]
fn each_setting_has_its_line_and_what_is_missing_that_of_what_is_around_it() {
    let text = "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: a}\nspec:\n  component: {builtin: a}\n  settings:\n    labels:\n    - team\n    - key: a/b\n      pattern: x\n    a/b: 1\n";
    let spec = parse(text, "a.yaml", Path::new(".")).unwrap().remove(0);
    for (pointer, place) in [
        ("/labels/0", "a.yaml:8"),
        ("/labels/1/pattern", "a.yaml:10"),
        ("/labels/1/missing/deeper", "a.yaml:9"),
        ("/a~1b", "a.yaml:11"),
        ("/missing", "a.yaml:7"),
        ("", "a.yaml:7"),
    ] {
        assert_eq!(spec.place_of_setting(pointer), place, "{pointer}");
    }
    let bare = PolicySpec::builtin("a");
    assert_eq!(bare.place_of_setting("/labels"), "builtin:a");
}

#[test]
fn every_schema_is_understood() {
    for kind in Kind::ALL {
        let object = crate::spec::schema::object(kind);
        for schema in
            [object, &crate::spec::schema::registered::object(kind), &crate::spec::schema::cluster::object(kind)]
        {
            walk::Schema::compile(schema).unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
    }
    walk::Schema::compile(crate::spec::schema::manifest()).unwrap();
}
