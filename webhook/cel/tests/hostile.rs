//! Expressions and reviews that are made to hurt: nothing panics, overflows the stack, or takes long.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{
    super::{Budget, Condition, Subject, Unevaluated, Variables, budget::SMALL, large::Room, parser},
    eval, refuse,
};

/// As tokio's workers have.
const STACK: usize = 2 * 1024 * 1024;
/// Generous: debug builds on a busy machine. A release build takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

#[test]
fn expressions() {
    on_small_stack(|| {
        let many = 100_000;
        let fits = parser::MAX_SIZE - 100;
        let deep = parser::MAX_DEPTH - 2;
        let expressions = [
            "(".repeat(many),
            "[".repeat(many),
            "{".repeat(many),
            format!("{}true{}", "(".repeat(fits / 2), ")".repeat(fits / 2)),
            format!("{}1{} == 1", "[".repeat(deep), "]".repeat(deep)),
            format!("{}true{}", "(".repeat(deep), ")".repeat(deep)),
            format!("{}true{} == true", "{1:".repeat(deep), "}".repeat(deep)),
            "!".repeat(fits) + "true",
            "-".repeat(fits) + "1 == 1",
            "! ".repeat(fits / 2) + "true",
            "1 + ".repeat(fits / 4) + "1 == 1",
            "1 - -".repeat(fits / 5) + "1 == 1",
            "1 == ".repeat(fits / 5) + "1",
            "true || ".repeat(fits / 8) + "true",
            "true ? true : ".repeat(fits / 14) + "true",
            "true ? ".repeat(fits / 7) + "true" + &" : true".repeat(fits / 7),
            format!("object{} == 1", ".a".repeat(fits / 2)),
            format!("object{} == 1", "[0]".repeat(fits / 3)),
            format!("object{}", ".size()".repeat(fits / 7)),
            format!("object{}", ".?a".repeat(fits / 3)),
            "object.all(x, ".repeat(deep) + "true" + &")".repeat(deep),
            "size(".repeat(deep) + "object" + &")".repeat(deep) + " == 1",
            format!("'{}' == ''", "a".repeat(64 * 1024)),
            format!("'{}' == ''", "a".repeat(fits)),
            format!("'{}", "a".repeat(fits)),
            "'\\".repeat(fits / 2),
            "a ".repeat(fits / 2),
            "# $ ; \u{0} \u{7f}".repeat(fits / 12),
            "é".repeat(fits / 2),
            "1r'\\'".to_owned() + &"(".repeat(fits),
            "\"\"\"".repeat(fits / 3),
            "?:".repeat(fits / 2),
            ")".repeat(fits),
            "true".to_owned() + &" }".repeat(fits / 2),
            ",".repeat(fits),
        ];
        let variables = Variables::new(json!({})).with_object(Some(json!({"a": [1]})));
        for expression in expressions {
            let head: String = expression.chars().take(40).collect();
            let start = Instant::now();
            if let Ok(condition) = Condition::compile("hostile", &expression, Subject::Admission) {
                let _ = eval(&condition, &variables);
            }
            assert!(start.elapsed() < PATIENCE, "{head}: {:?}", start.elapsed());
        }
    });
}

#[test]
fn too_long_or_too_deep_is_said() {
    refuse(
        Subject::Admission,
        &[
            (&"(".repeat(10_000), "nests deeper than 250"),
            (&" ".repeat(200_000), "characters"),
            (&("1 + ".repeat(1_000) + "1 == 1"), "nests deeper than 250 levels"),
        ],
    );
}

#[test]
fn loops_over_large_reviews_run_out_of_budget() {
    on_small_stack(|| {
        let numbers: Vec<u32> = (0..100_000).collect();
        let words = vec!["x".repeat(100); 1_000];
        let variables = Variables::new(json!({}))
            .with_object(Some(json!({"n": numbers, "w": words, "s": "a".repeat(1024 * 1024)})));
        for expression in [
            "object.n.all(x, object.n.all(y, object.n.all(z, x + y + z >= 0)))",
            "object.n.map(x, object.n.map(y, object.n)).size() == 1",
            "object.w.map(x, object.w.map(y, x + y)).size() == 1",
            "object.n.all(x, object == object)",
            "object.n.all(x, object.n == object.n)",
            "object.n.all(x, -1 in object.n || true)",
            "object.n.all(x, object.s.contains('b') || true)",
            "object.n.all(x, object.s.replace('a', object.s) == '')",
            "object.s.replace('', object.s) == ''",
            "object.n.all(x, object.s.upperAscii() != '')",
            "object.n.all(x, object.s.split('').size() > 0)",
            "object.n.all(x, object.n.reverse().size() > 0)",
            "object.n.all(x, object.n.sort().size() > 0)",
            "object.n.distinct().size() > 0 || true",
            "sets.equivalent(object.n, object.n.map(x, x)) || true",
            "object.n.all(x, !object.s.matches('^(a|aa)+$b'))",
            "object.n.all(x, !object.s.matches(string(x)))",
            "object.s.findAll('a*?b|a').size() > 0 || true",
            "object.n.all(x, size(object.s) > 0)",
            "object.n.all(x, '%s'.format([object.n]) != '')",
            "lists.range(9223372036854775807).size() > 0",
            "lists.range(object.n.size() * 1000).size() > 0",
            "object.w.join(object.s) == ''",
        ] {
            let condition = Condition::compile("hostile", expression, Subject::Admission).expect(expression);
            let start = Instant::now();
            let result = condition.eval(&variables, &mut Budget::new(start + Duration::from_millis(200)));
            assert!(matches!(result, Err(Unevaluated::Limit(_) | Unevaluated::Deadline)), "{expression}: {result:?}");
            assert!(start.elapsed() < PATIENCE, "{expression}: {:?}", start.elapsed());
        }
    });
}

