"""Whether an answer is made of what its type hints say: what is not would end the component without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .admission import Cause, Deny
from .authentication import Authenticated, Rejected, Unknown
from .authorization import Decision, Ruling
from .user import UserInfo


def check(answer: Any) -> None:
    """Raises TypeError with the field."""
    if isinstance(answer, Ruling):
        _a(Decision, "decision", answer.decision)
        _a(str, "reason", answer.reason)
    elif isinstance(answer, Rejected):
        _a(str, "reason", answer.reason)
    elif isinstance(answer, Authenticated):
        _a(UserInfo, "user", answer.user)
        _a(str, "user.username", answer.user.username)
        _a(str, "user.uid", answer.user.uid)
        _texts("user.groups", answer.user.groups)
        _a(Mapping, "user.extra", answer.user.extra)
        for key, values in answer.user.extra.items():
            _a(str, "user.extra", key)
            _texts(f"user.extra[{key!r}]", values)
        _texts("audiences", answer.audiences)
    elif not isinstance(answer, Unknown):
        _admission(answer)


def _admission(answer: Any) -> None:
    _texts("warnings", answer.warnings)
    _a(Mapping, "annotations", answer.annotations)
    for key, value in answer.annotations.items():
        _a(str, "annotations", key)
        _a(str, f"annotations[{key!r}]", value)
    if not isinstance(answer, Deny):
        return
    _a(str, "message", answer.message)
    _a(str, "reason", answer.reason)
    if answer.code is not None:
        _a(int, "code", answer.code)
        if not 400 <= answer.code <= 599:
            raise TypeError(f"code {answer.code}: expected 400 to 599")
    if answer.retry_after is not None:
        _a(int, "retry_after", answer.retry_after)
        if not 1 <= answer.retry_after <= 60:
            raise TypeError(f"retry_after {answer.retry_after}: expected 1 to 60 seconds")
    _sequence("causes", answer.causes)
    for index, cause in enumerate(answer.causes):
        _a(Cause, f"causes[{index}]", cause)
        for name in ("field", "message", "reason"):
            _a(str, f"causes[{index}].{name}", getattr(cause, name))


def _a(expected: type, name: str, value: Any) -> None:
    if not isinstance(value, expected) or expected is int and isinstance(value, bool):
        raise TypeError(f"{name}: expected {_NAMES.get(expected, expected.__name__)}, got {type(value).__name__}")
    if isinstance(value, str):
        try:
            encodable(value)
        except ValueError as error:
            raise TypeError(f"{name}: {error}") from None


def encodable(text: str) -> str:
    """Itself. Raises ValueError for half a character, which JSON can smuggle in and which has no encoding."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{text[error.start]!r} is half a character") from None
    return text


def _texts(name: str, values: Any) -> None:
    _sequence(name, values)
    for index, value in enumerate(values):
        _a(str, f"{name}[{index}]", value)


def _sequence(name: str, values: Any) -> None:
    # A str is a sequence of strings too, and never meant to be one.
    if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, set, frozenset)):
        raise TypeError(f"{name}: expected a list, got {type(values).__name__}")


_NAMES: dict[type, str] = {str: "a str", int: "an int", Mapping: "a dict"}
