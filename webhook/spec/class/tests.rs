use proptest::{prelude::*, sample::select};

use super::*;
use crate::spec::{Actions, Kind, Operator, Requirement};

fn policy(rules: &[ResourceRule]) -> PolicySpec {
    let mut spec = PolicySpec::unknown(Kind::Validator, "p");
    spec.matching.resource_rules = rules.to_vec();
    spec
}

fn rule(groups: &[&str], versions: &[&str], resources: &[&str], operations: &[&str]) -> ResourceRule {
    let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    ResourceRule {
        api_groups: own(groups),
        api_versions: own(versions),
        resources: own(resources),
        operations: own(operations),
        ..ResourceRule::default()
    }
}

fn class(rules: &[ResourceRule]) -> String {
    Class::of(&policy(rules)).to_string()
}

/// Replicas of two versions of the program must agree: where this fails, the number in the text was not counted up.
#[test]
fn a_class_never_changes() {
    let pods = [rule(&[""], &["v1"], &["pods"], &["CREATE"])];
    assert_eq!(
        text(&policy(&pods)),
        r#"["verdict.dev/class/1",true,"Fail","Equivalent",null,null,null,["versions",["v1"],[]]]"#
    );
    assert_eq!(class(&pods), "15231f0e1de2faae");
    let all = rule(&["*"], &["*"], &["*/*"], &["*"]);
    let mut everything = policy(&[all]);
    everything.actions = Actions::SHADOW;
    everything.matching.exact = true;
    let requirement = |operator, values: &[&str]| Requirement {
        key: "team".to_owned(),
        operator,
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    };
    everything.matching.namespace_selector = Some(LabelSelector {
        match_labels: [("a\"b".to_owned(), "é".to_owned())].into(),
        match_expressions: vec![requirement(Operator::In, &["b", "a", "b"]), requirement(Operator::Exists, &[])],
    });
    assert_eq!(
        text(&everything),
        r#"["verdict.dev/class/1",false,"Ignore","Exact",null,[[["a\"b","é"]],[["team","Exists",[]],["team","In",["a","b"]]]],null,["versions",["*"],[["daemonsets",["apps","extensions"]],["deployments",["apps","extensions"]],["events",["","events.k8s.io"]],["ingresses",["extensions","networking.k8s.io"]],["networkpolicies",["extensions","networking.k8s.io"]],["podsecuritypolicies",["extensions","policy"]],["replicasets",["apps","extensions"]],["replicationcontrollers",["","extensions"]]]]]"#
    );
    assert_eq!(Class::of(&everything).to_string(), "578b878985e86554");
    let mixed = [rule(&["policy"], &["v1"], &["pods"], &["CREATE"]), rule(&["autoscaling"], &["v2"], &["x"], &["*"])];
    assert_eq!(
        text(&policy(&mixed)),
        r#"["verdict.dev/class/1",true,"Fail","Equivalent",null,null,null,["rules",[[["autoscaling"],["v2"],["x"],["*"],"*"],[["policy"],["v1"],["pods"],["CREATE"],"*"]]]]"#
    );
    assert_eq!(class(&mixed), "37ab6862b8a0a342");
}

#[test]
fn order_and_repetition_do_not_matter() {
    let one = || rule(&["", "apps"], &["v1", "v2"], &["pods", "deployments"], &["CREATE", "UPDATE"]);
    let same = rule(&["apps", "", ""], &["v2", "v1", "v2"], &["deployments", "pods", "pods"], &["UPDATE", "CREATE"]);
    let other = rule(&["batch"], &["v3"], &["jobs"], &["*"]);
    assert_eq!(class(&[one(), other.clone()]), class(&[other.clone(), same.clone(), same.clone(), other.clone()]));
    assert_eq!(class(&[one()]), class(&[same]));
    assert_ne!(class(&[one()]), class(&[one(), other]));
    // What selects everything says nothing.
    let mut selects = policy(&[one()]);
    selects.matching.object_selector = Some(LabelSelector::default());
    assert_eq!(Class::of(&selects), Class::of(&policy(&[one()])));
}

/// Most policies are about resources as clusters of today serve them: which of them does not matter.
#[test]
fn policies_about_other_resources_of_the_same_version_are_of_one_class() {
    let about = |group: &str, resource: &str| class(&[rule(&[group], &["v1"], &[resource], &["CREATE"])]);
    let pods = about("", "pods");
    for (group, resource) in [("apps", "deployments"), ("", "events"), ("", "*"), ("networking.k8s.io", "ingresses")] {
        assert_eq!(about(group, resource), pods, "{resource}");
    }
    for (group, resource) in [("events.k8s.io", "events"), ("*", "pods/*"), ("*", "*"), ("extensions", "*/*")] {
        assert_eq!(about(group, resource) == pods, resource == "pods/*", "{resource}");
    }
}

#[test]
fn what_stands_in_a_path_is_read_again() {
    let class = Class::of(&policy(&[]));
    assert_eq!(Class::of_entry(&class.entry()), Some(class));
    let digits = "0123456789abcdef";
    assert!(Class::of_entry(&format!("entry.{digits}")).is_some());
    for wrong in [digits, "entry.", "entry.0123456789abcde", "entry.0123456789ABCDEF", "entry.+123456789abcdef"] {
        assert_eq!(Class::of_entry(wrong), None, "{wrong}");
    }
    assert_eq!(Class::of_entry(&format!("entry.0{digits}")), None);
}

