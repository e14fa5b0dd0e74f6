//! What a policy's module exports, and which interfaces that makes.

use crate::{author::build::BuildError, spec::Interface};

/// The interfaces that `exported` answers.
pub(super) fn interfaces(entry: &str, exported: &[String]) -> Result<Vec<Interface>, BuildError> {
    let found: Vec<_> =
        REVIEWS.iter().filter(|(function, _)| exported.iter().any(|it| it == function)).map(|(_, it)| *it).collect();
    // A misspelt name would be a policy that answers less than its author thinks.
    let misspelt: Vec<String> = exported
        .iter()
        .filter_map(|name| Some(format!("{name} is exported, did you mean {}?", meant(name)?)))
        .collect();
    if !misspelt.is_empty() {
        return Err(BuildError::NotAPolicy(format!("{entry}: {}", misspelt.join(" "))));
    }
    if found.is_empty() {
        return Err(BuildError::NotAPolicy(format!(
            "{entry}: exports nothing that answers reviews: export a function validate, mutate, authenticate, authorize, \
             handleEvent or handleChange, for example `export function validate(request) {{ ... }}`"
        )));
    }
    Ok(found)
}

/// The function of the contract that `name` is nearly called.
fn meant(name: &str) -> Option<&'static str> {
    let known = || REVIEWS.iter().map(|(function, _)| *function).chain(["init", "cleanup"]);
    if known().any(|it| it == name) {
        return None;
    }
    let plain = |name: &str| name.replace(['_', '$'], "").to_lowercase();
    let near = |it: &str| {
        let distance = strsim::levenshtein(&plain(name), &plain(it));
        distance == 0 || it.len() > 4 && distance <= 2
    };
    known().find(|it| near(it))
}

/// Functions, and the interfaces that they answer.
const REVIEWS: [(&str, Interface); 6] = [
    ("validate", Interface::Validating),
    ("mutate", Interface::Mutating),
    ("authenticate", Interface::Authentication),
    ("authorize", Interface::Authorization),
    ("handleEvent", Interface::Provider),
    ("handleChange", Interface::Changes),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exported: &[&str]) -> Result<Vec<Interface>, String> {
        let exported: Vec<String> = exported.iter().map(|it| (*it).to_owned()).collect();
        interfaces("policy.js", &exported).map_err(|error| error.to_string())
    }

    #[test]
    fn exported_functions_make_interfaces() {
        assert_eq!(
            of(&["mutate", "init", "validate", "cleanup"]).unwrap(),
            [Interface::Validating, Interface::Mutating]
        );
        assert_eq!(
            of(&["handleEvent", "validator", "default", "initial"]).unwrap_err(),
            "policy.js: validator is exported, did you mean validate?"
        );
        assert_eq!(of(&["handleEvent", "schema", "initial"]).unwrap(), [Interface::Provider]);
    }

    #[test]
    fn a_misspelt_function_is_named() {
        for name in
            ["Validate", "validates", "vaildate", "handle_event", "handleEvents", "authorise", "Init", "authentcate"]
        {
            let error = of(&[name, "mutate"]).unwrap_err();
            assert!(error.starts_with(&format!("policy.js: {name} is exported, did you mean ")), "{error}");
        }
        let error = of(&["default"]).unwrap_err();
        assert!(error.contains("export a function validate, mutate,"), "{error}");
    }
}
