"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import SettingsErrors, testing


EVENT = {"namespace": "shop", "name": "web", "replicas": 3, "ready": 1}


class TestPolicy(unittest.TestCase):
    def test_too_few_replicas_are_a_warning(self) -> None:
        asked = testing.Policy(policy)
        self.assertEqual(
            asked.handle_event(EVENT), {"severity": "warning", "text": "shop/web: 1 of 3 replicas are ready"}
        )
        self.assertEqual(asked.audited, {"severity": "warning"})

    def test_enough_replicas_are_ok(self) -> None:
        for settings, event in [
            ({"minimum": 0.3}, EVENT),
            ({}, {**EVENT, "ready": 3}),
            ({}, {**EVENT, "replicas": 0, "ready": 0}),
        ]:
            with self.subTest(settings=settings, event=event):
                self.assertEqual(testing.Policy(policy, settings).handle_event(event)["severity"], "ok")

    def test_another_shape_is_an_error(self) -> None:
        with self.assertRaisesRegex(testing.PolicyError, "/ready: expected an integer"):
            testing.Policy(policy).handle_event({**EVENT, "ready": "1"})

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        for minimum in (-0.1, 1.1, "1"):
            with self.subTest(minimum), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, {"minimum": minimum})
            self.assertEqual(raised.exception.errors[0].path, "/minimum")


if __name__ == "__main__":
    unittest.main()
