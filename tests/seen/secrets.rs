//! What nobody may read: tokens, and what Secrets hold. Policies repeat all that they see, wherever they can say something.

use std::{fs, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::{ADMIN_TOKEN, ask, decisions, serve, token_file};
use crate::support::{
    collector::{Collector, Sent},
    eventually,
    host::{access, admission, token},
    pki::Pki,
};

/// Random, with what JSON must escape; in a log it is still found.
fn hidden() -> String {
    let letters: String = (0..24).map(|_| char::from(rand::rng().random_range(b'a'..=b'z'))).collect();
    format!("{letters}\"\\{letters}")
}

/// The forms in which somebody could find it: as it is, escaped in JSON once and twice, in base64 of each alignment.
fn forms(hidden: &str) -> Vec<String> {
    let once = json!(hidden).to_string();
    let twice = json!(once).to_string();
    let mut forms = vec![hidden.to_owned(), once.trim_matches('"').to_owned(), twice.trim_matches('"').to_owned()];
    // The letters alone, which nothing needs to escape.
    forms.push(hidden.chars().take(24).collect());
    for skipped in 0..3 {
        let rest = &hidden[skipped..24];
        let whole = rest.len() / 3 * 3;
        forms.push(STANDARD_NO_PAD.encode(&rest[..whole]));
        forms.push(URL_SAFE_NO_PAD.encode(&rest[..whole]));
    }
    forms
}

fn secret(hidden: &str) -> Value {
    let encoded = STANDARD_NO_PAD.encode(hidden);
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": "credentials", "namespace": "default",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json!({"stringData": {"a": hidden}}).to_string()},
            "managedFields": [{"fieldsV1": {hidden: {}}}],
        },
        "data": {"a": encoded}, "stringData": {"b": hidden}})
}

/// About `object`, once as it is stored and once as it was.
fn review(resource: &str, kind: &str, object: &Value) -> Value {
    let mut review = admission("705ab4f5-6393-11e8-b7cc-42010a800002", object.clone());
    let request = &mut review["request"];
    request["operation"] = "UPDATE".into();
    request["kind"]["kind"] = kind.into();
    request["resource"]["resource"] = resource.into();
    request["oldObject"] = object.clone();
    request["userInfo"]["extra"] = json!({"example.org/session": [object["metadata"]["managedFields"].to_string()]});
    review
}

#[test]
fn no_log_holds_a_byte_of_secrets_and_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let sent = Sent::default();
    let collector = Collector::start("127.0.0.1:0".parse().unwrap(), &sent);
    let log = folder.path().join("decisions.log");
    let flags = [
        format!("--decision-log={}", log.display()),
        "--decision-log-input".to_owned(),
        "--decision-log-redact-extra=Example.org/Session".to_owned(),
        format!("--otlp-endpoint=http://{}", collector.address),
        "--otlp-sample=1".to_owned(),
        "--log-level=trace".to_owned(),
        format!("--admin-token-file={}", token_file(folder.path()).display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let audited = "  validationActions: [Audit]";
    let policies = [
        ("leaks", "leak", ""),
        ("leaks-to-the-log", "leak", audited),
        ("fails", "leak-and-fail", ""),
        ("fails-quietly", "leak-and-fail", audited),
        ("traps", "leak-and-trap", ""),
        ("granted", "leak", "  order: 1\n  grants: {log: true}"),
        ("granted-fails", "leak-and-fail", "  grants: {log: true}"),
        ("granted-prints", "print-token", "  grants: {log: true}"),
    ];
    let verdict = serve(&pki, folder.path(), &policies, &flags);

    let mut all = Vec::new();
    let mut reviews = 0;
    let names = policies.map(|(name, ..)| name);
    let mut hide = |make: &dyn Fn(&str) -> Value, routes: &[&str]| {
        for name in names {
            for route in routes {
                let hidden = hidden();
                let (status, _) = ask(&verdict, &pki, &format!("{route}/{name}"), &make(&hidden));
                reviews += usize::from(status != 404);
                all.push(hidden);
            }
        }
    };
    let admission = ["/validate", "/mutate"];
    hide(&|hidden| review("secrets", "Secret", &secret(hidden)), &admission);
    hide(&|hidden| review("SECRETS", "secret", &secret(hidden)), &admission);
    hide(&|hidden| review("lists", "List", &json!({"kind": "List", "items": [secret(hidden)]})), &admission);
    hide(&|hidden| review("secrets", "SecretList", &json!({"items": [secret(hidden)]})), &admission);
    hide(&|hidden| review("serviceaccounts", "TokenRequest", &json!({"status": {"token": hidden}})), &admission);
    hide(&|hidden| token(hidden), &["/authenticate"]);
    hide(&|hidden| json!({"event": token(hidden)}), &["/events"]);
    hide(&|hidden| json!({"event": [secret(hidden)]}), &["/events"]);
    // What may be seen is seen, or else there would be nothing to find.
    let seen = hidden();
    let config_map = json!({"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": seen}});
    ask(&verdict, &pki, "/validate/leaks", &review("configmaps", "ConfigMap", &config_map));
    ask(&verdict, &pki, "/authorize/leaks", &access());
    reviews += 2;
    assert!(reviews > 60, "{reviews}");

    let lines = eventually("each review in the decision log", || {
        let text = fs::read_to_string(&log).unwrap();
        if text.lines().count() == reviews { Ok(text) } else { Err(text.lines().count().to_string()) }
    });
    eventually("the traces", || {
        let spans = sent.spans().len();
        if spans >= 2 * reviews { Ok(()) } else { Err(spans.to_string()) }
    });
    let page = decisions(&verdict, "?limit=10000", Some(ADMIN_TOKEN));
    let page = page.1;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&page).unwrap().len(), reviews, "{page}");
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    let letters = &seen[..24];
    assert!(lines.contains(letters) && page.contains(letters) && log.contains(letters));
    let traces = sent.text();
    for hidden in &all {
        for form in forms(hidden) {
            for (name, text) in [("log", &log), ("decisions", &lines), ("/decisions", &page), ("traces", &traces)] {
                let found = text.find(&form).map(|at| &text[text.floor_char_boundary(at.saturating_sub(600))..at + 60]);
                assert_eq!(found, None, "{form} in {name}");
            }
        }
    }
    private(folder.path());
}

/// Nobody else on this machine reads the decision log.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(folder.join("decisions.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}
