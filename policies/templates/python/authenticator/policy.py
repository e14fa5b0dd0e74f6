"""Knows tokens by their SHA-256 digests."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from verdict_policy import Authenticated, SettingsError, TokenReview, Unknown, UserInfo, decode_settings


@dataclass
class User:
    """One user, by the digest of the token."""

    sha256: str
    username: str
    groups: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise SettingsError("/sha256", "expected 64 hexadecimal digits, lower case")
        if not self.username:
            raise SettingsError("/username", "expected a name, got an empty one")


@dataclass
class Settings:
    """What the operator sets."""

    users: list[User]


# Set by init, before anything asks for it.
known: dict[str, User]


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any review."""
    global known
    known = {user.sha256: user for user in decode_settings(Settings, settings).users}


def authenticate(review: TokenReview) -> Authenticated | Unknown:
    # How long the look-up takes tells something of a digest, and a digest tells nothing of the token.
    user = known.get(hashlib.sha256(review.token.encode()).hexdigest())
    if user is None:
        return Unknown()
    return Authenticated(UserInfo(user.username, groups=user.groups))
