//! Names and passwords for registries, from a file as `docker login` writes it, and from the programs that it names.
//!
//! Read anew for each challenge, so that what is replaced on disk is used. What is in it is never shown.

use std::{collections::BTreeMap, env, path::PathBuf};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{RegistryError, program::ask};
use crate::loader::{ReadError, file};

/// Where names and passwords are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, if it is there.
    #[default]
    Default,
    /// This file, which must be there. It may name programs (`credHelpers`, `credsStore`).
    File(PathBuf),
    /// Nowhere.
    None,
}

/// What is shown to a registry. Not `Debug`, since it is secret.
pub(super) enum Login {
    Password {
        user: String,
        password: String,
    },
    /// For the token server only.
    Identity(String),
}

impl Credentials {
    /// Those for the repository `path` on `host`, which is HOST or HOST:PORT.
    pub(super) async fn of(&self, host: &str, path: &str) -> Result<Option<Login>, RegistryError> {
        let (file, must_be) = match self {
            Self::None => return Ok(None),
            Self::File(file) => (file.clone(), true),
            Self::Default => match default_file() {
                Some(file) => (file, false),
                None => return Ok(None),
            },
        };
        let failed = |reason: String| RegistryError::Credentials { file: file.clone(), reason };
        let read = file.clone();
        let read =
            spawn_blocking(move || file::read(&read, MAX_FILE)).await.map_err(|_| failed("not read".to_owned()))?;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound && !must_be => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        // Not serde's words, which may quote what is there.
        let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|error| {
            failed(format!("it is no configuration of Docker's: line {}, column {}", error.line(), error.column()))
        })?;
        config.login(host, path).await.map_err(failed)
    }
}

fn default_file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(folder.join("config.json"))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    async fn login(&self, host: &str, path: &str) -> Result<Option<Login>, String> {
        let names: &[&str] = if is_docker_hub(host) { &DOCKER_HUB } else { &[host] };
        if let Some(program) = names.iter().find_map(|it| self.cred_helpers.get(*it)) {
            return ask(program, host).await;
        }
        for name in names {
            // The longest path wins: one host may have several accounts.
            let mut at = format!("{name}/{path}");
            loop {
                let found = self.auths.iter().find(|(key, _)| bare(key) == at);
                if let Some(login) = found.and_then(|(_, it)| it.login().transpose()) {
                    return login.map(Some);
                }
                let Some((shorter, _)) = at.rsplit_once('/') else { break };
                at = shorter.to_owned();
            }
        }
        match &self.creds_store {
            Some(program) => ask(program, host).await,
            None => Ok(None),
        }
    }
}

impl Auth {
    fn login(&self) -> Result<Option<Login>, String> {
        let said = |it: &Option<String>| it.clone().filter(|it| !it.is_empty());
        if let Some(token) = said(&self.identitytoken) {
            return Ok(Some(Login::Identity(token)));
        }
        if let Some(auth) = said(&self.auth) {
            let text = ANY_PADDING.decode(auth).ok().and_then(|it| String::from_utf8(it).ok());
            let (user, password) = text
                .as_deref()
                .and_then(|it| it.trim_end_matches('\0').split_once(':'))
                .ok_or("an entry's auth is not NAME:PASSWORD in base64")?;
            return Ok(Some(Login::Password { user: user.to_owned(), password: password.to_owned() }));
        }
        let both = said(&self.username).zip(said(&self.password));
        Ok(both.map(|(user, password)| Login::Password { user, password }))
    }
}

/// `https://r.example/v1/` is `r.example`.
fn bare(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

pub(super) fn is_docker_hub(host: &str) -> bool {
    host == "registry-1.docker.io" || DOCKER_HUB.contains(&host)
}

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Under which `docker login` keeps them.
const DOCKER_HUB: [&str; 2] = ["index.docker.io", "docker.io"];
/// Bytes of the file.
const MAX_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn login(config: &str, host: &str, path: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, config).unwrap();
        let found = Credentials::File(file.clone()).of(host, path).await;
        let found = found.map_err(|error| error.to_string().replace(file.to_str().unwrap(), "FILE"))?;
        Ok(found.map(|it| match it {
            Login::Password { user, password } => format!("{user}:{password}"),
            Login::Identity(token) => token,
        }))
    }

    /// `me:secret`
    const ME: &str = "bWU6c2VjcmV0";

    #[tokio::test]
    async fn the_longest_path_wins() {
        let config = format!(
            r#"{{"auths": {{"r.example": {{"auth": "{ME}"}}, "r.example/team": {{"username": "team", "password": "a:b"}},
                "https://old.example/v1/": {{"auth": "{ME}"}}, "https://index.docker.io/v1/": {{"identitytoken": "it"}}}}}}"#
        );
        for (host, path, found) in [
            ("r.example", "a", Some("me:secret")),
            ("r.example", "team/a/b", Some("team:a:b")),
            ("r.example", "teams/a", Some("me:secret")),
            ("old.example", "a", Some("me:secret")),
            ("registry-1.docker.io", "library/a", Some("it")),
            ("r.example:5000", "a", None),
            ("example", "a", None),
        ] {
            assert_eq!(login(&config, host, path).await.unwrap().as_deref(), found, "{host}/{path}");
        }
    }

    #[tokio::test]
    async fn what_is_in_the_file_is_never_shown() {
        let words = async |config: &str| login(config, "r.example", "a").await.unwrap_err();
        assert_eq!(
            words(r#"{"auths": {"r.example": {"auth": ["secret"]}}}"#).await,
            "FILE: it is no configuration of Docker's: line 1, column 33"
        );
        assert_eq!(
            words(r#"{"auths": {"r.example": {"auth": "secret"}}}"#).await,
            "FILE: an entry's auth is not NAME:PASSWORD in base64"
        );
        assert_eq!(
            words(r#"{"credsStore": "../secret"}"#).await,
            "FILE: it names a credential helper that is no name of a program"
        );
        assert!(
            words(r#"{"credsStore": "nobody-has-this"}"#)
                .await
                .starts_with("FILE: docker-credential-nobody-has-this does not start: ")
        );
    }

    #[tokio::test]
    async fn a_file_that_is_named_must_be_there() {
        let missing = PathBuf::from("/no/such/config.json");
        let error = Credentials::File(missing).of("r.example", "a").await.err().unwrap();
        assert_eq!(error.to_string(), "/no/such/config.json: No such file or directory (os error 2)");
        assert!(Credentials::None.of("r.example", "a").await.unwrap().is_none());
    }
}
