//! Where may be fetched from, and who is asked: each image, each URL and each redirect comes here first.

use url::Url;

use super::{
    RegistryError,
    pattern::{Host, Mirror, Pattern, is_clear},
};
use crate::spec::{Image, Repository};

/// How a repository is asked.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Scheme, host and port.
    base: Url,
    path: String,
    /// Whether somebody else than the host of its name.
    pub(super) is_mirror: bool,
}

/// Who may be asked, and how.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) plain_http: Vec<Host>,
    pub(super) allow: Option<Vec<Pattern>>,
    pub(super) mirrors: Vec<Mirror>,
}

impl Endpoint {
    /// Of the API: `manifests/1.0`.
    pub(super) fn url(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.path));
        url
    }

    /// The name that the registry knows it by.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }
}

impl Reach {
    pub(super) fn image(&self, image: &Image) -> Result<(), RegistryError> {
        self.repository(image.repository(), &image.to_string())
    }

    pub(super) fn repository(&self, repository: &Repository, name: &str) -> Result<(), RegistryError> {
        let denied = || RegistryError::NotAllowed { name: name.to_owned() };
        let Some(patterns) = &self.allow else { return Ok(()) };
        let url = self.base(repository.registry()).ok_or_else(denied)?;
        let path: Vec<&str> = repository.path().split('/').collect();
        let is_allowed = patterns.iter().any(|it| it.fits_host(&url) && it.fits_path(&path));
        is_allowed.then_some(()).ok_or_else(denied)
    }

    /// Where `repository` is asked: its mirror, unless something is pushed.
    pub(super) fn endpoint(&self, repository: &Repository, pushes: bool) -> Result<Endpoint, RegistryError> {
        self.repository(repository, &repository.to_string())?;
        let registry = repository.registry();
        let mirror = self.mirrors.iter().find(|it| it.of.0 == registry && !pushes);
        let host = match mirror {
            Some(mirror) => mirror.at.0.as_str(),
            // Which has its API elsewhere.
            None if ["docker.io", "index.docker.io"].contains(&registry) => "registry-1.docker.io",
            None => registry,
        };
        let path = match mirror {
            Some(mirror) if !mirror.prefix.is_empty() => format!("{}/{}", mirror.prefix, repository.path()),
            _ => repository.path().to_owned(),
        };
        let base = self.base(host).ok_or_else(|| RegistryError::NotAllowed { name: repository.to_string() })?;
        Ok(Endpoint { base, path, is_mirror: host != registry })
    }

    /// Whether this URL may be fetched, and is one.
    pub(super) fn url(&self, url: &Url) -> Result<(), RegistryError> {
        let refused = |reason| Err(RegistryError::Url { name: shown(url), reason });
        match url.scheme() {
            "https" => {}
            "http" if self.is_plain(url) => {}
            "http" => return refused("only hosts of --registry-plain-http are asked without TLS"),
            _ => return refused("it does not begin with https://"),
        }
        if has_login(url) {
            return refused("it has a name or a password in it, which would be seen");
        }
        if !self.fits(url, false) {
            return Err(RegistryError::NotAllowed { name: shown(url) });
        }
        Ok(())
    }

    /// Whether a redirect from `from` to `to` is followed. `home`: the registry where it began, if it was one.
    pub(super) fn redirect(&self, from: &Url, to: &Url, home: Option<&Endpoint>) -> Result<(), RegistryError> {
        let (host, target) = (host_of(from), host_of(to));
        let is_safe = match to.scheme() {
            "https" => true,
            "http" => from.scheme() == "http" && self.is_plain(to),
            _ => false,
        };
        if !is_safe || has_login(to) {
            return Err(RegistryError::RedirectInsecure { host, to: target });
        }
        // Who stands in for somebody who is allowed is allowed too.
        let is_home = home.is_some_and(|it| it.is_mirror && to.origin() == it.base.origin());
        if !is_home && !self.fits(to, home.is_some()) {
            return Err(RegistryError::RedirectNotAllowed { host, to: target });
        }
        Ok(())
    }

