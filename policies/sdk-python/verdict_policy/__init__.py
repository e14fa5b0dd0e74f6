"""Policies for Verdict, in Python.

A policy is a module ``policy.py`` that defines what it answers: ``validate(request)``, ``mutate(request)``,
``authenticate(review)``, ``authorize(review)``, ``handle_event(event)``, ``handle_change(change)``, and if it likes
``init(settings)`` and ``cleanup()``. ``verdict build`` makes a component of it; ``verdict_policy.testing`` calls it from unit tests.

An exception means "could not decide": the operator's failurePolicy decides, and the log says where it was raised.
"""

from . import log
from .admission import (
    AdmissionRequest,
    Allow,
    Cause,
    Change,
    Deny,
    GroupVersionKind,
    GroupVersionResource,
    JSONPatch,
    MergePatch,
    Operation,
    Requested,
    Unchanged,
    from_causes,
)
from .authentication import Authenticated, Rejected, TokenReview, Unknown
from .authorization import (
    Decision,
    NonResourceAttributes,
    ResourceAttributes,
    Ruling,
    SelectorOperator,
    SelectorRequirement,
    SubjectAccessReview,
)
from .changes import Action, ChangeType, ObjectChange, ObjectKey
from .host import audit, raw_review
from .json import dumps, loads
from .path import field_path
from .podspec import PodSpecAt, pod_spec
from .settings import SettingsError, SettingsErrors, decode_settings
from .user import UserInfo

__all__ = [
    "Action",
    "AdmissionRequest",
    "Allow",
    "Authenticated",
    "Cause",
    "Change",
    "ChangeType",
    "Decision",
    "Deny",
    "GroupVersionKind",
    "GroupVersionResource",
    "JSONPatch",
    "MergePatch",
    "NonResourceAttributes",
    "ObjectChange",
    "ObjectKey",
    "Operation",
    "PodSpecAt",
    "Rejected",
    "Requested",
    "ResourceAttributes",
    "Ruling",
    "SelectorOperator",
    "SelectorRequirement",
    "SettingsError",
    "SettingsErrors",
    "SubjectAccessReview",
    "TokenReview",
    "Unchanged",
    "Unknown",
    "UserInfo",
    "audit",
    "decode_settings",
    "dumps",
    "field_path",
    "from_causes",
    "loads",
    "log",
    "pod_spec",
    "raw_review",
]
