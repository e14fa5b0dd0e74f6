"""Turns deployment events into notifications."""

from dataclasses import dataclass
from typing import Any

from verdict_policy import SettingsError, audit, decode_settings


@dataclass
class Settings:
    """What the operator sets: the share of replicas that must be ready."""

    minimum: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= 1:
            raise SettingsError("/minimum", f"expected a share from 0 to 1, got {self.minimum}")


@dataclass
class Event:
    """A deployment, and how many of its replicas are ready."""

    namespace: str
    name: str
    replicas: int
    ready: int


# Set by init, before anything asks for it.
config: Settings


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any event."""
    global config
    config = decode_settings(Settings, settings)


def handle_event(event: Any) -> dict[str, str]:
    # Another shape is an error, which names the field.
    it = decode_settings(Event, event)
    healthy = it.replicas == 0 or it.ready / it.replicas >= config.minimum
    severity = "ok" if healthy else "warning"
    audit("severity", severity)
    return {"severity": severity, "text": f"{it.namespace}/{it.name}: {it.ready} of {it.replicas} replicas are ready"}
