//! Policies that are registered while the server runs: what they may be, when they serve, and from the command line.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;

use crate::support::{
    eventually, fixtures, http,
    registry::{Registry, TOKEN, digest, labels, sent},
    verdict::verdict,
};

#[test]
fn what_is_registered_serves_and_what_is_deleted_does_not() {
    let registry = Registry::new(&[]);
    // Nothing is declared: it is ready, and nobody is allowed anything.
    assert_eq!(http::get_plain(&format!("http://{}/readyz", registry.verdict.admin)).unwrap().0, 200);
    assert_eq!(registry.says("/validate"), "404");
    let yaml = labels("live", "one");
    let (status, text) = registry.put("validator/live?dryRun=true", &yaml);
    assert_eq!((status, text.contains("\"dryRun\": true")), (201, true), "{text}");
    assert_eq!((registry.says("/validate"), registry.get("validator/live").0), ("404".to_owned(), 404));
    let (status, text) = registry.put("validator/live", &yaml);
    assert_eq!((status, text.contains("\"active\"")), (201, true), "{text}");
    assert_eq!(registry.says("/validate/live"), "live: the label one is required");
    assert_eq!(registry.get("validator/live"), (200, yaml.clone()));
    assert_eq!(
        (registry.row("live")["state"].as_str(), registry.row("live")["source"].as_str()),
        (Some("active"), Some("registered"))
    );
    // The same again changes nothing, another changes it; JSON is YAML, too.
    let before = registry.row("live");
    assert_eq!(registry.put("validator/live", &yaml).0, 200);
    assert_eq!(registry.row("live"), before);
    let json = r#"{"apiVersion":"verdict.dev/v1alpha1","kind":"Validator","metadata":{"name":"live"},"spec":{"component":{"builtin":"required-labels"},"settings":{"labels":["two"]}}}"#;
    assert_eq!(registry.request("PUT", "/policies/validator/live", "application/json; charset=utf-8", json).0, 200);
    assert_eq!(registry.says("/validate"), "live: the label two is required");
    assert_eq!(registry.put("validator/other", &labels("other", "three")).0, 201);
    assert_eq!(registry.says("/validate"), "live: the label two is required\nother: the label three is required");
    let counted = || {
        http::get_plain(&format!("http://{}/metrics", registry.verdict.admin)).unwrap().1.contains("policy=\"live\"")
    };
    assert!(counted());
    assert_eq!(registry.delete("validator/live"), (204, String::new()));
    // Names that come and go leave nothing.
    assert!(!counted());
    assert_eq!(registry.says("/validate"), "other: the label three is required");
    assert_eq!((registry.delete("validator/live").0, registry.get("validator/live").0), (404, 404));
    assert_eq!(registry.delete("validator/other").0, 204);
    assert_eq!(registry.says("/validate"), "404");
    // Settings may be secrets: only whoever is let in sees them.
    let open = http::get_plain(&format!("http://{}/policies/validator/live", registry.verdict.admin)).unwrap();
    assert_eq!(open.0, 401);
}

