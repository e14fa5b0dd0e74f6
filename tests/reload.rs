//! Files that change while the server answers: what is good is served soon, what is not changes nothing, and no review is lost.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    eventually, fixtures,
    host::{config_map, misbehaving},
    http,
    pki::Pki,
    verdict::{Verdict, verdict},
};

/// A server with a folder of policies.
struct Served {
    pki: Pki,
    folder: tempfile::TempDir,
    verdict: Verdict,
}

/// `required-labels` for one label.
fn labels(name: &str, label: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: required-labels}}, settings: {{labels: [{label}]}}}}\n"
    )
}

impl Served {
    /// With these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        for (name, text) in files {
            fs::write(policies.join(name), text).unwrap();
        }
        Self::of(folder, &policies)
    }

    fn of(folder: tempfile::TempDir, policies: &Path) -> Self {
        let pki = Pki::new(&folder.path().join("pki"));
        let verdict = Verdict::start(&pki, folder.path(), &["--policies", policies.to_str().unwrap()]);
        Self { pki, folder, verdict }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("policies").join(name)
    }

    fn ask(&self, path: &str) -> (u16, Value) {
        let url = format!("https://{}{path}", self.verdict.https);
        let (status, text) =
            http::post(&url, config_map("u").to_string(), &self.pki, Some(&self.verdict.client)).unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// What a user is told; empty: nothing, since it is allowed.
    fn message(&self, path: &str) -> String {
        let (status, answer) = self.ask(path);
        assert_eq!(status, 200, "{answer}");
        let message = answer["response"]["status"]["message"].as_str().unwrap_or_default();
        // Without the causes, which say the same.
        message.lines().filter(|it| !it.starts_with("* ")).collect::<Vec<_>>().join("\n")
    }

    fn page(&self) -> Value {
        let (status, text) = http::get_plain(&format!("http://{}/policies", self.verdict.admin)).unwrap();
        assert_eq!(status, 200);
        serde_json::from_str(&text).unwrap()
    }

    /// The row of an object.
    fn row(&self, name: &str) -> Value {
        let page = self.page();
        let rows = page["policies"].as_array().unwrap();
        rows.iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    }

    fn state(&self, name: &str) -> String {
        self.row(name)["state"].as_str().unwrap_or("gone").to_owned()
    }

    fn becomes(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} is {state}"), || match self.state(name) {
            found if found == state => Ok(()),
            found => Err(format!("{found}\n{}", self.verdict.process.tail())),
        });
        self.row(name)
    }

    fn says(&self, path: &str, words: &str) {
        eventually(&format!("{path} says {words}"), || match self.ask(path).0 {
            200 if self.message(path) == words => Ok(()),
            status => Err(format!("{status}\n{}", self.verdict.process.tail())),
        });
    }

    fn refused(&self) -> u64 {
        self.verdict.metric("verdict_reloads_total{result=\"refused\"}")
    }
}

#[test]
fn what_changes_is_served_and_what_does_not_is_left_alone() {
    let served = Served::new(&[("a.yaml", &labels("a", "one")), ("b.yaml", &labels("b", "two"))]);
    assert_eq!(served.message("/validate"), "a: the label one is required\nb: the label two is required");
    let (before, digest) = (served.row("b"), served.page()["digest"].clone());
    fs::write(served.file("a.yaml"), labels("a", "three")).unwrap();
    served.says("/validate", "a: the label three is required\nb: the label two is required");
    assert_eq!(served.row("b"), before, "it was not touched");
    assert_ne!(served.page()["digest"], digest);
    // Back again it is the same set.
    fs::write(served.file("a.yaml"), labels("a", "one")).unwrap();
    served.says("/validate", "a: the label one is required\nb: the label two is required");
    assert_eq!(served.page()["digest"], digest);
    // What comes is served, and what goes is not.
    fs::write(served.file("c.yaml"), labels("c", "four")).unwrap();
    served.says("/validate/c", "c: the label four is required");
    fs::remove_file(served.file("b.yaml")).unwrap();
    served.says("/validate", "a: the label one is required\nc: the label four is required");
    assert_eq!((served.ask("/validate/b").0, served.state("b").as_str()), (404, "gone"));
    assert_eq!(served.refused(), 0);
}

