"""Settings: what is wrong with them, and their way into a dataclass."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from .json import dumps

T = TypeVar("T")


class SettingsError(Exception):
    """One thing that is wrong with the settings: ``raise SettingsError("/labels/0", "expected a key, got an empty one")``."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        #: A JSON Pointer into the settings; empty for the whole.
        self.path = path
        #: What was expected and what came, for the operator.
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SettingsErrors(Exception):
    """All that is wrong with the settings."""

    def __init__(self, errors: Sequence[SettingsError]) -> None:
        super().__init__(tuple(errors))
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "; ".join(map(str, self.errors))


def decode_settings(into: type[T], settings: Any) -> T:
    """The settings as a dataclass, by its type hints: str, bool, int, float, Any, list, dict with str keys, Literal,
    Enum, ``X | None``, other unions, and dataclasses.

    A field ``namespace_prefix`` is ``namespacePrefix`` in the settings. Unknown fields are errors, and all errors are
    raised together as :class:`SettingsErrors`, each with its path. A ``SettingsError`` or ValueError that
    ``__post_init__`` raises counts too; its path is relative to that object.
    """
    errors: list[SettingsError] = []
    value: T = _decode(into, settings, "", errors)
    if errors:
        raise SettingsErrors(errors)
    return value


class _Bad:
    """In place of a value that has an error."""


_BAD: Any = _Bad()


def _decode(hint: Any, value: Any, path: str, errors: list[SettingsError]) -> Any:
    def fail(message: str) -> Any:
        errors.append(SettingsError(path, message))
        return _BAD

    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, value, path, errors)
    if not _fits(hint, value):
        return fail(f"expected {_describe(hint)}, got {_kind(value)}")
    if origin is typing.Literal or hint in (str, bool, int, type(None)):
        return value
    if hint is float:
        return float(value)
    if origin in (list, Sequence) or hint is list:
        (item,) = arguments or (Any,)
        return [_decode(item, it, f"{path}/{index}", errors) for index, it in enumerate(value)]
    if origin in (dict, Mapping) or hint is dict:
        item = arguments[1] if arguments else Any
        return {key: _decode(item, it, f"{path}/{_escape(key)}", errors) for key, it in value.items()}
    if issubclass(hint, Enum):
        return hint(value)
    return _decode_fields(hint, value, path, errors)


def _decode_fields(into: Any, value: dict[str, Any], path: str, errors: list[SettingsError]) -> Any:
    hints = typing.get_type_hints(into)
    fields = {_camel(it.name): it for it in dataclasses.fields(into) if it.init}
    before = len(errors)
    known: dict[str, Any] = {}
    for name, item in value.items():
        at = f"{path}/{_escape(name)}"
        if name in fields:
            known[fields[name].name] = _decode(hints[fields[name].name], item, at, errors)
        else:
            expected = ", ".join(sorted(fields)) or "none"
            errors.append(SettingsError(at, f"unknown field; expected {expected}"))
    for name, it in fields.items():
        required = it.default is dataclasses.MISSING and it.default_factory is dataclasses.MISSING
        if required and name not in value:
            errors.append(SettingsError(path, f"missing field {name}"))
    if len(errors) > before:
        return _BAD
    try:
        return into(**known)
    except SettingsErrors as error:
        errors.extend(SettingsError(path + it.path, it.message) for it in error.errors)
    except SettingsError as error:
        errors.append(SettingsError(path + error.path, error.message))
    except ValueError as error:
        errors.append(SettingsError(path, str(error)))
    return _BAD


def _decode_union(hints: tuple[Any, ...], value: Any, path: str, errors: list[SettingsError]) -> Any:
    """By the first that the value can be at all, so that errors are those of what was meant."""
    for hint in hints:
        if _fits(hint, value):
            return _decode(hint, value, path, errors)
    expected = " or ".join(_describe(it) for it in hints if it is not type(None))
    errors.append(SettingsError(path, f"expected {expected}, got {_kind(value)}"))
    return _BAD


def _fits(hint: Any, value: Any) -> bool:
    """Whether the value is of the hint's kind, whatever is within it."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin is typing.Literal:
        return any(type(it) is type(value) and it == value for it in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return any(_fits(it, value) for it in typing.get_args(hint))
    if origin in (list, Sequence) or hint is list:
        return isinstance(value, list)
    if origin in (dict, Mapping) or hint is dict or dataclasses.is_dataclass(hint):
        return isinstance(value, dict)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return any(it.value == value for it in hint)
    raise TypeError(f"settings cannot be of type {hint}: see decode_settings")


def _describe(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(_shown, typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(_shown(it.value) for it in hint)
    if origin in (list, Sequence) or hint is list:
        return "an array"
    if origin in (dict, Mapping) or hint is dict:
        return "an object"
    if dataclasses.is_dataclass(hint):
        return "{" + ", ".join(_camel(it.name) for it in dataclasses.fields(hint)) + "}"
    return {str: "a string", bool: "true or false", int: "an integer", float: "a number"}.get(hint, str(hint))


def _kind(value: Any) -> str:
    """Never the value itself: settings may be secrets, and this goes to logs."""
    kinds = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return kinds.get(type(value), "null")


def _shown(value: Any) -> str:
    text = dumps(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(it.capitalize() for it in rest)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
