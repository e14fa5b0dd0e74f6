"""Whether actions have the form that the server takes: what is wrong is told with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import encodable
from .changes import Action

_MOST = 64
_LONGEST = 86_400
_REASON = re.compile("[A-Za-z0-9]{1,128}")
_KEY = ("apiVersion", "kind", "namespace", "name")


def check(actions: Any) -> None:
    """Raises TypeError with the action and its field."""
    if isinstance(actions, (str, bytes)) or not isinstance(actions, Sequence):
        got = "None" if actions is None else type(actions).__name__
        raise TypeError(f"handle_change returned {got}: expected a list of Action, [] for nothing")
    if len(actions) > _MOST:
        raise TypeError(f"handle_change returned {len(actions)} actions: a change may have {_MOST}")
    for at, action in enumerate(actions):
        try:
            _action(action)
        except TypeError as error:
            raise TypeError(f"handle_change returned action {at} with {error}") from None


def _action(action: Any) -> None:
    if not isinstance(action, Action):
        raise TypeError(f"another type: expected Action, got {type(action).__name__}")
    _mapping("json", action.json)
    if len(action.json) != 1:
        raise TypeError(f"{len(action.json)} fields: expected exactly one of {', '.join(_CHECKS)}")
    ((name, value),) = action.json.items()
    if name not in _CHECKS:
        raise TypeError(f"a field {name}: expected one of {', '.join(_CHECKS)}")
    _CHECKS[name](name, value)


def _again_after(place: str, seconds: Any) -> None:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError(f"{place}: expected an int, got {type(seconds).__name__}")
    if not 1 <= seconds <= _LONGEST:
        raise TypeError(f"{place} {seconds}: expected 1 to {_LONGEST} seconds")


def _event(place: str, event: Any) -> None:
    _fields(place, event, ("type", "reason", "note"))
    _one_of(f"{place}.type", event.get("type", "Normal"), ("Normal", "Warning"))
    if not _REASON.fullmatch(_text(place, event, "reason")):
        raise TypeError(f"{place}.reason: expected a word of at most 128 letters and digits")
    _text(place, {"note": "", **event}, "note")


def _apply(place: str, object: Any) -> None:
    _mapping(place, object)
    _text(place, object, "apiVersion")
    _text(place, object, "kind")
    metadata = object.get("metadata")
    _mapping(f"{place}.metadata", metadata)
    _name(f"{place}.metadata", metadata)


def _patch(place: str, patch: Any) -> None:
    _fields(place, patch, (*_KEY, "type", "subresource", "patch"))
    _key(place, patch)
    _one_of(f"{place}.type", patch.get("type"), ("JsonPatch", "MergePatch"))
    _one_of(f"{place}.subresource", patch.get("subresource", ""), ("", "status"))
    change = patch.get("patch")
    if patch["type"] == "MergePatch":
        _mapping(f"{place}.patch", change)
    elif not isinstance(change, (list, tuple)):
        raise TypeError(f"{place}.patch: expected a list of operations, got {type(change).__name__}")


def _delete(place: str, key: Any) -> None:
    _fields(place, key, _KEY)
    _key(place, key)


def _key(place: str, key: Mapping[str, Any]) -> None:
    _text(place, key, "apiVersion")
    _text(place, key, "kind")
    _name(place, key)


def _name(place: str, given: Mapping[str, Any]) -> None:
    _text(place, {"namespace": "", **given}, "namespace")
    if not _text(place, given, "name"):
        raise TypeError(f"{place}.name: expected a name, got an empty one")


def _text(place: str, given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise TypeError(f"{place}.{name}: expected a str, got {type(value).__name__}")
    try:
        return encodable(value)
    except ValueError as error:
        raise TypeError(f"{place}.{name}: {error}") from None


def _mapping(place: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{place}: expected a dict, got {type(value).__name__}")


def _fields(place: str, value: Any, known: tuple[str, ...]) -> None:
    _mapping(place, value)
    for name in value:
        if name not in known:
            raise TypeError(f"{place}.{name}: unknown field; expected {', '.join(known)}")


def _one_of(place: str, value: Any, words: tuple[str, ...]) -> None:
    if value not in words:
        raise TypeError(f"{place}: expected {' or '.join(it for it in words if it)}")


_CHECKS = {"againAfter": _again_after, "event": _event, "apply": _apply, "patch": _patch, "delete": _delete}
