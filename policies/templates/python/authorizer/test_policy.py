"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import Decision, SettingsErrors, testing


EXAMPLE = {"group": "developers", "namespacePrefix": "dev-"}


class TestPolicy(unittest.TestCase):
    def test_the_sample_reviews_give_the_verdict_that_they_are_named_after(self) -> None:
        asked = testing.Policy(policy, EXAMPLE)
        for file in (HERE / "reviews").glob("*.json"):
            with self.subTest(file.name):
                decision = asked.authorize(file).decision
                self.assertTrue(file.name.startswith(f"{decision.value}-"), decision)

    def test_an_allow_says_why(self) -> None:
        ruling = testing.Policy(policy, EXAMPLE).authorize(HERE / "reviews/allow-list-pods.json")
        self.assertEqual((ruling.decision, ruling.reason), (Decision.ALLOW, "developers may read in dev-*"))

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [
            ({"group": "", "namespacePrefix": "dev-"}, "/group"),
            ({"group": "developers", "namespacePrefix": ""}, "/namespacePrefix"),
            ({"group": "developers", "prefix": "dev-"}, "/prefix"),
        ]
        for settings, path in bad:
            with self.subTest(path), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, settings)
            self.assertEqual(raised.exception.errors[0].path, path)


if __name__ == "__main__":
    unittest.main()
