"""A policy that answers everything, as its settings say."""

import sys

from verdict_policy import (
    Action, Allow, Authenticated, Cause, Change, Deny, ObjectKey, Rejected, Ruling, SettingsError, Unchanged, Unknown,
    UserInfo, audit, field_path, log, raw_review,
)

answer = None


def init(settings):
    global answer
    if settings.get("do") == "bad":
        raise SettingsError("/do", "expected better")
    if settings.get("do") == "worse":
        return settings["missing"]
    global actions
    actions = settings.get("actions")
    answer = ANSWERS.get(settings.get("do"), lambda request: Allow())


def validate(request):
    log.info(f"asked {request.name}")
    audit("operation", request.operation.value)
    return answer(request)


def mutate(request):
    if "labels" in request.object["metadata"]:
        return Unchanged()
    request.object["metadata"]["labels"] = {"team": "unknown"}
    return Change(request.object, warnings=["no team"])


def authenticate(review):
    if review.token == "expired":
        return Rejected("expired")
    if review.token != "correct-horse":
        return Unknown()
    return Authenticated(UserInfo("jane", groups=["developers"]), audiences=review.audiences)


def authorize(review):
    if review.resource is None:
        return Ruling.no_opinion()
    return Ruling.allow("reader") if review.resource.verb == "get" else Ruling.deny("read only")


def handle_event(event):
    return {"seen": event, "raw": raw_review()}


def handle_change(change):
    if actions is not None:
        return [Action(it) for it in actions] if isinstance(actions, list) else WRONG[actions]
    other = ObjectKey("v1", "Node", "", "n")
    return [
        Action.again_after(0.2),
        Action.again_after(1e9),
        Action.event("Seen", f"{change.type} {change.replayed} {change.old_object}"),
        Action.warning("Bad", "it is bad"),
        Action.apply(change.object),
        Action.merge_patch(change.key, {"spec": None}),
        Action.merge_patch_status(change.key, {"status": {}}),
        Action.json_patch(other, [{"op": "remove", "path": "/a"}]),
        Action.json_patch_status(other, ()),
        Action.delete(change.key),
    ]


WRONG = {
    "none": None,
    "text": "text",
    "dict": [{"againAfter": 1}],
    "many": [Action.again_after(1)] * 65,
    "set": [Action.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {1}})],
    "half": [Action.event("A", "a \ud800")],
}


def deny(request):
    field = field_path("metadata", "labels", "example.org/team")
    return Deny("no", code=422, causes=[Cause(field, "FieldValueRequired", "is required")])


ANSWERS = {
    "deny": deny,
    "raise": lambda request: request.object["nothing"],
    "exit": lambda request: sys.exit(3),
    "none": lambda request: None,
    "class": lambda request: Allow,
    "change": lambda request: Change(request.object),
    "warnings": lambda request: Allow(warnings="text"),
    "code": lambda request: Deny("no", code=200),
    "cause": lambda request: Deny("no", causes=["text"]),
    "message": lambda request: Deny(None),
    "half": lambda request: Deny("a \ud800"),
}
