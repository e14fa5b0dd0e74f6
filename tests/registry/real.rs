//! Against registries that others wrote, and a client that others wrote: both of crane, the Go module `tests/registry-tools`, and the CNCF's
//! distribution, `tests/registry-server`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use bytes::Bytes;
use verdict::{
    loader::registry::{Config, Content, Credentials, Descriptor, Manifest, Registry},
    spec::Digest,
};

use super::{artifact, config, image, known, packed, run};
use crate::support::{
    go_module::{GoModule, or_skip},
    pki::{Identity, Pki},
    processes::guard,
};

const TOOLS: GoModule = GoModule {
    name: "registry-tools",
    packages: &[("registry-tools", ".")],
    ldflags: "-s -w",
    patience: "about half a minute on 2 cores",
};

const SERVER: GoModule = GoModule { name: "registry-server", packages: &[("registry-server", ".")], ..TOOLS };

/// None, with a line on stderr that names the skipped test: no Go toolchain on a person's machine. In CI that is a failure.
pub fn tools() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    built(&TOOLS, &BUILT)
}

/// As [`tools`].
fn server() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    built(&SERVER, &BUILT)
}

fn built(module: &GoModule, once: &'static OnceLock<Result<Option<PathBuf>, String>>) -> Option<&'static Path> {
    let built = once.get_or_init(|| Ok(module.build()?.map(|folder| folder.join(module.name))));
    or_skip(built).map(PathBuf::as_path)
}

/// A registry, ended on drop.
pub struct Real {
    child: Child,
    /// For one that is kept for as long as the tests run.
    guard: Child,
    pub host: String,
}

impl Real {
    pub fn start(tools: &Path, flags: &[&str]) -> Self {
        Self::of(Command::new(tools).arg("serve").args(flags))
    }

    /// Behind TLS, for whoever shows `login`, NAME:PASSWORD. `folder`: for files of its own. None: as [`tools`].
    pub fn guarded(identity: &Identity, folder: &Path, login: &str, flags: &[&str]) -> Option<Self> {
        let mut command = Command::new(server()?);
        command.arg("-cert").arg(&identity.cert).arg("-key").arg(&identity.key).arg("-folder").arg(folder);
        Some(Self::of(command.args(["-login", login]).args(flags)))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let guard = guard(&child);
        let mut host = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut host).unwrap();
        Self { child, guard, host: host.trim().to_owned() }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for process in [&mut self.guard, &mut self.child] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What the other client prints.
pub fn say(tools: &Path, args: &[&str]) -> String {
    let output = Command::new(tools).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn push_and_pull(tools: &Path, host: &str, flags: &[&str], config: Config) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wasm");
    let file = file.to_str().unwrap();
    let registry = Registry::new(config).unwrap();
    let image = image(host);
    let name = image.to_string();
    let with = |command: &str, rest: &[&str]| say(tools, &[&[command], flags, rest].concat());

    // Ours, read by theirs.
    let pushed = run(registry.push_component(image.repository(), image.tag(), &artifact())).unwrap();
    assert_eq!(with("pull", &[&name, file]), std::str::from_utf8(&packed().manifest.bytes).unwrap());
    assert_eq!(fs::read(file).unwrap(), packed().layer);
    assert_eq!(run(registry.resolve(&image, None)), Ok(pushed));
    // What is there is not sent again, and has the same digest.
    assert_eq!(run(registry.push_component(image.repository(), image.tag(), &artifact())), Ok(pushed));

    // Theirs, in Kubewarden's layout, read by us.
    fs::write(file, b"\0asm theirs").unwrap();
    let types = ["application/vnd.wasm.content.layer.v1+wasm", "application/vnd.wasm.config.v1+json"];
    let digest = with("push", &[&name, file, types[0], types[1]]);
    let pulled = run(registry.component(&image)).unwrap();
    assert_eq!(&*pulled.component.bytes, b"\0asm theirs");
    assert_eq!(format!("sha256:{}", pulled.manifest.digest), digest);
    assert_eq!(pulled.manifest.annotations["io.kubewarden.policy.title"], "labels");
    let Content::Image { config, .. } = &pulled.manifest.content else { panic!("{:?}", pulled.manifest) };
    assert_eq!(run(registry.blob(image.repository(), config, 10)).as_deref(), Ok(&b"{}"[..]));
    // The tag moved; what it named before is there.
    assert_eq!(run(registry.resolve(&image, Some(pushed))), Ok(pulled.manifest.digest));
    assert_eq!(run(registry.component(&image.pinned(pushed))).unwrap().component.bytes, packed().layer);
    let missing = image.repository().tagged("other").unwrap();
    assert_eq!(run(registry.find(&missing)), Ok(None));
}

#[test]
fn what_one_pushes_the_other_pulls() {
    let Some(tools) = tools() else { return };
    let real = Real::start(tools, &[]);
    push_and_pull(tools, &real.host, &[], config(&real.host));
}

#[test]
fn what_is_kept_on_disk_is_pulled_with_a_password_and_tls() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let identity = pki.server("registry", &[]);
    let (cert, key) = (identity.cert.to_str().unwrap(), identity.key.to_str().unwrap());
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    for login in ["-basic", "-bearer"] {
        let real =
            Real::start(tools, &["-cert", cert, "-key", key, "-disk", disk.to_str().unwrap(), login, "me:secret"]);
        as_me_and_nobody(tools, &real.host, &pki, folder.path());
    }
}

fn as_me_and_nobody(tools: &Path, host: &str, pki: &Pki, folder: &Path) {
    let config = as_me(host, pki, folder);
    push_and_pull(tools, host, &my_flags(pki), config.clone());
    let nobody = Config { credentials: Credentials::None, ..config };
    let error = run(Registry::new(nobody).unwrap().component(&image(host))).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("{host} wants credentials for {host}/team/labels:1, and there are none (--registry-config)")
    );
}

