"""Paths of fields, as Kubernetes writes them in causes."""

from __future__ import annotations


def field_path(*parts: str | int) -> str:
    """For example ``field_path("spec", "containers", 0, "image")`` is ``spec.containers[0].image``.

    A key with dots or a slash would read as a path: it is written in brackets, ``metadata.labels[example.org/team]``.
    The first part is taken as it is, so that a path can be continued.
    """
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not text:
            text = part
        elif "." in part or "/" in part:
            text += f"[{part}]"
        else:
            text += f".{part}"
    return text
