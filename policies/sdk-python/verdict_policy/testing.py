"""Calls a policy from its unit tests as the server would, without Wasm.

    import policy
    from verdict_policy import Deny, testing

    class Test(unittest.TestCase):
        def test_other_registries_are_denied(self):
            asked = testing.Policy(policy, {"registries": ["registry.example.org/"]})
            answer = asked.validate("reviews/denied.json")
            self.assertIsInstance(answer, Deny)

One difference stays: here a policy keeps its state from one call to the next, in the server each review starts from
the state after ``init``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from . import admission, authentication, authorization, calls, changes, host
from .calls import PolicyError
from .json import dumps, loads
from .user import UserInfo

__all__ = ["Policy", "PolicyError", "admission_review", "load"]


class Policy:
    """A policy that has its settings; what they are wrong in is raised, as SettingsErrors.

    A review is a whole AdmissionReview, TokenReview or SubjectAccessReview: the path of a JSON file, or a dict. A policy
    that cannot decide raises :class:`PolicyError`; its ``__cause__`` is what the policy raised.
    """

    def __init__(self, module: ModuleType, settings: dict[str, Any] | None = None) -> None:
        self._module = module
        self._host = host.Recorder()
        self._ask()
        calls.init(module, dumps(settings or {}))

    @property
    def logged(self) -> list[tuple[str, str]]:
        """Level and message of what the last call logged."""
        return self._host.logged

    @property
    def audited(self) -> dict[str, str]:
        """The facts that the last call audited."""
        return self._host.audited

    def validate(self, review: Any) -> admission.Allow | admission.Deny:
        return calls.validate(self._module, _request(self._ask(review)))

    def mutate(
        self, review: Any
    ) -> admission.Unchanged | admission.Change | admission.JSONPatch | admission.MergePatch | admission.Deny:
        answer = calls.mutate(self._module, _request(self._ask(review)))
        for name in ("object", "operations", "patch"):
            # What the server could not read fails here too.
            calls.json_of("what mutate returned", getattr(answer, name, None))
        return answer

    def authenticate(
        self, review: Any
    ) -> authentication.Authenticated | authentication.Unknown | authentication.Rejected:
        spec = self._ask(review).get("spec", {})
        token = authentication.TokenReview(spec.get("token", ""), spec.get("audiences") or [])
        return calls.authenticate(self._module, token)

    def authorize(self, review: Any) -> authorization.Ruling:
        return calls.authorize(self._module, _access(self._ask(review).get("spec", {})))

    def handle_event(self, event: Any) -> Any:
        """The event is the path of a JSON file, or any other JSON value than a string."""
        return loads(calls.handle_event(self._module, dumps(self._ask(event))))

    def handle_change(self, change: Any) -> list[changes.Action]:
        """The change is the path of a JSON file, or a dict: ``{"type": "ADDED", "object": {...}}``, with ``oldObject`` and
        ``replayed`` where they are known."""
        it = self._ask(change)
        if it.get("type") not in ("ADDED", "MODIFIED", "DELETED") or not isinstance(it.get("object"), dict):
            raise ValueError("a change has a type, one of ADDED, MODIFIED and DELETED, and an object")
        old = None if it.get("oldObject") is None else dumps(it["oldObject"])
        asked = changes.ObjectChange(it["type"], dumps(it["object"]), old, bool(it.get("replayed")))
        actions = calls.handle_change(self._module, asked)
        for action in actions:
            # What the server could not read fails here too.
            calls.json_of("what handle_change returned", action.json)
        return actions

    def cleanup(self) -> None:
        self._ask()
        calls.cleanup(self._module)

    def _ask(self, review: Any = None) -> Any:
        self._host = host.Recorder()
        host.install(self._host)
        if isinstance(review, (str, os.PathLike)):
            review = load(review)
        self._host.review = "" if review is None else dumps(review)
        return review


def load(path: str | os.PathLike[str]) -> Any:
    """A review, or any other JSON, from a file."""
    with open(path, encoding="utf-8") as file:
        return loads(file.read())


def admission_review(
    object: Any = None,
    *,
    operation: str = "CREATE",
    old_object: Any = None,
    subresource: str = "",
    username: str = "jane",
    groups: Sequence[str] = ("system:authenticated",),
) -> dict[str, Any]:
    """An AdmissionReview of an object as a manifest has it."""
    about = object or old_object or {}
    group, _, version = about.get("apiVersion", "v1").rpartition("/")
    kind, metadata = about.get("kind", ""), about.get("metadata", {})
    resource = kind.lower() + ("es" if kind.endswith(("s", "x", "ch")) else "s")
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "6c5b5f4e-0000-4000-8000-000000000000",
            "operation": operation,
            "kind": {"group": group, "version": version, "kind": kind},
            "resource": {"group": group, "version": version, "resource": resource},
            "subResource": subresource,
            "namespace": metadata.get("namespace", "default"),
            "name": metadata.get("name", ""),
            "userInfo": {"username": username, "groups": list(groups)},
            "object": object,
            "oldObject": old_object,
        },
    }


def _request(review: dict[str, Any]) -> admission.AdmissionRequest:
    it = review["request"]
    kind, resource = _kind(it.get("kind")), _resource(it.get("resource"))
    subresource = it.get("subResource", "")
    # Who names the resource names its subresource too, by leaving it out if there is none.
    named = it.get("requestSubResource", "") if it.get("requestResource") else subresource
    requested = admission.Requested(
        _kind(it.get("requestKind")) if it.get("requestKind") else kind,
        _resource(it.get("requestResource")) if it.get("requestResource") else resource,
        named,
    )

    def text(name: str) -> str | None:
        return None if it.get(name) is None else dumps(it[name])

    return admission.AdmissionRequest(
        operation=admission.Operation(it["operation"]),
        uid=it.get("uid", ""),
        kind=kind,
        resource=resource,
        subresource=subresource,
        requested=None if requested == admission.Requested(kind, resource, subresource) else requested,
        namespace=it.get("namespace", ""),
        name=it.get("name", ""),
        user=_user(it.get("userInfo") or {}),
        object_json=text("object"),
        old_object_json=text("oldObject"),
        options_json=text("options"),
        dry_run=bool(it.get("dryRun")),
    )


def _kind(it: dict[str, str] | None) -> admission.GroupVersionKind:
    it = it or {}
    return admission.GroupVersionKind(it.get("group", ""), it.get("version", ""), it.get("kind", ""))


def _resource(it: dict[str, str] | None) -> admission.GroupVersionResource:
    it = it or {}
    return admission.GroupVersionResource(it.get("group", ""), it.get("version", ""), it.get("resource", ""))


def _user(it: dict[str, Any]) -> UserInfo:
    return UserInfo(it.get("username", ""), it.get("uid", ""), it.get("groups") or [], it.get("extra") or {})


def _access(spec: dict[str, Any]) -> authorization.SubjectAccessReview:
    # v1beta1 calls them `group`.
    groups = spec.get("groups") or spec.get("group") or []
    user = UserInfo(spec.get("user", ""), spec.get("uid", ""), groups, spec.get("extra") or {})
    path, it = spec.get("nonResourceAttributes"), spec.get("resourceAttributes") or {}
    if path is not None:
        attributes: Any = authorization.NonResourceAttributes(path.get("verb", ""), path.get("path", ""))
    else:
        names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
        texts: dict[str, Any] = {name: it.get(name, "") for name in names}
        fields, labels = _selector(it.get("fieldSelector")), _selector(it.get("labelSelector"))
        attributes = authorization.ResourceAttributes(**texts, field_selector=fields, label_selector=labels)
    return authorization.SubjectAccessReview(user, attributes)


def _selector(selector: dict[str, Any] | None) -> list[authorization.SelectorRequirement]:
    return [
        authorization.SelectorRequirement(
            it["key"], authorization.SelectorOperator(it["operator"]), it.get("values") or []
        )
        for it in (selector or {}).get("requirements") or []
    ]
