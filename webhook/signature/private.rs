//! Private keys: never shown, not even by Debug, and no error repeats any of one.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

use super::{
    key::{Algorithm, PUBLIC, PublicKey},
    pem::{self, PemError},
};

/// A key that signs.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Of PKCS #8 as PEM, not encrypted, as `verdict keygen` and `openssl genpkey` write it: ECDSA P-256 or Ed25519.
    ///
    /// # Errors
    /// It is something else; the words say what to do and hold none of it.
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        match pem::label(text)? {
            PRIVATE => {}
            PUBLIC => return Err(PrivateKeyError::Public),
            label if label.starts_with("ENCRYPTED") && (label.contains("SIGSTORE") || label.contains("COSIGN")) => {
                return Err(PrivateKeyError::Cosign);
            }
            "ENCRYPTED PRIVATE KEY" => return Err(PrivateKeyError::Encrypted),
            "EC PRIVATE KEY" | "RSA PRIVATE KEY" => return Err(PrivateKeyError::Old),
            label => return Err(PrivateKeyError::Label(pem::shown(label))),
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| PrivateKeyError::Encoding)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, PrivateKeyError> {
        let random = SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            let key = pair.public_key().as_ref().to_vec();
            return Ok(Self { pair: Pair::Ecdsa(pair), public: PublicKey { algorithm: Algorithm::EcdsaP256, key } });
        }
        // openssl writes no public key beside it, which is no fault.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| PrivateKeyError::Algorithm)?;
        let key = pair.public_key().as_ref().to_vec();
        Ok(Self { pair: Pair::Ed25519(pair), public: PublicKey { algorithm: Algorithm::Ed25519, key } })
    }

    /// What others compare its signatures with.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoRandomNumbers> {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| NoRandomNumbers)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// Why a text is no key that signs here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// It is no PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Somebody took the wrong file.
    #[error("it is a public key, which cannot sign: give the private key beside it")]
    Public,
    /// Of `cosign generate-key-pair`.
    #[error(
        "it is a key of cosign's, encrypted with a password, which is not decrypted here: sign with cosign itself, or make a key for \
         this (verdict keygen) and trust both"
    )]
    Cosign,
    /// PKCS #8 with a password.
    #[error(
        "it is encrypted with a password: decrypt it first (openssl pkcs8 -in FILE -out NEW), and remove the copy afterwards"
    )]
    Encrypted,
    /// SEC 1 and PKCS #1.
    #[error("it is a private key in an old form: convert it (openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW)")]
    Old,
    /// PEM of something else.
    #[error("expected -----BEGIN PRIVATE KEY-----, got {0:?}")]
    Label(String),
    /// Its base64.
    #[error("it is damaged: its base64 cannot be read")]
    Encoding,
    /// RSA and other curves among others.
    #[error("it is damaged, or a key of another kind: ECDSA P-256 (verdict keygen) and Ed25519 sign here")]
    Algorithm,
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomNumbers;

/// A new pair of ECDSA P-256, as PEM.
pub struct KeyPair {
    /// PKCS #8.
    pub private: String,
    /// SubjectPublicKeyInfo.
    pub public: PublicKey,
}

impl KeyPair {
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, NoRandomNumbers> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let made = made.map_err(|_| NoRandomNumbers)?;
        let key = PrivateKey::from_pkcs8(made.as_ref()).map_err(|_| NoRandomNumbers)?;
        Ok(Self { private: pem::written(PRIVATE, made.as_ref()), public: key.public })
    }
}

const PRIVATE: &str = "PRIVATE KEY";
