//! What is registered and kept on disk: over a restart, damaged, and where the disk takes nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::support::{
    fixtures,
    pki::Pki,
    processes::say,
    registry::{Registry, TOKEN, digest, labels, sent},
    verdict::{Verdict, verdict},
};

#[test]
fn what_is_registered_survives_a_restart() {
    let (registry, state) = Registry::kept();
    let flags = ["--state-dir", state.to_str().unwrap()];
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let yaml = sent("p", &digest(&wasm));
    assert_eq!(registry.put_parts("validator/p", &[("object", yaml.as_bytes()), ("component", &wasm)]).0, 201);
    assert_eq!(registry.put("validator/q", &labels("q", "one")).0, 201);
    assert_eq!(registry.put("validator/r", &labels("r", "two")).0, 201);
    assert_eq!(registry.delete("validator/r").0, 204);
    for folder in [&state, &state.join("objects"), &state.join("components")] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // Two servers with one folder would not know of each other.
    let token = registry.folder.path().join("token");
    let again =
        ["serve", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0", "--admin-token-file", token.to_str().unwrap()];
    let (code, _, error) = verdict(&[&again[..], &flags].concat());
    assert_eq!((code, error.contains("in use by another server")), (3, true), "{error}");
    let registry = registry.restarted(&flags);
    assert_eq!(registry.get("validator/p"), (200, yaml.clone()));
    assert_eq!(
        (registry.says("/validate/p").as_str(), registry.says("/validate/q").as_str()),
        ("allowed", "q: the label one is required")
    );
    assert_eq!(registry.get("validator/r").0, 404);
    assert_eq!(registry.delete("validator/p").0, 204);
    assert_eq!(fs::read_dir(state.join("components")).unwrap().count(), 0);
}

#[test]
fn a_damaged_entry_fails_and_harms_nobody_else() {
    let (registry, state) = Registry::kept();
    let flags = ["--state-dir", state.to_str().unwrap()];
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let yaml = sent("code", &digest(&wasm));
    assert_eq!(registry.put_parts("validator/code", &[("object", yaml.as_bytes()), ("component", &wasm)]).0, 201);
    for name in ["good", "torn", "flipped", "emptied", "swapped"] {
        assert_eq!(registry.put(&format!("validator/{name}"), &labels(name, "one")).0, 201, "{name}");
    }
    let entry = |name: &str| state.join("objects").join(format!("validator.{name}"));
    let change =
        |path: &Path, change: &dyn Fn(Vec<u8>) -> Vec<u8>| fs::write(path, change(fs::read(path).unwrap())).unwrap();
    change(&entry("torn"), &|it| it[..it.len() / 2].to_vec());
    change(&entry("flipped"), &|mut it| {
        *it.last_mut().unwrap() ^= 1;
        it
    });
    change(&entry("emptied"), &|_| Vec::new());
    fs::copy(entry("good"), entry("swapped")).unwrap();
    change(&state.join("components").join(digest(&wasm)), &|it| it[1..].to_vec());
    fs::write(state.join("objects/0123456789abcdef.writing"), "half of it").unwrap();
    fs::write(state.join("objects/notes.txt"), "of somebody").unwrap();
    let registry = registry.restarted(&flags);
    assert_eq!(registry.says("/validate/good"), "good: the label one is required");
    for (name, reason) in [
        ("torn", "is damaged"),
        ("flipped", "is damaged"),
        ("emptied", "is damaged"),
        ("swapped", "its entry holds Validator good"),
        ("code", "no component of this digest"),
    ] {
        let row = registry.row(name);
        assert_eq!(row["state"], "failed", "{row}");
        assert!(row["reason"].as_str().unwrap().contains(reason), "{row}");
        assert_eq!(registry.says(&format!("/validate/{name}")), format!("{name}: the policy is not loaded"));
        assert_eq!(registry.get(&format!("validator/{name}")).0, 500, "{name}");
    }
    assert!(!state.join("objects/0123456789abcdef.writing").exists() && state.join("objects/notes.txt").exists());
    // Registered again, or deleted, all is well.
    assert_eq!(registry.put("validator/torn", &labels("torn", "two")).0, 200);
    assert_eq!(registry.says("/validate/torn"), "torn: the label two is required");
    assert_eq!(registry.put_parts("validator/code", &[("object", yaml.as_bytes()), ("component", &wasm)]).0, 200);
    for name in ["flipped", "emptied", "swapped"] {
        assert_eq!(registry.delete(&format!("validator/{name}")).0, 204, "{name}");
    }
    let registry = registry.restarted(&flags);
    assert_eq!(registry.says("/validate/torn"), "torn: the label two is required");
    assert_eq!(registry.says("/validate/code"), "allowed");
    let page = registry.page();
    assert!(page["policies"].as_array().unwrap().iter().all(|it| it["state"] == "active"), "{page}");
}

/// What the operator does not list any more fails, and is whole again once it is listed.
#[test]
fn a_kind_that_is_not_listed_any_more_fails() {
    let (registry, state) = Registry::kept();
    let flags = ["--state-dir", state.to_str().unwrap()];
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let yaml = sent("p", &digest(&wasm));
    assert_eq!(registry.put_parts("validator/p", &[("object", yaml.as_bytes()), ("component", &wasm)]).0, 201);
    let registry = registry.restarted(&[&flags[..], &["--admin-kinds", "provider"]].concat());
    let row = registry.row("p");
    assert_eq!(
        (row["state"].as_str(), row["reason"].as_str()),
        (Some("failed"), Some("Validator is none of --admin-kinds"))
    );
    assert_eq!(registry.says("/validate/p"), "p: the policy is not loaded");
    let provider = "apiVersion: verdict.dev/v1alpha1\nkind: Provider\nmetadata: {name: c}\nspec: {component: {builtin: caesar-cipher}}";
    assert_eq!(registry.put("provider/c", provider).0, 201);
    let registry = registry.restarted(&flags);
    assert_eq!((registry.says("/validate/p").as_str(), registry.get("validator/p")), ("allowed", (200, yaml)));
    assert_eq!(registry.row("c")["state"], "active");
}

/// Memory and disk agree: what is not kept does not serve.
#[test]
fn what_cannot_be_kept_is_refused() {
    let (registry, state) = Registry::kept();
    let flags = ["--state-dir", state.to_str().unwrap()];
    assert_eq!(registry.put("validator/p", &labels("p", "one")).0, 201);
    let before = registry.page();
    // A folder to which nothing can be written, for root neither.
    let (objects, aside) = (state.join("objects"), state.join("aside"));
    fs::rename(&objects, &aside).unwrap();
    for (name, label) in [("p", "two"), ("q", "one")] {
        let (status, told) = Registry::wrong(registry.put(&format!("validator/{name}"), &labels(name, label)));
        assert_eq!((status, told.contains("the state folder of the server does not take it")), (500, true), "{told}");
    }
    assert_eq!(registry.page(), before);
    assert_eq!(registry.says("/validate"), "p: the label one is required");
    fs::rename(&aside, &objects).unwrap();
    let registry = registry.restarted(&flags);
    assert_eq!(registry.says("/validate"), "p: the label one is required");
    assert_eq!(registry.put("validator/q", &labels("q", "one")).0, 201);
}

#[test]
fn a_full_or_read_only_disk_refuses_and_changes_nothing() {
    if !rustix::process::geteuid().is_root() {
        say("skipped: a_full_or_read_only_disk_refuses_and_changes_nothing: needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let path = state.to_str().unwrap().to_owned();
    let mount = format!("mount -t tmpfs -o size=64k,mode=700 tmpfs {path} && exec \"$@\"");
    let line = ["unshare", "--mount", "sh", "-c", &mount, "sh", env!("CARGO_BIN_EXE_verdict")];
    let pki = Pki::new(&folder.path().join("pki"));
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let flags = ["--admin-token-file", token.to_str().unwrap(), "--state-dir", &path];
    let verdict = Verdict::start_by(&line, &pki, folder.path(), &flags);
    let registry = Registry { folder, pki, verdict };
    assert_eq!(registry.put("validator/p", &labels("p", "one")).0, 201);
    let before = registry.page();
    let wasm = fs::read(fixtures::misbehaving("admission")).unwrap();
    let yaml = sent("q", &digest(&wasm));
    let (status, told) =
        Registry::wrong(registry.put_parts("validator/q", &[("object", yaml.as_bytes()), ("component", &wasm)]));
    assert_eq!((status, told.contains("No space left")), (507, true), "{told}");
    assert_eq!((registry.page(), registry.get("validator/q").0), (before, 404));
    // What fits is taken: nothing half-written takes its room.
    assert_eq!(registry.put("validator/q", &labels("q", "two")).0, 201);
    let before = registry.page();
    let inside = format!("--mount=/proc/{}/ns/mnt", registry.verdict.process.id());
    let list = Command::new("nsenter").args([&inside, "find", &path, "-name", "*.writing"]).output().unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap(), "");
    let remounted = Command::new("nsenter").args([&inside, "mount", "-o", "remount,ro", &path]).status().unwrap();
    assert!(remounted.success());
    for refused in [registry.put("validator/p", &labels("p", "three")), registry.delete("validator/p")] {
        let (status, told) = Registry::wrong(refused);
        assert_eq!((status, told.contains("Read-only")), (500, true), "{told}");
    }
    assert_eq!(registry.page(), before);
    assert_eq!(registry.says("/validate"), "p: the label one is required\nq: the label two is required");
}

#[test]
fn a_folder_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (state, token) = (folder.path().join("state"), folder.path().join("token"));
    fs::create_dir(&state).unwrap();
    fs::write(&token, TOKEN).unwrap();
    let serve = ["serve", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0", "--state-dir", state.to_str().unwrap()];
    let open = ["--admin-token-file", token.to_str().unwrap()];
    for mode in [0o750, 0o701, 0o777] {
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
        let (code, _, error) = verdict(&[&serve[..], &open].concat());
        assert_eq!((code, error.contains("is not of this user alone")), (3, true), "{mode:o}: {error}");
    }
    // Nobody can register anything: what would it be for?
    let (code, _, error) = verdict(&serve);
    assert_eq!((code, error.contains("give --admin-token-file")), (3, true), "{error}");
}
