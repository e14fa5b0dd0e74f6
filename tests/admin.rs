//! Who may use what the admin listener does not show to everybody.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{
    eventually, http,
    pki::{Identity, Pki},
    verdict::{Verdict, verdict},
};

const POLICY: &str = "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: p}\nspec: {component: {builtin: magic-validator}}\n";
const TOKEN: &str = "the-token-of-the-operator";

/// A server with one policy, and these flags.
fn serve(folder: &Path, flags: &[&str]) -> (Pki, Verdict) {
    let pki = Pki::new(&folder.join("pki"));
    let verdict = Verdict::serve(&pki, folder, POLICY, flags);
    (pki, verdict)
}

/// The status of a protected route, and what is wrong: 404 for whoever is let in, since a file declares it.
fn protected(verdict: &Verdict, headers: &[(&str, &str)]) -> (u16, String) {
    let url = format!("http://{}/policies/validator/p", verdict.admin);
    told(http::ask("GET", &url, headers, "", http::nobody()))
}

fn told(reply: http::Reply) -> (u16, String) {
    let (status, text) = reply.unwrap();
    let page: Value = serde_json::from_str(&text).expect(&text);
    (status, page["errors"][0]["message"].as_str().unwrap_or_default().to_owned())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn without_a_flag_nobody_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (_pki, verdict) = serve(folder.path(), &[]);
    let (status, words) = protected(&verdict, &[("authorization", &bearer(TOKEN))]);
    assert_eq!(status, 403);
    assert!(words.contains("--admin-token-file") && words.contains("--admin-client-name"), "{words}");
    for open in ["/livez", "/readyz", "/metrics", "/policies"] {
        assert_eq!(http::get_plain(&format!("http://{}{open}", verdict.admin)).unwrap().0, 200, "{open}");
    }
    assert_eq!(verdict.metric("verdict_admin_refused_total{reason=\"off\"}"), 1);
}

