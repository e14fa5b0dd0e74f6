//! References of images, read as container runtimes do: `nginx` is `docker.io/library/nginx:latest`.

/// An image: registry, repository, maybe a tag, maybe a digest.
#[derive(Debug, PartialEq)]
pub(crate) struct Reference<'a> {
    host: String,
    repository: String,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// A registry, or some path of one.
#[derive(Debug, PartialEq)]
pub(crate) struct Registry {
    host: String,
    /// Without slashes at its ends; empty for the whole registry.
    path: String,
}

impl<'a> Reference<'a> {
    /// None for what no runtime would pull.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].find(':') {
            Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
            None => (name, None),
        };
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if is_host(host) => (canonical(host), rest.to_owned()),
            _ => (DOCKER_HUB.to_owned(), name.to_owned()),
        };
        let repository =
            if host == DOCKER_HUB && !repository.contains('/') { format!("library/{repository}") } else { repository };
        let good = is_valid_host(&host)
            && repository.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        good.then_some(Self { host, repository, tag, digest })
    }

    pub(crate) fn has_digest(&self) -> bool {
        self.digest.is_some()
    }

    /// Whether the tag says `latest`, aloud or by being absent. A digest says exactly which image it is.
    pub(crate) fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest")
    }
}

impl Registry {
    /// None for what is no host with a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let host = if is_host(host) { canonical(host) } else { return None };
        let good = is_valid_host(&host) && (path.is_empty() || path.split('/').all(is_component));
        // `example.org/` has a path, and an empty one is no component.
        (good && !text.ends_with('/')).then(|| Self { host, path: path.to_owned() })
    }

    /// Whether the image is from here: the whole host, and whole components of the path.
    pub(crate) fn has(&self, image: &Reference<'_>) -> bool {
        if self.host != image.host {
            return false;
        }
        match image.repository.strip_prefix(&self.path) {
            Some(rest) => self.path.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

const DOCKER_HUB: &str = "docker.io";

/// Whether a first component names a host, and is not the first part of a path at Docker Hub.
fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Names of hosts have no case, and Docker Hub has two.
fn canonical(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host == "index.docker.io" { DOCKER_HUB.to_owned() } else { host }
}

/// A name or an address, an IPv6 one in brackets, and maybe a port.
fn is_valid_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => {
                let good = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
                return good && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(is_word)
        && bytes.last().copied().is_some_and(is_word)
        && bytes.iter().all(|&byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().copied().is_some_and(is_word)
        && bytes.iter().all(|&byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// The algorithms that runtimes verify, each with all of its digits.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<String> {
        Reference::parse(text).map(|it| format!("{}/{}", it.host, it.repository))
    }

    fn allows(registry: &str, image: &str) -> bool {
        Registry::parse(registry).unwrap().has(&Reference::parse(image).unwrap())
    }

    #[test]
    fn short_names_are_docker_hubs() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.29", "docker.io/library/nginx"),
            ("team/app", "docker.io/team/app"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("localhost/app", "localhost/app"),
            ("registry:5000/app:1", "registry:5000/app"),
            ("[::1]:5000/app", "[::1]:5000/app"),
            ("GHCR.io/team/app", "ghcr.io/team/app"),
        ] {
            assert_eq!(name(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_no_runtime_pulls_is_no_reference() {
        let long_tag = format!("app:{}", "a".repeat(129));
        for text in [
            "",
            " nginx",
            "nginx\n",
            "https://ghcr.io/app",
            "ghcr.io/../evil/app",
            "ghcr.io//app",
            "ghcr.io/",
            "Team",
            "app:",
            "app@",
            "app@sha256:00",
            "app@md5:d41d8cd98f00b204e9800998ecf8427e",
            "ghcr.io:port/app",
            "user@ghcr.io/app",
            "[::1/app",
            &long_tag,
        ] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_registry_has_whole_components() {
        assert!(allows("ghcr.io", "ghcr.io/team/app"));
        assert!(allows("ghcr.io/team", "ghcr.io/team/app"));
        assert!(allows("ghcr.io/team/app", "ghcr.io/team/app:1"));
        assert!(!allows("ghcr.io/team", "ghcr.io/teamster/app"));
        assert!(!allows("ghcr.io", "ghcr.io.evil.example/team/app"));
        assert!(!allows("registry.example.org", "registry.example.org:5000/app"));
        assert!(allows("docker.io/library", "nginx"));
        assert!(!allows("docker.io/library", "team/nginx"));
    }

    #[test]
    fn a_digest_is_never_the_latest() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        let is_latest = |text: &str| Reference::parse(text).unwrap().is_latest();
        assert!(is_latest("nginx"));
        assert!(is_latest("registry:5000/nginx"));
        assert!(is_latest("nginx:latest"));
        assert!(!is_latest("nginx:1"));
        assert!(!is_latest(&format!("nginx{digest}")));
        assert!(!is_latest(&format!("nginx:latest{digest}")));
    }

    #[test]
    fn a_registry_starts_with_a_host() {
        for text in ["", "library", "https://ghcr.io", "ghcr.io/", "ghcr.io/Team", "ghcr.io/team:1", "/team"] {
            assert_eq!(Registry::parse(text), None, "{text:?}");
        }
    }
}
