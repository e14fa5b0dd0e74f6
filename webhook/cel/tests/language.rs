//! The language: fields, logic, numbers, comprehensions, optional values, conversions, times.

use serde_json::json;

use super::{
    super::{Condition, Subject, Variables},
    eval, fail, hold,
};

#[test]
fn fields_and_null() {
    hold(&[
        "has(object.metadata.labels) && 'app' in object.metadata.labels",
        "!has(object.metadata.annotations)",
        "object.metadata.labels['tier'] == 'front'",
        "oldObject == null",
        "object != null",
        "request.operation in ['CREATE', 'UPDATE']",
        "'dev' in request.userInfo.groups",
        "request.userInfo.extra['example.com/k'] == ['v']",
        "object.spec.containers[0].ports[0].containerPort == 80",
        "object.spec.containers.size() == 2 && size(object) == 2",
        // A key that is repeated replaces the one before.
        "{'a': 1, 'a': 2} == {'a': 2} && {'a': 1, ?'a': optional.none()} == {}",
        "{'a': 1}.a == 1 && dyn({1: 'x'})[1.0] == 'x' && dyn({1u: 'x'})[1] == 'x'",
        "[1, 2][1] == 2 && dyn([1, 2])[1u] == 2 && dyn([1, 2])[1.0] == 2",
    ]);
    fail(&[
        ("object.metadata.annotations.x == 'y'", "no such key: annotations"),
        ("oldObject.metadata.name == 'x'", "no such key: metadata"),
        ("object.metadata.labels[request.name] == 'x'", "no such key"),
        ("object.spec.containers[2].name == 'x'", "index out of bounds"),
        ("object.spec.containers[-1].name == 'x'", "index out of bounds"),
        ("object.metadata.name.x == 1", "no such key: x"),
        ("object.spec.replicas && true", "no such overload"),
    ]);
}

#[test]
fn logic_absorbs_errors() {
    hold(&[
        "object.missing == 1 || true",
        "true || object.missing == 1",
        "!(object.missing == 1 && false)",
        "!(false && object.missing == 1)",
        "[1, 0].exists(x, 1 / x == 1)",
        "![0, 2].all(x, 1 / x == 1)",
        "(true ? true : object.missing) == true",
        "false || false || object.missing || true",
        "!(true && true && object.missing && false)",
    ]);
    fail(&[
        ("object.missing == 1 || false", "no such key: missing"),
        ("object.missing == 1 && true", "no such key: missing"),
        ("[0, 2].exists(x, 1 / x == 1)", "division by zero"),
        ("object.missing ? true : false", "no such key: missing"),
    ]);
}

#[test]
fn numbers() {
    hold(&[
        "type(object.spec.replicas) == int && type(object.spec.ratio) == double && object.spec.negative < 0",
        "type(object.spec.big) == double",
        "dyn(1) == 1u && dyn(1u) == 1.0 && dyn(1) == 1.0 && 1 < 1.5 && 2u > 1 && 1.5 < 2u",
        // As doubles, as cel-go compares them.
        "dyn(9007199254740993) == 9007199254740992.0 && !(9223372036854775807 < 9223372036854775808.0)",
        "1.0 / 0.0 > 9223372036854775807 && -1.0 / 0.0 < -9223372036854775808",
        "dyn(1) != 'a' && dyn('1') != 1 && dyn(null) != false",
        "7 / 2 == 3 && -7 / 2 == -3 && 7 % 3 == 1 && -7 % 3 == -1 && 7.0 / 2.0 == 3.5",
        "2 + 3 * 4 == 14 && (2 + 3) * 4 == 20 && 5 - 2 - 1 == 2",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' + b'b' == b'ab'",
        "0.0 / 0.0 != 0.0 / 0.0",
        "1.0 / 0.0 > 1e308 && 0x1F == 31 && -0x10 == -16 && 0xFFu == 255u",
        "-9223372036854775808 < 0",
        "object.spec.replicas + 1 == 3 && -object.spec.negative == 7",
        "'a' < 'b' && !('b' < 'a') && b'a' < b'b' && false < true",
    ]);
    fail(&[
        ("9223372036854775807 + object.spec.replicas > 0", "overflow"),
        ("-9223372036854775808 - object.spec.replicas < 0", "overflow"),
        ("9223372036854775807 * object.spec.replicas > 0", "overflow"),
        ("(-9223372036854775807 - 1) / (object.spec.replicas - 3) == 1", "overflow"),
        ("(-9223372036854775807 - 1) % (object.spec.replicas - 3) == 1", "overflow"),
        ("-(object.spec.negative - 9223372036854775801) > 0", "overflow"),
        ("1u - 2u == 0u", "overflow"),
        ("0.0 / 0.0 < 1.0", "NaN has no order"),
        ("1 / (object.spec.replicas - 2) == 1", "division by zero"),
        ("1 % (object.spec.replicas - 2) == 1", "modulus by zero"),
        ("object.spec.replicas + 1u == 3u", "no such overload of _+_"),
        ("object.spec.replicas < 'a'", "no such overload of _<_"),
        ("int(object.spec.big) == 1", "overflow"),
        ("uint(object.spec.negative) == 1u", "overflow"),
    ]);
}

