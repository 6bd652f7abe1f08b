"""What an export lacks, is told; what it says beyond what is known here, is kept."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.stores import mlflow_tables as m
from tests.api.conftest import OTHER_RUN, Rows, Send, model_of
from tests.api.later import THIRD, counted
from tests.small_exports import (
    LOGGED,
    MLMODEL,
    RUN,
    changed,
    experiment,
    logged_model,
    registered_model,
    run,
    version,
)


def test_partial_folders_of_failed_runs(places: FlaskClient, send: Send) -> None:
    """A run that the tool gave up is taken in for what it holds and told; no version is made of part of a model."""
    document = experiment()
    document["info"] = {"num_total_runs": 5, "failed_runs": [OTHER_RUN, THIRD]}
    files = {
        "experiment.json": document,
        "model.json": registered_model(version(), version("2", OTHER_RUN)),
        **model_of(RUN),
        **model_of(OTHER_RUN, b"part"),
    }
    report = send(files)
    recorded = "the export tool recorded it as failed"
    assert report["failed"] == [
        {
            "kind": "version",
            "name": "orders/2",
            "reason": "the export tool recorded the version's run as failed: files of the model may be missing",
        },
        {"kind": "run", "name": THIRD, "reason": recorded},
    ]
    assert report["incomplete"] == [
        {"kind": "experiment", "name": "/Shared/orders", "reason": "the export tool met 5 runs and names 3"},
        {"kind": "run", "name": OTHER_RUN, "reason": f"{recorded}; what its folder holds was taken in"},
    ]
    assert counted(report, "runs") == {"created": 2, "failed": 1}
    assert places.get("/v1/models/orders").get_json()["versions"] == [1]
    del files["model.json"]
    by_path = send(files, register="model", model_name="by-path")
    assert [row["run_id"] for row in by_path["versions"]] == [RUN]
    assert f"{OTHER_RUN}/model" in {row["name"] for row in by_path["failed"]}


def test_what_indexes_list_and_the_export_lacks(send: Send) -> None:
    report = send(
        {
            "experiments/experiments.json": {
                "mlflow": {"experiments": [{"id": "7", "name": "/Shared/orders"}, {"id": "8", "name": "lost"}]}
            },
            "experiments/7/experiment.json": experiment(),
            f"experiments/7/{RUN}/run.json": run(),
            "experiments/7/logged_models/logged_models.json": {
                "info": {"failed_logged_models": [{"m-1": "no"}]},
                "mlflow": {"experiments": [{"id": "7", "logged_models": ["m-2"]}]},
            },
            "models/models.json": {"info": {"failed_models": ["broken"]}, "mlflow": {"models": ["broken", "gone"]}},
        }
    )
    lists = "the export lists it and does not hold it"
    recorded = "the export tool recorded it as failed"
    assert sorted((row["kind"], row["name"], row["reason"]) for row in report["failed"]) == [
        ("experiment", "8", lists),
        ("logged_model", "m-2", lists),
        ("logged_model", '{"m-1": "no"}', recorded),
        ("model", "broken", recorded),
        ("model", "gone", lists),
    ]
    assert report["unread_files"] == []


def test_a_missing_parent_is_told(send: Send, rows: Rows) -> None:
    child = run(tags={"mlflow.parentRunId": OTHER_RUN, "mlflow.rootRunId": OTHER_RUN})
    report = send({f"{RUN}/run.json": child})
    why = f"its parent run {OTHER_RUN} is not in the export and was not imported before"
    assert report["incomplete"] == [{"kind": "run", "name": RUN, "reason": why}]
    assert {row.value for row in rows(m.tags, run_uuid=RUN)} == {OTHER_RUN}
    assert send({f"{OTHER_RUN}/run.json": run(OTHER_RUN)})["incomplete"] == []
    assert send({f"{RUN}/run.json": child, "again.txt": b""})["incomplete"] == []


def test_a_metric_of_a_run_that_is_not_there_is_told(send: Send) -> None:
    metric = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 2, "run_id": OTHER_RUN}
    report = send({f"{LOGGED}/logged_model.json": logged_model(metrics=[metric], source_run_id=None)})
    why = f"its run {OTHER_RUN} is not in the export and was not imported before"
    assert report["failed"] == [{"kind": "logged_model_metric", "name": f"{LOGGED}/loss", "reason": why}]


def test_newer_fields_and_permissions_are_kept(places: FlaskClient, send: Send) -> None:
    """In run, experiment, registered model, version and logged model; each can be asked for."""
    newer = {"deep": [1, None, "x"]}
    permissions = {"permissions": {"access_control_list": [{"user_name": "jane"}]}}
    described = changed(experiment(newer=newer, artifact_location="dbfs:/7"), "mlflow.permissions", permissions)
    document = run()
    document["mlflow"]["info"]["newer"] = newer
    send(
        {
            "experiment.json": described,
            "model.json": registered_model(version(newer=newer), newer=newer, permissions=permissions),
            f"{RUN}/run.json": document,
            f"{RUN}/artifacts/model/MLmodel": MLMODEL,
            f"{LOGGED}/logged_model.json": logged_model(newer=newer),
        }
    )

    def unknown(path: str) -> Any:
        return places.get(f"/v1/workspaces/dev/{path}").get_json()["origins"][0]["lineage"]["unknown"]

    assert unknown("experiments/7") == {"newer": newer, "artifact_location": "dbfs:/7", "permissions": permissions}
    assert unknown("models/orders") == {"newer": newer, "permissions": permissions}
    assert unknown(f"logged-models/{LOGGED}") == {"newer": newer}
    source = places.get(f"/v1/workspaces/dev/runs/{RUN}").get_json()["lineage"]["source"]
    assert source["unknown"] == {"info": {"newer": newer}}
    lineage = places.get("/v1/models/orders/versions/1").get_json()["lineage"]
    assert lineage["source"]["version"] == {"unknown": {"newer": newer}}


@pytest.mark.parametrize(
    "tags",
    [
        {"mlflow_exim.run_info.run_id": "first", "mlflow_exim.run_info.user_id": "ann"},
        {"mlflow_export_import.metadata.run_id": "first", "mlflow_export_import.metadata.user_id": "ann"},
    ],
)
def test_the_first_origin_of_an_earlier_import(places: FlaskClient, send: Send, tags: dict[str, str]) -> None:
    send({f"{RUN}/run.json": run(tags=tags)})
    source = places.get(f"/v1/runs/{RUN}").get_json()["lineage"]["source"]
    assert source["origin"] == {"run_id": "first", "user_id": "ann"}
    assert source["tags"] == tags
