use std::path::Path;

use super::*;
use crate::{
    config,
    spec::{Actions, Class, LimitPolicy, MatchCondition},
};

fn options(place: Place) -> Options {
    Options {
        name: "verdict".to_owned(),
        labels: BTreeMap::new(),
        place,
        ca: Some("CA".to_owned()),
        excluded: vec!["kube-system".to_owned()],
        exempt_label: None,
        push_conditions: false,
        not_pushed: BTreeSet::new(),
        client: Some(("/pki/client.crt".into(), "/pki/client.key".into())),
        token_file: None,
        folder: "/etc/kubernetes/verdict".into(),
    }
}

/// `more` is what follows the rule in the policy's spec.
fn admission(name: &str, versions: &str, resources: &str, more: &str) -> Registered {
    let text = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec:\n  component: {{builtin: x}}\n  matchConstraints: {{resourceRules: [{{apiGroups: [apps], apiVersions: [{versions}], resources: [{resources}], operations: [CREATE]}}]}}\n{more}"
    );
    let spec = config::parse(&text, "f.yaml", Path::new("/")).unwrap().remove(0);
    Registered { spec, kind: Kind::Validator }
}

/// Paths of the entries.
fn paths(policies: &[Registered]) -> Vec<String> {
    let manifests = generate(policies, &options(Place::Url("https://h:8443".to_owned()))).unwrap();
    let lines = manifests[0].yaml.lines().filter_map(|it| it.trim().strip_prefix("url: "));
    lines.map(|it| it.trim_matches('"').trim_start_matches("https://h:8443").to_owned()).collect()
}

/// The path of the entry that a policy shares.
fn shared(policy: &Registered) -> String {
    let route = if policy.kind == Kind::Mutator { "mutate" } else { "validate" };
    format!("/{route}/{}", Class::of(&policy.spec).entry())
}

#[test]
fn policies_of_one_class_share_an_entry() {
    let one = || admission("one", "v1", "deployments", "");
    let two = || admission("two", "v1", "daemonsets", "");
    assert_eq!(paths(&[one(), two()]), ["/validate"]);
    for versions in ["v2", "v1, v2"] {
        let other = || admission("other", versions, "deployments", "");
        assert_eq!(paths(&[one(), other()]), ["/validate/one", "/validate/other"]);
        assert_eq!(paths(&[two(), other(), one()]), [shared(&one()), "/validate/other".to_owned()]);
    }
    let ignores = |name: &str, order: i32| {
        let more = format!("  failurePolicy: Ignore\n  limitPolicy: Ignore\n  order: {order}\n");
        admission(name, "v1", "deployments", &more)
    };
    // In the order of their first policies.
    assert_eq!(paths(&[one(), ignores("a", 1), two(), ignores("b", 200)]), [shared(&ignores("a", 1)), shared(&one())]);
}

#[test]
fn mutators_share_an_entry_only_where_no_other_stands_between_them() {
    let mutator = |name: &str, versions: &str, order: i32| {
        let more = format!("  order: {order}\n  limits: {{timeoutMilliseconds: 1000}}\n");
        Registered { kind: Kind::Mutator, ..admission(name, versions, "deployments", &more) }
    };
    let (a, b) = (|| mutator("a", "v1", 1), || mutator("b", "v1", 2));
    let between = || mutator("c", "v2", 1);
    assert_eq!(paths(&[b(), a()]), ["/mutate"]);
    assert_eq!(paths(&[mutator("c", "v2", 3), b(), a()]), [shared(&a()), "/mutate/c".to_owned()]);
    assert_eq!(paths(&[a(), b(), between()]), ["/mutate/a", "/mutate/c", "/mutate/b"]);
    // Validators run together, and their order says nothing.
    let validators = [a(), b(), between()].map(|it| Registered { kind: Kind::Validator, ..it });
    assert_eq!(paths(&validators), [shared(&validators[0]), "/validate/c".to_owned()]);
    // Times add up where policies run one after the other.
    let seconds = |policies: &[Registered]| {
        let yaml = generate(policies, &options(Place::Url("https://h".to_owned()))).unwrap().remove(0).yaml;
        yaml.lines().find_map(|it| it.trim().strip_prefix("timeoutSeconds: ")).unwrap().to_owned()
    };
    assert_eq!((seconds(&[a(), b()]), seconds(&validators)), ("3".to_owned(), "2".to_owned()));
}

