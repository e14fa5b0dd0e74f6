use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::{
        Claim, Format, Found, MOST, Miss, Signature, Unreadable,
        key::PublicKey,
        private::PrivateKey,
        requirement::{Requirement, Wrong},
    },
    DIGEST, OTHER, a_key, an_ed25519_key, annotations, bundle, claim, simple,
};

fn signer(key: &PrivateKey, said: &Value) -> Value {
    json!({"kind": "pubKey", "key": key.public().pem(), "annotations": said})
}

fn read(declared: Value) -> Result<Requirement, Vec<Wrong>> {
    Requirement::read(serde_json::from_value(declared).unwrap())
}

fn found(all: Vec<Signature>) -> Found {
    let mut found = Found::default();
    all.into_iter().for_each(|it| found.add(Ok(it)));
    found
}

/// How many count, or why they are not enough.
fn check(declared: &Value, all: Vec<Signature>) -> Result<usize, String> {
    let checked = read(declared.clone()).unwrap().check(DIGEST, &found(all));
    checked.map(|it| it.len()).map_err(|it| it.to_string())
}

#[test]
fn a_signature_of_either_format_by_the_key_is_enough() {
    for key in [a_key(), an_ed25519_key()] {
        let declared = json!({"allOf": [signer(&key, &json!(null))]});
        assert_eq!(check(&declared, vec![simple(&key, &claim(&[]))]), Ok(1));
        assert_eq!(check(&declared, vec![bundle(&key, &claim(&[("more", "x")]))]), Ok(1));
        // Beside others that do not count.
        let others = [simple(&a_key(), &claim(&[])), bundle(&key, &claim(&[])), bundle(&a_key(), &claim(&[]))];
        assert_eq!(check(&declared, others.into()), Ok(1));
    }
}

#[test]
fn what_counted_is_told() {
    let key = a_key();
    let declared = json!({"allOf": [{"kind": "pubKey", "key": key.public().pem(), "owner": "team\u{202e} a"}]});
    let counted = read(declared).unwrap().check(DIGEST, &found(vec![bundle(&key, &claim(&[]))])).unwrap();
    assert_eq!(
        (counted[0].key, counted[0].owner.as_deref(), counted[0].format),
        (key.public().id(), Some("team\\u{202e} a"), Format::Bundle)
    );
}

#[test]
fn the_words_say_precisely_why_not() {
    let (key, other) = (a_key(), a_key());
    let id = key.public().id().short();
    let declared = json!({"allOf": [{"kind": "pubKey", "key": key.public().pem(), "owner": "alice", "annotations": {"env": "prod"}}]});
    let why = |all: Vec<Signature>| check(&declared, all).unwrap_err();
    let elsewhere = Claim { digest: OTHER, annotations: annotations(&[("env", "prod")]) };
    assert_eq!(
        why(Vec::new()),
        format!("allOf[0]: there is no signature at all, and the key {id} of alice must have signed")
    );
    assert_eq!(
        why(vec![simple(&other, &claim(&[("env", "prod")]))]),
        format!("allOf[0]: none of the signatures is by the key {id} of alice")
    );
    assert_eq!(
        why(vec![bundle(&other, &claim(&[("env", "prod")]))]),
        format!(
            "allOf[0]: none of the signatures is by the key {id} of alice; one says that it is by a key {}",
            other.public().id().short()
        )
    );
    assert_eq!(
        why(vec![bundle(&key, &elsewhere), bundle(&other, &claim(&[]))]),
        format!("allOf[0]: the key {id} of alice signed something else: sha256:{OTHER}")
    );
    assert_eq!(
        why(vec![bundle(&key, &elsewhere), bundle(&key, &claim(&[]))]),
        format!("allOf[0]: the key {id} of alice signed without the annotation \"env\", which must be \"prod\"")
    );
    assert_eq!(
        why(vec![simple(&key, &claim(&[("env", "test\n")]))]),
        format!(
            "allOf[0]: the key {id} of alice signed with the annotation \"env\" as \"test\\n\", which must be \"prod\""
        )
    );
    let mut unreadable = Found::default();
    unreadable.add(Err(Unreadable::Malformed("it is no Sigstore bundle")));
    unreadable.add(Err(Unreadable::Large));
    assert_eq!(
        read(declared).unwrap().check(DIGEST, &unreadable).unwrap_err().to_string(),
        format!(
            "allOf[0]: there is no signature at all, and the key {id} of alice must have signed; 2 of what was found is no \
             signature that counts, the first since it is no Sigstore bundle"
        )
    );
}

