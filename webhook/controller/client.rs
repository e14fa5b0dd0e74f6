//! The connection to kube-apiserver.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use kube::{Client, Config, client::ClientBuilder};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tower::util::MapResponseLayer;

use super::{
    namespaces::{self, Namespaces, Questions},
    shallow::Shallow,
};

/// A client, and the runtime that it needs.
pub struct Connected {
    pub(super) client: Client,
    /// From which others are made.
    pub(super) connection: Config,
    pub(super) runtime: Runtime,
    pub(super) namespaces: Questions,
}

/// What is known of the cluster from where it was found.
pub struct Found {
    /// The Pod's namespace, or that of the kubeconfig's context, or `default`.
    pub namespace: String,
    /// Whether this process runs in a Pod.
    pub in_pod: bool,
}

/// Why there is no connection; for the operator.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// Neither a Pod nor a kubeconfig.
    #[error("no cluster is known: outside a Pod, KUBECONFIG or ~/.kube/config must name one: {0}")]
    Unknown(String),
    /// It cannot be used.
    #[error("the cluster's client cannot be made: {0}")]
    Client(String),
}

impl Connected {
    /// Finds the cluster: that of the Pod in which this process runs, else the one that KUBECONFIG names. Asks it nothing yet.
    ///
    /// # Errors
    /// There is none, or its configuration cannot be used.
    pub fn new() -> Result<(Self, Found, Namespaces), NotConnected> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NotConnected::Client(error.to_string()))?;
        let (connection, found) = runtime.block_on(infer())?;
        let client = runtime.block_on(async { client(connection.clone()) })?;
        let (namespaces, questions) = namespaces::questions();
        Ok((Self { client, connection, runtime, namespaces: questions }, found, namespaces))
    }
}

/// A client of its own, for a command.
///
/// # Errors
/// There is no cluster, or its configuration cannot be used.
pub(super) async fn connect() -> Result<(Client, Found), NotConnected> {
    let (config, found) = infer().await?;
    Ok((client(config)?, found))
}

/// Of its own runtime.
pub(super) fn client(config: Config) -> Result<Client, NotConnected> {
    let client = ClientBuilder::try_from(config).map_err(|error| NotConnected::Client(error.to_string()))?;
    Ok(client.with_layer(&MapResponseLayer::new(shallow)).build())
}

async fn infer() -> Result<(Config, Found), NotConnected> {
    let in_pod = Path::new(POD).exists();
    // Only ever set once: kube's TLS asks for it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.map_err(|error| NotConnected::Unknown(error.to_string()))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Longer than the time after which a watch is begun anew: a server that says nothing for so long is gone.
    config.read_timeout = Some(Duration::from_secs(90));
    let namespace = config.default_namespace.clone();
    Ok((config, Found { namespace, in_pod }))
}

/// The same answer, nested no deeper than it can be read.
fn shallow<B: Body<Data = Bytes> + Unpin>(answer: Response<B>) -> Response<impl Body<Data = Bytes, Error = B::Error>> {
    let mut shallow = Shallow::default();
    answer.map(|body| body.map_frame(move |frame| frame.map_data(|bytes| shallow.pass(bytes))))
}

/// What kube-apiserver said to a question, in the time that it has.
pub(super) async fn within<T>(question: impl Future<Output = kube::Result<T>>) -> Result<T, Refused> {
    match timeout(QUESTION, question).await {
        Err(_) => Err(Refused::Silent),
        Ok(Err(kube::Error::Api(status))) => Err(Refused::Status(status)),
        Ok(Err(error)) => Err(Refused::Unreachable(error.to_string())),
        Ok(Ok(answer)) => Ok(answer),
    }
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Not in time.
    #[error("kube-apiserver did not answer within {} s", QUESTION.as_secs())]
    Silent,
    /// It says no.
    #[error("{}", .0.message)]
    Status(Box<kube::core::Status>),
    /// It was not reached, or said what nobody understands.
    #[error("{0}")]
    Unreachable(String),
}

impl Refused {
    /// The HTTP status, if it said one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Silent | Self::Unreachable(_) => None,
        }
    }
}

/// Where every Pod with a ServiceAccount has its token.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// How long kube-apiserver may take for anything but a watch.
const QUESTION: Duration = Duration::from_secs(10);
