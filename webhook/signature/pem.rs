//! PEM as people paste it: one block and nothing else, with words for each of those that do not belong.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::text;

/// Bytes of one key as PEM: RSA with 8192 bits has fewer than 2,000, and its private key fewer than 7,000.
pub(super) const MAX: usize = 16 << 10;

/// What is wrong with a text that should be PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// More than anybody needs.
    #[error("it is larger than {MAX} bytes, which no key is")]
    Large,
    /// Something else.
    #[error("expected PEM: a text that begins with -----BEGIN and a name")]
    NotPem,
    /// A file of several keys, or of a key and other text.
    #[error("expected one PEM block and nothing else")]
    Several,
}

/// What the only block of `text` calls itself, such as PUBLIC KEY.
pub(super) fn label(text: &str) -> Result<&str, PemError> {
    if text.len() > MAX {
        return Err(PemError::Large);
    }
    let text = text.trim_ascii();
    let (label, rest) = text.strip_prefix(BEGIN).and_then(|it| it.split_once(DASHES)).ok_or(PemError::NotPem)?;
    if label.contains(['\n', '\r']) {
        return Err(PemError::NotPem);
    }
    let end = rest.find("-----").ok_or(PemError::NotPem)?;
    let is_end = rest.get(end..).and_then(|it| it.strip_prefix(END)?.strip_prefix(label)) == Some(DASHES);
    if is_end { Ok(label) } else { Err(PemError::Several) }
}

/// A label in words: whoever wrote the file chose it.
pub(super) fn shown(label: &str) -> String {
    text::shorten(&text::line(label), 40)
}

/// In lines of 64 characters.
pub(crate) fn written(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}{label}{DASHES}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + &format!("{END}{label}{DASHES}\n")
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_has_a_label_and_everything_else_has_words() {
        let pem = written("PUBLIC KEY", &[7; 100]);
        assert_eq!(label(&pem), Ok("PUBLIC KEY"));
        assert_eq!(label(&format!("\n {pem}\n\n")), Ok("PUBLIC KEY"));
        assert!(pem.lines().all(|it| it.len() <= 64), "{pem}");
        for text in ["", "key", "-----BEGIN ", "-----BEGIN A", "-----BEGIN A\nB-----\n", "-----BEGIN A-----\nAAAA\n"] {
            assert_eq!(label(text), Err(PemError::NotPem), "{text}");
        }
        for text in [
            format!("{pem}{pem}"),
            format!("{pem}x"),
            pem.replace("END PUBLIC", "END PRIVATE"),
            pem.replace("END PUBLIC KEY-----", "END PUBLIC KEY----"),
        ] {
            assert_eq!(label(&text), Err(PemError::Several), "{text}");
        }
        assert_eq!(label(&"-".repeat(MAX + 1)), Err(PemError::Large));
    }
}
