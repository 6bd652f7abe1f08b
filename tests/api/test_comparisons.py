"""Two versions side by side, of real exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.layout import version_prefix
from service.wiring import Parts
from tests.api.conftest import Headers
from tests.api.problems import problem
from tests.conftest import export
from tests.small_exports import RUN, packed, registered_model, run, version

DIFF = "/v1/models/orders-outliers-model/diff"


@pytest.fixture(params=["mlflow130-tool120", "mlflow222-master", "mlflow317-master"])
def orders(request: pytest.FixtureRequest, places: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """The model orders of a real export, version 1 in Production of prod, 3 in Staging of qa."""
    body = export(f"{request.param}-model-orders")
    assert places.post("/v1/workspaces/dev/imports", data=body).status_code == 202
    run_imports()
    for place, number in (
        ("prod/models/orders-outliers-model/stages/Production", 1),
        ("qa/models/orders-outliers-model/stages/Staging", 3),
    ):
        response = places.put(f"/v1/environments/{place}", json={"version": number})
        assert response.status_code == 200, response.text
    return places


def rows(found: dict[str, Any], section: str) -> dict[str, tuple[str, Any, Any]]:
    return {row["name"]: (row["change"], row["from"], row["to"]) for row in found[section]["rows"]}


def test_a_real_model(orders: FlaskClient) -> None:
    response = orders.get(f"{DIFF}?from=prod:Production&to=qa:Staging")
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.headers["Vary"] == "Accept"
    found = response.get_json()
    assert (found["model"], found["identical"]) == ("orders-outliers-model", False)
    for side, place, number in (("from", ("prod", "Production", 1), 1), ("to", ("qa", "Staging", 1), 3)):
        shown = orders.get(f"/v1/models/orders-outliers-model/versions/{number}").get_json()
        assert (found[side]["environment"], found[side]["stage"], found[side]["revision"]) == place
        assert {name: found[side][name] for name in ("version", "digest", "size", "run_id", "created_at")} == {
            name: shown[name] for name in ("version", "digest", "size", "run_id", "created_at")
        }
    assert rows(found, "params") == {"C": ("changed", "0.1", "10.0")}
    assert rows(found, "tags") == {"C": ("changed", "0.1", "10.0")}
    assert rows(found, "metrics")["accuracy"] == ("changed", 0.9333333333333333, 0.9555555555555556)
    assert found["signature"] == {"rows": [], "same": 5, "left_out": 0, "notes": []}
    assert found["dependencies"] == {"rows": [], "same": 4, "left_out": 0, "notes": []}
    changed = rows(found, "files")
    assert set(changed) - {"MLmodel"} <= {"model.pkl", "model.skops"}
    assert all(before["sha256"] != after["sha256"] for _, before, after in changed.values())
    assert rows(found, "lineage")["original_version"] == ("changed", "1", "3")
    plain = orders.get(f"{DIFF}?from=1&to=3").get_json()
    assert plain["from"]["environment"] is None
    assert {**plain, "from": 0, "to": 0} == {**found, "from": 0, "to": 0}
    found = orders.get(f"{DIFF}?from=3&to=qa:Staging&equal=true").get_json()
    assert found["identical"] is True
    assert {row["change"] for name in ("params", "files", "lineage") for row in found[name]["rows"]} == {"same"}
    assert rows(found, "dependencies")["mlflow"][0] == "same"
    assert rows(found, "signature")["inputs.sepal length (cm)"][1]["type"] == "double"


OTHER = "f" * 32
EXPORT = packed(
    {
        "model.json": registered_model(version("1"), version("2", OTHER)),
        f"{RUN}/run.json": run(params={"depth": "3", "gone": "1"}),
        f"{RUN}/artifacts/model/MLmodel": b'flavors: {sklearn: {v: 1}}\nsignature: {inputs: \'[{"type": "long"}]\'}\n',
        f"{RUN}/artifacts/model/requirements.txt": b"mlflow==2.1\nnumpy\n",
        f"{RUN}/artifacts/model/old.pkl": b"42",
        f"{OTHER}/run.json": run(
            OTHER,
            params={"depth": "\x1b[31mred"},
            metrics={"loss": [{"value": float("nan"), "timestamp": 1, "step": 0}]},
        ),
        f"{OTHER}/artifacts/model/MLmodel": b'flavors: {sklearn: {v: 2}}\nsignature: {inputs: \'[{"type": "text"}]\'}',
        f"{OTHER}/artifacts/model/requirements.txt": b"mlflow==2.2\n--index-url https://jane:secret@pypi.example\n",
        f"{OTHER}/artifacts/model/conda.yaml": b"dependencies: &a [*a]",
        f"{OTHER}/artifacts/model/new.bin": b"4",
    }
)
SMALL = "/v1/models/orders/diff?from=1&to=2"


@pytest.fixture
def small(places: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    assert places.post("/v1/workspaces/dev/imports", data=EXPORT).status_code == 202
    assert run_imports() == 1
    return places


def test_every_section(small: FlaskClient) -> None:
    found = small.get(SMALL).get_json()
    assert rows(found, "params") == {"depth": ("changed", "3", "\x1b[31mred"), "gone": ("removed", "1", None)}
    assert rows(found, "metrics") == {"loss": ("changed", 0.5, "nan")}
    assert rows(found, "signature") == {"inputs.0": ("changed", {"type": "long"}, {"type": "text"})}
    assert rows(found, "flavors") == {"sklearn.v": ("changed", 1, 2)}
    assert rows(found, "dependencies") == {
        "mlflow": ("changed", "==2.1", "==2.2"),
        "numpy": ("removed", "", None),
        "--index-url": ("added", None, "https://pypi.example"),
    }
    assert found["dependencies"]["notes"] == ["conda.yaml is not readable"]
    assert {name: row[0] for name, row in rows(found, "files").items()} == {
        "MLmodel": "changed",
        "conda.yaml": "added",
        "new.bin": "added",
        "old.pkl": "removed",
        "requirements.txt": "changed",
    }
    assert rows(found, "files")["old.pkl"][1]["size"] == 2


TEXT = """\
orders: version 1 -> version 2

