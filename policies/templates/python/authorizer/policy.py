"""A group may read in the namespaces of a prefix."""

from dataclasses import dataclass
from typing import Any

from verdict_policy import Ruling, SettingsError, SubjectAccessReview, decode_settings


@dataclass
class Settings:
    """What the operator sets: the group, and how the names of its namespaces begin."""

    group: str
    namespace_prefix: str

    def __post_init__(self) -> None:
        if not self.group:
            raise SettingsError("/group", "expected a group, got an empty one")
        if not self.namespace_prefix:
            raise SettingsError("/namespacePrefix", "expected a prefix, got an empty one")


# Set by init, before anything asks for it.
config: Settings


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any review."""
    global config
    config = decode_settings(Settings, settings)


def authorize(review: SubjectAccessReview) -> Ruling:
    asked = review.resource
    # Of paths and of other users this policy knows nothing: others may.
    if asked is None or config.group not in review.user.groups:
        return Ruling.no_opinion()
    # `*` is all resources, so also secrets.
    reads = asked.verb in ("get", "list", "watch") and asked.resource not in ("secrets", "*")
    if reads and asked.namespace.startswith(config.namespace_prefix):
        return Ruling.allow(f"{config.group} may read in {config.namespace_prefix}*")
    return Ruling.no_opinion()