/// Names of the entries.
fn names(policies: &[Registered]) -> Vec<String> {
    let webhooks = webhooks(policies, &options(Place::Url("https://h".to_owned()))).unwrap();
    webhooks.validating.unwrap().webhooks.unwrap().into_iter().map(|it| it.name).collect()
}

#[test]
fn no_two_entries_have_one_name() {
    let policy = |name: &str, versions: &str| {
        let mut policy = admission("p", versions, "deployments", "");
        policy.spec.name = name.to_owned();
        policy
    };
    assert_eq!(names(&[policy("one", "v1")]), ["one.validating.verdict.dev"]);
    assert_eq!(names(&[policy("one", "v1"), policy("two", "v1")]), ["all.validating.verdict.dev"]);
    let class = Class::of(&policy("one", "v1").spec).to_string();
    // One that would like to be the entry of a class.
    let namespaced = format!("entry/{class}");
    assert_eq!(
        names(&[policy("one", "v1"), policy("two", "v1"), policy(&namespaced, "v2"), policy("all", "v3")]),
        [
            "all.validating.verdict.dev".to_owned(),
            format!("{class}.entry.namespaced.validating.verdict.dev"),
            format!("{class}.entry.validating.verdict.dev"),
        ]
    );
    assert_eq!(paths(&[policy("one", "v1"), policy("ns/two", "v2")]), ["/validate/ns/two", "/validate/one"]);
}

/// Of this namespace.
fn namespaced(namespace: &str, name: &str) -> Registered {
    let text = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: NamespacedValidator\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  component: {{builtin: x}}\n  matchConstraints: {{resourceRules: [{{apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: [CREATE]}}]}}\n"
    );
    let spec = config::parse(&text, "f.yaml", Path::new("/")).unwrap().remove(0);
    Registered { spec, kind: Kind::NamespacedValidator }
}

#[test]
fn a_namespaced_policy_is_registered_for_its_namespace_only() {
    let policies =
        [namespaced("team-a", "labels"), namespaced("team-b", "labels"), admission("labels", "v1", "deployments", "")];
    assert_eq!(paths(&policies), ["/validate/labels", "/validate/team-a/labels", "/validate/team-b/labels"]);
    // Also where there is nobody else, or only policies of the same namespace.
    let together = [namespaced("team-a", "labels"), namespaced("team-a", "more")];
    for policies in [&policies[..1], &together] {
        let yaml = &generate(policies, &options(Place::Url("https://h:8443".to_owned()))).unwrap()[0].yaml;
        let yaml: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        let entry = &yaml["webhooks"][0];
        let own = serde_json::json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]});
        assert_eq!(entry["namespaceSelector"]["matchExpressions"][0], own, "{entry}");
        assert_eq!(entry["rules"][0]["scope"], "Namespaced", "{entry}");
        assert_eq!(yaml["webhooks"].as_array().unwrap().len(), 1);
    }
    let one = generate(&policies[..1], &options(Place::Url("https://h:8443".to_owned()))).unwrap();
    assert!(one[0].yaml.contains("name: labels.team-a.namespaced.validating.verdict.dev"), "{}", one[0].yaml);
}

/// A policy with this rule.
fn about(name: &str, groups: &str, versions: &str, resources: &str) -> Registered {
    let mut policy = admission(name, versions, resources, "");
    policy.spec.matching.resource_rules[0].api_groups = groups.split(' ').map(|it| it.replace("core", "")).collect();
    policy
}

