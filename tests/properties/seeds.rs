//! What there is already: reviews, objects, expressions and modules of the tests and of the examples.

use std::{fs, path::Path};

use proptest::{prelude::RngExt as _, test_runner::TestRng};

use super::holds;
use crate::support::{corpus, fixtures};

/// One of the fuzz targets, with what to begin with.
pub struct Target {
    pub name: &'static str,
    pub holds: fn(&[u8]),
    pub seeds: Vec<Vec<u8>>,
}

/// All of them.
pub fn targets() -> Vec<Target> {
    let lines = |folder: &str| {
        let texts: Vec<(String, String)> = corpus::files(folder);
        texts.iter().flat_map(|(_, text)| text.lines().map(|it| it.as_bytes().to_vec())).collect::<Vec<_>>()
    };
    let reviews = found("policies", |path| path.contains("/reviews/") && path.ends_with(".json"));
    let objects = found("policies", |path| path.ends_with("/policy.yaml") || path.ends_with("/tests.yaml"));
    let changes = reviews.iter().filter_map(|it| {
        let review: serde_json::Value = serde_json::from_slice(it).ok()?;
        let object = review["request"]["object"].as_object()?;
        Some(
            format!("{}\n{}", serde_json::to_string(object).ok()?, r#"{"metadata":{"labels":{"a":"b"}}}"#).into_bytes(),
        )
    });
    let modules = ["kubewarden_wapc", "k8s_wasm"].map(|it| fs::read(fixtures::module(it)).expect("a module"));
    let with = |name: &'static str, holds: fn(&[u8]), seeds: Vec<Vec<u8>>| {
        // What a fuzzer found, and is mended.
        let kept = found(&format!("tests/fuzz/seeds/{name}"), |_| true);
        Target { name, holds, seeds: kept.into_iter().chain(seeds).collect() }
    };
    vec![
        with("reviews", holds::reviews, reviews.clone()),
        with("objects", holds::objects, objects),
        with("patches", holds::patches, changes.collect()),
        with("cel", holds::cel, lines("cel/expressions")),
        with("modules", holds::modules, modules.to_vec()),
        with("redaction", holds::redaction, reviews.clone()),
        with("signatures", holds::signatures, signatures()),
        with("texts", holds::texts, reviews),
    ]
}

/// What cosign made, each of its signatures also beside its payload.
fn signatures() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures");
    let mut seeds = found("tests/signatures", |path| path.ends_with(".json") || path.ends_with(".pub"));
    for of in ["ecdsa", "rsa"] {
        let read = |name: &str| fs::read_to_string(root.join(of).join(name)).expect("a file of cosign's");
        let manifest: serde_json::Value = serde_json::from_str(&read("tagged.json")).expect("JSON");
        let signature = manifest["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"].as_str();
        seeds.push([signature.expect("a signature"), "\n", &read("payload.json")].concat().into_bytes());
    }
    seeds
}

fn found(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().flatten();
    let files = files.filter(|it| it.file_type().is_file() && wanted(&it.path().to_string_lossy()));
    files.map(|it| fs::read(it.path()).expect("a readable file")).filter(|it| it.len() < MOST).collect()
}

/// Cut off, with bytes changed, left out, doubled, or with a piece of it put elsewhere.
pub fn damaged(seed: &[u8], random: &mut TestRng, count: usize) -> Vec<Vec<u8>> {
    if seed.is_empty() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for _ in 0..count {
        let mut bytes = seed.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            let end = (at + random.random_range(1..32)).min(bytes.len());
            match random.random_range(0..6) {
                0 => bytes.truncate(at + 1),
                1 => bytes[at] = AWKWARD[random.random_range(0..AWKWARD.len())],
                2 => bytes[at] ^= 1 << random.random_range(0..8),
                3 if end - at < bytes.len() => drop(bytes.drain(at..end)),
                4 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let piece = bytes[at..end].to_vec();
                    let to = random.random_range(0..bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        all.push(bytes);
    }
    all
}

/// Bytes.
const MOST: usize = 200_000;
const AWKWARD: &[u8] = b"{}[]\"\\,:0-9eE.\n\r\t \x00\x7f\x80\xff&*!|>'~/";
