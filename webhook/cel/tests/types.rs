//! What is checked at load: types of arguments, operators, fields, elements and variables, as cel-go's checker does.

use super::{super::Subject, hold, refuse};

#[test]
fn operators_and_functions() {
    refuse(
        Subject::Admission,
        &[
            ("'a' == 1", "line 1, column 5: found no matching overload of _==_ for (string, int): expected (A, A)"),
            ("1 == 1u", "of _==_ for (int, uint)"),
            ("1 + 1.0 == 2.0", "of _+_ for (int, double)"),
            ("[1] == [1.0]", "(list(int), list(double))"),
            ("1.0 in [1]", "of @in for (double, list(int))"),
            ("[1][0u] == 1", "of _[_] for (list(int), uint)"),
            ("{1: 'x'}[1u] == 'x'", "of _[_] for (map(int, string), uint)"),
            ("request.name == null", "(string, null_type)"),
            ("request.name > 1", "of _>_ for (string, int)"),
            ("-duration('1s') == duration('1s')", "of -_ for (duration)"),
            ("!request.name", "of !_ for (string)"),
            ("request.name && true", "expected type bool but found string"),
            ("(request.name ? 1 : 2) == 1", "expected type bool but found string"),
            ("(true ? 1 : 'a') == 1", "of _?_:_ for (bool, int, string)"),
            ("quantity('1').sign() == 1", "it is not called on a value"),
            ("startsWith(request.name, 'a')", "it is called on a value"),
            ("[1, 2].join() == ''", "of join for list(int).()"),
            ("[1].sum('a') == 1", "of sum for list(int).(string)"),
            ("['a'].sum() == 'a'", "of sum for list(string).()"),
            ("sets.contains([1], ['a'])", "of sets.contains for (list(int), list(string))"),
            ("optional.of(1).orValue('a') == 1", "of orValue for optional_type(int).(string)"),
        ],
    );
    hold(&[
        "dyn('a') != 1 && dyn(1) == 1u && 'a' in {'a': 1} && quantity('1') != null && duration('1s') != null",
        "[] == [1].filter(x, x > 1) && {} == {'a': 1}.transformMap(k, v, false, v) && [[], [1]].size() == 2",
        "[].all(x, x.y == 1) && optional.none().orValue(1) == 1 && [optional.none(), optional.of(1)].size() == 2",
        "type(1) == int && type(type(1)) == type && type(request) == map",
        "(true ? object : 'a') != 'b'",
        "namespaceObject == null && !has(namespaceObject.metadata)",
    ]);
}

#[test]
fn templates() {
    refuse(
        Subject::Admission,
        &[
            ("''.format([1]) == ''", "line 1, column 12: format(): more values than clauses"),
            ("'%s %s'.format(['a']) == ''", "format(): fewer values than clauses"),
            ("'%d'.format([request.name]) == ''", "%d does not take a value of type string"),
            ("'%s'.format([quantity('1')]) == ''", "%s does not take a value of type kubernetes.Quantity"),
            ("'%q'.format([1]) == ''", "a clause is %s"),
            ("'%.f'.format([1.5]) == ''", "a clause is %s"),
            ("'%'.format([1]) == ''", "a clause is %s"),
        ],
    );
    hold(&["'%d%% of %s'.format([object.spec.replicas, object.metadata.labels]) != ''"]);
}

#[test]
fn fields_elements_and_variables() {
    refuse(
        Subject::Admission,
        &[
            ("request.name.x == 1", "type string does not support field selection"),
            ("has(request.userInfo.groups.x)", "type list(string) does not support field selection"),
            ("request.kind.version.x == 1", "type string does not support"),
            ("request.uid == ''", "undefined field \"uid\""),
            ("request.object == null", "undefined field \"object\""),
            ("[1, 'a'] == []", "line 1, column 5: expected type int but found string"),
            ("[1, null].size() == 2", "expected type int but found null_type"),
            ("[1, object].size() == 2", "expected type int but found dyn"),
            ("{'a': 1, 'b': 'c'}.size() == 2", "expected type int but found string"),
            ("{'a': 1, 2: 3}.size() == 2", "expected type string but found int"),
            ("[?1].size() == 1", "expected type optional_type(int) but found int"),
            (
                "request.userInfo.groups.all(g, g > 1)",
                "line 1, column 34: found no matching overload of _>_ for (string, int)",
            ),
            ("request.userInfo.extra.all(k, v, v == k)", "(list(string), string)"),
            ("[1].exists(x, x)", "expected type bool but found int"),
            ("[1].filter(x, 'a') == []", "expected type bool but found string"),
            ("1.all(x, true)", "the range is of type int"),
            ("request.name.map(x, x) == []", "the range is of type string"),
            ("[1].map(x, x + 'a') == []", "of _+_ for (int, string)"),
            ("[1].map(__result__, 1) == []", "__result__"),
            ("optional.of(1).optMap(x, x.y).hasValue()", "type int does not support"),
            ("[1].transformMapEntry(i, v, v) == {}", "but found int"),
            ("[[1]].sortBy(x, x) == []", "of @sortByAssociatedKeys"),
            ("kubernetes.URL == type(1)", "undeclared reference"),
        ],
    );
    hold(&[
        "request.userInfo.extra.all(k, v, k.size() > 0 && v.size() > 0) && request.userInfo.extra.all(k, k != '')",
        "request.kind.version == 'v1' && has(request.dryRun) && request.?subResource.orValue('') == ''",
        "'%s %d'.format(['a', 1]) == 'a 1' && '%s'.format([[1, 'a']]) != ''",
    ]);
}
