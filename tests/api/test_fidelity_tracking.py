"""What an import keeps and updates of experiments and runs, where the export tool's own import loses or breaks it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.stores import mlflow_tables as m
from tests.api.conftest import OTHER_RUN, Rows, Send
from tests.api.later import THIRD, at, counted
from tests.small_exports import (
    LOGGED,
    RUN,
    Document,
    Files,
    changed,
    experiment,
    logged_model,
    registered_model,
    run,
    version,
)


def test_an_experiment_that_only_a_later_export_named(send: Send, rows: Rows) -> None:
    """A model's export says nothing of its experiment but the name: an older export still describes it."""
    named = version(_experiment_name="/Shared/orders")
    send({"model.json": at(registered_model(named), 1700000009), f"{RUN}/run.json": at(run(), 1700000009)})
    report = send({"experiment.json": at(experiment(tags={"team": "a"}), 1700000001), f"{RUN}/run.json": run()})
    (row,) = report["experiments"]
    (found,) = rows(m.experiments, experiment_id=int(row["id"]))
    assert (found.name, found.creation_time) == ("dev//Shared/orders", 1)
    assert counted(report, "experiments") == {"updated": 1}


def running(**info: Any) -> Document:
    document = run()
    document["mlflow"]["info"] |= {"status": "RUNNING", "end_time": None, **info}
    return document


def test_a_run_that_went_on(send: Send, rows: Rows) -> None:
    """A later export ends it and adds points; the earlier one, sent again, does not set it back."""
    early = changed(running(run_name="early"), "mlflow.tags", {"state": "early", "gone": "x"})
    files = {"experiment.json": experiment(), f"{RUN}/run.json": early}
    assert counted(send(files), "runs") == {"created": 1}
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.end_time) == ("RUNNING", None)
    points = [
        {"value": 0.5, "timestamp": 1700000000500, "step": 1},
        {"value": 0.4, "timestamp": 1700000000900, "step": 2},
    ]
    late = at(run(metrics={"loss": points}, tags={"state": "late"}), 1800000000)
    report = send({"experiment.json": at(experiment(), 1800000000), f"{RUN}/run.json": late})
    assert counted(report, "runs") == {"updated": 1}
    assert counted(report, "metrics") == {"created": 1, "skipped": 1}
    assert counted(report, "tags") == {"updated": 1}
    again = send({**files, "again.txt": b""})
    assert counted(again, "runs") == {"skipped": 1}
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.end_time, row.name) == ("FINISHED", 1700000001000, "first")
    assert {tag.key: tag.value for tag in rows(m.tags, run_uuid=RUN)} == {"state": "late", "gone": "x"}
    (latest,) = rows(m.latest_metrics, run_uuid=RUN)
    assert (latest.value, latest.step) == (0.4, 2)


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"])
def test_every_status_is_kept(send: Send, rows: Rows, status: str) -> None:
    send({f"{RUN}/run.json": running(status=status)})
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.start_time, row.user_id) == (status, 1700000000000, "jane")


def test_deleted_stays_deleted_and_may_come_back(send: Send, rows: Rows) -> None:
    def files(stage: str, when: int) -> Files:
        document = run()
        document["mlflow"]["info"]["lifecycle_stage"] = stage
        return {
            "experiment.json": at(experiment(lifecycle_stage=stage, creation_time=None), when),
            f"{RUN}/run.json": at(document, when),
        }

    for when, stage in enumerate(("deleted", "active", "deleted"), 1800000000):
        report = send(files(stage, when))
        (row,) = rows(m.runs, run_uuid=RUN)
        assert (row.lifecycle_stage, row.deleted_time) == (stage, 1700000001000 if stage == "deleted" else None)
        (row,) = rows(m.experiments, name="dev//Shared/orders")
        assert row.lifecycle_stage == stage
    assert counted(report, "runs") == {"updated": 1}
    assert counted(report, "experiments") == {"updated": 1}