#[test]
fn groups_that_share_storage_count_as_one() {
    let share = |one: (&str, &str, &str), other: (&str, &str, &str)| {
        let policies = [about("one", one.0, one.1, one.2), about("two", other.0, other.1, other.2)];
        paths(&policies) == ["/validate"]
    };
    let events = ("core", "v1", "events");
    for (other, shared) in [
        (("core", "v1", "events"), true),
        // kube-apiserver would convert an event of either group only where no rule of the entry lists it as it is.
        (("events.k8s.io", "v1", "events"), false),
        (("core events.k8s.io", "v1", "events"), false),
        (("*", "v1", "events"), false),
        (("events.k8s.io", "v1", "'*'"), false),
        (("events.k8s.io", "v1", "'*/*'"), false),
        // It could, and is no reason to look at subresources.
        (("events.k8s.io", "v1", "events/status"), false),
        (("core", "v1", "pods"), true),
        (("apps", "v1", "events"), true),
    ] {
        assert_eq!(share(events, other), shared, "{other:?}");
        assert_eq!(share(other, events), shared, "{other:?}");
    }
    assert!(share(("core events.k8s.io", "v1", "events"), ("core events.k8s.io", "v1", "events, pods")));
    assert!(share(("core apps", "v1", "pods, deployments"), ("core", "v1", "pods")));
    assert!(!share(("apps", "v1", "deployments"), ("extensions", "v1", "deployments")));
    assert!(!share(("networking.k8s.io", "v1", "ingresses"), ("extensions", "v1beta1", "ingresses")));
}

#[test]
fn what_cannot_decide_is_ignored_when_the_server_is_dead_in_an_entry_of_its_own() {
    let policies = |all: &[&str]| -> Vec<Registered> {
        let policy = |(at, actions): (usize, &&str)| {
            admission(&format!("p{at}"), "v1", "deployments", &format!("  validationActions: [{actions}]\n"))
        };
        all.iter().enumerate().map(policy).collect()
    };
    let entries = |all: &[&str]| {
        let manifests = generate(&policies(all), &options(Place::Url("https://h:8443".to_owned()))).unwrap();
        let values = |field: &str| -> Vec<String> {
            manifests[0].yaml.lines().filter_map(|it| it.trim().strip_prefix(field)).map(str::to_owned).collect()
        };
        values("failurePolicy: ").into_iter().zip(paths(&policies(all))).collect::<Vec<_>>()
    };
    let entry = |failure_policy: &str, path: &str| (failure_policy.to_owned(), path.to_owned());
    assert_eq!(entries(&["Audit"]), [entry("Ignore", "/validate")]);
    assert_eq!(entries(&["Warn", "Audit"]), [entry("Ignore", "/validate")]);
    let shadows = shared(&policies(&["Audit"])[0]);
    assert_eq!(entries(&["Deny", "Warn", "Audit"]), [entry("Fail", "/validate/p0"), entry("Ignore", &shadows)]);
    // A slow one in the same entry would cost the other its verdict.
    let mut both = policies(&["Deny", "Audit"]);
    both[0].spec.failure_policy = FailurePolicy::Ignore;
    both[0].spec.limit_policy = LimitPolicy::Ignore;
    assert_eq!(paths(&both), ["/validate/p0", "/validate/p1"]);
}

#[test]
fn only_authorizers_that_decide_deny_for_a_dead_server() {
    let failure_policy = |policies: &[(FailurePolicy, Actions)]| {
        let policy = |(failure_policy, actions): &(FailurePolicy, Actions)| {
            let mut policy = admission("one", "v1", "deployments", "");
            policy.kind = Kind::Authorizer;
            (policy.spec.failure_policy, policy.spec.actions) = (*failure_policy, *actions);
            policy
        };
        let policies: Vec<Registered> = policies.iter().map(policy).collect();
        let manifests = generate(&policies, &options(Place::Url("https://h".to_owned()))).unwrap();
        let line = manifests[1].yaml.lines().find_map(|it| it.trim().strip_prefix("failurePolicy: ")).unwrap();
        line.to_owned()
    };
    let (fail, open) = (FailurePolicy::Fail, FailurePolicy::NoOpinion);
    assert_eq!(failure_policy(&[(fail, Actions::DECIDE)]), "Deny");
    assert_eq!(failure_policy(&[(open, Actions::DECIDE)]), "NoOpinion");
    assert_eq!(failure_policy(&[(fail, Actions::SHADOW)]), "NoOpinion");
    assert_eq!(failure_policy(&[(fail, Actions::SHADOW), (open, Actions::DECIDE)]), "NoOpinion");
    assert_eq!(failure_policy(&[(fail, Actions::SHADOW), (fail, Actions::DECIDE)]), "Deny");
}

