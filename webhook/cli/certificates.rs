//! The server's certificates: where they are, what is wrong with them, and how they are replaced while the server answers.

use std::{
    fs,
    future::pending,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::ServerConfig;
use tokio::{sync::watch, time::sleep};
use tracing::{error, info, warn};

use super::reload::Watched;
use crate::{
    certs,
    observe::Metrics,
    server::{
        ClientName,
        tls::{Current, Pem, PemFile},
    },
};

/// Where they come from.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) pair: Pair,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_names: Vec<ClientName>,
}

/// The server's own certificate and its key.
#[derive(Clone)]
pub(super) enum Pair {
    /// An operator's.
    Files { certificate: PathBuf, key: PathBuf },
    /// Made by this program: on the spot, for as long as the process lives, or by the leader of several replicas, who sends another one in time.
    Made(watch::Receiver<Option<certs::Pair>>),
}

/// What the files hold.
pub(super) struct Certificates {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    client_names: Vec<ClientName>,
    /// No operator renews it.
    is_made: bool,
}

impl Files {
    /// # Errors
    /// Which of them cannot be read.
    pub(super) fn read(&self) -> Result<Certificates, String> {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let (certificate, key) = match &self.pair {
            Pair::Files { certificate, key } => (read(certificate)?, read(key)?),
            Pair::Made(pair) => {
                let pair = pair.borrow().clone().ok_or("no certificate was made yet")?;
                (pair.certificate.into_bytes(), pair.key.into_bytes())
            }
        };
        Ok(Certificates {
            certificate,
            key,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
            client_names: self.client_names.clone(),
            is_made: matches!(self.pair, Pair::Made(_)),
        })
    }

    /// Until another pair is there than the one that this process made. Never, of files.
    pub(super) async fn is_replaced(&mut self) {
        let is_replaced = match &mut self.pair {
            Pair::Made(made) => made.changed().await.is_ok(),
            Pair::Files { .. } => false,
        };
        if !is_replaced {
            pending().await
        }
    }

    fn all(&self) -> Vec<PathBuf> {
        let pair = match &self.pair {
            Pair::Files { certificate, key } => vec![certificate, key],
            Pair::Made(_) => Vec::new(),
        };
        pair.into_iter().chain(&self.client_ca).cloned().collect()
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
        let broad = if self.client_names.is_empty() { pem.broad_client_ca() } else { Ok(None) };
        if let Some(why) = broad.map_err(|error| error.to_string())? {
            warn!(
                "--client-ca looks like one that signs for others as well, kubelets for example ({why}): whoever it signed may ask the policies; name those who may with --client-name"
            );
        }
        for (file, expiry) in self.pem().expiries().map_err(|error| error.to_string())? {
            metrics.certificate_expiry(file.name(), expiry);
        }
        Ok(config)
    }

    /// When the first certificate of each file of an operator expires.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn expiries(&self) -> Result<Vec<(PemFile, SystemTime)>, String> {
        let mut all = self.pem().expiries().map_err(|error| error.to_string())?;
        all.retain(|(file, _)| !(self.is_made && matches!(file, PemFile::Certificate)));
        Ok(all)
    }
}

/// When the files of an operator expire. Those who renew them are told as the days pass, once for each step.
#[derive(Clone, Default)]
pub(super) struct Expiries(Arc<Mutex<Vec<Expiry>>>);

struct Expiry {
    listener: &'static str,
    file: PemFile,
    at: SystemTime,
    /// The last step that was told.
    told: Option<u64>,
}

impl Expiries {
    /// Of the server's own files, in place of those before.
    pub(super) fn of_server(&self, files: Vec<(PemFile, SystemTime)>) {
        self.replace("https", files);
    }

    /// Of the admin listener's.
    pub(super) fn of_admin(&self, files: Vec<(PemFile, SystemTime)>) {
        self.replace("admin", files);
    }