/// However many threads evaluate, one expression of a kind builds much.
#[test]
fn what_builds_much_runs_one_at_a_time_and_no_login_waits_for_it() {
    let large = json!("x".repeat(SMALL));
    let admission = Variables::new(json!({})).with_object(Some(json!({"s": large})));
    let access = Variables::new(json!({"user": large}));
    let soon = || Budget::new(Instant::now() + Duration::from_millis(50));
    let runs = |expression: &str, subject: Subject, variables: &Variables| {
        Condition::compile("large", expression, subject).unwrap().eval(variables, &mut soon())
    };
    let twice = "(object.s + object.s).size() > 0";
    let other = Room::of(Subject::Admission).enter(Instant::now() + PATIENCE);
    assert!(other.is_some());
    assert_eq!(runs(twice, Subject::Admission, &admission), Err(Unevaluated::Deadline));
    assert_eq!(runs("object.s.substring(10).size() > 0", Subject::Admission, &admission), Ok(true));
    assert_eq!(runs("(request.user + request.user).size() > 0", Subject::SubjectAccessReview, &access), Ok(true));
    drop(other);
    // Other tests may have it now, for a moment.
    let condition = Condition::compile("large", twice, Subject::Admission).unwrap();
    let mut budget = Budget::new(Instant::now() + PATIENCE);
    assert_eq!(condition.eval(&admission, &mut budget), Ok(true));
    assert_eq!(condition.eval(&admission, &mut budget), Ok(true));
    drop(Room::of(Subject::Admission).enter(Instant::now() + PATIENCE).unwrap());
}

/// The standard library's sort may panic without a total order.
#[test]
fn sorting_what_has_no_order_does_not_panic() {
    let numbers: Vec<f64> = (0..1_000).map(|at| f64::from(at * 7_919 % 1_000) + 0.5).collect();
    let variables = Variables::new(json!({})).with_object(Some(json!({"n": numbers, "w": ["a", 1, null]})));
    let run = |expression: &str| eval(&Condition::compile("sort", expression, Subject::Admission).unwrap(), &variables);
    assert_eq!(run("object.n.map(x, int(x) % 3 == 0 ? 0.0 / 0.0 : x).sort().size() == 1000"), Ok(true));
    assert_eq!(run("object.n.sortBy(x, -x)[0] == 999.5"), Ok(true));
    assert!(run("object.w.sort().size() == 3").unwrap_err().contains("different types"));
    assert!(run("object.n.sortBy(x, dyn([x])).size() == 3").unwrap_err().contains("no such overload"));
}

#[test]
fn deep_reviews_convert_and_compare() {
    on_small_stack(|| {
        let text = "[".repeat(120) + &"]".repeat(120);
        let deep: Json = serde_json::from_str(&text).unwrap();
        let variables = Variables::new(json!({})).with_object(Some(deep.clone())).with_old_object(Some(deep));
        for expression in ["object == oldObject", "object.flatten(1000) == []", "'%s'.format([object]) != ''"] {
            let condition = Condition::compile("deep", expression, Subject::Admission).unwrap();
            assert_eq!(eval(&condition, &variables), Ok(true), "{expression}");
        }
    });
}

#[test]
fn numbers_beyond_every_type_convert() {
    let text =
        r#"{"huge": 1e999, "long": 123456789012345678901234567890, "small": 1e-999, "min": -9223372036854775808}"#;
    let variables = Variables::new(json!({})).with_object(Some(serde_json::from_str(text).unwrap()));
    let condition = Condition::compile(
        "numbers",
        "object.huge > 1e308 && object.long > 1e29 && object.small == 0.0 && object.min < 0 && type(object.min) == int",
        Subject::Admission,
    )
    .unwrap();
    assert_eq!(eval(&condition, &variables), Ok(true));
}

#[test]
fn messages_do_not_hold_values_of_the_review() {
    let variables = Variables::new(json!({"token": "s3cret"}));
    for expression in [
        "{'a': true}[request.token]",
        "int(request.token) == 1",
        "request.token + dyn(1) == ''",
        "request.token.matches(request.token + '(')",
        "ip(request.token).isLoopback()",
        "quantity(request.token).isInteger()",
        "duration(request.token) > duration('1s')",
        "url(request.token).getHost() == ''",
    ] {
        let condition = Condition::compile("token", expression, Subject::TokenReview).unwrap();
        let error = eval(&condition, &variables).expect_err(expression);
        assert!(!error.contains("s3cret"), "{expression}: {error}");
    }
}

#[test]
fn a_condition_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Condition>();
    shared::<Variables>();
}
