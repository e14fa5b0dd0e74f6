"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
# Where the SDK and other packages lie; the component brings its own.
sys.path[:0] = [str(HERE / ".verdict/sdk/python"), str(HERE / ".verdict/packages")]

import policy
from verdict_policy import Authenticated, SettingsErrors, Unknown, UserInfo, testing


# Of correct-horse.
DIGEST = "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163"
EXAMPLE = {"users": [{"sha256": DIGEST, "username": "jane", "groups": ["developers"]}]}


class TestPolicy(unittest.TestCase):
    def test_the_sample_reviews_give_the_verdict_that_they_are_named_after(self) -> None:
        asked = testing.Policy(policy, EXAMPLE)
        for file in (HERE / "reviews").glob("*.json"):
            with self.subTest(file.name):
                known = isinstance(asked.authenticate(file), Authenticated)
                self.assertEqual(known, file.name.startswith("authenticated-"))

    def test_a_token_is_its_user(self) -> None:
        asked = testing.Policy(policy, EXAMPLE)
        answer = asked.authenticate({"spec": {"token": "correct-horse"}})
        self.assertEqual(answer, Authenticated(UserInfo("jane", groups=["developers"])))
        self.assertEqual(asked.authenticate({"spec": {"token": ""}}), Unknown())

    def test_bad_settings_are_refused_where_they_are(self) -> None:
        for user, path in [
            ({"sha256": "abc", "username": "jane"}, "/users/0/sha256"),
            ({"sha256": DIGEST.upper(), "username": "jane"}, "/users/0/sha256"),
            ({"sha256": DIGEST, "username": ""}, "/users/0/username"),
        ]:
            with self.subTest(path), self.assertRaises(SettingsErrors) as raised:
                testing.Policy(policy, {"users": [user]})
            self.assertEqual(raised.exception.errors[0].path, path)


if __name__ == "__main__":
    unittest.main()
