use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What must not be found, in any place where a Secret has it.
const HIDDEN: &str = "s3cr3t-in-plain";

fn secret(hidden: &str) -> Value {
    let encoded = STANDARD.encode(hidden);
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
        "metadata": {
            "name": "credentials", "namespace": "default", "labels": {"team": "a"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json!({"data": {"a": encoded}}).to_string(),
                "of-another-tool": encoded,
            },
            "managedFields": [{"manager": hidden, "fieldsV1": {"f:data": {encoded.clone(): {}}}}],
        },
        "data": {"a": encoded}, "stringData": {"b": hidden}, "unknown": [hidden],
    })
}

fn review(resource: &str, kind: &str, object: &Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "1", "operation": "UPDATE", "name": "credentials", "namespace": "default",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": resource},
        "userInfo": {"username": "jane", "extra": {"Example.org/key~": [HIDDEN], "other": ["seen"]}},
        "object": object, "oldObject": object, "options": {"kind": "UpdateOptions", "fieldManager": "kubectl"},
    }})
}

fn rules() -> Rules {
    Rules::new(&["example.org/Key~".to_owned()])
}

/// Whether a value holds a text as it is, in base64, or in JSON within a string.
fn holds(value: &Value, hidden: &str) -> bool {
    let text = value.to_string();
    let escaped = json!(hidden).to_string();
    [hidden, &STANDARD.encode(hidden), escaped.trim_matches('"'), json!(escaped).to_string().trim_matches('"')]
        .iter()
        .any(|it| text.contains(it))
}

#[test]
fn of_a_secret_stays_what_it_is_called() {
    let mut all = review("secrets", "Secret", &secret(HIDDEN));
    let redacted = rules().review(&mut all, "/input");
    assert!(!holds(&all, HIDDEN), "{all}");
    let object = &all["request"]["object"];
    let kept = json!({"name": "credentials", "namespace": "default", "labels": {"team": "a"}});
    assert_eq!(object["metadata"], kept);
    assert_eq!(
        (&object["kind"], &object["type"], &object["immutable"]),
        (&json!("Secret"), &json!("Opaque"), &json!(true))
    );
    assert_eq!(all["request"]["options"], json!({"kind": "UpdateOptions", "fieldManager": "kubectl"}));
    for path in ["data", "stringData", "unknown", "metadata/annotations", "metadata/managedFields"] {
        let path = format!("/input/request/oldObject/{path}");
        assert!(redacted.erased.contains(&path), "{path} in {:?}", redacted.erased);
    }
    assert_eq!(redacted.masked, ["/input/request/userInfo/extra/Example.org~1key~0"]);
    assert_eq!(all["request"]["userInfo"]["extra"]["other"], json!(["seen"]));
}

#[test]
fn what_is_secret_is_found_by_resource_or_kind_however_it_is_spelt() {
    let bare = json!({"metadata": {"name": "a"}, "data": {"a": HIDDEN}});
    for (resource, kind) in
        [("secrets", ""), ("SECRETS", "X"), ("x", "secret"), ("x", "SecretList"), ("x", "TokenRequest")]
    {
        let mut all = review(resource, kind, &bare);
        rules().review(&mut all, "");
        assert!(!holds(&all["request"]["object"], HIDDEN), "{resource} {kind}: {all}");
    }
    let mut token = review(
        "serviceaccounts",
        "ServiceAccount",
        &json!({"status": {"token": HIDDEN}, "spec": {"audiences": ["a"]}}),
    );
    token["request"]["subResource"] = "token".into();
    rules().review(&mut token, "");
    assert!(!holds(&token["request"]["object"], HIDDEN), "{token}");
    assert_eq!(token["request"]["object"]["spec"]["audiences"], json!(["a"]));
    let mut other = review("configmaps", "ConfigMap", &bare);
    assert_eq!(rules().review(&mut other, "").erased, [""; 0]);
}

#[test]
fn a_secret_is_found_wherever_it_is() {
    let list = json!({"kind": "List", "metadata": {"annotations": {"copy": HIDDEN}}, "items": [{"kind": "ConfigMap", "data": {"a": "seen"}}, secret(HIDDEN)]});
    let untyped = json!({"kind": "SecretList", "items": [{"data": {"a": HIDDEN}}, HIDDEN]});
    let within =
        json!({"kind": "Template", "metadata": {"managedFields": [HIDDEN]}, "objects": {"a": [secret(HIDDEN)]}});
    for object in [list, untyped, within] {
        let mut all = review("templates", "Template", &object);
        rules().review(&mut all, "");
        assert!(!holds(&all["request"]["object"], HIDDEN), "{all}");
        assert!(!holds(&all["request"]["oldObject"], HIDDEN), "{all}");
    }
}

