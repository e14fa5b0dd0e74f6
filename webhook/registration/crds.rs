//! The CustomResourceDefinitions (apiextensions.k8s.io/v1): of the declared objects, by the schemas that [`crate::config`] reads them with, and of
//! Replicas, in which servers say how they are.

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
        CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
        CustomResourceSubresources, CustomResourceValidation,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};

use super::{Manifest, ManifestsError};
use crate::{
    spec::{
        Kind,
        schema::{self, structural},
    },
    text,
};

/// One for each kind, and that of Replicas.
///
/// # Errors
/// They cannot be written as YAML.
pub fn crds() -> Result<Vec<Manifest>, ManifestsError> {
    Kind::ALL.into_iter().map(of_policies).chain([replicas()]).map(Resource::manifest).collect()
}

/// What one definition says of its own.
struct Resource {
    file: &'static str,
    kind: &'static str,
    short: &'static str,
    is_namespaced: bool,
    schema: Value,
    has_status: bool,
    columns: Vec<CustomResourceColumnDefinition>,
}

fn of_policies(kind: Kind) -> Resource {
    let (file, short) = match kind {
        Kind::Validator => ("validators.verdict.dev.yaml", "vval"),
        Kind::Mutator => ("mutators.verdict.dev.yaml", "vmut"),
        Kind::Authorizer => ("authorizers.verdict.dev.yaml", "vauthz"),
        Kind::Authenticator => ("authenticators.verdict.dev.yaml", "vauthn"),
        Kind::Provider => ("providers.verdict.dev.yaml", "vprov"),
        Kind::PolicyGroup => ("policygroups.verdict.dev.yaml", "vgroup"),
        Kind::NamespacedValidator => ("namespacedvalidators.verdict.dev.yaml", "nvval"),
        Kind::NamespacedMutator => ("namespacedmutators.verdict.dev.yaml", "nvmut"),
    };
    let message = column("Message", "string", ".status.message");
    Resource {
        file,
        kind: kind.name(),
        short,
        is_namespaced: kind.is_namespaced(),
        schema: structural::openapi(&schema::cluster::object(kind)),
        has_status: true,
        columns: vec![
            column("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
            column("Mode", "string", ".status.mode"),
            column("Component", "string", ".status.component"),
            // Shown with -o wide.
            CustomResourceColumnDefinition { priority: Some(1), ..message },
        ],
    }
}

fn replicas() -> Resource {
    Resource {
        file: "replicas.verdict.dev.yaml",
        kind: "Replica",
        short: "vrep",
        is_namespaced: true,
        schema: schema::replica(),
        has_status: false,
        columns: vec![column("Digest", "string", ".status.digest")],
    }
}

fn column(name: &str, type_: &str, path: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        json_path: path.to_owned(),
        type_: type_.to_owned(),
        ..Default::default()
    }
}

impl Resource {
    fn manifest(self) -> Result<Manifest, ManifestsError> {
        let unwritable = |error: &dyn std::fmt::Display| ManifestsError::Write(error.to_string());
        let (file, comment) =
            (self.file, format!("# kubectl apply --server-side -f this: {}s in the cluster.", self.kind));
        let definition = serde_json::to_value(self.definition()?).map_err(|error| unwritable(&error))?;
        // Of any value, since numbers in defaults keep their digits.
        let yaml = text::yaml(&definition).map_err(|error| unwritable(&error))?;
        Ok(Manifest { file, yaml: format!("{comment}\n{}\n", yaml.trim_end()) })
    }

    fn definition(self) -> Result<CustomResourceDefinition, ManifestsError> {
        let schema = serde_json::from_value(self.schema).map_err(|error| ManifestsError::Write(error.to_string()))?;
        let (group, version) = schema::API_VERSION.split_once('/').unwrap_or_default();
        let singular = self.kind.to_lowercase();
        let plural = format!("{singular}s");
        let mut columns = self.columns;
        columns.push(column("Age", "date", ".metadata.creationTimestamp"));
        Ok(CustomResourceDefinition {
            metadata: ObjectMeta { name: Some(format!("{plural}.{group}")), ..ObjectMeta::default() },
            spec: CustomResourceDefinitionSpec {
                group: group.to_owned(),
                names: CustomResourceDefinitionNames {
                    categories: Some(vec!["verdict".to_owned()]),
                    kind: self.kind.to_owned(),
                    list_kind: Some(format!("{}List", self.kind)),
                    plural,
                    singular: Some(singular),
                    short_names: Some(vec![self.short.to_owned()]),
                },
                scope: if self.is_namespaced { "Namespaced" } else { "Cluster" }.to_owned(),
                versions: vec![CustomResourceDefinitionVersion {
                    name: version.to_owned(),
                    served: true,
                    storage: true,
                    schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }),
                    subresources: self.has_status.then(|| CustomResourceSubresources {
                        status: Some(CustomResourceSubresourceStatus(json!({}))),
                        ..CustomResourceSubresources::default()
                    }),
                    additional_printer_columns: Some(columns),
                    ..CustomResourceDefinitionVersion::default()
                }],
                ..CustomResourceDefinitionSpec::default()
            },
            status: None,
        })
    }
}
