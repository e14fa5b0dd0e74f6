//! Bodies of answers: bounded, whole, in time, with the digest that they must have.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use sha2::{Digest as _, Sha256};
use tokio::time::{Duration, Instant, timeout_at};

use super::{RegistryError, Times};
use crate::spec::Digest;

/// How a body must come.
pub(super) struct Terms<'a> {
    /// Who sends it, for messages.
    pub(super) host: &'a str,
    /// What it is, for messages.
    pub(super) name: &'a str,
    /// Bytes at most.
    pub(super) max: u64,
    /// Exactly so many, where somebody said so before.
    pub(super) announced: Option<u64>,
    /// Its digest must be this one.
    pub(super) digest: Option<Digest>,
    /// How slow it may come, if there is such a limit of its own.
    pub(super) rate: Option<Times>,
}

/// Reads all of it. With its digest.
pub(super) async fn read(mut body: Incoming, terms: &Terms<'_>) -> Result<(Bytes, Digest), RegistryError> {
    let (host, name) = (|| terms.host.to_owned(), || terms.name.to_owned());
    let too_large = || RegistryError::TooLarge { name: name(), max: terms.max };
    let wrong_size = |more, announced| RegistryError::Size { host: host(), name: name(), announced, more };
    if terms.announced.is_some_and(|it| it > terms.max) {
        return Err(too_large());
    }
    let length = body.size_hint().exact();
    match (length, terms.announced) {
        (Some(length), Some(announced)) if length != announced => {
            return Err(wrong_size(length > announced, announced));
        }
        (Some(length), None) if length > terms.max => return Err(too_large()),
        _ => {}
    }
    let begun = Instant::now();
    let mut bytes = BytesMut::new();
    let mut hash = Sha256::new();
    loop {
        let frame = match &terms.rate {
            Some(rate) => {
                let moved = (bytes.len() as u64).saturating_mul(1000) / u64::from(rate.bytes_per_second.max(1));
                let until = begun + rate.grace + Duration::from_millis(moved);
                let slow =
                    |_| RegistryError::Slow { host: host(), name: name(), bytes_per_second: rate.bytes_per_second };
                timeout_at(until, body.frame()).await.map_err(slow)?
            }
            None => body.frame().await,
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| RegistryError::Cut { host: host(), name: name() })?;
        let Ok(data) = frame.into_data() else { continue };
        let size = (bytes.len() + data.len()) as u64;
        match terms.announced {
            Some(announced) if size > announced => return Err(wrong_size(true, announced)),
            None if size > terms.max => return Err(too_large()),
            _ => {}
        }
        hash.update(&data);
        bytes.extend_from_slice(&data);
    }
    if let Some(announced) = terms.announced.filter(|it| *it > bytes.len() as u64) {
        return Err(wrong_size(false, announced));
    }
    let found = Digest(hash.finalize().into());
    if terms.digest.is_some_and(|it| it != found) {
        return Err(RegistryError::Digest { host: host(), name: name(), found });
    }
    Ok((bytes.freeze(), found))
}
