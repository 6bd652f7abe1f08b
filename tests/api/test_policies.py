"""Policies of environments and of models in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from tests.api.conftest import Headers
from tests.api.matching import NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.unit.policy_cases import CASES, Malformed, No, Yes

PROD = "/v1/environments/prod/policy"
ORDERS = "/v1/environments/prod/models/orders/policy"
SIGNED = {"default": {"signature": True}}
TWO = {"stages": {"Production": {"approvals": {"count": 2}}, "Staging": {}}}
MALFORMED = [case for cases in CASES.values() for case in cases if isinstance(case, Malformed)]
SOUND = [case for cases in CASES.values() for case in cases if isinstance(case, Yes | No)]


def shown(version: int, policy: dict[str, Any], model: str = "") -> dict[str, Any]:
    who = {"changed_by": "test", "changed_at": NOW} if version else {"changed_by": "", "changed_at": None}
    return {"environment": "prod", "model": model, "version": version, "policy": policy, **who}


def test_an_environments_policy(places: FlaskClient) -> None:
    empty = places.get(PROD)
    assert (empty.get_json(), empty.headers["ETag"]) == (shown(0, {}), '"0"')
    put = places.put(PROD, json=SIGNED)
    assert (put.status_code, put.get_json(), put.headers["ETag"]) == (200, shown(1, SIGNED), '"1"')
    assert places.put(PROD, json=TWO).get_json() == places.get(PROD).get_json() == shown(2, TWO)
    assert places.get(f"{PROD}/history").get_json() == {
        "versions": [{**shown(2, TWO), "removed": False}, {**shown(1, SIGNED), "removed": False}]
    }
    assert [row["version"] for row in places.get(f"{PROD}/history?limit=1&before=2").get_json()["versions"]] == [1]
    assert places.get("/v1/environments/qa/policy").get_json()["version"] == 0


def test_a_models_own(filled: FlaskClient) -> None:
    filled.put(PROD, json=SIGNED)
    problem(filled.get(ORDERS), 404, "policy-not-found", name="orders")
    problem(filled.delete(ORDERS), 404, "policy-not-found", name="orders")
    assert filled.put(ORDERS, json=TWO).get_json() == filled.get(ORDERS).get_json() == shown(1, TWO, "orders")
    assert filled.get(PROD).get_json() == shown(1, SIGNED)
    gone = filled.delete(ORDERS)
    assert (gone.status_code, gone.data) == (204, b"")
    problem(filled.get(ORDERS), 404, "policy-not-found")
    history = [(row["version"], row["removed"]) for row in filled.get(f"{ORDERS}/history").get_json()["versions"]]
    assert history == [(2, True), (1, False)]


def test_compare_and_swap(filled: FlaskClient) -> None:
    first = filled.put(PROD, json=SIGNED, headers={"If-Match": filled.get(PROD).headers["ETag"]})
    assert first.status_code == 200
    for stale in ('"0"', '"2"', "7"):
        problem(filled.put(PROD, json=TWO, headers={"If-Match": stale}), 412, "precondition-failed", current=1)
    for odd in ("*", 'W/"1"', '"one"', '"1", "2"', "", '"' + "9" * 70 + '"'):
        problem(filled.put(PROD, json=TWO, headers={"If-Match": odd}), 412, "precondition-failed")
    assert filled.get(PROD).get_json() == shown(1, SIGNED)
    assert filled.put(PROD, json=TWO, headers={"If-Match": first.headers["ETag"]}).get_json()["version"] == 2
    filled.put(ORDERS, json=TWO)
    problem(filled.delete(ORDERS, headers={"If-Match": '"2"'}), 412, "precondition-failed", current=1)
    assert filled.delete(ORDERS, headers={"If-Match": '"1"'}).status_code == 204


def test_every_sound_rule_is_kept_as_it_was_sent(places: FlaskClient) -> None:
    for case in SOUND:
        document = {"stages": {"Production": case.document}}
        response = places.put(PROD, json=document)
        assert response.status_code == 200, (document, response.text)
        assert response.get_json()["policy"] == document


def test_every_malformed_rule_is_named(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for case in MALFORMED:
            for where, document in (
                ("default", {"default": case.document}),
                ("stages.Production", {"stages": {"Production": case.document}}),
            ):
                body = json.dumps(document)  # NaN as it stands
                found = problem(places.put(PROD, data=body, content_type="application/json"), 422, "invalid-input")
                named = [row["field"] for row in found["fields"]] if "fields" in found else [found["field"]]
                assert f"{where}.{case.field}" in named, (document, found)


NO_POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"defaults": {}}, "defaults"),
    ({"default": {"signatures": True}}, "default.signatures"),
    ({"stages": {"Absent": {}}}, "stages.Absent"),
    ({"stages": {"production": {}}}, "stages.production"),
    ({"stages": []}, "stages"),
    ({"default": {"rollback_skips": ["rollback"]}}, "default.rollback_skips.0"),
    ({"default": {"tags": [{"key": "a"}] * 51}}, "default.tags"),
]


def test_what_is_no_policy(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for document, field in NO_POLICIES:
            found = problem(places.put(PROD, json=document), 422, "invalid-input")
            named = [row["field"] for row in found["fields"]] if "fields" in found else [found["field"]]
            assert named == [field]


def test_places_that_are_not_there(places: FlaskClient) -> None:
    absent = "/v1/environments/absent/policy"
    for response in (places.get(absent), places.put(absent, json={}), places.get(f"{absent}/history")):
        problem(response, 404, "environment-not-found", name="absent")
    for response in (
        places.get(ORDERS),
        places.put(ORDERS, json={}),
        places.delete(ORDERS),
        places.get(f"{ORDERS}/history"),
    ):
        problem(response, 404, "model-not-found", name="orders")


def test_who_may_see_and_change_it(filled: FlaskClient, caller: Callable[[str], Headers]) -> None:
    filled.put(ORDERS, json=TWO)
    for scope in ("read:prod", "promote:prod", "read:*"):
        for path in (PROD, f"{PROD}/history", ORDERS, f"{ORDERS}/history"):
            assert filled.get(path, headers=caller(scope)).status_code == 200, (scope, path)
        for path in (PROD, ORDERS):
            problem(filled.put(path, json={}, headers=caller(scope)), 403, "not-allowed", needed="admin")
        problem(filled.delete(ORDERS, headers=caller(scope)), 403, "not-allowed", needed="admin")
    for scope in ("read:qa", "promote:qa", "import:dev"):
        for path in (PROD, f"{PROD}/history", ORDERS, f"{ORDERS}/history"):
            problem(filled.get(path, headers=caller(scope)), 403, "not-allowed")
