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

    /// Whether it selects the namespace of the request, by any label; what is in none, it selects, and of one that nobody knows only the name can speak against that.
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
        let Some(labels) = view.labels(name).await else { return Ok(self.may_select(name)) };
        let label = |key: &str| labels.get(key).map(String::as_str);
        Ok(self.holds(|key| if key == NAMESPACE_NAME_LABEL { Some(name) } else { label(key) }))
    }

    /// Whether it may select a namespace of which only the name is known.
    fn may_select(&self, name: &str) -> bool {
        let of_name = |key: &str| key == NAMESPACE_NAME_LABEL;
        self.match_labels.iter().all(|(key, value)| !of_name(key) || value == name)
            && self.match_expressions.iter().all(|it| !of_name(&it.key) || it.holds(Some(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        cel::Pool,
        policy::matching::{Bounds, Match},
        review::admission,
        spec::Kind,
    };

    struct Known;

    impl Namespaces for Known {
        fn labels<'a>(&'a self, name: &'a str, _: Instant) -> Found<'a> {
            let labels = (name == "known").then(|| Arc::new([("team".to_owned(), "a".to_owned())].into()));
            Box::pin(std::future::ready(labels))
        }
    }

    async fn is_asked(selector: &str, request: &str) -> bool {
        let text = format!(
            "{{apiVersion: verdict.dev/v1alpha1, kind: Validator, metadata: {{name: p}}, spec: {{component: {{builtin: x}}, matchConstraints: {{namespaceSelector: {selector}}}}}}}"
        );
        let document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let caps = crate::config::NamespacedCaps::default();
        let spec = crate::config::cluster(&document, &|_| Err(String::new()), &caps).unwrap();
        let matching = Match::compile(&spec.matching, Kind::Validator).unwrap_or_else(|it| panic!("{it:?}"));
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","kind":{{"version":"v1","kind":"K"}},{request}}}}}"#
        );
        let request = admission::decode(body.as_bytes()).unwrap().review;
        let bounds = Bounds { deadline: Instant::now() + Duration::from_secs(60), time: Duration::from_secs(60) };
        let view = View::new(&request, matching.reads(), Pool::new(1 << 20, 1 << 20).share(), bounds.deadline);
        let mut view = view.with(Some(Arc::new(Known)));
        let object = request.object.map(serde_json::value::RawValue::get);
        matching.admission(&mut view, object, bounds, &mut Duration::default()).await.unwrap().is_asked()
    }

    #[tokio::test]
    async fn any_label_of_a_namespace_counts() {
        let pod = |namespace: &str| {
            format!(
                r#""operation":"CREATE","resource":{{"version":"v1","resource":"pods"}},"name":"n","namespace":"{namespace}","object":{{}}"#
            )
        };
        let (a, b) = ("{matchLabels: {team: a}}", "{matchLabels: {team: b}}");
        assert!(is_asked(a, &pod("known")).await && !is_asked(b, &pod("known")).await);
        // Nobody knows it: it is looked at.
        assert!(is_asked(a, &pod("other")).await && is_asked(b, &pod("other")).await);
        // It is in none.
        assert!(is_asked(b, &pod("")).await);
        let named = "{matchLabels: {kubernetes.io/metadata.name: known, team: a}}";
        assert!(is_asked(named, &pod("known")).await && !is_asked(named, &pod("other")).await);
        // One that is written counts as it is to be, one that is deleted as it is known.
        let namespace = |operation: &str, team: &str| {
            format!(
                r#""operation":"{operation}","resource":{{"version":"v1","resource":"namespaces"}},"name":"known","namespace":"known","object":{{"metadata":{{"labels":{{"team":"{team}"}}}}}}"#
            )
        };
        assert!(is_asked(b, &namespace("UPDATE", "b")).await && !is_asked(a, &namespace("UPDATE", "b")).await);
        assert!(is_asked(a, &namespace("DELETE", "b")).await && !is_asked(b, &namespace("DELETE", "b")).await);
    }
}
