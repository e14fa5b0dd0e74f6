//! Files as k8s-wasm's users have them, and what is said of those that are wrong.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;
use crate::spec::{FailurePolicy, Location};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn admission(folder: &TempDir, file: &str) -> Files {
    Files { admission: Some(folder.path().join(file)), ..Files::default() }
}

/// One line each, without the folder.
fn lines(folder: &TempDir, errors: &[ConfigError]) -> Vec<String> {
    let place = format!("{}/", folder.path().display());
    errors.iter().map(|it| it.to_string().replace(&place, "")).collect()
}

fn file_of(spec: &PolicySpec) -> &Path {
    let Location::File(path) = &spec.component().unwrap().location else { panic!("{spec:?}") };
    path
}

const RULES: &str = "rules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]";

#[test]
fn all_three_files_become_policies() {
    let text = "modules:\n- module: My_Module.v1.wasm\n  settings: [1, 2.50]\n- name: Other Name!\n  module: /abs/b.wasm\n  settings: null\n";
    let of_admission = format!(
        "{{\"modules\": [{{\"module\": \"../c.wasm\", \"mutating\": true, {RULES}}}, {{\"module\": \"c.wasm\", \"type\": \"kubewarden\", \"settings\": {{\"a\": 1}}, {RULES}}}]}}"
    );
    let folder = folder(&[("authn.yaml", text), ("authz.yaml", text), ("deep/admission.json", &of_admission)]);
    let file = |name: &str| Some(folder.path().join(name));
    let files = Files {
        authentication: file("authn.yaml"),
        authorization: file("authz.yaml"),
        admission: file("deep/admission.json"),
    };
    let Modules { policies, warnings } = read(&files, &[]).unwrap();
    let found: Vec<_> = policies.iter().map(|it| (it.kind.unwrap(), &*it.name, it.order, it.failure_policy)).collect();
    let (fail, no_opinion) = (FailurePolicy::Fail, FailurePolicy::NoOpinion);
    assert_eq!(
        found,
        [
            (Kind::Authenticator, "my-module-v1", 0, fail),
            (Kind::Authenticator, "other-name", 1, fail),
            (Kind::Authorizer, "my-module-v1", 0, no_opinion),
            (Kind::Authorizer, "other-name", 1, no_opinion),
            (Kind::Mutator, "c", 0, fail),
            (Kind::Validator, "c", 1, fail),
        ]
    );
    assert_eq!(file_of(&policies[0]), folder.path().join("My_Module.v1.wasm"));
    assert_eq!(file_of(&policies[1]), Path::new("/abs/b.wasm"));
    assert_eq!(file_of(&policies[4]), folder.path().join("deep/../c.wasm"));
    assert_eq!(policies[0].settings.as_deref(), Some("[1,2.50]"));
    // Absent is not `{}`.
    assert_eq!((&policies[1].settings, &policies[4].settings), (&None, &None));
    assert_eq!((policies[4].expects, policies[5].expects), (Some(Family::K8sWasm), Some(Family::Kubewarden)));
    let of_objects = &policies[5];
    assert!(of_objects.own_constraints && of_objects.matching.resource_rules[0].resources == ["configmaps"]);
    assert_eq!(
        lines(&folder, &warnings),
        ["authz.yaml:2: modules: an error of one of these modules is no opinion, as in k8s-wasm: the next is asked"]
    );
}

