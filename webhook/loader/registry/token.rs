//! Credentials and tokens: what a challenge is answered with, and tokens for as long as they are good.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    RegistryError,
    body::{self, Terms},
    challenge::{self, Challenge},
    credentials::Login,
    exchange::{Ask, Wires, retry_after},
    reach::{Endpoint, host_of},
};

/// What was shown and taken: by host, repository and scope.
#[derive(Default)]
pub(super) struct Tokens(Mutex<BTreeMap<(String, String), Kept>>);

struct Kept {
    shown: Shown,
    until: Instant,
}

/// What is shown to a registry.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) value: HeaderValue,
    /// Whether credentials are behind it.
    pub(super) is_known: bool,
}

impl Tokens {
    /// What to show at once.
    pub(super) fn kept(&self, home: &Endpoint, scope: &str) -> Option<Shown> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key(home, scope)).filter(|it| it.until > Instant::now()).map(|it| it.shown.clone())
    }

    pub(super) fn forget(&self, home: &Endpoint, scope: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(home, scope));
    }

    fn keep(&self, home: &Endpoint, scope: &str, shown: Shown, lasts: Duration) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key(home, scope), Kept { shown, until: Instant::now() + lasts });
    }
}

fn key(home: &Endpoint, scope: &str) -> (String, String) {
    (home.base().to_string(), format!("{}:{scope}", home.path()))
}

/// What a token server says.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Wires {
    /// What answers the challenge of `home`.
    pub(super) async fn login(
        &self,
        home: &Endpoint,
        ask: &Ask<'_>,
        headers: &HeaderMap,
    ) -> Result<Shown, RegistryError> {
        let host = || host_of(home.base());
        let Some(challenge) = challenge::read(headers) else {
            return Err(RegistryError::Token { host: host(), reason: "it names no way that is known here" });
        };
        let login = self.credentials.of(&host(), home.path()).await?;
        let is_known = login.is_some();
        let (value, lasts) = match (challenge, login) {
            (Challenge::Bearer { realm, service, scope }, login) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:{}", home.path(), ask.scope));
                self.token(home, ask, &realm, (service, scope), login).await?
            }
            (Challenge::Basic, Some(Login::Password { user, password })) => (basic(&user, &password), LASTS),
            (Challenge::Basic, _) => {
                return Err(RegistryError::NoCredentials { host: host(), name: ask.name.to_owned() });
            }
        };
        let mut value = value.ok_or(RegistryError::Token { host: host(), reason: "its token is not one" })?;
        value.set_sensitive(true);
        let shown = Shown { value, is_known };
        self.tokens.keep(home, ask.scope, shown.clone(), lasts);
        Ok(shown)
    }

    async fn token(
        &self,
        home: &Endpoint,
        ask: &Ask<'_>,
        realm: &str,
        (service, scope): (Option<String>, String),
        login: Option<Login>,
    ) -> Result<(Option<HeaderValue>, Duration), RegistryError> {
        let failed = |reason| RegistryError::Token { host: host_of(home.base()), reason };
        let mut url = Url::parse(realm).map_err(|_| failed("where it sends to is no URL"))?;
        self.reach.realm(&url, home).map_err(failed)?;
        let known = login.is_some();
        let mut words: Vec<(&str, String)> = service.into_iter().map(|it| ("service", it)).collect();
        words.push(("scope", scope));
        let mut question =
            Ask { method: Method::GET, url: url.clone(), body: None, accept: "application/json", ..*ask };
        let mut shown = None;
        if let Some(Login::Identity(token)) = login {
            words.push(("grant_type", "refresh_token".to_owned()));
            words.push(("client_id", "verdict".to_owned()));
            words.push(("refresh_token", token));
            question.method = Method::POST;
            question.body = Some(("application/x-www-form-urlencoded", Bytes::from(written(&words))));
        } else {
            if let Some(Login::Password { user, password }) = login {
                shown = basic(&user, &password);
                words.push(("account", user));
            }
            url.query_pairs_mut().extend_pairs(&words);
        }
        let response = self.send(&question, &url, shown.as_ref()).await?;
        let (host, name) = (host_of(&url), ask.name.to_owned());
        match response.status().as_u16() {
            200 => {}
            401 | 403 if known => return Err(RegistryError::BadCredentials { host, name }),
            401 | 403 => return Err(RegistryError::NoCredentials { host, name }),
            429 => return Err(RegistryError::RateLimited { host, after: retry_after(response.headers()) }),
            status @ 500..=599 => {
                return Err(RegistryError::Server { host, status, after: retry_after(response.headers()) });
            }
            _ => return Err(failed("there is no token where it sends to")),
        }
        let terms = Terms { host: &host, name: "a token", max: MAX_TOKEN, announced: None, digest: None, rate: None };
        let (bytes, _) = body::read(response.into_body(), &terms).await?;
        let given: Given = serde_json::from_slice(&bytes).map_err(|_| failed("what it is given there is no token"))?;
        let token = given.token.or(given.access_token).filter(|it| !it.is_empty());
        let token = token.ok_or_else(|| failed("what it is given there is no token"))?;
        let lasts = given.expires_in.map_or(LASTS, Duration::from_secs).min(LONGEST);
        Ok((HeaderValue::from_str(&format!("Bearer {token}")).ok(), lasts))
    }
}

fn written(words: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(words).finish()
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// As the specification of tokens has it, where a server does not say.
const LASTS: Duration = Duration::from_secs(60);
/// Whatever a server says.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of an answer.
const MAX_TOKEN: u64 = 64 << 10;
const MAX_KEPT: usize = 256;
