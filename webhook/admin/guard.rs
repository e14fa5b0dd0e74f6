//! Who may use what changes the server or shows what it was asked: whoever shows a listed token, or a certificate with a listed name. By
//! default nobody.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderValue, StatusCode, Uri,
    header::{HOST, WWW_AUTHENTICATE},
};
use rustls::pki_types::CertificateDer;

use super::{Admin, answer};
use crate::{
    observe::AdminRefused,
    server::{ClientName, Tokens, is_listed},
};

/// What lets somebody in.
#[derive(Default)]
pub struct Guard {
    /// Tokens that callers may show.
    pub tokens: Option<Tokens>,
    /// Names that the certificates of callers may have.
    pub names: Vec<ClientName>,
}

/// What is known of the other side of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// By TLS; else it is on this machine.
    tls: bool,
    /// Whether its certificate has a name that is listed. None: it showed none.
    named: Option<bool>,
}

impl Guard {
    /// Whether anybody can be let in.
    pub fn is_open(&self) -> bool {
        self.tokens.is_some() || !self.names.is_empty()
    }

    /// Of a connection by TLS, whose certificate was verified.
    pub(super) fn peer(&self, leaf: Option<&CertificateDer<'_>>) -> Peer {
        Peer { tls: true, named: leaf.map(|it| is_listed(&self.names, it).unwrap_or(false)) }
    }

    fn refusal(&self, request: &Request) -> Option<AdminRefused> {
        let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::PLAIN);
        if !self.is_open() {
            return Some(AdminRefused::Off);
        }
        if !peer.tls && !is_for_loopback(request) {
            return Some(AdminRefused::Host);
        }
        let shown = self.tokens.as_ref().and_then(|it| it.admit(request.headers()));
        match (shown, peer.named) {
            (Some(true), _) | (_, Some(true)) => None,
            (Some(false), _) => Some(AdminRefused::Token),
            (None, Some(false)) => Some(AdminRefused::Name),
            (None, None) => Some(AdminRefused::Missing),
        }
    }
}

impl Peer {
    /// Of this machine.
    pub(super) const PLAIN: Self = Self { tls: false, named: None };
}

/// Lets a request go on, or answers it.
pub(super) async fn check(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let Some(refused) = admin.guard.refusal(&request) else { return next.run(request).await };
    admin.metrics.admin_refused(refused);
    let (status, words) = match refused {
        AdminRefused::Off => (
            StatusCode::FORBIDDEN,
            "this is off: start the server with --admin-token-file, or with --admin-client-ca and --admin-client-name",
        ),
        AdminRefused::Host => (
            StatusCode::FORBIDDEN,
            "without TLS this is answered only for a Host on loopback, such as localhost or 127.0.0.1",
        ),
        AdminRefused::Missing => (
            StatusCode::UNAUTHORIZED,
            "expected a token (Authorization: Bearer ...) or a client certificate that the server lists",
        ),
        AdminRefused::Token => (StatusCode::UNAUTHORIZED, "the token is not one that the server lists"),
        AdminRefused::Name => {
            (StatusCode::FORBIDDEN, "the certificate has none of the names that --admin-client-name lists")
        }
    };
    let mut response = answer::refused(status, words);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A web page can have its own name lead to loopback, and then asks for that name.
fn is_for_loopback(request: &Request) -> bool {
    let of_header = || Some(request.headers().get(HOST)?.to_str().ok()?.parse::<Uri>().ok()?.host()?.to_owned());
    let Some(host) = request.uri().host().map(str::to_owned).or_else(of_header) else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_loopback_is_answered_in_the_clear() {
        let is = |host: &str| is_for_loopback(&Request::get("/x").header(HOST, host).body(Body::empty()).unwrap());
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is(own), "{own}");
        }
        for other in
            ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "", "a b"]
        {
            assert!(!is(other), "{other}");
        }
        assert!(!is_for_loopback(&Request::get("/x").body(Body::empty()).unwrap()));
        let absolute = Request::get("http://evil.example/x").header(HOST, "localhost").body(Body::empty()).unwrap();
        assert!(!is_for_loopback(&absolute));
    }
}
