//! One request and its answer: redirects, authentication, what a status means, and trying again.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT},
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use super::{
    RegistryError, Times, challenge,
    connect::Sender,
    credentials::Credentials,
    fault,
    reach::{Endpoint, Reach, host_of},
    token::Tokens,
};

/// What every request needs.
pub(super) struct Wires {
    pub(super) sender: Sender,
    pub(super) proxies: Arc<Matcher>,
    pub(super) reach: Reach,
    pub(super) credentials: Credentials,
    pub(super) tokens: Tokens,
    pub(super) times: Times,
}

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whom it goes to, who may ask for credentials. None: what lies at a URL, which nobody gets credentials for.
    pub(super) home: Option<&'a Endpoint>,
    /// `pull`, or `pull,push`.
    pub(super) scope: &'static str,
    /// What it is about, for messages.
    pub(super) name: &'a str,
    /// Media types that are understood.
    pub(super) accept: &'static str,
    /// With its media type.
    pub(super) body: Option<(&'a str, Bytes)>,
}

/// An answer that is a success.
pub(super) struct Answer {
    /// Who gave it, after all redirects.
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
}

impl Wires {
    /// Asks until there is an answer that is no redirect and no challenge.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let mut url = ask.url.clone();
        // Until a redirect leads elsewhere: what is ours is shown to nobody else.
        let mut home = ask.home;
        let mut login = home.and_then(|it| self.tokens.kept(it, ask.scope));
        let mut was_challenged = false;
        let mut redirects = 0;
        loop {
            let response = self.send(ask, &url, login.as_ref().filter(|_| home.is_some()).map(|it| &it.value)).await?;
            let status = response.status();
            if let Some(to) = redirect(&response, &url, &ask.method)? {
                redirects += 1;
                if redirects > MAX_REDIRECTS {
                    return Err(RegistryError::Redirects { host: host_of(&ask.url), max: MAX_REDIRECTS });
                }
                self.reach.redirect(&url, &to, ask.home)?;
                if to.origin() != url.origin() {
                    home = None;
                }
                url = to;
                continue;
            }
            if let Some(endpoint) = home.filter(|_| status == StatusCode::UNAUTHORIZED) {
                let (host, name) = (host_of(&url), ask.name.to_owned());
                if was_challenged {
                    self.tokens.forget(endpoint, ask.scope);
                    let known = login.is_some_and(|it| it.is_known);
                    return Err(match challenge::read(response.headers()) {
                        Some(challenge::Challenge::Bearer { .. }) => RegistryError::TokenCircle { host, name, known },
                        _ => RegistryError::BadCredentials { host, name },
                    });
                }
                login = Some(self.login(endpoint, ask, response.headers()).await?);
                was_challenged = true;
                continue;
            }
            let known = home.map(|_| login.is_some_and(|it| it.is_known));
            return judge(response, url, ask.name, known);
        }
    }

    pub(super) async fn send(
        &self,
        ask: &Ask<'_>,
        url: &Url,
        login: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let broken = |reason| RegistryError::Url { name: ask.name.to_owned(), reason };
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(url.as_str())
            .header(ACCEPT, ask.accept)
            .header(USER_AGENT, concat!("verdict/", env!("CARGO_PKG_VERSION")));
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login);
        }
        let body = match &ask.body {
            Some((media_type, bytes)) => {
                request = request.header(CONTENT_TYPE, *media_type);
                bytes.clone()
            }
            None => Bytes::new(),
        };
        let mut request = request.body(Full::new(body)).map_err(|_| broken("its URL cannot be sent"))?;
        // Through a tunnel they are shown to the proxy before.
        let proxy = if url.scheme() == "http" { self.proxies.intercept(request.uri()) } else { None };
        if let Some(login) = proxy.as_ref().and_then(|it| it.basic_auth()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, login.clone());
        }
        // What is sent takes its time; else an answer begins soon.
        let limit = if ask.body.is_some() { self.times.blob } else { self.times.manifest };
        match timeout(limit, self.sender.request(request)).await {
            Ok(answer) => answer.map_err(|error| fault::of(url, &error)),
            Err(_) => Err(RegistryError::Deadline { host: host_of(url), name: ask.name.to_owned(), limit }),
        }
    }

    /// Asks again where that may help, until `limit`.
    pub(super) async fn insist<T, F>(
        &self,
        limit: Duration,
        (host, name): (&str, &str),
        one: impl Fn() -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let deadline = Instant::now() + limit;
        let mut pause = self.times.backoff;
        let mut tries = 0;
        loop {
            tries += 1;
            let late = |_| RegistryError::Deadline { host: host.to_owned(), name: name.to_owned(), limit };
            let error = match timeout_at(deadline, one()).await.map_err(late)? {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let Some(least) = error.again().filter(|_| tries < MAX_TRIES) else { return Err(error) };
            // Of many that are sent away at once, not all come again at once.
            let wait = least.max(pause.mul_f64(rand::random_range(0.5..1.0)));
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait).await;
            pause *= 2;
        }
    }
}

/// Where an answer sends us to.
fn redirect(response: &Response<Incoming>, from: &Url, method: &Method) -> Result<Option<Url>, RegistryError> {
    // What is pushed goes on as it was, or not at all.
    let follows: &[u16] = match *method {
        Method::GET | Method::HEAD => &[301, 302, 303, 307, 308],
        _ => &[307, 308],
    };
    if !follows.contains(&response.status().as_u16()) {
        return Ok(None);
    }
    location(response.headers(), from).map(Some).ok_or_else(|| RegistryError::RedirectNowhere { host: host_of(from) })
}

/// The header Location, seen from the URL that answered.
pub(super) fn location(headers: &HeaderMap, from: &Url) -> Option<Url> {
    let text = headers.get(LOCATION)?.to_str().ok().filter(|it| it.len() <= MAX_LOCATION)?;
    let mut to = from.join(text).ok()?;
    to.set_fragment(None);
    Some(to)
}

/// What a status means that is neither a redirect nor a challenge. `known`: whether credentials were shown; None: to this one they are not.
fn judge(response: Response<Incoming>, url: Url, name: &str, known: Option<bool>) -> Result<Answer, RegistryError> {
    let (host, name, status) = (host_of(&url), name.to_owned(), response.status());
    Err(match (status.as_u16(), known) {
        (200..=299, _) => {
            let (parts, body) = response.into_parts();
            return Ok(Answer { url, headers: parts.headers, body });
        }
        (403, Some(known)) => RegistryError::Denied { host, name, known },
        (404, _) => RegistryError::NotFound { host, name },
        (429, _) => RegistryError::RateLimited { host, after: retry_after(response.headers()) },
        (status @ 500..=599, _) => RegistryError::Server { host, status, after: retry_after(response.headers()) },
        (status, _) => RegistryError::Status { host, status, name },
    })
}

/// In seconds; as a date it is not read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

const MAX_REDIRECTS: usize = 5;
/// With the first.
const MAX_TRIES: usize = 4;
/// Bytes of a URL.
const MAX_LOCATION: usize = 8 << 10;
/// Seconds.
const MAX_RETRY_AFTER: u64 = 3600;
