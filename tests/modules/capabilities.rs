//! What modules of Kubewarden's may call of the host: nothing that was not granted.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use verdict::config;

use crate::support::{
    fixtures,
    host::{Host, admission},
};

/// The fixture as a Validator and as policies of a `policies.yml`, with these grants.
async fn granted(patterns: &[&str]) -> [(Host, &'static str); 2] {
    let folder = tempfile::tempdir().unwrap();
    let module = fixtures::module("kubewarden_wapc");
    let ours = json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": "p"},
        "spec": {"component": {"path": module}, "grants": {"hostCapabilities": patterns}}});
    let theirs = json!({"p": {"module": format!("file://{}", module.display()), "hostCapabilities": patterns}});
    let load = async |text: Value| {
        let specs = config::parse(&text.to_string(), "p.yml", folder.path()).unwrap_or_else(|it| panic!("{it:?}"));
        Host::load(specs).await.unwrap_or_else(|errors| panic!("{errors:?}"))
    };
    [(load(ours).await, "p: "), (load(theirs).await, "")]
}

/// What the policy was told about a certificate.
async fn told((host, prefix): &(Host, &str), request: &Value) -> String {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"certificate": request.to_string()}});
    let answer = host.review("/validate/p", &admission("u", object)).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    message.strip_prefix(prefix).unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at_where_that_is_granted() {
    let params = |name: &str, is_ca: bool| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        params
    };
    let root = || CertifiedIssuer::self_signed(params("root", true), KeyPair::generate().unwrap()).unwrap();
    let (root, other) = (root(), root());
    let leaf = params("leaf", false).signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
    let pem = |text: String| json!({"encoding": "Pem", "data": text.into_bytes()});
    let good = json!({"cert": pem(leaf.pem()), "cert_chain": [pem(root.pem())]});
    let bad = json!({"cert": pem(leaf.pem()), "cert_chain": [pem(other.pem())]});
    for patterns in [&["crypto/*"][..], &["*"], &["net/*", "crypto/v1/is_certificate_trusted"]] {
        for host in granted(patterns).await {
            assert_eq!(told(&host, &good).await, r#"{"trusted":true,"reason":""}"#, "{patterns:?}");
            let words = "Certificate is not trusted by the provided cert chain";
            assert_eq!(told(&host, &bad).await, format!(r#"{{"trusted":false,"reason":"{words}"}}"#));
            // Its own mistakes are told to it, and end nothing.
            let wrong = told(&host, &json!({"cert": {"encoding": "Der", "data": [1]}})).await;
            assert!(wrong.contains("Certificate is not a valid end-entity certificate"), "{wrong}");
        }
    }
    let refused = "Policy has not been granted access to the 'crypto/v1/is_certificate_trusted' host capability. The violation has been reported.";
    for patterns in [&[][..], &["net/*", "oci/v1/*"]] {
        for host in granted(patterns).await {
            let told = told(&host, &good).await;
            assert!(told.ends_with(refused), "{patterns:?}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_called_is_not_granted() {
    let folder = tempfile::tempdir().unwrap();
    let parse = |text: Value| config::parse(&text.to_string(), "p.yml", folder.path());
    let wrong = json!({"p": {"module": "file://a.wasm", "hostCapabilities": ["cry*", "crypto/*", 5]}});
    let errors: Vec<String> = parse(wrong).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("p.hostCapabilities[0]: expected one of *, crypto/*, crypto/v1/*"), "{errors:?}");

    let object = |component: Value| {
        json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": "p"},
            "spec": {"component": component, "grants": {"hostCapabilities": ["crypto/*"]}}})
    };
    let path = folder.path().join("k8s.wasm");
    fs::copy(fixtures::module("k8s_wasm"), &path).unwrap();
    for (component, protocol) in
        [(json!({"builtin": "magic-validator"}), "component"), (json!({"path": path}), "k8s-wasm (WASI)")]
    {
        let errors = Host::load(parse(object(component)).unwrap()).await.err().unwrap();
        let words = format!(
            "p.yml: Validator p: spec.grants.hostCapabilities: only modules of Kubewarden and waPC call these, and the protocol of this one is \"{protocol}\": remove the field"
        );
        assert_eq!(errors, [words]);
    }
}
