"""Reviews go in, answers and errors come out, as in the component."""

import unittest

from verdict_policy import (
    Allow, Authenticated, Cause, Change, Decision, Deny, Rejected, Ruling, SelectorOperator, SettingsErrors, Unchanged, Unknown,
    field_path, from_causes, loads, pod_spec, testing,
)
from verdict_policy import admission, authorization, calls, dumps

from . import sample

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}


class TestCalls(unittest.TestCase):
    def test_a_validator(self):
        policy = testing.Policy(sample, {"do": "deny"})
        answer = policy.validate(testing.admission_review(POD))
        self.assertIsInstance(answer, Deny)
        self.assertEqual((answer.code, answer.causes[0].field), (422, "metadata.labels[example.org/team]"))
        self.assertEqual((policy.logged, policy.audited), ([("info", "asked web")], {"operation": "CREATE"}))
        self.assertEqual(testing.Policy(sample).validate(testing.admission_review(POD)), Allow())

    def test_a_mutator_changes_its_own_copy(self):
        policy = testing.Policy(sample)
        review = loads(dumps(testing.admission_review({**POD, "spec": {"share": loads("1.10")}})))
        answer = policy.mutate(review)
        self.assertIsInstance(answer, Change)
        self.assertIn('"share":1.10', dumps(answer.object))
        self.assertNotIn("labels", review["request"]["object"]["metadata"])
        review["request"]["object"] = answer.object
        self.assertEqual(policy.mutate(review), Unchanged())

    def test_an_authenticator(self):
        policy = testing.Policy(sample)
        known = policy.authenticate({"spec": {"token": "correct-horse", "audiences": ["a"]}})
        self.assertIsInstance(known, Authenticated)
        self.assertEqual((known.user.username, known.audiences), ("jane", ["a"]))
        self.assertEqual(policy.authenticate({"spec": {"token": "expired"}}), Rejected("expired"))
        self.assertEqual(policy.authenticate({"spec": {"token": "x"}}), Unknown())

    def test_an_authorizer(self):
        policy = testing.Policy(sample)
        requirement = {"key": "k", "operator": "NotIn", "values": ["v"]}
        spec = {"user": "jane", "resourceAttributes": {"verb": "get", "labelSelector": {"requirements": [requirement]}}}
        self.assertEqual(policy.authorize({"spec": spec}), Ruling(Decision.ALLOW, "reader"))
        path = {"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/"}}
        self.assertEqual(policy.authorize({"spec": path}), Ruling.no_opinion())
        selector = testing._access(spec).resource.label_selector
        self.assertEqual(selector, [authorization.SelectorRequirement("k", SelectorOperator.NOT_IN, ["v"])])

    def test_a_provider(self):
        answer = testing.Policy(sample).handle_event({"n": 1})
        self.assertEqual(answer, {"seen": {"n": 1}, "raw": '{"n":1}'})

    def test_a_controller(self):
        web = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
        object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "n": loads("1.10")}
        answer = testing.Policy(sample).handle_change({"type": "MODIFIED", "object": object, "replayed": True})
        node = {"apiVersion": "v1", "kind": "Node", "name": "n"}
        self.assertEqual([it.json for it in answer], [
            {"againAfter": 1},
            {"againAfter": 86400},
            {"event": {"type": "Normal", "reason": "Seen", "note": "MODIFIED True None"}},
            {"event": {"type": "Warning", "reason": "Bad", "note": "it is bad"}},
            {"apply": object},
            {"patch": {**web, "type": "MergePatch", "patch": {"spec": None}}},
            {"patch": {**web, "type": "MergePatch", "subresource": "status", "patch": {"status": {}}}},
            {"patch": {**node, "type": "JsonPatch", "patch": [{"op": "remove", "path": "/a"}]}},
            {"patch": {**node, "type": "JsonPatch", "subresource": "status", "patch": ()}},
            {"delete": web},
        ])
        self.assertIn('"n":1.10', dumps(answer[4].json))
        with self.assertRaisesRegex(testing.PolicyError, r"^KeyError: 'name' \(sample\.py:\d+\)$"):
            testing.Policy(sample).handle_change({"type": "ADDED", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {}}})
        with self.assertRaisesRegex(ValueError, "a change has a type, one of ADDED"):
            testing.Policy(sample).handle_change({"object": {}})

    def test_what_is_no_action_is_said(self):
        key = {"apiVersion": "v1", "kind": "Pod", "name": "a"}
        merge = {**key, "type": "MergePatch", "patch": {}}
        for actions, words in [
            ("none", "handle_change returned None: expected a list of Action, [] for nothing"),
            ("text", "handle_change returned str: expected a list of Action"),
            ("many", "handle_change returned 65 actions: a change may have 64"),
            ("dict", "action 0 with another type: expected Action, got dict"),
            ("half", "action 0 with event.note: '\\ud800' is half a character"),
            ("set", "what handle_change returned is no JSON: JSON has no set (at /apply/spec)"),
            ([{"againAfter": 1}, {}], "action 1 with 0 fields: expected exactly one of againAfter, event, apply, patch, delete"),
            ([{"remove": key}], "action 0 with a field remove: expected one of againAfter, event"),
            ([{"againAfter": 0}], "action 0 with againAfter 0: expected 1 to 86400 seconds"),
            ([{"againAfter": True}], "againAfter: expected an int, got bool"),
            ([{"event": {"reason": "two words"}}], "event.reason: expected a word of at most 128 letters and digits"),
            ([{"event": {"reason": "A", "type": "Error"}}], "event.type: expected Normal or Warning"),
            ([{"apply": []}], "apply: expected a dict, got list"),
            ([{"apply": {**key, "metadata": {}}}], "apply.metadata.name: expected a str, got NoneType"),
            ([{"apply": {"kind": "Pod"}}], "apply.apiVersion: expected a str, got NoneType"),
            ([{"patch": {**merge, "type": "Merge"}}], "patch.type: expected JsonPatch or MergePatch"),
            ([{"patch": {**merge, "patch": []}}], "patch.patch: expected a dict, got list"),
            ([{"patch": {**merge, "type": "JsonPatch"}}], "patch.patch: expected a list of operations, got dict"),
            ([{"patch": {**merge, "subresource": "exec"}}], "patch.subresource: expected status"),
            ([{"delete": {**key, "metadata": {}}}], "delete.metadata: unknown field; expected apiVersion, kind, namespace, name"),
            ([{"delete": {**key, "name": ""}}], "delete.name: expected a name, got an empty one"),
        ]:
            with self.subTest(words), self.assertRaises(testing.PolicyError) as raised:
                testing.Policy(sample, {"actions": actions}).handle_change({"type": "ADDED", "object": POD})
            self.assertIn(words, str(raised.exception))

    def test_exceptions_name_the_authors_line(self):
        with self.assertRaises(testing.PolicyError) as raised:
            testing.Policy(sample, {"do": "raise"}).validate(testing.admission_review(POD))
        self.assertRegex(str(raised.exception), r"^KeyError: 'nothing' \(sample\.py:\d+\)$")
        self.assertIsInstance(raised.exception.__cause__, KeyError)
        with self.assertRaises(testing.PolicyError) as raised:
            testing.Policy(sample, {"do": "exit"}).validate(testing.admission_review(POD))
        self.assertIn("SystemExit: 3 (sample.py:", str(raised.exception))

    def test_what_is_no_answer_is_said(self):
        for deed, words in [
            ("none", "validate returned None: expected Allow or Deny"),
            ("class", "validate returned Allow: expected Allow or Deny"),
            ("change", "validate returned Change: expected Allow or Deny"),
            ("warnings", "validate returned Allow with warnings: expected a list, got str"),
            ("code", "validate returned Deny with code 200: expected 400 to 599"),
            ("cause", "validate returned Deny with causes[0]: expected Cause, got str"),
            ("message", "validate returned Deny with message: expected a str, got NoneType"),
            ("half", "validate returned Deny with message: '\\ud800' is half a character"),
        ]:
            with self.assertRaises(testing.PolicyError) as raised:
                testing.Policy(sample, {"do": deed}).validate(testing.admission_review(POD))
            self.assertEqual(str(raised.exception), words)

    def test_settings_errors(self):
        for deed, words in [("bad", r"^/do: expected better$"), ("worse", r"^KeyError: 'missing' \(sample\.py:\d+\)$")]:
            with self.assertRaises(SettingsErrors) as raised:
                testing.Policy(sample, {"do": deed})
            self.assertRegex(str(raised.exception), words)
        with self.assertRaises(SettingsErrors) as raised:
            testing.Policy(unittest, {"a/b": 1})
        self.assertEqual(raised.exception.errors[0].path, "/a~1b")
        testing.Policy(unittest)

    def test_a_token_is_in_no_representation(self):
        self.assertNotIn("secret", repr(testing.authentication.TokenReview("secret")))

    def test_what_the_user_named_is_told_only_where_it_differs(self):
        review = testing.admission_review(POD)
        self.assertIsNone(testing._request(review).requested)
        review["request"]["requestResource"] = {"group": "old", "version": "v1", "resource": "pods"}
        requested = testing._request(review).requested
        self.assertEqual((requested.resource.group, requested.kind), ("old", admission.GroupVersionKind("", "v1", "Pod")))

    def test_the_pod_spec_of_any_workload_is_found_and_changed(self):
        template = {"template": {"spec": {"containers": []}}}
        for group, kind, spec, path in [
            ("v1", "Pod", template["template"]["spec"], "spec"),
            ("apps/v1", "Deployment", template, "spec.template.spec"),
            ("batch/v1", "CronJob", {"jobTemplate": {"spec": template}}, "spec.jobTemplate.spec.template.spec"),
        ]:
            review = testing.admission_review({"apiVersion": group, "kind": kind, "spec": spec})
            request = testing._request(review)
            at = pod_spec(request)
            self.assertEqual(at.path, path)
            at.spec["hostNetwork"] = False
            self.assertIn('"hostNetwork":false', dumps(request.object))
            self.assertEqual(pod_spec(request, request.old_object or {}), None)
        self.assertIsNone(pod_spec(testing._request(testing.admission_review({**POD, "kind": "ConfigMap"}))))
        scale = testing.admission_review({"apiVersion": "apps/v1", "kind": "Deployment", "spec": template}, subresource="scale")
        self.assertIsNone(pod_spec(testing._request(scale)))

    def test_causes_make_a_denial(self):
        self.assertEqual(from_causes("no", [], warnings=["w"]), Allow(warnings=["w"]))
        cause = Cause("a", "FieldValueRequired", "is missing")
        self.assertEqual(from_causes("no", [cause], code=422), Deny("no", causes=[cause], code=422))
        request = testing._request(testing.admission_review(POD))
        self.assertTrue(request.is_kind("", "Pod"))
        self.assertFalse(request.is_kind("apps", "Pod"))

    def test_paths(self):
        self.assertEqual(field_path("spec", "containers", 0, "image"), "spec.containers[0].image")
        self.assertEqual(field_path("metadata", "labels", "a.b/c"), "metadata.labels[a.b/c]")

    def test_a_lazy_import_is_explained(self):
        error = ModuleNotFoundError("No module named 'decimal'")
        self.assertIn("import it at the top", calls.words(sample, error))
