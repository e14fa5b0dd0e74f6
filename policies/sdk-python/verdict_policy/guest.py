"""Inside the component: between the bindings of componentize-py and the policy. Generated glue calls ``exports``.

The policy is imported when the component is built, and only then are there files. It is initialised once per
component: every review starts from a copy of the memory as it is after ``init``.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from . import admission, authentication, authorization, calls, changes, host, kept
from .settings import SettingsErrors
from .user import UserInfo


class Bindings(host.Host):
    """The imports of the component. While it is built nobody answers: what is logged then, ``init`` repeats."""

    def __init__(self) -> None:
        self._early: list[tuple[str, str]] | None = []
        self._log: Any = None
        self._audit: Any = None
        self._review: Any = None

    def connect(self, log: Any, audit_log: Any, review: Any) -> None:
        self._log, self._audit, self._review = log, audit_log, review

    def start(self) -> None:
        """At ``init``: only now there is a server."""
        early, self._early = self._early, None
        for level, message in early or ():
            self.log(level, message)

    def early(self) -> list[tuple[str, str]]:
        """What was logged before there was a server."""
        return self._early or []

    def log(self, level: str, message: str) -> None:
        if self._early is not None:
            self._early.append((level, message))
        elif self._log is not None:
            self._log.write(self._log.Level[level.upper()], _text(message))

    def audit(self, key: str, value: str) -> None:
        if self._early is None:
            _imported(self._audit, "audit-log").write(_text(key), _text(value))

    def raw_review(self) -> str:
        return _imported(self._review, "review").raw() if self._early is None else ""


def _imported(interface: Any, name: str) -> Any:
    """`verdict build` refuses such calls where it sees them; one through getattr it does not."""
    if interface is None:
        raise RuntimeError(f"the component does not import {name}: add it to the imports of verdict.yaml")
    return interface


class Lines(io.TextIOBase):
    """Standard output and error as lines of the log: the real ones are handles, which no snapshot can carry."""

    def __init__(self, bindings: Bindings, level: str) -> None:
        self._bindings, self._level, self._rest = bindings, level, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._bindings.log(self._level, line)
        return len(text)

    def end(self) -> None:
        if self._rest:
            self.write("\n")


_bindings = Bindings()
_out = Lines(_bindings, "info")
_err = Lines(_bindings, "warn")


@contextmanager
def importing() -> Iterator[None]:
    """While the policy is imported. Where that fails, what was printed and why it failed are for its author."""
    host.install(_bindings)
    sys.stdout, sys.stderr = _out, _err
    try:
        yield
    except BaseException:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        for _, message in _bindings.early():
            print(message, file=sys.stderr)
        raise


def keep_files(left_out: list[str]) -> None:
    """What lies beside the policy and in packages, for what they read: while they are imported, so that nothing of the file system
    is left in the component, and while a review is answered."""
    # The folders that `verdict build` gives to componentize-py, by their numbers. Two, the SDK, needs none.
    kept.keep(["/1", "/3"], left_out)


def exports(policy: ModuleType, err: Any, imports: Any, interfaces: Any) -> dict[str, Any]:
    """The classes that componentize-py looks for, for the interfaces of the world. ``err`` is its exception."""
    _bindings.connect(*(getattr(imports, name, None) for name in ("log", "audit_log", "review")))
    # What modules of Python import when their functions are first called, which is too late.
    for module, late in _LATE.items():
        if module in sys.modules:
            for name in late:
                importlib.import_module(name)

    def guarded(function: Any) -> Any:
        """What it raises becomes the error of the contract; out of memory stays a trap."""

        def call(self: object, *arguments: Any) -> Any:
            _reseed()
            try:
                return function(*arguments)
            except calls.PolicyError as error:
                if calls.out_of_stack(error):
                    # A limit, which is not for the policy's own error to hide.
                    imports.guest_runtime.out_of_stack()
                raise err(_text(str(error))) from None
            finally:
                _out.end()
                _err.end()

        return call

    def init(settings: str) -> None:
        _bindings.start()
        # What Python knows of it is what was there when the component was built.
        os.environ.update(_environment(imports.guest_runtime))
        lifecycle = interfaces.lifecycle
        try:
            calls.init(policy, settings)
        except SettingsErrors as all:
            raise err([lifecycle.SettingsError(_text(it.path), _text(it.message)) for it in all.errors]) from None
        # What is here now lives as long as the instance: looking through it again would only touch its memory.
        gc.collect()
        gc.freeze()

    classes = {"Lifecycle": {"init": guarded(init)}}
    if hasattr(policy, "cleanup"):
        classes["Cleanup"] = {"cleanup": guarded(lambda: calls.cleanup(policy))}

    def answers(interface: str, function: str, answer: Any) -> None:
        name = interface.capitalize()
        if hasattr(interfaces, name):
            to = getattr(interfaces, interface, None)
            classes[name] = {function: guarded(lambda question: answer(policy, to, imports, question))}

    answers("validating", "validate", _validation)
    answers("mutating", "mutate", _mutation)
    answers("authentication", "authenticate", _outcome)
    answers("authorization", "authorize", _ruling)
    answers("provider", "handle_event", _reply)
    answers("changes", "handle", _actions)
    return {name: type(name, (), methods) for name, methods in classes.items()}


_LATE = {
    "datetime": ["_strptime"],
    "time": ["_strptime"],
    "zoneinfo": ["importlib.resources"],
    "importlib.resources": ["importlib.readers"],
}


def _environment(runtime: Any) -> dict[str, str]:
    """The variables that are granted: eight bytes at a time, and a zero byte after each."""
    size = runtime.environment_bytes()
    words = (runtime.environment_word(index) for index in range((size + 7) // 8))
    text = b"".join(word.to_bytes(8, "little") for word in words)[:size].decode("utf-8", "replace")
    return {name: value for name, _, value in (it.partition("=") for it in text.split("\0")) if name}


def _reseed() -> None:
    """The state of ``random`` is in the snapshot, so every review would draw the same."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed()


