"""What a policy may ask of the server. In unit tests nothing is there: what is written is kept for the test."""

from __future__ import annotations

from typing import Protocol

LEVELS = ("trace", "debug", "info", "warn", "error")


class Host(Protocol):
    def log(self, level: str, message: str) -> None: ...

    def audit(self, key: str, value: str) -> None: ...

    def raw_review(self) -> str: ...


class Recorder:
    """The host of unit tests."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str]] = []
        self.audited: dict[str, str] = {}
        self.review = ""

    def log(self, level: str, message: str) -> None:
        self.logged.append((level, message))

    def audit(self, key: str, value: str) -> None:
        self.audited[key] = value

    def raw_review(self) -> str:
        return self.review


_host: Host = Recorder()


def install(host: Host) -> None:
    """For the component's glue and for testing, not for policies."""
    global _host
    _host = host


def current() -> Host:
    return _host


def audit(key: str, value: str) -> None:
    """Keeps a fact about this review: a structured line in the server's log.

    For the audit log of the API server, annotate the answer.
    """
    _host.audit(key, value)


def raw_review() -> str:
    """The whole review as it came, as JSON text; for a provider the event, for a controller the change. Empty in ``init`` and ``cleanup``.

    Needs ``review`` among the imports of ``verdict.yaml``.

    In a chain of mutators the object as changed so far is ``request.object``, not here.
    """
    return _host.raw_review()
