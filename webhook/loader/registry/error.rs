//! What can go wrong with a registry: one fault, one sentence. Hosts and names stand in them, for operators; credentials, tokens,
//! paths and queries of redirects never do.

use std::{path::PathBuf, time::Duration};

use crate::spec::Digest;

/// Why there is nothing, or why it was not pushed. For operators, not for callers of the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or one that broke.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// HOST or HOST:PORT, as in all others.
        host: String,
        /// Of this system.
        reason: String,
    },
    /// DNS does not know it.
    #[error("the name {host} does not resolve")]
    UnknownHost {
        /// Without its port.
        host: String,
    },
    /// Not one of the authorities signed its certificate, or not for this name, or not for today.
    #[error("the certificate of {host} is not trusted: {reason}")]
    Untrusted {
        /// Who shows it.
        host: String,
        /// Of rustls.
        reason: String,
    },
    /// It speaks something else.
    #[error("{host} does not speak TLS; plain HTTP is spoken with hosts of --registry-plain-http only")]
    NotTls {
        /// Who.
        host: String,
    },
    /// The proxy of the environment does not let us through.
    #[error("the proxy {proxy} gives no way to {host}: {reason}")]
    Proxy {
        /// Without its credentials.
        proxy: String,
        /// Who is behind it.
        host: String,
        /// As far as it says.
        reason: String,
    },
    /// 401, and nothing to show.
    #[error("{host} wants credentials for {name}, and there are none (--registry-config)")]
    NoCredentials {
        /// Who wants them.
        host: String,
        /// The repository.
        name: String,
    },
    /// 401, with credentials.
    #[error("{host} does not accept the credentials for {name}")]
    BadCredentials {
        /// Who does not.
        host: String,
        /// The repository.
        name: String,
    },
    /// 403.
    #[error("{host} denies access to {name} {}", if *.known { "with these credentials" } else { "without credentials (--registry-config)" })]
    Denied {
        /// Who denies it.
        host: String,
        /// The repository, or the path of a URL.
        name: String,
        /// Whether credentials were shown.
        known: bool,
    },
    /// A new token is refused as well.
    #[error("{host} asks for a token for {name} again, though it was given a new one{}", if *.known { "" } else { "; it was asked for without credentials (--registry-config)" })]
    TokenCircle {
        /// Who asks.
        host: String,
        /// The repository.
        name: String,
        /// Whether credentials were shown to whoever gave the token.
        known: bool,
    },
    /// It asks in no known way, or for a token from a place that is none.
    #[error("{host} cannot be authenticated to: {reason}")]
    Token {
        /// The registry.
        host: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file of credentials, or the program that has them.
    #[error("{}: {reason}", file.display())]
    Credentials {
        /// The configuration of Docker's that was read.
        file: PathBuf,
        /// Never holds what is in it.
        reason: String,
    },
    /// 404.
    #[error("{host} has no {name}")]
    NotFound {
        /// Who was asked.
        host: String,
        /// A tag, a manifest, a blob.
        name: String,
    },
    /// 429, again and again.
    #[error("{host} answers that it is asked too often (429)")]
    RateLimited {
        /// Who.
        host: String,
        /// When to come again, as it says.
        after: Option<Duration>,
    },
    /// 5xx, again and again.
    #[error("{host} is in trouble: it answers {status}")]
    Server {
        /// Who.
        host: String,
        /// 500 to 599.
        status: u16,
        /// When to come again, as it says.
        after: Option<Duration>,
    },
    /// Any other status.
    #[error("{host} answers {status} for {name}, which is not expected")]
    Status {
        /// Who.
        host: String,
        /// HTTP's.
        status: u16,
        /// What was asked for.
        name: String,
    },
    /// It sent other bytes.
    #[error("{host} sent other bytes for {name}: their digest is sha256:{found}")]
    Digest {
        /// Who lies.
        host: String,
        /// A manifest or a blob, with the digest that was asked for.
        name: String,
        /// Of what came.
        found: Digest,
    },
    /// More than is ever read.
    #[error("{name} is larger than {max} bytes")]
    TooLarge {
        /// A manifest, a blob, what lies at a URL.
        name: String,
        /// The limit, in bytes.
        max: u64,
    },
    /// Its size is not the one that the manifest says.
    #[error("{host} sent {} for {name} than the {announced} bytes that were announced", if *.more { "more" } else { "less" })]
    Size {
        /// Who lies.
        host: String,
        /// The blob.
        name: String,
        /// In its descriptor, or in the head of the answer.
        announced: u64,
        /// Whether there was more, or less.
        more: bool,
    },
    /// The answer broke off.
    #[error("{host} broke off while it sent {name}")]
    Cut {
        /// Who.
        host: String,
        /// A manifest or a blob.
        name: String,
    },
    /// No answer, or not all of it, in time.
    #[error("{host} took longer than {} s for {name}", limit.as_secs())]
    Deadline {
        /// Who.
        host: String,
        /// What was asked for.
        name: String,
        /// For all of it, with all tries.
        limit: Duration,
    },
    /// Less than the least rate.
    #[error("{host} sends {name} too slowly: less than {bytes_per_second} bytes in a second")]
    Slow {
        /// Who.
        host: String,
        /// The blob.
        name: String,
        /// The least.
        bytes_per_second: u32,
    },
    /// Not the JSON of a manifest.
    #[error("{name} is no manifest that can be read: {reason}")]
    NotAManifest {
        /// With its digest or tag.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list for several platforms.
    #[error("{name} is an index of images for several platforms, not one component")]
    Index {
        /// The image.
        name: String,
    },
    /// Something that containers run from.
    #[error("{name} is a container image, not a component")]
    ContainerImage {
        /// The image.
        name: String,
    },
    /// Something else.
    #[error("{name} holds {media_type}, not a component (application/wasm)")]
    MediaType {
        /// The image.
        name: String,
        /// Of its layer.
        media_type: String,
    },
    /// None or several.
    #[error("{name} has {count} layers; a component is exactly one")]
    Layers {
        /// The image.
        name: String,
        /// How many.
        count: usize,
    },
    /// More than is ever followed.
    #[error("{name} has more than {max} referrers")]
    Referrers {
        /// The image.
        name: String,
        /// How many, or how many pages.
        max: usize,
    },
    /// Nobody allowed it.
    #[error("{name} is not allowed by --registry-allow")]
    NotAllowed {
        /// An image, or the host and path of a URL.
        name: String,
    },
    /// It sends to where nobody allowed us to go.
    #[error("{host} redirects to {to}, which is not allowed by --registry-allow")]
    RedirectNotAllowed {
        /// Who redirects.
        host: String,
        /// The host only.
        to: String,
    },
    /// From HTTPS to HTTP, or to something else.
    #[error("{host} redirects to {to} without TLS, which is not followed")]
    RedirectInsecure {
        /// Who redirects.
        host: String,
        /// The host only.
        to: String,
    },
    /// More than are followed.
    #[error("{host} redirects more than {max} times")]
    Redirects {
        /// Who was asked first.
        host: String,
        /// How many are followed.
        max: usize,
    },
    /// A redirect to nowhere.
    #[error("{host} redirects without saying where to")]
    RedirectNowhere {
        /// Who redirects.
        host: String,
    },
    /// A URL that is not fetched.
    #[error("{name} is not fetched: {reason}")]
    Url {
        /// Host and path.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl RegistryError {
    /// Whether it may pass by itself, so that the same question may be answered later: not what is wrong with an answer, but that
    /// there is none.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::UnknownHost { .. }
                | Self::Proxy { .. }
                | Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Cut { .. }
                | Self::Deadline { .. }
                | Self::Slow { .. }
        )
    }

    /// How long to wait before it is tried again at once, if that is of use; zero: as one likes.
    pub(super) fn again(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } | Self::UnknownHost { .. } | Self::Cut { .. } => Some(Duration::ZERO),
            Self::RateLimited { after, .. } | Self::Server { after, .. } => Some(after.unwrap_or_default()),
            _ => None,
        }
    }
}