#[test]
fn comprehensions() {
    hold(&[
        "object.spec.containers.all(c, c.image.startsWith('registry.example/'))",
        "object.spec.containers.exists(c, c.name == 'b')",
        "object.spec.containers.exists_one(c, has(c.ports))",
        "object.spec.containers.map(c, c.name) == ['a', 'b']",
        "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6] && [1, 2, 3].filter(x, x > 1) == [2, 3]",
        "object.metadata.labels.all(key, size(key) > 2) && object.metadata.labels.exists(k, k == 'app')",
        "[].all(x, false) && ![].exists(x, true)",
        "[1, 2].all(x, [3, 4].all(y, x < y))",
        "[1, 2].map(x, [x].map(x, x + 1)) == [[2], [3]]",
        "[1, 2].exists(object, object == 2)",
        // Two variables.
        "[5, 6].all(i, v, v == i + 5) && [5, 6].exists(i, v, i == 1 && v == 6) && [5, 6].existsOne(i, v, i == 0)",
        "{'a': 1}.all(k, v, k == 'a' && v == 1)",
        "[1, 2, 3].transformList(i, v, i + v) == [1, 3, 5]",
        "[1, 2, 3].transformList(i, v, i > 0, v) == [2, 3]",
        "{'a': 1, 'b': 2}.transformMap(k, v, v * 2) == {'a': 2, 'b': 4}",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v) == {'b': 2}",
        "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'}",
    ]);
    fail(&[
        ("['a', 'b'].transformMapEntry(i, v, {'same': v}) == {}", "repeated"),
        ("object.metadata.name.all(c, true)", "neither a list nor a map"),
        ("object.spec.containers.all(c, c.name)", "not bool"),
        ("object.spec.containers.filter(c, c.name) == []", "not bool"),
    ]);
}

#[test]
fn optional_values() {
    // Null and what is neither a map nor a list have no fields; a list has no fields to ask for.
    hold(&[
        "!has(oldObject.metadata) && !has(object.metadata.name.x) && !has(object.spec.replicas.x)",
        "!oldObject.?metadata.hasValue() && !object.metadata.name.?x.hasValue() && !oldObject[?'a'].hasValue()",
        "!has(object.?spec.replicas.x) && object.spec.?replicas.?x.orValue(7) == 7",
    ]);
    fail(&[
        ("has(object.spec.containers.x)", "a list has no fields"),
        ("oldObject.metadata == 1", "no such key: metadata"),
    ]);
    hold(&[
        "!object.?metadata.annotations.hasValue()",
        "object.?metadata.?labels.?app.orValue('') == 'web'",
        "object.?metadata.labels.app.value() == 'web'",
        "object.metadata.?annotations.x.orValue('none') == 'none'",
        "object.spec.containers[?9].hasValue() == false && object.spec.containers[?0].name.orValue('') == 'a'",
        "{'a': 1}[?'b'].orValue(2) == 2 && [1, 2][?0] == optional.of(1)",
        "optional.of(1).or(optional.of(1 / 0)).value() == 1 && optional.none().orValue(3) == 3",
        "optional.none() == optional.none() && optional.of(1) != optional.none()",
        "optional.ofNonZeroValue('').hasValue() == false && optional.ofNonZeroValue(4).value() == 4",
        "optional.of(2).optMap(x, x * 2).value() == 4 && !optional.none().optMap(x, 1 / 0).hasValue()",
        "optional.of(2).optFlatMap(x, optional.of(x + 1)).value() == 3",
        "[1, ?optional.none(), ?optional.of(2)] == [1, 2]",
        "{'a': 1, ?'b': optional.none(), ?'c': optional.of(3)} == {'a': 1, 'c': 3}",
        "[optional.of(1), optional.none()].unwrapOpt() == [1] && optional.unwrap([optional.none()]) == []",
        "has(object.?metadata.labels)",
    ]);
    fail(&[("object.?nothing.value() == 1", "has none"), ("object.optMap(x, x).hasValue()", "no such overload")]);
}

