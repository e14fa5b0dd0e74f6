//! An HTTP/1.1 answer, parsed as little as can be, and whether it says what it must.

use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::reviews::UID;

/// The whole answer at the start of `buffer`, if it is there.
pub(crate) fn parse(buffer: &[u8]) -> anyhow::Result<Option<Answer<'_>>> {
    let Some(end) = buffer.windows(4).position(|it| it == b"\r\n\r\n") else {
        ensure!(buffer.len() < 64 << 10, "the head of an answer does not end");
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..end]).context("the head of an answer is not text")?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3)).and_then(|it| it.parse().ok());
    let status = status.with_context(|| format!("not an answer: {first:?}"))?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    let whole = end + 4 + length.with_context(|| format!("an answer without Content-Length: {head}"))?;
    Ok(buffer.get(end + 4..whole).map(|body| Answer { status, body, whole }))
}

/// What came back.
pub(crate) struct Answer<'a> {
    status: u16,
    body: &'a [u8],
    /// Bytes, with the head.
    pub(crate) whole: usize,
}

/// What every answer of a run must say.
pub(crate) struct Expected {
    outcome: Outcome,
    /// A body that was looked at and found right: the same bytes need no second look.
    right: OnceLock<Vec<u8>>,
}

/// The verdict in a review's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// AdmissionReview: allowed, without a patch.
    Allowed,
    /// AdmissionReview: allowed, with a patch.
    Patched,
    /// AdmissionReview: denied because a policy took too long.
    TimedOut,
    /// TokenReview.
    Authenticated,
    /// SubjectAccessReview.
    Authorized,
}

impl Expected {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome, right: OnceLock::new() }
    }

    /// Fails on anything but the expected verdict.
    pub(crate) fn check(&self, answer: &Answer<'_>) -> anyhow::Result<()> {
        if answer.status == 200 && self.right.get().is_some_and(|it| it == answer.body) {
            return Ok(());
        }
        if answer.status != 200 || !self.outcome.is(answer.body)? {
            let text: String = String::from_utf8_lossy(answer.body).chars().take(400).collect();
            bail!("expected {:?}, got status {}: {text}", self.outcome, answer.status);
        }
        // Another connection may have been first, with the same answer.
        let _ = self.right.set(answer.body.to_vec());
        Ok(())
    }
}

impl Outcome {
    fn is(self, body: &[u8]) -> anyhow::Result<bool> {
        let review: Value = serde_json::from_slice(body).context("an answer is not JSON")?;
        let response = &review["response"];
        let allowed = response["allowed"] == true && response["uid"] == UID;
        Ok(match self {
            Self::Allowed => allowed && response["patch"].is_null(),
            Self::Patched => allowed && response["patch"].is_string(),
            Self::TimedOut => response["allowed"] == false && response["status"]["code"] == 504,
            Self::Authenticated => {
                review["status"]["authenticated"] == true && review["status"]["user"]["username"] == "magic-user"
            }
            Self::Authorized => review["status"]["allowed"] == true,
        })
    }
}
