"""From a policy that was put to what it says about versions of a real export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.environment import Assignment
from service.domain.identity import Principal
from service.domain.policy import Approved, Facts, Refused, evaluate
from service.usecases.policy_facts import gather
from service.wiring import Parts
from tests.conftest import export
from tests.contract.samples import assign as assigned

NAME = "orders-outliers-model"
NOW = datetime(2026, 3, 27, 19, 0, tzinfo=UTC)
CI = Principal("id-ci", "ci", ())


@pytest.fixture
def orders(places: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """The model of a real export of MLflow 3: kept by skops, with evaluations."""
    assert places.post("/v1/workspaces/dev/imports", data=export("mlflow317-master-model-orders")).status_code == 202
    assert run_imports() == 1
    return places


def assign(parts: Parts, place: str, version: int, hours_ago: float) -> None:
    environment, stage = place.split(":")
    then = NOW - timedelta(hours=hours_ago)
    with parts.store.transaction() as tx:
        assigned(tx, Assignment(environment, NAME, stage, version, "", 0, "ci", then, ""))


def facts(parts: Parts, version: int, **given: Any) -> Facts:
    with parts.store.transaction() as tx:
        policy = tx.policies.current("prod", NAME).policies.of_stage("Production")
        return gather(tx, NOW, policy, "prod", "Production", tx.models.version(NAME, version), CI, **given)


def asked(parts: Parts, found: Facts) -> tuple[Refused, ...]:
    with parts.store.transaction() as tx:
        return evaluate(tx.policies.current("prod", NAME).policies.of_stage("Production"), found)


def put(client: FlaskClient, rules: dict[str, Any], path: str = "/v1/environments/prod/policy") -> None:
    response = client.put(path, json={"stages": {"Production": rules}})
    assert response.status_code == 200, response.text


RULES = {
    "came_from": [{"environment": "qa", "stage": "Staging", "held_for": "24h"}],
    "approvals": {"count": 1},
    "signature": True,
    "input_example": True,
    "tags": [{"key": "validated", "value": "yes"}, {"key": "C", "pattern": "1*"}],
    "metrics": [{"metric": "accuracy", "at_least": 0.95}],
    "regressions": [{"metric": "log_loss", "better": "lower"}],
    "flavors": {"allowed": ["sklearn"]},
    "files": {"forbidden": ["*.exe"]},
    "source_workspaces": ["dev"],
    "freezes": [{"start": "0 18 * * MON", "duration": "14h", "time_zone": "Europe/Berlin"}],
}


def test_a_version_that_meets_every_rule(orders: FlaskClient, parts: Parts) -> None:
    put(orders, RULES)
    assign(parts, "prod:Production", 1, 100)
    assign(parts, "qa:Staging", 3, 24)
    digest = facts(parts, 3).digest
    approved = Approved("id-ann", "ann", digest, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert asked(parts, facts(parts, 3, approvals=[approved])) == ()


def test_what_each_rule_says_of_one_that_does_not(orders: FlaskClient, parts: Parts) -> None:
    put(orders, {**RULES, "freezes": [{"start": "0 18 * * FRI", "duration": "62h", "time_zone": "Europe/Berlin"}]})
    assign(parts, "prod:Production", 3, 100)
    assign(parts, "qa:Staging", 1, 30)
    assign(parts, "qa:Staging", 2, 20)
    said = asked(parts, facts(parts, 1))
    # 62 hours of elapsed time: the clock goes forward that weekend.
    until = "2026-03-30T07:00:00+00:00"
    loss = {name: facts(parts, number).measured.run["log_loss"] for name, number in (("mine", 1), ("current", 3))}
    assert [(each.rule, each.expected, each.found) for each in said] == [
        ("came_from", "in qa/Staging before, for 1d without a break", "there for 10h"),
        ("approvals", "1 by people other than ci", "0"),
        ("tags", "C like 1*", "0.1"),
        ("metrics", "accuracy >= 0.95", "0.9333333333333333"),
        (
            "regressions",
            f"log_loss <= {loss['current']!r} (current: {loss['current']!r}, margin: 0.0)",
            repr(loss["mine"]),
        ),
        ("freezes", "outside of 0 18 * * FRI Europe/Berlin for 2d 14h", f"frozen until {until}"),
    ]


def test_stays_add_up(orders: FlaskClient, parts: Parts) -> None:
    put(orders, {"came_from": [{"environment": "qa", "stage": "Staging", "held_for": "15h", "unbroken": False}]})
    assert asked(parts, facts(parts, 1))[0].found == "never there"
    for version, hours_ago in ((1, 30), (2, 20), (1, 5)):
        assign(parts, "qa:Staging", version, hours_ago)
    assert asked(parts, facts(parts, 1)) == ()
    assert facts(parts, 1).held["qa", "Staging"].longest == timedelta(hours=10)
    assert asked(parts, facts(parts, 2)) == ()
    put(orders, {"came_from": [{"environment": "qa", "stage": "Staging", "still_there": True}]})
    assert [each.found for each in asked(parts, facts(parts, 2))] == ["no longer there"]


def test_pickles_and_evaluations(orders: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    put(orders, {"no_pickle": True, "metrics": [{"metric": "accuracy", "at_least": 0.95, "source": "evaluation"}]})
    assert asked(parts, facts(parts, 3)) == ()
    assert [(each.rule, each.found) for each in asked(parts, facts(parts, 1))] == [("metrics", "0.9333333333333333")]
    # MLflow 2 pickles, and evaluates no logged model.
    data = export("mlflow222-master-model-orders")
    assert orders.post("/v1/workspaces/dev/imports", data=data).status_code == 202
    assert run_imports() == 1
    assert [(each.rule, each.found) for each in asked(parts, facts(parts, 6))] == [
        ("metrics", "not measured"),
        ("no_pickle", "model.pkl, flavor sklearn (cloudpickle)"),
    ]


def test_a_rollback_and_a_models_own_policy(orders: FlaskClient, parts: Parts) -> None:
    put(orders, {"regressions": [{"metric": "accuracy", "better": "higher"}], "signature": True})
    assign(parts, "prod:Production", 3, 1)
    assert [each.rule for each in asked(parts, facts(parts, 1))] == ["regressions"]
    assert asked(parts, facts(parts, 1, rollback=True)) == ()
    assert asked(parts, replace(facts(parts, 1, rollback=True), signature=False))[0].rule == "signature"
    put(orders, {}, f"/v1/environments/prod/models/{NAME}/policy")
    assert asked(parts, facts(parts, 1)) == ()
