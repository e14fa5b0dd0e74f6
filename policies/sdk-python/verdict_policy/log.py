"""Lines of the server's log, under the policy's name. What is printed goes there too, as ``info``.

What an authenticator writes is dropped unless the operator grants ``log``.
"""

from __future__ import annotations

from . import host


def trace(message: str) -> None:
    host.current().log("trace", message)


def debug(message: str) -> None:
    host.current().log("debug", message)


def info(message: str) -> None:
    host.current().log("info", message)


def warn(message: str) -> None:
    host.current().log("warn", message)


def error(message: str) -> None:
    host.current().log("error", message)
