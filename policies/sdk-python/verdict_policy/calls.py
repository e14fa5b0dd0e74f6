"""One call of a policy, the same in the component and in unit tests: what it may return, and its exceptions in words.

For the component's glue and for testing, not for policies.
"""

from __future__ import annotations

import os
from types import ModuleType, TracebackType
from typing import Any

from . import actions
from .admission import AdmissionRequest, Allow, Change, Deny, JSONPatch, MergePatch, Unchanged
from .answers import check, encodable
from .authentication import Authenticated, Rejected, TokenReview, Unknown
from .authorization import Ruling, SubjectAccessReview
from .changes import Action, ObjectChange
from .json import dumps, loads
from .settings import SettingsError, SettingsErrors

_MOST_CAUSES = 100
_SDK = os.path.dirname(__file__)


class PolicyError(Exception):
    """The policy could not decide; in words for the server's log."""


def init(policy: ModuleType, settings: str) -> None:
    """Raises SettingsErrors, whatever the policy raised."""
    define = getattr(policy, "init", None)
    values = loads(settings)
    if define is None:
        if values:
            message = "unknown field; this policy has no settings (policy.py defines no init)"
            raise SettingsErrors([SettingsError("/" + key.replace("~", "~0").replace("/", "~1"), message) for key in values])
        return
    try:
        define(values)
    except SettingsErrors:
        raise
    except SettingsError as error:
        raise SettingsErrors([error]) from error
    except MemoryError:
        raise
    except BaseException as error:
        raise SettingsErrors([SettingsError("", words(policy, error))]) from error


def cleanup(policy: ModuleType) -> None:
    define = getattr(policy, "cleanup", None)
    if define is not None:
        _call(policy, define)


def validate(policy: ModuleType, request: AdmissionRequest) -> Allow | Deny:
    answer: Allow | Deny = _answer(policy, "validate", request, (Allow, Deny))
    return answer


def mutate(policy: ModuleType, request: AdmissionRequest) -> Unchanged | Change | JSONPatch | MergePatch | Deny:
    answer: Unchanged | Change | JSONPatch | MergePatch | Deny = _answer(policy, "mutate", request, (Unchanged, Change, JSONPatch, MergePatch, Deny))
    return answer


def authenticate(policy: ModuleType, review: TokenReview) -> Authenticated | Unknown | Rejected:
    answer: Authenticated | Unknown | Rejected = _answer(policy, "authenticate", review, (Authenticated, Unknown, Rejected))
    return answer


def authorize(policy: ModuleType, review: SubjectAccessReview) -> Ruling:
    answer: Ruling = _answer(policy, "authorize", review, (Ruling,))
    return answer


def handle_event(policy: ModuleType, event: str) -> str:
    answer = _call(policy, lambda: policy.handle_event(loads(event)))
    if answer is None:
        raise PolicyError("handle_event returned None: expected any other JSON")
    return json_of("what handle_event returned", answer)


def handle_change(policy: ModuleType, change: ObjectChange) -> list[Action]:
    answer = _call(policy, policy.handle_change, change)
    try:
        actions.check(answer)
    except TypeError as error:
        raise PolicyError(str(error)) from None
    return list(answer)


def json_of(what: str, value: object) -> str:
    """The JSON of an answer."""
    try:
        return encodable(dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise PolicyError(f"{what} is no JSON: {error}") from error


def _answer(policy: ModuleType, name: str, question: Any, expected: tuple[type, ...]) -> Any:
    answer = _call(policy, getattr(policy, name), question)
    if not isinstance(answer, expected):
        # The type only: what a policy knows may be secret. Above all, a forgotten return must not allow.
        names = [it.__name__ for it in expected]
        one_of = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"a {names[0]}"
        got = answer.__name__ if isinstance(answer, type) else type(answer).__name__
        raise PolicyError(f"{name} returned {'None' if answer is None else got}: expected {one_of}")
    try:
        check(answer)
    except TypeError as error:
        raise PolicyError(f"{name} returned {type(answer).__name__} with {error}") from None
    return answer


def _call(policy: ModuleType, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except MemoryError:
        # The server tells a limit apart from an error of the policy: it must see the trap.
        raise
    except BaseException as error:
        raise PolicyError(words(policy, error)) from error


def out_of_stack(error: BaseException | None) -> bool:
    """Whether the recursion limit is what it comes from, whatever the policy made of it."""
    for _ in range(_MOST_CAUSES):
        if error is None or isinstance(error, RecursionError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, RecursionError)


def words(policy: ModuleType, error: BaseException) -> str:
    """For example ``KeyError: 'spec' (policy.py:12)``, with the innermost line that is the author's own."""
    name, text = type(error).__name__, str(error)
    what = f"{name}: {text}" if text else name
    if isinstance(error, ModuleNotFoundError):
        what += " (import it at the top of the module: a component has no files to import from later)"
    place = _place(policy, error.__traceback__)
    return f"{what} ({place})" if place else what


def _place(policy: ModuleType, traceback: TracebackType | None) -> str | None:
    folder = os.path.dirname(getattr(policy, "__file__", None) or "policy.py")
    prefix = folder + os.sep if folder else ""
    place = None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file.startswith(prefix) and not file.startswith(_SDK + os.sep) and f"{os.sep}.verdict{os.sep}" not in file:
            place = f"{file[len(prefix):]}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
