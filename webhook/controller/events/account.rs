//! The cluster as a service account sees it: a client that impersonates it, and what it found out about kinds.

use std::collections::HashMap;

use kube::{
    Api, Client, Config,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    discovery::{Scope, pinned_kind},
};
use tokio::sync::Mutex;

use crate::{
    controller::client::{self, NotConnected, Refused, within},
    spec::Account,
};

/// A client that has the rights of a service account, and none of the server's.
pub(super) struct Impersonated {
    client: Client,
    /// By apiVersion and kind. What is not found is asked for again.
    kinds: Mutex<HashMap<(String, String), (ApiResource, Scope)>>,
}

impl Impersonated {
    /// Asks the cluster nothing yet.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(super) fn new(config: &Config, account: &Account) -> Result<Self, NotConnected> {
        let mut config = config.clone();
        // Whoever started the server may impersonate somebody, too: nothing of that is left.
        config.auth_info.impersonate = Some(account.username());
        config.auth_info.impersonate_uid = None;
        config.auth_info.impersonate_groups = None;
        config.auth_info.impersonate_user_extra = None;
        Ok(Self { client: client::client(config)?, kinds: Mutex::default() })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The objects of a kind: of one namespace, or, where it is empty, of all, or of none.
    ///
    /// # Errors
    /// There is no such kind, or it was not found out.
    pub(super) async fn api(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        of: Of,
    ) -> Result<(Api<DynamicObject>, ApiResource), NoApi> {
        let (resource, scope) = self.kind(api_version, kind).await?;
        let client = self.client.clone();
        let api = match (&scope, namespace) {
            (Scope::Cluster, "") => Api::all_with(client, &resource),
            (Scope::Cluster, _) => {
                return Err(NoApi::Scope(format!("objects of {kind} in {api_version} belong to no namespace")));
            }
            (Scope::Namespaced, "") if of == Of::Many => Api::all_with(client, &resource),
            (Scope::Namespaced, "") => {
                return Err(NoApi::Scope(format!("objects of {kind} in {api_version} belong to a namespace")));
            }
            (Scope::Namespaced, namespace) => Api::namespaced_with(client, namespace, &resource),
        };
        Ok((api, resource))
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Result<(ApiResource, Scope), NoApi> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.kinds.lock().await.get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let named = GroupVersionKind::gvk(group, version, kind);
        let found = within(async {
            match pinned_kind(&self.client, &named).await {
                Err(kube::Error::Discovery(_)) => Ok(None),
                found => found.map(Some),
            }
        });
        let found = match found.await {
            Err(error) if error.code() == Some(404) => None,
            found => found?,
        };
        let (resource, capabilities) =
            found.ok_or_else(|| NoApi::Kind(format!("the cluster has no kind {kind} in {api_version}")))?;
        let found = (resource, capabilities.scope);
        let mut kinds = self.kinds.lock().await;
        if kinds.len() < MOST_KINDS {
            kinds.insert(key, found.clone());
        }
        Ok(found)
    }

    /// A kind is asked for again: it was not there any more.
    pub(super) async fn forget(&self, api_version: &str, kind: &str) {
        self.kinds.lock().await.remove(&(api_version.to_owned(), kind.to_owned()));
    }
}

/// How many objects are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// One of them.
    One,
    /// All of them.
    Many,
}

/// Why the objects of a kind are not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoApi {
    /// It is none of the cluster's.
    #[error("{0}")]
    Kind(String),
    /// It belongs to a namespace, or to none.
    #[error("{0}")]
    Scope(String),
    /// It was not found out.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Kinds that are remembered.
const MOST_KINDS: usize = 256;
