"""The PodSpec of any workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .admission import AdmissionRequest


@dataclass(frozen=True)
class PodSpecAt:
    """A PodSpec, and where it lies."""

    #: A part of the object that was looked through: what is changed here is changed there.
    spec: dict[str, Any]
    #: For example ``spec.template.spec``.
    path: str


def pod_spec(request: AdmissionRequest, object: Any = None) -> PodSpecAt | None:
    """Where the request's object, or another one of its kind such as ``request.old_object``, has its PodSpec.

    For Pods and for every built-in kind that has a pod template. None for other kinds, for a delete, and for subresources
    except ``ephemeralcontainers`` and ``resize`` of Pods, which are sent with the whole Pod. To change it, change ``spec`` and
    return ``Change(request.object)``.
    """
    kind = (request.kind.group, request.kind.kind)
    if request.subresource and not (kind == ("", "Pod") and request.subresource in ("ephemeralcontainers", "resize")):
        return None
    spec = request.object if object is None else object
    fields = _FIELDS.get(kind)
    if fields is None:
        return None
    for field in fields:
        spec = spec.get(field) if isinstance(spec, dict) else None
    return PodSpecAt(spec, ".".join(fields)) if isinstance(spec, dict) else None


_TEMPLATE = ("spec", "template", "spec")
_FIELDS = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
}
