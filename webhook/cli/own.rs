//! Certificates that the server makes for itself, where no operator gave it any.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::sync::watch;

use super::{CacheArgs, Failed, certificates::Pair, certs};
use crate::certs::Bundle;

/// What the server presents where no operator gave it anything.
pub(super) struct OwnCertificates {
    pub(super) pair: Pair,
    /// Where another pair may be put in its place.
    pub(super) made: watch::Sender<Option<crate::certs::Pair>>,
    /// Where the CA is.
    pub(super) ca: Option<PathBuf>,
}

/// Made anew at each start, for this process: nothing is trusted that was lying around. `stands_in`: until the leader of several replicas
/// makes another.
///
/// # Errors
/// They cannot be made, or not written where callers look for the CA.
pub(super) fn own_certificates(cache: &CacheArgs, stands_in: bool) -> Result<OwnCertificates, Failed> {
    let names = certs::LOOPBACK.map(str::to_owned);
    let bundle = Bundle::generate(&names)?;
    let (made, pair) = watch::channel(Some(bundle.server.clone()));
    if stands_in {
        // Nobody is told of it: it stands in until there is the leader's.
        return Ok(OwnCertificates { pair: Pair::Made(pair), made, ca: None });
    }
    let dir = cache.dir().ok_or_else(no_dir)?.join("certs");
    certs::write(&bundle, &dir, true).context(
        "the certificate that the server makes for itself must be written: name a folder for it with --cache-dir, or give --tls-cert and --tls-key",
    )?;
    Ok(OwnCertificates { pair: Pair::Made(pair), made, ca: Some(dir.join("ca.crt")) })
}

fn no_dir() -> Failed {
    Failed::Usage("--cache-dir is needed: neither XDG_CACHE_HOME nor HOME is set".to_owned())
}
