"""Containers come from allowed registries."""

from dataclasses import dataclass
from typing import Any

from verdict_policy import AdmissionRequest, Allow, Cause, Deny, SettingsError, decode_settings, field_path


@dataclass
class Settings:
    """What the operator sets: where images may come from, prefixes that end with a slash."""

    registries: list[str]

    def __post_init__(self) -> None:
        if not self.registries:
            raise SettingsError("/registries", "expected at least one prefix")
        for index, registry in enumerate(self.registries):
            if not registry.endswith("/"):
                raise SettingsError(f"/registries/{index}", f"expected a prefix that ends with /, got {registry}")


# Set by init, before anything asks for it.
config: Settings


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any review."""
    global config
    config = decode_settings(Settings, settings)


def validate(request: AdmissionRequest) -> Allow | Deny:
    # A delete has no object, and most subresources come with one of another kind.
    if request.object is None or request.subresource not in ("", "ephemeralcontainers"):
        return Allow()
    causes = []
    spec = request.object.get("spec", {})
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or []):
            image = container.get("image", "")
            if not image.startswith(tuple(config.registries)):
                path = field_path("spec", field, index, "image")
                causes.append(Cause(path, "FieldValueForbidden", f"{image} is not from an allowed registry"))
    if causes:
        return Deny(f"images must come from {', '.join(config.registries)}", causes=causes)
    return Allow()
