//! Which objects of a cluster a provider is told of, and as whom it acts.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::LabelSelector;
use crate::spec::ChangeType;

/// Objects of a cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// Group and version of the objects, such as apps/v1; of the core group the version alone, such as v1.
    #[schemars(length(max = 317), regex(pattern = API_VERSION), extend("x-expected" = "an apiVersion such as apps/v1"))]
    pub api_version: String,
    /// Their kind, such as Deployment.
    #[schemars(length(max = 63), regex(pattern = KIND), extend("x-expected" = "a kind such as Deployment"))]
    pub kind: String,
    /// The namespaces that they are in. Empty: all, as far as the service account may see them, which then needs rights in the whole cluster.
    #[serde(default)]
    #[schemars(schema_with = "namespaces")]
    pub namespaces: Vec<String>,
    /// Labels that they must have. An object that loses them is told of as DELETED.
    pub label_selector: Option<LabelSelector>,
    /// What is told. Objects that are there at the beginning are ADDED and replayed.
    #[serde(default = "all")]
    #[schemars(schema_with = "on")]
    pub on: Vec<ChangeType>,
}

/// What a provider may do in a cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// As whom it watches objects and acts: never with the server's own rights, which may impersonate the accounts only that the operator lists.
    pub service_account: ServiceAccount,
}

/// A service account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// The namespace of the account.
    #[schemars(length(max = 63), regex(pattern = LABEL), extend("x-expected" = "the name of a namespace"))]
    pub namespace: String,
    /// The name of the account.
    #[schemars(length(max = 253), regex(pattern = SUBDOMAIN), extend("x-expected" = "the name of a service account"))]
    pub name: String,
}

fn all() -> Vec<ChangeType> {
    ChangeType::ALL.to_vec()
}

fn on(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<ChangeType>(),
        "minItems": 1,
        "maxItems": 3,
        "default": ["ADDED", "MODIFIED", "DELETED"],
        "x-kubernetes-list-type": "set",
    })
}

fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "string", "maxLength": 63, "pattern": LABEL, "x-expected": "the name of a namespace"},
        "maxItems": 32,
        "x-kubernetes-list-type": "set",
    })
}

const API_VERSION: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?v[a-z0-9]{1,62}$";
const KIND: &str = "^[A-Z][A-Za-z0-9]*$";
const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
