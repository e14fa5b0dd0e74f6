//! What is refused when a policy loads.

use super::{super::Subject, refuse};

#[test]
fn syntax_and_names() {
    refuse(
        Subject::Admission,
        &[
            ("object.spec ==", "line 1"),
            ("object.spec == \n  )", "line 2, column 3"),
            ("", "line 1"),
            ("objekt.spec == 1", "line 1, column 1: undeclared reference to \"objekt\""),
            ("true &&\n  nme == 'x'", "line 2, column 3: undeclared reference"),
            ("'é' == 'é' && nme == 'x'", "line 1, column 15: undeclared reference"),
            ("[1].all(x, x == 1) && x == 1", "undeclared reference to \"x\""),
            ("[1].all(x, y == 1)", "undeclared reference to \"y\""),
            ("[1].all(1, true)", "simple name"),
            ("[1].all(x, x, true)", "simple name"),
            ("object.frobnicate()", "undeclared function .frobnicate()"),
            ("frobnicate(object)", "undeclared function frobnicate()"),
            (
                "object.metadata.name.startsWith('a', 'b')",
                "found no matching overload of startsWith for dyn.(string, string): expected string.(string)",
            ),
            ("size() == 1", "found no matching overload of size for ()"),
            ("sets.frobnicate([1], [1])", "undeclared"),
            ("has(object)", "has() takes a field"),
            ("Object{spec: 1} == 1", "cannot be made in match conditions"),
            ("cel.bind(x, 1, x == 1)", "cel.bind"),
            ("jsonpatch.escapeKey('a') == 'a'", "jsonpatch.escapeKey"),
            ("if == 1", "reserved"),
        ],
    );
}

#[test]
fn variables_that_need_a_cluster() {
    refuse(
        Subject::Admission,
        &[
            ("authorizer.group('').resource('pods').check('get').allowed()", "authorizer needs a cluster"),
            ("authorizer == null", "authorizer needs a cluster"),
            ("namespaceObject.metadata.nme == 'x'", "undefined field \"nme\""),
            ("params.x == 1", "params needs a cluster"),
            ("variables.x == 1", "not available in match conditions"),
        ],
    );
    for subject in [Subject::TokenReview, Subject::SubjectAccessReview] {
        refuse(
            subject,
            &[
                ("object.spec.x == 1", "object is not available here: only request is"),
                ("oldObject == null", "oldObject is not available here: only request is"),
            ],
        );
    }
}

#[test]
fn unknown_fields_of_the_request() {
    refuse(
        Subject::Admission,
        &[
            (
                "request.operatoin == 'CREATE'",
                "undefined field \"operatoin\": kubernetes.AdmissionRequest has kind, resource",
            ),
            ("has(request.spec)", "undefined field \"spec\""),
            ("request.userInfo.name == 'x'", "undefined field \"name\": kubernetes.UserInfo has username"),
            ("request.?nope.hasValue()", "undefined field \"nope\""),
        ],
    );
    refuse(
        Subject::SubjectAccessReview,
        &[("request.spec.user == 'x'", "undefined field \"spec\": kubernetes.SubjectAccessReviewSpec has")],
    );
    refuse(
        Subject::TokenReview,
        &[("request.user == 'x'", "undefined field \"user\": kubernetes.TokenReviewSpec has token, audiences")],
    );
}

#[test]
fn results_that_are_plainly_not_bool() {
    refuse(
        Subject::Admission,
        &[
            ("1", "the result is of type int, not bool"),
            ("'true'", "of type string"),
            ("object.x.size()", "of type int"),
            ("[true]", "of type list"),
            ("object.x.map(x, x)", "of type list"),
            ("object.x.transformMap(k, v, v)", "of type map"),
            ("object.x ? 1 : 2", "of type int"),
            ("object.x", "of type dyn"),
            ("object.x ? true : object.x", "of type dyn"),
            ("request.operation", "of type string"),
            ("object.?x", "of type optional_type"),
            ("null", "of type null_type"),
            ("{'a': object}", "of type map"),
        ],
    );
}

#[test]
fn bad_constants() {
    refuse(
        Subject::Admission,
        &[
            ("request.name.matches('(')", "bad regular expression"),
            ("request.name.findAll('[') == []", "bad regular expression"),
            ("request.name.matches('(a{1000}){1000}')", "bad regular expression"),
            ("duration('one hour') == duration('1h')", "not a duration"),
            ("timestamp('yesterday') == timestamp('2023-01-01T00:00:00Z')", "not a time"),
            ("int('Three') == 3", "line 1, column 4: int(): not an integer"),
            ("{'a': true}[dyn(null)]", "cannot be an index"),
        ],
    );
}
