//! Knows one token: `magic-token` is `magic-user` of `magic-group`.

use verdict_sdk::{
    Authentication, Authenticator, Error, Identity, NoSettings, Policy, SettingsError, TokenReview, User,
};

struct MagicAuthenticator;

impl Policy for MagicAuthenticator {
    type Settings = NoSettings;

    fn new(NoSettings {}: NoSettings) -> Result<Self, Vec<SettingsError>> {
        Ok(Self)
    }
}

impl Authenticator for MagicAuthenticator {
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error> {
        if review.token.expose() != "magic-token" {
            return Ok(Authentication::Unknown);
        }
        let user = User { uid: "0".to_owned(), groups: vec!["magic-group".to_owned()], ..User::new("magic-user") };
        Ok(Authentication::Authenticated(Identity { user, audiences: Vec::new() }))
    }
}

verdict_sdk::export!(MagicAuthenticator: Authenticator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authenticator::<MagicAuthenticator>("{}").check_reviews();
    }

    #[test]
    fn the_user_is_the_magic_one() {
        let subject = testing::authenticator::<MagicAuthenticator>("{}");
        let Authentication::Authenticated(identity) = subject.ask_file("authenticated-magic-token.json") else {
            panic!()
        };
        assert_eq!((identity.user.username.as_str(), identity.user.uid.as_str()), ("magic-user", "0"));
        assert_eq!(identity.user.groups, ["magic-group"]);
    }
}