    /// Whether tokens may be asked for there: by host only, since nothing that is loaded comes from there.
    pub(super) fn realm(&self, realm: &Url, home: &Endpoint) -> Result<(), &'static str> {
        let is_safe = realm.scheme() == "https" || realm.scheme() == "http" && self.is_plain(realm);
        if !is_safe || has_login(realm) {
            return Err("where it sends to is asked without TLS");
        }
        let is_home = realm.origin() == home.base.origin();
        let is_allowed = self.allow.as_ref().is_none_or(|patterns| patterns.iter().any(|it| it.fits_host(realm)));
        if is_home || is_allowed { Ok(()) } else { Err("where it sends to is not allowed by --registry-allow") }
    }

    fn fits(&self, url: &Url, is_api: bool) -> bool {
        let Some(patterns) = &self.allow else { return true };
        let path: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        let named = if is_api { path.strip_prefix(&["v2"]) } else { None };
        // What a server may take for another path fits no pattern that has one.
        let below = |it: &Pattern| named.is_some_and(|path| is_clear(url) && it.fits_path(path));
        patterns.iter().any(|it| it.fits_url(url) || it.fits_host(url) && below(it))
    }

    fn is_plain(&self, url: &Url) -> bool {
        self.plain_http
            .iter()
            .any(|it| Url::parse(&format!("http://{}/", it.0)).is_ok_and(|plain| plain.origin() == url.origin()))
    }

    fn base(&self, host: &str) -> Option<Url> {
        let scheme = if self.plain_http.iter().any(|it| it.0 == host) { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{host}/")).ok()
    }
}

/// Host and path, which the operator wrote; not the query, which may be a signature.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", host_of(url), url.path())
}

