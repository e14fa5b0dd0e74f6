mod bounds;

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

const OBJECT: &str =
    r#"{"data":{"a":"1"},"list":[1,2,3],"big":12345678901234567890123,"one":1.0,"exp":1e3,"id":9007199254740993}"#;

fn work() -> Work {
    Work::until(Instant::now() + Duration::from_secs(3600))
}

/// Whatever is applied gives the patch at once that it gives when both objects are read again.
fn apply(object: &str, change: &Change) -> Result<Option<String>, PatchError> {
    let applied = super::apply(object, change, &mut work());
    if let Ok(both) = super::apply_and_patch(object, change, &mut work()) {
        let (new, patch) = both.unzip();
        assert_eq!(applied, Ok(new.clone()));
        assert_eq!(patch.flatten(), new.and_then(|new| between(object, &new).unwrap()));
    }
    applied
}

fn between(old: &str, new: &str) -> Result<Option<String>, PatchError> {
    super::between(old, new, &mut work())
}

/// Equal but for the spelling of numbers.
fn equal(old: &str, new: &str) -> bool {
    numbers::equal(
        &node::read(old, PatchText::Object).unwrap(),
        &node::read(new, PatchText::Changed).unwrap(),
        &mut work(),
    )
    .unwrap()
}

fn json_patch(text: &str) -> Result<Option<String>, PatchError> {
    apply(OBJECT, &Change::JsonPatch(text.to_owned()))
}

fn refused(text: &str) -> String {
    json_patch(text).unwrap_err().to_string()
}

fn full(old: &str, new: &str) -> Option<String> {
    apply(old, &Change::Full(new.to_owned())).unwrap()
}

fn read(text: &str) -> Value {
    parse(text, PatchText::Object).unwrap()
}

