//! The log of the server.

use std::fs;

use serde_json::Value;

use super::{ask, serve};
use crate::support::{eventually, host, pki::Pki};

#[test]
fn a_policy_that_always_traps_is_told_of_once_and_then_counted() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let verdict = serve(&pki, folder.path(), &[("traps", "trap", ""), ("denies", "deny", "")], &[]);
    for at in 0..40 {
        ask(&verdict, &pki, "/validate/traps", &host::config_map(&format!("uid-{at}")));
    }
    let lines = || -> Vec<Value> {
        let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
        log.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    };
    let left_out = eventually("the count of what was left out", || {
        let lines = lines();
        let found = lines.iter().find(|it| it["message"] == "lines of the log were left out");
        found.cloned().ok_or_else(|| format!("{lines:?}"))
    });
    assert_eq!((&left_out["policy"], &left_out["left_out"]), (&"traps".into(), &39.into()), "{left_out}");
    let lines = lines();
    let told: Vec<&Value> = lines.iter().filter(|it| it["message"] == "a policy failed").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["uid"], &told[0]["outcome"]), (&"uid-0".into(), &"trap".into()), "{told:?}");
    assert_eq!(verdict.metric("verdict_log_lines_left_out_total{line=\"the policy crashed\",policy=\"traps\"}"), 39);
}

#[test]
fn each_line_about_a_review_has_its_uid() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let policies = [
        ("prints", "forge", ""),
        ("records", "deny", "  validationActions: [Audit]"),
        ("fails", "error", "  validationActions: [Audit]"),
    ];
    let verdict = serve(&pki, folder.path(), &policies, &[]);
    for path in ["/validate/prints", "/validate/records", "/validate/fails"] {
        ask(&verdict, &pki, path, &host::config_map("705ab4f5-6393-11e8-b7cc-42010a800002"));
    }
    // Without a uid of its own it gets one.
    ask(&verdict, &pki, "/authorize/prints", &host::access());
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let about: Vec<&Value> = lines.iter().filter(|it| it["policy"].is_string() && it["message"] != "active").collect();
    for target in ["guest", "audit", "verdict::observe::policy"] {
        assert!(about.iter().any(|it| it["target"] == target), "{target}: {log}");
    }
    let uids: std::collections::BTreeSet<&str> =
        about.iter().map(|it| it["uid"].as_str().unwrap_or_else(|| panic!("{it}"))).collect();
    assert_eq!(uids.len(), 2, "{uids:?}");
    assert!(uids.contains("705ab4f5-6393-11e8-b7cc-42010a800002"));
}
