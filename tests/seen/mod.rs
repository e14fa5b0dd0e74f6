//! What operators see of reviews, through the real binary.

mod decisions;
mod log;
mod metrics;
mod secrets;
mod traces;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{fixtures, host, http, pki::Pki, verdict::Verdict};

/// A server with these policies of the misbehaving component, each a name, a deed and more lines of its spec.
fn serve(pki: &Pki, folder: &Path, policies: &[(&str, &str, &str)], flags: &[&str]) -> Verdict {
    let yaml: String = policies.iter().map(|(name, deed, more)| host::misbehaving(name, deed, more)).collect();
    let (all, admission) = (fixtures::misbehaving(""), fixtures::misbehaving("admission"));
    let yaml = yaml.replace("$FIXTURE", all.to_str().unwrap()).replace("$ADMISSION", admission.to_str().unwrap());
    Verdict::serve(pki, folder, &yaml, flags)
}

/// The answer to a review.
fn ask(verdict: &Verdict, pki: &Pki, path: &str, review: &Value) -> (u16, String) {
    let url = format!("https://{}{path}", verdict.https);
    http::post(&url, review.to_string(), pki, Some(&verdict.client)).unwrap()
}

/// The same, with more headers.
fn ask_with(verdict: &Verdict, pki: &Pki, path: &str, review: &Value, headers: &[(&str, &str)]) -> (u16, String) {
    let url = format!("https://{}{path}", verdict.https);
    let headers = [&[("content-type", "application/json")], headers].concat();
    http::ask("POST", &url, &headers, review.to_string(), http::tls(pki, Some(&verdict.client))).unwrap()
}

/// What `/decisions` answers.
fn decisions(verdict: &Verdict, query: &str, token: Option<&str>) -> (u16, String) {
    let bearer = token.map(|it| format!("Bearer {it}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|it| ("authorization", it.as_str())).collect();
    http::ask("GET", &format!("http://{}/decisions{query}", verdict.admin), &headers, "", http::nobody()).unwrap()
}

/// A file with the token that the admin listener asks for.
fn token_file(folder: &Path) -> PathBuf {
    let file = folder.join("tokens");
    fs::write(&file, ADMIN_TOKEN).unwrap();
    file
}

const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef";