#[test]
fn an_admission_configuration_names_a_file_or_has_the_modules_in_it() {
    let modules = format!("modules: [{{module: a.wasm, {RULES}}}]\n");
    let of = |plugin: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- {{name: Other, configuration: {{some: thing}}}}\n- {plugin}\n"
        )
    };
    let folder = folder(&[
        ("path.yaml", &of("{name: WASM, path: deep/modules.yaml}")),
        ("deep/modules.yaml", &modules),
        ("inline.yaml", &of(&format!("{{name: WASM, configuration: {{{}}}}}", modules.trim_end()))),
        ("none.yaml", &of("{name: Wasm, path: x}")),
        ("both.yaml", &of("{name: WASM, path: x, configuration: {}}")),
        ("empty.yaml", &of("{name: WASM, configuration: {modules: [{module: a.wasm, rule: []}]}}")),
        ("round.yaml", &of("{name: WASM, path: round.yaml}")),
        ("old.yaml", &of("{name: WASM, path: deep/modules.yaml}").replace("/v1", "/v1alpha1")),
    ]);
    for (file, expected) in [("path.yaml", "deep/a.wasm"), ("inline.yaml", "a.wasm")] {
        let Modules { policies, warnings } = read(&admission(&folder, file), &[]).unwrap();
        assert_eq!((policies.len(), warnings.len()), (1, 0), "{file}");
        assert_eq!(file_of(&policies[0]), folder.path().join(expected));
    }
    for (file, expected) in [
        ("none.yaml", &["none.yaml:4: plugins: expected the plug-in WASM"][..]),
        ("both.yaml", &["both.yaml:5: plugins[1]: expected one of path and configuration"]),
        (
            "empty.yaml",
            &["empty.yaml:5: plugins[1].configuration.modules[0].rule: is not a field; did you mean rules?"],
        ),
        (
            "round.yaml",
            &[
                "round.yaml:1: modules: is required",
                "round.yaml:1: apiVersion: is not a field; expected one of modules",
                "round.yaml:2: kind: is not a field; expected one of modules",
                "round.yaml:4: plugins: is not a field; expected one of modules",
            ],
        ),
        (
            "old.yaml",
            &["old.yaml:1: apiVersion: expected apiserver.config.k8s.io/v1; got \"apiserver.config.k8s.io/v1alpha1\""],
        ),
    ] {
        let mut errors = lines(&folder, &read(&admission(&folder, file), &[]).unwrap_err());
        errors.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(errors, expected, "{file}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let of_authentication = "modules:\n- module: a.wasm\n  rules: []\n- modul: b.wasm\n- {module: '', name: '!'}\n- {module: '..'}\n- {module: x/a.wasm}\n- {module: c.wasm, setting: {secret: 1}, debug: 1}\n";
    let of_admission = "modules:\n- module: a.wasm\n  type: wasm\n  mutating: 1\n  rules:\n  - {operations: [create], apiGroups: [''], apiVersions: [v1], resources: [pods], resourceNames: [a]}\n  - {operations: [CREATE]}\n- {module: b.wasm, type: kubewarden, settings: [secret], rules: 1}\n";
    let folder = folder(&[
        ("authn.yaml", of_authentication),
        ("authz.yaml", "modules: []\n"),
        ("admission.yaml", of_admission),
        ("two.yaml", "modules: []\n---\nmodules: []\n"),
    ]);
    let file = |name: &str| Some(folder.path().join(name));
    let files = Files {
        authentication: file("authn.yaml"),
        authorization: file("authz.yaml"),
        admission: file("admission.yaml"),
    };
    let errors = lines(&folder, &read(&files, &[]).unwrap_err());
    assert_eq!(
        errors,
        [
            "authn.yaml:3: modules[0].rules: is a field of modules for admission only",
            "authn.yaml:4: modules[1].modul: is not a field; did you mean module?",
            "authn.yaml:4: modules[1].module: is required",
            "authn.yaml:5: modules[2].module: expected the path of a file; got \"\"",
            "authn.yaml:5: modules[2].name: expected a name with a letter from a to z or a digit",
            "authn.yaml:6: modules[3]: expected a name with a letter from a to z or a digit",
            "authn.yaml:8: modules[5].setting: is not a field; did you mean settings?",
            "authn.yaml:8: modules[5].debug: expected true or false; got 1",
            "authz.yaml:1: modules: expected at least one module",
            "admission.yaml:3: modules[0].type: expected one of wasi, kubewarden; got \"wasm\"",
            "admission.yaml:4: modules[0].mutating: expected true or false; got 1",
            "admission.yaml:6: modules[0].rules[0].resourceNames: is not a field of k8s-wasm's rules",
            "admission.yaml:6: modules[0].rules[0].operations[0]: expected one of CREATE, UPDATE, DELETE, CONNECT, *; got \"create\"",
            "admission.yaml:7: modules[0].rules[1].apiGroups: is required",
            "admission.yaml:7: modules[0].rules[1].apiVersions: is required",
            "admission.yaml:7: modules[0].rules[1].resources: is required",
            "admission.yaml:8: modules[1].rules: expected a list; got 1",
            "admission.yaml:8: modules[1].settings: expected a mapping; got a list",
            "authn.yaml:7: Authenticator a: modules[4].name: the name is already used in authn.yaml:2",
        ]
    );
    for (file, expected) in [
        ("two.yaml", "two.yaml: expected one document"),
        ("missing.yaml", "missing.yaml: No such file or directory (os error 2)"),
    ] {
        assert_eq!(lines(&folder, &read(&admission(&folder, file), &[]).unwrap_err()), [expected]);
    }
}

#[test]
fn what_is_never_asked_or_never_logged_is_told() {
    let text = format!(
        "modules:\n- module: a.wasm\n- {{module: b.wasm, rules: [], debug: true}}\n- {{module: c.wasm, {RULES}}}\n"
    );
    let folder = folder(&[("admission.yaml", &text)]);
    let Modules { policies, warnings } = read(&admission(&folder, "admission.yaml"), &[]).unwrap();
    assert_eq!(policies.iter().map(|it| (&*it.name, it.order)).collect::<Vec<_>>(), [("c", 2)]);
    assert_eq!(
        lines(&folder, &warnings),
        [
            "admission.yaml:2: modules[0]: left out: a module without rules is never asked, as in k8s-wasm",
            "admission.yaml:3: modules[1].debug: ignored: what modules are asked and answer is never logged, since it holds tokens and secrets",
            "admission.yaml:3: modules[1]: left out: a module without rules is never asked, as in k8s-wasm",
        ]
    );
}

#[test]
fn names_become_labels() {
    for (text, expected) in [
        ("my-module", "my-module"),
        ("My_Module 1", "my-module-1"),
        ("--a--b--", "a-b"),
        ("größe", "gr-e"),
        ("✓", ""),
        (&format!("{}-b", "a".repeat(62)), &"a".repeat(62)),
    ] {
        assert_eq!(label(text), expected, "{text}");
    }
}
