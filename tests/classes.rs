//! Policies that share an entry of a webhook configuration: who is asked at its path.

use std::sync::Arc;

use http::StatusCode;
use verdict::{
    engine::{
        prepare::Compiler,
        run::{Capacity, Engine},
    },
    loader::Components,
    observe::Metrics,
    policy::{Declared, Live, Loader, Set, Which},
    spec::{Class, Interface, PolicySpec},
};

use crate::support::host::{Host, config_map, specs};

/// A validator or a mutator of ConfigMaps; `more` is what follows in its spec.
fn policy(kind: &str, name: &str, component: &str, more: &str) -> String {
    let rules =
        "{resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}]}";
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{component: {{builtin: {component}}}, matchConstraints: {rules}{more}}}\n"
    )
}

fn wants(label: &str, more: &str) -> String {
    policy("Validator", label, "required-labels", &format!(", settings: {{labels: [{label}]}}{more}"))
}

fn class(yaml: &str) -> Class {
    Class::of(&specs(yaml)[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_an_entry_asks_the_policies_of_its_class() {
    let ignored = ", failurePolicy: Ignore, limitPolicy: Ignore";
    let (team, owner, other) = (wants("team", ""), wants("owner", ", order: 1"), wants("other", ignored));
    let mutator = policy("Mutator", "changes", "magic-mutator", "");
    assert_eq!(class(&team), class(&owner));
    assert_ne!(class(&team), class(&other));
    let host = Host::yaml(&[team.clone(), owner, other.clone(), mutator.clone()].concat()).await;
    let ask = async |path: &str| {
        let (status, text) = host.post(path, config_map("u").to_string()).await;
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (status, answer["response"].clone())
    };
    let denied = async |path: &str| {
        let (_, answer) = ask(path).await;
        let message = answer["status"]["message"].as_str().unwrap_or_default().to_owned();
        // Without the causes.
        message.lines().filter(|it| !it.starts_with('*')).map(str::to_owned).collect::<Vec<_>>()
    };
    let (team, other) = (class(&team).entry(), class(&other).entry());
    let both = ["owner: the label owner is required", "team: the label team is required"];
    assert_eq!(denied(&format!("/validate/{team}")).await, both);
    assert_eq!(denied(&format!("/validate/{other}")).await, ["other: the label other is required"]);
    // Of the class of the validators, but asked another question.
    assert_eq!(class(&mutator).entry(), team);
    let (_, answer) = ask(&format!("/mutate/{team}")).await;
    assert_eq!((&answer["allowed"], answer["patch"].is_string()), (&true.into(), true), "{answer}");
    for nobody in ["/mutate/", "/authorize/", "/events/", "/audit/"].map(|it| format!("{it}{other}")) {
        assert_eq!(ask(&nobody).await.0, StatusCode::NOT_FOUND, "{nobody}");
    }
    for nobody in ["/validate/entry.0123456789abcdef", "/validate/entry.", "/validate/entry"] {
        let (status, text) = host.post(nobody, config_map("u").to_string()).await;
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::NOT_FOUND, "no such policy, or not of this kind\n"),
            "{nobody}"
        );
    }
}

/// While kube-apiserver still knows it by the class that it had before.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_also_answers_under_other_classes_and_is_not_loaded_again_for_it() {
    let live = Arc::new(Live::new(Arc::new(Set::empty())));
    let loader = Loader {
        live: Arc::clone(&live),
        engine: Engine::new(Capacity { instances: 4, memory: 256 << 20 }).unwrap(),
        compiler: Compiler::in_process(None),
        components: Components::local(),
        metrics: Arc::new(Metrics::new()),
        namespaces: None,
    };
    let spec = specs(&wants("team", "")).remove(0);
    let old = class(&wants("team", ", failurePolicy: Ignore, limitPolicy: Ignore"));
    let declare = async |also: &[Class]| {
        let spec = PolicySpec { also_answers: also.to_vec(), ..spec.clone() };
        let wrong = loader.update(vec![Declared::read(spec)], Vec::new()).await;
        assert!(wrong.is_empty(), "{wrong:?}");
        Arc::clone(&live.current().objects()[0].policies()[0])
    };
    let answers = |class| live.set().select(Interface::Validating, Which::Class(class)).is_some();
    let first = declare(&[]).await;
    assert_eq!((first.class(), answers(first.class()), answers(old)), (Class::of(&spec), true, false));
    let digest = live.current().digest();
    for (also, expected) in [(&[old][..], true), (&[old, first.class(), old], true), (&[], false)] {
        assert!(Arc::ptr_eq(&first, &declare(also).await), "it was loaded again");
        assert_eq!((answers(first.class()), answers(old)), (true, expected));
        assert_eq!(live.current().digest(), digest);
    }
}