#[test]
fn what_cannot_be_read_or_loaded_changes_nothing() {
    let served = Served::new(&[("a.yaml", &labels("a", "one")), ("b.yaml", &labels("b", "two"))]);
    // A file that is no YAML any more, beside one that is good.
    fs::write(served.file("a.yaml"), "kind: [").unwrap();
    fs::write(served.file("b.yaml"), labels("b", "three")).unwrap();
    served.says("/validate", "a: the label one is required\nb: the label three is required");
    let row = served.becomes("a", "stale");
    assert!(row["reason"].as_str().unwrap().contains("a.yaml:1: "), "{row}");
    assert_eq!(served.state("b"), "active");
    // As it was, it needs no loading.
    fs::write(served.file("a.yaml"), labels("a", "one")).unwrap();
    served.becomes("a", "active");
    assert_eq!(served.message("/validate/a"), "a: the label one is required");
    // Settings that it does not take.
    fs::write(served.file("a.yaml"), labels("a", "7")).unwrap();
    let row = served.becomes("a", "stale");
    eventually("the reason is the new one", || {
        let row = served.row("a");
        if row["reason"].as_str().is_some_and(|it| it.contains("spec.settings")) { Ok(()) } else { Err(row) }
    });
    assert!(row["component"].is_string(), "it serves: {row}");
    assert_eq!(served.message("/validate/a"), "a: the label one is required");
    // A new one that never loads denies, since nobody can ask it.
    fs::write(served.file("c.yaml"), labels("c", "one").replace("builtin: required-labels", "path: none.wasm"))
        .unwrap();
    served.becomes("c", "failed");
    assert_eq!(served.message("/validate/c"), "c: the policy is not loaded");
    let all = served.message("/validate");
    assert!(all.contains("c: the policy is not loaded") && all.contains("a: the label one is required"), "{all}");
    // Mended.
    fs::write(served.file("a.yaml"), labels("a", "five")).unwrap();
    fs::write(served.file("c.yaml"), labels("c", "six")).unwrap();
    served.becomes("c", "active");
    served.says(
        "/validate",
        "a: the label five is required\nb: the label three is required\nc: the label six is required",
    );
}

/// A policy that moves to another file, while the old one cannot be read.
#[test]
fn a_name_serves_once() {
    let served = Served::new(&[("b.yaml", &labels("p", "one"))]);
    fs::write(served.file("a.yaml"), labels("p", "two")).unwrap();
    fs::write(served.file("b.yaml"), "kind: [").unwrap();
    served.says("/validate", "p: the label two is required");
    let page = served.page();
    let states: Vec<&Value> = page["policies"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["active", "failed"], "{page}");
    assert!(page["policies"][1]["reason"].as_str().unwrap().contains("already used in"), "{page}");
}

/// Lines that come before a policy are none of its concern.
#[test]
fn what_moves_within_a_file_is_left_alone() {
    let served = Served::new(&[("p.yaml", &(labels("a", "one") + &labels("b", "two")))]);
    let before = served.row("b")["since"].clone();
    fs::write(
        served.file("p.yaml"),
        labels("c", "four") + "# Now three.\n" + &labels("a", "three") + &labels("b", "two"),
    )
    .unwrap();
    let loaded = |name: &str| {
        let text = fs::read_to_string(served.folder.path().join("verdict.log")).unwrap();
        text.lines().filter(|it| it.contains("\"active\"") && it.contains(&format!("Validator {name}\""))).count()
    };
    served.says(
        "/validate",
        "a: the label three is required\nb: the label two is required\nc: the label four is required",
    );
    assert_eq!((loaded("a"), loaded("b"), loaded("c")), (2, 1, 1));
    assert_eq!(served.row("b")["since"], before);
    assert!(served.row("b")["source"].as_str().unwrap().ends_with("document 3"), "{}", served.row("b"));
}

