//! The callers: keep-alive connections that send one request, made beforehand, over and over.
//!
//! As cheap as can be, since they share the machine with the server that is measured.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::answer::{self, Expected};

/// Where requests go, what they are, and what must come back.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// None: in the clear, as some peers are.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) request: Vec<u8>,
    pub(crate) expected: Expected,
}

impl Target {
    /// A POST of a review.
    pub(crate) fn new(address: SocketAddr, path: &str, body: &str, expected: Expected) -> anyhow::Result<Self> {
        Ok(Self { address, tls: Some(trusting()?), request: post(address, path, body), expected })
    }
}

/// As kube-apiserver sends it.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\n\
         Accept: application/json, */*\r\nContent-Type: application/json\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One connection, after its handshake.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection {
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target.address).await.with_context(|| target.address.to_string())?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::from(target.address.ip());
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await.context("the handshake")?)
            }
        };
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends the request and waits for the answer.
    pub(crate) async fn ask(&mut self, target: &Target) -> anyhow::Result<()> {
        self.stream.write_all(&target.request).await.context("sending")?;
        self.stream.flush().await.context("sending")?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.context("receiving")?;
            anyhow::ensure!(read > 0, "the server closed a connection");
            if let Some(answer) = answer::parse(&self.buffer)? {
                anyhow::ensure!(answer.whole == self.buffer.len(), "more came than the answer");
                return target.expected.check(&answer);
            }
        }
    }
}

/// Takes any certificate: it is loopback, and what is measured is not whether certificates are checked.
pub(crate) fn trusting() -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let anyone = Arc::new(Anyone(provider.signature_verification_algorithms));
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider) as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(anyone)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
