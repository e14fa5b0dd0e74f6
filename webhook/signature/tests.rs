mod formats;
mod keys;
mod requirements;

use std::collections::BTreeMap;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::{
    Claim, Signature,
    key::PublicKey,
    pem,
    private::{KeyPair, PrivateKey},
    simple::Simple,
};
use crate::spec::Digest;

/// What is signed here.
const DIGEST: Digest = Digest([0xd1; 32]);
const OTHER: Digest = Digest([0x07; 32]);

fn a_key() -> PrivateKey {
    PrivateKey::from_pem(&KeyPair::generate().unwrap().private).unwrap()
}

/// As openssl writes it: without the public key.
fn an_ed25519_key() -> PrivateKey {
    PrivateKey::from_pem(&pem::written("PRIVATE KEY", &ed25519([42; 32]))).unwrap()
}

fn ed25519(seed: [u8; 32]) -> Vec<u8> {
    assert_eq!(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().public_key().as_ref().len(), 32);
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&head[..], &seed].concat()
}

/// What cosign signed, in `tests/signatures`.
const BY_COSIGN: Digest = Digest([
    0xdb, 0x72, 0x62, 0x5a, 0xd8, 0x2b, 0x5f, 0x69, 0xf0, 0x15, 0x02, 0xfa, 0xb6, 0x62, 0x89, 0x8c, 0x9c, 0x01, 0x6e,
    0x35, 0x2e, 0xa1, 0xbc, 0xdf, 0x7c, 0x45, 0x9e, 0xcd, 0x29, 0x56, 0xa1, 0x80,
]);
const COSIGNS_RSA_KEY: &str = include_str!("../../tests/signatures/rsa/key.pub");

fn annotations(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn claim(all: &[(&str, &str)]) -> Claim {
    Claim { digest: DIGEST, annotations: annotations(all) }
}

fn simple(key: &PrivateKey, claim: &Claim) -> Signature {
    Simple::sign(key, claim, "registry.example.org/policies/labels").unwrap().read().unwrap()
}

fn bundle(key: &PrivateKey, claim: &Claim) -> Signature {
    super::bundle::read(&super::bundle::sign(key, claim).unwrap()).unwrap()
}

fn public(pem: &str) -> PublicKey {
    PublicKey::from_pem(pem).unwrap()
}
