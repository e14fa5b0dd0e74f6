//! A component imports what its manifest wants and no more, in every language.

use std::{fs, path::Path};

use verdict::{author::build, engine::prepare::describe};

use crate::support::{fixtures, node};

const HEAD: &str = "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyManifest\nname: a\n";

/// Builds a folder with this in its manifest: what of the server the component imports, or why there is none.
fn imports(folder: &Path, manifest: &str) -> Result<Vec<String>, String> {
    fs::write(folder.join("verdict.yaml"), format!("{HEAD}{manifest}")).unwrap();
    let out = folder.join("a.wasm");
    build::build(folder, Some(&out)).map_err(|error| error.to_string())?;
    let description = describe(&fs::read(&out).unwrap()).unwrap();
    let name = |it: &String| Some(it.strip_prefix("verdict:host/")?.strip_suffix("@1.0.0")?.to_owned());
    Ok(description.imports.iter().filter_map(name).collect())
}

/// Of a policy that calls all that there is.
fn only_what_is_listed(folder: &Path) {
    for (listed, told) in [
        ("", "it calls review, which verdict.yaml does not import: add `imports: [log, audit-log, review]` to it"),
        (
            "imports: [review]\n",
            "it calls log and audit-log, which verdict.yaml does not import: add `imports: [review, log, audit-log]`",
        ),
        ("imports: []\n", "it calls log and audit-log and review, which"),
    ] {
        let error = imports(folder, listed).unwrap_err();
        assert!(error.contains(told), "{listed}: {error}");
    }
    let mut all = imports(folder, "imports: [log, audit-log, review]\n").unwrap();
    all.sort();
    assert_eq!(all, ["audit-log", "log", "review"]);
}

/// Of a policy that calls nothing, what it imports if all is listed, the default is, or nothing.
fn of_a_silent_policy(folder: &Path) -> [usize; 3] {
    ["imports: [log, audit-log, review]\n", "", "imports: []\n"].map(|it| imports(folder, it).unwrap().len())
}

#[test]
fn in_go() {
    if !fixtures::has_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sdk = node::policies("sdk-go");
    let module = format!(
        "module a\n\ngo 1.26\n\nrequire verdict.dev/policy v0.0.0\n\nreplace verdict.dev/policy => {}\n",
        sdk.display()
    );
    fs::write(folder.path().join("go.mod"), module).unwrap();
    let main = |body: &str| {
        let text = format!(
            "package main\n\nimport (\n\t\"verdict.dev/policy\"\n\t\"verdict.dev/policy/validating\"\n)\n\nfunc main() {{}}\n\n\
             func init() {{\n\tvalidating.Export(func(*policy.AdmissionRequest) (validating.Validation, error) {{\n{body}\
             \t\treturn validating.Allow(), nil\n\t}})\n}}\n"
        );
        fs::write(folder.path().join("main.go"), text).unwrap();
    };
    main("policy.Log(policy.Info, \"%s\", policy.RawReview())\npolicy.Audit(\"a\", \"b\")\n");
    only_what_is_listed(folder.path());
    main("");
    // The linker leaves out what nobody calls.
    assert_eq!(of_a_silent_policy(folder.path()), [0, 0, 0]);
}

#[test]
fn in_javascript() {
    if !node::is_there() {
        return;
    }
    let folder = node::copied("fixtures/forgetful-js", "fixtures/imports-js");
    let source = |text: &str| fs::write(folder.join("policy.js"), text).unwrap();
    source(
        "import { allow, audit, log, rawReview } from \"verdict-policy-sdk\";\n\
         export function validate() { log.info(rawReview().kind); audit(\"a\", \"b\"); return allow(); }\n",
    );
    only_what_is_listed(&folder);
    source("import { allow } from \"verdict-policy-sdk\";\nexport const validate = () => allow();\n");
    assert_eq!(of_a_silent_policy(&folder), [3, 2, 0]);
    source("import { deny, env } from \"verdict-policy-sdk\";\nexport const validate = () => deny(env(\"A\"));\n");
    let error = imports(&folder, "").unwrap_err();
    assert!(error.contains("it reads environment variables with env(), and verdict.yaml wants none"), "{error}");
    imports(&folder, "grants: {env: {A: what it is for}}\n").unwrap();
}

#[test]
fn in_python() {
    if fixtures::has_python().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = |text: &str| fs::write(folder.path().join("policy.py"), text).unwrap();
    source(
        "import verdict_policy as sdk\nfrom verdict_policy import Allow, log\n\n\n\
         def validate(request):\n    log.info(sdk.raw_review())\n    sdk.audit('a', 'b')\n    return Allow()\n",
    );
    only_what_is_listed(folder.path());
    source("from verdict_policy import Allow\n\n\ndef validate(request):\n    return Allow()\n");
    // Each takes some seconds.
    assert!(imports(folder.path(), "imports: []\n").unwrap().is_empty());
}
