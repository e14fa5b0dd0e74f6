//! What is counted of callers: connections, handshakes, bodies.

use super::{Counted, Metrics};

/// Why a TLS handshake failed: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// No client certificate, or one that is not trusted or not valid.
    Certificate,
    /// A client certificate that is trusted, and has none of the names that are asked for.
    Name,
    /// Not TLS, or no version and cipher in common.
    Protocol,
    /// Not finished in time.
    Timeout,
    /// The connection broke.
    Io,
}

/// Where a connection came in: the label `listener`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Https,
    Admin,
}

/// Why the server ended a connection: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedEarly {
    /// Silent in its handshake for longest when there were too many of those.
    Handshakes,
    /// Silent for longest when there were too many, or its caller had too many.
    Room,
    /// A head, a frame or a preface took too long, or an answer was not read, or nothing was asked.
    Slow,
}

/// Why a body was not read whole: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRefused {
    Large,
    Slow,
    /// The caller hung up.
    Cut,
    /// Others hold all that there is, or need what this one held.
    Busy,
}

/// Why the admin listener did not let somebody in: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminRefused {
    /// Nobody is let in.
    Off,
    /// The request is for another host, as those of web pages are that found their way to loopback.
    Host,
    /// Neither a token nor a certificate.
    Missing,
    /// A wrong token.
    Token,
    /// A certificate without a name that is listed.
    Name,
}

impl Metrics {
    /// The admin listener did not let somebody in.
    pub(crate) fn admin_refused(&self, reason: AdminRefused) {
        let reason = match reason {
            AdminRefused::Off => "off",
            AdminRefused::Host => "host",
            AdminRefused::Missing => "missing",
            AdminRefused::Token => "token",
            AdminRefused::Name => "name",
        };
        self.admin_refused.with_label_values(&[reason]).inc();
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        let reason = match reason {
            HandshakeFailure::Certificate => "certificate",
            HandshakeFailure::Name => "name",
            HandshakeFailure::Protocol => "protocol",
            HandshakeFailure::Timeout => "timeout",
            HandshakeFailure::Io => "io",
        };
        self.handshake_failures.with_label_values(&[reason]).inc();
    }

    /// A connection could not be accepted.
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// A connection was accepted; the guard counts its end.
    pub(crate) fn connection(&self) -> Counted {
        self.accepted.inc();
        Counted::of(&self.connections, 1)
    }

    /// The server ended a connection that its caller would have kept.
    pub(crate) fn ended_early(&self, listener: Listener, reason: EndedEarly) {
        let listener = match listener {
            Listener::Https => "https",
            Listener::Admin => "admin",
        };
        let reason = match reason {
            EndedEarly::Handshakes => "handshakes",
            EndedEarly::Room => "room",
            EndedEarly::Slow => "slow",
        };
        self.ended_early.with_label_values(&[listener, reason]).inc();
    }

    /// Requests hold so many bytes more, or less.
    pub(crate) fn body_bytes(&self, more: i64) {
        self.body_bytes.add(more);
    }

    /// A body was not read whole.
    pub(crate) fn body_refused(&self, route: &str, reason: BodyRefused) {
        let reason = match reason {
            BodyRefused::Large => "large",
            BodyRefused::Slow => "slow",
            BodyRefused::Cut => "cut",
            BodyRefused::Busy => "busy",
        };
        self.bodies_refused.with_label_values(&[route, reason]).inc();
    }
}
