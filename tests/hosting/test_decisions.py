"""Who may do what in the hosted registry: each permission, each scope."""

from __future__ import annotations

import pytest

from service.domain.errors import InvalidInput, NotAllowed, NotFound
from service.domain.identity import Principal, Scope
from service.hosting.decisions import admit, decide, decide_artifact, sees_everything
from service.hosting.table import Permission, Route

SCOPES = (
    "admin",
    "audit",
    "track",
    "browse",
    "read:prod",
    "promote:prod",
    "read:*",
    "read:qa",
    "promote:qa",
    "import:*",
)
ALLOWED = {
    Permission.STAGES: {"admin", "track", "browse", "read:prod", "promote:prod", "read:*"},
    Permission.PROMOTE: {"admin", "promote:prod"},
    Permission.BROWSE: {"admin", "track", "browse"},
    Permission.TRACK: {"admin", "track"},
    Permission.ADMIN: {"admin"},
}


def who(*scopes: str) -> Principal:
    return Principal("id", "someone", tuple(Scope.parse(scope) for scope in scopes))


def route(permission: Permission) -> Route:
    return Route("/some/path", {}, permission)


@pytest.mark.parametrize("permission", Permission)
def test_in_an_environment(permission: Permission) -> None:
    for scope in SCOPES:
        if scope in ALLOWED[permission]:
            decide(who(scope), route(permission), "prod")
        else:
            with pytest.raises(NotAllowed) as refusal:
                decide(who(scope), route(permission), "prod")
            needed = refusal.value.where["needed"].split(" or ")
            assert set(needed) <= ALLOWED[permission], "what it says is needed would do"
            assert refusal.value.detail.endswith(f"{' or '.join(needed)}.")


def test_without_an_environment_there_are_no_stages() -> None:
    for scope in SCOPES:
        with pytest.raises(InvalidInput):
            decide(who(scope), route(Permission.PROMOTE), "")
        if scope in ("admin", "track", "browse"):
            decide(who(scope), route(Permission.STAGES), "")
        else:
            with pytest.raises(NotAllowed):
                decide(who(scope), route(Permission.STAGES), "")


def test_who_sees_everything() -> None:
    assert {scope for scope in SCOPES if sees_everything(who(scope))} == {"admin", "track", "browse"}


def allowed(scope: str, digest: str, writes: bool) -> str:
    try:
        decide_artifact(who(scope), "some/path", digest, writes, "prod", {"sha256:a"})
    except (NotAllowed, NotFound) as refusal:
        return type(refusal).__name__
    return "yes"


@pytest.mark.parametrize(
    ("scope", "held", "not_held", "of_a_run", "written"),
    [
        ("admin", "yes", "yes", "yes", "yes"),
        ("track", "yes", "yes", "yes", "yes"),
        ("browse", "yes", "yes", "yes", "NotAllowed"),
        ("read:prod", "yes", "NotFound", "NotAllowed", "NotAllowed"),
        ("promote:prod", "yes", "NotFound", "NotAllowed", "NotAllowed"),
        ("read:qa", "NotAllowed", "NotAllowed", "NotAllowed", "NotAllowed"),
        ("audit", "NotAllowed", "NotAllowed", "NotAllowed", "NotAllowed"),
    ],
)
def test_artifacts(scope: str, held: str, not_held: str, of_a_run: str, written: str) -> None:
    assert allowed(scope, "sha256:a", writes=False) == held
    assert allowed(scope, "sha256:b", writes=False) == not_held
    assert allowed(scope, "", writes=False) == of_a_run
    assert allowed(scope, "", writes=True) == written


def test_what_is_not_hosted_is_not_there_for_anybody() -> None:
    with pytest.raises(NotFound, match="this registry has webhooks of its own"):
        admit(who("admin"), "POST", "/api/2.0/mlflow/webhooks", "prod")
    with pytest.raises(NotFound, match=r"does not host that part of MLflow\.$"):
        admit(who("admin"), "POST", "/signup", "prod")
    with pytest.raises(NotAllowed):
        admit(who("read:prod"), "GET", "/api/2.0/mlflow/runs/get", "prod")
    assert admit(who("browse"), "GET", "/api/2.0/mlflow/runs/get", "prod").permission is Permission.BROWSE
