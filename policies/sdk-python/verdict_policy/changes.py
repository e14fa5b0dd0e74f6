"""Changes of objects of a cluster, and what is to be done about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from .json import loads

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class ObjectKey:
    """Names an object."""

    #: For example ``apps/v1``; of the core group ``v1``.
    api_version: str
    #: For example ``Deployment``.
    kind: str
    #: Empty for cluster-scoped objects.
    namespace: str
    name: str


@dataclass
class ObjectChange:
    """One change of one object. Objects are parsed when they are first asked for.

    Of each object every change comes, in order and at least once: a change may come again, so that whatever is done must
    be right when it is done twice.
    """

    #: ``ADDED``: it was not seen before. ``DELETED``: it is gone, or is none of those any more that were asked for.
    type: ChangeType
    #: The JSON texts.
    object_json: str = field(repr=False)
    old_object_json: str | None = field(default=None, repr=False)
    #: It may not have changed just now: it was there when the server began to look, or what happened meanwhile was lost, or
    #: the time of an ``Action.again_after`` is over.
    replayed: bool = False

    @cached_property
    def object(self) -> Any:
        """The object as it is since the change; of a deleted one, as it was last. Without metadata.managedFields."""
        return loads(self.object_json)

    @cached_property
    def old_object(self) -> Any:
        """As it was before. None where that is not known, and for one that is added."""
        return None if self.old_object_json is None else loads(self.old_object_json)

    @property
    def key(self) -> ObjectKey:
        """The name of the object that changed."""
        metadata = self.object["metadata"]
        return ObjectKey(self.object["apiVersion"], self.object["kind"], metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True)
class Action:
    """One thing to do, made by the functions below. The answer of a controller is a list of them.

    The server does it with the rights of the service account that the operator granted; what concerns RBAC, webhook
    configurations, API services, custom resource definitions or ``verdict.dev`` it refuses. At most 64 for a change; where
    one fails, those after it are not done, and the change comes again later.
    """

    #: As the server writes it, and as ``answer`` in the cases of ``verdict test`` has it: one field, whose name says what is to
    #: be done, such as ``{"againAfter": 30}``.
    json: Mapping[str, Any]

    @staticmethod
    def again_after(seconds: float) -> Action:
        """The same object is to be handled again after so many seconds, unless it changes before: as ``MODIFIED`` and replayed.

        In whole seconds, rounded up, from one to a day: who waits longer is asked earlier, and asks for the rest.
        """
        return Action({"againAfter": math.ceil(min(max(seconds, 1), _LONGEST))})

    @staticmethod
    def event(reason: str, note: str) -> Action:
        """An Event about the object that changed.

        The reason is one word of letters and digits, for example ``ConfigMapWritten``; the note is for people, at most 1024
        bytes.
        """
        return Action({"event": {"type": "Normal", "reason": reason, "note": note}})

    @staticmethod
    def warning(reason: str, note: str) -> Action:
        """As ``event``, of type Warning: something is wrong."""
        return Action({"event": {"type": "Warning", "reason": reason, "note": note}})

    @staticmethod
    def apply(object: Mapping[str, Any]) -> Action:
        """Server-side apply of an object, with apiVersion, kind and metadata.name.

        Its fields become as they are here, those that were here before and are not any more are removed, and all others
        stay.
        """
        return Action({"apply": object})

    @staticmethod
    def merge_patch(key: ObjectKey, patch: Mapping[str, Any]) -> Action:
        """A JSON Merge Patch (RFC 7386) of an object that is there: what is named is set, None removes."""
        return _patch(key, "MergePatch", "", patch)

    @staticmethod
    def merge_patch_status(key: ObjectKey, patch: Mapping[str, Any]) -> Action:
        """As ``merge_patch``, of the subresource ``status``: ``{"status": {...}}``.

        Only where it differs: a policy that writes what it is told of is asked again.
        """
        return _patch(key, "MergePatch", "status", patch)

    @staticmethod
    def json_patch(key: ObjectKey, operations: Sequence[Mapping[str, Any]]) -> Action:
        """A JSON Patch (RFC 6902) of an object that is there."""
        return _patch(key, "JsonPatch", "", operations)

    @staticmethod
    def json_patch_status(key: ObjectKey, operations: Sequence[Mapping[str, Any]]) -> Action:
        """As ``json_patch``, of the subresource ``status``."""
        return _patch(key, "JsonPatch", "status", operations)

    @staticmethod
    def delete(key: ObjectKey) -> Action:
        """Deletes an object. One that is not there is no error."""
        return Action({"delete": _named(key)})


def _patch(key: ObjectKey, type: str, subresource: str, patch: Any) -> Action:
    of = {"subresource": subresource} if subresource else {}
    return Action({"patch": {**_named(key), "type": type, **of, "patch": patch}})


def _named(key: ObjectKey) -> dict[str, Any]:
    namespace = {"namespace": key.namespace} if key.namespace else {}
    return {"apiVersion": key.api_version, "kind": key.kind, **namespace, "name": key.name}


#: Seconds.
_LONGEST = 86_400
