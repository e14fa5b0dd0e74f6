//! A CA, with and without its key, and a server's certificate: read from PEM once and checked, or made.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, SystemTime},
};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    parse_x509_certificate,
};

use super::Times;
use crate::{
    certs::{self, CertsError, Pair, Signer, Validity},
    signature::pem,
};

/// The certificate of a CA.
#[derive(Clone)]
pub(super) struct Root {
    der: Vec<u8>,
    /// The only part of its name, of those that [`Authority::made`] makes.
    called: Option<String>,
    until: SystemTime,
}

/// A CA that can sign.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) root: Root,
    /// PEM.
    pub(super) key: String,
}

/// A server's certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) pair: Pair,
    names: BTreeSet<String>,
    until: SystemTime,
}

impl Root {
    /// Every certificate of a CA in the text, as far as it is PEM. Each once, and not too many.
    pub(super) fn readable(text: &[u8]) -> Vec<Self> {
        let mut roots: Vec<Self> = Vec::new();
        let text = text.get(..text.len().min(MAX_TEXT)).unwrap_or_default();
        for root in CertificateDer::pem_slice_iter(text).map_while(Result::ok).filter_map(|it| Self::of_der(&it)) {
            if roots.len() < MAX_ROOTS && !roots.contains(&root) {
                roots.push(root);
            }
        }
        roots
    }

    /// All of them.
    pub(super) fn all(text: &[u8]) -> Result<Vec<Self>, Wrong> {
        if text.len() > MAX_TEXT {
            return Err(Wrong("is larger than such an entry ever is"));
        }
        let all: Vec<_> = CertificateDer::pem_slice_iter(text).take(MAX_ROOTS + 1).collect();
        if all.is_empty() || all.len() > MAX_ROOTS {
            return Err(Wrong("has no certificate, or too many"));
        }
        let roots = all.into_iter().map(|it| Self::of_der(&it.ok()?)).collect::<Option<_>>();
        roots.ok_or(Wrong("is not made of certificates of CAs in PEM"))
    }

    fn of_der(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = parsed(der).filter(|_| der.len() <= MAX_DER)?;
        let names: Vec<_> = certificate.subject().iter_attributes().collect();
        let called = match names.as_slice() {
            [_] => certificate.subject().iter_common_name().next().and_then(|it| it.as_str().ok()).map(str::to_owned),
            _ => None,
        };
        certificate.is_ca().then_some(Self { der: der.to_vec(), called, until: until(&certificate)? })
    }

    pub(super) fn pem(&self) -> String {
        pem::written("CERTIFICATE", &self.der)
    }
}

impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Root {}

/// The beginning of its SHA-256.
impl fmt::Debug for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sha256::digest(&self.der).iter().take(4).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Authority {
    /// A new one.
    pub(super) fn made(now: SystemTime, times: &Times) -> Result<Self, CertsError> {
        // Each has a name of its own, so that nobody takes one for another.
        let called = format!("Verdict CA {:016x}", rand::random::<u64>());
        let Pair { certificate, key } = certs::authority(&called, validity(now, now + times.authority))?;
        let roots = Root::all(certificate.as_bytes()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let root = roots.into_iter().next().ok_or(rcgen::Error::CouldNotParseCertificate)?;
        Ok(Self { root, key })
    }

    pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, Wrong> {
        let [root] = <[Root; 1]>::try_from(Root::all(certificate)?).map_err(|_| NOT_ONE)?;
        let Root { called: Some(_), .. } = &root else { return Err(Wrong("is not a CA that Verdict made")) };
        let key = key_of(key, parsed(&root.der).ok_or(NOT_ONE)?.public_key().raw)?;
        Ok(Self { root, key })
    }

    /// Whether the next one is to be made.
    pub(super) fn is_due(&self, now: SystemTime, times: &Times) -> bool {
        self.root.until <= now + times.authority_renewal
    }

    /// A certificate for a server under these names.
    pub(super) fn sign(&self, names: &[String], now: SystemTime, times: &Times) -> Result<Leaf, CertsError> {
        let signer = Signer { called: self.root.called.as_deref().unwrap_or_default(), key: &self.key };
        let pair = certs::server(names, &signer, validity(now, self.until(now, times)))?;
        let read = Leaf::read(pair.certificate.as_bytes(), pair.key.as_bytes(), &self.root);
        read.map_err(|_| rcgen::Error::CouldNotParseCertificate.into())
    }

    /// When what it signs now ends.
    fn until(&self, now: SystemTime, times: &Times) -> SystemTime {
        (now + times.server).min(self.root.until)
    }
}

impl Leaf {
    pub(super) fn read(certificate: &[u8], key: &[u8], root: &Root) -> Result<Self, Wrong> {
        if certificate.len() > MAX_TEXT {
            return Err(Wrong("is larger than such an entry ever is"));
        }
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| NOT_ONE)?;
        let parsed = parsed(&der).ok_or(NOT_ONE)?;
        let until = until(&parsed).ok_or(NOT_ONE)?;
        let key = key_of(key, parsed.public_key().raw)?;
        if !is_signed(&der, root, until) {
            return Err(Wrong("is not signed by the CA beside it"));
        }
        let text = std::str::from_utf8(certificate).map_err(|_| NOT_ONE)?.to_owned();
        Ok(Self { pair: Pair { certificate: text, key }, names: names_of(&parsed), until })
    }