#[test]
fn what_is_refused_changes_nothing_and_all_of_it_is_told() {
    let registry = Registry::new(&[]);
    assert_eq!(registry.put("validator/p", &labels("p", "one")).0, 201);
    let before = registry.page();
    let secret = registry.folder.path().join("secret");
    fs::write(&secret, "hidden-words").unwrap();
    let secret = secret.to_str().unwrap();
    let with = |spec: &str| {
        format!("apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec: {spec}\n")
    };
    let group = |member: &str| {
        format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: PolicyGroup\nmetadata: {{name: g}}\nspec: {{expression: a(), members: [{{name: a, {member}}}]}}\n"
        )
    };
    let cases: Vec<(&str, String, u16, Vec<String>)> = vec![
        ("validator/p", with("{component: {builtin: required-labels}, settings: {labels: [7]}}"), 422, vec!["spec.settings".into()]),
        ("validator/p", with("{component: {builtin: none}, order: x, colour: red}"), 422, vec!["spec.order: ".into(), "spec.colour: ".into()]),
        ("validator/p", with("{component: {builtin: none}}"), 422, vec!["spec.component: builtin:none does not exist".into()]),
        ("validator/p", with(&format!("{{component: {{path: {secret}}}}}")), 422, vec!["spec.component.path: is not allowed in a request".into()]),
        ("validator/p", with(&format!("{{component: {{builtin: required-labels}}, grants: {{env: [{{name: A, valueFrom: {{file: {secret}}}}}]}}}}")), 422, vec!["spec.grants.env[0].valueFrom: is not allowed in a request".into()]),
        ("policygroup/g", group(&format!("component: {{path: {secret}}}")), 422, vec!["spec.members[0].component.path: is not allowed".into()]),
        ("policygroup/g", group(&format!("component: {{builtin: required-labels}}, grants: {{env: [{{name: A, valueFrom: {{file: {secret}}}}}]}}")), 422, vec!["spec.members[0].grants.env[0].valueFrom: is not allowed".into()]),
        ("validator/p", with(&format!("{{component: {{sha256: '{}'}}}}", "0".repeat(64))), 422, vec!["spec.component.sha256: no component of this digest".into()]),
        ("validator/p", with("{component: {}}"), 422, vec!["spec.component: expected image, builtin, or sha256".into()]),
        ("validator/p", labels("q", "one"), 422, vec!["metadata.name: expected p".into()]),
        ("mutator/p", labels("p", "one"), 422, vec!["kind: expected Mutator".into()]),
        ("validator/p", "kind: [".into(), 422, vec![": ".into()]),
        ("validator/p", labels("p", "one") + "---\n" + &labels("p", "two"), 422, vec!["expected one object".into()]),
        ("validator/p", "modules: [{file: /etc/passwd}]".into(), 422, vec!["k8s-wasm".into()]),
        // A group is asked where a Validator of its name is.
        ("policygroup/p", group("component: {builtin: required-labels}, settings: {labels: [x]}").replace("name: g", "name: p"), 409, vec!["declared in registered (Validator p)".into()]),
        ("nothing/p", labels("p", "one"), 404, vec!["nothing is no kind".into()]),
        ("Validator/p", labels("p", "one"), 404, vec!["Validator is no kind".into()]),
        // Whoever has rights in one namespace writes to the cluster.
        ("namespacedvalidator/p", labels("p", "one"), 404, vec!["namespacedvalidator is no kind".into()]),
        ("validator/p", labels("p", "one").replace("kind: Validator", "kind: NamespacedValidator"), 422, vec!["kind: expected one of Validator, ".into()]),
        ("validator/p", with("{component: {builtin: required-labels}, settingsFrom: [{secretKeyRef: {name: a, key: b}}]}"), 422, vec!["spec.settingsFrom: is not allowed in a request".into()]),
        ("validator/p?dryRun=yes", labels("p", "one"), 400, vec!["expected true or false".into()]),
        ("validator/p?dryrun=true", labels("p", "one"), 400, vec!["the only parameter is dryRun".into()]),
        ("validator/p?dryRun=true", with("{component: {builtin: required-labels}, settings: {labels: [7]}}"), 422, vec!["spec.settings".into()]),
        ("validator/p", " ".repeat(2 << 20), 413, vec!["at most 1048576 bytes".into()]),
        // Trusted less than files.
        ("authenticator/a", "apiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: a}\nspec: {component: {builtin: magic-authenticator}}".into(), 403, vec!["--admin-kinds".into()]),
        ("authorizer/a", "apiVersion: verdict.dev/v1alpha1\nkind: Authorizer\nmetadata: {name: a}\nspec: {component: {builtin: magic-authorizer}}".into(), 403, vec!["--admin-kinds".into()]),
    ];
    for (path, yaml, status, words) in cases {
        let (got, told) = Registry::wrong(registry.put(path, &yaml));
        assert_eq!(got, status, "{path}: {told}");
        assert!(words.iter().all(|it| told.contains(it)), "{path}: {words:?} in {told}");
        assert!(!told.contains("hidden-words"), "{told}");
    }
    let (status, told) =
        Registry::wrong(registry.request("PUT", "/policies/validator/p", "text/plain", labels("p", "two")));
    assert_eq!((status, told.contains("application/yaml")), (415, true), "{told}");
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    for (parts, status, words) in [
        (vec![("component", &wasm[..])], 400, "a part that is called object"),
        (vec![("object", &b"a: 1"[..]), ("object", b"a: 1")], 400, "got several"),
        (vec![("object", &b"a: 1"[..]), ("file", b"a: 1")], 400, "only parts that are called"),
        (vec![("object", labels("p", "two").as_bytes()), ("component", &wasm)], 422, "does not name"),
        (
            vec![("object", sent("p", &digest(b"no component")).as_bytes()), ("component", b"no component")],
            422,
            "spec.component: ",
        ),
    ] {
        let (got, told) = Registry::wrong(registry.put_parts("validator/p", &parts));
        assert_eq!((got, told.contains(words)), (status, true), "{told}");
    }
    assert_eq!(registry.page(), before);
    assert_eq!(registry.says("/validate"), "p: the label one is required");
}

