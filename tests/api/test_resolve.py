"""Resolving: one stage, some, or a whole environment, from what is kept or read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.api.hand_out_payloads import MODELS
from service.stores.hand_out_rows import PostgresHandOut
from tests.api.conftest import Headers, bearer
from tests.api.matching import ETAG
from tests.api.problems import problem

ENVIRONMENT = "/v1/environments/prod/stages"
PRODUCTION = "/v1/environments/prod/models/orders/stages/Production"
PATHS = (PRODUCTION, ENVIRONMENT, f"{ENVIRONMENT}/Production", f"{ENVIRONMENT}/Production?model=orders&model=absent")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of the hand-out, as they are sent."""
    sent: list[str] = []
    for name in ("stage", "held", "environment", "changes"):
        method = getattr(PostgresHandOut, name)

        def counted(self: PostgresHandOut, *values: Any, name: str = name, method: Any = method) -> Any:
            sent.append(name)
            return method(self, *values)

        monkeypatch.setattr(PostgresHandOut, name, counted)
    return sent


@pytest.mark.parametrize("path", PATHS)
def test_one_select_at_most(path: str, filled: FlaskClient, engine: sa.Engine, reads: list[str]) -> None:
    filled.get("/v1/environments/qa/models/orders/stages/Production")  # connects
    reads.clear()
    pooled: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *given: pooled.append(given[2]))
    first = filled.get(path)
    assert len(reads) == 1, "who asks and what is there together"
    again = filled.get(path)
    same = filled.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert reads[1:] == ["changes", "changes"]
    assert not pooled
    assert (first.status_code, again.status_code, same.status_code) == (200, 200, 304)
    assert first.data == again.data
    for answer in (first, again, same):
        assert answer.headers["ETag"] == first.headers["ETag"] == ETAG
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["X-Request-Id"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", PATHS)
def test_a_change_is_seen_at_once(path: str, filled: FlaskClient) -> None:
    seen = set()
    for version in (1, 2, 1, 2):
        assert filled.put(PRODUCTION, json={"version": version}).status_code == 200
        for _ in range(2):
            answer = filled.get(path)
            document = answer.get_json()
            assert (document if path == PRODUCTION else document["assignments"][0])["version"] == version
        seen.add(answer.headers["ETag"])
        for known in (answer.headers["ETag"], f'"x", W/{answer.headers["ETag"]}', "*"):
            assert filled.get(path, headers={"If-None-Match": known}).status_code == 304
        assert filled.get(path, headers={"If-None-Match": '"x"'}).data == answer.data
        head = filled.head(path)
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])
        assert head.headers["Content-Length"] == str(len(answer.data))
    assert len(seen) == 4
    assert filled.delete(PRODUCTION).status_code in (200, 204)
    emptied = filled.get(path)
    assert emptied.status_code == (404 if path == PRODUCTION else 200)
    if path != PRODUCTION:
        assert emptied.get_json()["assignments"] == []


def test_several_models(filled: FlaskClient) -> None:
    everything = filled.get(ENVIRONMENT).get_json()
    assert filled.get(f"{ENVIRONMENT}?model=orders").get_json() == everything
    assert filled.get(f"{ENVIRONMENT}/Production").get_json() == everything
    assert filled.get(f"{ENVIRONMENT}/Staging").get_json() == {**everything, "assignments": []}
    assert filled.get(f"{ENVIRONMENT}/Staging?model=orders").get_json() == {**everything, "assignments": []}
    one, other = (
        filled.get(f"{ENVIRONMENT}/Production?model={names}") for names in ("orders&model=a", "a&model=orders")
    )
    assert one.headers["ETag"] == other.headers["ETag"]
    assert one.get_json() == everything
    problem(filled.get(f"{ENVIRONMENT}/absent"), 404, "stage-not-found", name="absent")
    problem(filled.get("/v1/environments/absent/stages/Production"), 404, "environment-not-found", name="absent")


def test_what_is_asked_wrongly(filled: FlaskClient) -> None:
    many = "&".join(f"model=m{number}" for number in range(MODELS))
    for _ in range(2):  # also when the first so many are kept
        assert filled.get(f"{ENVIRONMENT}?{many}").status_code == 200
        assert filled.get(f"{ENVIRONMENT}/Production?{many}").status_code == 200
        for query in (f"{many}&model=one-too-many", "models=orders", "model=%00", "wait=61", "wait=-1", "wait=x"):
            for path in (ENVIRONMENT, f"{ENVIRONMENT}/Production"):
                problem(filled.get(f"{path}?{query}"), 422, "invalid-input")
        for query in ("model=orders", "wait=61", "wait=x"):
            assert filled.get(f"{PRODUCTION}?{query}").status_code == 422
    problem(filled.get(PRODUCTION.replace("orders", "%00")), 422, "invalid-input")
    problem(filled.get("/v1/environments/%00/events"), 422, "invalid-input")


def test_who_asks_comes_first(filled: FlaskClient, caller: Callable[[str], Headers]) -> None:
    """Also when the answer is kept, and when what is asked for cannot be."""
    for path in (
        *PATHS,
        PRODUCTION.replace("orders", "%00"),
        "/v1/environments/%00/events",
        f"{ENVIRONMENT}?model=%00",
    ):
        filled.get(path)
        for name in ("none", "wrong", "expired", "revoked"):
            assert filled.get(path, headers=dict(caller(name))).status_code == 401
    for path in PATHS:
        for scope, status in (("read:qa", 403), ("import:dev", 403), ("read:prod", 200), ("promote:*", 200)):
            headers = dict(caller(scope))
            for _ in range(2):
                assert filled.get(path, headers=headers).status_code == status


def test_a_revoked_token_is_refused_at_once(filled: FlaskClient) -> None:
    for path in (*PATHS, "/v1/environments/prod/events?seconds=1"):
        made = filled.post("/v1/tokens", json={"name": "pod", "scopes": ["read:prod"]}).get_json()
        headers = bearer(made["token"])
        for _ in range(2):
            assert filled.get(path, headers=dict(headers)).status_code == 200
        assert filled.delete(f"/v1/tokens/{made['id']}").status_code == 200
        assert filled.get(path, headers=dict(headers)).status_code == 401


def test_an_environment_that_is_made_anew(filled: FlaskClient) -> None:
    filled.put("/v1/environments/edge", json={"stages": ["live"], "description": "a"})
    path = "/v1/environments/edge/stages"
    assert filled.get(path).get_json()["stages"] == ["live"]
    filled.put("/v1/environments/edge", json={"stages": ["live", "next"]})
    assert filled.get(path).get_json()["stages"] == ["live", "next"]
    assert filled.delete("/v1/environments/edge").status_code == 204
    assert filled.get(path).status_code == 404


def test_names_that_are_not_ascii(filled: FlaskClient) -> None:
    filled.put("/v1/environments/edge", json={"stages": ["Live 1.0"]})
    path = "/v1/environments/edge/models/orders/stages/Live%201.0"
    assert filled.put(path, json={"version": 2}).status_code == 200
    for _ in range(2):
        assert filled.get(path).get_json()["stage"] == "Live 1.0"
        problem(filled.get("/v1/environments/prod/models/Gr%C3%B6%C3%9Fe/stages/Production"), 404, "model-not-found")
        problem(filled.get("/v1/environments/prod/models/%FF/stages/Production"), 404, "model-not-found")


def test_requests_keep_their_ids(filled: FlaskClient) -> None:
    for _ in range(2):
        answer = filled.get(PRODUCTION, headers={"X-Request-Id": "abc-1"})
        assert answer.headers.getlist("X-Request-Id") == ["abc-1"]
