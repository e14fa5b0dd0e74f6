//! Flags for what is fetched: from which registries, how they are reached, and where it is kept.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::{CacheArgs, Failed};
use crate::{
    config::verification,
    loader::{
        Components, file,
        registry::{Config, Credentials, Host, Mirror, Pattern, Registry},
    },
    signature::requirement::Requirement,
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
    /// Whether it is said from where components may be fetched.
    pub(super) fn is_limited(&self) -> bool {
        !self.registry_allow.is_empty()
    }

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

/// Who must have signed.
#[derive(clap::Args)]
pub(super) struct VerificationArgs {
    /// Who must have signed every component that is not built in: YAML in the shape of Kubewarden's verification-config.yml. Only images have signatures, so that nothing
    /// else loads.
    #[arg(long, env = "VERDICT_VERIFICATION_CONFIG", value_name = "FILE")]
    verification_config: Option<PathBuf>,
}

impl VerificationArgs {
    /// # Errors
    /// The file cannot be read, or everything that is wrong in it.
    pub(super) fn requirement(&self) -> Result<Option<Requirement>, Failed> {
        let Some(path) = &self.verification_config else { return Ok(None) };
        let source = path.display().to_string();
        let wrong = |words: &dyn std::fmt::Display| Failed::configuration(format!("{source}: {words}"));
        let text = file::read(path, MAX_VERIFICATION).map_err(|error| wrong(&error))?;
        let text = String::from_utf8(text).map_err(|_| wrong(&"it is not UTF-8"))?;
        verification(&text, &source).map(Some).map_err(|errors| Failed::configurations(&errors))
    }
}

impl CacheArgs {
    /// What finds components, fetched ones as well where there is a folder to keep them in.
    ///
    /// # Errors
    /// As [`RegistryArgs::registry`] and [`VerificationArgs::requirement`].
    pub(super) fn components(&self) -> Result<Components, Failed> {
        let registry = self.registry.registry()?;
        let dir = self.dir().map(|it| it.join("components"));
        let components = dir.map_or_else(Components::local, |dir| Components::new(registry, dir));
        Ok(components.requiring(self.verification.requirement()?))
    }
}

/// Bytes of what --verification-config names.
const MAX_VERIFICATION: u64 = 1 << 20;
