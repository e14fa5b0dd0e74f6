//! Who must have signed, from YAML: the file of the whole server, in the shape of Kubewarden's `verification-config.yml`, and what an
//! object says below its component.

use std::sync::LazyLock;

use super::{
    ConfigError,
    fields::{Field, Report},
    walk::{Schema, without_nulls},
    yaml,
};
use crate::{
    signature::requirement::Requirement,
    spec::{
        declared::{Verification, VerificationConfig},
        schema,
    },
};

/// The file of the whole server; `source` names it in messages.
///
/// # Errors
/// Everything that is wrong with it, with lines; never empty.
pub fn verification(text: &str, source: &str) -> Result<Requirement, Vec<ConfigError>> {
    let mut documents = yaml::documents(text).into_iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err(vec![super::about(
            source.as_ref(),
            "expected one document with apiVersion: v1, and allOf, anyOf or both",
        )]);
    };
    let node = document.map_err(|problems| super::problems(source, problems))?;
    let mut report = Report::new(source);
    let root = Field::root(&node);
    if let Some(schema) = &*FILE {
        schema.check(&root, &mut report, &|_, _| None);
    }
    let requirement = if report.errors.is_empty() {
        let declared = serde_json::from_value::<VerificationConfig>(without_nulls(&node)).ok();
        declared.and_then(|it| requirement(it.into(), &root, &mut report))
    } else {
        None
    };
    report.finish()?;
    requirement.ok_or_else(|| vec![super::about(source.as_ref(), "it cannot be read")])
}

/// What is declared at `field`, which fits its schema. None only after an error was reported.
pub(super) fn requirement(declared: Verification, field: &Field<'_>, report: &mut Report<'_>) -> Option<Requirement> {
    let wrong = match Requirement::read(declared) {
        Ok(requirement) => return Some(requirement),
        Err(wrong) => wrong,
    };
    for wrong in wrong {
        let path =
            [field.path.as_str(), &wrong.path].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(".");
        report.error(nearest(field, &wrong.path).node.line, &path, wrong.message);
    }
    None
}

/// What stands at such a path as `allOf[0].key`, or what it would stand in.
fn nearest<'n>(field: &Field<'n>, path: &str) -> Field<'n> {
    let mut field = field.clone();
    for part in path.split(['.', '[']) {
        let below = match part.strip_suffix(']') {
            Some(at) => at.parse().ok().and_then(|at: usize| field.items().into_iter().nth(at)),
            None => field.at(part),
        };
        let Some(below) = below else { break };
        field = below;
    }
    field
}

/// That it compiles is tested.
static FILE: LazyLock<Option<Schema>> = LazyLock::new(|| Schema::compile(&schema::schema::<VerificationConfig>()).ok());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::private::KeyPair;

    fn wrong(text: &str) -> Vec<String> {
        verification(text, "v.yml").unwrap_err().iter().map(ToString::to_string).collect()
    }

    /// A key as a block of YAML.
    fn key(indent: usize) -> String {
        let pem = KeyPair::generate().unwrap().public.pem();
        pem.lines().map(|it| format!("\n{}{it}", " ".repeat(indent))).collect()
    }

    #[test]
    fn a_file_as_kubewarden_has_it_is_read() {
        assert!(FILE.is_some());
        assert!(Schema::compile(&schema::schema::<Verification>()).is_ok());
        let text = format!(
            "apiVersion: v1\nallOf:\n  - kind: pubKey\n    owner: alice\n    annotations:\n      env: prod\n    key: |{}\nanyOf:\n  minimumMatches: 1\n  \
             signatures:\n    - kind: pubKey\n      key: |{}\n    - {{kind: pubKey, owner: null, key: \"{}\"}}\n",
            key(6),
            key(8),
            KeyPair::generate().unwrap().public.pem().replace('\n', "\\n"),
        );
        verification(&text, "v.yml").unwrap();
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let text = format!(
            "apiVersion: v1\nallOf:\n  - kind: pubKey\n    key: nothing\n  - kind: pubKey\n    key: &k |{}\n  - {{kind: pubKey, key: \"x\"}}\n",
            key(6)
        );
        let found = wrong(&text);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert_eq!(found[0], "v.yml:4: allOf[0].key: expected PEM: a text that begins with -----BEGIN and a name");
        assert!(found[1].starts_with("v.yml:11: allOf[2].key: expected PEM"), "{found:#?}");
        for (text, expected) in [
            ("", "v.yml: expected one document"),
            (
                "apiVersion: v1\n",
                "v.yml:1: expected allOf, anyOf or both: without a signer everything would be accepted",
            ),
            ("apiVersion: v1\nallOf: []\n", "v.yml:1: expected allOf, anyOf or both"),
            ("allOf: []\n", "v.yml:1: apiVersion: is required"),
            ("apiVersion: v2\nanyof: {}\n", "v.yml:1: apiVersion: expected v1; got \"v2\""),
            ("apiVersion: v1\nanyof: {}\n", "v.yml:2: anyof: is not a field; did you mean anyOf?"),
            ("apiVersion: v1\nanyOf:\n  signatures: []\n", "v.yml:3: anyOf.signatures: expected at least one item"),
            (
                "apiVersion: v1\nanyOf:\n  minimumMatches: 2\n  signatures:\n  - {kind: pubKey, key: x}\n",
                "v.yml:3: anyOf: minimumMatches is larger than the number of signatures",
            ),
            (
                "apiVersion: v1\nallOf:\n- kind: genericIssuer\n  issuer: https://x\n  subject: {urlPrefix: https://y/}\n",
                "v.yml:3: allOf[0]: only signatures by a key (kind pubKey) are verified",
            ),
            (
                "apiVersion: v1\nallOf:\n- {kind: githubAction, owner: x, repo: z}\n",
                "v.yml:3: allOf[0]: only signatures",
            ),
            ("apiVersion: v1\nallOf:\n- {kind: pubKey}\n", "v.yml:3: allOf[0]: kind pubKey needs key"),
            ("apiVersion: v1\nallOf:\n- {kind: publicKey}\n", "v.yml:3: allOf[0].kind: expected one of pubKey"),
        ] {
            let found = wrong(text);
            assert!(found[0].starts_with(expected), "{text}: {found:#?}");
        }
    }

    /// Somebody pastes the wrong file.
    #[test]
    fn nothing_of_a_private_key_is_repeated() {
        let private = KeyPair::generate().unwrap().private.replace('\n', "\\n");
        for key in [private.clone(), private.repeat(60), format!("[\"{private}\"]")] {
            let quoted = if key.starts_with('[') { key } else { format!("\"{key}\"") };
            let found = wrong(&format!("apiVersion: v1\nallOf:\n- {{kind: pubKey, key: {quoted}}}\n")).join("\n");
            assert!(found.starts_with("v.yml:3: allOf[0].key: ") && !found.contains(&private[32..44]), "{found}");
        }
    }
}
