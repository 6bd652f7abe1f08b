"""Promotions: at once or pending, exactly once, and only on what the caller believes is there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.settings import Settings
from service.usecases.answer_once import forget_answers
from service.wiring import Parts
from tests.api.conftest import Headers, bearer
from tests.api.matching import DIGEST, ID, NOW
from tests.api.problems import problem
from tests.api.promoting import ORDERS, PRODUCTION, STAGING, ask_for_approvals, history, promote, rolled_back
from tests.api.traces import Unchanged

ABSENT = "sha256:" + "0" * 64


def test_a_promotion_is_applied(filled: FlaskClient) -> None:
    digest = filled.get("/v1/models/orders/versions/2").get_json()["digest"]
    made = promote(filled, comment="it is better", expected=1)
    assert made.status_code == 201
    promotion = made.get_json()
    assert promotion == {
        "id": ID,
        "kind": "promotion",
        "state": "applied",
        "environment": "prod",
        "model": "orders",
        "stage": "Production",
        "version": 2,
        "digest": digest,
        "comment": "it is better",
        "requested_by": "test",
        "requested_at": NOW,
        "stands_on": 1,
        "revision": 2,
        "restores": None,
        "over_freeze": False,
        "needed_approvals": 0,
        "approvals": [],
        "expires_at": None,
        "decided_at": NOW,
        "problem": None,
        "dry_run": False,
    }
    assert made.headers["Location"] == f"/v1/promotions/{promotion['id']}"
    assert filled.get(made.headers["Location"]).get_json() == promotion
    held = filled.get(PRODUCTION).get_json()
    assert (held["version"], held["revision"], held["comment"]) == (2, 2, "it is better")
    change = filled.get(f"{PRODUCTION}/history").get_json()["changes"][0]
    assert change["promotion_id"] == promotion["id"]
    assert history(filled) == [(1, 1, "promotion"), (2, 2, "promotion")]


def test_by_digest(filled: FlaskClient) -> None:
    digest = filled.get("/v1/models/orders/versions/2").get_json()["digest"]
    made = filled.post(f"{ORDERS}/promotions", json={"stage": "Staging", "digest": digest})
    assert (made.status_code, made.get_json()["version"]) == (201, 2)
    both = promote(filled, 1, digest=digest)
    problem(both, 409, "digest-changed")
    body = {"stage": "Staging", "digest": ABSENT}
    problem(filled.post(f"{ORDERS}/promotions", json=body), 404, "version-not-found", name=ABSENT)


def test_what_is_there_already_changes_nothing(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        again = promote(filled, 1)
    assert again.status_code == 200
    assert (again.get_json()["id"], again.get_json()["revision"]) == (None, 1)
    assert "Location" not in again.headers


def test_what_is_not_there(filled: FlaskClient, nothing_left: Unchanged) -> None:
    def path(environment: str, model: str) -> str:
        return f"/v1/environments/{environment}/models/{model}/promotions"

    body = {"stage": "Production", "version": 1}
    with nothing_left():
        problem(filled.post(path("absent", "orders"), json=body), 404, "environment-not-found", name="absent")
        problem(filled.post(path("prod", "absent"), json=body), 404, "model-not-found", name="absent")
        problem(promote(filled, 3), 404, "version-not-found", name="3")
        problem(promote(filled, 1, stage="production"), 404, "stage-not-found", name="production")
        problem(filled.get("/v1/promotions/absent"), 404, "promotion-not-found", name="absent")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"version": 1}, "stage"),
        ({"stage": "Production"}, ""),
        ({"stage": "Production", "version": "1"}, "version"),
        ({"stage": "Production", "version": 0}, "version"),
        ({"stage": "Production", "digest": "sha256:0"}, "digest"),
        ({"stage": "Production", "version": 1, "expected": -1}, "expected"),
        ({"stage": "Production", "version": 1, "expected": 2**63}, "expected"),
        ({"stage": "Production", "version": 1, "override_freeze": "yes"}, "override_freeze"),
        ({"stage": "Production", "version": 1, "comments": ""}, "comments"),
    ],
)
def test_bodies_of_the_wrong_shape(body: dict[str, Any], field: str, filled: FlaskClient) -> None:
    document = problem(filled.post(f"{ORDERS}/promotions", json=body), 422, "invalid-input")
    assert [row["field"] for row in document["fields"]] == [field]


# Compare and swap


def test_a_stale_revision_is_refused_with_the_current_one(filled: FlaskClient, nothing_left: Unchanged) -> None:
    digest = filled.get(PRODUCTION).get_json()["digest"]
    current = {"revision": 1, "version": 1, "digest": digest}
    with nothing_left():
        for expected in (0, 2, 99):
            problem(promote(filled, expected=expected), 409, "stale", expected=expected, current=current)
            problem(rolled_back(filled, expected=expected), 409, "stale", current=current)
        problem(promote(filled, 1, expected=2), 409, "stale")
        empty = {"revision": 0, "version": None, "digest": None}
        problem(promote(filled, stage="Staging", expected=1), 409, "stale", current=empty)
    assert promote(filled, expected=1).status_code == 201
    assert promote(filled, 1, stage="Staging", expected=0).status_code == 201


def test_if_match(filled: FlaskClient, nothing_left: Unchanged) -> None:
    etag = filled.get(PRODUCTION).headers["ETag"]
    current = {"revision": 1, "version": 1, "digest": filled.get(PRODUCTION).get_json()["digest"]}
    of_files = filled.get(f"{PRODUCTION}/files").headers["ETag"]
    with nothing_left():
        for wrong in ('"other"', f"W/{etag}", of_files, '"a", "b"'):
            answers = [
                promote(filled, headers={"If-Match": wrong}),
                rolled_back(filled, {"If-Match": wrong}),
                filled.put(PRODUCTION, json={"version": 2}, headers={"If-Match": wrong}),
                filled.delete(PRODUCTION, headers={"If-Match": wrong}),
            ]
            for answer in answers:
                problem(answer, 412, "precondition-failed", header="If-Match", current=current)
        empty = promote(filled, stage="Staging", headers={"If-Match": "*"})
        problem(empty, 412, "precondition-failed", current={"revision": 0, "version": None, "digest": None})
    assert promote(filled, headers={"If-Match": f'"other", {etag}'}).status_code == 201
    assert promote(filled, 1, headers={"If-Match": "*"}).status_code == 201
    problem(promote(filled, headers={"If-Match": etag}), 412, "precondition-failed")
    now = filled.get(PRODUCTION).headers["ETag"]
    assert filled.put(PRODUCTION, json={"version": 2}, headers={"If-Match": now}).status_code == 200


def test_an_emptied_stage_counts_as_empty(filled: FlaskClient) -> None:
    emptied = filled.delete(f"{PRODUCTION}?comment=bad").get_json()
    assert (emptied["revision"], emptied["version"], emptied["kind"], emptied["comment"]) == (2, None, "emptied", "bad")
    problem(filled.get(PRODUCTION), 404, "assignment-not-found")
    problem(filled.delete(PRODUCTION), 404, "assignment-not-found")
    problem(promote(filled, expected=1), 409, "stale", current={"revision": 2, "version": None, "digest": None})
    assert promote(filled, expected=0).get_json()["revision"] == 3
    filled.delete(PRODUCTION)
    assert promote(filled, expected=4).get_json()["revision"] == 5


# Dry runs


def test_a_dry_run_answers_as_if_and_changes_nothing(filled: FlaskClient, nothing_left: Unchanged) -> None:
    def dry(**body: Any) -> Any:
        return filled.post(f"{ORDERS}/promotions?dry_run=true", json={"stage": "Production", **body})

    with nothing_left():
        applied = dry(version=2)
        assert applied.status_code == 200
        assert {name: applied.get_json()[name] for name in ("id", "state", "revision", "dry_run")} == {
            "id": None,
            "state": "applied",
            "revision": 2,
            "dry_run": True,
        }
        assert dry(version=1).get_json()["revision"] == 1
        problem(dry(version=2, expected=7), 409, "stale")
        problem(filled.post(f"{PRODUCTION}/rollback?dry_run=true", json={}), 409, "nothing-to-roll-back-to")
    ask_for_approvals(filled, signature=True)
    with nothing_left():
        document = problem(dry(version=2), 409, "policy-refused")
    assert [set(rule) for rule in document["rules"]] == [{"rule", "expected", "found", "detail"}]
    assert document["rules"][0]["rule"] == "signature"
    ask_for_approvals(filled)
    with nothing_left():
        pending = dry(version=2)
    assert (pending.status_code, pending.get_json()["state"]) == (200, "pending")
    assert pending.get_json()["needed_approvals"] == 1


def test_a_dry_run_with_a_key_takes_none(filled: FlaskClient) -> None:
    key = {"Idempotency-Key": "build 7"}
    body = {"stage": "Production", "version": 2}
    assert filled.post(f"{ORDERS}/promotions?dry_run=true", json=body, headers=key).status_code == 200
    assert filled.post(f"{ORDERS}/promotions", json=body, headers=key).status_code == 201


# Idempotency keys


def test_a_key_is_answered_with_the_same_bytes(filled: FlaskClient) -> None:
    key = {"Idempotency-Key": "build 7"}
    first = promote(filled, headers=key, comment="Grüße")
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    promote(filled, 1)
    again = promote(filled, headers=key, comment="Grüße")
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    for name in ("Location", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert filled.get(PRODUCTION).get_json()["version"] == 1, "answered, and not done again"


def test_a_key_belongs_to_one_request_of_one_token(
    filled: FlaskClient, token: Callable[..., str], nothing_left: Unchanged
) -> None:
    key = {"Idempotency-Key": "k"}
    assert promote(filled, headers=key).status_code == 201
    with nothing_left():
        for answer in (
            promote(filled, 1, headers=key),
            promote(filled, comment="other", headers=key),
            promote(filled, stage="Staging", headers=key),
            promote(filled, headers={**key, "If-Match": "*"}),
            rolled_back(filled, key),
        ):
            problem(answer, 409, "idempotency-key-reused", header="Idempotency-Key")
    other = {**key, **bearer(token("promote:prod"))}
    assert promote(filled, 1, headers=other).status_code == 201


def test_a_refusal_takes_no_key(filled: FlaskClient) -> None:
    key = {"Idempotency-Key": "k"}
    problem(promote(filled, headers=key, expected=2), 409, "stale")
    assert promote(filled, headers=key, expected=1).status_code == 201


def test_a_key_counts_for_a_day(
    settings: Settings, parts: Parts, token: Callable[..., str], filled: FlaskClient
) -> None:
    key = {"Idempotency-Key": "k"}
    assert promote(filled, headers=key).status_code == 201
    for hours, status in ((23, 201), (25, 200)):
        clock = later(parts, hours)
        client = create_app(settings, replace(parts, clock=clock)).test_client()
        client.environ_base = filled.environ_base
        assert promote(client, headers=key).status_code == status, "the second time it is there already"
        assert forget_answers(parts.store, clock) == 0
    assert forget_answers(parts.store, later(parts, 50)) == 1
    assert forget_answers(parts.store, later(parts, 50)) == 0


def later(parts: Parts, hours: float) -> Callable[[], Any]:
    return lambda: parts.clock() + timedelta(hours=hours)


def test_the_same_request_at_once_is_done_once(filled: FlaskClient) -> None:
    def send(_: int) -> tuple[int, bytes]:
        client = filled.application.test_client()
        headers: Headers = {
            "Authorization": filled.environ_base["HTTP_AUTHORIZATION"],
            "Idempotency-Key": "k",
        }
        answer = promote(client, headers=headers)
        return answer.status_code, answer.data

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(8)))
    assert len(answers) == 1
    assert answers.pop()[0] == 201
    assert history(filled) == [(1, 1, "promotion"), (2, 2, "promotion")]


# Imports


def test_an_import_promotes_by_the_same_rules(filled: FlaskClient, run_imports: Callable[[], int]) -> None:
    from tests.api.conftest import ORDERS as EXPORT

    def imported(**parameters: str) -> list[dict[str, Any]]:
        sent = filled.post("/v1/workspaces/dev/imports", data=EXPORT, query_string=parameters)
        assert run_imports() == 1
        done = filled.get(sent.headers["Location"]).get_json()
        assert done["state"] == "done", done
        stages: list[dict[str, Any]] = done["report"]["stages"]
        return stages

    row = {"stage": "Production", "version": 1, "instead_of": []}
    assert imported(environment="qa") == [
        {**row, "environment": "qa", "model": "orders", "state": "applied", "promotion": ID, "revision": 1}
    ]
    change = filled.get("/v1/environments/qa/models/orders/stages/Production/history").get_json()["changes"][0]
    assert (change["kind"], change["actor"]) == ("import", "test")
    assert change["comment"].startswith("stage of dev, by import ")
    ask_for_approvals(filled)
    pending = imported(environment="prod", model_prefix="a-")
    assert pending == [
        {**row, "environment": "prod", "model": "a-orders", "state": "pending", "promotion": ID, "revision": None}
    ]
    filled.put("/v1/environments/prod/freeze", json={"reason": "sale"})
    refused = imported(environment="prod", model_prefix="b-")
    assert refused[0]["state"] == "refused"
    assert refused[0]["problem"]["type"] == "urn:model-registry:problem:frozen"


def test_put_waits_for_approvals_too(filled: FlaskClient) -> None:
    ask_for_approvals(filled)
    put = filled.put(PRODUCTION, json={"version": 2, "comment": "by PUT"})
    assert (put.status_code, put.get_json()["state"], put.get_json()["digest"]) == (202, "pending", DIGEST)
    assert filled.get(put.headers["Location"]).get_json() == put.get_json()
    assert filled.get(PRODUCTION).get_json()["version"] == 1
    assert filled.put(PRODUCTION, json={"version": 1}).status_code == 200, "what is there needs no approval"
    assert filled.put(STAGING, json={"version": 1}).status_code == 202