#[test]
fn a_folder_that_is_gone_or_empty_keeps_what_serves() {
    let served = Served::new(&[("a.yaml", &labels("a", "one"))]);
    let (folder, aside) = (served.folder.path().join("policies"), served.folder.path().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    eventually("it is noticed", || if served.refused() == 1 { Ok(()) } else { Err(served.refused()) });
    assert_eq!(served.message("/validate"), "a: the label one is required");
    fs::create_dir(&folder).unwrap();
    fs::write(served.file("notes.json"), "[]").unwrap();
    eventually("it is noticed again", || if served.refused() >= 2 { Ok(()) } else { Err(served.refused()) });
    assert_eq!(served.message("/validate"), "a: the label one is required");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(aside.join("b.yaml"), labels("b", "two")).unwrap();
    fs::rename(&aside, &folder).unwrap();
    served.says("/validate", "a: the label one is required\nb: the label two is required");
}

/// As the kubelet writes a ConfigMap: a link to a folder is replaced.
#[test]
fn a_mounted_config_map_is_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("policies");
    let version = |name: &str, label: &str| {
        let own = root.join(name);
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("a.yaml"), labels("a", label)).unwrap();
    };
    version("..one", "one");
    symlink("..one", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    let served = Served::of(folder, &root);
    assert_eq!(served.message("/validate"), "a: the label one is required");
    version("..two", "two");
    symlink("..two", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    served.says("/validate", "a: the label two is required");
}

#[test]
fn components_and_files_of_variables_count() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("policies");
    fs::create_dir(&root).unwrap();
    let component = root.join("p.wasm");
    fs::copy(fixtures::misbehaving("admission"), &component).unwrap();
    fs::write(root.join("value"), "one").unwrap();
    let grants = "  grants: {env: [{name: SHOWN, valueFrom: {file: value}}]}";
    let yaml =
        misbehaving("p", "environment", grants).replace("$FIXTURE", "p.wasm").replace("kind: Every", "kind: Validator");
    fs::write(root.join("p.yaml"), yaml).unwrap();
    let served = Served::of(folder, &root);
    let shows = |value: &str| {
        eventually(&format!("it shows {value}"), || match served.message("/validate") {
            found if found.contains(&format!("SHOWN={value}")) => Ok(()),
            found => Err(found),
        });
    };
    shows("one");
    fs::write(root.join("value"), "two").unwrap();
    shows("two");
    let digest = served.row("p")["digest"].clone();
    let builtin = verdict::loader::builtin::find("required-labels").unwrap().component;
    // What takes other settings is no newer version of it.
    fs::write(&component, builtin).unwrap();
    served.becomes("p", "stale");
    shows("two");
    let mut newer = fs::read(fixtures::misbehaving("admission")).unwrap();
    // A section without a meaning: another component, by its bytes.
    newer.extend([0, 2, 1, b'x']);
    fs::write(&component, newer).unwrap();
    eventually("the newer component serves", || {
        let row = served.row("p");
        if row["state"] == "active" && row["digest"] != digest { Ok(()) } else { Err(row) }
    });
    shows("two");
}

#[test]
fn a_signal_reads_them_again() {
    let served = Served::new(&[("a.yaml", &labels("a", "one"))]);
    let applied = || served.verdict.metric("verdict_reloads_total{result=\"applied\"}");
    assert_eq!(applied(), 0);
    let before = served.row("a");
    let pid = served.verdict.process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    eventually("they are read again", || if applied() == 1 { Ok(()) } else { Err(applied()) });
    assert_eq!(served.row("a"), before, "nothing changed, and nothing was made again");
}

