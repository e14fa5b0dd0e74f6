//! Why a policy is asked or not, in words: made of what decided, so that they cannot disagree.

use super::{Decision, Match, rules::Part};
use crate::{
    review::admission::AdmissionRequest,
    spec::{Failure, ResourceRule, Scope},
};

impl Match {
    /// `decided` is what this made of `request`, if that was an AdmissionReview's.
    pub(in crate::policy) fn explain(
        &self,
        decided: &Result<Decision, Failure>,
        request: Option<&AdmissionRequest<'_>>,
    ) -> String {
        match decided {
            Err(Failure::Condition(words) | Failure::ConditionLimit(words)) => {
                format!("could not be evaluated, which counts as a failure of the policy: {words}")
            }
            Err(failure) => format!("could not be evaluated, which counts as a failure of the policy: {failure}"),
            Ok(Decision::Asked(rule)) => self.asked(*rule),
            Ok(Decision::Elsewhere) => {
                let own = self.rules.only_namespace.as_deref().unwrap_or_default();
                format!("it is asked only about what is in its own namespace, {own}")
            }
            Ok(Decision::NoRule) => {
                let rules = self.rules.resource_rules.iter().enumerate();
                let missed = rules.filter_map(|(index, rule)| {
                    let request = request?;
                    let part = rule.misses(request, self.rules.exact)?;
                    Some(format!("resourceRules[{index}] {}", rule.words(part, request)))
                });
                missed.collect::<Vec<_>>().join("; ")
            }
            Ok(Decision::Excluded(rule)) => format!("excludeResourceRules[{rule}] matches"),
            Ok(Decision::Namespace) => {
                let namespace = request.map(|it| it.namespace.as_str()).unwrap_or_default();
                format!("namespaceSelector does not select the namespace {namespace:?}")
            }
            Ok(Decision::Object) => "objectSelector does not select the labels of the object".to_owned(),
            Ok(Decision::Condition(index)) => match self.rules.match_conditions.get(*index) {
                Some(it) => format!("matchConditions[{index}] ({}) is false: {}", it.name, it.expression),
                None => format!("matchConditions[{index}] is false"),
            },
        }
    }

    fn asked(&self, rule: Option<usize>) -> String {
        let mut held = Vec::new();
        if let Some(own) = &self.rules.only_namespace {
            held.push(format!("it is in the policy's namespace, {own}"));
        }
        if let Some(rule) = rule {
            held.push(format!("resourceRules[{rule}] matches"));
        }
        if self.rules.namespace_selector.is_some() {
            held.push("namespaceSelector selects it".to_owned());
        }
        if self.rules.object_selector.is_some() {
            held.push("objectSelector selects it".to_owned());
        }
        for (index, condition) in self.rules.match_conditions.iter().enumerate() {
            held.push(format!("matchConditions[{index}] ({}) is true", condition.name));
        }
        if held.is_empty() { ALWAYS.to_owned() } else { held.join(", ") }
    }
}

impl ResourceRule {
    fn words(&self, part: Part, request: &AdmissionRequest<'_>) -> String {
        let resource = &request.resource;
        let (name, came, list) = match part {
            Part::Operation => ("operations", request.operation.name(), &self.operations),
            Part::Group => ("apiGroups", resource.group.as_str(), &self.api_groups),
            Part::Version => ("apiVersions", resource.version.as_str(), &self.api_versions),
            Part::Resource if request.subresource.is_empty() => {
                ("resources", resource.resource.as_str(), &self.resources)
            }
            Part::Resource => {
                let came = format!("{}/{}", resource.resource, request.subresource);
                return lists("resources", &came, &self.resources);
            }
            Part::Name => ("resourceNames", request.name.as_str(), &self.resource_names),
            Part::Scope => {
                let word = if self.scope == Scope::Cluster { "Cluster" } else { "Namespaced" };
                return format!("applies only to {word} objects");
            }
        };
        lists(name, came, list)
    }
}

fn lists(name: &str, came: &str, list: &[String]) -> String {
    let came = if came.is_empty() { "\"\"" } else { came };
    let list: Vec<&str> = list.iter().map(|it| if it.is_empty() { "\"\"" } else { it }).collect();
    format!("lists {} in {name}, not {came}", list.join(", "))
}

/// Of what has no rules.
const ALWAYS: &str = "it is asked about everything";
