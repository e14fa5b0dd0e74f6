"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import Change, SettingsErrors, Unchanged, testing


EXAMPLE = {"labels": {"team": "unknown"}}


class TestPolicy(unittest.TestCase):
    def test_the_sample_reviews_give_the_verdict_that_they_are_named_after(self) -> None:
        asked = testing.Policy(policy, EXAMPLE)
        for file in (HERE / "reviews").glob("*.json"):
            with self.subTest(file.name):
                review = testing.load(file)
                answer = asked.mutate(review)
                self.assertEqual(isinstance(answer, Change), file.name.startswith("changed-"))
                if isinstance(answer, Change):
                    # The server may ask again about what it was given: then there is nothing left to do.
                    review["request"]["object"] = answer.object
                    self.assertEqual(asked.mutate(review), Unchanged())

    def test_a_missing_label_is_added_and_others_stay(self) -> None:
        asked = testing.Policy(policy, {"labels": {"team": "unknown", "app": "unknown"}})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop", "labels": {"app": "shop"}}}
        answer = asked.mutate(testing.admission_review(pod))
        assert isinstance(answer, Change)
        self.assertEqual(answer.object["metadata"]["labels"], {"app": "shop", "team": "unknown"})

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [({"labels": {}}, "/labels"), ({"labels": {"team": 1}}, "/labels/team")]
        for settings, path in bad:
            with self.subTest(path), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, settings)
            self.assertEqual(raised.exception.errors[0].path, path)


if __name__ == "__main__":
    unittest.main()
