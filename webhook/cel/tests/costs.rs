//! Costs are Kubernetes' own: the numbers are what k8s.io/apiserver 0.36.3 counts for these expressions.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    super::{Budget, Condition, Subject, Unevaluated, Variables},
    budget, object, request,
};

fn cost(expression: &str) -> u64 {
    let variables = Variables::new(request()).with_object(Some(object()));
    let condition = Condition::compile("cost", expression, Subject::Admission).expect(expression);
    let mut budget = budget();
    condition.eval(&variables, &mut budget).expect(expression);
    budget.spent()
}

#[test]
fn of_each_part_of_the_language() {
    let wrong: Vec<_> = [
        ("true", 0),
        ("request.operation == 'CREATE'", 3),
        ("has(object.metadata.labels)", 2),
        ("!has(object.metadata.annotations)", 3),
        ("object.metadata.labels['app'] == 'web'", 5),
        ("object.metadata.labels[object.metadata.name == 'web' ? 'app' : 'x'] == 'web'", 9),
        ("request.operation in ['CREATE', 'UPDATE']", 2),
        ("'dev' in request.userInfo.groups", 5),
        ("object.spec.containers.all(c, c.image.startsWith('registry.example/'))", 18),
        ("object.spec.containers.exists(c, c.name == 'b')", 18),
        ("object.spec.containers.exists_one(c, has(c.ports))", 9),
        ("object.spec.containers.map(c, c.name) == ['a', 'b']", 33),
        ("object.spec.containers.filter(c, c.name == 'a').size() == 1", 25),
        ("object.metadata.labels.transformMap(k, v, v + k).size() == 2", 18),
        ("[3, 1, 2].sort() == [1, 2, 3]", 30),
        ("[3, 1, 2].sortBy(x, -x)[0] == 3", 77),
        ("(object.spec.replicas > 1 ? object.metadata.name : object.metadata.labels.app) == 'web'", 7),
        ("object.?metadata.?labels.?app.orValue('') == 'web'", 5),
        ("object.?metadata.?nothing.orValue('') == ''", 2),
        ("object.?metadata.?name.optMap(x, x + 'a').orValue('') == 'weba'", 12),
        ("'abc'.matches('^a.c$') && 'abc'.contains('b') && 'a' + 'b' == 'ab'", 5),
        ("'%s'.format([object.metadata.name]) == 'web'", 15),
        ("{'a': object.spec.replicas}.size() == 1", 35),
    ]
    .into_iter()
    .map(|(expression, theirs)| (expression, theirs, cost(expression)))
    .filter(|(_, theirs, ours)| theirs != ours)
    .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A list whose `all(x, x >= 0)` costs `4 * length + …`: what Kubernetes lets through finishes, one element more does not.
#[test]
fn up_to_the_limit_of_an_expression() {
    let run = |length: usize| {
        let variables = Variables::new(request()).with_object(Some(json!({"n": vec![1; length]})));
        let condition = Condition::compile("limit", "object.n.all(x, x >= 0)", Subject::Admission).unwrap();
        let mut budget = budget();
        (condition.eval(&variables, &mut budget), budget.spent())
    };
    let (outcome, spent) = run(199_999);
    assert_eq!(outcome, Ok(true), "{spent}");
    assert_eq!(spent, 999_998);
    let start = Instant::now();
    let (outcome, _) = run(200_000);
    assert!(matches!(outcome, Err(Unevaluated::Limit(words)) if words.contains("costs too much")), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_policy_has_two_and_a_half_expressions() {
    let variables = Variables::new(request()).with_object(Some(json!({"n": vec![1; 199_000]})));
    let condition = Condition::compile("limit", "object.n.all(x, x >= 0)", Subject::Admission).unwrap();
    let mut together = budget();
    assert_eq!(condition.eval(&variables, &mut together), Ok(true));
    assert_eq!(condition.eval(&variables, &mut together), Ok(true));
    let third = condition.eval(&variables, &mut together);
    assert!(matches!(third, Err(Unevaluated::Limit(words)) if words.contains("together")), "{third:?}");
    let small = Condition::compile("small", "request.operation == 'CREATE'", Subject::Admission).unwrap();
    assert!(small.eval(&variables, &mut together).is_err(), "nothing is left");
}

#[test]
fn the_deadline_ends_what_costs_little() {
    let text = "a".repeat(1024 * 1024);
    let rows = vec![json!({"a": vec![text; 4]}); 50];
    let json = json!({"rows": rows});
    let variables = Variables::new(request()).with_object(Some(json.clone())).with_old_object(Some(json));
    // Comparing maps costs by their entries, not by what these hold.
    let condition = Condition::compile(
        "deep",
        "object.rows.all(x, oldObject.rows.all(y, object.rows.all(z, x == y)))",
        Subject::Admission,
    )
    .unwrap();
    let outcome = condition.eval(&variables, &mut Budget::new(Instant::now() + Duration::from_millis(50)));
    assert_eq!(outcome, Err(Unevaluated::Deadline));
}

#[test]
fn values_that_are_built_take_memory() {
    let variables = Variables::new(request()).with_object(Some(json!({"s": "a".repeat(1024 * 1024)})));
    for expression in [
        "object.s.replace('', object.s) == ''",
        "lists.range(9223372036854775807).size() > 0",
        "object.s.split('').join(object.s) == ''",
    ] {
        let condition = Condition::compile("large", expression, Subject::Admission).expect(expression);
        let outcome = condition.eval(&variables, &mut budget());
        assert!(
            matches!(outcome, Err(Unevaluated::Limit(words)) if words.contains("too large")),
            "{expression}: {outcome:?}"
        );
    }
    // What a step of a loop built is free again with the next one.
    let condition = Condition::compile(
        "loop",
        "lists.range(500).all(x, (object.s + 'b').endsWith('b') || true)",
        Subject::Admission,
    );
    let outcome = condition.unwrap().eval(&variables, &mut budget());
    assert!(matches!(outcome, Err(Unevaluated::Limit(words)) if words.contains("costs")), "{outcome:?}");
}

/// In Kubernetes joining lists costs 1, however long they are: it shares their elements, and so do we.
#[test]
fn joined_lists_share_their_elements() {
    let variables = Variables::new(request()).with_object(Some(json!({"n": vec![1; 50_000], "w": vec!["a"; 20_000]})));
    let run = |expression: &str| {
        let condition = Condition::compile("joined", expression, Subject::Admission).expect(expression);
        condition.eval(&variables, &mut budget())
    };
    assert_eq!(run("object.n.map(x, object.n + object.n).size() == 50000"), Ok(true));
    assert_eq!(run("object.n.all(x, (object.n + [2] + object.n)[50000] == 2)"), Ok(true));
    assert_eq!(run("([1] + [2] + [3]).map(x, x * 2) == [2, 4, 6] && ([1] + [2])[1] == 2 && 3 in [1] + [3]"), Ok(true));
    // What was made one row of them takes memory as long as it lives.
    let kept = run("object.w.map(x, [object.w + object.w].filter(y, y.isSorted())).size() == 20000");
    assert!(matches!(kept, Err(Unevaluated::Limit(words)) if words.contains("too large")), "{kept:?}");
    assert_eq!(run("object.w.filter(x, (object.w + object.w).size() > 1).size() == 20000"), Ok(true));
}
