//! The decision log and the last decisions.

use std::{
    fs,
    io::{BufRead as _, BufReader},
};

use serde_json::{Value, json};

use super::{ADMIN_TOKEN, ask, decisions, serve, token_file};
use crate::support::{eventually, host, pki::Pki, verdict::verdict};

#[test]
fn each_review_is_a_line_that_says_who_wanted_what_and_what_each_policy_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let log = folder.path().join("decisions.log");
    let flag = format!("--decision-log={}", log.display());
    let policies = [
        ("denies", "deny", ""),
        ("speaks", "speak", ""),
        ("fails", "trap", "  validationActions: [Warn]"),
        ("traps", "trap", "  shadow: true"),
    ];
    let verdict = serve(&pki, folder.path(), &policies, &[&flag, "--decision-log-sample=0"]);
    let traced = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("00-{traced}-b7ad6b7169203331-01");
    super::ask_with(&verdict, &pki, "/validate", &host::config_map("the-uid"), &[("traceparent", &header)]);
    ask(&verdict, &pki, "/authorize/denies", &host::access());
    // Nobody denied, and nothing failed: with a sample of 0 it is left out.
    ask(&verdict, &pki, "/validate/speaks", &host::config_map("left-out"));
    ask(&verdict, &pki, "/authenticate/traps", &host::token("t"));
    let lines = eventually("three decisions", || {
        let text = fs::read_to_string(&log).unwrap();
        let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        if lines.len() == 3 { Ok(lines) } else { Err(text) }
    });
    let first = &lines[0];
    assert_eq!((&first["decision_id"], &first["path"]), (&json!("the-uid"), &json!("validate")));
    assert_eq!(first["trace_id"], traced);
    assert_eq!(first["result"]["allowed"], false);
    assert!(first["result"]["status"]["message"].as_str().unwrap().starts_with("denies: denied on purpose"), "{first}");
    let review = &first["review"];
    assert_eq!((&review["user"]["username"], &review["namespace"]), (&json!("jane"), &json!("default")));
    assert_eq!((&review["operation"], &review["resource"]["resource"]), (&json!("CREATE"), &json!("configmaps")));
    assert!(first["input"].is_null() && first["metrics"]["timer_server_handler_ns"].as_u64().unwrap() > 0);
    assert!(first["set"].as_str().unwrap().starts_with("sha256:"));
    let policy = |name: &str| {
        let all = first["policies"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{first}"))
    };
    assert_eq!(policy("denies")["message"], "denied on purpose");
    assert_eq!(
        policy("denies")["causes"][0],
        json!({"field": "spec.x", "reason": "FieldValueInvalid", "message": "x is wrong"})
    );
    assert_eq!((&policy("fails")["outcome"], &policy("fails")["decides"]), (&json!("trap"), &json!(false)));
    assert_eq!(policy("speaks")["outcome"], "allowed");
    assert_eq!((&lines[1]["path"], &lines[1]["result"]["denied"]), (&json!("authorize/denies"), &json!(true)));
    assert_eq!(lines[1]["decision_id"].as_str().unwrap().len(), 32);
    assert_eq!((&lines[2]["failed"], &lines[2]["result"]["authenticated"]), (&json!(true), &json!(false)));
}

#[test]
fn the_last_decisions_are_shown_to_those_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let flag = format!("--admin-token-file={}", token_file(folder.path()).display());
    let policies = [("denies", "deny", ""), ("speaks", "speak", ""), ("forges", "forge", "")];
    let verdict = serve(&pki, folder.path(), &policies, &[&flag]);
    for at in 0..4 {
        ask(&verdict, &pki, "/validate/denies", &host::config_map(&format!("denied-{at}")));
        ask(&verdict, &pki, "/validate/speaks", &host::config_map(&format!("allowed-{at}")));
    }
    assert_eq!(decisions(&verdict, "", None).0, 401);
    assert_eq!(decisions(&verdict, "", Some("another-token-of-some-length")).0, 401);
    let last = |query: &str| -> Vec<Value> {
        let (status, page) = decisions(&verdict, query, Some(ADMIN_TOKEN));
        assert_eq!(status, 200, "{page}");
        serde_json::from_str(&page).unwrap()
    };
    let ids = |query: &str| -> Vec<String> {
        last(query).iter().map(|it| it["decision_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = eventually("all of them", || match last("") {
        all if all.len() == 8 => Ok(all),
        all => Err(all.len().to_string()),
    });
    assert_eq!(ids("?denied=true&limit=2"), ["denied-2", "denied-3"]);
    assert_eq!(ids("?policy=speaks&limit=1"), ["allowed-3"]);
    assert_eq!(ids(&format!("?after={}", all[6]["sequence"])), [all[7]["decision_id"].as_str().unwrap()]);
    assert_eq!(decisions(&verdict, "?limit=x", Some(ADMIN_TOKEN)).0, 400);
    // What the policy says is there, and in the log of the server too.
    ask(&verdict, &pki, "/validate/forges", &host::config_map("forged"));
    let forged = eventually("what the policy says", || last("?policy=forges").pop().ok_or("nothing"));
    let said = forged["policies"][0]["log"].as_array().unwrap();
    assert!(said.iter().any(|it| it["text"].as_str().unwrap().starts_with("forged")), "{said:?}");
    assert!(!decisions(&verdict, "", Some(ADMIN_TOKEN)).1.contains(|it| it != '\n' && ::verdict::text::is_hostile(it)));
    assert!(fs::read_to_string(folder.path().join("verdict.log")).unwrap().contains("\"uid\":\"forged\""));
}

