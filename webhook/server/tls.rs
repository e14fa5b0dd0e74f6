//! Certificates: from PEM to what rustls serves with, and when they expire.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::names::{ClientName, Named, NotListed};
use crate::observe::HandshakeFailure;

/// What is wrong with the certificates, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates is not PEM.
    #[error("{file} is not PEM: {why}")]
    NotPem {
        /// Which.
        file: PemFile,
        /// What the reader says.
        why: pem::Error,
    },
    /// There is no certificate in it.
    #[error("{0} has no CERTIFICATE in PEM")]
    Empty(PemFile),
    /// What is in it is not an X.509 certificate.
    #[error("{0} cannot be read")]
    Unreadable(PemFile),
    /// The key is no key.
    #[error("the key is not a private key in PEM: {0}")]
    Key(pem::Error),
    /// Nobody can be trusted by it.
    #[error("the client CA cannot be used: {0}")]
    ClientCa(String),
    /// The key belongs to another certificate, or is of a kind that is not served with.
    #[error("the certificate and the key do not fit: {0}")]
    Mismatch(rustls::Error),
    /// rustls offers no version of TLS.
    #[error("{0}")]
    Versions(rustls::Error),
}

/// A file that certificates are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemFile {
    /// The server's own chain.
    Certificate,
    /// Those who sign clients.
    ClientCa,
}

impl PemFile {
    /// The value of the metric label `file`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::ClientCa => "client_ca",
        }
    }
}

impl fmt::Display for PemFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "the certificate",
            Self::ClientCa => "the client CA",
        })
    }
}

/// The server's certificate chain and key, and those whom it trusts to sign clients, all as PEM.
pub struct Pem<'a> {
    /// The chain, the server's own certificate first.
    pub certificate: &'a [u8],
    /// PKCS #8, SEC 1 or PKCS #1.
    pub key: &'a [u8],
    /// Certificates of CAs; every client must then show a certificate of one of them.
    pub client_ca: Option<&'a [u8]>,
    /// The names of which the client's certificate must have one; none: every name will do.
    pub client_names: &'a [ClientName],
}

/// What new connections are served with: other certificates from one moment to the next. Connections that are open stay as they are.
pub struct Current(ArcSwap<ServerConfig>);

impl Current {
    /// Until it is replaced.
    pub fn new(config: Arc<ServerConfig>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(config)))
    }

    /// From now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    /// For one connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.load_full().into()
    }
}

impl Pem<'_> {
    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// Which of the three is wrong, and how.
    pub fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.made(false).map(Arc::new)
    }

    /// For a listener that answers callers without a certificate, too, by HTTP/1.1: what a certificate that is shown is good for is asked later,
    /// but it must be one of the client CA.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub fn config_for_anybody(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = self.made(true)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn made(&self, for_anybody: bool) -> Result<ServerConfig, TlsError> {
        let chain = certificates(self.certificate, PemFile::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key).map_err(TlsError::Key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?;
        let builder = match self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, PemFile::ClientCa)? {
                    roots.add(certificate).map_err(|error| TlsError::ClientCa(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if for_anybody { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| TlsError::ClientCa(error.to_string()))?;
                if for_anybody || self.client_names.is_empty() {
                    builder.with_client_cert_verifier(verifier)
                } else {
                    let named = Named { inner: verifier, names: self.client_names.to_vec() };
                    builder.with_client_cert_verifier(Arc::new(named))
                }
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Mismatch)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Why the client CA looks like one that signs for many others as well, a cluster's own above all; `None` if it does not.
    ///
    /// # Errors
    /// It is not a certificate.
    pub fn broad_client_ca(&self) -> Result<Option<String>, TlsError> {
        let Some(pem) = self.client_ca else { return Ok(None) };
        let all = certificates(pem, PemFile::ClientCa)?;
        if all.len() > 1 {
            return Ok(Some(format!("it has {} certificates", all.len())));
        }
        for der in &all {
            let unreadable = |_| TlsError::Unreadable(PemFile::ClientCa);
            let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(unreadable)?;
            let subject = certificate.subject();
            let mut names =
                subject.iter_common_name().chain(subject.iter_organization()).filter_map(|it| it.as_str().ok());
            if let Some(name) = names.find(|name| is_a_clusters(name)) {
                return Ok(Some(format!("it is called {name:?}")));
            }
        }
        Ok(None)
    }

    /// When the first certificate of each file expires: of the server's chain, of the client CAs.
    ///
    /// # Errors
    /// It is not a certificate.
    pub fn expiries(&self) -> Result<Vec<(PemFile, SystemTime)>, TlsError> {
        let files = [Some((PemFile::Certificate, self.certificate)), self.client_ca.map(|it| (PemFile::ClientCa, it))];
        files.into_iter().flatten().map(|(file, pem)| Ok((file, expiry(pem, file)?))).collect()
    }
}

fn expiry(pem: &[u8], file: PemFile) -> Result<SystemTime, TlsError> {
    let unreadable = || TlsError::Unreadable(file);
    let mut first = u64::MAX;
    for der in certificates(pem, file)? {
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
        first = first.min(u64::try_from(certificate.validity().not_after.timestamp()).map_err(|_| unreadable())?);
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(first)).ok_or_else(unreadable)
}

/// The names that kubeadm, its like and the large providers give to the CA that signs a cluster's clients, kubelets included.
fn is_a_clusters(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["kubernetes", "kube-", "k3s-", "rke2-", "minikube", "k0s", "openshift", "eks", "gke", "aks"]
        .iter()
        .any(|it| name.starts_with(it))
}

/// Why a handshake failed.
pub(crate) fn reason(error: &std::io::Error) -> HandshakeFailure {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    match inner {
        Some(InvalidCertificate(CertificateError::Other(other))) if other.0.is::<NotListed>() => HandshakeFailure::Name,
        Some(InvalidCertificate(_) | NoCertificatesPresented) => HandshakeFailure::Certificate,
        Some(_) => HandshakeFailure::Protocol,
        None => HandshakeFailure::Io,
    }
}

/// At least one.
fn certificates(pem: &[u8], file: PemFile) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|why| TlsError::NotPem { file, why })?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(file));
    }
    Ok(certificates)
}
