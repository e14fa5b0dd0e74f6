//! What fails around the server: disks, threads, open files, compiling processes, whoever writes its files. Reviews are answered all the time.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    eventually, fixtures,
    host::{self, config_map, misbehaving},
    http,
    pki::Pki,
    processes::say,
    verdict::Verdict,
};

/// A server with one file of policies.
struct Served {
    folder: tempfile::TempDir,
    pki: Pki,
    verdict: Verdict,
}

/// `required-labels` for one label.
fn labels(name: &str, label: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: required-labels}}, settings: {{labels: [{label}]}}}}\n"
    )
}

impl Served {
    /// By a command line before the server's own, in a folder that everybody can look into.
    fn by(line: &[&str], policies: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self::within(folder, line, policies, flags)
    }

    fn within(folder: tempfile::TempDir, line: &[&str], policies: &str, flags: &[&str]) -> Self {
        let pki = Pki::new(&folder.path().join("pki"));
        let file = folder.path().join("policies.yaml");
        fs::write(&file, policies).unwrap();
        let flags = [&["--policies", file.to_str().unwrap()], flags].concat();
        let verdict = Verdict::start_by(line, &pki, folder.path(), &flags);
        Self { folder, pki, verdict }
    }

    fn declare(&self, policies: &str) {
        fs::write(self.folder.path().join("policies.yaml"), policies).unwrap();
    }

    /// What a user is told of an object; empty if it is allowed.
    fn message(&self, path: &str, review: &Value) -> Result<String, String> {
        let url = format!("https://{}{path}", self.verdict.https);
        let (status, text) = http::post(&url, review.to_string(), &self.pki, Some(&self.verdict.client))?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status != 200 || answer["response"].is_null() {
            return Err(format!("{status} {text}"));
        }
        let message = answer["response"]["status"]["message"].as_str().unwrap_or_default();
        Ok(message.lines().filter(|it| !it.starts_with("* ")).collect::<Vec<_>>().join("\n"))
    }

    fn says(&self, path: &str, words: &str) {
        eventually(&format!("{path} says {words}"), || match self.message(path, &config_map("u")) {
            Ok(found) if found.contains(words) => Ok(()),
            other => Err(format!("{other:?}\n{}", self.verdict.process.tail())),
        });
    }

    fn row(&self, name: &str) -> Value {
        let (_, text) = http::get_plain(&format!("http://{}/policies", self.verdict.admin)).unwrap();
        let page: Value = serde_json::from_str(&text).unwrap_or_default();
        let rows = page["policies"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|it| it["name"] == name).unwrap_or_default()
    }

    fn becomes(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} is {state}"), || match self.row(name) {
            row if row["state"] == state => Ok(row),
            row => Err(format!("{row}\n{}", self.verdict.process.tail())),
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("verdict.log")).unwrap()
    }
}

/// Whether this is root; else the test that asks is skipped by name.
fn is_root(test: &str) -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        say(&format!("skipped: {test}: needs root"));
    }
    is
}

const BINARY: &str = env!("CARGO_BIN_EXE_verdict");

/// A cache that takes nothing, and then one that cannot even be written to: each start compiles, and that is all.
#[test]
fn a_full_disk_for_the_code_cache_costs_time_and_nothing_else() {
    if !is_root("a_full_disk_for_the_code_cache_costs_time_and_nothing_else") {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let path = cache.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size=64k,mode=700 tmpfs {path} && exec \"$@\"");
    let line = ["unshare", "--mount", "sh", "-c", &mount, "sh", BINARY];
    let served = Served::by(&line, &labels("p", "one"), &["--cache-dir", path]);
    assert_eq!(served.message("/validate", &config_map("u")).unwrap(), "p: the label one is required");
    // Neither the code that all settings share nor the state of these.
    assert_eq!(served.log().matches("the code cache does not take an entry").count(), 2, "{}", served.log());
    served.declare(&labels("p", "two"));
    served.says("/validate", "the label two is required");
    let inside = format!("--mount=/proc/{}/ns/mnt", served.verdict.process.id());
    let remounted = Command::new("nsenter").args([&inside, "mount", "-o", "remount,ro", path]).status().unwrap();
    assert!(remounted.success());
    served.declare(&labels("p", "three"));
    served.says("/validate", "the label three is required");
    // Nothing half-written is left.
    let list = Command::new("nsenter").args([&inside, "find", path, "-type", "f"]).output().unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap(), "");
}