/// As an operator asks for them.
#[test]
fn verdict_decisions_shows_the_last_ones_and_follows() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let token = token_file(folder.path());
    let token = token.to_str().unwrap();
    let policies = [("denies", "deny", ""), ("speaks", "speak", ""), ("forges", "forge", "")];
    let server = serve(&pki, folder.path(), &policies, &["--admin-token-file", token]);
    let address = format!("http://{}", server.admin);
    let shown =
        |more: &[&str]| verdict(&[&["decisions", "--server", address.as_str(), "--token-file", token], more].concat());
    for policy in ["denies", "speaks", "forges"] {
        ask(&server, &pki, &format!("/validate/{policy}"), &host::config_map(policy));
    }
    let (code, out, error) = shown(&["--policy=denies"]);
    assert_eq!(code, 0, "{error}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].ends_with("Z denied: CREATE configmaps default/cm by jane (validate/denies, denies)"), "{out}");
    assert_eq!(lines[1..], ["  Validator denies: denied: denied on purpose", "    * spec.x: x is wrong"]);
    let (_, out, _) = shown(&["--denied", "--output=json"]);
    let denied: Vec<Value> = out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let ids: Vec<&str> = denied.iter().map(|it| it["decision_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["denies", "forges"]);
    let (_, out, _) = shown(&["--policy=forges"]);
    assert!(
        out.contains("    info: forged") && !out.contains(|it| it != '\n' && ::verdict::text::is_hostile(it)),
        "{out}"
    );
    assert!(!out.lines().any(|it| it.starts_with("2026-01-01")), "{out}");
    let (code, _, error) = verdict(&["decisions", "--server", &address]);
    assert!(code == 1 && error.contains("expected a token"), "{error}");

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verdict"));
    let flags = ["decisions", "--follow", "--limit=1", "--output=json", "--server", &address, "--token-file", token];
    let mut follows = command.args(flags).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["decision_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "forges");
    for uid in ["later", "last"] {
        ask(&server, &pki, "/validate/denies", &host::config_map(uid));
    }
    let followed = [next(), next()];
    follows.kill().unwrap();
    follows.wait().unwrap();
    assert_eq!(followed, ["later", "last"]);
}

#[test]
fn a_full_disk_costs_decisions_and_no_review() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let verdict = serve(&pki, folder.path(), &[("denies", "deny", "")], &["--decision-log=/dev/full"]);
    for at in 0..20 {
        let (status, answer) = ask(&verdict, &pki, "/validate", &host::config_map(&at.to_string()));
        assert!(status == 200 && answer.contains("denied on purpose"), "{answer}");
    }
    eventually("the count of what is not written", || {
        match verdict.metric("verdict_decisions_dropped_total{consumer=\"log\",reason=\"failed\"}") {
            20 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    let told = log.lines().filter(|it| it.contains("the decision log: it cannot be written\"")).count();
    assert_eq!(told, 1, "{log}");
}

/// A pipe that nobody reads takes no bytes after the first ones.
#[test]
fn a_reader_that_does_not_read_holds_up_no_review() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Somebody has it open, or opening it to write would wait.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let flag = format!("--decision-log={}", pipe.display());
    let verdict = serve(&pki, folder.path(), &[("denies", "deny", "")], &[&flag, "--decision-log-input"]);
    let mut large = host::config_map("large");
    large["request"]["object"]["data"]["a"] = "x".repeat(900 << 10).into();
    for _ in 0..50 {
        let (status, answer) = ask(&verdict, &pki, "/validate", &large);
        assert!(status == 200 && answer.contains("denied on purpose"), "{answer}");
    }
    let dropped = verdict.metric("verdict_decisions_dropped_total{consumer=\"log\",reason=\"queue\"}");
    assert!((1..50).contains(&dropped), "{dropped}");
}
