//! Lets `magic-group` do anything with ConfigMaps; has no opinion on the rest.

use verdict_sdk::{Attributes, Authorizer, Error, NoSettings, Policy, Ruling, SettingsError, SubjectAccessReview};

struct MagicAuthorizer;

impl Policy for MagicAuthorizer {
    type Settings = NoSettings;

    fn new(NoSettings {}: NoSettings) -> Result<Self, Vec<SettingsError>> {
        Ok(Self)
    }
}

impl Authorizer for MagicAuthorizer {
    fn authorize(&self, review: &SubjectAccessReview) -> Result<Ruling, Error> {
        let configmaps = match &review.attributes {
            Attributes::Resource(resource) => resource.group.is_empty() && resource.resource == "configmaps",
            Attributes::NonResource(_) => false,
        };
        Ok(if configmaps && review.user.is_in("magic-group") {
            Ruling::allow("magic-group may use configmaps")
        } else {
            Ruling::no_opinion()
        })
    }
}

verdict_sdk::export!(MagicAuthorizer: Authorizer);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authorizer::<MagicAuthorizer>("{}").check_reviews();
    }
}