#[test]
fn a_component_comes_with_its_object() {
    let registry = Registry::new(&[]);
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let yaml = sent("p", &digest(&wasm));
    let (status, text) = registry.put_parts("validator/p", &[("object", yaml.as_bytes()), ("component", &wasm)]);
    assert_eq!(status, 201, "{text}");
    assert_eq!((registry.says("/validate/p").as_str(), registry.get("validator/p")), ("allowed", (200, yaml.clone())));
    assert_eq!(registry.row("p")["component"], format!("registered:{}", digest(&wasm)));
    // What is there need not be sent again, for others neither.
    assert_eq!(registry.put("validator/p", &yaml).0, 200);
    assert_eq!(registry.put("validator/q", &sent("q", &digest(&wasm))).0, 201);
    assert_eq!(registry.delete("validator/p").0, 204);
    assert_eq!(registry.says("/validate/q"), "allowed");
    assert_eq!(registry.delete("validator/q").0, 204);
    assert_eq!(registry.put("validator/p", &yaml).0, 422, "nobody has it any more");
}

#[test]
fn kinds_are_taken_that_the_operator_lists() {
    let registry = Registry::new(&["--admin-kinds", "Authenticator,provider"]);
    let object = |kind: &str, builtin: &str| {
        format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{component: {{builtin: {builtin}}}}}"
        )
    };
    assert_eq!(registry.put("authenticator/a", &object("Authenticator", "magic-authenticator")).0, 201);
    assert_eq!(registry.put("provider/a", &object("Provider", "caesar-cipher")).0, 201);
    assert_eq!(registry.put("validator/a", &object("Validator", "magic-validator")).0, 403);
    assert_eq!(registry.put("authorizer/a", &object("Authorizer", "magic-authorizer")).0, 403);
}

/// Files come first: what they declare cannot be changed by a request, and takes a name that a request had.
#[test]
fn files_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("a.yaml"), labels("a", "one")).unwrap();
    let registry = Registry::of(folder, &["--policies", policies.to_str().unwrap()]);
    let (status, told) = Registry::wrong(registry.put("validator/a", &labels("a", "two")));
    assert_eq!((status, told.contains("a.yaml, which comes first")), (409, true), "{told}");
    assert_eq!(Registry::wrong(registry.put("validator/a?dryRun=true", &labels("a", "two"))).0, 409);
    assert_eq!(Registry::wrong(registry.delete("validator/a")).0, 409);
    let (status, told) = Registry::wrong(registry.get("validator/a"));
    assert_eq!((status, told.contains("a.yaml")), (404, true), "{told}");
    assert_eq!(registry.put("validator/b", &labels("b", "two")).0, 201);
    let row = |state: &str, source: &str| {
        eventually(&format!("b of {source} is {state}"), || {
            let page = registry.page();
            let is = |it: &&Value| {
                it["name"] == "b" && it["state"] == state && it["source"].as_str().unwrap().contains(source)
            };
            page["policies"].as_array().unwrap().iter().find(is).cloned().ok_or(page.to_string())
        })
    };
    fs::write(policies.join("b.yaml"), labels("b", "three")).unwrap();
    row("active", "b.yaml");
    assert!(row("failed", "registered")["reason"].as_str().unwrap().contains("already used in"));
    assert_eq!(registry.says("/validate/b"), "b: the label three is required");
    // A registration beside it leaves all that as it is.
    assert_eq!(registry.put("validator/c", &labels("c", "four")).0, 201);
    row("failed", "registered");
    fs::remove_file(policies.join("b.yaml")).unwrap();
    row("active", "registered");
    assert_eq!(registry.says("/validate/b"), "b: the label two is required");
    // A new file that never parsed is seen, and files of which nothing is left keep what they declared.
    fs::write(policies.join("new.yaml"), "kind: [").unwrap();
    eventually("it is seen", || {
        let page = registry.page();
        if page["unreadable"][0]["source"].as_str().is_some_and(|it| it.ends_with("new.yaml")) {
            Ok(())
        } else {
            Err(page.to_string())
        }
    });
    assert!(registry.page()["unreadable"][0]["reason"].as_str().unwrap().contains("new.yaml:1: "));
    fs::remove_file(policies.join("new.yaml")).unwrap();
    eventually("it is gone", || {
        if registry.page()["unreadable"].is_null() { Ok(()) } else { Err(registry.page().to_string()) }
    });
    assert_eq!(registry.says("/validate/a"), "a: the label one is required");
}

