//! What a policy says when it panics: in the log line of the failure, and nowhere else.

use std::fs;

use serde_json::Value;

use crate::support::{
    fixtures,
    host::{config_map, misbehaving, token},
    http,
    pki::Pki,
    verdict::Verdict,
};

#[test]
fn a_panics_words_stand_in_the_line_of_the_failure() {
    let validator = misbehaving("checks", "trap", "").replace("$FIXTURE", "$ADMISSION");
    let authenticators = misbehaving("silent", "trap", "").replace("$FIXTURE", "$AUTHENTICATION")
        + &misbehaving("granted", "trap", "  grants: {log: true}").replace("$FIXTURE", "$AUTHENTICATION");
    let component = |kind: &str| fixtures::misbehaving(kind).to_str().unwrap().to_owned();
    let yaml = (validator + &authenticators)
        .replace("$ADMISSION", &component("admission"))
        .replace("$AUTHENTICATION", &component("authentication"));
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let verdict = Verdict::serve(&pki, folder.path(), &yaml, &[]);
    for (path, review) in [("/validate", config_map("u")), ("/authenticate", token("t"))] {
        let url = format!("https://{}{path}", verdict.https);
        let (_, answer) = http::post(&url, review.to_string(), &pki, Some(&verdict.client)).unwrap();
        assert!(!answer.contains("on purpose") && !answer.contains("panicked"), "{answer}");
    }
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    let events: Vec<Value> = log.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    for (policy, told) in [("checks", true), ("granted", true), ("silent", false)] {
        let of_policy = |it: &&Value| it["policy"] == policy;
        let [failed] = events.iter().filter(of_policy).collect::<Vec<_>>()[..] else { panic!("{policy}: {log}") };
        let words = failed["failure"].as_str().unwrap();
        assert_eq!(failed["message"], "a policy failed");
        assert_eq!(
            words.contains("panicked at ") && words.contains(": trapped on purpose ("),
            told,
            "{policy}: {words}"
        );
        assert!(words.contains("unreachable"), "{policy}: {words}");
        if policy == "checks" {
            // As the sources have it, not as the linker does.
            assert!(
                words.contains(", called by <misbehaving_admission::Misbehaving>::misbehave, called by "),
                "{words}"
            );
        }
    }
    for never in ["RUST_BACKTRACE", "<wasm function", "wasm backtrace"] {
        assert!(!log.contains(never), "{never}: {log}");
    }
}
