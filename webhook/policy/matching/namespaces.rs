//! Labels of namespaces, which no review carries: known where there is a cluster.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Instant};

use super::{
    rules::{is_namespace, namespace},
    view::{Side, View},
};
use crate::{
    cel::Reads,
    spec::{Failure, LabelSelector, NAMESPACE_NAME_LABEL, Operation},
};

/// Of one namespace.
pub type Labels = BTreeMap<String, String>;

/// Knows the namespaces of a cluster.
pub trait Namespaces: Send + Sync {
    /// The labels of one, or None by `deadline` at the latest: nobody knows such a namespace now.
    fn labels<'a>(&'a self, name: &'a str, deadline: Instant) -> Found<'a>;
}

/// What is found of a namespace.
pub type Found<'a> = Pin<Box<dyn Future<Output = Option<Arc<Labels>>> + Send + 'a>>;

impl LabelSelector {
    /// Whether the name of a namespace says all that it asks for.
    pub(super) fn is_of_names(&self) -> bool {
        self.keys().all(|it| it == NAMESPACE_NAME_LABEL)
    }

    /// Adds what it reads of objects that are namespaces.
    pub(super) fn reads_of_namespaces(&self, reads: &mut Reads) {
        if !self.is_of_names() {
            self.read_labels(reads.object.get_or_insert_default());
        }
    }

    /// Whether it selects the namespace of the request, by any label; what is in none, and what is in one that nobody knows, it selects.
    /// `object` is the object as changed so far.
    ///
    /// # Errors
    /// The labels of an object that is a namespace cannot be read.
    pub(super) async fn selects_namespace(&self, view: &mut View<'_>, object: Option<&str>) -> Result<bool, Failure> {
        let request = view.request();
        let Some(name) = namespace(request) else { return Ok(true) };
        let is_written = matches!(request.operation, Operation::Create | Operation::Update);
        if is_namespace(request) && request.subresource.is_empty() && is_written {
            // As it is to be: nobody else knows that yet.
            let Some(document) = view.document(Side::Object, object).await? else { return Ok(true) };
            let not_text = |_| Failure::Condition("the labels of the object are not all text".to_owned());
            return self.holds_of(document, Some(name)).map_err(not_text);
        }
        let Some(labels) = view.labels(name).await else { return Ok(true) };
        let label = |key: &str| labels.get(key).map(String::as_str);
        Ok(self.holds(|key| if key == NAMESPACE_NAME_LABEL { Some(name) } else { label(key) }))
    }
}
