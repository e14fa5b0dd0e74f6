//! matchConditions of an entry: what keeps it from the objects of `verdict.dev`, and the policies' own, where kube-apiserver
//! can look at them before it asks.

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{Options, Registered};
use crate::spec::{self, FailurePolicy, LimitPolicy, MAX_CONDITIONS, PolicySpec, schema};

/// All of an entry for these policies. None: there are none.
pub(super) fn of(policies: &[&Registered], options: &Options) -> Option<Vec<MatchCondition>> {
    let specs: Vec<&PolicySpec> = policies.iter().map(|it| &it.spec).collect();
    let (group, _) = schema::API_VERSION.split_once('/').unwrap_or_default();
    let mut conditions = Vec::new();
    if specs.iter().any(|it| may_match(it, group)) {
        // Every review has a group, so this cannot fail, whatever the entry's failurePolicy.
        let expression = format!("request.resource.group != '{group}'");
        conditions.push(MatchCondition { name: OWN_OBJECTS.to_owned(), expression });
    }
    if options.push_conditions && !specs.iter().any(|it| options.not_pushed.contains(&it.name)) {
        let room = MAX_CONDITIONS - conditions.len();
        let pushed = pushed(&specs).unwrap_or_default();
        if pushed.len() <= room {
            let of =
                |it: &spec::MatchCondition| MatchCondition { name: it.name.clone(), expression: it.expression.clone() };
            conditions.extend(pushed.iter().map(of));
        }
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// Whether a rule matches objects of `group`. Somebody who may write policies must be able to mend them, and the server to
/// say how they fare, whatever they deny.
fn may_match(spec: &PolicySpec, group: &str) -> bool {
    spec.matching.resource_rules.iter().flat_map(|it| &it.api_groups).any(|it| it == "*" || it == group)
}

/// The conditions of all of these policies, if none of them is asked where one is false, and each of them denies where one
/// cannot be evaluated: kube-apiserver does both. An entry with failurePolicy Ignore would not be asked then.
fn pushed<'a>(specs: &[&'a PolicySpec]) -> Option<&'a [spec::MatchCondition]> {
    let conditions = &specs.first()?.matching.match_conditions;
    let same = specs.iter().all(|it| it.matching.match_conditions == *conditions);
    let deny = |it: &&PolicySpec| {
        it.decides() && it.failure_policy == FailurePolicy::Fail && it.limit_policy == LimitPolicy::Fail
    };
    let is_free = conditions.iter().all(|it| it.name != OWN_OBJECTS);
    (same && specs.iter().all(deny) && is_free).then_some(conditions)
}

const OWN_OBJECTS: &str = "verdict.dev/not-its-own-objects";
