//! What patches may take: size, depth, values, work and time.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::review::patch;

#[test]
fn a_patch_cannot_grow_an_object_by_copying() {
    let copies: Vec<_> =
        (0..60).map(|it| json!({"op": "copy", "from": "/data", "path": format!("/data/c{it}")})).collect();
    let words = refused(&json!(copies).to_string());
    assert!(words.contains("larger than") || words.contains("copies more") || words.contains("deeper than"), "{words}");
    // Small in text, but not in memory.
    let dense = format!("{{\"a\":[{}0]}}", "0,".repeat(100_000));
    let copies: Vec<_> = (0..20).map(|it| json!({"op": "copy", "from": "/a", "path": format!("/c{it}")})).collect();
    let words = apply(&dense, &Change::JsonPatch(json!(copies).to_string())).unwrap_err();
    assert_eq!(words, PatchError::TooLarge(TooLarge::Copies));
    let object = json!({"text": "x".repeat(1 << 20)}).to_string();
    let copies: Vec<_> = (0..40).map(|it| json!({"op": "copy", "from": "/text", "path": format!("/c{it}")})).collect();
    let words = apply(&object, &Change::JsonPatch(json!(copies).to_string())).unwrap_err().to_string();
    assert_eq!(words, "the changed object is larger than 33554432 bytes");
    let many = format!("[{}]", vec![r#"{"op":"test","path":"/one","value":1}"#; MAX_OPERATIONS + 1].join(","));
    assert_eq!(refused(&many), "the JSON Patch has more than 10000 operations");
}

#[test]
fn a_patch_cannot_nest_deeper_than_a_reader_takes() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let fits = json_patch(&format!(r#"[{{"op":"add","path":"/data/d","value":{}}}]"#, nest(MAX_DEPTH - 2)));
    assert!(between(OBJECT, &fits.unwrap().unwrap()).unwrap().is_some());
    let object = format!(r#"{{"a":{},"b":{}}}"#, nest(80), nest(80));
    let bottom = "/0".repeat(79);
    for operation in ["move", "copy"] {
        let patch = json!([{"op": operation, "from": "/a", "path": format!("/b{bottom}/0")}]).to_string();
        let words = apply(&object, &Change::JsonPatch(patch)).unwrap_err().to_string();
        assert_eq!(words, "the changed object nests deeper than 127 levels");
    }
    let deep = format!(r#"{{"a":{}}}"#, nest(100_000));
    for change in [Change::Full(deep.clone()), Change::MergePatch(deep.clone()), Change::JsonPatch(deep.clone())] {
        let error = apply(OBJECT, &change).unwrap_err();
        assert!(matches!(&error, PatchError::TooLarge(TooLarge::Depth(_))), "{error}");
    }
    assert!(apply(&deep, &Change::MergePatch("{}".into())).is_err());
    assert!(between(&deep, "{}").is_err());
}

#[test]
fn a_document_of_too_many_values_is_refused() {
    let zeros = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(2_000_000));
    let words = apply("{}", &Change::Full(zeros)).unwrap_err().to_string();
    assert_eq!(words, "the full object has more than 2000000 values");
    // As maps they take ten times as much memory.
    let objects = format!(r#"{{"a":[{}0]}}"#, "{},".repeat(400_000));
    assert_eq!(parse(&objects, PatchText::Object).unwrap_err().to_string(), "the object has too many values");
    let huge = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_OBJECT));
    let words = apply("{}", &Change::Full(huge)).unwrap_err().to_string();
    assert_eq!(words, "the full object is larger than 33554432 bytes");
}

#[test]
fn long_arrays_do_not_make_a_patch_slow() {
    let object = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(300_000));
    let patch = format!("[{}]", vec![r#"{"op":"remove","path":"/a/0"}"#; MAX_OPERATIONS].join(","));
    let words = apply(&object, &Change::JsonPatch(patch)).unwrap_err().to_string();
    assert_eq!(words, "the JSON Patch changes long arrays too often");
}

#[test]
fn the_difference_is_no_larger_than_what_differs() {
    let key = "k".repeat(100_000);
    let object = |item: &str| format!(r#"{{"{key}":{{"l":[{}]}},"same":1}}"#, vec![item; 10_000].join(","));
    let (old, new) = (object(r#"{"v":1,"w":[1,2]}"#), object(r#"{"v":2,"w":[1,3]}"#));
    let patch = between(&old, &new).unwrap().unwrap();
    assert!(patch.len() < new.len() + 10_000, "{}", patch.len());
    assert_eq!(read(&apply(&old, &Change::JsonPatch(patch)).unwrap().unwrap()), read(&new));
}

/// `size` values below `depth` levels of one shape, as they were and as they became.
type Shape = fn(&str, bool) -> String;

/// How much work it is to change an object like this, and to write the difference.
fn work_at(depth: usize, size: usize, level: Shape) -> u64 {
    let inner = |is_new: bool| {
        let last = if is_new { "\"new\"" } else { "\"old\"" };
        format!("[{}{last}]", "1,".repeat(size))
    };
    let nested = |is_new: bool| {
        let inside = (0..depth).fold(inner(is_new), |inside, _| level(&inside, is_new));
        format!("{{\"a\":{inside}}}")
    };
    let (old, new) = (nested(false), nested(true));
    let mut work = work();
    let changed = patch::apply(&old, &Change::Full(new.clone()), &mut work).unwrap().unwrap();
    let patch = patch::between(&old, &changed, &mut work).unwrap().unwrap();
    let mut witness = read(&old);
    json_patch::patch(&mut witness, &serde_json::from_str::<json_patch::Patch>(&patch).unwrap()).unwrap();
    assert_eq!(witness, read(&new));
    work.done()
}

#[test]
fn work_grows_with_the_size_and_not_with_the_depth() {
    fn some(is_new: bool) -> String {
        let value = if is_new { 2 } else { 3 };
        (0..40).map(|it| format!("\"k{it}\":{value},")).collect()
    }
    let shapes: [(&str, Shape); 6] = [
        ("objects", |inside, _| format!("{{\"a\":{inside}}}")),
        ("arrays", |inside, _| format!("[{inside}]")),
        (
            "arrays that become longer",
            |inside, is_new| if is_new { format!("[{inside},0]") } else { format!("[{inside}]") },
        ),
        (
            "arrays that become shorter",
            |inside, is_new| if is_new { format!("[{inside}]") } else { format!("[{inside},0]") },
        ),
        ("longer at the front", |inside, is_new| if is_new { format!("[0,{inside}]") } else { format!("[{inside}]") }),
        // Each level costs more as changes than as a whole.
        ("objects that change", |inside, is_new| format!("{{{}\"z\":{inside}}}", some(is_new))),
    ];
    for (name, level) in shapes {
        let (flat, deep) = (work_at(10, 20_000, level), work_at(100, 20_000, level));
        // What the levels themselves hold, and no more.
        assert!(deep < flat + flat / 5 + 100_000, "{name}: {flat} at depth 10, {deep} at depth 100");
        let twice = work_at(100, 40_000, level);
        assert!(twice < 2 * deep + deep / 5, "{name}: {deep} for one size, {twice} for twice of it");
    }
}

#[test]
fn a_change_ends_at_its_deadline() {
    let old = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(10_000));
    let new = old.replacen("0,", "1,", 1);
    for change in [
        Change::Full(new.clone()),
        Change::MergePatch(new.clone()),
        Change::JsonPatch(json!([{"op": "copy", "from": "/a", "path": "/b"}]).to_string()),
    ] {
        let late = patch::apply(&old, &change, &mut Work::until(Instant::now()));
        assert_eq!(late, Err(PatchError::OutOfTime));
    }
    assert_eq!(patch::between(&old, &new, &mut Work::until(Instant::now())), Err(PatchError::OutOfTime));
}
