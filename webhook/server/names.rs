//! Which clients may ask, by the names in their certificates: a CA may sign for many more than those who are meant.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

/// A name that a client's certificate may have: `kube-apiserver`, or `*.example.org`.
///
/// It is compared with each common name and each subject alternative name (DNS, IP, URI, email). DNS names are compared without regard to
/// upper and lower case, all others exactly. `*.` stands for one label, as in certificates: `*.example.org` is `a.example.org`, neither
/// `example.org` nor `a.b.example.org`; and only for a DNS name, or a common name that looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    /// The whole name.
    Exact(String),
    /// What comes after one label, with its dot, in lower case.
    Below(String),
}

impl FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return Err("a name must not be empty, or have spaces around it".to_owned());
        }
        match text.strip_prefix('*') {
            None if text.contains('*') => Err("* may stand only at the beginning, as in *.example.org".to_owned()),
            None => Ok(Self::Exact(text.to_owned())),
            Some(suffix) => match suffix.strip_prefix('.') {
                Some(rest) if rest.split('.').all(is_label) => Ok(Self::Below(suffix.to_ascii_lowercase())),
                _ => Err("* must be the whole first label of a DNS name, as in *.example.org".to_owned()),
            },
        }
    }
}

impl ClientName {
    fn is_dns(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(name),
            Self::Below(suffix) => {
                let name = name.to_ascii_lowercase();
                name.strip_suffix(suffix.as_str()).is_some_and(is_label)
            }
        }
    }

    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Exact(exact) if exact == name)
    }

    fn is_ip(&self, address: &[u8]) -> bool {
        let Self::Exact(exact) = self else { return false };
        let address = match *address {
            [a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
            _ => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        };
        address.is_some() && address == exact.parse().ok()
    }

    /// A common name is text like any other, unless the name that is asked for is a pattern.
    fn is_common(&self, name: &str) -> bool {
        self.is(name) || matches!(self, Self::Below(_)) && self.is_dns(name)
    }

    pub(super) fn is_one_of(&self, certificate: &X509Certificate<'_>) -> bool {
        let mut common = certificate.subject().iter_common_name().filter_map(|it| it.as_str().ok());
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let mut alternative = alternative.iter().flat_map(|it| &it.value.general_names);
        common.any(|it| self.is_common(it))
            || alternative.any(|it| match it {
                GeneralName::DNSName(name) => self.is_dns(name),
                GeneralName::RFC822Name(name) | GeneralName::URI(name) => self.is(name),
                GeneralName::IPAddress(address) => self.is_ip(address),
                _ => false,
            })
    }
}

/// Whether a certificate has one of the names.
///
/// # Errors
/// It cannot be read.
pub(crate) fn is_listed(names: &[ClientName], leaf: &CertificateDer<'_>) -> Result<bool, Error> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(names.iter().any(|name| name.is_one_of(&certificate)))
}

/// Accepts what `inner` accepts, if it has one of the names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) inner: Arc<dyn ClientCertVerifier>,
    pub(super) names: Vec<ClientName>,
}

/// The certificate is trusted, and has none of the names.
#[derive(Debug, thiserror::Error)]
#[error("the certificate has none of the names that may ask anything")]
pub(super) struct NotListed;

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, intermediates, now)?;
        if is_listed(&self.names, leaf)? {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotListed)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, string::Ia5String};

    use super::*;

    /// Whether a certificate with this common name and these alternative names is one of `name`.
    fn listed(name: &str, common: &str, alternative: &[SanType]) -> bool {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternative.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        name.parse::<ClientName>().unwrap().is_one_of(&parsed)
    }

    fn text(text: &str) -> Ia5String {
        text.try_into().unwrap()
    }

    #[test]
    fn names_are_compared_strictly() {
        let dns = |name: &str| [SanType::DnsName(text(name))];
        let cases: [(&str, &str, &[SanType], bool); 24] = [
            ("kube-apiserver", "kube-apiserver", &[], true),
            ("kube-apiserver", "Kube-Apiserver", &[], false),
            ("kube-apiserver", "kube-apiserver-kubelet-client", &[], false),
            ("kube-apiserver", "system:node:kube-apiserver", &[], false),
            ("system:kube-apiserver", "system:kube-apiserver", &[], true),
            ("*.example.org", "a.example.org", &[], true),
            ("*.example.org", "example.org", &[], false),
            ("*.example.org", ".example.org", &[], false),
            ("*.example.org", "a.b.example.org", &[], false),
            ("*.example.org", "evil example.org", &[], false),
            ("*.example.org", "a@.example.org", &[], false),
            ("*.example.org", "xexample.org", &[], false),
            ("a.example.org", "x", &dns("A.Example.org"), true),
            ("*.Example.org", "x", &dns("A.example.ORG"), true),
            ("*.example.org", "x", &dns("example.org"), false),
            ("*.example.org", "x", &dns("a.b.example.org"), false),
            ("*.example.org", "x", &dns("*.example.org"), false),
            ("10.0.0.1", "x", &[SanType::IpAddress("10.0.0.1".parse().unwrap())], true),
            ("0:0::1", "x", &[SanType::IpAddress("::1".parse().unwrap())], true),
            ("10.0.0.1", "x", &[SanType::IpAddress("10.0.0.10".parse().unwrap())], false),
            ("spiffe://a/api", "x", &[SanType::URI(text("spiffe://a/api"))], true),
            ("spiffe://a/api", "x", &[SanType::URI(text("spiffe://a/API"))], false),
            ("a@example.org", "x", &[SanType::Rfc822Name(text("a@example.org"))], true),
            ("*.example.org", "x", &[SanType::URI(text("a.example.org"))], false),
        ];
        for (name, common, alternative, expected) in cases {
            assert_eq!(listed(name, common, alternative), expected, "{name}: {common} {alternative:?}");
        }
        // Nobody is named nothing.
        assert!(!listed("x", "", &[]));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in ["", " a", "a ", "*", "*.", "*a.example.org", "a.*.org", "*.a..b", "*.*.org", "*.a b", "a\n"] {
            assert!(wrong.parse::<ClientName>().is_err(), "{wrong:?}");
        }
    }
}