#[test]
fn respelt_numbers_are_not_changes() {
    let respelt =
        r#"{"data":{"a":"1"},"list":[1.0,2,3],"big":1.2345678901234568e22,"one":1,"exp":1000.0,"id":9007199254740993}"#;
    assert_eq!(full(OBJECT, respelt), None);
    assert_eq!(between(OBJECT, respelt).unwrap(), None);
    let new = full(OBJECT, &respelt.replace("\"1\"", "\"2\"")).unwrap();
    assert_eq!(between(OBJECT, &new).unwrap().unwrap(), r#"[{"op":"replace","path":"/data/a","value":"2"}]"#);
}

#[test]
fn respelt_numbers_are_found_again_where_items_come_and_go() {
    let old = r#"{"l":[{"n":"x","v":1e3},{"n":"y","v":12345678901234567890123},{"n":"z","v":1.50}]}"#;
    let shorter = r#"{"l":[{"n":"y","v":1.2345678901234568e+22},{"n":"z","v":1.5}]}"#;
    assert_eq!(full(old, shorter).unwrap(), r#"{"l":[{"n":"y","v":12345678901234567890123},{"n":"z","v":1.50}]}"#);
    assert_eq!(between(old, shorter).unwrap().unwrap(), r#"[{"op":"remove","path":"/l/0"}]"#);
    let longer = r#"{"l":[7,{"n":"x","v":1000},{"n":"y","v":12345678901234567741440},{"n":"z","v":1.5}]}"#;
    assert_eq!(between(old, longer).unwrap().unwrap(), r#"[{"op":"add","path":"/l/0","value":7}]"#);
}

#[test]
fn real_changes_of_numbers_are_kept() {
    for (old, new) in [
        ("9007199254740993", "9007199254740992"),
        ("18446744073709551615", "18446744073709551614"),
        ("12345678901234567890123", "12345678901234567890124"),
        ("1e+400", "1e+500"),
        ("1", "2.0"),
        ("0.1", "0.10000000000000002"),
        ("1", "\"1\""),
    ] {
        let object = |number| format!(r#"{{"n":{number}}}"#);
        assert_eq!(full(&object(old), &object(new)).unwrap(), object(new));
        let patch = format!(r#"[{{"op":"replace","path":"/n","value":{new}}}]"#);
        assert_eq!(between(&object(old), &object(new)).unwrap().unwrap(), patch);
        assert_eq!(apply(&object(old), &Change::JsonPatch(patch)).unwrap().unwrap(), object(new));
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let spelt = r#"{"a":[1e+5,-0,1e+400,-7,18446744073709551616,1.10,0.0,123456789012345678901234567890.5e-10]}"#;
    assert_eq!(read(spelt).to_string(), spelt);
    let mut written = String::new();
    node::read(spelt, PatchText::Object).unwrap().write(&mut written);
    assert_eq!(written, spelt);
    for integer in ["0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808"] {
        assert_eq!(full("{}", &format!("{{\"n\":{integer}}}")).unwrap(), format!("{{\"n\":{integer}}}"));
    }
}

#[test]
fn each_kind_of_change_applies() {
    let added = json_patch(r#"[{"op":"add","path":"/data/b~1c~0d","value":"x"}]"#).unwrap().unwrap();
    assert!(added.contains(r#""b/c~d":"x""#));
    let merge = r#"{"data":null,"new":{"x":1,"y":null}}"#;
    let merged = apply(OBJECT, &Change::MergePatch(merge.into())).unwrap().unwrap();
    assert!(!merged.contains("data") && merged.contains(r#""new":{"x":1}"#));
    let all = r#"[{"op":"test","path":"/one","value":1},{"op":"copy","from":"/data","path":"/copy"},
        {"op":"move","from":"/data/a","path":"/a"},{"op":"add","path":"/list/-","value":4},
        {"op":"replace","path":"/list/0","value":null},{"op":"remove","path":"/list/1"}]"#;
    let mut expected = read(OBJECT);
    expected["data"] = json!({});
    expected["copy"] = json!({"a": "1"});
    expected["a"] = json!("1");
    expected["list"] = json!([null, 3, 4]);
    assert_eq!(read(&json_patch(all).unwrap().unwrap()), expected);
    for nothing in ["[]", r#"[{"op":"replace","path":"/one","value":1}]"#] {
        assert_eq!(json_patch(nothing).unwrap(), None);
    }
}

#[test]
fn what_does_not_apply_is_told() {
    let not = "the JSON Patch is not an RFC 6902 patch: ";
    let stuck = "operation 0 of the JSON Patch does not apply at ";
    for (patch, words) in [
        ("nonsense", "the JSON Patch cannot be read: expected ident at line 1 column 2".to_owned()),
        ("{}", format!("{not}it is not an array")),
        ("[1]", format!("{not}operation 0 is not an object")),
        ("[{}]", format!("{not}operation 0 has no op")),
        (r#"[{"op":"destroy","path":"/a"}]"#, format!("{not}operation 0 has an unknown op")),
        (r#"[{"op":"remove"}]"#, format!("{not}operation 0 has no valid path")),
        (r#"[{"op":"remove","path":"a"}]"#, format!("{not}operation 0 has no valid path")),
        (r#"[{"op":"move","path":"/a","from":"~"}]"#, format!("{not}operation 0 has no valid from")),
        (r#"[{"op":"add","path":"/a"}]"#, format!("{not}operation 0 has no value")),
        (r#"[{"op":"remove","path":"/missing"}]"#, format!("{stuck}\"/missing\": the path does not exist")),
        (r#"[{"op":"remove","path":""}]"#, format!("{stuck}\"\": the path does not exist")),
        (r#"[{"op":"replace","path":"/x","value":1}]"#, format!("{stuck}\"/x\": the path does not exist")),
        (r#"[{"op":"add","path":"/x/y","value":1}]"#, format!("{stuck}\"/x/y\": the path does not exist")),
        (r#"[{"op":"add","path":"/list/4","value":1}]"#, format!("{stuck}\"/list/4\": the path does not exist")),
        (r#"[{"op":"add","path":"/list/01","value":1}]"#, format!("{stuck}\"/list/01\": the path does not exist")),
        (r#"[{"op":"remove","path":"/list/-"}]"#, format!("{stuck}\"/list/-\": the path does not exist")),
        (r#"[{"op":"copy","from":"/x","path":"/y"}]"#, format!("{stuck}\"/y\": there is nothing at its from")),
        (
            r#"[{"op":"move","from":"/data","path":"/data/b"}]"#,
            format!("{stuck}\"/data/b\": a value cannot move into itself"),
        ),
        (r#"[{"op":"test","path":"/data/a","value":"2"}]"#, format!("{stuck}\"/data/a\": the test failed")),
        (r#"[{"op":"replace","path":"","value":[]}]"#, "the JSON Patch leaves no JSON object".to_owned()),
    ] {
        assert_eq!(refused(patch), words);
    }
    let merge = apply(OBJECT, &Change::MergePatch("[]".into())).unwrap_err().to_string();
    assert_eq!(merge, "the JSON Merge Patch leaves no JSON object");
    let full = apply(OBJECT, &Change::Full("null".into())).unwrap_err().to_string();
    assert_eq!(full, "the full object leaves no JSON object");
    assert!(between("[]", "{}").is_err() && between("{}", "1").is_err());
    let long = refused(&format!(r#"[{{"op":"remove","path":"/{}"}}]"#, "x".repeat(1 << 20)));
    assert!(long.len() < 300, "{long}");
}

#[test]
fn the_keys_of_serde_json_are_keys_like_others() {
    for object in [
        r#"{"$serde_json::private::Number":"1"}"#,
        r#"{"$serde_json::private::Number":{"x":[true,null,"1",2,-3,0.5]}}"#,
        r#"{"a":{"$serde_json::private::RawValue":"[[1]]"}}"#,
        r#"{"a":{"$serde_json::private::Number":"1","b":2}}"#,
    ] {
        assert_eq!(read(object).to_string(), object);
        assert_eq!(full("{}", object).unwrap(), object);
    }
    assert_eq!(read(r#"{"\u0024serde_json::private::Number":"1"}"#), json!({"$serde_json::private::Number": "1"}));
}

#[test]
fn a_difference_names_what_changed_and_nothing_else() {
    for (old, new, patch) in [
        (r#"{"a/b":{"c~d":1}}"#, r#"{"a/b":{"c~d":2}}"#, json!([{"op": "replace", "path": "/a~1b/c~0d", "value": 2}])),
        (r#"{"":{"\"":1}}"#, r#"{"":{}}"#, json!([{"op": "remove", "path": "//\""}])),
        (r#"{"a":{}}"#, r#"{"a":null}"#, json!([{"op": "replace", "path": "/a", "value": null}])),
        (r#"{}"#, r#"{"n":null}"#, json!([{"op": "add", "path": "/n", "value": null}])),
        (
            r#"{"l":[1,2,3,4]}"#,
            r#"{"l":[1,4]}"#,
            json!([{"op": "remove", "path": "/l/2"}, {"op": "remove", "path": "/l/1"}]),
        ),
        (
            r#"{"l":[1,4]}"#,
            r#"{"l":[1,2,3,4]}"#,
            json!([{"op": "add", "path": "/l/1", "value": 2}, {"op": "add", "path": "/l/2", "value": 3}]),
        ),
        (r#"{"l":[1,1]}"#, r#"{"l":[1,1,1]}"#, json!([{"op": "add", "path": "/l/2", "value": 1}])),
        (
            r#"{"l":[{"x":1,"y":2}]}"#,
            r#"{"l":[{"x":1,"y":3},4]}"#,
            json!([{"op": "replace", "path": "/l/0/y", "value": 3}, {"op": "add", "path": "/l/1", "value": 4}]),
        ),
    ] {
        assert_eq!(read(&between(old, new).unwrap().unwrap()), patch);
    }
}

#[test]
fn a_difference_applied_gives_the_new_object() {
    let mut seed = 1;
    let mut changed = 0;
    for _ in 0..3000 {
        let (old, new) = (object(&mut seed, 3), object(&mut seed, 3));
        let Some(patch) = between(&old, &new).unwrap() else {
            assert!(equal(&old, &new));
            continue;
        };
        changed += 1;
        // json-patch's own application is the witness, not ours.
        let mut applied = read(&old);
        json_patch::patch(&mut applied, &serde_json::from_str::<json_patch::Patch>(&patch).unwrap()).unwrap();
        assert!(equal(&applied.to_string(), &new), "{old} {new} {patch}");
        let ours = apply(&old, &Change::JsonPatch(patch)).unwrap().unwrap();
        assert_eq!(read(&ours), applied);
        assert_eq!(between(&ours, &new).unwrap(), None);
    }
    assert!(changed > 2000);
}

#[test]
fn patches_do_what_they_do_elsewhere() {
    let mut seed = 7;
    let (mut applied, mut refused) = (0, 0);
    const TOKENS: [&str; 10] = ["/a", "/b~1c", "/d~0e", "/~01", "/0", "/1", "/2", "/-", "/", ""];
    let path =
        |seed: &mut u64| -> String { (0..1 + next(seed) % 2).map(|_| TOKENS[(next(seed) % 10) as usize]).collect() };
    for _ in 0..5000 {
        let old = object(&mut seed, 2);
        let operation = |seed: &mut u64| match next(seed) % 5 {
            0 => json!({"op": "remove", "path": path(seed)}),
            1 => json!({"op": "copy", "from": path(seed), "path": path(seed)}),
            // json-patch does not move the whole object to where it is.
            2 => json!({"op": "move", "from": format!("/a{}", path(seed)), "path": path(seed)}),
            3 => json!({"op": "replace", "path": path(seed), "value": read(&value(seed, 1))}),
            _ => json!({"op": "add", "path": path(seed), "value": read(&value(seed, 1))}),
        };
        let patch: Vec<Value> = (0..1 + next(&mut seed) % 3).map(|_| operation(&mut seed)).collect();
        let patch = json!(patch).to_string();
        // json-patch is the witness.
        let mut theirs = read(&old);
        let theirs = json_patch::patch_unsafe(&mut theirs, &serde_json::from_str::<json_patch::Patch>(&patch).unwrap())
            .map(|()| theirs)
            .ok()
            .filter(Value::is_object);
        let ours = apply(&old, &Change::JsonPatch(patch.clone())).ok().map(|it| it.unwrap_or_else(|| old.clone()));
        match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                assert!(equal(ours, &theirs.to_string()), "{old} {patch}: {ours}, not {theirs}");
                applied += 1;
            }
            (None, None) => refused += 1,
            _ => panic!("{old} {patch}: {ours:?}, not {theirs:?}"),
        }

        let merged = object(&mut seed, 2);
        let mut theirs = read(&old);
        json_patch::merge(&mut theirs, &read(&merged));
        let ours = apply(&old, &Change::MergePatch(merged.clone())).unwrap().unwrap_or_else(|| old.clone());
        assert!(equal(&ours, &theirs.to_string()), "{old} {merged}: {ours}, not {theirs}");
    }
    assert!(applied > 300 && refused > 500, "{applied} {refused}");
}

fn object(seed: &mut u64, depth: u64) -> String {
    let mut fields = Vec::new();
    for key in ["a", "b/c", "d~e", "~1", "ü\\n", ""] {
        if !next(seed).is_multiple_of(2) {
            fields.push(format!("\"{key}\":{}", value(seed, depth)));
        }
    }
    format!("{{{}}}", fields.join(","))
}

fn value(seed: &mut u64, depth: u64) -> String {
    match next(seed) % if depth == 0 { 4 } else { 7 } {
        0 => "null".to_owned(),
        1 => ["1", "1.0", "1e0", "2", "12345678901234567890123", "1.2345678901234568e22"][(next(seed) % 6) as usize]
            .to_owned(),
        2 => format!("\"{}\"", next(seed) % 3),
        3 => "true".to_owned(),
        4 => object(seed, depth - 1),
        _ => {
            let items: Vec<String> = (0..next(seed) % 6).map(|_| value(seed, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
    }
}

/// Always the same numbers, so that a failure can be seen again.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}
