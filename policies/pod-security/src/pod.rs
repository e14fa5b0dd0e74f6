//! The fields of a pod that the controls read. Others are ignored, and null is the same as absent.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;
use verdict_sdk::Error;

/// A pod, or the template of one. Equal if no control can tell them apart.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Template {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) spec: PodSpec,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) os: Option<Os>,
    #[serde(rename = "hostPID")]
    pub(crate) host_pid: Option<bool>,
    #[serde(rename = "hostIPC")]
    pub(crate) host_ipc: Option<bool>,
    pub(crate) host_network: Option<bool>,
    pub(crate) host_users: Option<bool>,
    pub(crate) runtime_class_name: Option<String>,
    pub(crate) security_context: Option<SecurityContext>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) volumes: Vec<Volume>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) init_containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ephemeral_containers: Vec<Container>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Os {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) name: String,
}

/// The name and the sources. A source that is null is not set.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Volume(BTreeMap<String, Option<IgnoredAny>>);

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) image: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<Port>,
    pub(crate) liveness_probe: Option<Action>,
    pub(crate) readiness_probe: Option<Action>,
    pub(crate) startup_probe: Option<Action>,
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) security_context: Option<SecurityContext>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    #[serde(default)]
    pub(crate) host_port: Option<i64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lifecycle {
    #[serde(default)]
    pub(crate) post_start: Option<Action>,
    #[serde(default)]
    pub(crate) pre_stop: Option<Action>,
}

/// What a probe or a lifecycle hook does.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    #[serde(default)]
    pub(crate) http_get: Option<Target>,
    #[serde(default)]
    pub(crate) tcp_socket: Option<Target>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Target {
    #[serde(default)]
    pub(crate) host: Option<String>,
}

/// The fields of a pod's and of a container's security context together: each has some that the other lacks.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SecurityContext {
    pub(crate) allow_privilege_escalation: Option<bool>,
    pub(crate) app_armor_profile: Option<Profile>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) privileged: Option<bool>,
    pub(crate) proc_mount: Option<String>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) run_as_user: Option<i64>,
    pub(crate) se_linux_options: Option<SeLinuxOptions>,
    pub(crate) seccomp_profile: Option<Profile>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) windows_options: Option<WindowsOptions>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Profile {
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Capabilities {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) add: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) drop: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct SeLinuxOptions {
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) user: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) role: String,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Sysctl {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) name: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WindowsOptions {
    #[serde(default)]
    pub(crate) host_process: Option<bool>,
}

impl Template {
    /// The template whose spec is at `fields` of the object; None if the object has none, as some controllers may.
    pub(crate) fn read(object: &str, fields: &[&str]) -> Result<Option<Self>, Error> {
        let mut at = object;
        for field in fields.iter().take(fields.len().saturating_sub(1)) {
            let level: BTreeMap<String, &RawValue> = serde_json::from_str(at)?;
            match level.get(*field) {
                Some(value) if value.get() != "null" => at = value.get(),
                _ => return Ok(None),
            }
        }
        Ok(Some(serde_json::from_str(at)?))
    }
}

impl PodSpec {
    pub(crate) fn is_windows(&self) -> bool {
        self.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Root of a user namespace is nobody on the host.
    pub(crate) fn has_user_namespace(&self) -> bool {
        self.host_users == Some(false)
    }

    /// Whether an update makes the pod run something else: the only changes of a pod that its security depends on.
    pub(crate) fn starts_others_than(&self, old: &Self) -> bool {
        let images = |containers: &[Container]| containers.iter().map(|it| it.image.clone()).collect::<Vec<_>>();
        if images(&self.containers) != images(&old.containers)
            || images(&self.init_containers) != images(&old.init_containers)
        {
            return true;
        }
        self.ephemeral_containers.iter().any(|new| {
            let old = old.ephemeral_containers.iter().find(|it| it.name == new.name);
            old.is_none_or(|old| old.image != new.image)
        })
    }
}

impl Volume {
    /// The sources that are set; one, unless a later Kubernetes adds fields of another sense.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(key, value)| *key != "name" && value.is_some()).map(|(key, _)| key.as_str())
    }
}

fn nullable<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
