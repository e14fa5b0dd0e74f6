//! Who must have signed what is loaded: pushed, signed and served as an operator does it, with both formats of cosign.

use std::{env, fs, path::Path, process::Command};

use crate::{
    images::{Place, labels, row},
    support::{
        eventually,
        processes::say,
        registry::Registry,
        verdict::{Verdict, verdict},
    },
};

/// Two pairs of keys beside a registry: `ours` and `stranger`.
struct Keys(Place);

impl Keys {
    /// None: there is no Go to build a registry with, which was said.
    fn new(flags: &[&str]) -> Option<Self> {
        let this = Self(Place::with(flags)?);
        for name in ["ours", "stranger"] {
            let (code, _, error) = verdict(&["keygen", &this.path(name)]);
            assert_eq!(code, 0, "{error}");
        }
        Some(this)
    }

    fn path(&self, name: &str) -> String {
        self.0.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn sign(&self, image: &str, key: &str, flags: &[&str]) -> String {
        let key = self.path(&format!("{key}.key"));
        let (code, out, error) = verdict(&[&["sign", image, "--key", &key, &self.0.plain()], flags].concat());
        assert_eq!(code, 0, "{error}");
        out.trim().to_owned()
    }

    fn verify(&self, image: &str, key: &str, flags: &[&str]) -> (i32, String) {
        let key = self.path(&format!("{key}.pub"));
        let (code, out, error) = verdict(&[&["verify", image, "--key", &key, &self.0.plain()], flags].concat());
        (code, out + &error)
    }

    /// The public key of `name`, on one line of YAML.
    fn key(&self, name: &str) -> String {
        format!("{:?}", fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap())
    }

    /// A policy of an image that `name` must have signed.
    fn policy(&self, image: &str, name: &str) -> String {
        let verify = format!("verify: {{allOf: [{{kind: pubKey, owner: {name}, key: {}}}]}}", self.key(name));
        labels("live", &format!("image: '{image}', {verify}"), "one")
    }

    /// A file for `--verification-config`.
    fn config(&self, name: &str) -> String {
        let path = self.path(&format!("{name}.yml"));
        let key = self.key(name);
        let text = format!(
            "apiVersion: v1\nanyOf:\n  minimumMatches: 1\n  signatures:\n  - {{kind: pubKey, owner: {name}, key: {key}}}\n"
        );
        fs::write(&path, text).unwrap();
        format!("--verification-config={path}")
    }

    fn serve(&self, cache: &str, policies: &str, flags: &[&str]) -> Verdict {
        self.0.serve(cache, policies, flags)
    }
}

/// Whether it serves, or why not.
fn state(verdict: &Verdict) -> String {
    let row = row(verdict, "live");
    match row["state"].as_str() {
        Some("active") => "active".to_owned(),
        _ => row["reason"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Whoever waits for the server to look again by itself waits longer each time.
fn again(verdict: &Verdict) {
    let id = verdict.process.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &id]).status().unwrap().success());
}

const FORMATS: [(&str, &[&str]); 3] = [
    ("bundle", &["--referrers"]),
    // Of a registry that lists no referrers.
    ("bundle", &[]),
    ("simplesigning", &[]),
];

#[test]
fn what_must_be_signed_serves_when_it_is_and_from_then_on_without_the_registry() {
    for (format, flags) in FORMATS {
        let Some(mut keys) = Keys::new(flags) else { return };
        let image = keys.0.image("1");
        let pushed = keys.0.push("builtin:required-labels", "1");
        let policy = keys.policy(&image, "ours");
        let verdict = keys.serve("cache", &policy, &[]);
        assert_eq!(keys.0.says(&verdict, "/validate/live"), "live: the policy is not loaded");
        let reason = state(&verdict);
        assert!(
            reason.contains("is not signed as verify requires: allOf[0]: there is no signature at all"),
            "{reason}"
        );
        // Nothing of it was kept.
        assert!(!fs::exists(Path::new(&keys.path("cache")).join("components")).unwrap(), "{format}");
        // The wrong one first.
        let format = format!("--format={format}");
        assert_eq!(keys.sign(&image, "stranger", &[&format]), pushed);
        again(&verdict);
        eventually("it is refused", || {
            let reason = state(&verdict);
            if reason.contains("none of the signatures is by the key") { Ok(()) } else { Err(reason) }
        });
        keys.sign(&pushed, "ours", &[&format, "-a", "env=prod"]);
        again(&verdict);
        eventually("it serves", || match state(&verdict) {
            state if state == "active" => Ok(()),
            reason => Err(reason),
        });
        assert_eq!(keys.0.says(&verdict, "/validate/live"), "live: the label one is required");
        assert_eq!(row(&verdict, "live")["imageDigest"].as_str(), pushed.rsplit('@').next());
        drop(verdict);
        keys.0.registry = None;
        let verdict = keys.serve("cache", &policy, &[]);
        assert_eq!(
            (state(&verdict).as_str(), keys.0.says(&verdict, "/validate/live").as_str()),
            ("active", "live: the label one is required")
        );
        // Verified at each start, not only when it is fetched, and both signatures were.
        let verdict = keys.serve("cache", &keys.policy(&image, "stranger"), &[&keys.config("ours")]);
        assert_eq!(state(&verdict), "active");
    }
}

#[test]
fn what_one_signed_is_nothing_that_another_signed() {
    for (format, flags) in FORMATS {
        let Some(keys) = Keys::new(flags) else { return };
        let format = format!("--format={format}");
        let (one, other) = (keys.0.push("builtin:required-labels", "1"), keys.0.push("builtin:magic-validator", "2"));
        let signed = keys.sign(&one, "ours", &[&format, "-a", "env=prod"]);
        assert_eq!(signed, one);
        let (code, said) = keys.verify(&keys.0.image("1"), "ours", &["-a", "env=prod"]);
        assert!(code == 0 && said.starts_with(&one) && said.contains("signed by the key"), "{said}");
        for (image, key, flags, expected) in [
            (&one, "stranger", &[][..], "none of the signatures is by the key"),
            (&one, "ours", &["-a", "env=test"], "with the annotation \"env\" as \"prod\", which must be \"test\""),
            (&other, "ours", &[], "there is no signature at all"),
        ] {
            let (code, said) = keys.verify(image, key, flags);
            assert!(code == 1 && said.contains(expected), "{code} {said}");
        }
        // `inspect` tells what is there, and why it is refused.
        let (code, out, error) =
            verdict(&["inspect", &one, &keys.0.plain(), &format!("--cache-dir={}", keys.path("c"))]);
        assert!(code == 0 && out.contains("signatures"), "{out}{error}");
        assert!(out.contains(format.strip_prefix("--format=").unwrap()), "{out}");
        for (image, config, expected) in [
            (
                &one,
                "stranger",
                "is not signed as --verification-config requires: anyOf wants 1 and has 0: anyOf.signatures[0]: none",
            ),
            (&other, "ours", "anyOf.signatures[0]: there is no signature at all"),
        ] {
            let flags = [&keys.config(config), &keys.0.plain(), &format!("--cache-dir={}", keys.path("d"))];
            let (code, out, error) = verdict(&["inspect", image, flags[0], flags[1], flags[2]]);
            assert!(code == 3 && error.contains(expected), "{code} {out}{error}");
            let (code, _, error) = verdict(&["pull", image, "-o", &keys.path("x.wasm"), flags[0], flags[1]]);
            assert!(code != 0 && error.contains(expected.split("requires: ").last().unwrap()), "{error}");
        }
        assert!(!fs::exists(keys.path("x.wasm")).unwrap());
        let (code, _, error) =
            verdict(&["pull", &one, "-o", &keys.path("x.wasm"), &keys.config("ours"), &keys.0.plain()]);
        assert_eq!(code, 0, "{error}");
    }
}

#[test]
fn whoever_must_have_signed_everything_must_have_signed_what_is_no_image_too() {
    let Some(keys) = Keys::new(&[]) else { return };
    let image = keys.0.push("builtin:required-labels", "1");
    let file = keys.path("own.wasm");
    let (code, _, error) = verdict(&["pull", &image, "-o", &file, &keys.0.plain()]);
    assert_eq!(code, 0, "{error}");
    let policies = labels("built", "builtin: required-labels", "one")
        + &labels("own", &format!("path: {file}"), "one")
        + &labels("live", &format!("image: '{image}'"), "one");
    let config = keys.config("ours");
    let verdict = keys.serve("cache", &policies, &[&config]);
    assert_eq!(row(&verdict, "built")["state"], "active");
    assert_eq!(keys.0.says(&verdict, "/validate/own"), "own: the policy is not loaded");
    let reason = row(&verdict, "own")["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("is no image of a registry, and only those have signatures"), "{reason}");
    assert!(state(&verdict).contains("--verification-config requires"), "{}", state(&verdict));
    // Both must hold: what the object wants, and what the server wants.
    keys.sign(&image, "ours", &[]);
    let of_stranger = keys.policy(&image, "stranger");
    let verdict = keys.serve("cache", &of_stranger, &[&config]);
    assert!(state(&verdict).contains("verify requires: allOf[0]: none of the signatures"), "{}", state(&verdict));
    keys.sign(&image, "stranger", &["--format=simplesigning"]);
    again(&verdict);
    eventually("both signed", || match state(&verdict) {
        state if state == "active" => Ok(()),
        reason => Err(reason),
    });
}

#[test]
fn signatures_move_to_where_there_is_no_registry() {
    for (format, flags) in FORMATS {
        let Some(mut keys) = Keys::new(flags) else { return };
        let image = keys.0.push("builtin:required-labels", "1");
        keys.sign(&image, "ours", &[&format!("--format={format}")]);
        let (saved, cache) = (keys.path("saved"), format!("--cache-dir={}", keys.path("moved")));
        let (code, out, error) = verdict(&["save", &keys.0.image("1"), "-o", &saved, &keys.0.plain()]);
        assert!(code == 0 && out.contains("with 1 of its signatures"), "{out}{error}");
        keys.0.registry = None;
        let (code, out, error) = verdict(&["load", &saved, &cache]);
        assert!(code == 0 && out.contains("sha256-"), "{out}{error}");
        let policy = keys.policy(&keys.0.image("1"), "ours");
        let verdict = keys.serve("moved", &policy, &[&keys.config("ours")]);
        assert_eq!(
            (state(&verdict).as_str(), keys.0.says(&verdict, "/validate/live").as_str()),
            ("active", "live: the label one is required")
        );
        let verdict = keys.serve("moved", &policy, &[&keys.config("stranger")]);
        assert_ne!(state(&verdict), "active");
    }
}

/// As cosign itself signs, in both formats. Opt-in: `VERDICT_COSIGN` names it.
#[test]
fn what_cosign_signed_serves() {
    let Ok(cosign) = env::var("VERDICT_COSIGN") else {
        say("skipped: signed::what_cosign_signed_serves: VERDICT_COSIGN names no cosign (a path)");
        return;
    };
    for (format, flags) in [("--new-bundle-format=true", &["--referrers"][..]), ("--new-bundle-format=false", &[])] {
        let Some(keys) = Keys::new(flags) else { return };
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&cosign);
            command.args(arguments).current_dir(keys.0.folder.path()).env("COSIGN_PASSWORD", "");
            let output = command.env("HOME", keys.0.folder.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let image = keys.0.push("builtin:required-labels", "1");
        run(&["generate-key-pair"]);
        let wire = ["--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", "--yes"];
        run(&[&["sign", "--key", "cosign.key", format, &image], &wire[..]].concat());
        let verdict = keys.serve("cache", &keys.policy(&keys.0.image("1"), "cosign"), &[]);
        assert_eq!(state(&verdict), "active", "{format}");
        let verdict = keys.serve("other", &keys.policy(&keys.0.image("1"), "ours"), &[]);
        assert!(state(&verdict).contains("none of the signatures is by the key"), "{}", state(&verdict));
    }
}

#[test]
fn requests_name_images_where_the_operator_said_from_where() {
    let Some(keys) = Keys::new(&[]) else { return };
    let image = keys.0.push("builtin:required-labels", "1");
    let object = labels("live", &format!("image: '{image}'"), "one").trim_start_matches("---\n").to_owned();
    let plain = keys.0.plain();
    let (code, said) = Registry::wrong(Registry::new(&[&plain]).put("validator/live", &object));
    assert!(code == 400 || code == 422, "{code} {said}");
    assert!(
        said.contains("spec.component.image: is not taken from requests by a server without --registry-allow"),
        "{said}"
    );
    let allow = format!("--registry-allow={}/team", keys.0.host);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let cache = format!("--cache-dir={}", folder.path().join("cache").display());
    let flags = [&*plain, &*allow, "--state-dir", state.to_str().unwrap(), &*cache];
    let registry = Registry::new(&flags);
    assert_eq!(registry.put("validator/live", &object).0, 201);
    assert_eq!(registry.says("/validate/live"), "live: the label one is required");
    let elsewhere = object.replace("/team/", "/others/");
    let (_, said) = Registry::wrong(registry.put("validator/live", &elsewhere));
    assert!(said.contains("is not allowed by --registry-allow"), "{said}");
    // Unsigned: whoever registers can ask for more than the server does.
    let (_, said) = Registry::wrong(registry.put("validator/live", &keys.policy(&image, "ours").replace("---\n", "")));
    assert!(said.contains("there is no signature at all"), "{said}");
    assert_eq!(registry.says("/validate/live"), "live: the label one is required");
    let registry = registry.restarted(&flags);
    assert_eq!(registry.says("/validate/live"), "live: the label one is required");
    // What requests may not name any more fails, and says so.
    let registry = registry.restarted(&[&plain, "--state-dir", state.to_str().unwrap(), &cache]);
    let reason = registry.row("live")["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("without --registry-allow"), "{reason}");
}
