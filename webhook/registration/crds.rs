//! The CustomResourceDefinitions of the declared objects (apiextensions.k8s.io/v1), of the schemas that `verdict check` has too.

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
        CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
        CustomResourceSubresources, CustomResourceValidation,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Manifest, ManifestsError};
use crate::{
    spec::{
        Kind,
        schema::{self, structural},
    },
    text,
};

/// One for each kind, cluster-scoped.
///
/// # Errors
/// They cannot be written as YAML.
pub fn crds() -> Result<Vec<Manifest>, ManifestsError> {
    let crd = |kind: Kind| {
        let unwritable = |error: &dyn std::fmt::Display| ManifestsError::Write(error.to_string());
        let definition = serde_json::to_value(definition(kind)?).map_err(|error| unwritable(&error))?;
        // Of any value, since numbers in defaults keep their digits.
        let yaml = text::yaml(&definition).map_err(|error| unwritable(&error))?;
        let comment = format!("# kubectl apply --server-side -f this: {}s in the cluster.", kind.name());
        Ok(Manifest { file: file(kind), yaml: format!("{comment}\n{}\n", yaml.trim_end()) })
    };
    Kind::ALL.into_iter().map(crd).collect()
}

fn definition(kind: Kind) -> Result<CustomResourceDefinition, ManifestsError> {
    let schema = serde_json::from_value(structural::openapi(&schema::cluster::object(kind)))
        .map_err(|error| ManifestsError::Write(error.to_string()))?;
    let (group, version) = schema::API_VERSION.split_once('/').unwrap_or_default();
    let singular = kind.name().to_lowercase();
    let plural = format!("{singular}s");
    let column = |name: &str, path: &str| CustomResourceColumnDefinition {
        name: name.to_owned(),
        json_path: path.to_owned(),
        type_: "string".to_owned(),
        ..Default::default()
    };
    let age =
        CustomResourceColumnDefinition { type_: "date".to_owned(), ..column("Age", ".metadata.creationTimestamp") };
    Ok(CustomResourceDefinition {
        metadata: ObjectMeta { name: Some(format!("{plural}.{group}")), ..ObjectMeta::default() },
        spec: CustomResourceDefinitionSpec {
            group: group.to_owned(),
            names: CustomResourceDefinitionNames {
                categories: Some(vec!["verdict".to_owned()]),
                kind: kind.name().to_owned(),
                list_kind: Some(format!("{}List", kind.name())),
                plural,
                singular: Some(singular),
                short_names: None,
            },
            scope: if kind.is_namespaced() { "Namespaced" } else { "Cluster" }.to_owned(),
            versions: vec![CustomResourceDefinitionVersion {
                name: version.to_owned(),
                served: true,
                storage: true,
                schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }),
                subresources: Some(CustomResourceSubresources {
                    status: Some(CustomResourceSubresourceStatus(serde_json::json!({}))),
                    ..CustomResourceSubresources::default()
                }),
                additional_printer_columns: Some(vec![
                    match kind {
                        Kind::PolicyGroup => column("Expression", ".spec.expression"),
                        _ => column("Image", ".spec.component.image"),
                    },
                    column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
                    age,
                ]),
                ..CustomResourceDefinitionVersion::default()
            }],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    })
}

fn file(kind: Kind) -> &'static str {
    match kind {
        Kind::Validator => "validators.verdict.dev.yaml",
        Kind::Mutator => "mutators.verdict.dev.yaml",
        Kind::Authorizer => "authorizers.verdict.dev.yaml",
        Kind::Authenticator => "authenticators.verdict.dev.yaml",
        Kind::Provider => "providers.verdict.dev.yaml",
        Kind::PolicyGroup => "policygroups.verdict.dev.yaml",
        Kind::NamespacedValidator => "namespacedvalidators.verdict.dev.yaml",
        Kind::NamespacedMutator => "namespacedmutators.verdict.dev.yaml",
    }
}