#[test]
fn without_namespaces_to_leave_out_nothing_is_selected() {
    let mut options = options(Place::Url("https://h".to_owned()));
    options.excluded.clear();
    let manifests = generate(&[admission("one", "v1", "deployments", "")], &options).unwrap();
    // A NotIn without values is refused by kube-apiserver.
    assert!(!manifests[0].yaml.contains("NotIn"), "{}", manifests[0].yaml);
}

/// The matchConditions of the only entry, by their names.
fn conditions(policies: &[Registered], options: &Options) -> Vec<String> {
    let all = webhooks(policies, options).unwrap().validating.unwrap().webhooks.unwrap();
    let [entry] = &all[..] else { panic!("{all:?}") };
    let conditions = entry.match_conditions.as_ref();
    // An empty list is none.
    assert!(conditions.is_none_or(|it| !it.is_empty()));
    conditions.into_iter().flatten().map(|it| it.name.clone()).collect()
}

#[test]
fn nothing_is_asked_about_its_own_objects() {
    let options = options(Place::Url("https://h".to_owned()));
    let own = ["verdict.dev/not-its-own-objects"];
    assert_eq!(conditions(&[about("one", "apps core", "v1", "'*/*'")], &options), [""; 0]);
    assert_eq!(conditions(&[about("one", "*", "v1", "pods")], &options), own);
    assert_eq!(conditions(&[about("one", "verdict.dev", "v1", "validators")], &options), own);
    assert_eq!(
        conditions(&[about("one", "apps", "v1", "pods"), about("two", "verdict.dev apps", "v1", "x")], &options),
        own
    );
    let manifests = generate(&[about("one", "*", "v1", "pods")], &options).unwrap();
    assert!(manifests[0].yaml.contains("request.resource.group != 'verdict.dev'"), "{}", manifests[0].yaml);
}

