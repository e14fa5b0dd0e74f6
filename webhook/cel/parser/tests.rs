//! What parses, what does not, and where it says so.

use super::*;

fn literal(text: &str) -> Value {
    match parse(text).map(|node| node.syntax) {
        Ok(Syntax::Literal(value)) => value,
        _ => panic!("{text} is no literal"),
    }
}

#[test]
fn literals() {
    for (text, value) in [
        (r"'\101\x41\u0041\U00000041'", "AAAA"),
        (r"'\377'", "ÿ"),
        (r#""\a\b\f\n\r\t\v\\\'\"\`\?""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\'\"`?"),
        (r"r'\n'", "\\n"),
        (r#"R"\""#, "\\"),
        ("'''a\n'b''c'''", "a\n'b''c"),
        ("\"\"\"a\r\nb\rc\"\"\"", "a\nb\nc"),
        ("'' // behind", ""),
    ] {
        assert!(matches!(literal(text), Value::String(found) if *found == *value), "{text}");
    }
    assert!(matches!(literal(r"b'\377\xff\101é'"), Value::Bytes(found) if *found == *b"\xff\xffA\xc3\xa9"));
    assert!(matches!(literal(r"bR'\x'"), Value::Bytes(found) if *found == *b"\\x"));
    assert!(matches!(literal("-9223372036854775808"), Value::Int(i64::MIN)));
    assert!(matches!(literal("- 0x8000000000000000"), Value::Int(i64::MIN)));
    assert!(matches!(literal("0xFFu"), Value::Uint(255)));
    assert!(matches!(literal(".5e1"), Value::Double(5.0)));
    assert!(matches!(literal("--1"), Value::Int(1)));
    assert!(matches!(literal("!!true"), Value::Bool(true)));
}

#[test]
fn what_is_refused_and_where() {
    for (text, at) in [
        ("", 0),
        ("1 +", 3),
        ("(1", 2),
        ("a b", 2),
        ("9223372036854775808", 0),
        ("1u8", 2),
        ("a.5", 1),
        ("'a", 0),
        ("'a\nb'", 0),
        (r"'\z'", 0),
        (r"'\400'", 0),
        (r"'\ud800'", 0),
        (r"b'\u0041'", 0),
        ("rb'a'", 2),
        ("a.in", 2),
        ("for == 1", 0),
        ("f(1,)", 4),
        ("true ? true ? 1 : 2 : 3", 12),
        ("-!a", 1),
        ("a.`b`", 2),
        ("A{b: 1}", 1),
        ("a = b", 2),
        ("#", 0),
    ] {
        match parse(text) {
            Err(mistake) => assert_eq!(mistake.at, at, "{text}: {}", mistake.words),
            Ok(_) => panic!("{text} parses"),
        }
    }
}

#[test]
fn commas_and_reserved_names() {
    for text in
        ["[1,]", "[,]", "{,}", "{1: 2,}", "a.for.if", "a.?b[?1]", "{?'a': b, 'c': 1}", "[?a]", ".a.b()", "a/* 1"]
    {
        assert_eq!(parse(text).is_ok(), !text.contains("/*"), "{text}");
    }
}

#[test]
fn as_deep_as_kubernetes_and_no_deeper() {
    let parses = |text: String| {
        std::thread::Builder::new().stack_size(64 << 20).spawn(move || parse(&text).is_ok()).unwrap().join().unwrap()
    };
    assert!(parses(format!("{}1{}", "(".repeat(249), ")".repeat(249))));
    assert!(!parses(format!("{}1{}", "(".repeat(250), ")".repeat(250))));
    assert!(parses("1".to_owned() + &" + 1".repeat(250)));
    assert!(!parses("1".to_owned() + &" + 1".repeat(251)));
    assert!(parses("a".to_owned() + &".b".repeat(250)));
    assert!(!parses("a".to_owned() + &".b".repeat(251)));
    // Chains of these are as long as the text may be.
    assert!(parses("a".to_owned() + &" || a".repeat(10_000)));
}
