"""The readers of the tool's JSON files: the shapes of every dialect, and what each field may not be."""

from __future__ import annotations

import io
import json
import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.domain.errors import ExportRefused
from service.exports import documents, fields
from service.exports.documents import read_experiment, read_logged_model, read_registered_model, read_run, read_tool
from service.exports.fields import read_json
from service.exports.records import DatasetRecord, LoggedModelMetric, MetricHistory, MetricPoint, ToolRecord
from tests.small_exports import LOGGED, RUN, changed, experiment, logged_model, registered_model, run, version

Reader = Callable[[dict[str, Any], str, str], Any]
OTHER = "m-" + "f" * 32
DATASET = {"name": "iris", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}", "profile": None}
TAGS = [{"key": "mlflow.data.context", "value": "training"}]
DATASETS = (DatasetRecord("iris", "abc", "local", "{}", "{}", None, {"mlflow.data.context": "training"}),)
INPUTS = "mlflow.inputs"

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


# What is refused: the reader, a sound document, the field that is made wrong, its value, the words.
TEXT = [["a"], {"a": "b"}, True]
LONG = "at most {} characters"
MODEL = "mlflow.registered_model"
CASES: list[tuple[Reader, dict[str, Any], str, list[object], str]] = [
    (read_run, run(), "system", ["x", [], 1], "an object"),
    (read_run, run(), "system.user", TEXT, "text"),
    (read_run, run(), "system.export_time", ["x", [], 2**63], "a whole number"),
    (read_run, run(), "mlflow", [None, "x", []], "an object"),
    (read_run, run(), "mlflow.info", [None, "x", []], "an object"),
    (read_run, run(), "mlflow.info.run_id", TEXT, "text"),
    (read_run, run(), "mlflow.info.run_id", [None, "", "a" * 33, "../etc", "a b", "a\n", "é"], "1 to 32 letters"),
    (read_run, run(), "mlflow.info.experiment_id", TEXT, "text"),
    (read_run, run(), "mlflow.info.experiment_id", ["7" * 65], LONG.format(64)),
    (read_run, run(), "mlflow.info.user_id", ["x" * 257], LONG.format(256)),
    (read_run, run(), "mlflow.info.run_name", ["x" * 251], LONG.format(250)),
    (read_run, run(), "mlflow.info.status", ["done", 3], "one of RUNNING"),
    (read_run, run(), "mlflow.info.lifecycle_stage", ["gone"], "active or deleted"),
    (
        read_run,
        run(),
        "mlflow.info.start_time",
        ["", "x", "--5", "²", "1.5", 1.5, math.nan, math.inf, True, [], {}, 2**63, -(2**63), "9" * 19, "9" * 5000],
        "a whole number",
    ),
    (read_run, run(), "mlflow.info.end_time", [1e300], "a whole number"),
    (read_run, run(), "mlflow.info.artifact_uri", TEXT, "text"),
    (read_run, run(), "mlflow.params", ["x", 1, [1], ["x"]], "a list of objects"),
    (read_run, run(), "mlflow.params.depth", ["x" * 8001], LONG.format(8000)),
    (read_run, run(), "mlflow.params.depth", ["a\0", "\ud800"], "free of NUL"),
    (read_run, run(), "mlflow.tags.a", ["x" * 8001], LONG.format(8000)),
    (read_run, run(tags=[{"key": "a", "value": "b"}]), "mlflow.tags[0].key", [None, ""], "given"),
    (read_run, run(tags=[{"key": "a", "value": "b"}]), "mlflow.tags[0].key", ["x" * 251], LONG.format(250)),
    (read_run, run(), "mlflow.metrics", ["x", []], "an object"),
    (read_run, run(), "mlflow.metrics.loss", [None, 1, {}, [1], [None]], "a list of points"),
    (read_run, run(), INPUTS, ["x", 1], "an object"),
    (read_run, run(inputs={}), f"{INPUTS}.dataset_inputs", ["x", [1]], "a list of objects"),
    (read_run, run(inputs=[{}]), f"{INPUTS}[0].dataset", [None, "x"], "an object"),
    (read_run, run(inputs={"dataset_inputs": [{}]}), f"{INPUTS}.dataset_inputs[0].dataset", [None], "an object"),
    (read_run, run(outputs={}), "mlflow.outputs.model_outputs", ["x", [1]], "a list of objects"),
    (read_run, run(), "mlflow.traces", ["x", [[]], [None]], "a list of texts"),
    (read_run, run(), "mlflow.newer", ["a\0", {"a": ["\ud800"]}, {"a\0": 1}], "free of NUL"),
    (read_run, run(), "mlflow.newer", [json.loads("[" * 65 + "]" * 65)], "nested at most 64 levels"),
    (read_run, run(), "mlflow.newer", ["x" * 2**20], "shorter"),
    (read_experiment, experiment(), "mlflow.experiment", [None, []], "an object"),
    (read_experiment, experiment(), "mlflow.experiment.experiment_id", [None, ""], "given"),
    (read_experiment, experiment(), "mlflow.experiment.experiment_id", ["7" * 65], LONG.format(64)),
    (read_experiment, experiment(), "mlflow.experiment.name", [None, ""], "given"),
    (read_experiment, experiment(), "mlflow.experiment.name", ["x" * 257], LONG.format(256)),
    (read_experiment, experiment(), "mlflow.experiment.lifecycle_stage", ["x"], "active or deleted"),
    (read_experiment, experiment(), "mlflow.experiment.creation_time", ["now"], "a whole number"),
    (read_experiment, experiment(), "mlflow.experiment.tags", ["x"], "a list of objects"),
    (read_experiment, experiment(), "mlflow.runs", ["x", {}, [{}]], "a list of texts"),
    (read_experiment, experiment(), "info", ["x", []], "an object"),
    (read_registered_model, registered_model(), MODEL, [None, []], "an object"),
    (read_registered_model, registered_model(), f"{MODEL}.name", [None, ""], "given"),
    (read_registered_model, registered_model(), f"{MODEL}.name", ["x" * 257], LONG.format(256)),
    (read_registered_model, registered_model(), f"{MODEL}.description", ["x" * 5001], LONG.format(5000)),
    (read_registered_model, registered_model(), f"{MODEL}.tags", ["x"], "a list of objects"),
    (read_registered_model, registered_model(tags={}), f"{MODEL}.tags.a", ["x" * 5001], LONG.format(5000)),
    (
        read_registered_model,
        registered_model(),
        f"{MODEL}.aliases",
        [{"champion": 1}, ["champion"]],
        "a list of objects",
    ),
    (read_registered_model, registered_model(aliases=[{}]), f"{MODEL}.aliases[0].alias", [None], "given"),
    (read_registered_model, registered_model(aliases=[{}]), f"{MODEL}.aliases[0].alias", ["x" * 257], LONG.format(256)),
    (
        read_registered_model,
        registered_model(aliases=[{"alias": "a"}]),
        f"{MODEL}.aliases[0].version",
        ["first"],
        "a whole number",
    ),
    (read_registered_model, registered_model(), f"{MODEL}.versions", ["x", {}, [1]], "a list of objects"),
    (
        read_registered_model,
        registered_model(),
        f"{MODEL}.versions[0].version",
        [None, 0, -1, 2**31],
        "a version number",
    ),
    (read_registered_model, registered_model(), f"{MODEL}.versions[0].version", ["first", [], 1.5], "a whole number"),
    (read_registered_model, registered_model(), f"{MODEL}.versions[0].source", TEXT, "text"),
    (read_registered_model, registered_model(), f"{MODEL}.versions[0].user_id", ["x" * 257], LONG.format(256)),
    (read_registered_model, registered_model(), f"{MODEL}.versions[0].run_link", ["x" * 501], LONG.format(500)),
    (read_registered_model, registered_model(), f"{MODEL}.versions[0].description", ["x" * 5001], LONG.format(5000)),
    (read_logged_model, logged_model(), "mlflow.model_id", [None, ""], "given"),
    (
        read_logged_model,
        logged_model(),
        "mlflow.model_id",
        ["m-", "x-1", "m-" + "a" * 35, "m-../x"],
        "'m-' and 1 to 34",
    ),
    (read_logged_model, logged_model(), "mlflow.name", ["x" * 501], LONG.format(500)),
    (read_logged_model, logged_model(), "mlflow.source_run_id", ["x" * 33], LONG.format(32)),
    (read_logged_model, logged_model(), "mlflow.experiment_id", ["7" * 65], LONG.format(64)),
    (read_logged_model, logged_model(), "mlflow.status_message", ["x" * 1001], LONG.format(1000)),
    (read_logged_model, logged_model(), "mlflow.metrics", ["x", {}], "a list of objects"),
    (read_logged_model, logged_model(metrics=[{"key": "a"}]), "mlflow.metrics[0].value", [None, "1", True], "a number"),
    (
        read_logged_model,
        logged_model(metrics=[{"key": "a", "value": 1}]),
        "mlflow.metrics[0].dataset_name",
        ["x" * 501],
        LONG.format(500),
    ),
    (
        read_logged_model,
        logged_model(metrics=[{"key": "a", "value": 1}]),
        "mlflow.metrics[0].dataset_digest",
        ["x" * 37],
        LONG.format(36),
    ),
]
FLAT = [
    pytest.param(reader, sound, field, value, words, id=f"{reader.__name__}-{field}-{repr(value)[:20]}")
    for reader, sound, field, values, words in CASES
    for value in values
]