#[test]
fn conditions_are_pushed_only_where_all_policies_of_the_entry_have_them_and_deny_without() {
    let named = |names: &[&str]| -> Vec<MatchCondition> {
        names.iter().map(|it| MatchCondition { name: (*it).to_owned(), expression: "true".to_owned() }).collect()
    };
    let policy = |name: &str, names: &[&str]| {
        let mut policy = admission(name, "v1", "deployments", "");
        policy.spec.matching.match_conditions = named(names);
        policy
    };
    let mut options = options(Place::Url("https://h".to_owned()));
    let both = || [policy("one", &["a", "b"]), policy("two", &["a", "b"])];
    assert_eq!(conditions(&both(), &options), [""; 0]);
    options.push_conditions = true;
    assert_eq!(conditions(&both(), &options), ["a", "b"]);
    let changed = |change: &dyn Fn(&mut Registered)| {
        let mut both = both();
        change(&mut both[1]);
        both
    };
    let none: [&dyn Fn(&mut Registered); 5] = [
        &|it| it.spec.matching.match_conditions.clear(),
        &|it| it.spec.matching.match_conditions[0].name = "c".to_owned(),
        &|it| it.spec.matching.match_conditions[0].expression = "false".to_owned(),
        // Registered as Fail, and yet no failure of a condition denies.
        &|it| it.spec.failure_policy = FailurePolicy::Ignore,
        &|it| it.spec.limit_policy = LimitPolicy::Ignore,
    ];
    for (at, change) in none.into_iter().enumerate() {
        assert_eq!(conditions(&changed(change), &options), [""; 0], "{at}");
    }
    let mut shadow = policy("one", &["a"]);
    shadow.spec.actions = Actions::SHADOW;
    assert_eq!(conditions(&[shadow], &options), [""; 0]);
    // Each entry has room for 64, and the one for its own objects comes first.
    let many: Vec<String> = (0..64).map(|it| it.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let everything = |names: &[&str]| {
        let mut policy = policy("one", names);
        policy.spec.matching.resource_rules[0].api_groups = vec!["*".to_owned()];
        policy
    };
    assert_eq!(conditions(&[policy("one", &many)], &options).len(), 64);
    assert_eq!(conditions(&[everything(&many)], &options).len(), 1);
    assert_eq!(conditions(&[everything(&many[1..])], &options).len(), 64);
    let taken = "verdict.dev/not-its-own-objects";
    assert_eq!(conditions(&[everything(&[taken])], &options), [taken]);
    // What kube-apiserver refused holds back its own entry only.
    options.not_pushed.insert("two".to_owned());
    assert_eq!(conditions(&both(), &options), [""; 0]);
    assert_eq!(conditions(&both()[..1], &options), ["a", "b"]);
}

#[test]
fn what_a_controller_adds() {
    let options = Options {
        name: "verdict-blue".to_owned(),
        labels: [("verdict.dev/instance".to_owned(), "blue".to_owned())].into(),
        ca: None,
        exempt_label: Some("verdict.dev/exempt".to_owned()),
        ..options(Place::Url("https://h".to_owned()))
    };
    let validator = admission("one", "v1", "deployments", "");
    let mutator = Registered { kind: Kind::Mutator, ..admission("one", "v1", "deployments", "") };
    let Webhooks { validating: Some(validating), mutating: Some(mutating) } =
        webhooks(&[validator, mutator], &options).unwrap()
    else {
        panic!("both")
    };
    for metadata in [&validating.metadata, &mutating.metadata] {
        assert_eq!((metadata.name.as_deref(), &metadata.labels), (Some("verdict-blue"), &Some(options.labels.clone())));
    }
    let entry = &validating.webhooks.as_ref().unwrap()[0];
    assert_eq!(entry.client_config.ca_bundle, None);
    let selector = entry.namespace_selector.as_ref().unwrap().match_expressions.as_ref().unwrap();
    let selector: Vec<_> =
        selector.iter().map(|it| (it.key.as_str(), it.operator.as_str(), it.values.clone())).collect();
    assert_eq!(
        selector,
        [
            ("kubernetes.io/metadata.name", "NotIn", Some(vec!["kube-system".to_owned()])),
            ("verdict.dev/exempt", "DoesNotExist", None),
        ]
    );
    assert_eq!(webhooks(&[], &options).unwrap(), Webhooks::default());
}

#[test]
fn a_policy_without_rules_is_refused() {
    let mut policy = admission("one", "v1", "deployments", "");
    policy.spec.matching.resource_rules.clear();
    let error = generate(&[policy], &options(Place::Url("https://h".to_owned()))).unwrap_err();
    assert!(error.to_string().starts_with("f.yaml: Validator one: spec.matchConstraints.resourceRules: "), "{error}");
}

#[test]
fn by_service_and_with_everything() {
    let policies = [Kind::Authenticator, Kind::Authorizer, Kind::Validator, Kind::Mutator].map(|kind| Registered {
        kind,
        ..admission("one", "v1", "deployments", "  limits: {timeoutMilliseconds: 4000}\n")
    });
    let place = Place::Service { namespace: "verdict".to_owned(), name: "verdict".to_owned(), port: 8443 };
    let manifests = generate(&policies, &options(place)).unwrap();
    let whole: String = manifests.iter().map(|it| format!("--- {}\n{}", it.file, it.yaml)).collect();
    insta::assert_snapshot!(whole);
}

#[test]
fn time_is_enough_for_the_slowest() {
    use std::time::Duration;
    for (milliseconds, seconds) in [(1, 2), (500, 2), (1500, 2), (1501, 3), (4000, 5), (30_000, 30)] {
        assert_eq!(super::admission::seconds(Duration::from_millis(milliseconds)), seconds, "{milliseconds}");
    }
}

/// Wherever kube-apiserver shows who it is, and where that is all it shows.
#[test]
fn kube_apiserver_shows_its_token() {
    let options = Options {
        client: None,
        token_file: Some("/pki/token".into()),
        ..options(Place::Url("https://h:8443".to_owned()))
    };
    let kubeconfigs = ["/authenticate", "/authorize"].map(|path| kubeconfig::review(&options, path));
    for kubeconfig in kubeconfigs.into_iter().chain([kubeconfig::admission(&options)]) {
        let yaml = with_comment("", &kubeconfig).unwrap();
        assert!(yaml.contains("tokenFile: /pki/token") && !yaml.contains("client-certificate"), "{yaml}");
    }
    let files: Vec<&str> =
        generate(&[admission("one", "v1", "deployments", "")], &options).unwrap().iter().map(|it| it.file).collect();
    assert_eq!(files, ["validating-webhook.yaml", "admission-kubeconfig.yaml", "admission-config.yaml"]);
}
