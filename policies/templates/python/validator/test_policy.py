"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import Deny, SettingsErrors, testing


EXAMPLE = {"registries": ["registry.example.org/"]}


class TestPolicy(unittest.TestCase):
    def test_the_sample_reviews_give_the_verdict_that_they_are_named_after(self) -> None:
        asked = testing.Policy(policy, EXAMPLE)
        for file in (HERE / "reviews").glob("*.json"):
            with self.subTest(file.name):
                denied = isinstance(asked.validate(file), Deny)
                self.assertEqual(denied, file.name.startswith("denied-"))

    def test_each_violation_names_its_field(self) -> None:
        answer = testing.Policy(policy, EXAMPLE).validate(HERE / "reviews/denied-init-container.json")
        assert isinstance(answer, Deny)
        self.assertEqual([cause.field for cause in answer.causes], ["spec.initContainers[0].image"])

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [
            ({"registries": []}, "/registries"),
            ({"registries": ["a/", "b"]}, "/registries/1"),
            ({"registries": ["a/"], "other": []}, "/other"),
        ]
        for settings, path in bad:
            with self.subTest(path), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, settings)
            self.assertEqual(raised.exception.errors[0].path, path)


if __name__ == "__main__":
    unittest.main()
