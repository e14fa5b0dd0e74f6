//! What `verdict bench` measures, and what shells complete.

use serde_json::{Value, json};

use crate::support::{fixtures, verdict::verdict};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");

#[test]
fn bench_measures_both_kinds_of_instances_but_for_authenticators() {
    let bench = |policy: &str, sample: &str, more: &[&str]| {
        let review = format!("{POLICIES}/{policy}/reviews/{sample}.json");
        let (code, out, error) =
            verdict(&[&["bench", &format!("builtin:{policy}"), &review, "--reviews", "50"], more].concat());
        assert_eq!(code, 0, "{out}{error}");
        out
    };
    let report: Value = serde_json::from_str(&bench("magic-validator", "allowed-configmap", &["--json"])).unwrap();
    let rows = report["measurements"].as_array().unwrap();
    let kinds: std::collections::BTreeSet<&str> = rows.iter().map(|it| it["instances"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["PerReview", "Reuse"].into());
    for row in rows {
        assert_eq!((&row["reviews"], &row["failed"], &row["outcomes"]), (&json!(50), &json!(0), &json!(["allowed"])));
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!(number("p50") > 0.0 && number("p99") >= number("p50") && number("memory") > 65_536.0, "{row}");
        assert!(number("instantiate") + number("guest") <= number("mean"), "{row}");
    }
    let out = bench("magic-authenticator", "authenticated-magic-token", &[]);
    assert!(!out.contains("Reuse ") && out.contains("instances of authenticators are never used again"), "{out}");
    let broken = fixtures::misbehaving("admission");
    let review = format!("{POLICIES}/magic-validator/reviews/allowed-configmap.json");
    let settings = r#"{"do": "error"}"#;
    let (code, out, _) =
        verdict(&["bench", broken.to_str().unwrap(), &review, "--reviews", "3", "--settings", settings]);
    assert!(code == 1 && out.contains("a policy failed in "), "{out}");
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, error) = verdict(&["completions", shell]);
        assert!(code == 0 && ["review", "explain", "call"].iter().all(|it| out.contains(it)), "{error}");
    }
}
