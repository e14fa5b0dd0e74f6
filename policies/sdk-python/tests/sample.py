"""A policy that answers everything, as its settings say."""

import sys

from verdict_policy import (
    Allow, Authenticated, Cause, Change, Deny, Rejected, Ruling, SettingsError, Unchanged, Unknown, UserInfo, audit,
    field_path, log, raw_review,
)

answer = None


def init(settings):
    global answer
    if settings.get("do") == "bad":
        raise SettingsError("/do", "expected better")
    if settings.get("do") == "worse":
        return settings["missing"]
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
