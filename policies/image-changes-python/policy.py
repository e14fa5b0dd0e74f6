"""Writes an Event about a Deployment whose images changed, with what they were."""

from typing import Any

from verdict_policy import Action, ObjectChange


def handle_change(change: ObjectChange) -> list[Action]:
    # What was before is not known of one that is new, nor after a restart.
    if change.type != "MODIFIED" or change.old_object is None:
        return []
    before, after = images(change.old_object), images(change.object)
    if before == after:
        return []
    parts = [f"{name}: {image}, was {before[name]}" for name, image in after.items() if before.get(name, image) != image]
    parts += [f"{name}: {image}, is new" for name, image in after.items() if name not in before]
    parts += [f"{name}: {image}, is gone" for name, image in before.items() if name not in after]
    actions = [Action.event("ImagesChanged", "; ".join(parts))]
    floating = [name for name, image in after.items() if is_floating(image) and not is_floating(before.get(name, ""))]
    if floating:
        actions.append(Action.warning("FloatingImage", f"{', '.join(floating)}: what the tag means may change; name a version"))
    return actions


def images(deployment: Any) -> dict[str, str]:
    """By the names of the containers."""
    spec = deployment["spec"]["template"]["spec"]
    return {it["name"]: it["image"] for field in ("initContainers", "containers") for it in spec.get(field) or []}


def is_floating(image: str) -> bool:
    """Whether it has no digest, and the tag latest or none."""
    if not image or "@" in image:
        return False
    _, _, tag = image.rpartition("/")[2].partition(":")
    return tag in ("", "latest")
