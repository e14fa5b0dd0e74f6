//! In the real server: what policies print and why they failed is in the log, and they have what is granted.

use super::{
    Served, every_component,
    guest::{GRANTED, message},
};

/// What every language logs, after the deed.
const LINES: [(&str, &[&str]); 3] = [
    ("print", &["printed in init", "line 0 of u", "line 49 of u", "and stderr", "and half a line", "logged u", "kept"]),
    ("error", &["secret-detail"]),
    ("recurse", &["\"outcome\":\"stack\""]),
];

#[test]
fn what_a_policy_prints_and_why_it_fails_is_in_the_log() {
    every_component(|language, component| {
        let served = Served::of(language, component);
        let lines = LINES.iter().chain(language.lines);
        for (deed, lines) in lines {
            let answer = served.ask(deed);
            assert_eq!(answer["allowed"], *deed == "print", "{deed}: {answer}");
            let log = served.log();
            for line in *lines {
                // What a policy says is a text in JSON.
                let said = serde_json::to_string(line).unwrap();
                let found = log.contains(line) || log.contains(said.trim_matches('"'));
                assert!(found, "{deed}: no {line:?} in {log}");
            }
        }
        assert_eq!(message(&served.ask("environment")), GRANTED);
    });
}
