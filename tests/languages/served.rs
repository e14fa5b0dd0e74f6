//! The component that misbehaves in one language, in the real server with its log.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    Language,
    guest::{named, object, policy},
};
use crate::support::{http, pki::Pki, processes, verdict::Verdict};

/// One server for all tests of a language, for it compiles the component.
pub struct Served {
    verdict: Verdict,
    pki: Pki,
    folder: std::path::PathBuf,
}

impl Served {
    /// What was built of `component`, which is of this language.
    pub fn of(language: &'static Language, component: &Path) -> &'static Self {
        language.served.get_or_init(|| {
            let folder = processes::folder("language");
            let pki = Pki::new(&folder);
            let verdict = Verdict::serve(&pki, &folder, &policy(component, "p", ""), &[]);
            Self { verdict, pki, folder }
        })
    }

    /// The response to a review of an object that is called `deed`.
    pub fn ask(&self, deed: &str) -> Value {
        let url = format!("https://{}/validate", self.verdict.https);
        let review = named(deed, "u", object()).to_string();
        let (status, text) = http::post(&url, review, &self.pki, Some(&self.verdict.client)).unwrap();
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["response"].take()
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("verdict.log")).unwrap()
    }
}
