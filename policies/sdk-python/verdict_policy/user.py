"""Who asks, or who was recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class UserInfo:
    """authentication.k8s.io/v1 UserInfo."""

    #: Unique among all active users, for example ``system:serviceaccount:default:builder``.
    username: str = ""
    #: Tells users apart that had the same name at different times.
    uid: str = ""
    groups: Sequence[str] = ()
    #: What else the authenticator knows of the user; a key may have several values.
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
