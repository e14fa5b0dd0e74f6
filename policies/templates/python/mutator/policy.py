"""Adds labels that are missing."""

from dataclasses import dataclass
from typing import Any

from verdict_policy import AdmissionRequest, Change, SettingsError, Unchanged, decode_settings


@dataclass
class Settings:
    """What the operator sets: the labels, and their values where they are missing."""

    labels: dict[str, str]

    def __post_init__(self) -> None:
        if not self.labels:
            raise SettingsError("/labels", "expected at least one label")


# Set by init, before anything asks for it.
config: Settings


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any review."""
    global config
    config = decode_settings(Settings, settings)


def mutate(request: AdmissionRequest) -> Change | Unchanged:
    # A delete has no object.
    if request.object is None:
        return Unchanged()
    metadata = request.object.setdefault("metadata", {})
    labels = metadata.get("labels") or {}
    if config.labels.keys() <= labels.keys():
        return Unchanged()
    metadata["labels"] = {**config.labels, **labels}
    # The server makes the patch. Numbers that nobody touched are as they were.
    return Change(request.object)
