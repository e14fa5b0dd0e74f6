//! A registry behind TLS that asks for a password, or for a token that is had for one: distribution's.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use verdict::loader::builtin;

use super::{labels, row, says};
use crate::{
    registry::real::Real,
    support::{
        eventually, http,
        pki::Pki,
        verdict::{Verdict, verdict},
    },
};

const USER: &str = "the-robot";
const PASSWORD: &str = "what-only-the-robot-knows";
const WRONG: &str = "what-nobody-knows";

struct Guarded {
    real: Real,
    folder: tempfile::TempDir,
    pki: Pki,
    /// All that was printed, logged or shown.
    seen: RefCell<String>,
}

impl Guarded {
    fn new(flags: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(&folder.path().join("pki"));
        let login = format!("{USER}:{PASSWORD}");
        let real = Real::guarded(&pki.server("registry", &[]), folder.path(), &login, flags)?;
        let place = Self { real, folder, pki, seen: RefCell::default() };
        place.knows("right", PASSWORD);
        place.knows("wrong", WRONG);
        fs::write(place.config("none"), "{}").unwrap();
        Some(place)
    }

    fn config(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.json"))
    }

    /// As `docker login` writes it.
    fn knows(&self, name: &str, password: &str) {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        let text = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.real.host);
        fs::write(self.config(name), text).unwrap();
    }

    fn image(&self) -> String {
        format!("{}/team/labels:1", self.real.host)
    }

    /// Whom to trust, and whose name and password.
    fn flags(&self, ca: Option<&Path>, login: &str) -> Vec<String> {
        let ca = ca.map(|it| format!("--registry-ca={}", it.display()));
        ca.into_iter().chain([format!("--registry-config={}", self.config(login).display())]).collect()
    }

    /// What a command ends with, with HOST for the host.
    fn does(&self, words: &[&str], flags: &[String]) -> (i32, String) {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (code, out, error) = verdict(&[words, &flags].concat());
        self.seen.borrow_mut().push_str(&format!("{out}{error}"));
        (code, format!("{out}{error}").trim().replace(&self.real.host, "HOST"))
    }

    fn serve(&self, cache: &str, login: &str) -> Verdict {
        let folder = self.folder.path().join(cache);
        fs::create_dir(&folder).unwrap();
        let policies = folder.join("policies.yaml");
        fs::write(&policies, labels("live", &format!("image: '{}'", self.image()), "one")).unwrap();
        let own = [format!("--cache-dir={}", folder.join("cache").display()), "--log-level=debug".to_owned()];
        let flags = [self.flags(Some(&self.pki.ca), login), own.into()].concat();
        let mut all = vec!["--policies", policies.to_str().unwrap()];
        all.extend(flags.iter().map(String::as_str));
        Verdict::start(&self.pki, &folder, &all)
    }

    fn look(&self, verdict: &Verdict) {
        let mut seen = self.seen.borrow_mut();
        seen.push_str(&verdict.process.log());
        for path in ["policies", "metrics"] {
            seen.push_str(&http::get_plain(&format!("http://{}/{path}", verdict.admin)).unwrap().1);
        }
    }
}

#[test]
fn what_needs_a_password_is_pushed_pulled_and_served_and_nobody_sees_it() {
    // By itself, and for tokens.
    for flags in [&[][..], &["-tokens"]] {
        let Some(place) = Guarded::new(flags) else { return };
        let image = place.image();
        let mine = place.flags(Some(&place.pki.ca), "right");
        let (code, pushed) = place.does(&["push", "builtin:required-labels", &image], &mine);
        assert_eq!(code, 0, "{pushed}");
        assert_eq!(place.does(&["push", "builtin:required-labels", &image], &mine), (0, pushed.clone()));
        let file = place.folder.path().join("pulled.wasm");
        let pull = ["pull", &image, "--output", file.to_str().unwrap()];
        assert_eq!(place.does(&pull, &mine), (0, pushed.clone()));
        assert_eq!(fs::read(&file).unwrap(), builtin::find("required-labels").unwrap().component);

        let verdict = place.serve("served", "right");
        let found = row(&verdict, "live");
        assert_eq!((&found["state"], found["imageDigest"].as_str()), (&"active".into(), pushed.rsplit('@').next()));
        assert_eq!(says(&place.pki, &verdict, "/validate/live"), "live: the label one is required");
        place.look(&verdict);

        // A password that is replaced is used, without a restart.
        let verdict = place.serve("refused", "wrong");
        let reason = row(&verdict, "live")["reason"].to_string().replace(&place.real.host, "HOST");
        assert!(reason.contains("HOST does not accept the credentials for HOST/team/labels:1"), "{reason}");
        place.look(&verdict);
        place.knows("wrong", PASSWORD);
        eventually("it is fetched", || {
            if row(&verdict, "live")["state"] == "active" { Ok(()) } else { Err(row(&verdict, "live")) }
        });
        place.look(&verdict);
        nobody_sees(&place.seen.borrow());
    }
}

#[test]
fn who_is_not_trusted_or_has_no_password_is_told_so() {
    for flags in [&[][..], &["-tokens"]] {
        let Some(place) = Guarded::new(flags) else { return };
        let (image, ca) = (place.image(), Some(&*place.pki.ca));
        // Of the same name, as an authority that was made anew has.
        let other = Pki::new(&place.folder.path().join("other"));
        let file = format!("--output={}", place.folder.path().join("none").display());
        let pull = ["pull", &image, &file];
        let plain = [place.flags(ca, "right"), vec![format!("--registry-plain-http={}", place.real.host)]].concat();
        for (flags, words) in [
            (place.flags(ca, "wrong"), "HOST does not accept the credentials for "),
            (place.flags(ca, "none"), ", and there are none (--registry-config)"),
            (
                place.flags(None, "right"),
                "the certificate of HOST is not trusted: its authority is not known here (--registry-ca)",
            ),
            (
                place.flags(Some(&other.ca), "right"),
                "the certificate of HOST is not trusted: an authority of the same name as one that is known here signed it, with another key (--registry-ca)",
            ),
            (plain, "HOST answers 400 for "),
        ] {
            for command in [&["push", "builtin:required-labels", &image][..], &pull] {
                let (code, said) = place.does(command, &flags);
                assert!(code != 0 && said.contains(words), "{command:?} {code}: {said}");
            }
        }
        nobody_sees(&place.seen.borrow());
    }
}

fn nobody_sees(seen: &str) {
    let encoded = [PASSWORD, WRONG].map(|it| STANDARD.encode(format!("{USER}:{it}")));
    // The last is how each token begins.
    for secret in [USER, PASSWORD, WRONG, &encoded[0], &encoded[1], "eyJhbGci"] {
        assert!(!seen.contains(secret), "{secret}\n{seen}");
    }
}