fn as_me(host: &str, pki: &Pki, folder: &Path) -> Config {
    Config {
        plain_http: Vec::new(),
        authorities: Some(pki.ca_pem.clone().into_bytes()),
        credentials: known(folder, host),
        allow: Some(vec![host.parse().unwrap()]),
        ..config(host)
    }
}

fn my_flags(pki: &Pki) -> [&str; 4] {
    ["-ca", pki.ca.to_str().unwrap(), "-login", "me:secret"]
}

#[test]
fn distribution_takes_and_gives_the_same() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    for flags in [&[][..], &["-tokens"]] {
        let real = Real::guarded(&pki.server("registry", &[]), folder.path(), "me:secret", flags);
        let Some(real) = real else { return };
        as_me_and_nobody(tools, &real.host, &pki, folder.path());
        attach_and_find(tools, &real.host, &my_flags(&pki), as_me(&real.host, &pki, folder.path()));
    }
}

#[test]
fn what_refers_to_a_manifest_is_found_with_and_without_a_list_of_it() {
    let Some(tools) = tools() else { return };
    for flags in [&["-referrers"][..], &[]] {
        let real = Real::start(tools, flags);
        attach_and_find(tools, &real.host, &[], config(&real.host));
    }
}

fn attach_and_find(tools: &Path, host: &str, flags: &[&str], config: Config) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signature");
    fs::write(&file, b"{\"signed\": true}").unwrap();
    let with = |command: &str, rest: &[&str]| say(tools, &[&[command], flags, rest].concat());
    let registry = Registry::new(config).unwrap();
    let image = image(host).repository().tagged("attached").unwrap();
    let at = image.repository();
    let subject = run(registry.push_component(at, image.tag(), &artifact())).unwrap();
    assert_eq!(run(registry.referrers(at, subject, None)), Ok(Vec::new()));

    let theirs = with("attach", &[&image.to_string(), file.to_str().unwrap(), "application/theirs"]);
    let blob = Bytes::from_static(b"{\"signed\": \"by us\"}");
    run(registry.push_blob(at, blob.clone())).unwrap();
    let layer = Descriptor::of("application/ours", &blob);
    let about = packed().manifest.descriptor();
    let about = Descriptor { annotations: Default::default(), artifact_type: None, ..about };
    let ours = Manifest::image(
        Some("application/ours"),
        &layer,
        std::slice::from_ref(&layer),
        Some(&about),
        &Default::default(),
    );
    let ours = ours.unwrap();
    run(registry.push_manifest(at, None, &ours)).unwrap();
    // Twice is once.
    run(registry.push_manifest(at, None, &ours)).unwrap();

    let digests = |wanted: Option<&str>| -> Vec<String> {
        let found = run(registry.referrers(at, subject, wanted)).unwrap();
        found.iter().map(|it| format!("sha256:{}", it.digest)).collect()
    };
    let mut both = [theirs.clone(), format!("sha256:{}", ours.digest)];
    both.sort();
    let mut found = digests(None);
    found.sort();
    assert_eq!(found, both);
    assert_eq!(digests(Some("application/ours")), [format!("sha256:{}", ours.digest)]);
    assert!(digests(Some("application/none")).is_empty());
    let told = with("referrers", &[&at.at(subject).to_string()]);
    assert!(both.iter().all(|it| told.contains(it)), "{told}");

    let read = run(registry.manifest(at, ours.digest)).unwrap();
    let Content::Image { layers, .. } = &read.content else { panic!("{read:?}") };
    assert_eq!(run(registry.blob(at, &layers[0], 100)), Ok(blob));
    assert!(run(registry.manifest(at, Digest([1; 32]))).is_err());
}