    fn replace(&self, listener: &'static str, files: Vec<(PemFile, SystemTime)>) {
        let mut all = self.lock();
        all.retain(|it| it.listener != listener);
        all.extend(files.into_iter().map(|(file, at)| Expiry { listener, file, at, told: None }));
        drop(all);
        self.look(SystemTime::now());
    }

    /// For as long as the process lives.
    pub(super) async fn watch(self) {
        loop {
            sleep(BETWEEN_LOOKS).await;
            self.look(SystemTime::now());
        }
    }

    /// Tells what is to be told now.
    fn look(&self, now: SystemTime) {
        for it in self.lock().iter_mut() {
            let left = it.at.duration_since(now).unwrap_or_default();
            let step = STEPS.into_iter().find(|days| left <= Duration::from_secs(days * DAY));
            if step == it.told {
                continue;
            }
            it.told = step;
            let (listener, file, days) = (it.listener, it.file, left.as_secs() / DAY);
            match step {
                None => {}
                Some(0) => warn!(listener, "{file} has expired: callers will refuse it, or be refused"),
                Some(_) => warn!(listener, days, "{file} expires soon"),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Expiry>> {
        // A poisoned lock only says that another thread panicked: the list itself is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What replaces the certificates of a server: takes what the files hold, or what was made, if it is whole and fits together; else what serves stays.
pub(super) fn again(files: Files, current: Arc<Current>, metrics: Arc<Metrics>, expiries: Expiries) -> Watched {
    let all = files.all();
    let made = match &files.pair {
        Pair::Files { .. } => None,
        Pair::Made(pair) => Some(pair.clone()),
    };
    let read = move || match files.read().and_then(|it| Ok((it.config(&metrics)?, it.expiries()?))) {
        Ok((config, expire)) => {
            current.replace(config);
            expiries.of_server(expire);
            info!("the certificates were read again: new connections are served with them");
        }
        Err(why) => error!("the certificates stay as they were: {why}"),
    };
    Watched { files: all, made, read: Box::new(read) }
}

/// Days before the end at which those who renew are told; at the last it is over.
const STEPS: [u64; 4] = [0, 1, 7, 30];
/// In seconds.
const DAY: u64 = 86_400;
const BETWEEN_LOOKS: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_once() {
        let now = SystemTime::now();
        let days = |days| Duration::from_secs(days * DAY);
        let expiries = Expiries::default();
        expiries.of_server(vec![(PemFile::Certificate, now + days(40))]);
        let told = |passed| {
            expiries.look(now + days(passed));
            expiries.lock()[0].told
        };
        let expected = [None, None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(0), Some(0)];
        assert_eq!([0, 9, 10, 20, 33, 38, 39, 40, 41].map(told), expected);
        // A clock that was wrong.
        assert_eq!(told(0), None);
    }

    #[test]
    fn what_was_made_last_is_served() {
        let names = ["localhost".to_owned()];
        let [one, two] = [(); 2].map(|()| certs::Bundle::generate(&names).unwrap().server);
        let (maker, made) = watch::channel(None);
        let files = Files { pair: Pair::Made(made), client_ca: None, client_names: Vec::new() };
        assert_eq!(files.read().err().unwrap(), "no certificate was made yet");
        let metrics = Arc::new(Metrics::new());
        maker.send_replace(Some(one.clone()));
        assert_eq!(files.read().unwrap().certificate, one.certificate.into_bytes());
        let current = Current::new(files.read().unwrap().config(&metrics).unwrap());
        let before = Arc::clone(current.acceptor().config());
        maker.send_replace(Some(two.clone()));
        assert_eq!(files.read().unwrap().certificate, two.certificate.into_bytes());
        let watched = again(files, Arc::clone(&current), metrics, Expiries::default());
        assert!(watched.made.is_some() && watched.files.is_empty());
        (watched.read)();
        assert!(!Arc::ptr_eq(&before, current.acceptor().config()));
    }
}
