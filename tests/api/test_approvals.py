"""Approvals: by others, of exactly these bytes, for a while; the last one applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.app import create_app
from service.domain.identity import OPERATOR
from service.settings import Settings
from service.usecases.decide_promotion import expire_promotions
from service.usecases.delete_version import delete_version
from service.wiring import Parts
from service.worker import make_worker_app
from tests.api.conftest import Headers
from tests.api.matching import NOW
from tests.api.problems import problem
from tests.api.promoting import (
    PRODUCTION,
    VERSION,
    ask_for_approvals,
    decide,
    history,
    person,
    promote,
    rolled_back,
)
from tests.api.traces import Unchanged

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def people(parts: Parts) -> dict[str, tuple[str, Headers]]:
    named = {name: person(parts, name, "approve:prod") for name in ("ann", "ben", "cem")}
    return {**named, "ci": person(parts, "ci", "promote:prod", "approve:prod")}


@pytest.fixture
def ann(people: dict[str, tuple[str, Headers]]) -> Headers:
    return people["ann"][1]


@pytest.fixture
def ben(people: dict[str, tuple[str, Headers]]) -> Headers:
    return people["ben"][1]


@pytest.fixture
def pending(filled: FlaskClient, people: dict[str, tuple[str, Headers]]) -> str:
    """The id of a promotion of version 2 into Production, asked for by ci, that needs two approvals."""
    ask_for_approvals(filled, 2)
    made = promote(filled, headers=people["ci"][1], comment="please")
    assert made.status_code == 202
    promotion: dict[str, Any] = made.get_json()
    assert (promotion["state"], promotion["revision"], promotion["needed_approvals"]) == ("pending", None, 2)
    assert made.headers["Location"] == f"/v1/promotions/{promotion['id']}"
    identifier: str = promotion["id"]
    return identifier


def state(client: FlaskClient, promotion: str) -> str:
    found: str = client.get(f"/v1/promotions/{promotion}").get_json()["state"]
    return found


def test_the_last_approval_applies(filled: FlaskClient, pending: str, ann: Headers, ben: Headers) -> None:
    digest = filled.get(f"{VERSION}/2").get_json()["digest"]
    first = decide(filled, pending, ann, comment="fine", digest=digest)
    assert (first.status_code, first.get_json()["state"]) == (200, "pending")
    assert filled.get(PRODUCTION).get_json()["version"] == 1
    second = decide(filled, pending, ben)
    promotion = second.get_json()
    assert (second.status_code, promotion["state"], promotion["revision"]) == (200, "applied", 2)
    row = {"decision": "approved", "digest": digest, "at": NOW}
    for found, (name, comment) in zip(promotion["approvals"], [("ann", "fine"), ("ben", "")], strict=True):
        assert found.pop("expires_at") > found["at"]
        assert found == {**row, "approver": name, "comment": comment}
    held = filled.get(PRODUCTION).get_json()
    assert (held["version"], held["assigned_by"], held["comment"]) == (2, "ci", "please")
    assert filled.get(f"/v1/promotions/{pending}").get_json()["state"] == "applied"
    problem(decide(filled, pending, ann), 409, "promotion-closed", state="applied")


def test_nobody_approves_their_own(
    filled: FlaskClient,
    pending: str,
    parts: Parts,
    people: dict[str, tuple[str, Headers]],
    nothing_left: Unchanged,
) -> None:
    namesake = person(parts, "ci", "approve:prod")[1]
    with nothing_left():
        problem(decide(filled, pending, people["ci"][1]), 403, "self-approval")
        problem(decide(filled, pending, namesake), 403, "self-approval")


def test_nobody_approves_twice(filled: FlaskClient, pending: str, parts: Parts, ann: Headers) -> None:
    assert decide(filled, pending, ann).status_code == 200
    problem(decide(filled, pending, ann), 409, "already-approved")
    problem(decide(filled, pending, person(parts, "ann", "approve:*")[1]), 409, "already-approved")
    assert state(filled, pending) == "pending"


def test_other_bytes_than_those_looked_at(
    filled: FlaskClient, pending: str, ann: Headers, nothing_left: Unchanged
) -> None:
    with nothing_left():
        problem(decide(filled, pending, ann, digest=OTHER), 409, "digest-changed")


def test_a_revoked_approver_counts_no_more(
    filled: FlaskClient, pending: str, people: dict[str, tuple[str, Headers]], ben: Headers
) -> None:
    token_id, ann = people["ann"]
    assert decide(filled, pending, ann).status_code == 200
    assert filled.delete(f"/v1/tokens/{token_id}").status_code == 200
    assert decide(filled, pending, ben).get_json()["state"] == "pending"
    assert decide(filled, pending, people["cem"][1]).get_json()["state"] == "applied"


def test_approvals_expire(
    settings: Settings, parts: Parts, filled: FlaskClient, pending: str, ann: Headers, ben: Headers
) -> None:
    assert decide(filled, pending, ann).status_code == 200
    clock = later(parts, timedelta(minutes=61))
    client = create_app(settings, replace(parts, clock=clock)).test_client()
    assert decide(client, pending, ben).get_json()["state"] == "pending"
    assert decide(client, pending, ann).get_json()["state"] == "applied", "an approval that is over may be renewed"


def test_a_promotion_expires(settings: Settings, parts: Parts, filled: FlaskClient, pending: str, ann: Headers) -> None:
    clock = later(parts, timedelta(days=30))
    client = create_app(settings, replace(parts, clock=clock)).test_client()
    client.environ_base = filled.environ_base
    listed = "/v1/environments/prod/promotions?state="
    for _ in range(2):
        assert state(client, pending) == "expired"
        problem(decide(client, pending, ann), 409, "promotion-closed", state="expired")
        assert [row["id"] for row in client.get(f"{listed}expired").get_json()["promotions"]] == [pending]
        assert client.get(f"{listed}pending").get_json()["promotions"] == []
        expire_promotions(parts.store, clock)
    assert state(filled, pending) == "expired"
    assert expire_promotions(parts.store, clock) == 0


def test_the_worker_writes_down_what_is_over(
    settings: Settings, engine: sa.Engine, filled: FlaskClient, pending: str
) -> None:
    promote(filled, 1, stage="Staging", headers={"Idempotency-Key": "k"})
    with engine.begin() as connection:
        for update in ("promotions SET expires_at = requested_at", "answers SET at = at - interval '25 hours'"):
            connection.execute(sa.text(f"UPDATE registry.{update}"))
    make_worker_app(settings).tasks["tidy-up"](timestamp=0)
    with engine.connect() as connection:
        states = sa.text("SELECT state FROM registry.promotions WHERE id = :id")
        assert connection.scalar(states, {"id": pending}) == "expired"
        assert connection.scalar(sa.text("SELECT count(*) FROM registry.answers")) == 0


def later(parts: Parts, by: timedelta) -> Callable[[], Any]:
    return lambda: parts.clock() + by


def test_rules_are_checked_again(filled: FlaskClient, pending: str, ann: Headers, ben: Headers) -> None:
    assert decide(filled, pending, ann).status_code == 200
    ask_for_approvals(filled, 2, signature=True)
    refused = problem(decide(filled, pending, ben), 409, "policy-refused", promotion=pending, state="refused")
    assert [rule["rule"] for rule in refused["rules"]] == ["signature"]
    promotion = filled.get(f"/v1/promotions/{pending}").get_json()
    assert (promotion["state"], promotion["problem"]["rules"]) == ("refused", refused["rules"])
    assert len(promotion["approvals"]) == 2
    assert history(filled) == [(1, 1, "promotion")]


def test_a_policy_that_asks_for_more_or_less(filled: FlaskClient, pending: str, ann: Headers, ben: Headers) -> None:
    ask_for_approvals(filled, 3)
    assert decide(filled, pending, ann).get_json()["needed_approvals"] == 3
    ask_for_approvals(filled, 1)
    assert decide(filled, pending, ben).get_json()["state"] == "applied"


def test_the_stage_must_be_what_it_was(filled: FlaskClient, pending: str, engine: sa.Engine, ann: Headers) -> None:
    """A change ends the promotion at once; should one ever escape that, the comparison does."""
    filled.delete(PRODUCTION)
    promotion = filled.get(f"/v1/promotions/{pending}").get_json()
    assert (promotion["state"], promotion["problem"]["slug"]) == ("superseded", "superseded")
    problem(decide(filled, pending, ann), 409, "promotion-closed", state="superseded")
    with engine.begin() as connection:
        again = sa.text("UPDATE registry.promotions SET state = 'pending' WHERE id = :id")
        connection.execute(again, {"id": pending})
    problem(decide(filled, pending, ann), 409, "stale", promotion=pending, expected=1)
    assert state(filled, pending) == "refused"


def test_the_requester_must_not_be_revoked(
    filled: FlaskClient, pending: str, people: dict[str, tuple[str, Headers]], ann: Headers
) -> None:
    assert filled.delete(f"/v1/tokens/{people['ci'][0]}").status_code == 200
    problem(decide(filled, pending, ann), 409, "requester-revoked", promotion=pending)
    assert state(filled, pending) == "refused"


def test_a_freeze_says_not_now(filled: FlaskClient, pending: str, ann: Headers, ben: Headers) -> None:
    assert decide(filled, pending, ann).status_code == 200
    filled.put("/v1/environments/prod/freeze", json={"reason": "sale"})
    problem(decide(filled, pending, ben), 409, "frozen", reason="sale", by="test", until=None)
    assert len(filled.get(f"/v1/promotions/{pending}").get_json()["approvals"]) == 1
    filled.delete("/v1/environments/prod/freeze")
    assert decide(filled, pending, ben).get_json()["state"] == "applied"


@pytest.mark.parametrize("decision", ["reject", "cancel"])
def test_it_is_ended(
    decision: str, filled: FlaskClient, pending: str, ann: Headers, people: dict[str, tuple[str, Headers]]
) -> None:
    by = ann if decision == "reject" else people["ci"][1]
    ended = decide(filled, pending, by, decision, comment="no")
    expected = {"reject": "rejected", "cancel": "cancelled"}[decision]
    assert (ended.status_code, ended.get_json()["state"]) == (200, expected)
    assert [row["decision"] for row in ended.get_json()["approvals"]] == ["rejected"] * (decision == "reject")
    problem(decide(filled, pending, ann), 409, "promotion-closed", state=expected)
    assert history(filled) == [(1, 1, "promotion")]


def test_one_question_at_a_time(filled: FlaskClient, pending: str, people: dict[str, tuple[str, Headers]]) -> None:
    ci = people["ci"][1]
    assert promote(filled, headers=ci).get_json()["id"] == pending, "the same again is the same"
    other = promote(filled, 2, stage="Staging", headers=ci).get_json()["id"]
    assert (other != pending, state(filled, pending)) == (True, "pending")
    filled.post(
        f"{VERSION}", json={"run_id": filled.get(f"{VERSION}/1").get_json()["run_id"], "artifact_path": "model"}
    )
    newer = promote(filled, 3, headers=ci).get_json()["id"]
    assert [state(filled, each) for each in (pending, other, newer)] == ["superseded", "pending", "pending"]
    filled.put("/v1/environments/prod/policy", json={})
    assert promote(filled, 2, headers=ci).status_code == 201
    assert state(filled, newer) == "superseded"


def test_a_removed_environment_takes_its_questions_along(filled: FlaskClient, pending: str, ann: Headers) -> None:
    filled.put("/v1/environments/prod/policy", json={})
    filled.delete(PRODUCTION)
    ask_for_approvals(filled, 2)
    waiting = promote(filled).get_json()["id"]
    assert filled.delete("/v1/environments/prod").status_code == 204
    assert state(filled, waiting) == "superseded"
    problem(decide(filled, waiting, ann), 409, "promotion-closed", state="superseded")
    filled.put("/v1/environments/prod", json={})
    problem(decide(filled, waiting, ann), 409, "promotion-closed", state="superseded")


def test_a_stage_that_is_left_out_takes_its_questions_along(
    filled: FlaskClient, parts: Parts, people: dict[str, tuple[str, Headers]]
) -> None:
    ask_for_approvals(filled)
    ci = people["ci"][1]
    waiting, kept = (
        promote(filled, 2, stage=stage, headers=ci).get_json()["id"] for stage in ("Staging", "Production")
    )
    assert filled.put("/v1/environments/prod", json={"stages": ["Production"]}).status_code == 200
    assert [state(filled, each) for each in (waiting, kept)] == ["superseded", "pending"]
    problem(decide(filled, waiting, ci, "cancel"), 409, "promotion-closed", state="superseded")
    assert filled.get(f"/v1/promotions/{waiting}").get_json()["problem"]["detail"] == "The stage was removed."
    rows = filled.get("/v1/audit?action=promotion.superseded").get_json()["rows"]
    assert [(row["subject"], row["after"]["promotion"]) for row in rows] == [("Staging", waiting)]
    assert decide(filled, kept, ci, "cancel").status_code == 200
    with parts.store.transaction() as tx:
        delete_version(tx, parts.clock, OPERATOR, "orders", 2)  # nothing waits for it any more


def test_who_may_decide(filled: FlaskClient, pending: str, caller: Callable[[str], Headers]) -> None:
    for scope in ("promote:prod", "read:prod", "approve:qa", "import:dev"):
        problem(decide(filled, pending, caller(scope)), 403, "not-allowed", needed="approve:prod")
        problem(decide(filled, pending, caller(scope), "reject"), 403, "not-allowed", needed="approve:prod")
    for scope in ("approve:prod", "read:prod", "promote:qa"):
        problem(decide(filled, pending, caller(scope), "cancel"), 403, "not-allowed", needed="promote:prod")
    for scope, status in {"read:prod": 200, "approve:prod": 200, "promote:prod": 200, "read:qa": 403}.items():
        headers = dict(caller(scope))
        assert filled.get(f"/v1/promotions/{pending}", headers=headers).status_code == status
        assert filled.get("/v1/environments/prod/promotions", headers=headers).status_code == status
    assert filled.get(f"{VERSION}/2", headers=dict(caller("approve:prod"))).status_code == 200


def test_promotions_are_listed(filled: FlaskClient) -> None:
    ids = [promote(filled, version).get_json()["id"] for version in (2, 1, 2)]
    ask_for_approvals(filled)
    ids.append(promote(filled, 1).get_json()["id"])
    place = "/v1/environments/prod/promotions"

    def listed(query: str = "") -> list[str]:
        return [row["id"] for row in filled.get(f"{place}{query}").get_json()["promotions"]]

    assert listed()[:4] == ids[::-1]
    assert listed("?state=pending") == ids[3:]
    assert listed("?state=applied")[:3] == ids[2::-1]
    assert listed("?limit=2") == ids[:1:-1]
    assert listed(f"?limit=2&before={ids[2]}") == ids[1::-1]
    assert listed("?before=absent") == []
    problem(filled.get(f"{place}?state=open"), 422, "invalid-input")
    problem(filled.get("/v1/environments/absent/promotions"), 404, "environment-not-found")


def test_a_rollback_may_skip_approvals(
    filled: FlaskClient, people: dict[str, tuple[str, Headers]], ann: Headers
) -> None:
    promote(filled, 2)
    ask_for_approvals(filled)
    waiting = rolled_back(filled)
    assert (waiting.status_code, waiting.get_json()["kind"]) == (202, "rollback")
    ask_for_approvals(filled, rollback_skips=["approvals"])
    back = rolled_back(filled)
    assert (back.status_code, back.get_json()["version"]) == (201, 1)
    assert state(filled, waiting.get_json()["id"]) == "superseded"
    assert promote(filled, 2).status_code == 202
    ask_for_approvals(filled)
    last = rolled_back(filled, to_revision=2).get_json()["id"]
    assert decide(filled, last, ann).get_json()["revision"] == 4
    assert history(filled) == [(1, 1, "promotion"), (2, 2, "promotion"), (3, 1, "rollback"), (4, 2, "rollback")]


def test_a_decision_is_replayed_too(filled: FlaskClient, pending: str, ann: Headers) -> None:
    headers = {**ann, "Idempotency-Key": "k"}
    first = decide(filled, pending, headers)
    again = decide(filled, pending, headers)
    assert (again.status_code, again.data) == (first.status_code, first.data) == (200, first.data)


def test_a_refusal_that_was_written_down_is_replayed(filled: FlaskClient, pending: str, ann: Headers) -> None:
    ask_for_approvals(filled, 1, signature=True)
    headers = {**ann, "Idempotency-Key": "k"}
    first = decide(filled, pending, headers)
    problem(first, 409, "policy-refused")
    again = decide(filled, pending, headers)
    assert (again.status_code, again.data, again.content_type) == (409, first.data, first.content_type)
