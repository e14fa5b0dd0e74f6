//! How far a provider's changes were handled, in a ConfigMap of its own: whoever leads next goes on from there. It goes with its provider.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    controller::client::{Refused, within},
    spec::schema,
};

/// Where it is kept.
pub(super) struct Saved {
    api: Api<ConfigMap>,
    name: String,
    manager: String,
    provider: String,
    last: Option<Kept>,
}

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Of the object: another one of the same name begins anew.
    pub(super) uid: String,
    /// By what each watch is of.
    pub(super) sources: BTreeMap<String, Source>,
}

/// Of one watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    /// The generation of the provider to which everything was told that there was.
    pub(super) generation: i64,
    /// Up to which everything was handled.
    pub(super) resource_version: String,
    /// Objects that are to be handled again, and when: in seconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) again: BTreeMap<String, u64>,
}

impl Saved {
    pub(super) fn new(client: &Client, namespace: &str, installation: &str, provider: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name: format!("{installation}-events-{provider}"),
            manager: installation.to_owned(),
            provider: provider.to_owned(),
            last: None,
        }
    }

    /// None: nothing, or nothing that can be read.
    ///
    /// # Errors
    /// The cluster does not say.
    pub(super) async fn load(&mut self) -> Result<Option<Kept>, Refused> {
        let found = within(self.api.get_opt(&self.name)).await?;
        let text = found.and_then(|it| it.data?.remove(KEY));
        self.last = text.and_then(|it| serde_json::from_str(&it).ok());
        Ok(self.last.clone())
    }

    /// Writes it, if it is something else than before.
    ///
    /// # Errors
    /// The cluster did not take it.
    pub(super) async fn save(&mut self, kept: Kept) -> Result<(), Refused> {
        if self.last.as_ref() == Some(&kept) || kept.sources.is_empty() {
            return Ok(());
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "ownerReferences": [{
                    "apiVersion": schema::API_VERSION,
                    "kind": "Provider",
                    "name": self.provider,
                    "uid": kept.uid,
                }],
            },
            "data": {KEY: serde_json::to_string(&kept).unwrap_or_default()},
        });
        let apply = PatchParams::apply(&self.manager).force();
        within(self.api.patch(&self.name, &apply, &Patch::Apply(object))).await?;
        self.last = Some(kept);
        Ok(())
    }
}

const KEY: &str = "handled";