#[test]
fn conversions() {
    hold(&[
        "int('12') == 12 && int(3.9) == 3 && int(-3.9) == -3 && int(4u) == 4 && uint('7') == 7u && uint(3) == 3u",
        "double('1.5') == 1.5 && double(2) == 2.0 && bool('true') && !bool('0')",
        "string(1) == '1' && string(1.5) == '1.5' && string(1000000.0) == '1e+06' && string(true) == 'true'",
        "string(1u) == '1' && string(b'abc') == 'abc' && bytes('é') == b'é' && size('é') == 1 && size(bytes('é')) == 2",
        "string(duration('1h30m1.5s')) == '5401.5s' && string(timestamp('2024-02-29T12:00:00+02:00')) == '2024-02-29T12:00:00+02:00'",
        "type(1) == int && type('') == string && type([]) == list && type({}) == map && type(null) == null_type",
        "type(type(1)) == type && type(ip('::1')) == net.IP && type(duration('1s')) == google.protobuf.Duration",
    ]);
    fail(&[
        ("int(object.metadata.name) == 1", "not an integer"),
        ("double(object.metadata.name) == 1.0", "not a number"),
        ("bool(object.metadata.name)", "not a boolean"),
    ]);
}

#[test]
fn times() {
    hold(&[
        "duration('90m') == duration('1h30m') && duration('-1.5s') < duration('0') && duration('1h').getMinutes() == 60",
        "duration('100ms').getMilliseconds() == 100 && duration('1h') + duration('1m') == duration('61m')",
        "timestamp('2023-01-01T00:00:00Z') + duration('24h') == timestamp('2023-01-02T00:00:00Z')",
        "timestamp('2023-01-02T00:00:00Z') - timestamp('2023-01-01T00:00:00Z') == duration('24h')",
        "timestamp('2023-01-02T00:00:00Z') > timestamp('2023-01-01T00:00:00Z') && int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "timestamp('2023-12-25T05:06:07.089Z').getFullYear() == 2023 && timestamp('2023-12-25T05:06:07Z').getMonth() == 11",
        "timestamp('2023-12-25T05:06:07Z').getDate() == 25 && timestamp('2023-12-25T05:06:07Z').getDayOfMonth() == 24",
        "timestamp('2023-12-25T05:06:07Z').getDayOfWeek() == 1 && timestamp('2023-12-25T05:06:07Z').getDayOfYear() == 358",
        "timestamp('2023-12-25T05:06:07.089Z').getMilliseconds() == 89 && timestamp('2023-12-25T05:06:07Z').getSeconds() == 7",
        "timestamp('2023-12-25T05:06:07Z').getHours('Europe/Zurich') == 6",
        "timestamp('2023-12-25T05:06:07Z').getHours('+02:00') == 7 && timestamp('2023-12-25T05:06:07Z').getMinutes('-00:30') == 36",
    ]);
    fail(&[
        (
            "timestamp('9999-12-31T23:59:59Z') + duration(request.name == 'web' ? '1h' : '2h') == timestamp('9999-12-31T23:59:59Z')",
            "overflow",
        ),
        ("duration(request.name) == duration('1s')", "not a duration"),
        ("timestamp('2023-12-25T05:06:07Z').getHours('Europe/Nowhere') == 6", "the time zone is neither"),
    ]);
}

#[test]
fn reviews_of_the_other_kinds_see_their_spec() {
    let spec = json!({"user": "kim", "groups": ["dev"], "resourceAttributes": {"verb": "get", "resource": "pods"}});
    let condition = Condition::compile(
        "pods",
        "has(request.resourceAttributes) && request.resourceAttributes.resource == 'pods' && 'dev' in request.groups",
        Subject::SubjectAccessReview,
    )
    .unwrap();
    assert_eq!(eval(&condition, &Variables::new(spec)), Ok(true));
    assert_eq!(eval(&condition, &Variables::new(json!({"user": "kim"}))), Ok(false));

    let condition = Condition::compile("ours", "request.token.startsWith('v1.')", Subject::TokenReview).unwrap();
    assert_eq!(eval(&condition, &Variables::new(json!({"token": "v1.abc"}))), Ok(true));
    assert_eq!(eval(&condition, &Variables::new(json!({"token": "abc"}))), Ok(false));
}

#[test]
fn the_caller_knows_what_is_used() {
    let uses = |text: &str| {
        let condition = Condition::compile("test", text, Subject::Admission).unwrap();
        (condition.reads().object.is_some(), condition.reads().old_object.is_some())
    };
    assert_eq!(uses("request.operation == 'CREATE'"), (false, false));
    assert_eq!(uses("[1].all(x, has(object.spec))"), (true, false));
    assert_eq!(uses("oldObject != null && object == null"), (true, true));
    assert_eq!(uses("[1].all(object, object == 1)"), (false, false));
}
