//! Whether a certificate is trusted: the host capability `crypto/v1/is_certificate_trusted`. Answers as Kubewarden's policy-evaluator
//! (callback_handler/crypto.rs): by the chain that the guest gives, of which the last is the root, else by Mozilla's roots; of everything but
//! a root the validity counts.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

/// JSON in, JSON out; `now` counts where the guest names no time.
///
/// # Errors
/// The request cannot be read: words for the guest.
pub(super) fn is_trusted(payload: &[u8], now: SystemTime) -> Result<Vec<u8>, String> {
    let request: Request<'_> =
        serde_json::from_slice(payload).map_err(|error| format!("the request cannot be read: {error}"))?;
    let chain = request.cert_chain.as_deref().unwrap_or_default();
    if chain.len() > MAX_CHAIN {
        return Err(format!("the chain has more than {MAX_CHAIN} certificates"));
    }
    let certificate = request.cert.der()?;
    let certificate = EndEntityCert::try_from(&certificate)
        .map_err(|error| format!("Certificate is not a valid end-entity certificate: {error}"))?;
    let since_1970 = match request.not_after.filter(|it| !it.is_empty()) {
        Some(text) => {
            let time = chrono::DateTime::parse_from_rfc3339(text)
                .map_err(|_| "Timestamp not_after is not in RFC3339 format".to_owned())?;
            Duration::from_secs(time.timestamp().try_into().unwrap_or_default())
        }
        None => now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
    };
    let chain = chain.iter().map(Certificate::der).collect::<Result<Vec<_>, _>>()?;
    let (roots, between): (Vec<TrustAnchor<'_>>, _) = match (chain.split_last(), &request.cert_chain) {
        (Some((root, between)), _) => {
            let root = anchor_from_trusted_cert(root)
                .map_err(|error| format!("the last certificate of the chain is no root: {error}"))?;
            (vec![root], between)
        }
        // An empty chain trusts nobody.
        (None, Some(_)) => (Vec::new(), &[][..]),
        (None, None) => (webpki_roots::TLS_SERVER_ROOTS.to_vec(), &[][..]),
    };
    let verified = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &roots,
        between,
        UnixTime::since_unix_epoch(since_1970),
        AnyUsage,
        None,
        None,
    );
    let reason = match verified {
        Ok(_) => String::new(),
        Err(Error::InvalidSignatureForPublicKey | Error::UnknownIssuer) => {
            "Certificate is not trusted by the provided cert chain".to_owned()
        }
        Err(Error::CertExpired { .. }) => "Certificate is being used after its expiration date".to_owned(),
        Err(Error::CertNotValidYet { .. }) => "Certificate is being used before its validity date".to_owned(),
        Err(error) => format!("Certificate not trusted: {error}"),
    };
    let answer = Answer { trusted: reason.is_empty(), reason };
    serde_json::to_vec(&answer).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Request<'a> {
    cert: Certificate,
    #[serde(default)]
    cert_chain: Option<Vec<Certificate>>,
    /// RFC 3339.
    #[serde(default)]
    not_after: Option<&'a str>,
}

#[derive(Deserialize)]
struct Certificate {
    encoding: Encoding,
    data: Vec<u8>,
}

#[derive(Deserialize)]
enum Encoding {
    #[serde(alias = "pem")]
    Pem,
    #[serde(alias = "der")]
    Der,
}

impl Certificate {
    fn der(&self) -> Result<CertificateDer<'_>, String> {
        match self.encoding {
            Encoding::Der => Ok(CertificateDer::from_slice(&self.data)),
            Encoding::Pem => CertificateDer::from_pem_slice(&self.data)
                .map_err(|error| format!("Certificate PEM data is not valid: {error}")),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    trusted: bool,
    reason: String,
}

/// Certificates that sign images are for other things than servers.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// With webpki's own budget of signatures this bounds what one call may take.
const MAX_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;

    const NOW: u64 = 1_700_000_000;
    const DAY: i64 = 86_400;

