//! etcd, kube-apiserver and kubectl, built once from the pinned Go modules in `tests/control-plane` and kept below the target folder.
//!
//! The cache is keyed by the pins and flags, so other versions are other folders. A file lock lets one process build while the others wait.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::Instant,
};

use sha2::{Digest, Sha256};

use super::processes::say;

/// Where the three binaries are.
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    pub fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }
}

/// The binaries, built on first use. None, with a line on stderr that names the skipped test: no Go toolchain on a person's machine.
/// In CI (environment variable `CI`) that is a failure.
pub fn binaries() -> Option<&'static Binaries> {
    static BINARIES: OnceLock<Result<Option<Binaries>, String>> = OnceLock::new();
    match BINARIES.get_or_init(find_or_build) {
        Ok(Some(binaries)) => Some(binaries),
        Ok(None) if env::var_os("CI").is_none() => {
            let test = thread::current().name().unwrap_or("kube::").to_owned();
            say(&format!("skipped: {test}: no Go toolchain (go) found"));
            None
        }
        Ok(None) => panic!("no Go toolchain (go) found, and in CI nothing is skipped"),
        Err(error) => panic!("{error}"),
    }
}

fn find_or_build() -> Result<Option<Binaries>, String> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control-plane");
    let caches = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target folder")?.join("control-plane");
    let binaries = Binaries { folder: caches.join(key(&module)?) };
    fs::create_dir_all(&binaries.folder).map_err(|error| format!("{}: {error}", caches.display()))?;
    let complete = || PACKAGES.iter().all(|(name, _)| binaries.folder.join(name).is_file());
    if complete() {
        return Ok(Some(binaries));
    }
    let has_go = Command::new("go").arg("version").output();
    if !has_go.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    // Held until the end of this function, and given back by the system should this process end.
    let lock = File::create(caches.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    for (name, package) in PACKAGES {
        let target = binaries.folder.join(name);
        if !target.is_file() {
            build(&module, name, package, &target)?;
        }
    }
    Ok(Some(binaries))
}

/// Builds beside `target` and renames, so that what is there is always whole.
fn build(module: &Path, name: &str, package: &str, target: &Path) -> Result<(), String> {
    say(&format!("building {name} from Go modules, once (kube-apiserver takes about 5 minutes on 2 cores) ..."));
    let start = Instant::now();
    let unfinished = target.with_file_name(format!(".{name}.unfinished"));
    let mut go = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", LDFLAGS, "-o"])
        .arg(&unfinished)
        .arg(package)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("go: {error}"))?;
    let mut last = Vec::new();
    for line in BufReader::new(go.stderr.take().ok_or("no stderr")?).lines() {
        last.push(line.map_err(|error| error.to_string())?);
        if last.len() > 40 {
            last.remove(0);
        }
    }
    let status = go.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("go build {package}: {status}\n{}", last.join("\n")));
    }
    fs::rename(&unfinished, target).map_err(|error| format!("{}: {error}", target.display()))?;
    say(&format!("built {name} in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn key(module: &Path) -> Result<String, String> {
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        digest.update(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    digest.update(LDFLAGS);
    let digest = digest.finalize();
    Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

const PACKAGES: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
];

/// Without the version, kubectl and kube-apiserver call themselves v0.0.0-master.
const LDFLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";
