//! Public keys: ECDSA over P-256 with SHA-256, RSA of 2048 to 8192 bits (PKCS #1 v1.5 with SHA-256, as cosign signs) and Ed25519.
//!
//! cosign 3.1 signs with Ed25519ph where it is given an Ed25519 key, and verifies pure Ed25519: its own signatures by such a key do not
//! verify with it, and not here either.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use super::{
    pem::{self, PemError},
    spki,
};
use crate::spec::Digest;

/// A kind of key with the way it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256, SHA-256, signatures in ASN.1.
    EcdsaP256,
    /// PKCS #1 v1.5, SHA-256.
    Rsa,
    /// Pure Ed25519 (RFC 8032), not Ed25519ph.
    Ed25519,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Rsa => "RSA",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// SHA-256 of a key's SubjectPublicKeyInfo: what cosign's hints hold too, in base64. Shown as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub Digest);

impl KeyId {
    /// As bundles name a key.
    pub(super) fn hint(self) -> String {
        STANDARD.encode(self.0.0)
    }

    /// None: the hint is another one; whoever made the bundle chooses it.
    pub(super) fn of_hint(hint: &str) -> Option<Self> {
        let bytes = STANDARD.decode(hint).ok()?;
        Some(Self(Digest(bytes.try_into().ok()?)))
    }

    /// The first 16 digits, which is enough to tell one's own keys apart.
    pub fn short(self) -> String {
        self.0.to_string().chars().take(16).collect()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key that signatures are compared with. Two are equal if they are the same key, however it was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    pub(super) algorithm: Algorithm,
    /// As *ring* takes it.
    pub(super) key: Vec<u8>,
}

impl PublicKey {
    /// Of PEM, as `verdict keygen`, cosign and openssl write it.
    ///
    /// # Errors
    /// It is something else; words for whoever wrote it, which hold none of it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match pem::label(text)? {
            PUBLIC => {}
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => return Err(KeyError::Certificate),
            "RSA PUBLIC KEY" => return Err(KeyError::OldRsa),
            label if label.contains("PRIVATE KEY") => return Err(KeyError::Private),
            label => return Err(KeyError::Label(pem::shown(label))),
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Encoding)?;
        let (algorithm, key) = spki::read(&der)?;
        Ok(Self { algorithm, key })
    }

    /// As [`Self::from_pem`] reads it.
    pub fn pem(&self) -> String {
        pem::written(PUBLIC, &spki::written(self.algorithm, &self.key))
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What it is called in messages and in bundles.
    pub fn id(&self) -> KeyId {
        KeyId(Digest(Sha256::digest(spki::written(self.algorithm, &self.key)).into()))
    }

    /// Whether this key made `signature` over exactly these bytes.
    pub(super) fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm, self.id())
    }
}

/// Why a text is no public key that counts here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Somebody took the wrong file.
    #[error(
        "it is a private key, and whoever can read it can sign: take it away from here, make a new pair (verdict keygen) if others \
         saw it, and give the public key (openssl pkey -in FILE -pubout)"
    )]
    Private,
    /// As TLS has it.
    #[error(
        "it is a certificate, and certificates are not looked at: give its public key (openssl x509 -in FILE -noout -pubkey)"
    )]
    Certificate,
    /// PKCS #1.
    #[error("it is an RSA key in its old form: convert it (openssl rsa -RSAPublicKey_in -in FILE -pubout)")]
    OldRsa,
    /// PEM of something else.
    #[error("expected -----BEGIN PUBLIC KEY-----, got {0:?}")]
    Label(String),
    /// Its base64 or its ASN.1.
    #[error("it is damaged: between BEGIN PUBLIC KEY and END PUBLIC KEY there is no key in DER")]
    Encoding,
    /// ECDSA with another curve.
    #[error("it is an ECDSA key over {0}; {KNOWN}")]
    Curve(&'static str),
    /// RSA, too small or too large.
    #[error("it is an RSA key of {0} bits; {KNOWN}")]
    RsaSize(usize),
    /// DSA, Ed448, RSA-PSS and others.
    #[error("it is a key of another kind; {KNOWN}")]
    Algorithm,
}

pub(super) const PUBLIC: &str = "PUBLIC KEY";
const KNOWN: &str = "ECDSA P-256, RSA of 2048 to 8192 bits, and Ed25519 count here";