    fn named(name: &str, days: [i64; 2], is_ca: bool) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let at = |days: i64| OffsetDateTime::from_unix_timestamp(NOW as i64 + days * DAY).unwrap();
        (params.not_before, params.not_after) = (at(days[0]), at(days[1]));
        params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        params
    }

    /// A certificate, who signed it, and the root.
    fn made(leaf: [i64; 2], between: [i64; 2]) -> [Value; 3] {
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(named("root", [-900, 900], true), key()).unwrap();
        let middle = CertifiedIssuer::signed_by(named("middle", between, true), key(), &root).unwrap();
        let certificate = named("leaf.example.org", leaf, false).signed_by(&key(), &middle).unwrap();
        let pem = |text: String| json!({"encoding": "Pem", "data": text.into_bytes()});
        let der = json!({"encoding": "Der", "data": certificate.der().to_vec()});
        [der, pem(middle.pem()), pem(root.pem())]
    }

    fn ask(request: &Value) -> Result<(bool, String), String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let answer: Value = serde_json::from_slice(&is_trusted(request.to_string().as_bytes(), now)?).unwrap();
        Ok((answer["trusted"] == true, answer["reason"].as_str().unwrap().to_owned()))
    }

    fn trusted() -> Result<(bool, String), String> {
        Ok((true, String::new()))
    }

    fn because(reason: &str) -> Result<(bool, String), String> {
        Ok((false, reason.to_owned()))
    }

    const BY_CHAIN: &str = "Certificate is not trusted by the provided cert chain";

    #[test]
    fn a_chain_leads_to_its_last_certificate() {
        let [leaf, middle, root] = made([-10, 10], [-100, 100]);
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": [middle, root]})), trusted());
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": [middle]})), trusted());
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": [root]})), because(BY_CHAIN));
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": []})), because(BY_CHAIN));
        let [_, other, other_root] = made([-10, 10], [-100, 100]);
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": [other, other_root]})), because(BY_CHAIN));
        // Of Mozilla's roots nobody signed it.
        assert_eq!(ask(&json!({"cert": leaf})), because(BY_CHAIN));
        assert_eq!(ask(&json!({"cert": leaf, "cert_chain": null, "not_after": null})), because(BY_CHAIN));
    }

    #[test]
    fn all_but_the_root_must_be_valid_at_the_time() {
        let (late, early) = (
            "Certificate is being used after its expiration date",
            "Certificate is being used before its validity date",
        );
        for (leaf, between, reason) in [
            ([-10, -1], [-100, 100], late),
            ([1, 10], [-100, 100], early),
            ([-10, 10], [-100, -1], late),
            ([-10, 10], [1, 100], early),
        ] {
            let [leaf, middle, root] = made(leaf, between);
            assert_eq!(ask(&json!({"cert": leaf, "cert_chain": [middle, root]})), because(reason));
        }
        let [leaf, middle, root] = made([-10, 10], [-2000, 2000]);
        let at = |time: &str| ask(&json!({"cert": leaf, "cert_chain": [middle, root], "not_after": time}));
        assert_eq!(at(""), trusted());
        assert_eq!(at("2023-11-20T00:00:00Z"), trusted());
        assert_eq!(at("2023-11-30T02:00:00+02:00"), because(late));
        assert_eq!(at("2023-10-01T00:00:00Z"), because(early));
        // A root is trusted for as long as somebody names it.
        let [leaf, middle, root] = made([1000, 1010], [-2000, 2000]);
        let request = json!({"cert": leaf, "cert_chain": [middle, root], "not_after": "2026-08-13T00:00:00Z"});
        assert_eq!(ask(&request), trusted());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_for_the_guest() {
        let [leaf, _, root] = made([-10, 10], [-100, 100]);
        let text = |text: &str| json!({"encoding": "Pem", "data": text.as_bytes()});
        for (request, words) in [
            (json!({}), "the request cannot be read: missing field `cert`"),
            (json!({"cert": {"encoding": "Text", "data": []}}), "the request cannot be read: unknown variant `Text`"),
            (json!({"cert": {"encoding": "Der", "data": [256]}}), "the request cannot be read: invalid value"),
            (json!({"cert": text("nothing")}), "Certificate PEM data is not valid"),
            (json!({"cert": {"encoding": "Der", "data": [48]}}), "Certificate is not a valid end-entity certificate"),
            (json!({"cert": leaf, "not_after": "malformed"}), "Timestamp not_after is not in RFC3339 format"),
            (json!({"cert": leaf, "cert_chain": [text("x")]}), "Certificate PEM data is not valid"),
            (
                json!({"cert": leaf, "cert_chain": [{"encoding": "Der", "data": [48, 0]}]}),
                "the last certificate of the chain is no root",
            ),
            (json!({"cert": leaf, "cert_chain": vec![root; 17]}), "the chain has more than 16 certificates"),
        ] {
            let error = ask(&request).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
