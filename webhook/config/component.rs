//! `spec.component`: a place and a digest.

use std::path::Path;

use super::{
    fields::{Field, Object, Report},
    names::is_dns_label,
};
use crate::spec::{ComponentRef, Digest, Location};

/// Reads `component` of a spec. Relative paths are relative to `folder`. None only after an error was reported.
pub(super) fn read(spec: &Object<'_>, folder: &Path, report: &mut Report<'_>) -> Option<ComponentRef> {
    let field = spec.required("component", report)?;
    let object = field.object(&["image", "url", "path", "builtin", "sha256"], report)?;
    let digest = object.optional("sha256").map(|field| digest(field, report));
    let places = ["image", "url", "path", "builtin"].into_iter();
    let given: Vec<_> = places.filter_map(|name| Some((name, object.optional(name)?))).collect();
    let [(name, place)] = given[..] else {
        field.error(report, "expected exactly one of path and builtin");
        return None;
    };
    let location = location(name, place, folder, report)?;
    Some(ComponentRef { location, digest: digest.flatten() })
}

fn location(name: &str, field: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> Option<Location> {
    if matches!(name, "image" | "url") {
        field.error(report, "is not supported yet: use path");
        return None;
    }
    let text = field.text(report)?;
    match name {
        "builtin" if is_dns_label(text) => Some(Location::Builtin(text.into())),
        "builtin" => {
            field.expected(report, "the name of a built-in component");
            None
        }
        _ if text.is_empty() || text.contains('\0') => {
            field.expected(report, "the path of a file");
            None
        }
        // `components` drops each `.`, so that messages and the state show the path that people know.
        _ => Some(Location::File(folder.join(text).components().collect())),
    }
}

fn digest(field: &Field<'_>, report: &mut Report<'_>) -> Option<Digest> {
    let digest = field.text(report)?.parse();
    if digest.is_err() {
        field.expected(report, "64 hex digits in lower case");
    }
    digest.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn parse(component: &str) -> Result<ComponentRef, String> {
        let text = format!(
            "{{apiVersion: verdict.dev/v1alpha1, kind: Validator, metadata: {{name: p}}, spec: {{component: {component}}}}}"
        );
        match config::parse(&text, "f", Path::new("/policies")) {
            Ok(mut specs) => Ok(specs.remove(0).component),
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
            ("{}", "spec.component: expected exactly one of path and builtin"),
            ("{path: a, builtin: b}", "spec.component: expected exactly one of path and builtin"),
            ("{image: example.com/a:1}", "spec.component.image: is not supported yet: use path"),
            ("{url: 'https://example.com/a.wasm'}", "spec.component.url: is not supported yet: use path"),
            ("{path: ''}", "spec.component.path: expected the path of a file"),
            ("{builtin: Not A Name}", "spec.component.builtin: expected the name of a built-in component"),
            ("{file: a.wasm}", "spec.component.file: is not a field"),
        ] {
            let error = parse(component).unwrap_err();
            assert!(error.contains(expected), "{component}: {error}");
        }
    }
}