    /// Whether another one is to be made: for other names, or because it ends soon and the next one would end later.
    pub(super) fn is_due(&self, names: &[String], by: &Authority, now: SystemTime, times: &Times) -> bool {
        let ends = self.until <= now + times.server_renewal && self.until + LEAST_GAIN < by.until(now, times);
        ends || self.names != names.iter().map(|it| normal(it)).collect()
    }
}

/// What is wrong with an entry; never what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str);

fn key_of(key: &[u8], public: &[u8]) -> Result<String, Wrong> {
    let key = std::str::from_utf8(key).ok().filter(|it| it.len() <= MAX_TEXT).ok_or(Wrong("has a key that is none"))?;
    let pair = KeyPair::from_pem(key).map_err(|_| Wrong("has a key that is none"))?;
    if pair.subject_public_key_info() != public {
        return Err(Wrong("has the key of another certificate"));
    }
    Ok(key.to_owned())
}

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

fn until(certificate: &X509Certificate<'_>) -> Option<SystemTime> {
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// As it was just before its end: whether it has ended is asked elsewhere.
fn is_signed(der: &CertificateDer<'_>, root: &Root, until: SystemTime) -> bool {
    let root = CertificateDer::from(root.der.as_slice());
    let (Ok(leaf), Ok(anchor)) = (EndEntityCert::try_from(der), anchor_from_trusted_cert(&root)) else { return false };
    let before =
        until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(Duration::from_secs(1));
    let at = UnixTime::since_unix_epoch(before);
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], &[], at, KeyUsage::server_auth(), None, None).is_ok()
}

fn names_of(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extensions = certificate.extensions().iter().map(|it| it.parsed_extension());
    let names = extensions.filter_map(|it| match it {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|it| IpAddr::from(Ipv4Addr::from(it)));
            let six = || <[u8; 16]>::try_from(*bytes).map(|it| IpAddr::from(Ipv6Addr::from(it)));
            four.or_else(|_| six()).ok().map(|it| it.to_string())
        }
        _ => None,
    };
    names.flatten().filter_map(text).collect()
}

/// An address in the one form in which it is printed.
fn normal(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(|_| name.to_owned(), |it| it.to_string())
}

/// From long ago: where the leader's clock is ahead, what it makes is good for the others at once.
fn validity(now: SystemTime, until: SystemTime) -> Validity {
    let from = SystemTime::UNIX_EPOCH + LONG_AGO;
    Validity { from: if from < now { from } else { SystemTime::UNIX_EPOCH }, until }
}

const NOT_ONE: Wrong = Wrong("is not one certificate in PEM");
/// Bytes of one entry: more than [`MAX_ROOTS`] of the largest certificates.
const MAX_TEXT: usize = 128 << 10;
/// Bytes of one certificate of a CA; with 4096 bits of RSA they have half of that.
const MAX_DER: usize = 4 << 10;
/// CAs that are published at the same time: four would do.
pub(super) const MAX_ROOTS: usize = 16;
/// 2026-01-01: nothing that is made here is older.
const LONG_AGO: Duration = Duration::from_secs(1_767_225_600);
/// Certificates count in seconds.
const LEAST_GAIN: Duration = Duration::from_secs(1);
