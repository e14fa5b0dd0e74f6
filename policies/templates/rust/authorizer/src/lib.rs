//! A group may read in the namespaces of a prefix.

use serde::Deserialize;
use verdict_sdk::{
    Attributes, Authorizer, Error, Policy, Ruling, SettingsError, SubjectAccessReview,
};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({"group": "developers", "namespacePrefix": "dev-"})))]
struct Settings {
    /// The group whose members may read.
    #[cfg_attr(test, schemars(length(min = 1)))]
    group: String,
    /// How the names of their namespaces begin.
    #[cfg_attr(test, schemars(length(min = 1)))]
    namespace_prefix: String,
}

struct MyPolicy {
    settings: Settings,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let texts = [
            ("/group", &settings.group),
            ("/namespacePrefix", &settings.namespace_prefix),
        ];
        let empty = texts.into_iter().filter(|(_, text)| text.is_empty());
        let errors: Vec<SettingsError> = empty
            .map(|(path, _)| SettingsError::new(path, "expected a text, got an empty one"))
            .collect();
        if errors.is_empty() {
            Ok(Self { settings })
        } else {
            Err(errors)
        }
    }
}

impl Authorizer for MyPolicy {
    fn authorize(&self, review: &SubjectAccessReview) -> Result<Ruling, Error> {
        let Settings {
            group,
            namespace_prefix,
        } = &self.settings;
        // What is not meant here is left to the next authorizer, RBAC for example.
        let Attributes::Resource(asked) = &review.attributes else {
            return Ok(Ruling::no_opinion());
        };
        // `*` is all resources, so also secrets.
        let reads = matches!(&*asked.verb, "get" | "list" | "watch")
            && !matches!(&*asked.resource, "secrets" | "*");
        if reads
            && asked.namespace.starts_with(namespace_prefix)
            && review.user.groups.contains(group)
        {
            return Ok(Ruling::allow(format!(
                "{group} may read in {namespace_prefix}*"
            )));
        }
        Ok(Ruling::no_opinion())
    }
}

verdict_sdk::export!(MyPolicy: Authorizer);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    const SETTINGS: &str = r#"{"group": "developers", "namespacePrefix": "dev-"}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authorizer::<MyPolicy>(SETTINGS).check_reviews();
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            (r#"{"group": "", "namespacePrefix": "dev-"}"#, "/group"),
            (
                r#"{"group": "a", "namespacePrefix": ""}"#,
                "/namespacePrefix",
            ),
            (
                r#"{"group": "a", "namespacePrefix": "b", "verbs": []}"#,
                "/verbs",
            ),
        ] {
            assert_eq!(testing::settings_errors::<MyPolicy>(settings)[0].path, path);
        }
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
