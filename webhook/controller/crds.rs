//! The CustomResourceDefinitions in a cluster: written when a release brings newer ones, since Helm installs them once and never again.
//!
//! Written by server-side apply, of all that they say: what others put beside it (labels, the CA of a conversion) stays. None is ever
//! removed, for its objects would go with it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{connect, within};
use crate::registration;

/// Applies those of every kind and waits until the cluster serves them; gives their names. The cluster is the one of KUBECONFIG, or
/// the one in which this process is a Pod.
///
/// # Errors
/// There is no cluster, it refuses one of them, or it does not serve one after half a minute.
pub async fn apply() -> anyhow::Result<Vec<String>> {
    let definitions = definitions()?;
    let (client, _) = connect().await?;
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions");
    let api = Api::<DynamicObject>::all_with(client, &resource);
    for (name, definition) in &definitions {
        // By force: whoever installed an older one, with Helm or kubectl, owns the same fields.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(definition);
        within(api.patch(name, &params, &patch)).await.with_context(|| name.clone())?;
    }
    let deadline = Instant::now() + SERVED;
    for (name, _) in &definitions {
        while !is_served(&api, name).await? {
            if Instant::now() > deadline {
                bail!(
                    "{name}: the cluster does not serve it: kubectl describe customresourcedefinition {name} says why"
                );
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(definitions.into_iter().map(|(name, _)| name).collect())
}

/// Each with its name.
fn definitions() -> anyhow::Result<Vec<(String, Value)>> {
    let read = |yaml: &str| -> anyhow::Result<(String, Value)> {
        let definition: Value = serde_saphyr::from_str(yaml)?;
        let name =
            definition.pointer("/metadata/name").and_then(Value::as_str).context("a definition without a name")?;
        Ok((name.to_owned(), definition))
    };
    registration::crds()?.iter().map(|it| read(&it.yaml).context(it.file)).collect()
}

async fn is_served(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<bool> {
    let definition = within(api.get(name)).await.with_context(|| name.to_owned())?;
    let conditions = definition.data.pointer("/status/conditions").and_then(Value::as_array);
    Ok(conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Established" && it["status"] == "True")))
}

/// Beside that of the registration, which writes other objects.
const FIELD_MANAGER: &str = "verdict-crds";
/// Until all of them are served.
const SERVED: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_what_is_printed() {
        let definitions = definitions().unwrap();
        let printed = registration::crds().unwrap();
        assert_eq!(definitions.len(), printed.len());
        for ((name, definition), printed) in definitions.iter().zip(&printed) {
            assert_eq!(format!("{name}.yaml"), printed.file);
            // Nothing was lost between text and value.
            let again = crate::text::yaml(definition).unwrap();
            assert!(printed.yaml.ends_with(&format!("{}\n", again.trim_end())), "{name}");
        }
    }
}
