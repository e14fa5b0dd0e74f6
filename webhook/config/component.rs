//! `spec.component`: from the text of a reference to a place and a digest.

use std::{fmt, path::Path};

use super::{
    names::is_dns_label,
    schema::{ComponentRef, Location},
};
use crate::loader::hex;

impl ComponentRef {
    /// Parses `PATH`, `file:///PATH` or `builtin:NAME`, each optionally with `@sha256:<64 hex digits>` at its end.
    /// Relative paths are relative to `base_dir`. The error says what was expected.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Self, String> {
        let (place, digest) = match text.rsplit_once("@sha256:") {
            Some((place, digits)) => (place, Some(parse_digest(digits)?)),
            None => (text, None),
        };
        Ok(Self { location: parse_location(place, base_dir)?, digest })
    }
}

impl fmt::Display for ComponentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)?;
        match &self.digest {
            Some(digest) => write!(f, "@sha256:{}", hex(digest)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Builtin(name) => write!(f, "builtin:{name}"),
        }
    }
}

fn parse_location(place: &str, base_dir: &Path) -> Result<Location, String> {
    if place.is_empty() || place.contains('\0') {
        return Err("expected a path or builtin:NAME".into());
    }
    if let Some(name) = place.strip_prefix("builtin:") {
        return if is_dns_label(name) {
            Ok(Location::Builtin(name.into()))
        } else {
            Err(format!("expected the name of a built-in component after builtin:; got {name:?}"))
        };
    }
    if place.starts_with("file:") {
        let path = url::Url::parse(place).ok().and_then(|url| url.to_file_path().ok());
        return match path {
            Some(path) if place.starts_with("file:///") => Ok(Location::File(path)),
            _ => Err("expected an absolute path after file://".into()),
        };
    }
    for scheme in ["https:", "http:", "oci:"] {
        if place.starts_with(scheme) {
            return Err(format!("{scheme} is not supported yet; use a file"));
        }
    }
    if let Some((scheme, _)) = place.split_once("://") {
        return Err(format!("expected a path or builtin:NAME; {scheme}:// is not known"));
    }
    // `components` drops each `.`, so that messages and the state show the path that people know.
    Ok(Location::File(base_dir.join(place).components().collect()))
}

fn parse_digest(digits: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("expected 64 hex digits after @sha256:; got {digits:?}");
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ComponentRef, String> {
        ComponentRef::parse(text, Path::new("/policies"))
    }

    #[test]
    fn places() {
        let file = |path: &str| Location::File(path.into());
        assert_eq!(parse("./a.wasm").unwrap().location, file("/policies/a.wasm"));
        assert_eq!(parse("../a@b.wasm").unwrap().location, file("/policies/../a@b.wasm"));
        assert_eq!(parse("/abs/a.wasm").unwrap().location, file("/abs/a.wasm"));
        assert_eq!(parse("file:///abs/a%20b.wasm").unwrap().location, file("/abs/a b.wasm"));
        assert_eq!(parse("builtin:pod-security").unwrap().location, Location::Builtin("pod-security".into()));
    }

    #[test]
    fn digests() {
        let digits = "0123456789abcdef".repeat(4);
        let reference = parse(&format!("builtin:x@sha256:{digits}")).unwrap();
        assert_eq!(reference.location, Location::Builtin("x".into()));
        assert_eq!(hex(&reference.digest.unwrap()), digits);
        assert_eq!(reference.to_string(), format!("builtin:x@sha256:{digits}"));
        for wrong in ["a.wasm@sha256:", "a.wasm@sha256:12", &format!("a.wasm@sha256:{}é", "0".repeat(62))] {
            assert!(parse(wrong).unwrap_err().starts_with("expected 64 hex digits"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_refused_with_a_way_out() {
        for text in ["https://example.com/a.wasm", "oci://example.com/a:1", "oci:example.com/a"] {
            assert!(parse(text).unwrap_err().ends_with("is not supported yet; use a file"), "{text}");
        }
        for text in ["", "builtin:", "builtin:Not A Name", "file://relative.wasm", "file:a.wasm", "ftp://example.com/a"]
        {
            assert!(parse(text).unwrap_err().starts_with("expected "), "{text}");
        }
    }
}
