//! Break-glass: kube-apiserver is told to ask nobody any more, and the leader to leave it so.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{client, lease::HOLD, webhooks};

/// What is to be unregistered.
pub struct Unregister {
    /// Names of what is in the cluster: `verdict`, or `verdict-` and the name of the instance.
    pub installation: String,
    /// Where its Lease is. None: in the namespace that the kubeconfig, or the Pod, names.
    pub namespace: Option<String>,
    /// For whoever finds it so.
    pub reason: String,
}

impl Unregister {
    /// Holds the registration, then deletes it.
    ///
    /// # Errors
    /// What could not be done, for the operator; what comes before it was done.
    pub async fn run(&self) -> Result<(), String> {
        let (client, found) = client::connect().await.map_err(|error| error.to_string())?;
        let namespace = self.namespace.as_ref().unwrap_or(&found.namespace);
        let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let hold = json!({"metadata": {"annotations": {HOLD: self.reason}}});
        let held = client::within(leases.patch(&self.installation, &PatchParams::default(), &Patch::Merge(hold))).await;
        held.map_err(|error| match error.code() {
            Some(404) => format!(
                "there is no Lease {} in the namespace {namespace}: name the one of the installation with --namespace",
                self.installation
            ),
            _ => format!("the Lease {namespace}/{} cannot be annotated: {error}", self.installation),
        })?;
        webhooks::delete(&client, &self.installation).await.map_err(|error| {
            format!(
                "the registration is held, and the webhook configurations {} cannot be deleted: {error}",
                self.installation
            )
        })
    }
}