/// What is there already is found where nothing can be added.
#[test]
fn a_cache_that_can_only_be_read_is_used() {
    if !is_root("a_cache_that_can_only_be_read_is_used") {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let path = cache.path().to_str().unwrap();
    drop(Served::by(&[BINARY], &labels("p", "one"), &["--cache-dir", path]));
    let mount = format!("mount --bind -o ro {path} {path} && mount -o remount,bind,ro {path} && exec \"$@\"");
    let line = ["unshare", "--mount", "sh", "-c", &mount, "sh", BINARY];
    let served = Served::by(&line, &(labels("p", "one") + &labels("q", "two")), &["--cache-dir", path]);
    served.says("/validate/p", "the label one is required");
    served.says("/validate/q", "the label two is required");
    // Of two that serve, one had to be compiled, and could not be kept.
    assert_eq!(served.log().matches("the code cache does not take an entry").count(), 1, "{}", served.log());
}

/// Entries that were cut off, and others that were written over, are made again.
#[test]
fn damaged_entries_of_the_cache_are_made_again() {
    let cache = tempfile::tempdir().unwrap();
    let path = cache.path().to_str().unwrap();
    let both = labels("p", "one") + &labels("q", "two");
    drop(Served::by(&[BINARY], &both, &["--cache-dir", path]));
    let entries: Vec<PathBuf> = fs::read_dir(cache.path().join("code")).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(entries.len(), 4, "what init runs in, the code of both, and the state of each");
    let sizes = || -> Vec<u64> { entries.iter().map(|it| fs::metadata(it).unwrap().len()).collect() };
    let before = sizes();
    for (number, entry) in entries.iter().enumerate() {
        let mut bytes = fs::read(entry).unwrap();
        let middle = bytes.len() / 2;
        if number % 2 == 0 {
            bytes.truncate(middle);
        } else {
            bytes[middle] ^= 1;
        }
        fs::write(entry, bytes).unwrap();
    }
    let served = Served::by(&[BINARY], &both, &["--cache-dir", path]);
    served.says("/validate/p", "the label one is required");
    served.says("/validate/q", "the label two is required");
    assert_eq!(served.log().matches("cannot be used, and is made again").count(), 4, "{}", served.log());
    assert_eq!(sizes(), before, "they are whole again");
}

/// Components that are written slowly, cut off, or nonsense.
#[test]
fn a_damaged_component_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("p.wasm");
    let whole = fs::read(fixtures::misbehaving("admission")).unwrap();
    fs::write(&component, &whole).unwrap();
    let yaml = misbehaving("p", "deny", "").replace("$FIXTURE", "p.wasm").replace("Every", "Validator");
    let served = Served::within(folder, &[BINARY], &yaml, &[]);
    served.says("/validate", "p: denied on purpose");
    // A writer who stops in the middle of it for longer than anybody waits.
    let mut file = fs::File::create(&component).unwrap();
    file.write_all(&whole[..whole.len() / 2]).unwrap();
    file.flush().unwrap();
    let row = served.becomes("p", "stale");
    assert!(row["reason"].as_str().unwrap().contains("spec.component"), "{row}");
    served.says("/validate", "p: denied on purpose");
    file.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(file);
    served.becomes("p", "active");
    fs::write(&component, b"\0asm nonsense").unwrap();
    served.becomes("p", "stale");
    served.says("/validate", "p: denied on purpose");
}

/// Somebody, or the system for want of memory, kills what compiles: it is tried again without being asked.
#[test]
fn a_compiling_child_that_is_killed_is_started_again() {
    let served = Served::by(&[BINARY], &labels("p", "one"), &[]);
    let parent = served.verdict.process.id();
    let end = Instant::now() + Duration::from_secs(60);
    thread::scope(|scope| {
        let killed = scope.spawn(|| {
            // Without a pause: a small policy is soon compiled.
            while Instant::now() < end {
                for child in children(parent) {
                    let status = Command::new("kill").args(["-KILL", &child.to_string()]).status();
                    if status.is_ok_and(|it| it.success()) {
                        return true;
                    }
                }
            }
            false
        });
        served.declare(&labels("p", "two"));
        assert!(killed.join().unwrap(), "no child was seen");
    });
    let row = served.becomes("p", "stale");
    assert!(row["reason"].as_str().unwrap().contains("signal: 9"), "{row}");
    assert_eq!(served.message("/validate", &config_map("u")).unwrap(), "p: the label one is required");
    served.says("/validate", "the label two is required");
    served.becomes("p", "active");
}