#[test]
fn a_listed_token_lets_in_and_its_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (_pki, verdict) = serve(folder.path(), &["--admin-token-file", file.to_str().unwrap()]);
    let shown = |token: &str| protected(&verdict, &[("authorization", &bearer(token))]);
    assert_eq!(shown(TOKEN).0, 404);
    assert_eq!(shown("another-token-of-somebody"), (401, "the token is not one that the server lists".to_owned()));
    let (status, words) = protected(&verdict, &[]);
    assert_eq!(status, 401);
    assert!(words.starts_with("expected a token"), "{words}");
    // What a browser asks for, whose page has its own name lead to loopback.
    let (status, words) = protected(&verdict, &[("authorization", &bearer(TOKEN)), ("host", "evil.example:8080")]);
    assert_eq!((status, words.contains("Host on loopback")), (403, true), "{words}");
    for reason in ["token", "missing", "host"] {
        assert_eq!(verdict.metric(&format!("verdict_admin_refused_total{{reason=\"{reason}\"}}")), 1, "{reason}");
    }
    // Probes and Prometheus need none.
    for open in ["/livez", "/readyz", "/metrics", "/policies"] {
        assert_eq!(http::get_plain(&format!("http://{}{open}", verdict.admin)).unwrap().0, 200, "{open}");
    }
    fs::write(&file, "the-next-token-of-the-operator\n").unwrap();
    eventually("the new token is known", || match shown("the-next-token-of-the-operator") {
        (404, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(shown(TOKEN).0, 401);
    // Nothing in it, then no file at all: what was listed stays, and nobody else is let in.
    for (name, words) in [("emptied", "it holds no token"), ("removed", "No such file")] {
        if name == "emptied" {
            fs::write(&file, "\n").unwrap()
        } else {
            fs::remove_file(&file).unwrap()
        }
        eventually(&format!("{name}: it is said"), || {
            let tail = verdict.process.tail();
            let said = tail.lines().any(|it| it.contains("the admin tokens stay as they were") && it.contains(words));
            if said { Ok(()) } else { Err(tail) }
        });
        assert_eq!((shown("the-next-token-of-the-operator").0, shown(TOKEN).0), (404, 401), "{name}");
        assert_eq!(protected(&verdict, &[]).0, 401, "{name}");
    }
    // Never in the log.
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    assert!(!log.contains("token-of-"), "{log}");
}

#[test]
fn what_would_be_open_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let server = pki.server("verdict", &[]);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (policy, good, empty, short) =
        (file("p.yaml", POLICY), file("good", TOKEN), file("empty", ""), file("short", "tiny"));
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let ca = pki.ca.to_str().unwrap();
    let started = |flags: &[&str]| {
        let serve = ["serve", "--policies", &policy, "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0"];
        // Of two, the last is refused by the command line.
        let serve = if flags.iter().any(|it| it.starts_with("--admin-bind")) { &serve[..4] } else { &serve[..] };
        let (code, _, error) = verdict(&[serve, flags].concat());
        (code, error)
    };
    for (token, words) in
        [(&empty, "it holds no token"), (&short, "the token in line 1 is too short"), (&missing, "No such file")]
    {
        let (code, error) = started(&["--admin-token-file", token]);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains("--admin-token-file") && error.contains(words), "{error}");
        assert!(!error.contains("tiny"), "{error}");
    }
    let (code, error) = started(&["--admin-token-file", &good, "--admin-bind=0.0.0.0:0"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("give --admin-tls-cert and --admin-tls-key"), "{error}");
    // A CA without names would let in whomever it signed for; and certificates are shown by TLS only.
    let (cert, key) = (server.cert.to_str().unwrap(), server.key.to_str().unwrap());
    let tls = ["--admin-tls-cert", cert, "--admin-tls-key", key];
    assert_eq!(started(&[&tls[..], &["--admin-client-ca", ca]].concat()).0, 2);
    assert_eq!(started(&["--admin-client-ca", ca, "--admin-client-name", "operator"]).0, 2);
    assert_eq!(started(&["--admin-client-name", "operator"]).0, 2);
}

#[test]
fn by_tls_a_certificate_with_a_listed_name_lets_in() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("admin"));
    let stranger = Pki::new(&folder.path().join("stranger"));
    let pair = pki.server("admin", &[]);
    let file = folder.path().join("token");
    fs::write(&file, TOKEN).unwrap();
    let flags = [
        "--admin-tls-cert",
        pair.cert.to_str().unwrap(),
        "--admin-tls-key",
        pair.key.to_str().unwrap(),
        "--admin-client-ca",
        pki.ca.to_str().unwrap(),
        "--admin-client-name",
        "operator",
        "--admin-token-file",
        file.to_str().unwrap(),
    ];
    let (_, verdict) = serve(folder.path(), &flags);
    let get = |path: &str, headers: &[(&str, &str)], trusts: &Pki, shows: Option<&Identity>| {
        let url = format!("https://{}{path}", verdict.admin);
        http::ask("GET", &url, headers, "", http::tls(trusts, shows))
    };
    // The kubelet and Prometheus show no certificate.
    for open in ["/livez", "/readyz", "/metrics", "/policies"] {
        assert_eq!(get(open, &[], &pki, None).unwrap().0, 200, "{open}");
    }
    let protected = "/policies/validator/p";
    let (operator, other) = (pki.client("operator", &[]), pki.client("kubelet", &["operator"]));
    let token = bearer(TOKEN);
    assert_eq!(get(protected, &[], &pki, Some(&operator)).unwrap().0, 404);
    assert_eq!(told(get(protected, &[], &pki, None)).0, 401);
    let (status, words) = told(get(protected, &[], &pki, Some(&other)));
    assert_eq!(status, 403);
    assert!(words.contains("none of the names"), "{words}");
    assert_eq!(get(protected, &[("authorization", &token)], &pki, Some(&other)).unwrap().0, 404);
    assert_eq!(get(protected, &[("authorization", &token)], &pki, None).unwrap().0, 404);
    // Of the right name, signed by somebody else; and in the clear.
    get("/livez", &[], &pki, Some(&stranger.client("operator", &[]))).unwrap_err();
    assert!(http::get_plain(&format!("http://{}/livez", verdict.admin)).is_err());
    // Other certificates while it answers.
    let theirs = stranger.server("admin", &[]);
    fs::copy(&theirs.cert, &pair.cert).unwrap();
    fs::copy(&theirs.key, &pair.key).unwrap();
    fs::write(&pki.ca, &stranger.ca_pem).unwrap();
    eventually("the certificates are others", || {
        match get(protected, &[], &stranger, Some(&stranger.client("operator", &[]))) {
            Ok((404, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", verdict.process.tail())),
        }
    });
    get("/livez", &[], &stranger, Some(&operator)).unwrap_err();
}

/// As an operator asks, with the files that the server has, too.
#[test]
fn a_running_server_shows_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\nanother-token-of-the-operator\n")).unwrap();
    let (_pki, running) = serve(folder.path(), &["--admin-token-file", file.to_str().unwrap()]);
    let server = format!("http://{}", running.admin);
    let get = |args: &[&str]| verdict(&[&["get", "--server", &server], args].concat());
    let (code, text, _) = get(&[]);
    assert_eq!(code, 0);
    assert!(text.starts_with("active Validator p (") && text.lines().count() == 1, "{text}");
    assert_eq!(get(&["mutator"]).1, "");
    let (code, _, error) = get(&["validator", "p"]);
    assert_eq!((code, error.contains("expected a token")), (1, true), "{error}");
    let shown = ["--token-file", file.to_str().unwrap()];
    let (code, _, error) = get(&[&["validator", "none"][..], &shown].concat());
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("there is no validator none"), "{error}");
    let (code, _, error) = get(&[&["validator", "p"][..], &shown].concat());
    assert_eq!((code, error.contains("is not registered, but declared in")), (1, true), "{error}");
    // A token does not leave this machine in the clear.
    let (code, _, error) = verdict(&[&["get", "--server", "http://192.0.2.1:8080"], &shown[..]].concat());
    assert_eq!((code, error.contains("over HTTPS only")), (2, true), "{error}");
}
