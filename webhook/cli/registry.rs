//! Flags for what is fetched: from which registries, how they are reached, and where it is kept.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::{CacheArgs, Failed};
use crate::loader::{
    Components,
    registry::{Config, Credentials, Host, Mirror, Pattern, Registry},
};

/// How registries are reached.
#[derive(clap::Args)]
pub(super) struct RegistryArgs {
    /// A registry that is asked over plain HTTP: HOST or HOST:PORT. Repeatable.
    #[arg(long, env = "VERDICT_REGISTRY_PLAIN_HTTP", value_name = "HOST:PORT", value_delimiter = ',')]
    registry_plain_http: Vec<Host>,
    /// Names and passwords for registries, as `docker login` writes them. Default: config.json in $DOCKER_CONFIG or ~/.docker.
    #[arg(long, env = "VERDICT_REGISTRY_CONFIG", value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// CAs of registries, PEM, beside those of the public web.
    #[arg(long, env = "VERDICT_REGISTRY_CA", value_name = "FILE")]
    registry_ca: Option<PathBuf>,
    /// From where components may be fetched, redirects included: HOST[:PORT][/PATH], such as ghcr.io/team or *.example.org. Repeatable. Default: from wherever policies
    /// name.
    #[arg(long, env = "VERDICT_REGISTRY_ALLOW", value_name = "PATTERN", value_delimiter = ',')]
    registry_allow: Vec<Pattern>,
    /// A registry that is asked in place of another: HOST=MIRROR. Repeatable.
    #[arg(long, env = "VERDICT_REGISTRY_MIRROR", value_name = "HOST=MIRROR", value_delimiter = ',')]
    registry_mirror: Vec<Mirror>,
}

impl RegistryArgs {
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn registry(&self) -> Result<Registry, Failed> {
        let authorities = self.registry_ca.as_ref().map(|it| fs::read(it).with_context(|| it.display().to_string()));
        let config = Config {
            plain_http: self.registry_plain_http.clone(),
            authorities: authorities.transpose().map_err(|error| Failed::configuration(format!("{error:#}")))?,
            credentials: self.registry_config.clone().map_or(Credentials::Default, Credentials::File),
            allow: (!self.registry_allow.is_empty()).then(|| self.registry_allow.clone()),
            mirrors: self.registry_mirror.clone(),
            ..Config::default()
        };
        Registry::new(config).map_err(|words| Failed::configuration(format!("--registry-ca: {words}")))
    }
}

impl CacheArgs {
    /// What finds components, fetched ones as well where there is a folder to keep them in.
    ///
    /// # Errors
    /// As [`RegistryArgs::registry`].
    pub(super) fn components(&self) -> Result<Components, Failed> {
        let registry = self.registry.registry()?;
        let dir = self.dir().map(|it| it.join("components"));
        Ok(dir.map_or_else(Components::local, |dir| Components::new(registry, dir)))
    }
}
