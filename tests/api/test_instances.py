"""What serves a stage, beside what the stage hands out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.stores.instance_tables import instances
from service.usecases import watch_instances
from service.usecases.watch_instances import forget_instances
from service.wiring import Parts
from tests.api.matching import NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged

STAGE = "/v1/environments/prod/models/orders/stages/Production"
OTHER = "sha256:" + "0" * 64


def put(client: FlaskClient, name: str, digest: str, stage: str = STAGE, **body: Any) -> dict[str, Any]:
    response = client.put(f"{stage}/instances/{name}", json={"digest": digest, **body})
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def seen(client: FlaskClient, query: str = "") -> dict[str, Any]:
    response = client.get(f"{STAGE}/instances{query}")
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def digest(client: FlaskClient, version: int) -> str:
    return str(client.get(f"/v1/models/orders/versions/{version}").get_json()["digest"])


@pytest.fixture
def expire(engine: sa.Engine) -> Callable[[str, int], None]:
    """Let so many seconds go by for one instance."""

    def expire(name: str, seconds: int) -> None:
        shift = {column: instances.c[column] - timedelta(seconds=seconds) for column in ("reported_at", "lease_end")}
        with engine.begin() as connection:
            connection.execute(sa.update(instances).where(instances.c.id == name).values(shift))

    return expire


def test_drift(filled: FlaskClient, expire: Callable[[str, int], None]) -> None:
    first, second = digest(filled, 1), digest(filled, 2)
    desired = {"version": 1, "digest": first, "revision": 1}
    told = put(filled, "pod-1", first)
    end = datetime.fromisoformat(told.pop("lease_end"))
    assert end - datetime.fromisoformat(told["reported_at"]) == timedelta(seconds=300)
    row = {"id": "pod-1", "digest": first, "version": 1, "drift": "in-step", "since": NOW, "reported_at": NOW}
    assert told == {**row, "reported_by": "test", "desired": desired}
    assert put(filled, "pod-2", second)["drift"] == "behind"
    assert put(filled, "pod-3", OTHER)["drift"] == "unknown"
    assert put(filled, "pod-4", first, lease_seconds=10)["drift"] == "in-step"
    expire("pod-4", 10)
    shown = seen(filled)
    assert [(row["id"], row["version"], row["drift"]) for row in shown.pop("instances")] == [
        ("pod-1", 1, "in-step"),
        ("pod-2", 2, "behind"),
        ("pod-3", None, "unknown"),
        ("pod-4", 1, "expired"),
    ]
    assert shown == {
        "environment": "prod",
        "model": "orders",
        "stage": "Production",
        "desired": desired,
        "counts": {"in_step": 1, "behind": 1, "unknown": 1, "expired": 1},
    }
    filled.put(STAGE, json={"version": 2})
    assert {row["id"]: row["drift"] for row in seen(filled)["instances"]} == {
        "pod-1": "behind",
        "pod-2": "in-step",
        "pod-3": "unknown",
        "pod-4": "expired",
    }
    filled.delete(STAGE)
    emptied = seen(filled)
    assert emptied["desired"] == {"version": None, "digest": None, "revision": None}
    assert emptied["counts"] == {"in_step": 0, "behind": 2, "unknown": 1, "expired": 1}


def test_said_again(filled: FlaskClient, expire: Callable[[str, int], None]) -> None:
    first = put(filled, "pod-1", digest(filled, 1))
    expire("pod-1", 1000)
    again = put(filled, "pod-1", digest(filled, 1))
    assert (again["drift"], again["since"]) == ("in-step", first["since"])
    other = put(filled, "pod-1", digest(filled, 2))
    assert (other["drift"], len(seen(filled)["instances"])) == ("behind", 1)
    assert other["since"] > first["since"]


def test_pages(filled: FlaskClient) -> None:
    for name in ("c", "a", "b"):
        put(filled, name, OTHER)
    page = seen(filled, "?limit=2")
    assert ([row["id"] for row in page["instances"]], page["counts"]["unknown"]) == (["a", "b"], 3)
    assert [row["id"] for row in seen(filled, "?limit=2&after=b")["instances"]] == ["c"]
    for query in ("limit=0", "limit=1001", "before=a", "after=" + "x" * 129):
        problem(filled.get(f"{STAGE}/instances?{query}"), 422, "invalid-input")


def test_ending(filled: FlaskClient) -> None:
    put(filled, "pod-1", OTHER)
    gone = filled.delete(f"{STAGE}/instances/pod-1")
    assert (gone.status_code, gone.data, seen(filled)["instances"]) == (204, b"", [])
    problem(filled.delete(f"{STAGE}/instances/pod-1"), 404, "instance-not-found", name="pod-1")


def test_long_expired_ones_are_forgotten(filled: FlaskClient, parts: Parts, expire: Callable[[str, int], None]) -> None:
    put(filled, "pod-1", OTHER)
    put(filled, "pod-2", OTHER)
    expire("pod-1", 24 * 3600 + 301)
    expire("pod-2", 24 * 3600 + 200)
    assert forget_instances(parts.store, parts.clock) == 1
    assert [row["id"] for row in seen(filled)["instances"]] == ["pod-2"]


def test_only_so_many(filled: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_instances, "MOST", 2)
    put(filled, "pod-1", OTHER)
    put(filled, "pod-2", OTHER)
    problem(filled.put(f"{STAGE}/instances/pod-3", json={"digest": OTHER}), 409, "conflict", limit=2)
    put(filled, "pod-2", OTHER)


def test_bad_input(filled: FlaskClient, nothing_left: Unchanged) -> None:
    one = f"{STAGE}/instances/pod-1"
    with nothing_left():
        for body in (
            {},
            {"digest": "abc"},
            {"digest": OTHER.upper()},
            {"digest": OTHER + "\n"},
            {"digest": OTHER, "lease_seconds": 9},
            {"digest": OTHER, "lease_seconds": 24 * 3600 + 1},
            {"digest": OTHER, "lease_seconds": "60"},
            {"digest": OTHER, "lease_seconds": 1e400},
            {"digest": OTHER, "lease": 60},
        ):
            problem(filled.put(one, json=body), 422, "invalid-input")
        for name in ("-a", "a b", "a%00b", "%C3%BC", "x" * 129, "..", "a%0A"):
            found = problem(filled.put(f"{STAGE}/instances/{name}", json={"digest": OTHER}), 422, "invalid-input")
            assert "instance" in str(found)
        for path, slug in (
            (one.replace("prod", "absent"), "environment-not-found"),
            (one.replace("orders", "absent"), "model-not-found"),
            (one.replace("Production", "Absent"), "stage-not-found"),
        ):
            problem(filled.put(path, json={"digest": OTHER}), 404, slug)
            problem(filled.get(path.removesuffix("/pod-1")), 404, slug)
