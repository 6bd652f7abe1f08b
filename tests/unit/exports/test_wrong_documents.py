"""What each field of the tool's JSON files may not be, and how the readers name it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from service.domain.errors import ExportRefused
from service.exports import fields
from service.exports.documents import read_experiment, read_logged_model, read_registered_model, read_run
from service.exports.fields import read_json
from tests.small_exports import changed, experiment, logged_model, registered_model, run
from tests.unit.exports.test_documents import DATASET

Reader = Callable[[dict[str, Any], str, str], Any]
INPUTS = "mlflow.inputs"
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
