"""Settings become dataclasses, and what is wrong with them has its path."""

import unittest
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Optional

from verdict_policy import SettingsError, SettingsErrors, decode_settings


class Mode(Enum):
    SOFT = "soft"
    HARD = "hard"


@dataclass
class Entry:
    key: str
    pattern: Optional[str] = None

    def __post_init__(self):
        if not self.key:
            raise SettingsError("/key", "expected a key, got an empty one")


@dataclass
class Settings:
    name_prefix: str
    entries: list[str | Entry] = field(default_factory=list)
    by_name: dict[str, Entry] = field(default_factory=dict)
    share: float = 1.0
    count: int = 0
    mode: Mode = Mode.SOFT
    level: Literal["low", "high"] = "low"
    anything: Any = None


class TestSettings(unittest.TestCase):
    def test_every_kind_of_field(self):
        decoded = decode_settings(Settings, {
            "namePrefix": "a", "entries": ["x", {"key": "y", "pattern": "z"}], "byName": {"n": {"key": "k"}},
            "share": 1, "count": 2, "mode": "hard", "level": "high", "anything": [1],
        })
        expected = Settings("a", ["x", Entry("y", "z")], {"n": Entry("k")}, 1.0, 2, Mode.HARD, "high", [1])
        self.assertEqual(decoded, expected)
        self.assertIsInstance(decoded.share, float)

    def test_all_errors_are_told_with_their_paths(self):
        for settings, errors in [
            ({}, [": missing field namePrefix"]),
            ([], [': expected {namePrefix, entries, byName, share, count, mode, level, anything}, got an array']),
            ({"namePrefix": 1, "count": True, "share": "1"},
             ["/namePrefix: expected a string, got a number", "/count: expected an integer, got true or false", '/share: expected a number, got a string']),
            ({"namePrefix": "a", "entries": ["x", 1, {"key": ""}, {"key": "k", "a/b": 1}]},
             ["/entries/1: expected a string or {key, pattern}, got a number", "/entries/2/key: expected a key, got an empty one",
              "/entries/3/a~1b: unknown field; expected key, pattern"]),
            ({"namePrefix": "a", "byName": {"n/m": {}}, "mode": "x", "level": 1},
             ["/byName/n~1m: missing field key", '/mode: expected one of "soft", "hard", got a string',
              '/level: expected one of "low", "high", got a number']),
        ]:
            with self.assertRaises(SettingsErrors) as raised:
                decode_settings(Settings, settings)
            self.assertEqual([f"{it.path}: {it.message}" for it in raised.exception.errors], errors)
