//! Lets groups do the listed verbs in the namespaces of a pattern; has no opinion on the rest, and never denies.

use serde::Deserialize;
use verdict_sdk::{
    Attributes, Authorizer, Error, Policy, ResourceAttributes, Ruling, SettingsError, SubjectAccessReview,
};

struct NamespaceGroups {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    group: String,
    namespaces: Vec<String>,
    verbs: Vec<String>,
    #[serde(default = "all")]
    api_groups: Vec<String>,
    #[serde(default = "all")]
    resources: Vec<String>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Policy for NamespaceGroups {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        for (index, rule) in settings.rules.iter().enumerate() {
            let mut refuse = |field: &str, message: &str| {
                errors.push(SettingsError::new(format!("/rules/{index}/{field}"), message));
            };
            if rule.group.is_empty() {
                refuse("group", "expected the name of a group, got an empty one");
            }
            for (field, list) in [
                ("namespaces", &rule.namespaces),
                ("verbs", &rule.verbs),
                ("apiGroups", &rule.api_groups),
                ("resources", &rule.resources),
            ] {
                if list.is_empty() {
                    refuse(field, "expected at least one entry: a rule without any matches nothing");
                }
            }
        }
        if errors.is_empty() { Ok(Self { rules: settings.rules }) } else { Err(errors) }
    }
}

impl Authorizer for NamespaceGroups {
    fn authorize(&self, review: &SubjectAccessReview) -> Result<Ruling, Error> {
        let Attributes::Resource(asked) = &review.attributes else { return Ok(Ruling::no_opinion()) };
        // Without a namespace the question is about the whole cluster, which no rule here can grant.
        if asked.namespace.is_empty() {
            return Ok(Ruling::no_opinion());
        }
        let rule = self.rules.iter().find(|rule| review.user.is_in(&rule.group) && rule.grants(asked));
        Ok(rule.map_or_else(Ruling::no_opinion, |rule| {
            Ruling::allow(format!("group {} may {} in {}", rule.group, asked.verb, asked.namespace))
        }))
    }
}

impl Rule {
    fn grants(&self, asked: &ResourceAttributes) -> bool {
        let resource = match asked.subresource.as_str() {
            "" => asked.resource.clone(),
            subresource => format!("{}/{subresource}", asked.resource),
        };
        self.namespaces.iter().any(|pattern| matches(pattern, &asked.namespace))
            && (listed(&self.verbs, &asked.verb) && !self.is_unnamed_escalation(&asked.verb))
            && listed(&self.api_groups, &asked.group)
            && listed(&self.resources, &resource)
    }

    /// With these verbs a group could give itself more than its rule; `*` does not mean them. Who asks for the verb `*`
    /// asks for all of them, so no rule allows that.
    fn is_unnamed_escalation(&self, verb: &str) -> bool {
        if verb == "*" {
            return true;
        }
        let escalates = matches!(verb, "escalate" | "bind") || verb.starts_with("impersonate");
        escalates && !self.verbs.iter().any(|named| named == verb)
    }
}

fn listed(list: &[String], asked: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == asked)
}

/// `*` stands for any characters, `?` for one. Steps back to the last `*` only, so the time is bounded by the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[here] => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((star_at, star_here)) => {
                    star = Some((star_at, star_here + 1));
                    (at, here) = (star_at + 1, star_here + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

verdict_sdk::export!(NamespaceGroups: Authorizer);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    const SETTINGS: &str = r#"{"rules": [
        {"group": "team-a-devs", "namespaces": ["team-a-*"], "verbs": ["get", "list"], "resources": ["pods", "pods/log"]},
        {"group": "team-a-admins", "namespaces": ["team-a-?"], "verbs": ["*"]}]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authorizer::<NamespaceGroups>(SETTINGS).check_reviews();
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("team-*", "team-a", true),
            ("team-*", "team-", true),
            ("team-*", "my-team-a", false),
            ("team-?", "team-ab", false),
            ("*-prod", "a-prod-prod", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            (r#"{"rules": [{"group": "", "namespaces": ["a"], "verbs": ["get"]}]}"#, "/rules/0/group"),
            (r#"{"rules": [{"group": "g", "namespaces": [], "verbs": ["get"]}]}"#, "/rules/0/namespaces"),
            (r#"{"rules": [{"group": "g", "namespaces": ["a"], "verb": ["get"]}]}"#, "/rules/0/verb"),
        ] {
            assert_eq!(testing::settings_errors::<NamespaceGroups>(settings)[0].path, path, "{settings}");
        }
    }
}
