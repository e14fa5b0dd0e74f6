//! Programs that are built once from a Go module below `tests/` and kept below the target folder.
//!
//! The cache is keyed by the module's files and the flags, so other versions are other folders. A file lock lets one process build while
//! the others wait.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use sha2::{Digest, Sha256};

use super::processes::say;

/// A module, and what is built of it.
pub struct GoModule {
    /// Its folder below `tests`, and the one below the target folder that keeps the programs.
    pub name: &'static str,
    /// Names of programs and their packages.
    pub packages: &'static [(&'static str, &'static str)],
    pub ldflags: &'static str,
    /// How long that takes, for whoever waits.
    pub patience: &'static str,
}

impl GoModule {
    /// The folder with the programs, built on first use. `Ok(None)`: there is no Go toolchain.
    pub fn build(&self) -> Result<Option<PathBuf>, String> {
        let caches = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target folder")?.join(self.name);
        let folder = caches.join(self.key()?);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", caches.display()))?;
        if self.packages.iter().all(|(name, _)| folder.join(name).is_file()) {
            return Ok(Some(folder));
        }
        let has_go = Command::new("go").arg("version").output();
        if !has_go.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        // Held until the end of this function, and given back by the system should this process end.
        let lock = File::create(caches.join("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        for (name, package) in self.packages {
            let target = folder.join(name);
            if !target.is_file() {
                self.build_one(name, package, &target)?;
            }
        }
        Ok(Some(folder))
    }

    /// Where the source of `module` lies, which this one requires.
    pub fn source_of(&self, module: &str) -> Result<PathBuf, String> {
        let go = Command::new("go")
            .args(["mod", "download", "-json", module])
            .current_dir(self.source())
            .env("GOFLAGS", "-mod=readonly")
            .env("GOWORK", "off")
            .output()
            .map_err(|error| format!("go: {error}"))?;
        let told: serde_json::Value = serde_json::from_slice(&go.stdout).map_err(|error| format!("go: {error}"))?;
        told["Dir"].as_str().map(PathBuf::from).ok_or_else(|| format!("{module}: {told}"))
    }

    fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(self.name)
    }

    /// Builds beside `target` and renames, so that what is there is always whole.
    fn build_one(&self, name: &str, package: &str, target: &Path) -> Result<(), String> {
        say(&format!("building {name} from Go modules, once ({}) ...", self.patience));
        let start = Instant::now();
        let unfinished = target.with_file_name(format!(".{name}.unfinished"));
        let mut go = Command::new("go")
            .args(["build", "-trimpath", "-ldflags", self.ldflags, "-o"])
            .arg(&unfinished)
            .arg(package)
            .current_dir(self.source())
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

    fn key(&self) -> Result<String, String> {
        let mut files = vec!["go.mod".to_owned(), "go.sum".to_owned()];
        let entries = fs::read_dir(self.source()).map_err(|error| format!("{}: {error}", self.name))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut sources: Vec<String> = names.filter(|name| name.ends_with(".go")).collect();
        sources.sort();
        files.append(&mut sources);
        let mut digest = Sha256::new();
        for file in files {
            let path = self.source().join(file);
            digest.update(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        digest.update(self.ldflags);
        let digest = digest.finalize();
        Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What was built. None, with a line on stderr that names the skipped test: no Go toolchain on a person's machine. In CI (environment
/// variable `CI`) that is a failure.
pub fn or_skip<T>(built: &Result<Option<T>, String>) -> Option<&T> {
    match built {
        Ok(Some(built)) => Some(built),
        Ok(None) if env::var_os("CI").is_none() => {
            let test = thread::current().name().unwrap_or("a test").to_owned();
            say(&format!("skipped: {test}: no Go toolchain (go) found"));
            None
        }
        Ok(None) => panic!("no Go toolchain (go) found, and in CI nothing is skipped"),
        Err(error) => panic!("{error}"),
    }
}