#[test]
fn an_annotation_that_is_no_text_is_never_the_text() {
    let key = a_key();
    let declared = json!({"allOf": [signer(&key, &json!({"n": "7"}))]});
    let mut signature = bundle(&key, &claim(&[("n", "7")]));
    assert_eq!(check(&declared, vec![signature.clone()]), Ok(1));
    signature.subjects[0].annotations = BTreeMap::from([("n".to_owned(), json!(7))]);
    assert!(check(&declared, vec![signature]).unwrap_err().contains("as \"something that is no text\""));
}

#[test]
fn all_of_means_all_and_any_of_as_many_as_it_says() {
    let keys = [a_key(), a_key(), a_key()];
    let signed = |by: &[usize]| by.iter().map(|at| bundle(&keys[*at], &claim(&[]))).collect::<Vec<_>>();
    let all: Vec<Value> = keys.iter().map(|it| signer(it, &json!(null))).collect();
    let all_of = json!({"allOf": all});
    assert_eq!(check(&all_of, signed(&[0, 1, 2])), Ok(3));
    let why = check(&all_of, signed(&[0, 2])).unwrap_err();
    assert!(why.starts_with("allOf[1]: none of the signatures is by"), "{why}");
    let any_of = json!({"anyOf": {"minimumMatches": 2, "signatures": all}});
    assert_eq!(check(&any_of, signed(&[0, 1, 2])), Ok(3));
    assert_eq!(check(&any_of, signed(&[2, 0])), Ok(2));
    let why = check(&any_of, signed(&[1, 1])).unwrap_err();
    assert!(why.starts_with("anyOf wants 2 and has 1: anyOf.signatures[0]: none of the signatures is by"), "{why}");
    assert!(why.contains("; anyOf.signatures[2]: none"), "{why}");
    // One is the default.
    assert_eq!(check(&json!({"anyOf": {"signatures": all}}), signed(&[1])), Ok(1));
    let both = json!({"allOf": [all[0]], "anyOf": {"signatures": [all[1], all[2]]}});
    assert_eq!(check(&both, signed(&[0, 2])), Ok(2));
    let why = check(&both, signed(&[0])).unwrap_err();
    assert!(why.starts_with("anyOf wants 1 and has 0: "), "{why}");
    let why = check(&both, signed(&[1])).unwrap_err();
    assert!(why.starts_with("allOf[0]: none of the signatures is by") && !why.contains("anyOf"), "{why}");
    let why = check(&both, signed(&[])).unwrap_err();
    assert!(
        why.starts_with("allOf[0]: there is no signature at all") && why.contains("; anyOf wants 1 and has 0: "),
        "{why}"
    );
}

#[test]
fn one_signature_counts_once_for_one_key() {
    let (key, other) = (a_key(), a_key());
    let declared = json!({"anyOf": {"minimumMatches": 2, "signatures": [
        signer(&key, &json!({"a": "1"})), signer(&key, &json!({"b": "2"})), signer(&other, &json!(null)),
    ]}});
    let both = bundle(&key, &claim(&[("a", "1"), ("b", "2")]));
    let why = check(&declared, vec![both.clone(), both.clone()]).unwrap_err();
    assert!(why.contains("signed once, and that counts for another item with the same key"), "{why}");
    // From one signature of ECDSA anybody makes a second over the same words: s, and the order of the group less s.
    let mut twin = both.clone();
    twin.signature = a_twin(&both.signature);
    assert!(twin.is_by(key.public()) && twin.signature != both.signature);
    assert!(check(&declared, vec![both.clone(), twin]).is_err());
    assert_eq!(check(&declared, vec![both.clone(), bundle(&key, &claim(&[("b", "2")]))]), Ok(2));
    // Whichever is looked at first: the one that can do both leaves the other its own.
    assert_eq!(check(&declared, vec![both.clone(), bundle(&key, &claim(&[("a", "1")]))]), Ok(2));
    assert_eq!(check(&declared, vec![bundle(&key, &claim(&[("a", "1")])), both.clone()]), Ok(2));
    assert_eq!(check(&declared, vec![both, bundle(&other, &claim(&[]))]), Ok(2));
}

