//! Builtins called as a guest calls them; `tests/rego` compares them with OPA.

use std::{thread, time::SystemTime};

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
    let numbers = format!("[{}0]", "0, ".repeat(20_000));
    let strings = format!("[{}\"\"]", "\"a\", ".repeat(20_000));
    let long = |text: &str, count: usize| serde_json::to_string(&text.repeat(count)).unwrap();
    let copies = format!("[{}{{\"op\": \"test\", \"path\": \"/b\", \"value\": 1}}]", COPY.repeat(100));
    let bomb: String = (1..10).map(|at| format!("a{at}: &a{at} [{}]\n", format!("*a{}, ", at - 1).repeat(9))).collect();
    let bomb = serde_json::to_string(&format!("a0: &a0 x\n{bomb}")).unwrap();
    // Slow where somebody looks back along the line for each of its parts.
    let line = serde_json::to_string(&format!("[{}]", "a: b, ".repeat(10_000))).unwrap();
    for (name, arguments) in [
        ("sprintf", ["\"%1000000d\"", "[1]"].as_slice()),
        ("sprintf", &["\"%.1000000f\"", "[1.5]"]),
        ("sprintf", &["\"%[1]*[1]*[1]d%[1]*.[1]*[1]d\"", "[1000000]"]),
        ("sprintf", &[&long("%v", 20_000), &format!("[{numbers}]")]),
        ("sprintf", &["\"%x\"", &format!("[{}]", "9".repeat(100_000))]),
        ("net.cidr_expand", &["\"10.0.0.0/8\""]),
        ("net.cidr_expand", &["\"::/0\""]),
        ("net.cidr_contains_matches", &[&strings, &strings]),
        ("numbers.range_step", &["0", "1e18", "1"]),
        ("numbers.range_step", &["-1e30", "1e30", "1"]),
        ("object.subset", &[&numbers, &numbers.replacen("0]", "1]", 1)]),
        ("json.patch", &["{\"a\": [1, 2, 3]}", &copies]),
        ("strings.any_prefix_match", &[&strings.replace('a', "b"), &strings.replace("\"\"", "\"c\"")]),
        ("indexof_n", &[&long("a", 100_000), &long("a", 50_000)]),
        ("regex.find_n", &["\"((a{10}){10}){10}b\"", &long("a", 100_000), "-1"]),
        ("regex.find_n", &["\"\\\\pL{1000}\"", "\"a\"", "1"]),
        ("regex.replace", &[&long("a", 10_000), "\"a\"", &long("$0", 1000)]),
        ("yaml.unmarshal", &[&bomb]),
        ("yaml.unmarshal", &[&line]),
    ] {
        let arguments: Vec<&[u8]> = arguments.iter().map(|it| it.as_bytes()).collect();
        let builtin = Builtin::find(name).unwrap();
        let mut work = Work::new(SystemTime::UNIX_EPOCH);
        let answered = (0..1000).take_while(|_| builtin.call(&arguments, &mut work) != Err(Exhausted)).count();
        assert!(answered < 100, "{name}: {answered}");
    }
}

/// Builtins run on the stacks of guests.
#[test]
fn the_deepest_values_need_little_stack() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(126), close.repeat(126));
    let calls = move || {
        for value in [deep("[", "]"), deep("{", "}"), deep("{\"a\": ", "}")] {
            assert!(call("sprintf", &["\"%v\"", &format!("[{value}]")]).is_some());
            let yaml = call("yaml.marshal", &[&value]).unwrap();
            assert!(call("yaml.unmarshal", &[&yaml]).is_some());
            let patch = "[{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/b\"}]";
            assert!(call("json.patch", &[&format!("{{\"a\": {value}}}"), patch]).is_some());
            assert_eq!(call("object.subset", &[&format!("[{value}]"), &format!("[{value}]")]).unwrap(), "true");
        }
        // What they make of values that are let through is no deeper.
        let deepen: Vec<String> = (1..40)
            .map(|at| format!("{{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"{}\"}}", "/a".repeat(at * 100)))
            .collect();
        assert_eq!(call("json.patch", &[&deep("{\"a\": ", "}"), &format!("[{}]", deepen.join(", "))]), None);
        let wrapped: String = (1..600).map(|at| format!("a{at}: &a{at} [*a{}]\n", at - 1)).collect();
        assert_eq!(call("yaml.unmarshal", &[&serde_json::to_string(&format!("a0: &a0 x\n{wrapped}")).unwrap()]), None);
    };
    thread::Builder::new().stack_size(STACK).spawn(calls).unwrap().join().unwrap();
}

/// As `policies/MOVING.md` says.
#[test]
fn what_is_usual_fits_a_review() {
    assert!(call("net.cidr_expand", &["\"10.0.0.0/16\""]).is_some());
    let yaml = serde_json::to_string(&"key: value\n".repeat(18_000)).unwrap();
    assert!(call("yaml.is_valid", &[&yaml]).is_some());
    let object = format!(
        "[{}0]",
        "{\"name\": \"some-container\", \"image\": \"registry.example.org/a/b:1.2.3\"}, ".repeat(3_000)
    );
    assert!(call("sprintf", &["\"%v\"", &format!("[{object}]")]).is_some());
    let mut work = Work::new(SystemTime::UNIX_EPOCH);
    let find = Builtin::find("regex.find_n").unwrap();
    for at in 0..500 {
        let image = format!("\"registry.example.org/team/image:v1.2.{at}\"");
        let pattern = b"\"^([a-z.]+/)*[a-z]+:v?[0-9]+[.][0-9]+[.][0-9]+$\"";
        assert_eq!(
            find.call(&[pattern, image.as_bytes(), b"1"], &mut work),
            Ok(Some(format!("[{image}]").into_bytes()))
        );
    }
}

#[test]
fn what_the_host_refuses_is_not_there() {
    for name in
        ["http.send", "opa.runtime", "net.lookup_ip_addr", "rand.intn", "external_data", "io.jwt.decode", "", "count"]
    {
        assert!(Builtin::find(name).is_none(), "{name}");
    }
}

const COPY: &str =
    "{\"op\": \"copy\", \"from\": \"\", \"path\": \"/b\"}, {\"op\": \"copy\", \"from\": \"\", \"path\": \"/c\"}, ";
/// Guests have 2 MiB, of which their own code may take 512 KiB.
const STACK: usize = 1 << 20;
