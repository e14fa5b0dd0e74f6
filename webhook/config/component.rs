//! `spec.component`: a place and a digest.

use super::{
    document::Origin,
    fields::{Field, Report},
};
use crate::spec::{ComponentRef, Digest, Location, declared};

/// What of a component in `spec` is allowed by its schema and not served.
pub(super) fn check(spec: &Field<'_>, origin: &Origin<'_>, report: &mut Report<'_>) {
    let component = spec.at("component");
    for name in ["image", "url"] {
        if let Some(field) = component.as_ref().and_then(|it| it.at(name)) {
            field.error(report, "is not supported yet: use path");
        }
    }
    let Origin::Request(given) = origin else { return };
    if component.as_ref().is_none_or(|it| it.at("builtin").is_some()) {
        return;
    }
    let Some(field) = component.and_then(|it| it.at("sha256")) else { return };
    if let Some(digest) = field.words().and_then(|it| it.parse().ok())
        && given(digest).is_none()
    {
        field.error(report, "no component of this digest was sent beside the object, and none is registered");
    }
}

/// Of what the schema allows.
pub(super) fn read(declared: declared::Component, origin: &Origin<'_>) -> Option<ComponentRef> {
    let digest: Option<Digest> = declared.sha256.map(|it| it.parse()).transpose().ok()?;
    let location = match (declared.path, declared.builtin, origin) {
        // `components` drops each `.`, so that messages and the state show the path that people know.
        (Some(path), None, Origin::Folder(folder)) => Location::File(folder.join(path).components().collect()),
        (None, Some(name), _) => Location::Builtin(name),
        (None, None, Origin::Request(given)) => Location::Given(given(digest?)?),
        _ => return None,
    };
    // What was given is found by its digest.
    let digest = digest.filter(|_| !matches!(location, Location::Given(_)));
    Some(ComponentRef { location, digest })
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
            ("{image: example.com/a:1}", "spec.component.image: is not supported yet: use path"),
            ("{url: 'https://example.com/a.wasm'}", "spec.component.url: is not supported yet: use path"),
            ("{url: 'https://example.com/a.wasm'}", "spec.component: expected sha256 beside url"),
            ("{path: ''}", "spec.component.path: expected the path of a file"),
            ("{builtin: Not A Name}", "spec.component.builtin: expected the name of a built-in component"),
            ("{file: a.wasm}", "spec.component.file: is not a field"),
        ] {
            let error = parse(component).unwrap_err();
            assert!(error.contains(expected), "{component}: {error}");
        }
    }
}
