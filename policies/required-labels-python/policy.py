"""Requires labels and annotations, each with any value or one that matches a regular expression.

The same as ../required-labels, in Python.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from verdict_policy import (
    AdmissionRequest,
    Allow,
    Cause,
    Deny,
    Operation,
    SettingsError,
    SettingsErrors,
    decode_settings,
    field_path,
)


@dataclass
class Required:
    """A label or an annotation that must be there."""

    key: str
    pattern: str | None = None


@dataclass
class Settings:
    """Entries are a key alone, or an object."""

    labels: list[str | Required] = field(default_factory=list)
    annotations: list[str | Required] = field(default_factory=list)


#: Key and pattern, by what they are.
required: dict[str, dict[str, re.Pattern[str] | None]] = {}


def init(settings: dict) -> None:
    decoded = decode_settings(Settings, settings)
    if not decoded.labels and not decoded.annotations:
        raise SettingsError("", "expected at least one of labels and annotations")
    errors: list[SettingsError] = []
    required["label"] = compile_all("/labels", decoded.labels, errors)
    required["annotation"] = compile_all("/annotations", decoded.annotations, errors)
    if errors:
        raise SettingsErrors(errors)


def compile_all(
    path: str, entries: list[str | Required], errors: list[SettingsError]
) -> dict[str, re.Pattern[str] | None]:
    found: dict[str, re.Pattern[str] | None] = {}
    for index, entry in enumerate(entries):
        entry = Required(entry) if isinstance(entry, str) else entry
        if not entry.key:
            errors.append(SettingsError(f"{path}/{index}", "expected a key, got an empty one"))
        if entry.key in found:
            errors.append(SettingsError(f"{path}/{index}", f"the key {entry.key} is listed twice"))
        try:
            found[entry.key] = None if entry.pattern is None else re.compile(entry.pattern)
        except re.error as error:
            errors.append(SettingsError(f"{path}/{index}/pattern", f"expected a regular expression: {error}"))
    return found


def validate(request: AdmissionRequest) -> Allow | Deny:
    # A delete has no object, and what a subresource is sent with (a Scale, a Binding) has labels of its own.
    if request.object is None or request.subresource:
        return Allow()
    metadata = request.object.get("metadata", {})
    # What is going away only loses its finalizers, and must be able to.
    if request.operation is Operation.UPDATE and metadata.get("deletionTimestamp") is not None:
        return Allow()
    causes = [cause for name in required for cause in missing(name, metadata.get(f"{name}s") or {})]
    if not causes:
        return Allow()
    return Deny("; ".join(cause.message for cause in causes), causes=causes)


def missing(name: str, found: dict[str, str]) -> list[Cause]:
    causes = []
    for key, pattern in required[name].items():
        path = field_path("metadata", f"{name}s", key)
        if key not in found:
            causes.append(Cause(path, "FieldValueRequired", f"the {name} {key} is required"))
        elif pattern is not None and not pattern.search(found[key]):
            got = json.dumps(found[key], ensure_ascii=False)
            message = f"the {name} {key} must match {pattern.pattern}, got {got}"
            causes.append(Cause(path, "FieldValueInvalid", message))
    return causes
