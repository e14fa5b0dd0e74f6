use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::{
        Format, MAX_MESSAGE, MAX_SIZE, Made, Unreadable,
        artifact::{self, Descriptor},
        bundle,
        private::PrivateKey,
        simple::Simple,
    },
    BY_COSIGN, COSIGNS_RSA_KEY, DIGEST, a_key, an_ed25519_key, annotations, claim, public,
};

#[test]
fn both_formats_are_read_as_they_were_made() {
    for key in [a_key(), an_ed25519_key()] {
        let claim = claim(&[("env", "prod"), ("odd", "<\"\u{1f511}\\>")]);
        for (signature, format) in
            [(super::simple(&key, &claim), Format::SimpleSigning), (super::bundle(&key, &claim), Format::Bundle)]
        {
            assert_eq!(signature.format(), format);
            assert!(signature.is_by(key.public()) && !signature.is_by(a_key().public()));
            let [subject] = signature.subjects() else { panic!("{signature:?}") };
            assert_eq!(subject.digest, DIGEST);
            let said: Vec<_> = subject.annotations.iter().map(|(name, it)| (name.as_str(), it.as_str())).collect();
            assert_eq!(said, [("env", Some("prod")), ("odd", Some("<\"\u{1f511}\\>"))]);
            let made = if format == Format::Bundle { Made::Key(key.public().id()) } else { Made::Unknown };
            assert_eq!(signature.made(), made);
        }
    }
}

#[test]
fn the_same_claim_gives_the_same_bytes_where_the_key_draws_no_random_number() {
    let key = an_ed25519_key();
    let claim = claim(&[("a", "1")]);
    assert_eq!(bundle::sign(&key, &claim).unwrap(), bundle::sign(&key, &claim).unwrap());
    assert_eq!(Simple::sign(&key, &claim, "r/x").unwrap(), Simple::sign(&key, &claim, "r/x").unwrap());
    // Of ECDSA, all but the signature.
    let (once, again) = (bundle(&a_key(), &claim), bundle(&a_key(), &claim));
    assert_eq!(once["dsseEnvelope"]["payload"], again["dsseEnvelope"]["payload"]);
}

fn bundle(key: &PrivateKey, claim: &super::Claim) -> Value {
    serde_json::from_slice(&bundle::sign(key, claim).unwrap()).unwrap()
}

#[test]
fn a_payload_is_what_cosign_writes() {
    let made = Simple::sign(&a_key(), &claim(&[]), "127.0.0.1:37043/policies/labels").unwrap();
    let cosigns = include_str!("../../../tests/signatures/ecdsa/payload.json");
    let expected = cosigns.replace(&BY_COSIGN.to_string(), &DIGEST.to_string());
    assert_eq!(String::from_utf8(made.payload).unwrap(), expected);
}

