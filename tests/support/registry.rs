//! `verdict serve` with registration at run time, and what is asked of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{host::config_map, http, pki::Pki, verdict::Verdict};

/// What its callers show.
pub const TOKEN: &str = "the-token-of-the-operator";

/// A server that takes registrations.
pub struct Registry {
    pub folder: tempfile::TempDir,
    pub pki: Pki,
    pub verdict: Verdict,
}

/// `required-labels` for one label.
pub fn labels(name: &str, label: &str) -> String {
    format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: required-labels}}, settings: {{labels: [{label}]}}}}\n"
    )
}

/// The fixture of bytes that are sent.
pub fn sent(name: &str, digest: &str) -> String {
    format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec: {{component: {{sha256: \"{digest}\"}}, settings: {{do: speak}}}}\n"
    )
}

pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

pub fn start(folder: &Path, pki: &Pki, flags: &[&str]) -> Verdict {
    let token = folder.join("token");
    fs::write(&token, TOKEN).unwrap();
    Verdict::start(pki, folder, &[&["--admin-token-file", token.to_str().unwrap()], flags].concat())
}

impl Registry {
    pub fn new(flags: &[&str]) -> Self {
        Self::of(tempfile::tempdir().unwrap(), flags)
    }

    pub fn of(folder: tempfile::TempDir, flags: &[&str]) -> Self {
        let pki = Pki::new(&folder.path().join("pki"));
        let verdict = start(folder.path(), &pki, flags);
        Self { folder, pki, verdict }
    }

    /// With a state folder.
    pub fn kept() -> (Self, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let registry = Self::of(folder, &["--state-dir", state.to_str().unwrap()]);
        (registry, state)
    }

    /// Another process in the same folders.
    pub fn restarted(self, flags: &[&str]) -> Self {
        let Self { folder, pki, verdict } = self;
        drop(verdict);
        // It names the old addresses.
        fs::remove_file(folder.path().join("verdict.log")).unwrap();
        let verdict = start(folder.path(), &pki, flags);
        Self { folder, pki, verdict }
    }

    pub fn request(&self, method: &str, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
        let url = format!("http://{}{path}", self.verdict.admin);
        let token = format!("Bearer {TOKEN}");
        let headers = [("authorization", &*token), ("content-type", content_type)];
        http::ask(method, &url, &headers, body.into(), http::nobody()).unwrap()
    }

    pub fn put(&self, path: &str, yaml: &str) -> (u16, String) {
        self.request("PUT", &format!("/policies/{path}"), "application/yaml", yaml)
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", &format!("/policies/{path}"), "", "")
    }

    pub fn delete(&self, path: &str) -> (u16, String) {
        self.request("DELETE", &format!("/policies/{path}"), "", "")
    }

    /// An object with components.
    pub fn put_parts(&self, path: &str, parts: &[(&str, &[u8])]) -> (u16, String) {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            body.extend_from_slice(
                format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--\r\n");
        self.request("PUT", &format!("/policies/{path}"), "multipart/form-data; boundary=b", body)
    }

    /// What a user is told by `/validate`, or the status.
    pub fn says(&self, path: &str) -> String {
        let url = format!("https://{}{path}", self.verdict.https);
        let (status, text) =
            http::post(&url, config_map("u").to_string(), &self.pki, Some(&self.verdict.client)).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match status {
            200 => {
                let message = answer["response"]["status"]["message"].as_str().unwrap_or("allowed");
                message.lines().filter(|it| !it.starts_with("* ")).collect::<Vec<_>>().join("\n")
            }
            status => status.to_string(),
        }
    }

    pub fn page(&self) -> Value {
        let (_, text) = http::get_plain(&format!("http://{}/policies", self.verdict.admin)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn row(&self, name: &str) -> Value {
        let page = self.page();
        page["policies"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    }

    /// All paths and messages of a refusal.
    pub fn wrong((status, text): (u16, String)) -> (u16, String) {
        let page: Value = serde_json::from_str(&text).expect(&text);
        let line =
            |it: &Value| format!("{}: {}", it["path"].as_str().unwrap_or_default(), it["message"].as_str().unwrap());
        (status, page["errors"].as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
