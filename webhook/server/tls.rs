//! Certificates: from PEM to what rustls serves with, and when they expire.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

/// What is wrong with the certificates, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The server's certificate chain and key, and those whom it trusts to sign clients, all as PEM.
pub struct Pem<'a> {
    /// The chain, the server's own certificate first.
    pub certificate: &'a [u8],
    /// PKCS #8, SEC 1 or PKCS #1.
    pub key: &'a [u8],
    /// Certificates of CAs; every client must then show a certificate of one of them.
    pub client_ca: Option<&'a [u8]>,
}

impl Pem<'_> {
    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// Which of the three is wrong, and how.
    pub fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(self.certificate, "the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key)
            .map_err(|error| TlsError(format!("the key is not a private key in PEM: {error}")))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?;
        let builder = match self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, "the client CA")? {
                    roots
                        .add(certificate)
                        .map_err(|error| TlsError(format!("the client CA cannot be used: {error}")))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| TlsError(format!("the client CA cannot be used: {error}")))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| TlsError(format!("the certificate and the key do not fit: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// When the server's certificate expires.
    ///
    /// # Errors
    /// It is not a certificate.
    pub fn expiry(&self) -> Result<SystemTime, TlsError> {
        let chain = certificates(self.certificate, "the certificate")?;
        let unreadable = || TlsError("the certificate cannot be read".to_owned());
        let (_, certificate) = x509_parser::parse_x509_certificate(&chain[0]).map_err(|_| unreadable())?;
        let seconds = u64::try_from(certificate.validity().not_after.timestamp()).map_err(|_| unreadable())?;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

/// At least one.
fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError(format!("{what} is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(TlsError(format!("{what} has no CERTIFICATE in PEM")));
    }
    Ok(certificates)
}