@pytest.mark.parametrize(("reader", "sound", "field", "value", "words"), FLAT)
def test_a_wrong_field_is_named(reader: Reader, sound: dict[str, Any], field: str, value: object, words: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        reader(changed(sound, field, value), "folder/file.json", "folder")
    assert refused.value.where == {"file": "folder/file.json", "field": field}
    assert refused.value.detail.startswith(f"The field {field} must be {words}")


@pytest.mark.parametrize("key", ["a\0b", "a\ud800b"])
def test_a_key_that_cannot_be_stored_is_named_by_what_can(key: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_run(run(params={key: "1"}), "run.json", "")
    assert refused.value.where == {"file": "run.json", "field": "mlflow.params.a\N{REPLACEMENT CHARACTER}b"}


@pytest.mark.parametrize("part", ["params", "tags", "metrics"])
def test_a_long_key_is_refused_and_shown_in_part(part: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_run(changed(run(), f"mlflow.{part}", {"k" * 251: []}), "run.json", "")
    assert refused.value.where["field"] == f"mlflow.{part}." + "k" * 80


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("mlflow.metrics.loss", [{"value": None}], "mlflow.metrics.loss.value"),
        ("mlflow.metrics.loss", [{"value": "0.5"}], "mlflow.metrics.loss.value"),
        ("mlflow.metrics.loss", [{"value": True}], "mlflow.metrics.loss.value"),
        ("mlflow.metrics.loss", [{"value": 0.5, "timestamp": 2**63}], "mlflow.metrics.loss.timestamp"),
        ("mlflow.metrics.loss", [{"value": 0.5, "timestamp": 1, "step": 0.5}], "mlflow.metrics.loss.step"),
        ("mlflow.inputs", [{"dataset": {**DATASET, "name": None}}], "mlflow.inputs[0].dataset.name"),
        (
            "mlflow.inputs",
            [{"dataset": {**DATASET, "digest": "x" * 37}}],
            "mlflow.inputs[0].dataset.digest",
        ),
        ("mlflow.inputs", [{"dataset": DATASET, "tags": {"a": "x" * 501}}], "mlflow.inputs[0].tags.a"),
        ("mlflow.inputs", {"model_inputs": [{"model_id": "x" * 40}]}, "mlflow.inputs.model_inputs[0].model_id"),
        ("mlflow.outputs", {"model_outputs": [{"step": 1}]}, "mlflow.outputs.model_outputs[0].model_id"),
        ("mlflow.traces", ["a", "b\0"], "mlflow.traces[1]"),
    ],
)
def test_a_wrong_field_inside_a_list_is_named(field: str, value: object, named: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_run(changed(run(), field, value), "run.json", "")
    assert refused.value.where == {"file": "run.json", "field": named}


@pytest.mark.parametrize("value", [["a\0"], ["\ud800"]])
def test_what_failed_must_be_storable(value: list[object]) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_experiment(changed(experiment(), "info.failed_runs", value), "experiment.json", "")
    assert refused.value.where == {"file": "experiment.json", "field": "info.failed_runs[0]"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is not JSON (line 1, column 1)"),
        (b"{", "is not JSON (line 1, column 2)"),
        (b'{"a":\n}', "is not JSON (line 2, column 1)"),
        (b"{} {}", "is not JSON (line 1, column 4)"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "must hold a JSON object"),
        (b"null", "must hold a JSON object"),
        (b"NaN", "must hold a JSON object"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_json_object_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_json(io.BytesIO(text), len(text), "run.json")
    assert words in refused.value.detail
    assert refused.value.where == {"file": "run.json"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_json(encoding: str) -> None:
    text = '{"a": "ü"}'.encode(encoding)
    assert read_json(io.BytesIO(text), len(text), "") == {"a": "ü"}


def test_a_file_over_the_limit_is_not_read() -> None:
    with pytest.raises(ExportRefused, match="more than the 67108864 that are read"):
        read_json(io.BytesIO(b"{}"), fields.MAX_JSON + 1, "run.json")


def test_every_status_of_mlflow_is_known() -> None:
    for status in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"):
        assert read_run(changed(run(), "mlflow.info.status", status), "", "").status == status
    assert documents.STATUSES == ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
