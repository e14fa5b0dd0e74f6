use std::path::Path;

use super::*;
use crate::{config, spec::Actions};

fn options(place: Place) -> Options {
    Options {
        place,
        ca: "CA".to_owned(),
        client: Some(("/pki/client.crt".into(), "/pki/client.key".into())),
        token_file: None,
        folder: "/etc/kubernetes/verdict".into(),
        excluded: vec!["kube-system".to_owned()],
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

#[test]
fn policies_share_an_entry_only_where_no_version_goes_unseen() {
    let one = || admission("one", "v1", "deployments", "");
    assert_eq!(paths(&[one(), admission("two", "v1", "deployments", "")]), ["/validate"]);
    // Other resources do not come into each other's way.
    assert_eq!(paths(&[one(), admission("two", "v2", "daemonsets", "")]), ["/validate"]);
    assert_eq!(paths(&[one(), admission("two", "v1, v2", "deployments", "")]), ["/validate/one", "/validate/two"]);
    assert_eq!(paths(&[one(), admission("two", "v2", "'*'", "")]), ["/validate/one", "/validate/two"]);
    let ignores = "  failurePolicy: Ignore\n  limitPolicy: Ignore\n  order: 1\n";
    assert_eq!(paths(&[one(), admission("two", "v1", "deployments", ignores)]), ["/validate/two", "/validate/one"]);
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
    assert!(one[0].yaml.contains("name: labels.team-a.validating.verdict.dev"), "{}", one[0].yaml);
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
        (("events.k8s.io", "v1", "events/status"), true),
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
    assert_eq!(
        entries(&["Deny", "Warn", "Audit"]),
        [entry("Fail", "/validate/p0"), entry("Ignore", "/validate/p1"), entry("Ignore", "/validate/p2")]
    );
    // A slow one in the same entry would cost the other its verdict.
    let mut both = policies(&["Deny", "Audit"]);
    both[0].spec.failure_policy = FailurePolicy::Ignore;
    both[0].spec.limit_policy = crate::spec::LimitPolicy::Ignore;
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