#[test]
fn a_secret_hides_in_no_part_of_another_that_stays() {
    let mut outer = secret(HIDDEN);
    outer["metadata"]["labels"] = json!({"a": secret(HIDDEN)});
    outer["spec"] = json!({"audiences": [secret(HIDDEN)], "token": HIDDEN});
    outer["dryRun"] = json!([HIDDEN]);
    let mut all = review("secrets", "Secret", &outer);
    rules().review(&mut all, "");
    assert!(!holds(&all, HIDDEN), "{all}");
}

/// Each path on its own would be half a megabyte, a hundred thousand times.
#[test]
fn long_keys_above_long_lists_cost_no_more_than_they_are() {
    let mut object = serde_json::Map::new();
    object.insert("k".repeat(500_000), Value::from(vec![0; 100_000]));
    object.insert("k".repeat(499_999), json!([{"kind": "Secret", "data": {"a": HIDDEN}}]));
    let mut all = review("widgets", "Widget", &object.into());
    let begun = std::time::Instant::now();
    let redacted = rules().review(&mut all, "");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!holds(&all["request"]["object"], HIDDEN) && redacted.erased.is_empty());
}

#[test]
fn tokens_never_stay() {
    let mut review = json!({"kind": "TokenReview", "spec": {"token": HIDDEN, "audiences": ["a"]}});
    assert_eq!(rules().review(&mut review, "/input").erased, ["/input/spec/token"]);
    assert_eq!(review["spec"], json!({"audiences": ["a"]}));
    let mut within = json!({"event": [{"kind": "TokenReview", "spec": {"token": HIDDEN}}]});
    assert_eq!(rules().review(&mut within, "").erased, ["/event/0/spec/token"]);
    // Whatever it calls itself.
    let mut other = json!({"kind": "Tokenreview", "spec": {"token": {"x": HIDDEN}}});
    rules().review(&mut other, "");
    assert!(!holds(&other, HIDDEN));
}

/// Any JSON, of not too many values.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let key =
            prop_oneof!["[a-z~/]{1,4}", Just("kind".to_owned()), Just("items".to_owned()), Just("metadata".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// Puts a Secret somewhere into a value.
fn hide(value: &mut Value, path: &[usize], secret: Value) {
    match (path.split_first(), value) {
        (Some((at, rest)), Value::Array(items)) if !items.is_empty() => {
            let at = at % items.len();
            hide(&mut items[at], rest, secret);
        }
        (Some((at, rest)), Value::Object(fields)) if !fields.is_empty() => {
            let at = at % fields.len();
            if let Some((_, field)) = fields.iter_mut().nth(at) {
                hide(field, rest, secret);
            }
        }
        (_, value) => *value = secret,
    }
}

proptest! {
    /// Nothing of a Secret is found, wherever it is and whatever it holds; the paths lead to what was there, and doing it again changes nothing.
    #[test]
    fn no_byte_of_a_secret_stays(
        bytes in prop::collection::vec(any::<char>(), 12..40),
        mut object in anything(),
        path in prop::collection::vec(0_usize..6, 0..5),
    ) {
        // A mark of its own, so that it is in no other text.
        let hidden: String = format!("~{}\u{1}\"", bytes.into_iter().collect::<String>());
        hide(&mut object, &path, secret(&hidden));
        let before = review("widgets", "Widget", &object);
        let mut after = before.clone();
        let redacted = rules().review(&mut after, "");
        prop_assert!(!holds(&after, &hidden), "{after}");
        for path in &redacted.erased {
            prop_assert!(before.pointer(path).is_some(), "{path} in {before}");
            prop_assert!(after.pointer(path).is_none_or(Value::is_null), "{path} in {after}");
        }
        let mut again = after.clone();
        let none = rules().review(&mut again, "");
        prop_assert_eq!(&again, &after);
        prop_assert!(none.erased.is_empty(), "{:?}", none.erased);
    }

    /// What holds nothing secret stays as it is.
    #[test]
    fn all_else_stays(object in anything()) {
        let before = review("widgets", "Widget", &object);
        let mut after = before.clone();
        let redacted = Rules::default().review(&mut after, "");
        if redacted.erased.is_empty() {
            prop_assert_eq!(after, before);
        }
    }
}
