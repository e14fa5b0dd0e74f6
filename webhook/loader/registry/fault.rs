//! What a request that got no answer is called.

use std::{error::Error as StdError, io};

use rustls::CertificateError;
use url::Url;

use super::{RegistryError, connect::NoConnection, reach::host_of};

/// Looks for the cause that tells most.
pub(super) fn of(url: &Url, error: &hyper_util::client::legacy::Error) -> RegistryError {
    let host = host_of(url);
    let mut reason = "the connection ended without an answer".to_owned();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            Some(NoConnection::Name) => {
                return RegistryError::UnknownHost { host: url.host_str().unwrap_or_default().to_owned() };
            }
            Some(NoConnection::Proxy(proxy, reason)) => {
                return RegistryError::Proxy { proxy: proxy.clone(), host, reason: reason.clone() };
            }
            Some(it @ NoConnection::Time(_)) => reason = it.to_string(),
            None => {}
        }
        match error.downcast_ref() {
            Some(rustls::Error::InvalidMessage(_)) => return RegistryError::NotTls { host },
            Some(rustls::Error::InvalidCertificate(why)) => {
                return RegistryError::Untrusted { host, reason: distrust(why) };
            }
            Some(other) => reason = format!("TLS: {other}"),
            None => {}
        }
        let system = error.downcast_ref::<io::Error>();
        if let Some(system) = system {
            reason = match system.kind() {
                io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                    "the connection was closed".to_owned()
                }
                _ => system.to_string(),
            };
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            reason = "its answer is no HTTP".to_owned();
        }
        // What an io::Error holds is not its source.
        let held = system.and_then(io::Error::get_ref).map(|it| it as &(dyn StdError + 'static));
        next = held.or_else(|| error.source());
    }
    RegistryError::Unreachable { host, reason }
}

fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "its authority is not known here (--registry-ca)".to_owned(),
        CertificateError::BadSignature => {
            "an authority of the same name as one that is known here signed it, with another key (--registry-ca)"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for other names".to_owned()
        }
        other => other.to_string(),
    }
}
