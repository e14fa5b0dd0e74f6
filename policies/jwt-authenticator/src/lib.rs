//! Verifies JWTs (RFC 7519) of one issuer against the public keys in its settings (RFC 7517).

mod keys;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jsonwebtoken::{Validation, dangerous, decode, errors::ErrorKind};
use keys::Key;
use serde_json::{Map, Value};
use settings::Settings;
use verdict_sdk::{Authentication, Authenticator, Error, Identity, Policy, SettingsError, TokenReview, User};

struct JwtAuthenticator {
    settings: Settings,
    keys: Vec<Key>,
}

type Claims = Map<String, Value>;

impl Policy for JwtAuthenticator {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let mut errors = settings.check();
        let mut keys = Vec::new();
        for (index, key) in settings.jwks.keys.iter().enumerate() {
            match Key::new(key) {
                Ok(key) => keys.extend(key),
                Err(message) => errors.push(SettingsError::new(format!("/jwks/keys/{index}"), message)),
            }
        }
        if keys.is_empty() && errors.is_empty() {
            errors.push(SettingsError::new("/jwks/keys", "expected at least one key for signatures"));
        }
        if errors.is_empty() { Ok(Self { settings, keys }) } else { Err(errors) }
    }
}

impl Authenticator for JwtAuthenticator {
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error> {
        let token = review.token.expose();
        // Only to see whose it is: nothing of it is believed before its signature is verified.
        let (Ok(header), Ok(claims)) =
            (jsonwebtoken::decode_header(token), dangerous::insecure_decode_claims::<Claims>(token))
        else {
            return Ok(Authentication::Unknown);
        };
        if claims.get("iss").and_then(Value::as_str) != Some(&self.settings.issuer) {
            return Ok(Authentication::Unknown);
        }
        let mut refused = "it is signed with a key that is not in the settings".to_owned();
        for key in self.keys.iter().filter(|key| key.may_have_signed(&header)) {
            match decode::<Claims>(token, &key.decoding, &self.validation(key)) {
                Ok(token) => return Ok(self.identity(&token.claims, &review.audiences)),
                Err(error) => refused = reason(error.kind()),
            }
        }
        Ok(Authentication::Rejected(refused))
    }
}

impl JwtAuthenticator {
    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithms[0]);
        validation.algorithms.clone_from(&key.algorithms);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&self.settings.audiences);
        validation.validate_nbf = true;
        validation.leeway = self.settings.leeway_seconds;
        validation
    }

    /// Who a token with these claims, which are verified, belongs to.
    fn identity(&self, claims: &Claims, asked: &[String]) -> Authentication {
        let Settings { username_claim, username_prefix, groups_claim, groups_prefix, audiences, .. } = &self.settings;
        let Some(username) = claims.get(username_claim).and_then(Value::as_str).filter(|it| !it.is_empty()) else {
            return Authentication::Rejected(format!("its claim {username_claim} is no name"));
        };
        let groups = texts(claims.get(groups_claim)).map(|group| format!("{groups_prefix}{group}")).collect();
        // Good for what it is made for, as far as that is accepted here, and asked for.
        let good: Vec<String> = texts(claims.get("aud"))
            .filter(|it| audiences.iter().any(|accepted| accepted == it))
            .filter(|it| asked.is_empty() || asked.iter().any(|asked| asked == it))
            .map(str::to_owned)
            .collect();
        if good.is_empty() {
            return Authentication::Unknown;
        }
        let mut user = User { username: format!("{username_prefix}{username}"), groups, ..User::default() };
        if let Some(id) = claims.get("jti").and_then(Value::as_str) {
            // As kube-apiserver itself does for the tokens of service accounts.
            user.extra =
                BTreeMap::from([("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={id}")])]);
        }
        let audiences = if asked.is_empty() { Vec::new() } else { good };
        Authentication::Authenticated(Identity { user, audiences })
    }
}

/// A claim that is one text or a list of them.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, list) = match claim {
        Some(Value::String(text)) => (Some(text.as_str()), None),
        Some(Value::Array(list)) => (None, Some(list)),
        _ => (None, None),
    };
    one.into_iter().chain(list.into_iter().flatten().filter_map(Value::as_str))
}

/// For the operator's log; never anything of the token.
fn reason(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "it is for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it lacks the claim {claim}"),
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        _ => "it cannot be verified".to_owned(),
    }
}

verdict_sdk::export!(JwtAuthenticator: Authenticator);
