//! Signatures between Verdict and cosign, both ways; what cosign signed once is in `tests/signatures` and in the tests of `webhook/signature`.

mod registry;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};
use verdict::{
    signature::{
        Claim, Found,
        artifact::{self, Descriptor, MANIFEST, Wrapped},
        bundle,
        key::PublicKey,
        private::{KeyPair, PrivateKey},
        requirement::Requirement,
        simple::Simple,
    },
    spec::Digest,
};

use crate::support::processes::say;
use registry::Registry;

/// Verdict signs, and cosign verifies: both formats, one signature after another in one place, and annotations.
#[test]
fn cosign_takes_what_verdict_signed() {
    let Some(cosign) = Cosign::find() else { return };
    let registry = Registry::start();
    let key = pair(&cosign.folder.path().join("ours.pub"));
    pair(&cosign.folder.path().join("stranger.pub"));
    for format in ["bundle", "simplesigning"] {
        let subject = registry.subject("policies/labels", format);
        for said in ["a", "b"] {
            let claim = Claim { digest: subject.digest, annotations: BTreeMap::from([("by".into(), said.into())]) };
            sign(&registry, &key, &subject, &claim, format);
        }
        let image = registry.named("policies/labels", subject.digest);
        for said in ["a", "b"] {
            let out = cosign.run(&["verify", "--key", "ours.pub", "-a", &format!("by={said}"), &image], true);
            assert!(out.contains(&format!("\"by\":\"{said}\"")), "{out}");
        }
        cosign.run(&["verify", "--key", "ours.pub", "-a", "by=c", &image], false);
        cosign.run(&["verify", "--key", "stranger.pub", &image], false);
    }
}

/// cosign signs, and Verdict verifies: both formats, keys of ECDSA and RSA, beside signatures of Verdict's own.
#[test]
fn verdict_takes_what_cosign_signed() {
    let Some(cosign) = Cosign::find() else { return };
    let registry = Registry::start();
    cosign.run(&["generate-key-pair"], true);
    let theirs = PublicKey::from_pem(&cosign.read("cosign.pub")).unwrap();
    let ours = pair(&cosign.folder.path().join("ours.pub"));
    for (format, flag) in [("bundle", "--new-bundle-format=true"), ("simplesigning", "--new-bundle-format=false")] {
        let subject = registry.subject("policies/labels", format);
        let claim = Claim { digest: subject.digest, annotations: BTreeMap::new() };
        sign(&registry, &ours, &subject, &claim, format);
        let image = registry.named("policies/labels", subject.digest);
        cosign.run(&["sign", "--key", "cosign.key", flag, "-a", "env=prod", &image], true);
        let found = found(&registry, subject.digest);
        assert_eq!(found.signatures().len(), 2, "{format}: cosign left ours where it was");
        let env = |value: &str| BTreeMap::from([("env".to_owned(), value.to_owned())]);
        let check = |keys: Vec<PublicKey>, said: BTreeMap<String, String>, digest| {
            Requirement::by(keys, &said).unwrap().check(digest, &found)
        };
        assert_eq!(check(vec![theirs.clone()], env("prod"), subject.digest).map(|it| it.len()), Ok(1));
        let both = vec![theirs.clone(), ours.public().clone()];
        assert_eq!(check(both, BTreeMap::new(), subject.digest).map(|it| it.len()), Ok(2));
        assert!(check(vec![theirs.clone()], env("test"), subject.digest).is_err());
        assert!(check(vec![theirs.clone()], env("prod"), Digest([1; 32])).is_err());
        // And cosign takes ours beside its own.
        cosign.run(&["verify", "--key", "ours.pub", &image], true);
    }
}

fn pair(public: &Path) -> PrivateKey {
    let pair = KeyPair::generate().unwrap();
    fs::write(public, pair.public.pem()).unwrap();
    PrivateKey::from_pem(&pair.private).unwrap()
}

fn sign(registry: &Registry, key: &PrivateKey, subject: &Descriptor, claim: &Claim, format: &str) {
    let tag = artifact::tag(subject.digest);
    let (wrapped, reference) = if format == "bundle" {
        let wrapped = artifact::referring(subject, bundle::sign(key, claim).unwrap());
        let digest = Sha256::digest(&wrapped.manifest).iter().map(|it| format!("{it:02x}")).collect::<String>();
        (wrapped, format!("sha256:{digest}"))
    } else {
        let simple = Simple::sign(key, claim, "registry.example.org/policies/labels").unwrap();
        let before = registry.manifest(&tag).map(|manifest| {
            let config: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            let config = registry.blob(config["config"]["digest"].as_str().unwrap());
            (manifest, config)
        });
        let before = before.as_ref().map(|(manifest, config)| (manifest.as_slice(), config.as_slice()));
        (artifact::tagged(&[simple], before).unwrap(), tag)
    };
    let Wrapped { blobs, manifest } = wrapped;
    blobs.into_iter().for_each(|it| registry.put_blob(it.bytes));
    registry.put_manifest(&reference, MANIFEST, manifest);
}

/// As a client finds them: at the tag, and among what refers to the subject.
fn found(registry: &Registry, of: Digest) -> Found {
    let mut found = Found::default();
    let manifests = registry.manifest(&artifact::tag(of)).into_iter().chain(registry.referring(of));
    for manifest in manifests {
        for layer in artifact::layers(&manifest).unwrap() {
            found.add(layer.read(registry.blob(&format!("sha256:{}", layer.digest))));
        }
    }
    found
}

/// cosign 3, in a folder of its own.
struct Cosign {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Cosign {
    /// As `VERDICT_COSIGN` says; None, with a line that names the skipped test: it says nothing.
    fn find() -> Option<Self> {
        let Ok(named) = env::var("VERDICT_COSIGN") else {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            say(&format!("skipped: {test}: VERDICT_COSIGN names no cosign (a path, or build)"));
            return None;
        };
        let program = if named == "build" { build() } else { PathBuf::from(named) };
        Some(Self { program, folder: tempfile::tempdir().unwrap() })
    }

    /// What it prints; whether it succeeds is expected.
    fn run(&self, arguments: &[&str], succeeds: bool) -> String {
        let (command, rest) = arguments.split_first().unwrap();
        let mut cosign = Command::new(&self.program);
        cosign.arg(command).args(match *command {
            "sign" => &["--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", "--yes"][..],
            "verify" => &["--insecure-ignore-tlog", "--allow-http-registry"],
            _ => &[],
        });
        cosign.args(rest).current_dir(&self.folder).env("COSIGN_PASSWORD", "").env("HOME", self.folder.path());
        let output = cosign.output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        assert_eq!(output.status.success(), succeeds, "{arguments:?}: {printed}");
        printed
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

/// Of Go modules, once: some 1,500 packages.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("cosign");
    let program = folder.join("cosign");
    if !program.is_file() {
        say("building cosign from Go modules, once (about ten minutes) ...");
        fs::create_dir_all(&folder).unwrap();
        let lock = fs::File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let mut go = Command::new("go");
        go.args(["install", "-trimpath", "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"]).env("GOBIN", &folder);
        assert!(go.env("GOFLAGS", "").status().unwrap().success());
    }
    program
}