/// Ids of the processes that this one started.
fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    texts.flat_map(|it| it.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// A writer who does not stop, and signals without end: reviews go on, and in the end the last word holds.
#[test]
fn a_storm_of_changes_harms_no_review() {
    let served = Served::by(&[BINARY], &labels("p", "v0"), &[]);
    let pid = served.verdict.process.id().to_string();
    let end = Instant::now() + Duration::from_secs(5);
    let answers = thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut answers = 0;
            while Instant::now() < end {
                let message = served.message("/validate", &config_map("u")).unwrap();
                assert!(message.starts_with("p: the label v"), "{message}");
                answers += 1;
            }
            answers
        });
        let mut version = 0;
        while Instant::now() < end {
            version += 1;
            served.declare(&labels("p", &format!("v{version}")));
            assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
            thread::sleep(Duration::from_millis(5));
        }
        served.declare(&labels("p", "last"));
        asked.join().unwrap()
    });
    assert!(answers > 10, "{answers}");
    served.says("/validate", "the label last is required");
    served.becomes("p", "active");
}

/// So few files that connections use them up: who says nothing gives way.
#[test]
fn too_few_open_files_are_for_those_who_ask() {
    let line = ["sh", "-c", "ulimit -n 96 && exec \"$@\"", "sh", BINARY];
    let served = Served::by(&line, &labels("p", "one"), &[]);
    let silent: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(served.verdict.https).ok()).collect();
    assert!(silent.len() > 150, "{}", silent.len());
    for _ in 0..5 {
        assert_eq!(served.message("/validate", &config_map("u")).unwrap(), "p: the label one is required");
    }
    assert!(served.verdict.metric("verdict_accept_errors_total") > 0);
    assert!(open_files(served.verdict.process.id()) <= 96);
    let (ready, _) = http::get_plain(&format!("http://{}/readyz", served.verdict.admin)).unwrap();
    assert_eq!(ready, 200);
    drop(silent);
    // What changes meanwhile needs files, too.
    served.declare(&labels("p", "two"));
    served.says("/validate", "the label two is required");
    let lines = served.log().matches("a connection could not be accepted").count();
    assert!(lines < 5, "{lines} lines of one kind");
}

fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// The system gives no thread any more: reviews, probes and pages need none; a change waits until there are some again.
#[test]
fn without_new_threads_reviews_are_answered() {
    if !is_root("without_new_threads_reviews_are_answered") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Root has as many threads as it wants: the server runs as somebody else, who may not look into everybody's folders.
    let binary = folder.path().join("verdict");
    fs::copy(BINARY, &binary).unwrap();
    let user = 60_000 + std::process::id() % 5000;
    let of = |flag: &str| format!("--{flag}={user}");
    let line = ["setpriv", &of("reuid"), &of("regid"), "--clear-groups", "--", binary.to_str().unwrap()];
    let served = Served::within(folder, &line, &labels("p", "one"), &[]);
    let pid = served.verdict.process.id().to_string();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let before = limits.lines().find_map(|it| it.strip_prefix("Max processes")).unwrap();
    let before = before.split_whitespace().next().unwrap();
    let threads = |most: &str| {
        let limit = format!("--nproc={most}:");
        let mut command = Command::new("setpriv");
        command.args([&of("reuid"), &of("regid"), "--clear-groups", "prlimit", "--pid", &pid, &limit]);
        assert!(command.status().unwrap().success());
    };
    threads("1");
    let large = host::admission(
        "u",
        serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": {"a": "x".repeat(1 << 20)}}),
    );
    for _ in 0..3 {
        assert_eq!(served.message("/validate", &config_map("u")).unwrap(), "p: the label one is required");
        assert_eq!(served.message("/validate", &large).unwrap(), "p: the label one is required");
    }
    for page in ["livez", "readyz", "metrics", "policies"] {
        let (status, text) = http::get_plain(&format!("http://{}/{page}", served.verdict.admin)).unwrap();
        assert!(status == 200 && !text.is_empty(), "{page}: {status} {text}");
    }
    served.declare(&labels("p", "two"));
    let row = served.becomes("p", "stale");
    assert!(!row["reason"].as_str().unwrap().is_empty(), "{row}");
    assert_eq!(served.message("/validate", &config_map("u")).unwrap(), "p: the label one is required");
    threads(before);
    served.says("/validate", "the label two is required");
    assert_eq!(served.message("/validate", &large).unwrap(), "p: the label two is required");
}

/// Deadlines and ages are by a clock that nobody can set: where they are kept nobody asks for the time of day, but for guests, and for what is
/// shown.
#[test]
fn a_clock_that_jumps_ends_no_review() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook");
    let mut found: Vec<String> = ["server", "engine/run", "policy", "turn.rs"]
        .iter()
        .flat_map(|room| walkdir::WalkDir::new(root.join(room)).into_iter().flatten())
        .filter(|it| it.file_type().is_file())
        .filter(|it| fs::read_to_string(it.path()).unwrap().contains("SystemTime::now"))
        .map(|it| it.path().strip_prefix(&root).unwrap().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, ["engine/run/imports.rs", "policy/live/loader.rs", "policy/live/mod.rs"]);
}
