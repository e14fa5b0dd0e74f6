//! `matchConstraints` and `matchConditions`: read, and what of them no schema can say.

use super::fields::{Field, Report};
use crate::{
    cel::{Condition, Subject},
    spec::{
        Kind, LabelSelector, MatchCondition, MatchSpec, NAMESPACE_NAME_LABEL, Operator, Requirement, ResourceRule,
        Scope,
        declared::{self, MatchPolicy, RuleScope, SelectorOperator},
    },
};

/// What is wrong with the rules of `object`, which is one of `kind` or stands for one, beyond what its schema says. `labels`: whether
/// somebody will know the labels of namespaces.
pub(super) fn check(object: &Field<'_>, kind: Kind, labels: NamespaceLabels, report: &mut Report<'_>) {
    let selector = object.at("matchConstraints").and_then(|it| it.at("namespaceSelector"));
    if let Some(selector) = selector.filter(|_| labels == NamespaceLabels::OnlyName) {
        only_names(&selector, report);
    }
    let Some(subject) = subject(kind) else { return };
    for condition in object.at("matchConditions").map(|it| it.items()).unwrap_or_default() {
        let name = condition.at("name").and_then(|it| it.words()).unwrap_or_default();
        let expression = condition.at("expression");
        if let Some((field, text)) = expression.and_then(|it| it.words().map(|text| (it, text)))
            && !text.trim().is_empty()
            && let Err(words) = Condition::compile(name, text, subject)
        {
            // Now, so that it is told with everything else that is wrong, and with its line.
            field.error(report, words);
        }
    }
}

/// What is known of the labels of a namespace where a policy will be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamespaceLabels {
    /// Its name.
    OnlyName,
    /// All of them: there is a cluster at hand.
    All,
}

/// An AdmissionReview carries a namespace's name, and that is also the value of one label that every namespace has.
fn only_names(selector: &Field<'_>, report: &mut Report<'_>) {
    let labels = selector.at("matchLabels").map(|it| it.keys()).unwrap_or_default();
    let requirements = selector.at("matchExpressions").map(|it| it.items()).unwrap_or_default();
    let keys = requirements.iter().filter_map(|it| it.at("key").and_then(|key| key.words().map(|text| (text, key))));
    for (key, field) in labels.into_iter().chain(keys) {
        if key != NAMESPACE_NAME_LABEL {
            let only = format!("only {NAMESPACE_NAME_LABEL} can be selected");
            field.error(
                report,
                format!("{key:?} cannot be decided here, since a review carries no labels of its namespace: {only}"),
            );
        }
    }
}

/// What the conditions of a kind are about. None: events are of whatever shape, and nothing can be said of them.
pub(crate) fn subject(kind: Kind) -> Option<Subject> {
    match kind {
        Kind::Validator | Kind::PolicyGroup | Kind::Mutator | Kind::NamespacedValidator | Kind::NamespacedMutator => {
            Some(Subject::Admission)
        }
        Kind::Authorizer => Some(Subject::SubjectAccessReview),
        Kind::Authenticator => Some(Subject::TokenReview),
        Kind::Provider => None,
    }
}

/// Of what the schema allows.
pub(super) fn read(constraints: Option<declared::Constraints>, conditions: Vec<declared::MatchCondition>) -> MatchSpec {
    let constraints = constraints.unwrap_or_default();
    let conditions = conditions.into_iter();
    MatchSpec {
        only_namespace: None,
        exact: constraints.match_policy == MatchPolicy::Exact,
        resource_rules: constraints.resource_rules.into_iter().map(rule).collect(),
        exclude_resource_rules: constraints.exclude_resource_rules.into_iter().map(rule).collect(),
        namespace_selector: constraints.namespace_selector.map(selector),
        object_selector: constraints.object_selector.map(selector),
        match_conditions: conditions.map(|it| MatchCondition { name: it.name, expression: it.expression }).collect(),
    }
}

fn rule(declared: declared::ResourceRule) -> ResourceRule {
    ResourceRule {
        api_groups: declared.api_groups,
        api_versions: declared.api_versions,
        resources: declared.resources,
        operations: declared.operations,
        resource_names: declared.resource_names,
        scope: match declared.scope {
            RuleScope::All => Scope::All,
            RuleScope::Cluster => Scope::Cluster,
            RuleScope::Namespaced => Scope::Namespaced,
        },
    }
}

pub(super) fn selector(declared: declared::LabelSelector) -> LabelSelector {
    let requirement = |it: declared::LabelSelectorRequirement| Requirement {
        key: it.key,
        operator: match it.operator {
            SelectorOperator::In => Operator::In,
            SelectorOperator::NotIn => Operator::NotIn,
            SelectorOperator::Exists => Operator::Exists,
            SelectorOperator::DoesNotExist => Operator::DoesNotExist,
        },
        values: it.values,
    };
    LabelSelector {
        match_labels: declared.match_labels,
        match_expressions: declared.match_expressions.into_iter().map(requirement).collect(),
    }
}
