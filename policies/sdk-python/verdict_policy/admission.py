"""AdmissionReview: may this object enter, and how must it be changed to enter?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from .json import loads
from .user import UserInfo


class Operation(Enum):
    """What is being done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(frozen=True)
class GroupVersionKind:
    """For example ``apps``, ``v1``, ``Deployment``."""

    group: str = ""
    version: str = ""
    kind: str = ""


@dataclass(frozen=True)
class GroupVersionResource:
    """For example ``apps``, ``v1``, ``deployments``."""

    group: str = ""
    version: str = ""
    resource: str = ""


@dataclass(frozen=True)
class Requested:
    """What the user's request named."""

    kind: GroupVersionKind
    resource: GroupVersionResource
    subresource: str = ""


@dataclass
class AdmissionRequest:
    """admission.k8s.io/v1 AdmissionRequest. Objects are parsed when they are first asked for."""

    operation: Operation
    #: Names this call, not the object.
    uid: str = ""
    #: That of ``object`` as it is sent here, maybe converted to the version that was registered.
    kind: GroupVersionKind = GroupVersionKind()
    resource: GroupVersionResource = GroupVersionResource()
    #: For example ``scale``; empty for the resource itself.
    subresource: str = ""
    #: None where the user named what ``kind``, ``resource`` and ``subresource`` say.
    requested: Requested | None = None
    #: Empty for cluster-scoped objects.
    namespace: str = ""
    #: Empty where none is known.
    name: str = ""
    user: UserInfo = UserInfo()
    #: The JSON texts as they came.
    object_json: str | None = field(default=None, repr=False)
    old_object_json: str | None = field(default=None, repr=False)
    options_json: str | None = field(default=None, repr=False)
    #: Nothing will be stored. A policy decides all the same.
    dry_run: bool = False

    def is_kind(self, group: str, kind: str) -> bool:
        """Whether the object is of this group and kind, in any version. The core group is empty."""
        return (self.kind.group, self.kind.kind) == (group, kind)

    @cached_property
    def object(self) -> Any:
        """The new object, a dict of your own. None for a delete. For connect the options, for example PodExecOptions."""
        return None if self.object_json is None else loads(self.object_json)

    @cached_property
    def old_object(self) -> Any:
        """The object as stored. None unless it is an update or a delete."""
        return None if self.old_object_json is None else loads(self.old_object_json)

    @cached_property
    def options(self) -> Any:
        """The options of the operation, for example CreateOptions; None where there are none."""
        return None if self.options_json is None else loads(self.options_json)


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with the object (meta.k8s.io/v1 StatusCause)."""

    #: For example ``spec.containers[0].image``; see :func:`field_path`.
    field: str
    #: For machines, for example ``FieldValueInvalid``.
    reason: str
    #: For the user.
    message: str


@dataclass(frozen=True)
class Deny:
    """The object may not enter. The answer of a validator or a mutator."""

    #: What is wrong and how to mend it. The user sees it.
    message: str
    #: HTTP status code, 400 to 599. When not given: 429 with ``retry_after``, else 403.
    code: int | None = field(default=None, kw_only=True)
    #: meta.k8s.io/v1 StatusReason; ``Forbidden`` when empty. With ``Invalid``, kubectl shows the causes only.
    reason: str = field(default="", kw_only=True)
    #: Each violation on its own.
    causes: Sequence[Cause] = field(default=(), kw_only=True)
    #: The request may succeed after this many seconds, 1 to 60: clients such as kubectl then try again by themselves.
    retry_after: int | None = field(default=None, kw_only=True)
    #: Shown to the user, one line each, at most 256 characters.
    warnings: Sequence[str] = field(default=(), kw_only=True)
    #: Entries of the audit log for this request.
    annotations: Mapping[str, str] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Allow:
    """The object may enter. The answer of a validator."""

    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def from_causes(message: str, causes: Sequence[Cause], **more: Any) -> Allow | Deny:
    """Allows if there is no cause, else denies with the message and all of them. ``more`` is as for :class:`Deny`."""
    if causes:
        return Deny(message, causes=causes, **more)
    return Allow(warnings=more.get("warnings", ()), annotations=more.get("annotations", {}))


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The object may enter as it is. The answer of a mutator."""

    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """The object may enter as it is here: ``request.object`` with changes. The server makes the patch.

    The API server may ask again after others changed the object: applied to its own result, a mutator must change
    nothing.
    """

    object: Any
    warnings: Sequence[str] = field(default=(), kw_only=True)
    annotations: Mapping[str, str] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class JSONPatch:
    """The object may enter with these changes (RFC 6902), a list of operations."""

    operations: Sequence[Mapping[str, Any]]
    warnings: Sequence[str] = field(default=(), kw_only=True)
    annotations: Mapping[str, str] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class MergePatch:
    """The object may enter with these changes (RFC 7386): what is given replaces, None removes."""

    patch: Any
    warnings: Sequence[str] = field(default=(), kw_only=True)
    annotations: Mapping[str, str] = field(default_factory=dict, kw_only=True)
