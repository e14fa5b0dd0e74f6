//! Values that are made up.

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::Value;

/// So many of them.
pub fn many<S: Strategy>(strategy: &S, runner: &mut TestRunner, count: usize) -> Vec<S::Value> {
    (0..count).map(|_| strategy.new_tree(runner).expect("a value").current()).collect()
}

/// Two objects that have much in common, as JSON text.
pub fn two_objects() -> impl Strategy<Value = (String, String)> {
    (object(), object(), object()).prop_map(|(common, one, other)| {
        let with = |more: &Value| {
            let mut all = common.clone();
            if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
                all.extend(more.clone());
            }
            all.to_string()
        };
        (with(&one), with(&other))
    })
}

/// An object and a JSON Patch of it, which mostly applies.
pub fn object_and_patch() -> impl Strategy<Value = (String, String)> {
    // Half of them add something.
    let operation = (0..10_usize, path(), path(), value()).prop_map(|(kind, path, from, value)| match kind {
        1 => serde_json::json!({"op": "remove", "path": path}),
        2 => serde_json::json!({"op": "replace", "path": path, "value": value}),
        3 => serde_json::json!({"op": "move", "from": from, "path": path}),
        4 => serde_json::json!({"op": "copy", "from": from, "path": path}),
        5 => serde_json::json!({"op": "test", "path": path, "value": value}),
        _ => serde_json::json!({"op": "add", "path": path, "value": value}),
    });
    (object(), prop::collection::vec(operation, 1..3))
        .prop_map(|(object, operations)| (object.to_string(), Value::Array(operations).to_string()))
}

fn path() -> impl Strategy<Value = String> {
    let step = prop::sample::select(&["a", "b", "c", "0", "1", "-", "~0", "~1", "", "x y"][..]);
    let length = prop_oneof![4 => Just(1..2_usize), 1 => Just(2..4)];
    length
        .prop_flat_map(move |length| prop::collection::vec(step.clone(), length))
        .prop_map(|steps| steps.iter().map(|it| format!("/{it}")).collect())
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(key(), value(), 0..5)
        .prop_map(|it| it.into_iter().collect::<serde_json::Map<_, _>>().into())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(|it| serde_json::from_str(it).expect("JSON")),
        prop::sample::select(&["", "a", "é", "\u{1f600}", "<&>", "\"\\/", "\u{2028}"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|it| it.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "c", "0", "1", "-", "~", "/", "", "x y", "é"][..]).prop_map(str::to_owned)
}

/// As they are written.
fn number() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &["0", "1", "-1", "1.0", "1.5", "9007199254740993", "18446744073709551616", "1e3", "-0", "0.1", "1e400"][..],
    )
}

/// An expression of CEL, of any type, which mostly compiles.
pub fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => prop::sample::select(&[
            "0", "1", "-1", "9223372036854775807", "2u", "18446744073709551615u", "1.5", "-0.0", "1e300", "true", "false",
            "'a'", "'é'", "''", "b'a'", "null", "duration('1h')", "timestamp('2024-02-29T12:00:00Z')", "[]", "{}",
        ][..]).prop_map(str::to_owned),
        1 => prop::sample::select(&["object.metadata.name", "object.data", "request.userInfo.groups", "object"][..])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(&["+", "-", "*", "/", "%", "==", "!=", "<", "<=", "&&", "||", "in"][..])
            )
                .prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (two.clone(), inner.clone()).prop_map(|((a, b), c)| format!("({a} ? {b} : {c})")),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|it| format!("[{}]", it.join(", "))),
            two.clone().prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            two.clone().prop_map(|(a, b)| format!("{a}[{b}]")),
            (
                inner.clone(),
                prop::sample::select(&["!", "-", "size", "string", "int", "uint", "double", "type", "dyn", "bool"][..])
            )
                .prop_map(|(a, function)| format!("{function}({a})")),
            (two.clone(), prop::sample::select(&["all", "exists", "exists_one", "filter", "map"][..]))
                .prop_map(|((a, b), name)| format!("[{a}].{name}(x, x == {b})")),
            (two, prop::sample::select(&["contains", "startsWith", "endsWith", "matches", "indexOf", "split"][..]))
                .prop_map(|((a, b), name)| format!("string({a}).{name}(string({b}))")),
            (inner, prop::sample::select(&["lowerAscii()", "size()", "trim()", "reverse()"][..]))
                .prop_map(|(a, name)| format!("string({a}).{name}")),
        ]
    })
}
