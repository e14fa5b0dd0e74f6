//! Development certificates: a CA, a server's certificate, and a client's for kube-apiserver to show.
//!
//! Makes PEM; where it is written is the caller's affair.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A certificate and its key, as PEM.
#[derive(Clone)]
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
        let ca_key = KeyPair::generate()?;
        let mut ca = params(&[], "Verdict development CA")?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let issuer = Issuer::from_params(&ca, &ca_key);
        let server = leaf(names, "verdict", ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
        let client = leaf(&[], CLIENT, ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
        Ok(Self { ca: Pair { certificate: ca_pem, key: ca_key.serialize_pem() }, server, client })
    }
}

fn leaf(
    names: &[String],
    common_name: &str,
    usage: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, &KeyPair>,
) -> Result<Pair, CertsError> {
    let key = KeyPair::generate()?;
    let mut params = params(names, common_name)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, issuer)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

fn params(names: &[String], common_name: &str) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Clocks of callers may be a little behind.
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(VALID_DAYS);
    Ok(params)
}

/// The name in the client's certificate.
pub const CLIENT: &str = "kube-apiserver";

/// For how long development certificates are good.
pub const VALID_DAYS: i64 = 365;
