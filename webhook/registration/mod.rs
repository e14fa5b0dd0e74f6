//! What registers a server with a cluster, generated from the policies that it loads.
//!
//! Pure: specs and places in, files out. Nothing is applied, and nothing is ever removed from a cluster.

mod admission;
mod conditions;
mod crds;
mod kubeconfig;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use serde::Serialize;

pub use crds::crds;

use crate::spec::{FailurePolicy, Interface, Kind, PolicySpec};

/// A policy and what it is asked.
pub struct Registered {
    /// As written.
    pub spec: PolicySpec,
    /// What it is registered for.
    pub kind: Kind,
}

/// How kube-apiserver reaches the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `https://host:port`, without a path.
    Url(String),
    /// A Service; admission is sent to it by reference.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// 443 by default.
        port: u16,
    },
}

/// What is said beside the policies.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of both webhook configurations.
    pub name: String,
    /// Of both, too.
    pub labels: BTreeMap<String, String>,
    /// Where the server is.
    pub place: Place,
    /// The CA that signed the server's certificate, PEM. None: nothing is said of it, and somebody else adds it.
    pub ca: Option<String>,
    /// Namespaces of which nothing is asked: they must be there already, for whoever creates one is free of all policies.
    pub excluded: Vec<String>,
    /// A label: of namespaces that have it, nothing is asked.
    pub exempt_label: Option<String>,
    /// Whether kube-apiserver looks at the conditions of policies before it asks. The server looks at them all the same.
    pub push_conditions: bool,
    /// Names of policies of which kube-apiserver refused a condition: entries of these have none.
    pub not_pushed: BTreeSet<String>,
    /// On kube-apiserver's machine: the certificate and key that it shows. None: it shows nothing.
    pub client: Option<(PathBuf, PathBuf)>,
    /// On kube-apiserver's machine: the file with the bearer token that it shows. None: it shows nothing.
    pub token_file: Option<PathBuf>,
    /// On kube-apiserver's machine: the folder into which these files are put.
    pub folder: PathBuf,
}

/// What is applied to a cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Webhooks {
    /// None: there are no validators.
    pub validating: Option<ValidatingWebhookConfiguration>,
    /// None: there are no mutators.
    pub mutating: Option<MutatingWebhookConfiguration>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name.
    pub file: &'static str,
    /// YAML, with a comment that says what it is for.
    pub yaml: String,
}

/// Why there are no manifests; for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestsError {
    /// Nobody would know what to ask it about.
    #[error(
        "{file}: {policy}: spec.matchConstraints.resourceRules: an admission policy without rules cannot be registered: name the resources that it is for"
    )]
    NoRules {
        /// The file.
        file: String,
        /// Its kind and name.
        policy: String,
    },
    /// A value that YAML cannot hold.
    #[error("the manifests cannot be written: {0}")]
    Write(String),
}

/// The webhook configurations of these policies.
///
/// # Errors
/// A policy cannot be registered.
pub fn webhooks(policies: &[Registered], options: &Options) -> Result<Webhooks, ManifestsError> {
    let (validators, mutators) = (asked(policies, Interface::Validating), asked(policies, Interface::Mutating));
    Ok(Webhooks {
        validating: (!validators.is_empty()).then(|| admission::validating(&validators, options)).transpose()?,
        mutating: (!mutators.is_empty()).then(|| admission::mutating(&mutators, options)).transpose()?,
    })
}

fn asked(policies: &[Registered], interface: Interface) -> Vec<&Registered> {
    policies.iter().filter(|it| it.kind.interface() == interface).collect()
}