#[test]
fn what_cosign_made_is_read_and_verified() {
    for (key, said, tagged, payload, referring, signed) in [
        (
            include_str!("../../../tests/signatures/ecdsa/key.pub"),
            &[][..],
            include_str!("../../../tests/signatures/ecdsa/tagged.json"),
            include_str!("../../../tests/signatures/ecdsa/payload.json"),
            include_str!("../../../tests/signatures/ecdsa/referring.json"),
            include_str!("../../../tests/signatures/ecdsa/bundle.json"),
        ),
        (
            COSIGNS_RSA_KEY,
            &[("env", "prod"), ("team", "a")][..],
            include_str!("../../../tests/signatures/rsa/tagged.json"),
            include_str!("../../../tests/signatures/rsa/payload.json"),
            include_str!("../../../tests/signatures/rsa/referring.json"),
            include_str!("../../../tests/signatures/rsa/bundle.json"),
        ),
    ] {
        let key = public(key);
        for (manifest, blob) in [(tagged, payload), (referring, signed)] {
            let layers = artifact::layers(manifest.as_bytes()).unwrap();
            let [layer] = &layers[..] else { panic!("{layers:?}") };
            assert_eq!(layer.size, blob.len() as u64);
            let signature = layer.read(blob.into()).unwrap();
            assert!(signature.is_by(&key));
            let [subject] = signature.subjects() else { panic!("{signature:?}") };
            assert_eq!(subject.digest, BY_COSIGN);
            let expected = annotations(said).into_iter().map(|(name, it)| (name, Value::from(it))).collect();
            assert_eq!(subject.annotations, expected);
            // Each byte counts: changed, it is refused at once, or no signature of this key.
            for at in 0..blob.len() {
                let mut other = blob.as_bytes().to_vec();
                other[at] ^= 1;
                assert!(layer.read(other.clone()).is_err(), "the digest of the layer");
                if let Ok(read) = bundle::read(&other)
                    .or_else(|_| Simple { payload: other, signature: signature.signature.clone() }.read())
                {
                    assert!(!read.is_by(&key) || read.subjects() == signature.subjects(), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn a_signature_for_one_payload_is_none_for_another() {
    let key = a_key();
    let [one, other] = [claim(&[]), claim(&[("env", "prod")])];
    let (one, other) = (Simple::sign(&key, &one, "r/x").unwrap(), Simple::sign(&key, &other, "r/x").unwrap());
    let mixed = Simple { payload: other.payload, signature: one.signature }.read().unwrap();
    assert!(!mixed.is_by(key.public()));
    // Nor does the statement count without the envelope's own encoding, or the other way round.
    let made = bundle(&key, &claim(&[]));
    let statement = STANDARD.decode(made["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let mut forged = made.clone();
    forged["dsseEnvelope"]["signatures"][0]["sig"] = STANDARD.encode(key.sign(&statement).unwrap()).into();
    assert!(!bundle::read(forged.to_string().as_bytes()).unwrap().is_by(key.public()));
}

#[test]
fn what_is_no_payload_of_cosigns_is_refused() {
    let good: Value = serde_json::from_slice(&Simple::sign(&a_key(), &claim(&[]), "r/x").unwrap().payload).unwrap();
    let read = |payload: Vec<u8>| Simple { payload, signature: Vec::new() }.read();
    assert!(read(good.to_string().into_bytes()).is_ok());
    for (pointer, value) in [
        ("/critical/type", json!("atomic container signature")),
        ("/critical/type", json!(null)),
        ("/critical/image/docker-manifest-digest", json!(DIGEST.to_string())),
        ("/critical/image/docker-manifest-digest", json!(format!("sha512:{DIGEST}"))),
        ("/critical/image/docker-manifest-digest", json!(format!("sha256:{}", "D1".repeat(32)))),
        ("/critical/image", json!({})),
        ("/critical", json!(null)),
        ("/optional", json!(["x"])),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert!(matches!(read(other.to_string().into_bytes()), Err(Unreadable::Malformed(_))), "{other}");
    }
    assert!(read(format!("{good} x").into_bytes()).is_err());
    let twice = good.to_string().replacen('{', "{\"critical\":{},", 1);
    assert!(read(twice.into_bytes()).is_err(), "which of the two counts, readers differ");
    assert!(read("[".repeat(MAX_MESSAGE).into_bytes()).is_err());
    assert_eq!(read(vec![b' '; MAX_MESSAGE + 1]).unwrap_err(), Unreadable::Large);
}

#[test]
fn what_is_no_bundle_of_a_signature_is_refused() {
    let key = a_key();
    let good = bundle(&key, &claim(&[]));
    let read = |bundle: &Value| bundle::read(bundle.to_string().as_bytes());
    let with = |pointer: &str, value: Value| {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        read(&other)
    };
    for (pointer, value) in [
        ("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.2")),
        ("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.4+json")),
        ("/dsseEnvelope", json!(null)),
        ("/dsseEnvelope/payloadType", json!("text/plain")),
        ("/dsseEnvelope/payload", json!("!")),
        ("/dsseEnvelope/payload", json!(STANDARD.encode("{}"))),
        ("/dsseEnvelope/signatures", json!([])),
        ("/dsseEnvelope/signatures", json!([{"sig": ""}, {"sig": ""}])),
        ("/dsseEnvelope/signatures/0/sig", json!("?")),
    ] {
        assert!(matches!(with(pointer, value.clone()), Err(Unreadable::Malformed(_))), "{pointer} {value}");
    }
    let statement = |kind: &str, predicate: &str, subject: Value| {
        let statement = json!({"_type": kind, "subject": subject, "predicateType": predicate, "predicate": {"x": 1}});
        with("/dsseEnvelope/payload", STANDARD.encode(statement.to_string()).into())
    };
    let (one, sign) = ("https://in-toto.io/Statement/v1", "https://sigstore.dev/cosign/sign/v1");
    let subject = json!([{"digest": {"sha512": "x"}}, {"digest": {"sha256": DIGEST.to_string()}, "name": "x"}]);
    assert_eq!(statement(one, sign, subject.clone()).unwrap().subjects().len(), 1);
    assert!(statement("https://in-toto.io/Statement/v0.1", sign, subject.clone()).is_err());
    assert!(statement(one, sign, json!([])).is_err());
    assert!(statement(one, sign, json!([{"digest": {"sha256": "x"}}])).is_err());
    let attestation = statement(one, "https://slsa.dev/provenance/v1\u{202e}", subject).unwrap_err();
    assert_eq!(
        attestation.to_string(),
        "it is an attestation (https://slsa.dev/provenance/v1\\u{202e}), which says something else than a signature"
    );
    let mut file = good.clone();
    file.as_object_mut().unwrap().remove("dsseEnvelope");
    file["messageSignature"] = json!({"messageDigest": {}, "signature": ""});
    assert_eq!(read(&file).unwrap_err().to_string(), "it signs a file (messageSignature), not an artifact");
    let mut both = good.clone();
    both["messageSignature"] = json!({});
    assert!(read(&both).is_err());
    // What nobody signed may be there or not.
    let mut other = good.clone();
    other["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}, "tlogEntries": [{}], "later": [[]]});
    let keyless = read(&other).unwrap();
    assert_eq!(keyless.made(), Made::Certificate);
    assert!(keyless.is_by(key.public()));
    let large = [good.to_string(), " ".repeat(MAX_SIZE)].concat();
    assert_eq!(bundle::read(large.as_bytes()).unwrap_err(), Unreadable::Large);
    let long = json!([{"digest": {"sha256": DIGEST.to_string()}, "annotations": {"x": "x".repeat(MAX_MESSAGE)}}]);
    assert_eq!(statement(one, sign, long).unwrap_err(), Unreadable::Large);
}

#[test]
fn artifacts_are_read_as_they_were_made() {
    let key = a_key();
    let simples = ["a", "b"].map(|it| Simple::sign(&key, &claim(&[("by", it)]), "r/x").unwrap());
    let first = artifact::tagged(&simples[..1], None).unwrap();
    let config = first.blobs.last().unwrap();
    let both = artifact::tagged(&simples[1..], Some((&first.manifest, &config.bytes))).unwrap();
    let subject = Descriptor { media_type: artifact::MANIFEST.to_owned(), digest: DIGEST, size: 7 };
    let referring = artifact::referring(&subject, bundle::sign(&key, &claim(&[("by", "c")])).unwrap());
    let mut said = Vec::new();
    let blobs = [&first.blobs[..], &both.blobs, &referring.blobs].concat();
    for manifest in [&both.manifest, &referring.manifest] {
        for layer in artifact::layers(manifest).unwrap() {
            let blob = blobs.iter().find(|it| it.digest == layer.digest).unwrap();
            let signature = layer.read(blob.bytes.clone()).unwrap();
            assert!(signature.is_by(key.public()));
            assert_eq!(signature.format(), layer.format());
            said.push(signature.subjects()[0].annotations["by"].clone());
        }
    }
    assert_eq!(said, ["a", "b", "c"]);
    let manifest: Value = serde_json::from_slice(&referring.manifest).unwrap();
    assert_eq!(
        manifest["subject"],
        json!({"mediaType": artifact::MANIFEST, "digest": format!("sha256:{DIGEST}"), "size": 7})
    );
    assert_eq!(manifest["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(artifact::tag(DIGEST), format!("sha256-{}.sig", "d1".repeat(32)));
}

#[test]
fn manifests_that_hold_no_signatures_say_so() {
    let manifest = |layers: Value| json!({"schemaVersion": 2, "layers": layers}).to_string().into_bytes();
    let wasm = json!({"mediaType": "application/wasm", "digest": "sha256:x", "size": 1});
    assert_eq!(artifact::layers(&manifest(json!([wasm]))), Ok(Vec::new()));
    for broken in ["", "{}", "{\"layers\": {}}", "{\"layers\": [{}]}"] {
        assert!(matches!(artifact::layers(broken.as_bytes()), Err(Unreadable::Malformed(_))), "{broken}");
    }
    let bundle = |digest: &str, size: u64| {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        artifact::layers(&manifest(json!([{"mediaType": kind, "digest": digest, "size": size}])))
    };
    assert!(bundle(&format!("sha256:{DIGEST}"), MAX_SIZE as u64).is_ok());
    assert_eq!(bundle(&format!("sha256:{DIGEST}"), MAX_SIZE as u64 + 1), Err(Unreadable::Large));
    assert!(bundle(&format!("sha512:{DIGEST}"), 1).is_err());
    let simple = |annotations: Value| {
        let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let layer = json!({"mediaType": kind, "digest": digest, "size": 0, "annotations": annotations});
        artifact::layers(&manifest(json!([layer]))).unwrap().remove(0).read(Vec::new()).unwrap_err().to_string()
    };
    let missing = "its layer has no signature in base64";
    assert_eq!(simple(json!(null)), missing);
    assert_eq!(simple(json!({"dev.cosignproject.cosign/signature": "?"})), missing);
    assert_eq!(simple(json!({"dev.cosignproject.cosign/signature": ""})), "its payload is none of cosign's");
    assert!(artifact::tagged(&[], Some((&manifest(json!([wasm])), b"{}"))).is_err());
}