/// A body that never ends, and a component that computes in its init for as long as it may, are in nobody's way.
#[test]
fn probes_and_reviews_are_answered_while_an_object_is_slow() {
    let registry = Registry::new(&[]);
    assert_eq!(registry.put("validator/p", &labels("p", "one")).0, 201);
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let slow = sent("slow", &digest(&wasm)).replace("speak", "loop-in-init");
    let ended = AtomicBool::new(false);
    let all_well = || {
        for open in ["/livez", "/readyz", "/policies"] {
            assert_eq!(http::get_plain(&format!("http://{}{open}", registry.verdict.admin)).unwrap().0, 200, "{open}");
        }
        assert_eq!(
            (registry.says("/validate").as_str(), registry.get("validator/p").0),
            ("p: the label one is required", 200)
        );
    };
    let (rounds, told) = thread::scope(|scope| {
        let put = scope.spawn(|| {
            let told = registry.put_parts("validator/slow", &[("object", slow.as_bytes()), ("component", &wasm)]);
            ended.store(true, Ordering::Relaxed);
            told
        });
        let mut rounds = 0;
        while !ended.load(Ordering::Relaxed) {
            all_well();
            rounds += 1;
        }
        (rounds, put.join().unwrap())
    });
    let (status, told) = Registry::wrong(told);
    assert_eq!((status, told.contains("spec.component: init failed")), (422, true), "{told}");
    assert!(rounds > 1, "{rounds}");
    // Whoever is let in and then falls silent.
    let mut stalled = TcpStream::connect(registry.verdict.admin).unwrap();
    let head = format!(
        "PUT /policies/validator/q HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/yaml\r\ncontent-length: 1000\r\n\r\nkind:"
    );
    stalled.write_all(head.as_bytes()).unwrap();
    all_well();
    assert_eq!(registry.delete("validator/p").0, 204);
}

/// Reviews go on while policies come and go, each answered by one set.
#[test]
fn no_review_is_lost_while_policies_are_registered() {
    let registry = Registry::new(&[]);
    assert_eq!(registry.put("validator/a", &labels("a", "one")).0, 201);
    let ended = AtomicBool::new(false);
    let answers: usize = thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut answers = 0;
            while !ended.load(Ordering::Relaxed) {
                let said = registry.says("/validate");
                let with = |label: &str| format!("a: the label one is required\nb: the label {label} is required");
                assert!(
                    ["a: the label one is required".to_owned(), with("two"), with("three")].contains(&said),
                    "{said}"
                );
                answers += 1;
            }
            answers
        });
        for _ in 0..3 {
            assert_eq!(registry.put("validator/b", &labels("b", "two")).0, 201);
            assert_eq!(registry.put("validator/b", &labels("b", "three")).0, 200);
            assert_eq!(registry.delete("validator/b").0, 204);
        }
        ended.store(true, Ordering::Relaxed);
        caller.join().unwrap()
    });
    assert!(answers > 0);
}

#[test]
fn the_command_line_applies_gets_and_deletes() {
    let registry = Registry::new(&[]);
    let server = format!("http://{}", registry.verdict.admin);
    let token = registry.folder.path().join("token");
    let to = ["--server", &server, "--token-file", token.to_str().unwrap()];
    let run = |args: &[&str]| verdict(&[args, &to].concat());
    let files = registry.folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::copy(fixtures::misbehaving("admission"), files.join("own.wasm")).unwrap();
    let own = "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: own}\nspec: {component: {path: ./own.wasm}, settings: {do: speak}}\n";
    fs::write(files.join("all.yaml"), labels("a", "one") + own + "---\n" + &labels("bad", "7")).unwrap();
    let file = files.join("all.yaml");
    let file = file.to_str().unwrap();
    let (code, out, error) = run(&["apply", "-f", file, "--dry-run"]);
    assert_eq!(
        (code, out.as_str()),
        (1, "registered Validator a (dry run)\nregistered Validator own (dry run)\n"),
        "{error}"
    );
    assert_eq!(registry.says("/validate"), "404");
    // One that is refused holds up no other.
    let (code, out, error) = run(&["apply", "-f", file]);
    assert_eq!((code, out.as_str()), (1, "registered Validator a\nregistered Validator own\n"), "{error}");
    assert!(error.contains("all.yaml, document 3: Validator bad: spec.settings.labels[0]: "), "{error}");
    assert_eq!(
        (registry.says("/validate/a").as_str(), registry.says("/validate/own").as_str()),
        ("a: the label one is required", "allowed")
    );
    assert_eq!(run(&["apply", "-f", file]).1, "changed Validator a\nchanged Validator own\n");
    let (code, out, _) = run(&["get"]);
    assert_eq!((code, out.as_str()), (0, "active Validator a (registered)\nactive Validator own (registered)\n"));
    let (code, out, _) = run(&["get", "validator", "a"]);
    assert!(code == 0 && out.contains("required-labels"), "{out}");
    assert_eq!(run(&["delete", "validator", "own"]).1, "deleted Validator own\n");
    let (code, out, error) = run(&["delete", "-f", file]);
    assert_eq!((code, out.as_str()), (1, "deleted Validator a\n"), "{error}");
    assert!(error.contains("there is no validator own"), "{error}");
}
