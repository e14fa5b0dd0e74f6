"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import Action, ObjectKey, SettingsErrors, testing

REVIEWS = HERE / "reviews"


class TestPolicy(unittest.TestCase):
    def test_several_replicas_have_a_budget(self) -> None:
        asked = testing.Policy(policy, {"maxUnavailable": 2})
        (action,) = asked.handle_change(REVIEWS / "answered-several-replicas.json")
        budget = action.json["apply"]
        self.assertEqual(budget["metadata"]["name"], "web-my-policy")
        self.assertEqual(budget["spec"], {"maxUnavailable": 2, "selector": {"matchLabels": {"app": "web"}}})

    def test_one_replica_has_none(self) -> None:
        budget = ObjectKey("policy/v1", "PodDisruptionBudget", "shop", "web-my-policy")
        answer = testing.Policy(policy).handle_change(REVIEWS / "answered-one-replica.json")
        self.assertEqual(answer, [Action.delete(budget)])

    def test_nothing_is_made_for_what_goes(self) -> None:
        for name in ("answered-deleted.json", "answered-being-deleted.json"):
            with self.subTest(name):
                self.assertEqual(testing.Policy(policy).handle_change(REVIEWS / name), [])

    def test_an_object_without_a_name_is_an_error(self) -> None:
        with self.assertRaisesRegex(testing.PolicyError, "name"):
            testing.Policy(policy).handle_change(REVIEWS / "error-no-name.json")

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        for number in (0, "1", 1.5):
            with self.subTest(number), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, {"maxUnavailable": number})
            self.assertEqual(raised.exception.errors[0].path, "/maxUnavailable")


if __name__ == "__main__":
    unittest.main()
