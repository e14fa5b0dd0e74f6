use std::path::Path;

use super::*;
use crate::config;

fn options(place: Place) -> Options {
    Options {
        place,
        ca: "CA".to_owned(),
        client: Some(("/pki/client.crt".into(), "/pki/client.key".into())),
        folder: "/etc/kubernetes/verdict".into(),
        excluded: vec!["kube-system".to_owned()],
    }
}

/// `more` is what follows the rule in the policy's spec.
fn admission(name: &str, versions: &str, resources: &str, more: &str) -> Registered {
    let text = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n  component: builtin:x\n  match: {{resourceRules: [{{apiGroups: [apps], apiVersions: [{versions}], resources: [{resources}], operations: [CREATE]}}]}}\n{more}"
    );
    let spec = config::parse(&text, "f.yaml", Path::new("/")).unwrap().remove(0);
    Registered { spec, interfaces: vec![Interface::Validating] }
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
    let ignores = "  failurePolicy: Ignore\n  onLimit: Ignore\n  order: 1\n";
    assert_eq!(paths(&[one(), admission("two", "v1", "deployments", ignores)]), ["/validate/two", "/validate/one"]);
}

#[test]
fn a_policy_without_rules_is_refused() {
    let mut policy = admission("one", "v1", "deployments", "");
    policy.spec.matching.resource_rules.clear();
    let error = generate(&[policy], &options(Place::Url("https://h".to_owned()))).unwrap_err();
    assert!(error.to_string().starts_with("f.yaml: policy one: spec.match.resourceRules: "), "{error}");
}

#[test]
fn by_service_and_with_everything() {
    let mut policy = admission("one", "v1", "deployments", "  limits: {time: 4s}\n");
    policy.interfaces =
        vec![Interface::Authentication, Interface::Authorization, Interface::Validating, Interface::Mutating];
    let place = Place::Service { namespace: "verdict".to_owned(), name: "verdict".to_owned(), port: 8443 };
    let manifests = generate(&[policy], &options(place)).unwrap();
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
