"""Tests of the policy, without Wasm: python3 -m unittest."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "sdk-python"))

import policy
from verdict_policy import Action, testing

REVIEWS = HERE / "reviews"


def deployment(**images):
    containers = [{"name": name, "image": image} for name, image in images.items()]
    spec = {"template": {"spec": {"containers": containers}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"}, "spec": spec}


def ask(before, after, **more):
    change = {"type": "MODIFIED", "object": after, "oldObject": before, **more}
    return testing.Policy(policy).handle_change(change)


class TestPolicy(unittest.TestCase):
    def test_the_sample_changes_give_the_verdict_that_they_are_named_after(self):
        files = list(REVIEWS.glob("*.json"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name):
                try:
                    testing.Policy(policy).handle_change(file)
                    verdict = "answered"
                except testing.PolicyError:
                    verdict = "error"
                self.assertTrue(file.name.startswith(f"{verdict}-"))

    def test_what_changed_is_told_with_what_it_was(self):
        answer = ask(deployment(web="shop/web:1.4", old="a:1"), deployment(web="shop/web:1.5", new="b:1"))
        note = "web: shop/web:1.5, was shop/web:1.4; new: b:1, is new; old: a:1, is gone"
        self.assertEqual(answer, [Action.event("ImagesChanged", note)])

    def test_nothing_is_told_of_other_changes_and_where_nobody_knows_what_was(self):
        web = deployment(web="shop/web:1.4")
        self.assertEqual(ask(web, {**web, "metadata": {}}), [])
        self.assertEqual(ask(None, web), [])
        self.assertEqual(ask(web, deployment(web="b:1"), type="DELETED"), [])

    def test_a_tag_that_may_mean_anything_is_warned_of_once(self):
        versioned, latest = deployment(web="localhost:5000/web:1.4"), deployment(web="localhost:5000/web")
        answer = ask(versioned, latest)
        self.assertEqual([it.json["event"]["reason"] for it in answer], ["ImagesChanged", "FloatingImage"])
        self.assertEqual(len(ask(latest, deployment(web="web:latest"))), 1)
        self.assertEqual(len(ask(versioned, deployment(web="web:latest@sha256:0123"))), 1)


if __name__ == "__main__":
    unittest.main()
