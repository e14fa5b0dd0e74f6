//! Builtins called as a guest calls them; `tests/rego` compares them with OPA.

use std::time::SystemTime;

use super::{Builtin, Exhausted, Work};

fn call(name: &str, arguments: &[&str]) -> Option<String> {
    let arguments: Vec<&[u8]> = arguments.iter().map(|it| it.as_bytes()).collect();
    let answer = Builtin::find(name).unwrap().call(&arguments, &mut Work::new(SystemTime::UNIX_EPOCH)).unwrap();
    answer.map(|it| String::from_utf8(it).unwrap())
}

#[test]
fn values_come_and_go_in_regos_text() {
    for (value, printed) in [
        ("{\"b\": 1, \"a\": [1.0, null]}", "{\"a\": [1.0, null], \"b\": 1}"),
        ("{3, 1, {2}, set(), \"\\u0001\\u00e4\"}", "{1, 3, \"\\x01ä\", set(), {2}}"),
        ("{[1]: {}, null: \"\\ud83d\\ude00\"}", "{null: \"😀\", [1]: {}}"),
        ("[1e400, 1.0, 1, -0]", "[1e400, 1.0, 1, -0]"),
        ("{1, 1.0, 10e-1}", "{1}"),
    ] {
        let shown = call("sprintf", &["\"%v\"", &format!("[{value}]")]).unwrap();
        assert_eq!(shown, serde_json::to_string(printed).unwrap(), "{value}");
    }
}

#[test]
fn what_is_no_value_is_undefined() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for argument in ["", "[1", "[1,]", "{1: 2, 3}", "01", "1.", "\"\\x\"", "\"\\ud8", "[1] 2", "1e999999999999", &deep]
    {
        assert_eq!(call("sprintf", &["\"\"", argument]), None, "{argument:.20}");
    }
    let mut work = Work::new(SystemTime::UNIX_EPOCH);
    let sprintf = Builtin::find("sprintf").unwrap();
    assert_eq!(sprintf.call(&[b"\"\xff\"", b"[]"], &mut work), Ok(None));
    assert_eq!(sprintf.call(&[b"\"\""], &mut work), Ok(None));
}

#[test]
fn a_review_has_so_much_work_and_no_more() {
    let sprintf = Builtin::find("sprintf").unwrap();
    let mut work = Work::new(SystemTime::UNIX_EPOCH);
    let answered =
        (0..1000).take_while(|_| sprintf.call(&[b"\"%1000000d\"", b"[1]"], &mut work) != Err(Exhausted)).count();
    assert!((2..100).contains(&answered), "{answered}");
}
