//! A client of registries (OCI's distribution spec 1.1) and of files at URLs: bytes with verified digests, or one sentence that says
//! why there are none.
//!
//! Registries are hostile: what they send is bounded in bytes, number and time, nothing counts but the digest of the bytes, and where
//! they redirect to is checked like where the operator sent us. Nothing is kept here but tokens: who wants a cache has one above.

mod body;
mod challenge;
mod connect;
mod credentials;
mod document;
mod error;
mod exchange;
mod fault;
mod pattern;
mod program;
mod pull;
mod push;
mod reach;
mod referrers;
mod token;
mod turns;

use std::{fmt, sync::Arc, time::Duration};

use hyper_util::client::proxy::matcher::Matcher;

use super::Component;
use crate::spec::Repository;
pub use credentials::Credentials;
pub use document::{Content, Descriptor, INDEX, MANIFEST, Manifest};
pub use error::RegistryError;
pub use pattern::{Host, Mirror, NotAnAddress, Pattern};
pub(in crate::loader) use pull::{component_layer, only_manifest};
pub use push::{Artifact, Interfaces, Packed};
pub use referrers::MAX_REFERRERS;

use exchange::Wires;
use reach::{Reach, host_of};
use token::Tokens;
use turns::{Turn, Turns};

/// Asks registries. Clones share connections, tokens, and how many pulls and pushes run at once. All that it is asked ends in bounded time,
/// and may be dropped at any time.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    wires: Wires,
    turns: Turns,
}

/// How registries are reached, and which.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who is asked over plain HTTP.
    pub plain_http: Vec<Host>,
    /// Authorities that sign certificates of registries, PEM.
    pub authorities: Option<Vec<u8>>,
    /// Whether those of the public web do not count.
    pub only_these_authorities: bool,
    /// Where names and passwords are.
    pub credentials: Credentials,
    /// Where may be fetched from, redirects and token servers included. None: from wherever an object names, and where that
    /// redirects to.
    pub allow: Option<Vec<Pattern>>,
    /// Who is asked instead of somebody; pushes go to whom they name. Whoever stands in for somebody who is allowed is allowed.
    pub mirrors: Vec<Mirror>,
    /// How long things may take.
    pub times: Times,
}

/// How long things may take. Whoever waits for a turn, waits before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For a connection, with DNS and TLS.
    pub connect: Duration,
    /// For a manifest or a page of a list, with all tries.
    pub manifest: Duration,
    /// For a blob or what lies at a URL, with all tries.
    pub blob: Duration,
    /// How long nothing of a blob has to come.
    pub grace: Duration,
    /// From then on, on the whole.
    pub bytes_per_second: u32,
    /// Before the second try; twice as long each time after.
    pub backoff: Duration,
}

/// A component as a registry has it.
#[derive(Clone)]
pub struct Pulled {
    /// What names it, with its digest and its annotations.
    pub manifest: Manifest,
    /// Its layer.
    pub component: Component,
}

impl Registry {
    /// Proxies are those of the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, in lower case too.
    ///
    /// # Errors
    /// The authorities are not certificates.
    pub fn new(config: Config) -> Result<Self, String> {
        Self::behind(config, Matcher::from_env())
    }

    fn behind(config: Config, proxies: Matcher) -> Result<Self, String> {
        let proxies = Arc::new(proxies);
        let tls = connect::tls(config.authorities.as_deref(), config.only_these_authorities)?;
        let sender = connect::sender(tls, Arc::clone(&proxies), config.times.connect);
        let reach = Reach { plain_http: config.plain_http, allow: config.allow, mirrors: config.mirrors };
        let (tokens, credentials, times) = (Tokens::default(), config.credentials, config.times);
        let wires = Wires { sender, proxies, reach, credentials, tokens, times };
        Ok(Self(Arc::new(Inner { wires, turns: Turns::default() })))
    }

    /// For whoever pulls from `at`, or pushes there.
    async fn turn(&self, at: &Repository, pushes: bool) -> Result<Turn, RegistryError> {
        let home = self.0.wires.reach.endpoint(at, pushes)?;
        Ok(self.0.turns.take(host_of(home.base())).await)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            manifest: Duration::from_secs(30),
            blob: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            bytes_per_second: 16 << 10,
            backoff: Duration::from_millis(500),
        }
    }
}

/// Largest manifest, index or list that is read, in bytes: 4 MiB.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The layer of a component or of a core module.
pub const WASM: &str = "application/wasm";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn whatever_it_is_asked_may_move_between_threads() {
        fn moves<T: Send>(_: T) {}
        let registry = Registry::new(Config::default()).unwrap();
        let image: crate::spec::Image = "r.example/a:1".parse().unwrap();
        let at = image.repository();
        let blob = Descriptor::of("x", b"");
        let manifest = Manifest::index(&[]).unwrap();
        let artifact = Artifact { bytes: Bytes::new(), interfaces: None, annotations: Default::default() };
        moves(registry.resolve(&image, None));
        moves(registry.find(&image));
        moves(registry.component(&image));
        moves(registry.manifest(at, blob.digest));
        moves(registry.blob(at, &blob, 1));
        moves(registry.referrers(at, blob.digest, None));
        moves(registry.url(&"https://r.example/a".parse().unwrap(), 1));
        moves(registry.push_blob(at, Bytes::new()));
        moves(registry.push_manifest(at, None, &manifest));
        moves(registry.push_component(at, None, &artifact));
        moves(registry.clone());
    }
}
