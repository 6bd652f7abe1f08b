"""The readers of the tool's JSON files: the shapes of every dialect."""

from __future__ import annotations

import io
import math
from array import array
from dataclasses import replace
from typing import Any

import pytest

from service.exports import documents
from service.exports.documents import read_experiment, read_logged_model, read_registered_model, read_run, read_tool
from service.exports.fields import read_json
from service.exports.records import DatasetRecord, LoggedModelMetric, MetricHistory, MetricPoint, ToolRecord
from tests.small_exports import LOGGED, RUN, changed, experiment, logged_model, registered_model, run, version

OTHER = "m-" + "f" * 32
DATASET = {"name": "iris", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}", "profile": None}
TAGS = [{"key": "mlflow.data.context", "value": "training"}]
DATASETS = (DatasetRecord("iris", "abc", "local", "{}", "{}", None, {"mlflow.data.context": "training"}),)

RUNS: dict[str, tuple[dict[str, Any], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = {
    # dialect: the run's inputs and outputs as the tool writes them, and what they are read as
    "A": ({}, (), (), ()),
    "B": ({"inputs": [{"dataset": DATASET, "tags": TAGS}]}, DATASETS, (), ()),
    "C, 2.x client": ({"inputs": {"dataset_inputs": [{"dataset": DATASET, "tags": TAGS}]}}, DATASETS, (), ()),
    "C": (
        {
            "inputs": {"dataset_inputs": [{"dataset": DATASET, "tags": TAGS}], "model_inputs": [{"model_id": LOGGED}]},
            "outputs": {"model_outputs": [{"model_id": LOGGED, "step": 3}, {"model_id": OTHER, "step": 0}]},
            "traces": ["tr-1"],
        },
        DATASETS,
        (LOGGED,),
        ((LOGGED, 3), (OTHER, 0)),
    ),
    "C, nothing logged": ({"inputs": {"dataset_inputs": [], "model_inputs": []}, "outputs": {}}, (), (), ()),
    "nulls": ({"inputs": None, "outputs": None, "traces": None, "tags": None, "params": None}, (), (), ()),
}


@pytest.mark.parametrize("dialect", RUNS)
def test_run_of_each_dialect(dialect: str) -> None:
    parts, datasets, inputs, outputs = RUNS[dialect]
    record = read_run(run(**parts), "run.json", "folder")
    assert record.datasets == datasets
    assert record.model_inputs == inputs
    assert record.model_outputs == outputs
    assert record.traces == tuple(parts.get("traces") or ())
    assert record.unknown == {}


def test_run_field_by_field() -> None:
    record = read_run(run(tags={"a": "1"}), "run.json", "folder")
    assert record == replace(
        record,
        run_id=RUN,
        experiment_id="7",
        name="first",
        user="jane",
        status="FINISHED",
        start_time=1700000000000,
        end_time=1700000001000,
        lifecycle_stage="active",
        artifact_uri=f"mlflow-artifacts:/7/{RUN}/artifacts",
        params={"depth": "3"},
        tags={"a": "1"},
        metrics=(MetricHistory("loss", array("d", [0.5]), array("q", [1700000000500]), array("q", [1])),),
        folder="folder",
        tool=ToolRecord("1.2.0", "2.22.5", "http://tracking.example", "jane", 1700000000000),
    )


def test_run_of_an_old_client() -> None:
    """Before MLflow 3 there was run_uuid too, and before 1.30 name and user were tags only."""
    document = run(tags={"mlflow.runName": "tagged", "mlflow.user": "joe"})
    info = document["mlflow"]["info"]
    info["run_uuid"] = info.pop("run_id")
    del info["run_name"], info["user_id"], info["end_time"]
    record = read_run(document, "run.json", "")
    assert (record.run_id, record.name, record.user, record.end_time) == (RUN, "tagged", "joe", None)


def test_tags_as_list_or_dict() -> None:
    """export-model-version writes an experiment's tags as a list, the others as a dict; values may be no text."""
    listed = [{"key": "a", "value": "1"}, {"key": "b", "value": None}, {"key": "c"}]
    assert read_experiment(experiment(tags=listed), "", "").tags == {"a": "1", "b": "", "c": ""}
    mixed = {"a": 1, "b": None, "c": True, "d": {"x": [1]}, "e": math.nan}
    assert read_experiment(experiment(tags=mixed), "", "").tags == {
        "a": "1",
        "b": "",
        "c": "true",
        "d": '{"x": [1]}',
        "e": "NaN",
    }


def test_newer_fields_of_a_run_are_kept() -> None:
    newer: dict[str, Any] = {"a": {"x": [1, None, True, "text"]}, "b": math.nan, "c": [-math.inf], "d": 10**30}
    kept = {"a": {"x": [1, None, True, "text"]}, "b": "NaN", "c": ["-Infinity"], "d": hex(10**30)}
    assert read_run(run(**newer), "", "").unknown == kept


POINTS = [
    ({"value": 1, "timestamp": 2, "step": 3}, MetricPoint("m", 1.0, 2, 3)),
    ({"value": 0.5, "timestamp": 2.0, "step": 3.0}, MetricPoint("m", 0.5, 2, 3)),
    ({"value": 0.5, "timestamp": "2", "step": "-3"}, MetricPoint("m", 0.5, 2, -3)),
    ({"value": 0.5}, MetricPoint("m", 0.5, 0, 0)),
    ({"value": 0.5, "timestamp": None, "step": None, "model_id": "m-1"}, MetricPoint("m", 0.5, 0, 0)),
    ({"value": math.inf, "timestamp": 2, "step": 3}, MetricPoint("m", math.inf, 2, 3)),
    ({"value": -1.7976931348623157e308, "timestamp": 2, "step": 3}, MetricPoint("m", -1.7976931348623157e308, 2, 3)),
    ({"value": 10**400, "timestamp": 2, "step": 3}, MetricPoint("m", math.inf, 2, 3)),
    ({"value": -(10**400), "timestamp": 2, "step": 3}, MetricPoint("m", -math.inf, 2, 3)),
    ({"value": 0.0, "timestamp": 2**63 - 1, "step": 1 - 2**63}, MetricPoint("m", 0.0, 2**63 - 1, 1 - 2**63)),
]


@pytest.mark.parametrize(("point", "expected"), POINTS)
def test_metric_points(point: dict[str, Any], expected: MetricPoint) -> None:
    (history,) = read_run(run(metrics={"m": [point]}), "", "").metrics
    assert list(history.points()) == [expected]


def test_an_odd_point_among_usual_ones() -> None:
    usual = {"value": 0.5, "timestamp": 2, "step": 3}
    (history,) = read_run(run(metrics={"m": [usual, {"value": 1}, usual]}), "", "").metrics
    expected = [MetricPoint("m", 0.5, 2, 3), MetricPoint("m", 1.0, 0, 0), MetricPoint("m", 0.5, 2, 3)]
    assert list(history.points()) == expected


def test_nan_as_the_tool_writes_it() -> None:
    points = b'[{"value": NaN}, {"value": -Infinity}, {"value": 1e999}]'
    text = b'{"mlflow": {"info": {"run_id": "a"}, "metrics": {"m": ' + points + b"}}}"
    (history,) = read_run(read_json(io.BytesIO(text), len(text), "run.json"), "run.json", "").metrics
    nan, low, high = history.points()
    assert math.isnan(nan.value)
    assert (low.value, high.value) == (-math.inf, math.inf)


def test_experiment() -> None:
    document = changed(experiment(tags={"a": "x" * 6000}), "info.failed_runs", ["r1", {"run_id": "r2", "why": [1]}, 3])
    record = read_experiment(document, "experiment.json", "folder")
    assert (record.experiment_id, record.name, record.lifecycle_stage) == ("7", "/Shared/orders", "active")
    assert record.run_ids == (RUN,)
    assert record.failed_runs == ("r1", '{"run_id": "r2", "why": [1]}', "3")
    assert record.tags == {"a": "x" * 6000}
    assert (record.creation_time, record.last_update_time) == (1, None)


@pytest.mark.parametrize("info", [None, {}, {"failed_runs": None}, {"failed_runs": 0}])
def test_experiment_without_failures(info: object) -> None:
    """Dialect A counts failures where later ones list them, and some files have no `info`."""
    assert read_experiment({**experiment(), "info": info}, "", "").failed_runs == ()


def test_versions_sorted_as_texts_are_put_in_order() -> None:
    document = registered_model(
        *(version(number) for number in ("1", "10", "11", "2")),
        aliases=[{"alias": "champion", "version": "10"}, {"alias": "old", "version": 2}],
        tags=[{"key": "team", "value": "a"}],
    )
    record = read_registered_model(document, "model.json", "folder")
    assert [item.version for item in record.versions] == [1, 2, 10, 11]
    assert record.aliases == {"champion": 10, "old": 2}
    assert record.tags == {"team": "a"}


def test_registered_model_without_versions() -> None:
    record = read_registered_model(registered_model(versions=None, aliases=None, tags={"a": "b"}), "", "")
    assert (record.versions, record.aliases, record.tags) == ((), {}, {"a": "b"})


def test_version_field_by_field() -> None:
    row = version(
        "3",
        current_stage="Production",
        description="good",
        user_id="jane",
        run_link="https://workspace.example/run",
        model_id=LOGGED,
        tags={"a": "b"},
        creation_timestamp=5,
        last_updated_timestamp=6,
        _experiment_name="/Shared/orders",
        newer=[1],
    )
    (record,) = read_registered_model(registered_model(row), "", "").versions
    assert vars(record) == {
        "version": 3,
        "run_id": RUN,
        "source": f"mlflow-artifacts:/7/{RUN}/artifacts/model",
        "stage": "Production",
        "status": "READY",
        "status_message": "",
        "description": "good",
        "user": "jane",
        "run_link": "https://workspace.example/run",
        "model_id": LOGGED,
        "tags": {"a": "b"},
        "creation_time": 5,
        "last_updated_time": 6,
        "run_artifact_uri": f"mlflow-artifacts:/7/{RUN}/artifacts",
        "experiment_name": "/Shared/orders",
        "download_uri": "",
        "unknown": {"newer": [1]},
    }


def test_logged_model() -> None:
    metric = {"key": "loss", "value": math.nan, "timestamp": 1, "step": 2, "run_id": RUN, "dataset_name": "iris"}
    record = read_logged_model(logged_model(metrics=[metric], params={"a": "1"}), "logged_model.json", "folder")
    assert (record.model_id, record.name, record.source_run_id, record.params) == (LOGGED, "model", RUN, {"a": "1"})
    (point,) = record.metrics
    assert isinstance(point, LoggedModelMetric)
    assert math.isnan(point.value)
    assert (point.key, point.run_id, point.dataset_name, point.dataset_digest) == ("loss", RUN, "iris", None)


def test_logged_model_without_a_run() -> None:
    record = read_logged_model(logged_model(source_run_id=None, creation_timestamp=None, creation_time=9), "", "")
    assert (record.source_run_id, record.creation_time) == ("", 9)


@pytest.mark.parametrize("system", [None, {}, {"user": None}])
def test_tool_that_says_nothing(system: object) -> None:
    assert read_tool({"system": system}, "") == ToolRecord()


def test_every_status_of_mlflow_is_known() -> None:
    for status in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"):
        assert read_run(changed(run(), "mlflow.info.status", status), "", "").status == status
    assert documents.STATUSES == ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