/// Whether no request passes one of the policies because of the other's rules, as they say themselves.
fn may_share(one: &PolicySpec, other: &PolicySpec) -> bool {
    let (a, b) = (&one.matching, &other.matching);
    let pairs = || a.resource_rules.iter().flat_map(|a| b.resource_rules.iter().map(move |b| (a, b)));
    one.decides() == other.decides()
        && one.is_passed_over() == other.is_passed_over()
        && a.exact == b.exact
        && a.namespace_selector == b.namespace_selector
        && a.object_selector == b.object_selector
        && (same_rules(&a.resource_rules, &b.resource_rules)
            || pairs().all(|(a, b)| (!overlap(a, b) || same_versions(a, b)) && share_storage_alike(a, b)))
}

/// Then an entry for both says what an entry for either would.
fn same_rules(one: &[ResourceRule], other: &[ResourceRule]) -> bool {
    let within = |one: &[ResourceRule], other: &[ResourceRule]| {
        one.iter().all(|a| {
            other.iter().any(|b| {
                let lists = |it: &ResourceRule| {
                    let lists = [&it.api_groups, &it.api_versions, &it.resources, &it.operations];
                    lists.map(|it| it.iter().cloned().collect::<BTreeSet<_>>())
                };
                lists(a) == lists(b) && a.scope == b.scope
            })
        })
    };
    within(one, other) && within(other, one)
}

/// Whether some resource is in both rules.
fn overlap(one: &ResourceRule, other: &ResourceRule) -> bool {
    let groups = one.api_groups.iter().any(|a| other.api_groups.iter().any(|b| alike(a, b)));
    groups && one.resources.iter().any(|a| other.resources.iter().any(|b| meet(a, b, None)))
}

/// Whether the rules list the same groups and versions wherever groups share storage and both have some of them.
fn share_storage_alike(one: &ResourceRule, other: &ResourceRule) -> bool {
    SHARED_STORAGE.iter().all(|(resource, groups)| {
        let listed = |rule: &ResourceRule| -> BTreeSet<&str> {
            let is_listed = |group: &&str| rule.api_groups.iter().any(|it| it == "*" || it == group);
            groups.iter().copied().filter(is_listed).collect()
        };
        let (a, b) = (listed(one), listed(other));
        let both = !a.is_empty()
            && !b.is_empty()
            && one.resources.iter().any(|a| other.resources.iter().any(|b| meet(a, b, Some(resource))));
        !both || (a == b && same_versions(one, other))
    })
}

/// Whether two patterns, `resource` or `resource/subresource` each, have something in common; that is `only`, if given.
fn meet(one: &str, other: &str, only: Option<&str>) -> bool {
    let split = |it: &'_ str| it.split_once('/').map_or((it.to_owned(), String::new()), |(a, b)| (a.into(), b.into()));
    let ((a, a_sub), (b, b_sub)): ((String, String), (String, String)) = (split(one), split(other));
    let named = only.is_none_or(|only| alike(&a, only) && alike(&b, only));
    named && alike(&a, &b) && alike(&a_sub, &b_sub)
}

fn alike(one: &str, other: &str) -> bool {
    one == "*" || other == "*" || one == other
}

fn same_versions(one: &ResourceRule, other: &ResourceRule) -> bool {
    set(&one.api_versions) == set(&other.api_versions)
}

fn any_policy() -> impl Strategy<Value = PolicySpec> {
    let some = |of: &'static [&'static str]| prop::collection::vec(select(of).prop_map(str::to_owned), 1..3);
    let rule = (
        some(&["", "apps", "extensions", "events.k8s.io", "*"]),
        prop_oneof![4 => Just(vec!["v1".to_owned()]), 1 => some(&["v1", "v2", "*"])],
        some(&["pods", "deployments", "events", "events/status", "*", "*/*", "deployments/*"]),
        some(&["CREATE", "UPDATE"]),
        select(&[Scope::All, Scope::Namespaced][..]),
    );
    let rule = rule.prop_map(|(api_groups, api_versions, resources, operations, scope)| ResourceRule {
        api_groups,
        api_versions,
        resources,
        operations,
        scope,
        ..ResourceRule::default()
    });
    let actions = prop_oneof![4 => Just(Actions::DECIDE), 1 => Just(Actions::SHADOW)];
    let ignores = prop_oneof![4 => Just(false), 1 => Just(true)];
    let selector = prop_oneof![
        4 => Just(None),
        1 => select(&["a", "b"][..]).prop_map(|value| Some(LabelSelector {
            match_labels: [("team".to_owned(), value.to_owned())].into(),
            match_expressions: Vec::new(),
        })),
    ];
    (prop::collection::vec(rule, 1..3), actions, ignores.clone(), ignores, selector.clone(), selector).prop_map(
        |(rules, actions, ignores, exact, namespace_selector, object_selector)| {
            let mut spec = policy(&rules);
            spec.actions = actions;
            if ignores {
                (spec.failure_policy, spec.limit_policy) = (FailurePolicy::Ignore, LimitPolicy::Ignore);
            }
            spec.matching.exact = exact;
            (spec.matching.namespace_selector, spec.matching.object_selector) = (namespace_selector, object_selector);
            spec
        },
    )
}

/// Of many policies, so that many pairs are of one class.
#[test]
fn policies_of_one_class_hide_nothing_from_each_other() {
    let shared = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(64), |(policies in prop::collection::vec(any_policy(), 120))| {
        let classes: Vec<Class> = policies.iter().map(Class::of).collect();
        for (at, one) in policies.iter().enumerate() {
            for (other, _) in policies.iter().zip(&classes).skip(at + 1).filter(|(_, class)| **class == classes[at]) {
                prop_assert!(may_share(one, other), "{:?}\n{:?}", one.matching, other.matching);
                prop_assert!(may_share(other, one), "{:?}\n{:?}", one.matching, other.matching);
                shared.set(shared.get() + 1);
            }
        }
    });
    assert!(shared.get() > 1000, "{} pairs", shared.get());
}
