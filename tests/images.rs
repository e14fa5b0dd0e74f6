//! Policies whose components are in a registry: pushed, fetched, kept, and served without the registry, too.

mod faults;
mod guarded;
mod layouts;

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    registry::real::{Real, tools},
    support::{
        eventually,
        host::config_map,
        http,
        pki::Pki,
        verdict::{Verdict, verdict},
    },
};

/// A registry with an image, and room for servers.
pub struct Place {
    pub registry: Option<Real>,
    pub host: String,
    pub folder: tempfile::TempDir,
    pki: Pki,
}

/// `required-labels`, of an image, for one label.
pub fn labels(name: &str, component: &str, label: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{{component}}}, settings: {{labels: [{label}]}}}}\n"
    )
}

impl Place {
    /// None: there is no Go to build a registry with, which was said.
    fn new() -> Option<Self> {
        Self::with(&[])
    }

    /// With a registry that gets these flags.
    pub fn with(flags: &[&str]) -> Option<Self> {
        let registry = Real::start(tools()?, flags);
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(&folder.path().join("pki"));
        Some(Self { host: registry.host.clone(), registry: Some(registry), folder, pki })
    }

    pub fn image(&self, tag: &str) -> String {
        format!("{}/team/labels:{tag}", self.host)
    }

    pub fn plain(&self) -> String {
        format!("--registry-plain-http={}", self.host)
    }

    /// What is printed: the name with its digest.
    pub fn push(&self, component: &str, tag: &str) -> String {
        let (code, out, error) = verdict(&["push", component, &self.image(tag), &self.plain()]);
        assert_eq!(code, 0, "{error}");
        out.trim().to_owned()
    }

    pub fn policies(&self) -> PathBuf {
        self.folder.path().join("policies.yaml")
    }

    pub fn serve(&self, cache: &str, policies: &str, flags: &[&str]) -> Verdict {
        fs::write(self.policies(), policies).unwrap();
        let cache = format!("--cache-dir={}", self.folder.path().join(cache).display());
        let (file, plain) = (self.policies(), self.plain());
        let own = ["--policies", file.to_str().unwrap(), &cache, &plain];
        // Each has a log of its own.
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Verdict::start(&self.pki, &folder, &[&own, flags].concat())
    }

    pub fn says(&self, verdict: &Verdict, path: &str) -> String {
        says(&self.pki, verdict, path)
    }
}

/// What a user is told first.
fn says(pki: &Pki, verdict: &Verdict, path: &str) -> String {
    let url = format!("https://{}{path}", verdict.https);
    let (status, text) = http::post(&url, config_map("u").to_string(), pki, Some(&verdict.client)).unwrap();
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let message = answer["response"]["status"]["message"].as_str().unwrap_or_default();
    message.lines().next().unwrap_or_default().to_owned()
}

/// A policy as `/policies` shows it.
pub fn row(verdict: &Verdict, name: &str) -> Value {
    let (_, text) = http::get_plain(&format!("http://{}/policies", verdict.admin)).unwrap();
    let page: Value = serde_json::from_str(&text).unwrap();
    page["policies"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
}

#[test]
fn what_was_fetched_once_serves_without_the_registry() {
    let Some(mut place) = Place::new() else { return };
    let pushed = place.push("builtin:required-labels", "1");
    assert_eq!(place.push("builtin:required-labels", "again").rsplit('@').next(), pushed.rsplit('@').next());
    let policies = labels("live", &format!("image: '{}'", place.image("1")), "one");
    for round in ["fetched", "kept"] {
        let verdict = place.serve("cache", &policies, &[]);
        assert_eq!(place.says(&verdict, "/validate/live"), "live: the label one is required", "{round}");
        let row = row(&verdict, "live");
        assert_eq!((&row["state"], &row["component"]), (&"active".into(), &place.image("1").into()), "{row}");
        assert_eq!(Some(row["imageDigest"].as_str().unwrap()), pushed.rsplit('@').next());
        // From now on it is not there any more.
        place.registry = None;
    }
    // Saved here, loaded there.
    let Some(other) = Place::new() else { return };
    let image = other.push("builtin:required-labels", "1");
    let (saved, cache) = (other.folder.path().join("saved"), other.folder.path().join("moved"));
    let (saved, cache) = (saved.to_str().unwrap(), format!("--cache-dir={}", cache.display()));
    let (code, _, error) = verdict(&["save", &other.image("1"), "--output", saved, &other.plain()]);
    assert_eq!(code, 0, "{error}");
    let (code, out, error) = verdict(&["load", saved, &cache]);
    assert!(code == 0 && out.contains(&other.image("1")), "{out}{error}");
    let served = Place { registry: None, ..other };
    let policies = labels("live", &format!("image: '{}'", served.image("1")), "one");
    let row = row(&served.serve("moved", &policies, &[]), "live");
    assert_eq!((&row["state"], row["imageDigest"].as_str()), (&"active".into(), image.rsplit('@').next()), "{row}");
}

#[test]
fn what_cannot_be_fetched_harms_nobody_else_and_is_fetched_when_it_can_be() {
    let Some(place) = Place::new() else { return };
    let missing = format!("image: '{}'", place.image("2"));
    let policies = labels("here", "builtin: required-labels", "one") + &labels("late", &missing, "two");
    let verdict = place.serve("cache", &policies, &[]);
    assert_eq!(place.says(&verdict, "/validate/here"), "here: the label one is required");
    assert_eq!(place.says(&verdict, "/validate/late"), "late: the policy is not loaded");
    let row_of_late = row(&verdict, "late");
    let reason = row_of_late["reason"].as_str().unwrap_or_default();
    assert_eq!(row_of_late["state"], "failed");
    assert!(reason.contains(&format!("{} has no", place.host)), "{row_of_late}");
    // By itself, without a change of any file.
    place.push("builtin:required-labels", "2");
    eventually("it is fetched", || {
        if row(&verdict, "late")["state"] == "active" { Ok(()) } else { Err(row(&verdict, "late")) }
    });
    assert_eq!(place.says(&verdict, "/validate/late"), "late: the label two is required");
    // What is not allowed is not even asked for.
    let verdict = place.serve("other", &policies, &["--registry-allow=registry.example.org/team"]);
    let reason = row(&verdict, "late")["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("is not allowed by --registry-allow"), "{reason}");
}

#[test]
fn a_tag_that_moves_is_followed_where_that_is_asked_for() {
    let Some(place) = Place::new() else { return };
    let before = place.push("builtin:required-labels", "1");
    let policies = labels("live", &format!("image: '{}'", place.image("1")), "one");
    let verdict = place.serve("cache", &policies, &["--registry-refresh=10s"]);
    let digest = || row(&verdict, "live")["imageDigest"].as_str().map(str::to_owned);
    assert_eq!(digest().as_deref(), before.rsplit('@').next());
    // Another one: it takes no labels, so it does not load, and the last good one serves.
    let other = place.push("builtin:magic-validator", "1");
    eventually("it is seen", || {
        if row(&verdict, "live")["state"] == "stale" { Ok(()) } else { Err(row(&verdict, "live")) }
    });
    assert_eq!(place.says(&verdict, "/validate/live"), "live: the label one is required");
    assert_ne!(before, other);
    place.push("builtin:required-labels", "1");
    eventually("it is back", || {
        if row(&verdict, "live")["state"] == "active" { Ok(()) } else { Err(row(&verdict, "live")) }
    });
    assert_eq!(digest().as_deref(), before.rsplit('@').next());
}
