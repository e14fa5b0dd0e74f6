//! Certificates that are replaced while the server answers, as a certificate manager does it.

use std::fs;

use crate::support::{
    eventually,
    host::config_map,
    http,
    pki::{Identity, Pki},
    verdict::Verdict,
};

const POLICY: &str = "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: a}\nspec: {component: {builtin: required-labels}, settings: {labels: [one]}}\n";

/// Whether a caller is answered who trusts one authority and shows a certificate of one.
fn reached(verdict: &Verdict, trusts: &Pki, shows: &Identity) -> bool {
    let url = format!("https://{}/validate", verdict.https);
    http::post_as(&url, config_map("u").to_string(), http::tls(trusts, Some(shows))).is_ok_and(|it| it.0 == 200)
}

fn becomes(verdict: &Verdict, trusts: &Pki, shows: &Identity, whether: bool) {
    eventually("the certificates are others", || {
        if reached(verdict, trusts, shows) == whether { Ok(()) } else { Err(verdict.process.tail()) }
    });
}

/// The server's pair and those whom it trusts, as a certificate manager replaces them; what is open stays open.
#[test]
fn certificates_are_replaced_while_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, other) = (Pki::new(&folder.path().join("pki")), Pki::new(&folder.path().join("other")));
    let verdict = Verdict::serve(&pki, folder.path(), POLICY, &[]);
    let (ours, theirs) = (pki.server("verdict", &[]), other.server("verdict", &[]));
    let (old, new) = (verdict.client.clone(), other.client("kube-apiserver-webhook-client", &[]));
    let reached = |trusts: &Pki, shows: &Identity| reached(&verdict, trusts, shows);
    let becomes = |trusts: &Pki, shows: &Identity, whether| becomes(&verdict, trusts, shows, whether);
    assert!(reached(&pki, &old) && !reached(&pki, &new) && !reached(&other, &old));
    // Whoever signs callers, old and new together.
    fs::write(&pki.ca, format!("{}{}", pki.ca_pem, other.ca_pem)).unwrap();
    becomes(&pki, &new, true);
    assert!(reached(&pki, &old));
    // A pair that does not fit changes nothing.
    fs::copy(&theirs.cert, &ours.cert).unwrap();
    eventually("it is said", || {
        let tail = verdict.process.tail();
        if tail.contains("the certificates stay as they were: the certificate and the key do not fit") {
            Ok(())
        } else {
            Err(tail)
        }
    });
    assert!(reached(&pki, &old));
    fs::copy(&theirs.key, &ours.key).unwrap();
    becomes(&other, &new, true);
    assert!(reached(&other, &old) && !reached(&pki, &old));
    fs::write(&pki.ca, &other.ca_pem).unwrap();
    becomes(&other, &old, false);
    assert!(reached(&other, &new));
}

/// Whom it trusts is looked at, too, where its own certificate was made on the spot.
#[test]
fn client_cas_are_replaced_beside_a_certificate_of_its_own_making() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, other) = (Pki::new(&folder.path().join("pki")), Pki::new(&folder.path().join("other")));
    let policies = folder.path().join("policies.yaml");
    fs::write(&policies, POLICY).unwrap();
    let flags = [["--policies", policies.to_str().unwrap()]].concat();
    let verdict = Verdict::start_by_itself(&pki, folder.path(), &flags);
    let (old, new) = (verdict.client.clone(), other.client("kube-apiserver-webhook-client", &[]));
    let made = pki.trusting(fs::read_to_string(folder.path().join("cache/certs/ca.crt")).unwrap());
    assert!(reached(&verdict, &made, &old) && !reached(&verdict, &made, &new));
    fs::write(&made.ca, &other.ca_pem).unwrap();
    becomes(&verdict, &made, &old, false);
    assert!(reached(&verdict, &made, &new));
    // Of what was made nobody is told that it expires.
    assert!(!verdict.process.log().contains("expires soon"));
}
