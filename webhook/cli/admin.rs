//! The admin listener's flags: where it is, and who may use what it does not show to everybody.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ServerConfig;
use tracing::{error, info};

use super::{Failed, certificates::Expiries, get::kind, reload::Watched};
use crate::{
    admin::Guard,
    policy::Store,
    server::{
        ClientName, Listed, Tokens,
        tls::{Current, Pem},
    },
    spec::Kind,
};

/// Where it listens, and for whom.
#[derive(clap::Args)]
pub(super) struct AdminArgs {
    /// Where to answer /livez, /readyz, /metrics and /policies. Default: as --bind, port 8080.
    #[arg(long, env = "VERDICT_ADMIN_BIND")]
    admin_bind: Option<SocketAddr>,
    /// The admin listener's certificate chain, PEM. Without it, it answers in the clear.
    #[arg(long, env = "VERDICT_ADMIN_TLS_CERT", value_name = "FILE", requires = "admin_tls_key")]
    admin_tls_cert: Option<PathBuf>,
    /// That certificate's private key, PEM.
    #[arg(long, env = "VERDICT_ADMIN_TLS_KEY", value_name = "FILE", requires = "admin_tls_cert")]
    admin_tls_key: Option<PathBuf>,
    /// A file of tokens, one in each line. Whoever shows one of them to the admin listener (Authorization: Bearer) may register policies and see the last
    /// decisions.
    #[arg(long, env = "VERDICT_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// CAs of the certificates that let callers do the same, PEM, with --admin-client-name.
    #[arg(long, env = "VERDICT_ADMIN_CLIENT_CA", value_name = "FILE", requires_all = ["admin_client_name", "admin_tls_cert"])]
    admin_client_ca: Option<PathBuf>,
    /// A name that such a certificate must have, as for --client-name. Repeatable; one of them is enough.
    #[arg(
        long,
        env = "VERDICT_ADMIN_CLIENT_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "admin_client_ca"
    )]
    admin_client_name: Vec<ClientName>,
    /// The kinds of policies that callers may register. An Authenticator logs people in, and an Authorizer lets them do things: these only if you list them.
    #[arg(long, env = "VERDICT_ADMIN_KINDS", value_name = "KIND", value_delimiter = ',', value_parser = registered, default_value = "validator,mutator,provider,policygroup")]
    admin_kinds: Vec<Kind>,
    /// A folder of this server alone, in which what is registered survives a restart. Without it, what is registered is forgotten.
    #[arg(long, env = "VERDICT_STATE_DIR", value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
}

/// What they mean.
pub(super) struct AdminPlan {
    pub(super) bind: SocketAddr,
    pub(super) tls: Option<Arc<Current>>,
    pub(super) guard: Guard,
    pub(super) kinds: Vec<Kind>,
    pub(super) store: Option<Store>,
    /// What is read again when it changes.
    pub(super) watched: Vec<Watched>,
}

impl AdminArgs {
    /// `default`: where it listens unless they say.
    ///
    /// # Errors
    /// What cannot be read, or would let anybody on the network listen to tokens.
    pub(super) fn plan(&self, default: SocketAddr, expiries: &Expiries) -> Result<AdminPlan, Failed> {
        let bind = self.admin_bind.unwrap_or(default);
        let mut watched = Vec::new();
        let tokens = self.admin_token_file.as_deref().map(|file| {
            let tokens = Tokens::new(listed(file).map_err(Failed::configuration)?);
            watched.push(again(file.to_owned(), tokens.clone()));
            Ok::<_, Failed>(tokens)
        });
        let guard = Guard { tokens: tokens.transpose()?, names: self.admin_client_name.clone() };
        let pair = Pair::of(self, expiries);
        if guard.is_open() && pair.is_none() && !bind.ip().is_loopback() {
            return Err(Failed::configuration(format!(
                "--admin-bind {bind} is not on loopback, and tokens must not cross a network in the clear: give --admin-tls-cert and --admin-tls-key, or listen on loopback"
            )));
        }
        let tls = pair.map(|pair| {
            let current = Current::new(pair.config().map_err(Failed::configuration)?);
            watched.push(pair.again(Arc::clone(&current)));
            Ok::<_, Failed>(current)
        });
        if self.state_dir.is_some() && !guard.is_open() {
            return Err(Failed::configuration(
                "--state-dir keeps what is registered, and nobody may register anything: give --admin-token-file, or --admin-client-ca and --admin-client-name",
            ));
        }
        let store = self.state_dir.as_deref().map(Store::open).transpose();
        let store = store.map_err(|error| Failed::configuration(format!("--state-dir: {error}")))?;
        Ok(AdminPlan { bind, tls: tls.transpose()?, guard, kinds: self.admin_kinds.clone(), store, watched })
    }
}

/// A kind whose objects may come by requests. Those of one namespace are written to the cluster, which knows who may.
fn registered(text: &str) -> Result<Kind, String> {
    let offered = || Kind::ALL.into_iter().filter(|it| !it.is_namespaced());
    let expected = || format!("expected one of {}", offered().map(Kind::singular).collect::<Vec<_>>().join(", "));
    kind(text).ok().filter(|it| !it.is_namespaced()).ok_or_else(expected)
}

/// Tokens of a file, for as long as it holds some; else those of before.
fn again(file: PathBuf, tokens: Tokens) -> Watched {
    let read = {
        let file = file.clone();
        move || match listed(&file) {
            Ok(listed) => {
                tokens.replace(listed);
                info!(file = %file.display(), "the admin tokens were read again");
            }
            Err(why) => error!("the admin tokens stay as they were: {why}"),
        }
    };
    Watched { files: vec![file], made: None, read: Box::new(read) }
}

fn listed(file: &Path) -> Result<Listed, String> {
    let named = |why: String| format!("--admin-token-file {}: {why}", file.display());
    let text = fs::read(file).map_err(|error| named(error.to_string()))?;
    Listed::parse(&text).map_err(|error| named(error.to_string()))
}

/// The files of its certificates.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    expiries: Expiries,
}

impl Pair {
    fn of(args: &AdminArgs, expiries: &Expiries) -> Option<Self> {
        let (certificate, key) = args.admin_tls_cert.clone().zip(args.admin_tls_key.clone())?;
        Some(Self { certificate, key, client_ca: args.admin_client_ca.clone(), expiries: expiries.clone() })
    }

    fn config(&self) -> Result<Arc<ServerConfig>, String> {
        let read = |path: &PathBuf| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        let client_ca = self.client_ca.as_ref().map(read).transpose()?;
        let pem = Pem { certificate: &certificate, key: &key, client_ca: client_ca.as_deref(), client_names: &[] };
        let named = |why: String| format!("the admin listener: {why}");
        let config = pem.config_for_anybody().map_err(|error| named(error.to_string()))?;
        self.expiries.of_admin(pem.expiries().map_err(|error| named(error.to_string()))?);
        Ok(config)
    }

    fn again(self, current: Arc<Current>) -> Watched {
        let files = [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect();
        let read = move || match self.config() {
            Ok(config) => {
                current.replace(config);
                info!("the certificates of the admin listener were read again");
            }
            Err(why) => error!("the certificates stay as they were: {why}"),
        };
        Watched { files, made: None, read: Box::new(read) }
    }
}
