"""Tokens: shown once, listed without their secrets, revoked for good."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.api.matching import ID, NOW, Matching
from tests.api.problems import problem
from tests.api.traces import Unchanged

SOUND = {"name": "ci", "scopes": ["read:prod"]}
ABSENT = "00000000-0000-0000-0000-000000000000"


def token(**fields: Any) -> dict[str, Any]:
    unset = {"expires_at": None, "revoked_at": None}
    return {"id": ID, "name": "ci", "scopes": ["read:prod"], "created_by": "test", "created_at": NOW, **unset, **fields}


def test_a_token_is_created_listed_and_revoked(client: FlaskClient) -> None:
    scopes = ["admin", "browse", "track", "import:dev", "read:*", "promote:qa-2.eu_west"]
    created = client.post("/v1/tokens", json={"name": "ci", "scopes": scopes})
    assert created.status_code == 201
    assert created.headers["Cache-Control"] == "no-store"
    assert created.headers["Location"] == f"/v1/tokens/{created.get_json()['id']}"
    assert created.get_json() == token(scopes=scopes, token=Matching(r"mreg_[A-Za-z0-9_-]{43}"))
    listed = client.get("/v1/tokens").get_json()["tokens"]
    own = token(name="test", scopes=["admin"], created_by="operator")
    assert listed == [own, token(scopes=scopes)], "oldest first, and no secret"
    revoked = client.delete(created.headers["Location"])
    assert revoked.status_code == 200
    assert revoked.get_json() == token(scopes=scopes, revoked_at=NOW)
    again = client.delete(created.headers["Location"])
    assert again.get_json() == revoked.get_json(), "revoking twice keeps the first time"
    assert client.get("/v1/tokens").get_json()["tokens"] == [own, revoked.get_json()]


def test_a_token_expires(client: FlaskClient) -> None:
    for days in (1, 3650):
        body = client.post("/v1/tokens", json={**SOUND, "expires_in_days": days}).get_json()
        lasts = datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["created_at"])
        assert lasts == timedelta(days=days)


def test_the_secret_is_kept_nowhere(client: FlaskClient, engine: sa.Engine) -> None:
    secret = client.post("/v1/tokens", json={"name": "ci", "scopes": ["read:prod"]}).get_json()["token"]
    with engine.connect() as connection:
        stored = connection.scalar(sa.text("SELECT string_agg(t::text, '') FROM registry.tokens t"))
    assert secret not in stored
    assert secret.encode().hex() not in stored


def test_a_token_that_is_not_there(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for token_id in (ABSENT, "absent", "%20"):
            problem(client.delete(f"/v1/tokens/{token_id}"), 404, "token-not-found", kind="token")


WRONG: list[tuple[str, object, str]] = [
    # the field that is changed, its value, the field that is named
    ("name", "", "name"),
    ("name", "x" * 201, "name"),
    ("name", 1, "name"),
    ("scopes", [], "scopes"),
    ("scopes", "admin", "scopes"),
    ("scopes", ["admin"] * 101, "scopes"),
    ("scopes", ["admin", None], "scopes.1"),
    ("expires_in_days", 0, "expires_in_days"),
    ("expires_in_days", 3651, "expires_in_days"),
    ("expires_in_days", "7", "expires_in_days"),
    ("expires_in_days", True, "expires_in_days"),
    ("expires_in_days", 1.5, "expires_in_days"),
    ("expire_in_days", 7, "expire_in_days"),
]


def test_fields_of_the_wrong_shape(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for field, value, named in WRONG:
            document = problem(client.post("/v1/tokens", json={**SOUND, field: value}), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [named]


def test_scopes_that_are_none(client: FlaskClient, nothing_left: Unchanged) -> None:
    wrong = (
        "",
        "ADMIN",
        "admin:x",
        "browse:prod",
        "track:*",
        "read",
        "read:",
        "read:A",
        "read:a b",
        "write:prod",
        "read:prod ",
        "read:**",
        "a" * 5000,
    )
    with nothing_left():
        for scope in wrong:
            response = client.post("/v1/tokens", json={"name": "ci", "scopes": ["read:prod", scope]})
            problem(response, 422, "invalid-input", field="scopes")
            assert len(response.data) < 1000
        problem(client.post("/v1/tokens", json={"name": " ", "scopes": ["admin"]}), 422, "invalid-input", field="name")
