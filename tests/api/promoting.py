"""What the tests of promotions ask for again and again."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.domain.identity import OPERATOR
from service.usecases.manage_tokens import create_token
from service.wiring import Parts
from tests.api.conftest import Headers, bearer

ORDERS = "/v1/environments/prod/models/orders"
STAGING = f"{ORDERS}/stages/Staging"
PRODUCTION = f"{ORDERS}/stages/Production"
VERSION = "/v1/models/orders/versions"


def promote(client: FlaskClient, version: int = 2, headers: Headers | None = None, **body: Any) -> TestResponse:
    given = {"stage": "Production", "version": version, **body}
    return client.post(f"{ORDERS}/promotions", json=given, headers=dict(headers or {}))


def rolled_back(client: FlaskClient, headers: Headers | None = None, **body: Any) -> TestResponse:
    return client.post(f"{PRODUCTION}/rollback", json=body, headers=dict(headers or {}))


def decide(
    client: FlaskClient, promotion: str, headers: Headers, decision: str = "approve", **body: Any
) -> TestResponse:
    return client.post(f"/v1/promotions/{promotion}/{decision}", json=body, headers=dict(headers))


def ask_for_approvals(client: FlaskClient, count: int = 1, **rules: Any) -> None:
    policy = {"default": {"approvals": {"count": count, "valid_for": "1h"}, **rules}}
    assert client.put("/v1/environments/prod/policy", json=policy).status_code == 200


def person(parts: Parts, name: str, *scopes: str) -> tuple[str, Headers]:
    """The token's id, and what to send with it."""
    token, secret = create_token(parts.store, parts.clock, OPERATOR, name, scopes, None)
    return token.id, bearer(secret)


def history(client: FlaskClient) -> list[tuple[Any, ...]]:
    """Revision, version and kind of each change of Production, the oldest first."""
    changes = client.get(f"{PRODUCTION}/history").get_json()["changes"]
    return [(change["revision"], change["version"], change["kind"]) for change in reversed(changes)]
