//! `spec.component`: a place and a digest.

use url::Url;

use super::{
    document::Origin,
    fields::{Field, Report},
    verification::requirement,
    walk::without_nulls,
};
use crate::spec::{ComponentRef, Digest, Image, Location, declared};

/// What of a component in `spec` is allowed by its schema, and is none all the same.
pub(super) fn check(spec: &Field<'_>, origin: &Origin<'_>, report: &mut Report<'_>) {
    let Some(component) = spec.at("component") else { return };
    let words = |name: &str| component.at(name).and_then(|it| Some((it.words()?.to_owned(), it)));
    if let Some((image, field)) = words("image")
        && let Err(wrong) = image.parse::<Image>()
    {
        field.error(report, wrong.to_string());
    }
    if let Some((url, field)) = words("url")
        && let Err(wrong) = web(&url)
    {
        field.error(report, wrong);
    }
    if let Some(field) = component.at("verify")
        && let Ok(declared) = serde_json::from_value(without_nulls(field.node))
    {
        requirement(declared, &field, report);
    }
    let Origin::Request { given, fetches } = origin else { return };
    for field in ["image", "url"].iter().filter(|_| !fetches).filter_map(|it| component.at(it)) {
        field.error(
            report,
            "is not taken from requests by a server without --registry-allow: whoever sends them could make it ask anybody",
        );
    }
    if ["image", "url", "builtin"].iter().any(|it| component.at(it).is_some()) {
        return;
    }
    let Some(field) = component.at("sha256") else { return };
    if let Some(digest) = field.words().and_then(|it| it.parse().ok())
        && given(digest).is_none()
    {
        field.error(report, "no component of this digest was sent beside the object, and none is registered");
    }
}

/// A URL that can be fetched from.
pub(super) fn web(text: &str) -> Result<Url, &'static str> {
    let url: Url = text.parse().map_err(|_| "is no URL")?;
    if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) {
        return Err("must begin with https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no credentials: they belong in --registry-config");
    }
    if url.fragment().is_some() {
        return Err("must have no part after #, which no server sees");
    }
    Ok(url)
}

/// Of what the schema allows.
pub(super) fn read(declared: declared::Component, origin: &Origin<'_>) -> Option<ComponentRef> {
    let digest: Option<Digest> = declared.sha256.map(|it| it.parse()).transpose().ok()?;
    let location = match (declared.image, declared.url, declared.path, declared.builtin, origin) {
        (Some(image), None, None, None, _) => Location::Image(image.parse().ok()?),
        (None, Some(url), None, None, _) => Location::Url(web(&url).ok()?),
        // `components` drops each `.`, so that messages and the state show the path that people know.
        (None, None, Some(path), None, Origin::Folder(folder)) => {
            Location::File(folder.join(path).components().collect())
        }
        (None, None, None, Some(name), _) => Location::Builtin(name),
        (None, None, None, None, Origin::Request { given, .. }) => Location::Given(given(digest?)?),
        _ => return None,
    };
    // What was given is found by its digest.
    let digest = digest.filter(|_| !matches!(location, Location::Given(_)));
    Some(ComponentRef { location, digest, verify: declared.verify.map(Box::new) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn parse(component: &str) -> Result<ComponentRef, String> {
        let text = format!(
            "{{apiVersion: verdict.dev/v1alpha1, kind: Validator, metadata: {{name: p}}, spec: {{component: {component}}}}}"
        );
        match config::parse(&text, "f", Path::new("/policies")) {
            Ok(specs) => Ok(specs[0].component().unwrap().clone()),
            Err(errors) => Err(errors.iter().map(|it| it.to_string()).collect::<Vec<_>>().join("\n")),
        }
    }

    #[test]
    fn places() {
        let file = |path: &str| Location::File(path.into());
        assert_eq!(parse("{path: ./a.wasm}").unwrap().location, file("/policies/a.wasm"));
        assert_eq!(parse("{path: ../a@b.wasm}").unwrap().location, file("/policies/../a@b.wasm"));
        assert_eq!(parse("{path: /abs/a.wasm}").unwrap().location, file("/abs/a.wasm"));
        let image = parse("{image: 'registry.example.org:5000/policies/labels:1.2'}").unwrap();
        assert_eq!(image.to_string(), "registry.example.org:5000/policies/labels:1.2");
        let url =
            parse(&format!("{{url: 'https://example.org/a.wasm?token=secret', sha256: {}}}", "ab".repeat(32))).unwrap();
        assert_eq!(url.location.to_string(), "https://example.org/a.wasm");
        assert_eq!(parse("{builtin: pod-security}").unwrap().location, Location::Builtin("pod-security".into()));
    }

    #[test]
    fn digests() {
        let digits = "0123456789abcdef".repeat(4);
        let reference = parse(&format!("{{builtin: x, sha256: {digits}}}")).unwrap();
        assert_eq!(reference.location, Location::Builtin("x".into()));
        assert_eq!(reference.digest.unwrap().to_string(), digits);
        assert_eq!(reference.to_string(), format!("builtin:x@sha256:{digits}"));
        for wrong in ["\"\"", "\"12\"", &digits.to_uppercase(), &format!("{}é", "0".repeat(62))] {
            let error = parse(&format!("{{path: a.wasm, sha256: {wrong}}}")).unwrap_err();
            assert!(error.contains("spec.component.sha256: expected 64 hex digits in lower case"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (component, expected) in [
            ("a.wasm", "spec.component: expected a mapping; got \"a.wasm\""),
            ("{}", "spec.component: expected exactly one of image, url, path and builtin"),
            ("{path: a, builtin: b}", "spec.component: expected exactly one of image, url, path and builtin"),
            ("{image: 'labels:1'}", "spec.component.image: it must begin with a registry"),
            ("{image: example.com/a}", "spec.component.image: it needs a tag or a digest"),
            ("{url: 'https://user@example.com/a.wasm', sha256: $0}", "spec.component.url: must hold no credentials"),
            ("{url: 'https://example.com/a.wasm#b', sha256: $0}", "spec.component.url: must have no part after #"),
            ("{url: 'http://example.com/a.wasm', sha256: $0}", "expected a URL that begins with https://"),
            ("{url: 'https://example.com/a.wasm'}", "spec.component: expected sha256 beside url"),
            ("{path: ''}", "spec.component.path: expected the path of a file"),
            ("{builtin: Not A Name}", "spec.component.builtin: expected the name of a built-in component"),
            ("{file: a.wasm}", "spec.component.file: is not a field"),
        ] {
            let error = parse(&component.replace("$0", &"ab".repeat(32))).unwrap_err();
            assert!(error.contains(expected), "{component}: {error}");
        }
    }
}
