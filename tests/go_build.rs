//! What `verdict build` says to authors who write Go, and that the templates in Go build and pass their tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::support::fixtures;

/// A policy of one file, and its go.mod with this line.
fn policy(go: &str, source: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/sdk-go");
    let module = format!(
        "module example.org/try\n\ngo {go}\n\nrequire verdict.dev/policy v0.0.0\n\nreplace verdict.dev/policy => {}\n",
        sdk.display()
    );
    fs::write(folder.path().join("go.mod"), module).unwrap();
    fs::write(folder.path().join("main.go"), source).unwrap();
    folder
}

/// Exit code and standard error of `verdict build`.
fn build(folder: &Path, environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = command.arg("build").arg(folder).envs(environment.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const WHOLE: &str = r#"package main

import (
	"verdict.dev/policy"
	"verdict.dev/policy/validating"
)

func init() {
	validating.Export(func(*policy.AdmissionRequest) (validating.Validation, error) { return validating.Validation{}, nil })
}

func main() {}
"#;

#[test]
fn a_missing_toolchain_is_named_with_where_it_comes_from() {
    let folder = policy("1.26", WHOLE);
    let empty = tempfile::tempdir().unwrap();
    let (code, error) = build(folder.path(), &[("PATH", empty.path().to_str().unwrap())]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("go was not found: install Go 1.26 or later from https://go.dev/dl"), "{error}");
}

/// One that says so itself, and one that is too old to know that it is.
#[test]
fn a_toolchain_that_is_too_old_is_named_with_what_is_needed() {
    let folder = policy("1.26", WHOLE);
    let tools = tempfile::tempdir().unwrap();
    let go = tools.path().join("go");
    fs::write(&go, "#!/bin/sh\necho go1.19.8\n").unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, error) = build(folder.path(), &[("PATH", tools.path().to_str().unwrap())]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("go is too old (go1.19.8): install Go 1.26 or later"), "{error}");

    if !fixtures::has_go() {
        return;
    }
    let folder = policy("1.999", WHOLE);
    let (code, error) = build(folder.path(), &[("GOTOOLCHAIN", "local")]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("go.mod requires go >= 1.999") && error.contains("go failed"), "{error}");
}

#[test]
fn errors_of_the_compiler_name_file_and_line() {
    if !fixtures::has_go() {
        return;
    }
    for (source, expected) in [
        (WHOLE.replace("validating.Validation{}, nil", "nope, nil"), "main.go:9:"),
        (WHOLE.replace("func main() {}", "func main() {"), "main.go:13:"),
        (WHOLE.replace("\"verdict.dev/policy\"", "\"verdict.dev/policies\""), "main.go:4:"),
        (WHOLE.replace("\"verdict.dev/policy\"", "\"verdict.dev/policy\"\n\t\"os\""), "imported and not used"),
        (WHOLE.replace("func main() {}", ""), "function main is undeclared"),
    ] {
        let folder = policy("1.26", &source);
        // Where a module that does not exist would be asked for.
        let (code, error) = build(folder.path(), &[("GOPROXY", "off")]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(expected) && error.contains("go failed"), "{expected}: {error}");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[test]
fn a_program_that_is_no_policy_is_told_what_to_do() {
    if !fixtures::has_go() {
        return;
    }
    let no_review = "package main\n\nimport \"verdict.dev/policy\"\n\nfunc init() { policy.Init(func(struct{}) error { return nil }) }\n\nfunc main() {}\n";
    for source in ["package main\n\nfunc main() {}\n", no_review] {
        let folder = policy("1.26", source);
        let (code, error) = build(folder.path(), &[]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("it exports no review interface: import at least one of"), "{error}");
    }
}

/// A module can hold several policies, and what they share.
#[test]
fn a_module_of_several_policies_is_built_one_by_one() {
    if !fixtures::has_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let verdict = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
        let output = command.args(args).current_dir(folder.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    assert!(verdict(&["new", "team", "--lang", "go", "--kind", "validator"]).0);
    let module = folder.path().join("team");
    // The one that was begun with moves below, another one comes, and both use a package of the module.
    for part in ["cmd/first", "cmd/second", "shared"] {
        fs::create_dir_all(module.join(part)).unwrap();
    }
    for part in ["main.go", "main_test.go", "verdict.yaml", "settings.schema.json", "tests", "reviews"] {
        fs::rename(module.join(part), module.join("cmd/first").join(part)).unwrap();
    }
    fs::write(module.join("shared/shared.go"), "package shared\n\nconst Answer = 42\n").unwrap();
    let shared = WHOLE.replace("import (", "import (\n\t\"team/shared\"\n").replace("{}, nil", "{}, answer()");
    let shared =
        shared + "\nfunc answer() error {\n\tpolicy.Log(policy.Info, \"%d\", shared.Answer)\n\treturn nil\n}\n";
    fs::write(module.join("cmd/second/main.go"), shared).unwrap();

    let (built, out, error) = verdict(&["build", "team/cmd/first"]);
    // As its manifest calls it.
    assert!(built && out.trim_end().ends_with("team/cmd/first/team.wasm"), "{out}{error}");
    let (passed, out, error) = verdict(&["test", "team/cmd/first", "--no-build"]);
    assert!(passed && out.contains(" passed, 0 failed"), "{out}{error}");
    fs::remove_file(module.join(".verdict/sdk/go/podspec.go")).unwrap();
    let (built, out, error) = verdict(&["build", "team/cmd/second"]);
    assert!(built && out.trim_end().ends_with("team/cmd/second/second.wasm"), "{out}{error}");
    assert!(error.contains("team/.verdict: updated to this version"), "{error}");

    let (built, _, error) = verdict(&["build", "team"]);
    assert!(
        !built
            && error
                .contains("team: it holds no package main, but folders that do: build one of cmd/first, cmd/second"),
        "{error}"
    );
    let (built, _, error) = verdict(&["build", "team/shared"]);
    assert!(
        !built && error.contains("team/shared: expected a package main, which is what a policy in Go is"),
        "{error}"
    );
    let (built, _, error) = verdict(&["build", "team/cmd"]);
    assert!(!built && error.contains("nothing to build"), "{error}");
}

/// It would crash in its first review.
#[test]
fn a_policy_that_never_says_what_it_does_is_refused_when_it_is_loaded() {
    if !fixtures::has_go() {
        return;
    }
    let source = WHOLE.replace("func main() {}", "").replace("func init()", "func main()");
    let folder = policy("1.26", &source);
    let (code, error) = build(folder.path(), &[]);
    assert_eq!(code, 0, "{error}");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/required-labels/reviews/denied-no-labels.json");
    let component = folder.path().join("try.wasm");
    let output = Command::new(env!("CARGO_BIN_EXE_verdict")).arg("review").arg(component).arg(sample).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("call validating.Export in func init of package main"), "{error}");
}

/// As an author begins: nothing but `verdict` and Go.
#[test]
fn a_new_policy_of_every_kind_builds_and_passes_its_tests() {
    if !fixtures::has_go() {
        return;
    }
    for kind in ["authenticator", "authorizer", "validator", "mutator", "provider"] {
        let folder = tempfile::tempdir().unwrap();
        let verdict = |args: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_verdict")).args(args).current_dir(folder.path()).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{kind}: {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        verdict(&["new", "try-it", "--lang", "go", "--kind", kind]);
        let policy = folder.path().join("try-it");
        fixtures::go_checks(&policy);
        verdict(&["build", "try-it"]);
        assert!(policy.join("try-it.wasm").is_file());
        unformatted(&policy);
    }
}

fn unformatted(policy: &Path) {
    let sources: Vec<PathBuf> = ["main.go", "main_test.go"].map(|it| policy.join(it)).into();
    let output = Command::new("gofmt").arg("-l").args(sources).output().unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.is_empty(), "gofmt would change {listed}");
}