/// Of a signature in ASN.1, (r, n - s).
fn a_twin(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let r = &signature[2..4 + usize::from(signature[3])];
    let s = &signature[2 + r.len()..][2..];
    let s = [&[0; 33], s].concat();
    let s = &s[s.len() - 32..];
    let mut other = [0; 33];
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let digit = i16::from(ORDER[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(digit < 0);
        other[at + 1] = digit.rem_euclid(256) as u8;
    }
    let short = other.windows(2).position(|it| it[0] != 0 || it[1] & 0x80 != 0).unwrap();
    let s = [&[2, (33 - short) as u8], &other[short..]].concat();
    [&[0x30, (r.len() + s.len()) as u8], r, &s].concat()
}

#[test]
fn no_more_are_looked_at_than_somebody_could_need() {
    let key = a_key();
    let requirement = Requirement::by(vec![key.public().clone(), key.public().clone()], &BTreeMap::new()).unwrap();
    let junk = bundle(&a_key(), &claim(&[]));
    let mut full = found(vec![junk; MOST]);
    assert!(full.is_full());
    full.add(Ok(bundle(&key, &claim(&[]))));
    let why = requirement.check(DIGEST, &full).unwrap_err();
    assert_eq!(why.unmet.len(), 1);
    assert!(matches!(why.unmet[0].why, Miss::OtherKey(Some(_))));
    assert!(why.to_string().ends_with("; 1 more were not looked at"), "{why}");
    assert!(Requirement::by(Vec::new(), &BTreeMap::new()).is_none());
}

#[test]
fn words_are_bounded_however_much_is_unmet() {
    let keys: Vec<PrivateKey> = (0..32).map(|_| a_key()).collect();
    let long = json!({"x".repeat(256): "y".repeat(1024)});
    let all: Vec<Value> = keys.iter().map(|it| signer(it, &long)).collect();
    let signed = keys.iter().map(|it| bundle(it, &claim(&[("x", "z")]))).collect();
    let why = check(&json!({"allOf": all, "anyOf": {"signatures": all}}), signed).unwrap_err();
    assert!(why.contains("; and 60 others") && why.len() < 2000, "{} {why}", why.len());
}

#[test]
fn a_declaration_that_asks_for_nothing_or_too_much_is_refused() {
    let key = a_key();
    let pem = key.public().pem();
    let good = signer(&key, &json!(null));
    for (declared, path, words) in [
        (json!({}), "", "expected allOf, anyOf or both"),
        (json!({"allOf": []}), "", "expected allOf, anyOf or both"),
        (json!({"anyOf": {"signatures": []}}), "anyOf.minimumMatches", "is larger than"),
        (json!({"anyOf": {"minimumMatches": 2, "signatures": [good]}}), "anyOf.minimumMatches", "is larger than"),
        (json!({"anyOf": {"minimumMatches": 0, "signatures": [good]}}), "anyOf.minimumMatches", "expected at least 1"),
        (json!({"allOf": [good, good]}), "allOf[1]", "the same key with the same annotations"),
        (json!({"allOf": [{"kind": "pubKey"}]}), "allOf[0].key", "is required"),
        (json!({"allOf": [{"kind": "pubKey", "key": "x"}]}), "allOf[0].key", "expected PEM"),
        (json!({"allOf": [good, {"kind": "githubAction", "owner": "x"}]}), "allOf[1].kind", "keyless signatures"),
        (
            json!({"anyOf": {"signatures": [{"kind": "genericIssuer", "issuer": "x", "subject": {"equal": "x"}}]}}),
            "anyOf.signatures[0].kind",
            "keyless signatures",
        ),
        (
            json!({"allOf": [{"kind": "pubKey", "key": pem, "repo": "x"}]}),
            "allOf[0].repo",
            "means nothing for kind pubKey",
        ),
        (json!({"allOf": vec![good.clone(); 33]}), "allOf", "expected at most 32 items; got 33"),
        (
            json!({"allOf": [signer(&key, &json!({"": "x"}))]}),
            "allOf[0].annotations",
            "expected at most 32 annotations",
        ),
    ] {
        let wrong = read(declared.clone()).unwrap_err();
        assert!(wrong[0].path == path && wrong[0].message.contains(words), "{declared}: {wrong:?}");
    }
    // A private key in a file that many read is told, and not repeated.
    let private = super::super::private::KeyPair::generate().unwrap().private;
    let wrong = read(json!({"allOf": [{"kind": "pubKey", "key": private}]})).unwrap_err();
    assert!(wrong[0].message.contains("it is a private key") && !wrong[0].message.contains(&private[40..60]));
    assert!(PublicKey::from_pem(&pem).is_ok());
}
