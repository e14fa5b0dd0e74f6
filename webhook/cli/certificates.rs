//! The server's certificates: where they are, what is wrong with them, and how they are replaced while the server answers.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::ServerConfig;
use tracing::{error, info, warn};

use crate::{
    observe::Metrics,
    server::{
        ClientName,
        tls::{Current, Pem},
    },
};

/// The files of an operator.
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_names: Vec<ClientName>,
}

/// What they hold, or what is made on the spot.
pub(super) struct Certificates {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
    pub(super) client_names: Vec<ClientName>,
}

impl Files {
    pub(super) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca)
    }

    /// # Errors
    /// Which of them cannot be read.
    pub(super) fn read(&self) -> Result<Certificates, String> {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        Ok(Certificates {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
            client_names: self.client_names.clone(),
        })
    }
}

impl Certificates {
    fn pem(&self) -> Pem<'_> {
        Pem {
            certificate: &self.certificate,
            key: &self.key,
            client_ca: self.client_ca.as_deref(),
            client_names: &self.client_names,
        }
    }

    /// What serves with them. Says what an operator should know.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn config(&self, metrics: &Metrics) -> Result<Arc<ServerConfig>, String> {
        let pem = self.pem();
        let config = pem.config().map_err(|error| error.to_string())?;
        let expiry = pem.expiry().map_err(|error| error.to_string())?;
        let broad = if self.client_names.is_empty() { pem.broad_client_ca() } else { Ok(None) };
        if let Some(why) = broad.map_err(|error| error.to_string())? {
            warn!(
                "--client-ca looks like one that signs for others as well, kubelets for example ({why}): whoever it signed may ask the policies; name those who may with --client-name"
            );
        }
        metrics.certificate_expiry(expiry);
        match expiry.duration_since(SystemTime::now()) {
            Err(_) => warn!("the certificate has expired: callers will refuse it"),
            Ok(left) if left < SOON => warn!(days = left.as_secs() / 86_400, "the certificate expires soon"),
            Ok(_) => {}
        }
        Ok(config)
    }
}

/// What replaces the certificates of a server.
pub(super) struct Rotation {
    pub(super) files: Files,
    pub(super) current: Arc<Current>,
    pub(super) metrics: Arc<Metrics>,
}

impl Rotation {
    /// Takes what the files hold now, if it is whole and fits together; else what serves stays.
    pub(super) fn rotate(&self) {
        match self.files.read().and_then(|it| it.config(&self.metrics)) {
            Ok(config) => {
                self.current.replace(config);
                info!("the certificates were read again: new connections are served with them");
            }
            Err(why) => error!("the certificates stay as they were: {why}"),
        }
    }
}

/// Certificates are renewed with more left than that.
const SOON: Duration = Duration::from_secs(7 * 86_400);
