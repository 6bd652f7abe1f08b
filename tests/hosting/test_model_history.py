"""What clients before 3 tell a run of the models that they logged in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client

MODEL = {
    "artifact_path": "model",
    "run_id": "0" * 32,
    "utc_time_created": "2026-01-01 00:00:00.000000",
    "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "config": {"k": 1}}},
    "model_uuid": "1" * 32,
    "signature": {"inputs": '[{"name": "x", "type": "double"}]', "outputs": None},
    "mlflow_version": "1.30.1",
}
PLACE = "/api/2.0/mlflow/runs/log-model"


def test_each_model_is_one_more_entry(hosted: Callable[..., Client]) -> None:
    client = hosted("admin")
    made = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    run_id = made.json["run"]["info"]["run_id"]  # type: ignore[index]
    for path in ("first", "second"):
        told = json.dumps(MODEL | {"artifact_path": path, "run_id": run_id})
        answer = client.post(PLACE, json={"run_id": run_id, "model_json": told})
        assert (answer.status_code, answer.json) == (200, {})
    read: Any = client.get("/api/2.0/mlflow/runs/get", query_string={"run_id": run_id}).json
    tags = {tag["key"]: tag["value"] for tag in read["run"]["data"]["tags"]}
    kept = {key: MODEL[key] for key in ("utc_time_created", "model_uuid")} | {
        "run_id": run_id,
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn"}},
    }
    assert json.loads(tags["mlflow.log-model.history"]) == [
        kept | {"artifact_path": "first"},
        kept | {"artifact_path": "second"},
    ]


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        "no JSON",
        "[" * 100_000,
        "[]",
        json.dumps(MODEL | {"flavors": []}),
        json.dumps(MODEL | {"artifact_path": None}),
        json.dumps(MODEL | {"model_uuid": {}}),
        json.dumps({key: value for key, value in MODEL.items() if key != "run_id"}),
    ],
)
def test_what_is_no_model_is_refused(hosted: Callable[..., Client], told: object) -> None:
    answer = hosted("admin").post(PLACE, json={"run_id": "0" * 32, "model_json": told})
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE"
