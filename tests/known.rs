//! Who may ask what: names in certificates and bearer tokens, for each kind of question of its own, and both replaced while it serves.

use std::{fs, path::Path};

use crate::support::{
    eventually, fixtures,
    host::{access, config_map, misbehaving, token},
    http,
    pki::{Identity, Pki},
    verdict::{Verdict, verdict},
};

const OLD: &str = "the-old-token-of-callers";
const NEW: &str = "the-new-token-of-callers";
const OTHER: &str = "a-token-for-events-alone";

/// A path of each kind of question, and what is asked there.
fn questions() -> [(&'static str, String); 4] {
    [
        ("/validate", config_map("u").to_string()),
        ("/authenticate", token("t").to_string()),
        ("/authorize", access().to_string()),
        ("/events/all", "{}".to_owned()),
    ]
}

fn policies() -> String {
    let policies = misbehaving("all", "nothing", "").replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 20000");
    policies.replace("$FIXTURE", &fixtures::misbehaving("").display().to_string())
}

/// What each question is answered with; zero where nobody answers.
fn statuses(verdict: &Verdict, pki: &Pki, identity: &Identity, token: Option<&str>) -> [u16; 4] {
    questions().map(|(path, body)| {
        let url = format!("https://{}{path}", verdict.https);
        let shown = format!("Bearer {}", token.unwrap_or_default());
        let headers = [("content-type", "application/json"), ("authorization", shown.as_str())];
        let headers = if token.is_some() { &headers[..] } else { &headers[..1] };
        let answer = http::ask("POST", &url, headers, body, http::tls(pki, Some(identity)));
        let (status, text) = answer.unwrap_or_default();
        assert!(status == 200 || text.len() < 100, "{text}");
        status
    })
}

#[test]
fn a_name_is_good_for_what_it_is_listed_for() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let flags = ["--client-name=a", "--client-name-access=b,both", "--client-name-events=c,both"];
    let verdict = Verdict::serve(&pki, folder.path(), &policies(), &flags);
    let statuses = |name| statuses(&verdict, &pki, &pki.client(name, &[]), None);
    assert_eq!(statuses("a"), [200, 403, 403, 403]);
    assert_eq!(statuses("b"), [403, 200, 200, 403]);
    assert_eq!(statuses("c"), [403, 403, 403, 200]);
    assert_eq!(statuses("both"), [403, 200, 200, 200]);
    // Whoever may ask nothing does not even come in.
    assert_eq!(statuses("d"), [0; 4]);
}

#[test]
fn without_a_token_nothing_is_answered_and_tokens_are_replaced_while_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let (file, other) = (folder.path().join("tokens"), folder.path().join("others"));
    fs::write(&file, OLD).unwrap();
    fs::write(&other, format!("{OTHER}\n")).unwrap();
    let flag = |name: &str, file: &Path| format!("--client-token-file{name}={}", file.display());
    let flags = [flag("", &file), flag("-events", &other)];
    let verdict = Verdict::serve(&pki, folder.path(), &policies(), &flags.each_ref().map(String::as_str));
    let client = pki.client("kube-apiserver", &[]);
    let statuses = |token| statuses(&verdict, &pki, &client, token);
    assert_eq!(statuses(None), [401; 4]);
    assert_eq!(statuses(Some(NEW)), [401; 4]);
    assert_eq!(statuses(Some(OLD)), [200, 200, 200, 401]);
    assert_eq!(statuses(Some(OTHER)), [401, 401, 401, 200]);
    let becomes = |token, expected: [u16; 4]| {
        eventually("the tokens are others", || {
            let now = statuses(Some(token));
            if now == expected { Ok(()) } else { Err(format!("{now:?}")) }
        });
    };
    fs::write(&file, format!("{OLD}\n{NEW}\n")).unwrap();
    becomes(NEW, [200, 200, 200, 401]);
    assert_eq!(statuses(Some(OLD)), [200, 200, 200, 401]);
    fs::write(&file, NEW).unwrap();
    becomes(OLD, [401; 4]);
    // Nothing in the file: what was there before counts.
    fs::write(&file, "\n").unwrap();
    eventually("it is said", || {
        let tail = verdict.process.tail();
        if tail.contains("it holds no token") { Ok(()) } else { Err(tail) }
    });
    assert_eq!(statuses(Some(NEW)), [200, 200, 200, 401]);
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    assert!([OLD, NEW, OTHER].iter().all(|it| !log.contains(it)), "{log}");
}

#[test]
fn a_file_without_tokens_is_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let start = || verdict(&["serve", "--client-token-file", file.to_str().unwrap()]);
    let (code, _, said) = start();
    assert!(code == 3 && said.contains("No such file"), "{said}");
    fs::write(&file, "\n").unwrap();
    let (code, _, said) = start();
    assert!(code == 3 && said.contains("it holds no token"), "{said}");
    fs::write(&file, "hush").unwrap();
    let (code, _, said) = start();
    assert!(code == 3 && said.contains("the token in line 1 is too short") && !said.contains("hush"), "{said}");
}

/// Those who renew certificates are told, each file for itself, and nobody is told of what was made on the spot.
#[test]
fn what_expires_soon_is_counted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let server = pki.server("verdict", &["verdict.verdict.svc"]);
    let verdict = Verdict::serve(&pki, folder.path(), &policies(), &[]);
    let expiry = |file| verdict.labelled("verdict_certificate_expiry_timestamp_seconds", &format!("file=\"{file}\""));
    let in_days = |days: u64| time::OffsetDateTime::now_utc().unix_timestamp().unsigned_abs() + days * 86_400;
    assert!(expiry("certificate") > in_days(365) && expiry("client_ca") > in_days(365));
    assert!(!verdict.process.tail().contains("expires soon"));
    pki.renew(&server, 5);
    eventually("it is said", || {
        let tail = verdict.process.tail();
        if tail.contains("the certificate expires soon") && tail.contains("\"days\":4") { Ok(()) } else { Err(tail) }
    });
    assert!((in_days(4)..=in_days(5)).contains(&expiry("certificate")) && expiry("client_ca") > in_days(365));
}