def _text(value: object) -> str:
    """A str that has an encoding: JSON can smuggle in half a character."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _validation(policy: ModuleType, to: Any, imports: Any, request: Any) -> Any:
    shared = imports.admission
    answer = calls.validate(policy, _request(request))
    outcome = to.Outcome_Denied(_denial(shared, answer)) if isinstance(answer, admission.Deny) else to.Outcome_Allowed()
    return to.Validation(outcome, list(answer.warnings), _annotations(shared, answer))


def _mutation(policy: ModuleType, to: Any, imports: Any, request: Any) -> Any:
    shared = imports.admission
    answer = calls.mutate(policy, _request(request))
    if isinstance(answer, admission.Deny):
        outcome = to.Outcome_Denied(_denial(shared, answer))
    else:
        outcome = to.Outcome_Allowed(_change(to, answer))
    return to.Mutation(outcome, list(answer.warnings), _annotations(shared, answer))


def _change(to: Any, answer: Any) -> Any:
    if isinstance(answer, admission.Change):
        return to.Change_Full(calls.json_of(_CHANGED, answer.object))
    if isinstance(answer, admission.JSONPatch):
        return to.Change_JsonPatch(calls.json_of(_CHANGED, answer.operations))
    if isinstance(answer, admission.MergePatch):
        return to.Change_MergePatch(calls.json_of(_CHANGED, answer.patch))
    return to.Change_Unchanged()


_CHANGED = "what mutate returned"


def _denial(shared: Any, deny: admission.Deny) -> Any:
    causes = [shared.Cause(str(it.field), it.reason, it.message) for it in deny.causes]
    return shared.Denial(deny.message, deny.code, deny.reason, causes, deny.retry_after)


def _annotations(shared: Any, answer: Any) -> list[Any]:
    return [shared.Annotation(key, value) for key, value in answer.annotations.items()]


def _request(it: Any) -> admission.AdmissionRequest:
    return admission.AdmissionRequest(
        operation=admission.Operation[it.operation.name],
        uid=it.uid,
        kind=_kind(it.kind),
        resource=_resource(it.resource),
        subresource=it.subresource,
        requested=it.requested
        and admission.Requested(_kind(it.requested.kind), _resource(it.requested.resource), it.requested.subresource),
        namespace=it.namespace,
        name=it.name,
        user=_user(it.user),
        object_json=it.object,
        old_object_json=it.old_object,
        options_json=it.options,
        dry_run=it.dry_run,
    )


def _kind(it: Any) -> admission.GroupVersionKind:
    return admission.GroupVersionKind(it.group, it.version, it.kind)


def _resource(it: Any) -> admission.GroupVersionResource:
    return admission.GroupVersionResource(it.group, it.version, it.resource)


def _user(it: Any) -> UserInfo:
    return UserInfo(it.username, it.uid, it.groups, {extra.key: extra.values for extra in it.extra})


def _outcome(policy: ModuleType, to: Any, imports: Any, review: Any) -> Any:
    shared = imports.types
    answer = calls.authenticate(policy, authentication.TokenReview(review.token, review.audiences))
    if isinstance(answer, authentication.Authenticated):
        user = answer.user
        extra = [shared.ExtraEntry(key, list(values)) for key, values in user.extra.items()]
        known = shared.UserInfo(user.username, user.uid, list(user.groups), extra)
        return to.Outcome_Authenticated(to.Identity(known, list(answer.audiences)))
    if isinstance(answer, authentication.Rejected):
        return to.Outcome_Rejected(answer.reason)
    return to.Outcome_Unknown()


def _ruling(policy: ModuleType, to: Any, imports: Any, review: Any) -> Any:
    asked = review.attributes.value
    if isinstance(review.attributes, to.Attributes_NonResource):
        attributes: Any = authorization.NonResourceAttributes(asked.verb, asked.path)
    else:
        attributes = authorization.ResourceAttributes(
            asked.verb,
            asked.group,
            asked.version,
            asked.resource,
            asked.subresource,
            asked.namespace,
            asked.name,
            _selector(asked.field_selector),
            _selector(asked.label_selector),
        )
    answer = calls.authorize(policy, authorization.SubjectAccessReview(_user(review.user), attributes))
    return to.Ruling(to.Decision[answer.decision.name], answer.reason)


def _reply(policy: ModuleType, to: Any, imports: Any, event: str) -> str:
    return calls.handle_event(policy, event)


def _actions(policy: ModuleType, to: Any, imports: Any, change: Any) -> list[Any]:
    kind = change.type.name
    asked = changes.ObjectChange(kind, change.object, change.old_object, change.replayed)
    return [_action(to, it.json) for it in calls.handle_change(policy, asked)]


def _action(to: Any, action: Any) -> Any:
    ((name, value),) = action.items()
    if name == "againAfter":
        return to.Action_AgainAfter(value)
    if name == "event":
        kind = to.EventType[value.get("type", "Normal").upper()]
        return to.Action_Event(to.ObjectEvent(kind, value["reason"], value.get("note", "")))
    if name == "apply":
        return to.Action_Apply(calls.json_of(_WANTED, value))
    if name == "patch":
        kind = to.PatchType.JSON_PATCH if value["type"] == "JsonPatch" else to.PatchType.MERGE_PATCH
        patch = calls.json_of(_WANTED, value["patch"])
        return to.Action_Patch(to.ObjectPatch(_key(to, value), kind, patch, value.get("subresource", "")))
    return to.Action_Delete(_key(to, value))


def _key(to: Any, it: Any) -> Any:
    return to.ObjectKey(it["apiVersion"], it["kind"], it.get("namespace", ""), it["name"])


_WANTED = "what handle_change returned"


def _selector(requirements: Any) -> list[authorization.SelectorRequirement]:
    return [
        authorization.SelectorRequirement(it.key, authorization.SelectorOperator[it.operator.name], it.values)
        for it in requirements
    ]
