//! Certificates: development ones, which are a CA, a server's and a client's for kube-apiserver to show; and the parts that those of a cluster
//! are made of.
//!
//! Makes PEM; where it is written is the caller's affair.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// What a development set-up needs.
#[derive(Clone)]
pub struct Bundle {
    /// Signs the other two.
    pub ca: Pair,
    /// The server's.
    pub server: Pair,
    /// For callers, kube-apiserver above all.
    pub client: Pair,
}

/// Certificates could not be made, a bad name for example.
#[derive(Debug, thiserror::Error)]
#[error("the certificates cannot be made: {0}")]
pub struct CertsError(#[from] rcgen::Error);

impl Bundle {
    /// A server certificate for `names`, DNS names and IP addresses. ECDSA P-256, valid for [`VALID_DAYS`] days.
    ///
    /// # Errors
    /// A name is neither.
    pub fn generate(names: &[String]) -> Result<Self, CertsError> {
        let now = SystemTime::now();
        // Clocks of callers may be a little behind.
        let validity = Validity { from: now - HOUR, until: now + HOUR * 24 * VALID_DAYS };
        let ca = authority(DEVELOPMENT, validity)?;
        let signer = Signer { called: DEVELOPMENT, key: &ca.key };
        let server = leaf(names, "verdict", ExtendedKeyUsagePurpose::ServerAuth, &signer, validity)?;
        let client = leaf(&[], CLIENT, ExtendedKeyUsagePurpose::ClientAuth, &signer, validity)?;
        Ok(Self { ca, server, client })
    }
}

/// From when to when a certificate is good.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

/// A CA that [`authority`] made.
pub(crate) struct Signer<'a> {
    /// Its common name.
    pub(crate) called: &'a str,
    /// PEM.
    pub(crate) key: &'a str,
}

/// A CA that signs certificates of servers and clients, and no other CAs. ECDSA P-256.
///
/// # Errors
/// The times are not ones of this calendar.
pub(crate) fn authority(called: &str, validity: Validity) -> Result<Pair, CertsError> {
    let key = KeyPair::generate()?;
    let mut ca = params(&[], called, validity)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = AUTHORITY_USAGES.to_vec();
    Ok(Pair { certificate: ca.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// A certificate of a server under `names`, DNS names and IP addresses.
///
/// # Errors
/// A name is neither, or the signer's key is none.
pub(crate) fn server(names: &[String], signer: &Signer<'_>, validity: Validity) -> Result<Pair, CertsError> {
    leaf(names, "verdict", ExtendedKeyUsagePurpose::ServerAuth, signer, validity)
}

fn leaf(
    names: &[String],
    common_name: &str,
    usage: ExtendedKeyUsagePurpose,
    signer: &Signer<'_>,
    validity: Validity,
) -> Result<Pair, CertsError> {
    let mut of_signer = CertificateParams::default();
    of_signer.distinguished_name = called(signer.called);
    of_signer.key_usages = AUTHORITY_USAGES.to_vec();
    let issuer = Issuer::new(of_signer, KeyPair::from_pem(signer.key)?);
    let key = KeyPair::generate()?;
    let mut params = params(names, common_name, validity)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

fn params(names: &[String], common_name: &str, validity: Validity) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = called(common_name);
    params.not_before = calendar(validity.from)?;
    params.not_after = calendar(validity.until)?;
    Ok(params)
}

fn called(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn calendar(time: SystemTime) -> Result<OffsetDateTime, CertsError> {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()),
        Err(before) => i64::try_from(before.duration().as_secs()).map(|it| -it),
    };
    let time = seconds.ok().and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    Ok(time.ok_or(rcgen::Error::Time)?)
}

/// The name in the client's certificate.
pub const CLIENT: &str = "kube-apiserver";

/// For how long development certificates are good.
pub const VALID_DAYS: u32 = 365;

const DEVELOPMENT: &str = "Verdict development CA";
const AUTHORITY_USAGES: [KeyUsagePurpose; 3] =
    [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
const HOUR: Duration = Duration::from_secs(3600);