/// All files that these policies need.
///
/// # Errors
/// A policy cannot be registered.
pub fn generate(policies: &[Registered], options: &Options) -> Result<Vec<Manifest>, ManifestsError> {
    let mut manifests = Vec::new();
    let Webhooks { validating, mutating } = webhooks(policies, options)?;
    if let Some(validating) = &validating {
        manifests.push(Manifest { file: "validating-webhook.yaml", yaml: with_comment(VALIDATING, validating)? });
    }
    if let Some(mutating) = &mutating {
        manifests.push(Manifest { file: "mutating-webhook.yaml", yaml: with_comment(MUTATING, mutating)? });
    }
    let shows_something = options.client.is_some() || options.token_file.is_some();
    if shows_something && (validating.is_some() || mutating.is_some()) {
        manifests.push(Manifest {
            file: "admission-kubeconfig.yaml",
            yaml: with_comment(ADMISSION_KUBECONFIG, &kubeconfig::admission(options))?,
        });
        manifests.push(Manifest {
            file: "admission-config.yaml",
            yaml: with_comment(ADMISSION_CONFIG, &kubeconfig::admission_configuration(options))?,
        });
    }
    if !asked(policies, Interface::Authentication).is_empty() {
        manifests.push(Manifest {
            file: "authentication-kubeconfig.yaml",
            yaml: with_comment(AUTHENTICATION, &kubeconfig::review(options, "/authenticate"))?,
        });
    }
    let authorizers = asked(policies, Interface::Authorization);
    if !authorizers.is_empty() {
        manifests.push(Manifest {
            file: "authorization-kubeconfig.yaml",
            yaml: with_comment(AUTHORIZATION_KUBECONFIG, &kubeconfig::review(options, "/authorize"))?,
        });
        // With Fail, a policy that cannot be asked must not be passed over, unless it decides nothing when it is asked.
        let open =
            authorizers.iter().all(|it| !it.spec.decides() || it.spec.failure_policy == FailurePolicy::NoOpinion);
        let time = authorizers.iter().map(|it| it.spec.limits.time).sum();
        manifests.push(Manifest {
            file: "authorization-config.yaml",
            yaml: with_comment(AUTHORIZATION_CONFIG, &kubeconfig::authorization_configuration(options, open, time))?,
        });
    }
    Ok(manifests)
}

fn with_comment(comment: &str, value: &impl Serialize) -> Result<String, ManifestsError> {
    let yaml = serde_saphyr::to_string(value).map_err(|error| ManifestsError::Write(error.to_string()))?;
    let comment: String = comment.lines().map(|line| format!("# {line}\n")).collect();
    Ok(format!("{comment}{}\n", yaml.trim_end()))
}

const VALIDATING: &str = "kubectl apply -f this. Break-glass: kubectl delete validatingwebhookconfiguration verdict";
const MUTATING: &str = "kubectl apply -f this. Break-glass: kubectl delete mutatingwebhookconfiguration verdict";
const ADMISSION_KUBECONFIG: &str = "For kube-apiserver's machine: what it shows for admission, its client certificate or token. admission-config.yaml names this file.";
const ADMISSION_CONFIG: &str = "For kube-apiserver's machine: --admission-control-config-file=<this file>.";
const AUTHENTICATION: &str = "For kube-apiserver's machine: --authentication-token-webhook-config-file=<this file>\n--authentication-token-webhook-version=v1. Answers are cached for --authentication-token-webhook-cache-ttl (2m).\nThere is no failurePolicy here: while the server is down, the tokens that kube-apiserver knows by itself work on.";
const AUTHORIZATION_KUBECONFIG: &str =
    "For kube-apiserver's machine: where authorization-config.yaml finds the server.";
const AUTHORIZATION_CONFIG: &str = "For kube-apiserver's machine: --authorization-config=<this file>, instead of --authorization-mode.
Verdict is asked first, so that its denial beats RBAC. The control plane itself is left out by matchConditions: a server that is
down must not lock it out. failurePolicy is Deny unless every authorizer that decides has NoOpinion: a request that Verdict cannot decide
is then refused (HTTP 500) and not cached. Answers are cached for the TTLs below: a change of policy is felt after them.";

#[cfg(test)]
mod tests;