#[test]
fn what_does_not_load_at_the_start_fails_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("policies");
    fs::create_dir(&root).unwrap();
    let wrong = labels("wrong", "one").replace("builtin: required-labels", "path: none.wasm");
    fs::write(root.join("good.yaml"), labels("good", "one")).unwrap();
    fs::write(root.join("wrong.yaml"), &wrong).unwrap();
    let (code, _, error) = verdict(&[
        "serve",
        "--policies",
        root.to_str().unwrap(),
        "--require-all",
        "--bind=127.0.0.1:0",
        "--admin-bind=127.0.0.1:0",
    ]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("wrong.yaml: Validator wrong: spec.component: "), "{error}");
    let served = Served::of(folder, &root);
    let (status, _) = http::get_plain(&format!("http://{}/readyz", served.verdict.admin)).unwrap();
    assert_eq!(status, 200);
    assert_eq!((served.state("wrong").as_str(), served.state("good").as_str()), ("failed", "active"));
    assert_eq!(served.message("/validate/good"), "good: the label one is required");
    assert_eq!(served.message("/validate/wrong"), "wrong: the policy is not loaded");
    assert_eq!(served.verdict.reviews("wrong", "not_loaded"), 1);
    // By its failurePolicy.
    fs::write(root.join("wrong.yaml"), wrong.replace("settings:", "failurePolicy: Ignore, settings:")).unwrap();
    eventually("it is ignored", || {
        let answer = served.ask("/validate/wrong").1;
        let warning = json!(["wrong: the policy is not loaded; ignored because of failurePolicy"]);
        if answer["response"]["warnings"] == warning { Ok(()) } else { Err(answer) }
    });
}

/// Each answer is one of the two sets', whole.
#[test]
fn no_review_is_lost_or_mixed_while_sets_are_swapped() {
    let both = |label: &str| labels("a", label) + &labels("b", label);
    let served = Served::new(&[("p.yaml", &both("one"))]);
    let ended = Arc::new(AtomicBool::new(false));
    let answers: usize = thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = 0;
                    while !ended.load(Ordering::Relaxed) {
                        let message = served.message("/validate");
                        let of =
                            |label: &str| format!("a: the label {label} is required\nb: the label {label} is required");
                        assert!([of("one"), of("two")].contains(&message), "{message}");
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        for round in 0..4 {
            let label = if round % 2 == 0 { "two" } else { "one" };
            fs::write(served.file("p.yaml"), both(label)).unwrap();
            served.says("/validate/a", &format!("a: the label {label} is required"));
        }
        ended.store(true, Ordering::Relaxed);
        callers.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert!(answers > 20, "{answers}");
}

/// Not while a review is still in it.
#[test]
fn what_is_gone_is_told_so_when_nobody_uses_it() {
    let sleeps = misbehaving("sleeps", "sleep", "").replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 3000");
    let sleeps = sleeps.replace("kind: Every", "kind: Validator");
    let sleeps = sleeps.replace("$FIXTURE", &fixtures::misbehaving("admission").display().to_string());
    let served = Served::new(&[("stays.yaml", &labels("stays", "one")), ("sleeps.yaml", &sleeps)]);
    let says = |words: &str| served.verdict.process.log().contains(words);
    thread::scope(|scope| {
        let asleep = scope.spawn(|| served.ask("/validate/sleeps"));
        eventually("the review is in it", || {
            if served.verdict.in_flight("validate") == 1 { Ok(()) } else { Err("it is not") }
        });
        fs::remove_file(served.file("sleeps.yaml")).unwrap();
        eventually("it is gone", || {
            if says("\"message\":\"gone\"") { Ok(()) } else { Err(served.verdict.process.tail()) }
        });
        assert!(!says("cleaned up") || asleep.is_finished());
        let (status, answer) = asleep.join().unwrap();
        assert!(status == 200 && answer["response"]["status"]["code"] == 504, "{answer}");
    });
    eventually("it is told", || if says("cleaned up") { Ok(()) } else { Err(served.verdict.process.tail()) });
    assert!(served.ask("/validate/sleeps").0 == 404 && !says("cleanup failed"));
}
