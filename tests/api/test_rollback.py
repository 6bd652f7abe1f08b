"""History, time travel, rollback, withdrawal and freezes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.errors import PolicyRefused
from service.domain.identity import OPERATOR
from service.usecases.transition_version import transition_version
from service.wiring import Parts
from tests.api.conftest import Headers
from tests.api.matching import DIGEST, ID, NOW
from tests.api.problems import problem
from tests.api.promoting import (
    ORDERS,
    PRODUCTION,
    STAGING,
    VERSION,
    ask_for_approvals,
    history,
    person,
    promote,
    rolled_back,
)
from tests.api.traces import Unchanged

FREEZE = "/v1/environments/prod/freeze"


@pytest.fixture
def three(filled: FlaskClient) -> FlaskClient:
    """Versions 1, 2 and 3, which Production of prod has held in that order."""
    run_id = filled.get(f"{VERSION}/1").get_json()["run_id"]
    assert filled.post(VERSION, json={"run_id": run_id, "artifact_path": "model"}).status_code == 201
    for version in (2, 3):
        assert promote(filled, version).status_code == 201
    return filled


def withdraw(client: FlaskClient, version: int, then: str = "fallback", **body: Any) -> dict[str, Any]:
    given = {"reason": "it is biased", "then": then, **body}
    answer = client.post(f"{VERSION}/{version}/withdraw", json=given)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.get_json()
    return done


def held(client: FlaskClient, stage: str = PRODUCTION) -> int | None:
    version: int | None = client.get(stage).get_json().get("version")
    return version


# History


def test_history(filled: FlaskClient) -> None:
    first = filled.get(PRODUCTION).get_json()
    promotion = promote(filled, 2, comment="better").get_json()
    filled.delete(f"{PRODUCTION}?comment=worse")
    place = {"environment": "prod", "model": "orders", "stage": "Production"}
    row = {**place, "kind": "promotion", "restores": None, "over_freeze": False, "actor": "test", "at": NOW}
    changes = [
        {
            **row,
            "revision": 3,
            "version": None,
            "digest": None,
            "previous_version": 2,
            "previous_digest": promotion["digest"],
            "kind": "emptied",
            "promotion_id": None,
            "comment": "worse",
        },
        {
            **row,
            "revision": 2,
            "version": 2,
            "digest": promotion["digest"],
            "previous_version": 1,
            "previous_digest": first["digest"],
            "promotion_id": promotion["id"],
            "comment": "better",
        },
        {
            **row,
            "revision": 1,
            "version": 1,
            "digest": first["digest"],
            "previous_version": None,
            "previous_digest": None,
            "promotion_id": ID,
            "comment": "",
        },
    ]
    assert filled.get(f"{PRODUCTION}/history").get_json() == {**place, "changes": changes}
    assert filled.get(f"{PRODUCTION}/history?limit=1").get_json()["changes"] == changes[:1]
    assert filled.get(f"{PRODUCTION}/history?limit=2&before=3").get_json()["changes"] == changes[1:]
    assert filled.get(f"{PRODUCTION}/history?before=1").get_json()["changes"] == []
    assert filled.get(f"{STAGING}/history").get_json()["changes"] == []
    for path, kind in [
        ("environments/absent/models/orders/stages/Production", "environment"),
        ("environments/prod/models/absent/stages/Production", "model"),
        ("environments/prod/models/orders/stages/Absent", "stage"),
    ]:
        problem(filled.get(f"/v1/{path}/history"), 404, f"{kind}-not-found")
        problem(filled.get(f"/v1/{path}?at=2026-03-01T12:00:00Z"), 404, f"{kind}-not-found")


def test_a_stage_that_is_no_more_keeps_its_history(filled: FlaskClient) -> None:
    filled.delete(PRODUCTION)
    assert filled.put("/v1/environments/prod", json={"stages": ["Live"]}).status_code == 200
    assert history(filled) == [(1, 1, "promotion"), (2, None, "emptied")]
    filled.put("/v1/environments/prod", json={"stages": ["Production"]})
    assert promote(filled, 2).get_json()["revision"] == 3


def test_the_past(three: FlaskClient) -> None:
    three.delete(PRODUCTION)
    changes = three.get(f"{PRODUCTION}/history").get_json()["changes"][::-1]
    current = None
    for change in changes:
        at = datetime.fromisoformat(change["at"])
        before = three.get(PRODUCTION, query_string={"at": (at - timedelta(microseconds=1)).isoformat()})
        assert before.get_json().get("version") == current
        now = three.get(PRODUCTION, query_string={"at": at.astimezone(UTC).isoformat()})
        current = change["version"]
        if current is None:
            problem(now, 404, "assignment-not-found")
        else:
            found = now.get_json()
            told = {name: found[name] for name in ("version", "digest", "revision", "comment")}
            assert told == {name: change[name] for name in told}
            assert (found["assigned_by"], found["assigned_at"]) == (change["actor"], change["at"])
    problem(three.get(f"{PRODUCTION}?at=2001-01-01T00:00:00Z"), 404, "assignment-not-found")
    for wrong in ("2026-03-01T12:00:00", "yesterday", ""):
        problem(three.get(PRODUCTION, query_string={"at": wrong}), 422, "invalid-input")


def test_where_a_version_is_and_was(three: FlaskClient, caller: Callable[[str], Headers]) -> None:
    three.put("/v1/environments/qa/models/orders/stages/Staging", json={"version": 2})
    rolled_back(three)
    stays = three.get(f"{VERSION}/2/where").get_json()
    changes = three.get(f"{PRODUCTION}/history").get_json()["changes"][::-1]
    row = {"stage": "Production", "environment": "prod", "by": "test"}
    assert stays == {
        "model": "orders",
        "version": 2,
        "stays": [
            {
                **row,
                "revision": 2,
                "since": changes[1]["at"],
                "kind": "promotion",
                "until": changes[2]["at"],
                "ended_by": "promotion",
            },
            {**row, "revision": 4, "since": changes[3]["at"], "kind": "rollback", "until": None, "ended_by": None},
            {
                "environment": "qa",
                "stage": "Staging",
                "by": "test",
                "revision": 1,
                "since": NOW,
                "kind": "promotion",
                "until": None,
                "ended_by": None,
            },
        ],
    }

    def seen(version: int, scope: str) -> Any:
        answer = three.get(f"{VERSION}/{version}/where", headers=dict(caller(scope)))
        return [stay["environment"] for stay in answer.get_json().get("stays", ())] or answer.status_code

    assert seen(2, "read:qa") == ["qa"]
    assert seen(2, "approve:prod") == ["prod", "prod"]
    assert seen(1, "read:prod") == ["prod"], "what was live there may be known there"
    assert seen(1, "read:qa") == 404
    assert seen(1, "import:dev") == 200
    assert seen(1, "import:other") == 404
    problem(three.get(f"{VERSION}/4/where"), 404, "version-not-found", name="4")


# Rollback


def test_back_to_what_was_live_before_and_further(three: FlaskClient) -> None:
    back = rolled_back(three, comment="3 is slow")
    promotion = back.get_json()
    assert back.status_code == 201
    told = {name: promotion[name] for name in ("kind", "version", "revision", "restores", "comment", "state")}
    assert told == {
        "kind": "rollback",
        "version": 2,
        "revision": 4,
        "restores": 2,
        "comment": "3 is slow",
        "state": "applied",
    }
    assert rolled_back(three).get_json()["version"] == 1, "never forward to what was just left"
    problem(rolled_back(three), 409, "nothing-to-roll-back-to")
    assert promote(three, 3).get_json()["revision"] == 6
    assert rolled_back(three).get_json()["restores"] == 5
    problem(rolled_back(three), 409, "nothing-to-roll-back-to")
    kinds = [(version, kind) for _, version, kind in history(three)]
    assert kinds[3:] == [(2, "rollback"), (1, "rollback"), (3, "promotion"), (1, "rollback")]


def test_back_to_a_revision(three: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        problem(rolled_back(three, to_revision=4), 404, "revision-not-found", name="4")
        unchanged = rolled_back(three, to_revision=3)
        assert (unchanged.status_code, unchanged.get_json()["id"]) == (200, None)
        for wrong in (0, "1", -1):
            problem(rolled_back(three, to_revision=wrong), 422, "invalid-input")
    back = rolled_back(three, to_revision=1).get_json()
    assert (back["version"], back["restores"], back["revision"]) == (1, 1, 4)
    three.delete(PRODUCTION)
    problem(rolled_back(three, to_revision=5), 409, "conflict", field="to_revision")
    assert rolled_back(three).get_json()["version"] == 1, "what was there before it was emptied"


def test_back_in_places_that_are_not_there(filled: FlaskClient) -> None:
    for path, kind in [
        ("environments/absent/models/orders/stages/Production", "environment"),
        ("environments/prod/models/absent/stages/Production", "model"),
        ("environments/prod/models/orders/stages/Absent", "stage"),
    ]:
        problem(filled.post(f"/v1/{path}/rollback", json={}), 404, f"{kind}-not-found")
    problem(filled.post(f"{STAGING}/rollback", json={}), 409, "nothing-to-roll-back-to")


# Withdrawal


def test_a_version_is_withdrawn_everywhere_at_once(three: FlaskClient) -> None:
    qa = "/v1/environments/qa/models/orders/stages"
    for stage in (STAGING, f"{qa}/Production"):
        three.put(stage, json={"version": 3})
    three.put(f"{qa}/Staging", json={"version": 2})
    done = withdraw(three, 3)
    mark = {"reason": "it is biased", "by": "test", "at": NOW}
    assert done["version"]["withdrawn"] == mark
    row = {"model": "orders", "kind": "withdrawal", "comment": "it is biased", "actor": "test"}
    changed = [
        {**row, "environment": "prod", "stage": "Production", "revision": 4, "version": 2, "restores": 2},
        {**row, "environment": "prod", "stage": "Staging", "revision": 2, "version": None, "restores": None},
        {**row, "environment": "qa", "stage": "Production", "revision": 2, "version": None, "restores": None},
    ]
    assert [{name: change[name] for name in changed[0]} for change in done["changes"]] == changed
    assert (held(three), held(three, STAGING), held(three, f"{qa}/Staging")) == (2, None, 2)
    assert three.get(f"{VERSION}/3").get_json()["withdrawn"] == mark
    problem(promote(three, 3), 409, "version-withdrawn", version=3, reason="it is biased")
    problem(promote(three, 3, digest=done["version"]["digest"]), 409, "version-withdrawn")
    problem(rolled_back(three, to_revision=3), 409, "version-withdrawn")
    assert rolled_back(three).get_json()["version"] == 1, "from where it fell back to, further back"
    again = withdraw(three, 3, "empty", reason="again")
    assert (again["version"]["withdrawn"], again["changes"]) == (mark, [])


def test_stages_are_emptied_if_asked(three: FlaskClient) -> None:
    assert [change["version"] for change in withdraw(three, 3, "empty")["changes"]] == [None]
    problem(three.get(PRODUCTION), 404, "assignment-not-found")
    assert history(three)[-1] == (4, None, "withdrawal")


def test_withdrawn_versions_are_skipped_on_the_way_back(three: FlaskClient) -> None:
    assert withdraw(three, 2)["changes"] == []
    assert rolled_back(three).get_json()["version"] == 1
    withdraw(three, 1)
    problem(three.get(PRODUCTION), 404, "assignment-not-found")
    assert rolled_back(three).get_json()["version"] == 3


def test_reinstating_takes_away_the_mark_alone(three: FlaskClient) -> None:
    withdraw(three, 3)
    cleared = three.post(f"{VERSION}/3/reinstate", json={"reason": "a mistake"})
    assert (cleared.status_code, cleared.get_json()["withdrawn"]) == (200, None)
    assert held(three) == 2
    assert three.post(f"{VERSION}/3/reinstate", json={"reason": "again"}).status_code == 200
    assert promote(three, 3).status_code == 201


def test_promotions_of_a_withdrawn_version_end(three: FlaskClient, parts: Parts) -> None:
    ask_for_approvals(three)
    waiting = promote(three, 2).get_json()["id"]
    other = promote(three, 1, stage="Staging").get_json()["id"]
    assert withdraw(three, 2)["refused_promotions"] == [waiting]
    promotion = three.get(f"/v1/promotions/{waiting}").get_json()
    assert (promotion["state"], promotion["problem"]["slug"]) == ("refused", "version-withdrawn")
    assert three.get(f"/v1/promotions/{other}").get_json()["state"] == "pending"
    ann = person(parts, "ann", "approve:prod")[1]
    closed = three.post(f"/v1/promotions/{waiting}/approve", json={}, headers=dict(ann))
    problem(closed, 409, "promotion-closed", state="refused")


def test_what_cannot_be_withdrawn(filled: FlaskClient, nothing_left: Unchanged) -> None:
    body = {"reason": "bad", "then": "empty"}
    with nothing_left():
        problem(filled.post(f"{VERSION}/3/withdraw", json=body), 404, "version-not-found")
        problem(filled.post("/v1/models/absent/versions/1/withdraw", json=body), 404, "model-not-found")
        problem(filled.post(f"{VERSION}/3/reinstate", json={"reason": "x"}), 404, "version-not-found")
        for wrong in ({"reason": "bad"}, {"then": "empty"}, {**body, "reason": ""}, {**body, "then": "previous"}):
            problem(filled.post(f"{VERSION}/1/withdraw", json=wrong), 422, "invalid-input")
    assert held(filled) == 1


# Freezes


def test_a_frozen_environment_stays_as_it_is(
    three: FlaskClient, caller: Callable[[str], Headers], nothing_left: Unchanged
) -> None:
    frozen = three.put(FREEZE, json={"reason": "Christmas"})
    shown = {"reason": "Christmas", "by": "test", "at": NOW, "until": None}
    assert (frozen.status_code, frozen.get_json()["freeze"]) == (200, shown)
    assert three.get("/v1/environments/prod").get_json()["freeze"] == shown
    promoter = dict(caller("promote:prod"))
    with nothing_left():
        for refused in (
            promote(three, 1),
            rolled_back(three),
            three.delete(PRODUCTION),
            three.put(PRODUCTION, json={"version": 1}),
            three.put(STAGING, json={"version": 1}),
        ):
            problem(refused, 409, "frozen", reason="Christmas", by="test", until=None)
        assert promote(three, 3).status_code == 200
        problem(promote(three, 1, promoter, override_freeze=True), 403, "not-allowed", needed="admin")
        problem(rolled_back(three, promoter, override_freeze=True), 403, "not-allowed", needed="admin")
    assert three.put("/v1/environments/qa/models/orders/stages/Staging", json={"version": 1}).status_code == 200
    assert three.put("/v1/environments/prod", json={"description": "x"}).get_json()["freeze"] == shown
    assert promote(three, 1, override_freeze=True).get_json()["over_freeze"] is True
    assert three.get(f"{PRODUCTION}/history").get_json()["changes"][0]["over_freeze"] is True
    assert rolled_back(three, override_freeze=True).status_code == 201
    assert [change["version"] for change in withdraw(three, 3)["changes"]] == [2]
    for _ in range(2):
        assert three.delete(FREEZE).status_code == 204
    assert three.get("/v1/environments/prod").get_json()["freeze"] is None
    assert promote(three, 1).status_code == 201


def test_a_freeze_of_the_policy_keeps_a_stage_from_being_emptied(
    three: FlaskClient, parts: Parts, nothing_left: Unchanged
) -> None:
    always = {"start": "0 0 * * *", "duration": "2d", "time_zone": "UTC", "reason": "weekend"}
    policy = {"stages": {"Production": {"freezes": [always], "rollback_skips": ["freezes"]}}}
    assert three.put("/v1/environments/prod/policy", json=policy).status_code == 200
    number = held(three)
    with nothing_left():
        refused = problem(three.delete(PRODUCTION), 409, "policy-refused")
        assert [rule["rule"] for rule in refused["rules"]] == ["freezes"]
        with parts.store.transaction() as tx:
            prod = tx.environments.get("prod")
            with pytest.raises(PolicyRefused):
                transition_version(tx, parts.clock, OPERATOR, prod, "orders", number or 0, "None")
    assert three.put(STAGING, json={"version": 2}).status_code == 200
    assert three.delete(STAGING).status_code == 200, "the policy is of the other stage"
    withdraw(three, number or 0, "empty")
    assert held(three) is None


def test_a_freeze_ends_by_itself(filled: FlaskClient, parts: Parts) -> None:
    until = parts.clock() + timedelta(seconds=1.5)
    filled.put(FREEZE, json={"reason": "sale", "until": until.isoformat()})
    problem(promote(filled, 2), 409, "frozen", until=until.isoformat())
    while parts.clock() < until:
        pass
    assert promote(filled, 2).status_code == 201


def test_what_is_no_freeze(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for body in ({}, {"reason": ""}, {"reason": "x", "until": "2026-03-01T12:00:00"}, {"reason": "x", "until": 7}):
            problem(filled.put(FREEZE, json=body), 422, "invalid-input")
        past = filled.put(FREEZE, json={"reason": "x", "until": "2001-01-01T00:00:00Z"})
        problem(past, 422, "invalid-input", field="until")
        problem(filled.put("/v1/environments/absent/freeze", json={"reason": "x"}), 404, "environment-not-found")
        problem(filled.delete("/v1/environments/absent/freeze"), 404, "environment-not-found")
    assert filled.get("/v1/environments/prod").get_json()["freeze"] is None


def test_the_digest_leads_to_a_version_that_is_not_withdrawn(three: FlaskClient) -> None:
    """Versions 1 and 3 are the same bytes under two numbers."""
    digest = three.get(f"{VERSION}/3").get_json()["digest"]
    assert digest == three.get(f"{VERSION}/1").get_json()["digest"] == DIGEST
    withdraw(three, 3, "empty")
    made = three.post(f"{ORDERS}/promotions", json={"stage": "Staging", "digest": digest})
    assert made.get_json()["version"] == 1
