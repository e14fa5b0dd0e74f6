"""SubjectAccessReview: may this user do this?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .user import UserInfo


class SelectorOperator(Enum):
    """How a selector requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True)
class SelectorRequirement:
    """One requirement of a selector; all of them must hold."""

    key: str
    operator: SelectorOperator
    values: Sequence[str] = ()


@dataclass(frozen=True)
class ResourceAttributes:
    """authorization.k8s.io/v1 ResourceAttributes."""

    #: get, list, watch, create, update, patch, delete, deletecollection, or a special one; ``*`` means all.
    verb: str = ""
    #: Empty for the core group.
    group: str = ""
    version: str = ""
    #: In the plural, for example ``pods``.
    resource: str = ""
    subresource: str = ""
    #: Empty for cluster-scoped resources, and for "all namespaces".
    namespace: str = ""
    #: Empty for "all names".
    name: str = ""
    #: Narrows a list, watch or deletecollection. A policy may ignore it, since it only narrows.
    field_selector: Sequence[SelectorRequirement] = ()
    label_selector: Sequence[SelectorRequirement] = ()


@dataclass(frozen=True)
class NonResourceAttributes:
    """A path that is no resource, for example ``/healthz``."""

    #: An HTTP method in lower case.
    verb: str = ""
    path: str = ""


@dataclass(frozen=True)
class SubjectAccessReview:
    """authorization.k8s.io/v1 SubjectAccessReviewSpec. It asks about either a resource or a path."""

    user: UserInfo
    attributes: ResourceAttributes | NonResourceAttributes

    @property
    def resource(self) -> ResourceAttributes | None:
        """The attributes, if a resource is asked about."""
        return self.attributes if isinstance(self.attributes, ResourceAttributes) else None

    @property
    def non_resource(self) -> NonResourceAttributes | None:
        """The attributes, if a path is asked about."""
        return self.attributes if isinstance(self.attributes, NonResourceAttributes) else None


class Decision(Enum):
    """Allow and deny end the question; with no opinion the next authorizer is asked."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no-opinion"


@dataclass(frozen=True)
class Ruling:
    """The answer of one authorizer."""

    decision: Decision
    #: Shown to the user on denial, and kept in the audit log.
    reason: str = ""

    @staticmethod
    def allow(reason: str = "") -> Ruling:
        return Ruling(Decision.ALLOW, reason)

    @staticmethod
    def deny(reason: str) -> Ruling:
        return Ruling(Decision.DENY, reason)

    @staticmethod
    def no_opinion(reason: str = "") -> Ruling:
        return Ruling(Decision.NO_OPINION, reason)
