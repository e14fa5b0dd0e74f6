//! Registries that fail or lie, as operators see them: each with words of its own, while what serves goes on.

use std::{collections::BTreeSet, fs, time::Duration};

use verdict::{
    loader::{
        builtin,
        registry::{Artifact, Descriptor, Manifest, Packed},
    },
    spec::Digest,
};

use super::{labels, row, says};
use crate::{
    registry::liar::{Answer, Asked, Liar, answer, honest, unbounded},
    support::{http, pki::Pki, registry::digest, verdict::Verdict, within},
};

/// Of whom it is told; what: HOST is the host, LAYER the digest of the layer, SIZE its size.
type Fault = (&'static str, Liar, &'static str);

/// What all of them have.
fn packed() -> Packed {
    pack(builtin::find("required-labels").unwrap().component.to_vec())
}

/// The same with a custom section more: what is kept of one registry is not asked for at another.
fn other() -> Packed {
    pack([builtin::find("required-labels").unwrap().component, &[0, 2, 1, b'x']].concat())
}

fn pack(bytes: Vec<u8>) -> Packed {
    Artifact { bytes: bytes.into(), interfaces: None, annotations: Default::default() }.pack().unwrap()
}

/// Who answers like this, and honestly where that gives nothing.
fn liar(answers: impl Fn(&str, &Asked, usize) -> Option<Answer> + Send + Sync + 'static) -> Liar {
    with(packed(), answers)
}

fn with(packed: Packed, answers: impl Fn(&str, &Asked, usize) -> Option<Answer> + Send + Sync + 'static) -> Liar {
    Liar::start_knowing_itself(move |host, asked, before| {
        Some(answers(host, asked, before).unwrap_or_else(|| honest(asked, &packed)))
    })
}

fn always(make: impl Fn() -> Answer + Send + Sync + 'static) -> Liar {
    liar(move |_, _, _| Some(make()))
}

/// Whose layer is this.
fn layer(make: impl Fn() -> Answer + Send + Sync + 'static) -> Liar {
    let name = digest(&packed().layer);
    liar(move |_, asked, _| asked.target.ends_with(&name).then(&make))
}

/// Who says no digest of its manifest, which is this one.
fn manifest(make: impl Fn() -> Answer + Send + Sync + 'static) -> Liar {
    liar(move |_, asked, _| match &asked.method[..] {
        "HEAD" => Some(answer(405, &[], b"")),
        _ => asked.target.contains("/manifests/").then(&make),
    })
}

fn layers(config: &str, layers: &[&str]) -> Liar {
    let layers: Vec<_> = layers.iter().map(|it| Descriptor::of(it, b"abc")).collect();
    let bytes = Manifest::image(None, &Descriptor::of(config, b"{}"), &layers, None, &Default::default());
    let bytes = bytes.unwrap().bytes;
    manifest_of(&bytes)
}

fn manifest_of(bytes: &[u8]) -> Liar {
    let bytes = bytes.to_vec();
    // By tag and by digest, whatever that is.
    let of = digest(&bytes);
    liar(move |_, asked, _| {
        let head = format!("docker-content-digest: sha256:{of}");
        let body: &[u8] = if asked.method == "HEAD" { b"" } else { &bytes };
        asked.target.contains("/manifests/").then(|| answer(200, &[&head], body))
    })
}

fn to(target: &'static str) -> Liar {
    liar(move |_, asked, _| {
        asked.target.contains("/blobs/").then(|| answer(307, &[&format!("location: {target}")], b""))
    })
}

fn basic() -> Answer {
    answer(401, &["www-authenticate: Basic realm=\"x\""], b"")
}

