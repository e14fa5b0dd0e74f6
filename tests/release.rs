//! What `manifests/release/build` makes. The optimised build, and the image in containerd, run by name only:
//! `cargo test --test verdict release -- --ignored`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    registry::real::{Real, tools},
    support::{
        fixtures::has_python,
        host::config_map,
        http,
        pki::Pki,
        processes::{Process, say},
        verdict::{Verdict, verdict},
        within,
    },
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command with these arguments: what it prints on success, or on failure.
fn build(arguments: &[&str], registry: &str) -> Result<String, String> {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/release/build"));
    command.args(arguments).env("SOURCE_DATE_EPOCH", "1700000000").env("VERDICT_REGISTRY_PLAIN_HTTP", registry);
    printed(command)
}

fn printed(mut command: Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// What a system's tool prints.
fn tool(line: &[&str], folder: &Path) -> String {
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).current_dir(folder);
    printed(command).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

/// The head of a program of Linux for a processor, as ELF numbers it: as much as the release looks at.
fn program(machine: u8) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18] = machine;
    head
}

/// Where the blob of a descriptor is; its digest and size are right.
fn blob(image: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let path = image.join("blobs/sha256").join(digest);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((hex(&bytes).as_str(), Some(bytes.len() as u64)), (digest, descriptor["size"].as_u64()));
    path
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_image_is_the_program_alone_for_a_user_without_a_name() {
    if has_python().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (machine, architecture) in [(62, "amd64"), (183, "arm64")] {
        let (binary, out) = (at("binary"), at(architecture));
        fs::write(&binary, program(machine)).unwrap();
        let arguments = ["--binary", binary.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let said = build(&arguments, "").unwrap();

        let layout = out.join("image");
        assert_eq!(json(&layout.join("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));
        let named = json(&layout.join("index.json"))["manifests"].take();
        assert_eq!(named.as_array().unwrap().len(), 1);
        assert_eq!(named[0]["annotations"]["org.opencontainers.image.ref.name"], VERSION);
        assert!(said.contains(named[0]["digest"].as_str().unwrap()), "{said}");
        let index = json(&blob(&layout, &named[0]));
        let images = index["manifests"].as_array().unwrap();
        let platform = json!({"os": "linux", "architecture": architecture});
        assert_eq!((images.len(), &images[0]["platform"]), (1, &platform));
        let manifest = json(&blob(&layout, &images[0]));
        let config = json(&blob(&layout, &manifest["config"]));
        assert_eq!((&config["os"], &config["architecture"]), (&platform["os"], &platform["architecture"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], json!(["/verdict"]));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        for labels in [&config["config"]["Labels"], &manifest["annotations"], &index["annotations"]] {
            assert_eq!(labels["org.opencontainers.image.version"], VERSION);
        }

        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        let layer = blob(&layout, &manifest["layers"][0]);
        let list = tool(&["tar", "--utc", "--numeric-owner", "-tvzf", layer.to_str().unwrap()], folder.path());
        let words: Vec<&str> = list.split_whitespace().collect();
        assert_eq!(words, ["-rwxr-xr-x", "0/0", "64", "2023-11-14", "22:13", "verdict"]);
        let unpacked = Command::new("gzip").arg("-dc").arg(&layer).output().unwrap().stdout;
        assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", hex(&unpacked))]));

        tool(&["sha256sum", "--check", "--strict", "SHA256SUMS"], &out);
        let sums = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
        assert!(sums.contains(&format!("  verdict-{VERSION}-linux-{architecture}\n")), "{sums}");
        assert_eq!(sums.lines().count() + 1, tool(&["find", ".", "-type", "f"], &out).lines().count());
        // The same again has the same bytes.
        fs::rename(&out, at("before")).unwrap();
        build(&arguments, "").unwrap();
        assert_eq!(fs::read_to_string(out.join("SHA256SUMS")).unwrap(), sums);
        fs::remove_dir_all(at("before")).unwrap();
    }
}

#[test]
fn what_a_release_pushes_others_pull_and_servers_load() {
    let (Some(_), Some(tools)) = (has_python(), tools()) else { return };
    let real = Real::start(tools, &[]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let prefix = format!("{}/team", real.host);
    let binary = env!("CARGO_BIN_EXE_verdict");
    let said = build(&["--binary", binary, "--registry", &prefix, "--out", out.to_str().unwrap()], &real.host).unwrap();

    let crane = |arguments: &[&str]| tool(&[&[tools.to_str().unwrap()], arguments].concat(), &out);
    let digest = crane(&["image", &format!("{prefix}/verdict:{VERSION}"), "image"]);
    assert!(said.contains(&digest), "{said}");
    let pushed = fs::read_to_string(out.join("policies.txt")).unwrap();
    assert_eq!(pushed.lines().count(), ::verdict::loader::builtin::all().len(), "{pushed}");
    let (labels, cache) = (format!("{prefix}/policies/required-labels:"), folder.path().join("cache"));
    let labels = pushed.lines().find(|it| it.starts_with(&labels)).unwrap();
    crane(&["pull", labels, folder.path().join("labels.wasm").to_str().unwrap()]);
    assert!(fs::read(folder.path().join("labels.wasm")).unwrap().starts_with(b"\0asm"));
    let (code, loaded, error) =
        verdict(&["load", out.join("policies").to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()]);
    assert_eq!((code, loaded.lines().count()), (0, pushed.lines().count()), "{error}");
    tool(&["sha256sum", "--check", "--strict", "SHA256SUMS"], &out);
}

#[test]
fn what_cannot_be_released_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let other = at("other");
    fs::write(&other, program(8)).unwrap();
    fs::create_dir(at("there")).unwrap();
    for (arguments, expected) in [
        (vec!["--arch", "mips"], "--arch mips: expected amd64 or arm64"),
        (vec!["--arch"], "--arch wants a value; --help tells more"),
        (vec!["--push"], "unknown argument --push; --help lists them"),
        (vec!["--registry", "localhost"], "--registry localhost: expected HOST[:PORT]/PREFIX"),
        (vec!["--binary", "/nowhere"], "--binary /nowhere: there is no such file"),
        (vec!["--binary", &other, "--arch", "amd64"], "--binary is for the processor that it was built for"),
        (vec!["--binary", &other, "--out", &at("out")], "expected a program for Linux on amd64 or arm64"),
        (vec!["--out", &at("there")], "there exists: remove it, or name another folder with --out"),
    ] {
        let said = build(&arguments, "").unwrap_err();
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    assert!(build(&["--help"], "").unwrap().starts_with("usage: manifests/release/build "));
}

/// containerd on its own, with folders of its own; None, with a line that names the test: it cannot run here.
struct Containerd {
    socket: String,
    // Dropped last: it ends containerd.
    _process: Process,
}

impl Containerd {
    fn start(folder: &Path) -> Option<Self> {
        let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success());
        if !["containerd", "ctr", "runc"].into_iter().all(has) || tool(&["id", "-u"], folder) != "0" {
            say("skipped: the image in containerd: it wants containerd, ctr and runc, and root");
            return None;
        }
        let socket = folder.join("socket").to_str().unwrap().to_owned();
        let config = folder.join("containerd.toml");
        let (root, state) = (folder.join("root"), folder.join("state"));
        let text = format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        let process = Process::start("containerd", command, &folder.join("containerd.log"));
        let containerd = Self { socket, _process: process };
        let answers = within(Duration::from_secs(30), || containerd.ctr(&["version"]));
        answers.unwrap_or_else(|error| panic!("containerd does not answer: {error}"));
        Some(containerd)
    }

    fn ctr(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.socket]).args(arguments);
        printed(command)
    }
}

#[test]
#[ignore = "an optimised build of many minutes, then containerd as root: cargo test release -- --ignored"]
fn the_image_answers_in_containerd_as_nobody_with_a_root_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let said = build(&["--arch", architecture, "--out", out.to_str().unwrap()], "").unwrap();
    assert!(said.contains("made "), "{said}");
    let sbom = json(&out.join(format!("verdict-{VERSION}-{architecture}.cdx.json")));
    assert!(sbom["components"].as_array().unwrap().iter().any(|it| it["name"] == "wasmtime"));

    let daemon = tempfile::tempdir().unwrap();
    let Some(containerd) = Containerd::start(daemon.path()) else { return };
    let archive = folder.path().join("image.tar").to_str().unwrap().to_owned();
    tool(&["tar", "-cf", &archive, "-C", "image", "."], &out);
    let name = format!("docker.io/library/verdict:{VERSION}");
    let base = ["--base-name", "docker.io/library/verdict", "--snapshotter", "native"];
    containerd.ctr(&[&["images", "import"][..], &base, &[&archive]].concat()).unwrap();

    // What a cluster mounts: certificates and policies, which that user can read.
    let mounted = tempfile::tempdir().unwrap();
    let pki = Pki::new(&mounted.path().join("pki"));
    pki.server("verdict", &["verdict.verdict.svc"]);
    let policy = "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: magic}\nspec: {component: {builtin: magic-validator}}\n";
    fs::write(mounted.path().join("policies.yaml"), policy).unwrap();
    let path = mounted.path().to_str().unwrap();
    let mount = format!("type=bind,src={path},dst={path},options=rbind:ro");
    let cache = "type=tmpfs,src=tmpfs,dst=/cache,options=mode=777";
    tool(&["chmod", "-R", "a+rX", path], folder.path());
    let run = ["ctr", "--address", &containerd.socket, "run", "--rm", "--snapshotter", "native", "--net-host"];
    let more = ["--read-only", "--mount", &mount, "--mount", cache, &name, "verdict", "/verdict"];
    let flags = [&format!("--policies={path}/policies.yaml"), "--cache-dir=/cache"];
    let verdict = Verdict::start_by(&[&run[..], &more].concat(), &pki, mounted.path(), &flags);
    let url = format!("https://{}/validate/magic", verdict.https);
    let (status, answer) = http::post(&url, config_map("u").to_string(), &pki, Some(&verdict.client)).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["response"]["allowed"]), (200, &Value::Bool(true)), "{answer}");

    let tasks = containerd.ctr(&["tasks", "ls"]).unwrap();
    let process = tasks.lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let of = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
    assert!(of("status").contains("Uid:\t65532\t65532\t65532\t65532\n"), "{}", of("status"));
    let mounts = of("mountinfo");
    let root = mounts.lines().find(|it| it.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|it| it == "ro"), "{root}");
}