def test_values_of_metrics(send: Send, rows: Rows) -> None:
    values = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -0.0, 5e-324, 10**400]
    points = [{"value": value, "timestamp": step, "step": step} for step, value in enumerate(values)]
    send({f"{RUN}/run.json": run(metrics={"m#?%20 é": points})})
    largest = 1.7976931348623157e308
    found = sorted((row.step, row.value, row.is_nan) for row in rows(m.metrics, run_uuid=RUN, key="m#?%20 é"))
    expected = [0.0, largest, -largest, largest, -0.0, 5e-324, largest]
    assert found == [(step, value, step == 0) for step, value in enumerate(expected)]


def test_datasets_and_logged_models_are_updated(send: Send, rows: Rows) -> None:
    def files(tag: str, when: int) -> Files:
        inputs = [{"dataset": {"name": "iris", "digest": "d"}, "tags": [{"key": "context", "value": tag}]}]
        points = [{"key": "auc", "value": 0.5, "timestamp": 1, "step": step, "run_id": RUN} for step in range(len(tag))]
        model = logged_model(tags={"t": tag}, metrics=points, last_updated_timestamp=when)
        return {
            f"{RUN}/run.json": at(run(inputs=inputs), when),
            f"{LOGGED}/logged_model.json": at(model, when),
        }

    send(files("a", 1800000000))
    report = send(files("ab", 1800000001))
    assert counted(report, "dataset_inputs") == {"updated": 1}
    assert counted(report, "logged_models") == {"updated": 1}
    assert [row.value for row in rows(m.input_tags)] == ["ab"]
    assert [row.tag_value for row in rows(m.logged_model_tags)] == ["ab"]
    assert sorted(row.metric_step for row in rows(m.logged_model_metrics)) == [0, 1]
    assert counted(send({**files("ab", 1800000001), "x.txt": b""}), "logged_models") == {"skipped": 1}


def test_an_experiment_under_two_names(places: FlaskClient, send: Send, rows: Rows) -> None:
    """It stays under the name that the caller gave it, also for exports that come without it."""
    files = {"experiment.json": experiment(), f"{RUN}/run.json": run()}
    assert send(files, experiment_name="central")["experiments"][0]["name"] == "central"
    later = {**files, f"{OTHER_RUN}/run.json": run(OTHER_RUN)}
    assert send(later)["experiments"][0]["name"] == "central"
    elsewhere = send({**later, f"{THIRD}/run.json": run(THIRD)}, experiment_name="elsewhere")
    assert elsewhere["experiments"][0]["name"] == "elsewhere"
    assert counted(elsewhere, "runs") == {"created": 1, "skipped": 2}
    for name in ("central", "elsewhere"):
        assert "experiments" in send({**later, f"{name}.txt": b""}, experiment_name=name), "still its own"
    found = places.get("/v1/workspaces/dev/experiments/7").get_json()["origins"]
    assert {origin["name"] for origin in found} == {"central", "elsewhere"}
    assert {row.name for row in rows(m.experiments)} == {"central", "elsewhere"}


def test_an_experiment_that_was_renamed_at_the_source(send: Send, rows: Rows) -> None:
    send({"experiment.json": experiment(), f"{RUN}/run.json": run()})
    report = send({"experiment.json": experiment(name="/Shared/renamed"), f"{RUN}/run.json": run()})
    assert [row["name"] for row in report["experiments"]] == ["dev//Shared/renamed"]
    assert {row.name for row in rows(m.experiments)} == {"dev//Shared/renamed"}


def test_the_same_number_on_another_server_is_another_experiment(send: Send, rows: Rows) -> None:
    send({"experiment.json": experiment(), f"{RUN}/run.json": run()})
    send({"experiment.json": experiment(name="else"), f"{OTHER_RUN}/run.json": run(OTHER_RUN)})
    assert {row.name for row in rows(m.experiments)} == {"dev//Shared/orders", "dev/else"}