fn faults() -> Vec<Fault> {
    let size = format!("content-length: {}", packed().layer.len());
    let other = format!("docker-content-digest: sha256:{}", Digest([7; 32]));
    let wasm = "application/wasm";
    let large = Descriptor { size: 104_857_601, ..Descriptor::of(wasm, b"abc") };
    let large =
        Manifest::image(None, &Descriptor::of("x", &packed().config), &[large], None, &Default::default()).unwrap();
    let two = Manifest::index(&[packed().manifest.descriptor(), Descriptor::of("x", b"abc")]).unwrap();
    vec![
        ("hangs", always(|| Answer::Silence), "HOST took longer than 30 s for HOST/team/labels:1"),
        (
            "drips",
            layer(|| Answer::Drip(unbounded())),
            "HOST sends HOST/team/labels@sha256:LAYER too slowly: less than 16384 bytes in a second",
        ),
        (
            "hangs-up",
            always(|| Answer::Bytes(Vec::new())),
            "HOST cannot be reached: the connection ended without an answer",
        ),
        (
            "no-http",
            always(|| Answer::Bytes(b"220 mail ready\r\n\r\n".to_vec())),
            "HOST cannot be reached: its answer is no HTTP",
        ),
        (
            "other-manifest",
            liar(move |_, asked, _| {
                let body: &[u8] = if asked.method == "HEAD" { b"" } else { b"{}" };
                asked.target.contains("/manifests/").then(|| answer(200, &[&other], body))
            }),
            "HOST sent other bytes for HOST/team/labels:1@sha256:0707070707070707070707070707070707070707070707070707070707070707: their digest is sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
        (
            "other-layer",
            layer(|| answer(200, &[], &vec![b'x'; packed().layer.len()])),
            "HOST sent other bytes for HOST/team/labels@sha256:LAYER: their digest is sha256:",
        ),
        (
            "endless-manifest",
            manifest(|| Answer::Endless(unbounded())),
            "HOST/team/labels:1 is larger than 4194304 bytes",
        ),
        (
            "endless-layer",
            layer(|| Answer::Endless(unbounded())),
            "HOST sent more for HOST/team/labels@sha256:LAYER than the SIZE bytes that were announced",
        ),
        ("large-layer", manifest_of(&large.bytes), " is larger than 104857600 bytes"),
        (
            "short-layer",
            layer(|| answer(200, &[], b"short")),
            "HOST sent less for HOST/team/labels@sha256:LAYER than the SIZE bytes that were announced",
        ),
        (
            "cut-layer",
            layer(move || answer(200, &[&size], b"\0asm")),
            "HOST broke off while it sent HOST/team/labels@sha256:LAYER",
        ),
        (
            "circle",
            liar(|host, asked, _| {
                let to = format!("www-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"");
                Some(match &asked.target[..] {
                    it if it.starts_with("/token") => answer(200, &[], br#"{"token": "t0ken"}"#),
                    _ => answer(401, &[&to], b""),
                })
            }),
            "HOST asks for a token for HOST/team/labels:1 again, though it was given a new one; it was asked for without credentials (--registry-config)",
        ),
        (
            "nobody",
            always(basic),
            "HOST wants credentials for HOST/team/labels:1, and there are none (--registry-config)",
        ),
        ("known", always(basic), "HOST does not accept the credentials for HOST/team/labels:1"),
        (
            "denied",
            always(|| answer(403, &[], b"")),
            "HOST denies access to HOST/team/labels:1 without credentials (--registry-config)",
        ),
        (
            "known-denied",
            liar(|_, asked, _| Some(if asked.authorization.is_none() { basic() } else { answer(403, &[], b"") })),
            "HOST denies access to HOST/team/labels:1 with these credentials",
        ),
        ("empty", always(|| answer(404, &[], b"")), "HOST has no HOST/team/labels:1"),
        ("busy", always(|| answer(429, &["retry-after: 3000"], b"")), "HOST answers that it is asked too often (429)"),
        ("broken", always(|| answer(503, &[], b"")), "HOST is in trouble: it answers 503"),
        ("teapot", always(|| answer(418, &[], b"")), "HOST answers 418 for HOST/team/labels:1, which is not expected"),
        (
            "away",
            to("https://evil.example/x?signature=s3cret"),
            "HOST redirects to evil.example, which is not allowed by --registry-allow",
        ),
        (
            "in-the-clear",
            to("http://evil.example/x?signature=s3cret"),
            "HOST redirects to evil.example without TLS, which is not followed",
        ),
        ("round", to("/v2/team/labels/blobs/again?signature=s3cret"), "HOST redirects more than 5 times"),
        ("nowhere", layer(|| answer(307, &[], b"")), "HOST redirects without saying where to"),
        ("html", manifest_of(b"<html>"), "is no manifest that can be read: it is no JSON: line 1, column 1"),
        (
            "text",
            layers("application/vnd.oci.empty.v1+json", &["text/plain"]),
            "HOST/team/labels:1 holds text/plain, not a component (application/wasm)",
        ),
        (
            "container",
            layers("application/vnd.oci.image.config.v1+json", &["application/vnd.oci.image.layer.v1.tar+gzip"]),
            "HOST/team/labels:1 is a container image, not a component",
        ),
        ("several", layers("x", &[wasm, wasm]), "HOST/team/labels:1 has 2 layers; a component is exactly one"),
        (
            "platforms",
            manifest_of(&two.bytes),
            "HOST/team/labels:1 is an index of images for several platforms, not one component",
        ),
    ]
}

/// A set that serves, changed to what cannot be had.
#[test]
fn each_fault_has_its_own_words_and_harms_nothing_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let mut all = faults();
    all.push(("down", Liar::gone(), "HOST cannot be reached: connection refused"));
    let hosts = |all: &[Fault]| all.iter().map(|it| it.1.host.clone()).collect::<Vec<_>>().join(",");
    // What follows is not asked in the clear, or not at all.
    let recovering =
        with(other(), |_, _, before| (before < 3).then(|| answer(if before == 0 { 429 } else { 503 }, &[], b"")));
    let plain = format!("--registry-plain-http={},{}", hosts(&all), recovering.host);
    let unknown = Liar::with_tls(&pki.server("registry", &[]), |_, _| None);
    all.push((
        "unknown",
        unknown,
        "the certificate of HOST is not trusted: its authority is not known here (--registry-ca)",
    ));
    all.push((
        "clear",
        Liar::honest(),
        "HOST does not speak TLS; plain HTTP is spoken with hosts of --registry-plain-http only",
    ));
    let allow = format!("--registry-allow={},{}", hosts(&all), recovering.host);
    all.push(("not-allowed", Liar::honest(), "HOST/team/labels:1 is not allowed by --registry-allow"));
    let logins: Vec<String> = all
        .iter()
        .filter(|it| it.0.starts_with("known"))
        .map(|it| format!(r#""{}": {{"username": "me", "password": "s3cret"}}"#, it.1.host))
        .collect();
    let config = folder.path().join("config.json");
    fs::write(&config, format!(r#"{{"auths": {{{}}}}}"#, logins.join(","))).unwrap();
    let config = format!("--registry-config={}", config.display());
    let cache = format!("--cache-dir={}", folder.path().join("cache").display());

    let file = folder.path().join("policies.yaml");
    let good = labels("good", "builtin: required-labels", "good");
    let names = || all.iter().map(|it| it.0).chain(["recovering"]);
    let builtin: String = names().map(|it| labels(it, "builtin: required-labels", it)).collect();
    fs::write(&file, format!("{good}{builtin}")).unwrap();
    let flags = ["--policies", file.to_str().unwrap(), &plain, &allow, &config, &cache, "--log-level=debug"];
    let verdict = Verdict::start(&pki, folder.path(), &flags);
    let served = |name: &str| {
        assert_eq!(says(&pki, &verdict, &format!("/validate/{name}")), format!("{name}: the label {name} is required"));
    };
    names().for_each(served);

    let image = |name: &str, host: &str| labels(name, &format!("image: '{host}/team/labels:1'"), name);
    let images: String = all.iter().map(|it| image(it.0, &it.1.host)).collect();
    fs::write(&file, format!("{good}{images}{}", image("recovering", &recovering.host))).unwrap();
    let (name_of_layer, size) = (digest(&packed().layer), packed().layer.len().to_string());
    let mut said = BTreeSet::new();
    for (name, liar, words) in &all {
        let words = words.replace("LAYER", &name_of_layer).replace("SIZE", &size);
        let found = within(Duration::from_secs(120), || {
            served("good");
            let row = row(&verdict, name);
            let reason = row["reason"].as_str().unwrap_or_default().replace(&liar.host, "HOST");
            if row["state"] == "stale" && reason.contains(&words) { Ok(reason) } else { Err(row) }
        });
        let reason = found.unwrap_or_else(|last| panic!("{name}: expected {words}, got {last}"));
        // No two faults have the same words.
        let (_, alone) = reason.split_once("spec.component: ").unwrap();
        assert!(said.insert(alone.to_owned()), "{name}: {alone}");
        served(name);
    }
    let state = within(Duration::from_secs(60), || match row(&verdict, "recovering")["imageDigest"].as_str() {
        Some(found) if found == format!("sha256:{}", other().manifest.digest) => Ok(()),
        _ => Err(row(&verdict, "recovering")),
    });
    assert_eq!(state, Ok(()));
    names().chain(["good"]).for_each(served);
    let page = http::get_plain(&format!("http://{}/policies", verdict.admin)).unwrap().1;
    for secret in ["s3cret", "t0ken", "bWU6czNjcmV0"] {
        assert!(!page.contains(secret) && !verdict.process.log().contains(secret), "{secret}");
    }
}
