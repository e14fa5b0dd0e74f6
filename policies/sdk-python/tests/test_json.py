"""Numbers keep their text, and what is no JSON is refused with its place."""

import copy
import json
import math
import pickle
import unittest

from verdict_policy import dumps, loads
from verdict_policy.json import Number


class TestNumbers(unittest.TestCase):
    def test_numbers_that_nobody_touches_stay_as_they_are(self):
        for text in [
            "1.0", "1.10", "1e400", "-1e-400", "1E5", "-0", "-0.0", "0.1000000000000000055", "9007199254740993",
            "123456789012345678901234567890", "9" * 6000, "0", "[]", "{}", '{"a":[1,{"b":null}]}', '"é\\n\\u0000\\""',
            "true", "false",
        ]:
            self.assertEqual(dumps(loads(text)), text)
            self.assertEqual(dumps(copy.deepcopy(loads(f"[{text}]"))), f"[{text}]")
            self.assertEqual(dumps(pickle.loads(pickle.dumps(loads(text)))), text)

    def test_a_number_is_a_float_to_compute_with(self):
        number = loads("1.10")
        self.assertIsInstance(number, Number)
        self.assertEqual((number, number + 1), (1.1, 2.1))
        self.assertEqual(type(number + 1), float)
        self.assertEqual(dumps([number + 1, 2**70, True, 1.5e300]), "[2.1,1180591620717411303424,true,1.5e+300]")
        self.assertTrue(math.isinf(loads("1e400")))
        self.assertEqual(json.dumps(loads("1.50")), "1.5")

    def test_what_json_cannot_say_is_refused_where_it_is(self):
        for value, error, words in [
            ({"a": [1, math.nan]}, ValueError, "JSON has no nan (at /a/1)"),
            (math.inf, ValueError, "JSON has no inf"),
            ({"a": {1: 2}}, TypeError, "the keys of a JSON object are strings, got 1 (at /a)"),
            ([{"b": {1, 2}}], TypeError, "JSON has no set (at /0/b)"),
        ]:
            with self.assertRaises(error) as raised:
                dumps(value)
            self.assertEqual(str(raised.exception), words)
        for text in ["NaN", "[Infinity]", "{", '{"a":}', ""]:
            with self.assertRaises(ValueError):
                loads(text)
