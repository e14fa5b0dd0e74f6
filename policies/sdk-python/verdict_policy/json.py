"""JSON in which numbers that nobody touches stay as they are written: ``1.0``, ``1.10``, ``1e400``, beyond 2^53.

Integers are Python's own, of any size. Everything else is a :class:`Number`, a float that remembers its text; what is
computed from it is a plain float.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any


class Number(float):
    """A float that is written as it was read."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __copy__(self) -> Number:
        return self

    def __deepcopy__(self, memo: object) -> Number:
        return self

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.text,)


def _integer(text: str) -> int | Number:
    # Python has no integer -0, and refuses integers of thousands of digits.
    return Number(text) if text == "-0" or len(text) > 4000 else int(text)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_decoder = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_no_constant)


def loads(text: str) -> Any:
    """The value of a JSON text."""
    return _decoder.decode(text)


def dumps(value: Any) -> str:
    """The JSON text of a value: dict, list, tuple, str, int, float, bool or None.

    Raises TypeError or ValueError, with the place, for what JSON cannot say.
    """
    parts: list[str] = []
    _write(value, parts, [])
    return "".join(parts)


def _write(value: Any, parts: list[str], path: list[str]) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, int):
        parts.append(int.__repr__(value))
    elif isinstance(value, Number):
        parts.append(value.text)
    elif isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"JSON has no {value!r}{_at(path)}")
        parts.append(float.__repr__(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the keys of a JSON object are strings, got {key!r}{_at(path)}")
            parts.append(separator)
            parts.append(encode_basestring(key))
            parts.append(":")
            path.append(key)
            _write(item, parts, path)
            path.pop()
            separator = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for index, item in enumerate(value):
            parts.append(separator)
            path.append(str(index))
            _write(item, parts, path)
            path.pop()
            separator = ","
        parts.append("]" if value else "[]")
    else:
        raise TypeError(f"JSON has no {type(value).__name__}{_at(path)}")


def _at(path: list[str]) -> str:
    return f" (at /{'/'.join(path)})" if path else ""
