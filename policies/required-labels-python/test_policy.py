"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "sdk-python"))

import policy
from verdict_policy import Deny, SettingsErrors, testing

REVIEWS = HERE.parent / "required-labels/reviews"
SETTINGS = {"labels": ["team", {"key": "example.org/cost-center", "pattern": "^[0-9]{4}$"}]}


class TestPolicy(unittest.TestCase):
    def test_the_sample_reviews_give_the_verdict_that_they_are_named_after(self):
        asked = testing.Policy(policy, SETTINGS)
        files = list(REVIEWS.glob("*.json"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name):
                self.assertEqual(isinstance(asked.validate(file), Deny), file.name.startswith("denied-"))

    def test_each_violation_names_its_field(self):
        answer = testing.Policy(policy, SETTINGS).validate(REVIEWS / "denied-no-labels.json")
        assert isinstance(answer, Deny)
        fields = [cause.field for cause in answer.causes]
        self.assertEqual(fields, ["metadata.labels.team", "metadata.labels[example.org/cost-center]"])

    def test_bad_settings_are_refused_where_they_are(self):
        for settings, path in [
            ({}, ""),
            ({"labels": ["a", {"key": "b", "pattern": "("}]}, "/labels/1/pattern"),
            ({"label": ["a"]}, "/label"),
            ({"annotations": [""]}, "/annotations/0"),
            ({"labels": [1]}, "/labels/0"),
            ({"labels": [{"key": 1}]}, "/labels/0/key"),
            ({"labels": [{"key": "a", "regex": "x"}]}, "/labels/0/regex"),
            ({"labels": ["a", {"key": "a", "pattern": "x"}]}, "/labels/1"),
        ]:
            with self.subTest(settings=settings), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, settings)
            self.assertEqual(raised.exception.errors[0].path, path)


if __name__ == "__main__":
    unittest.main()