/// HOST, or HOST:PORT where that is not the usual one.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allow: &[&str]) -> Reach {
        Reach {
            plain_http: vec!["localhost:5000".parse().unwrap()],
            allow: Some(allow.iter().map(|it| it.parse().unwrap()).collect()),
            mirrors: vec!["ghcr.io=mirror.local:8443/proxy/ghcr".parse().unwrap()],
        }
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn is_allowed(pattern: &str, image: &str) -> bool {
        reach(&[pattern]).image(&image.parse().unwrap()).is_ok()
    }

    #[test]
    fn patterns_fit_whole_labels_and_whole_words() {
        for (pattern, image) in [
            ("ghcr.io", "ghcr.io/team/labels:1"),
            ("ghcr.io/team", "ghcr.io/team:1"),
            ("ghcr.io/team", "ghcr.io/team/labels:1"),
            ("ghcr.io/team/*", "ghcr.io/team/a/b:1"),
            ("ghcr.io/*/policies", "ghcr.io/team/policies/a:1"),
            ("*.example.org", "eu.example.org/a:1"),
            ("r.example:443", "r.example/a:1"),
            ("r.example", "r.example:443/a:1"),
            ("localhost:5000", "localhost:5000/a:1"),
            ("[::1]:5000/a", "[::1]:5000/a:1"),
        ] {
            assert!(is_allowed(pattern, image), "{pattern} {image}");
        }
        for (pattern, image) in [
            ("ghcr.io/team", "ghcr.io/team-b/labels:1"),
            ("ghcr.io/team", "ghcr.io/x/team:1"),
            ("ghcr.io/team/*", "ghcr.io/team:1"),
            ("ghcr.io/*/policies", "ghcr.io/policies:1"),
            ("*.example.org", "example.org/a:1"),
            ("*.example.org", "a.b.example.org/a:1"),
            ("*.example.org", "eu.example.org.evil.com/a:1"),
            ("r.example", "r.example:8443/a:1"),
            ("localhost", "localhost:5000/a:1"),
        ] {
            assert!(!is_allowed(pattern, image), "{pattern} {image}");
        }
        let error = reach(&["ghcr.io/team"]).image(&"ghcr.io/x:1".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "ghcr.io/x:1 is not allowed by --registry-allow");
    }

    #[test]
    fn a_path_that_a_server_may_take_for_another_fits_no_pattern_with_a_path() {
        let reach = reach(&["files.example/team", "other.example"]);
        assert!(reach.url(&url("https://files.example/team/a.wasm?x=1")).is_ok());
        for denied in [
            "https://files.example/teams/a.wasm",
            "https://files.example/team/../evil/a.wasm",
            "https://files.example/team/..%2fevil/a.wasm",
            "https://files.example/team/%2e%2e/evil/a.wasm",
            "https://files.example/v2/team/a.wasm",
        ] {
            assert!(matches!(reach.url(&url(denied)), Err(RegistryError::NotAllowed { .. })), "{denied}");
        }
        assert!(reach.url(&url("https://other.example/a%2fb")).is_ok());
    }

    #[test]
    fn urls_need_tls_and_no_password() {
        let reach = Reach { allow: None, ..reach(&[]) };
        assert!(reach.url(&url("http://localhost:5000/a.wasm")).is_ok());
        let words = |text: &str| reach.url(&url(text)).unwrap_err().to_string();
        assert_eq!(
            words("http://r.example/a.wasm?token=secret"),
            "r.example/a.wasm is not fetched: only hosts of --registry-plain-http are asked without TLS"
        );
        assert_eq!(words("ftp://r.example/a"), "r.example/a is not fetched: it does not begin with https://");
        assert_eq!(
            words("https://me:secret@r.example/a"),
            "r.example/a is not fetched: it has a name or a password in it, which would be seen"
        );
    }

    #[test]
    fn redirects_are_checked_like_what_was_asked_for() {
        let reach = reach(&["ghcr.io/team", "*.blob.example", "localhost:5000"]);
        let home = |text: &str| reach.endpoint(&text.parse().unwrap(), false).unwrap();
        let go = |from: &str, to: &str, home: &Endpoint| {
            reach.redirect(&url(from), &url(to), Some(home)).map_err(|it| it.to_string())
        };
        let ghcr = home("ghcr.io/team/a");
        let from = "https://ghcr.io/v2/team/a/blobs/x";
        assert_eq!(go(from, "https://eu.blob.example/x?sig=secret", &ghcr), Ok(()));
        assert_eq!(go(from, "https://ghcr.io/v2/team/b/blobs/x", &ghcr), Ok(()));
        let denied = |to: &str| Err(format!("ghcr.io redirects to {to}, which is not allowed by --registry-allow"));
        assert_eq!(go(from, "https://ghcr.io/v2/other/b/blobs/x?sig=secret", &ghcr), denied("ghcr.io"));
        assert_eq!(go(from, "https://evil.example:8443/x?sig=secret", &ghcr), denied("evil.example:8443"));
        let insecure = |to: &str| Err(format!("ghcr.io redirects to {to} without TLS, which is not followed"));
        // Though plain HTTP is spoken with it.
        assert_eq!(go(from, "http://localhost:5000/x", &ghcr), insecure("localhost:5000"));
        assert_eq!(go(from, "https://me:secret@eu.blob.example/x", &ghcr), insecure("eu.blob.example"));
        assert_eq!(go(from, "file:///etc/passwd", &ghcr), insecure(""));
        let local = home("localhost:5000/a");
        assert_eq!(go("http://localhost:5000/x", "http://localhost:5000/y", &local), Ok(()));
        assert!(go("http://localhost:5000/x", "http://eu.blob.example/y", &local).is_err());
        // The mirror is as good as whom it stands for.
        assert_eq!(ghcr.url("manifests/1").as_str(), "https://mirror.local:8443/v2/proxy/ghcr/team/a/manifests/1");
        assert_eq!(go("https://mirror.local:8443/a", "https://mirror.local:8443/b", &ghcr), Ok(()));
        let pushed = reach.endpoint(&"ghcr.io/team/a".parse().unwrap(), true).unwrap();
        assert_eq!(pushed.url("manifests/1").as_str(), "https://ghcr.io/v2/team/a/manifests/1");
    }
}
