"""TokenReview: who is the bearer of this token?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .user import UserInfo


@dataclass(frozen=True)
class TokenReview:
    """authentication.k8s.io/v1 TokenReviewSpec."""

    #: The opaque bearer token. A secret: it is in no representation of this object.
    token: str = field(repr=False)
    #: The audiences for which the token must be good. Empty: those of the API server.
    audiences: Sequence[str] = ()


@dataclass(frozen=True)
class Authenticated:
    """The token is good."""

    user: UserInfo
    #: For which of the asked audiences. Empty: good for the API server's own only.
    audiences: Sequence[str] = ()


@dataclass(frozen=True)
class Unknown:
    """Not a token of this policy's: the next authenticator is asked."""


@dataclass(frozen=True)
class Rejected:
    """A token of this policy's, and no good (expired, revoked): nobody else is asked."""

    #: For the log.
    reason: str