params
  ~ depth  3  \\x1b[31mred
  - gone   1

metrics
  ~ loss  0.5  nan

signature
  ~ inputs.0  {"type": "long"}  {"type": "text"}

flavors
  ~ sklearn.v  1  2

dependencies
  + --index-url         https://pypi.example
  ~ mlflow       ==2.1  ==2.2
  - numpy
  conda.yaml is not readable

files
  ~ MLmodel"""


def test_as_text(small: FlaskClient) -> None:
    asked = small.get(f"{SMALL}&format=text")
    assert asked.content_type == "text/plain; charset=utf-8"
    assert asked.text.startswith(TEXT)
    accepted = small.get(SMALL, headers={"Accept": "text/plain"})
    assert (accepted.text, accepted.headers["Vary"]) == (asked.text, "Accept")
    for accept in ("", "*/*", "application/json", "text/plain;q=0.1, application/json", "image/png"):
        assert small.get(SMALL, headers={"Accept": accept}).content_type == "application/json"
    forced = small.get(f"{SMALL}&format=json", headers={"Accept": "text/plain"})
    assert forced.content_type == "application/json"


def test_damaged_bytes_are_told(small: FlaskClient, parts: Parts) -> None:
    digest = small.get("/v1/models/orders/versions/1").get_json()["digest"]
    parts.objects.delete([f"{version_prefix(digest)}requirements.txt"])
    problem(small.get(SMALL), 409, "damaged", file="requirements.txt")


def test_what_is_no_version(small: FlaskClient) -> None:
    for reference in ("", "prod", "prod:", ":Production", "-1", "1.0", "one", "0x1", "१"):
        for query, field in (({"from": reference, "to": "1"}, "from"), ({"from": "1", "to": reference}, "to")):
            problem(small.get("/v1/models/orders/diff", query_string=query), 422, "invalid-input", field=field)
    assert problem(small.get("/v1/models/orders/diff?from=1"), 422, "invalid-input")["fields"][0]["field"] == "to"
    assert problem(small.get(f"{SMALL}&form=text"), 422, "invalid-input")["fields"][0]["field"] == "form"


def test_what_is_not_there(small: FlaskClient) -> None:
    for query, slug in (
        ("from=1&to=3", "version-not-found"),
        ("from=9999999999&to=1", "version-not-found"),
        ("from=prod:Production&to=1", "assignment-not-found"),
        ("from=prod:Absent&to=1", "stage-not-found"),
        ("from=absent:Production&to=1", "environment-not-found"),
    ):
        problem(small.get(f"/v1/models/orders/diff?{query}"), 404, slug)
    problem(small.get("/v1/models/absent/diff?from=1&to=2"), 404, "model-not-found")


def test_who_may_compare(small: FlaskClient, caller: Callable[[str], Headers], token: Callable[..., str]) -> None:
    for place, number in (("prod", 1), ("qa", 2)):
        path = f"/v1/environments/{place}/models/orders/stages/Production"
        assert small.put(path, json={"version": number}).status_code == 200
    across = "/v1/models/orders/diff?from=prod:Production&to=qa:Production"
    assert small.get(across).status_code == 200
    for scope in ("read:prod", "read:qa", "promote:qa", "import:dev"):
        problem(small.get(across, headers=caller(scope)), 403, "not-allowed")
    both = {"Authorization": f"Bearer {token('read:prod', 'promote:qa')}"}
    assert small.get(across, headers=both).status_code == 200
    # By number: whoever sees both versions.
    assert small.get(SMALL, headers=caller("import:dev")).status_code == 200
    problem(small.get(SMALL, headers=caller("read:prod")), 404, "version-not-found", name="2")
    problem(small.get(SMALL, headers=caller("import:other")), 404, "model-not-found")
    mixed = "/v1/models/orders/diff?from=prod:Production&to=1"
    assert small.get(mixed, headers=caller("read:prod")).status_code == 200
