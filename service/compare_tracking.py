"""Read experiments, runs and logged models of an imported export back through MLflow's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.compare_fields import Difference, differences
from service.compare_reading import Reading, there
from service.compare_values import (
    comparable,
    expected_datasets,
    found_datasets,
    model_ids,
    model_metric,
    model_outputs,
    rank,
    said,
    shared,
)
from service.exports.records import ExperimentRecord, LoggedModelRecord, MetricPoint, RunRecord

RUN_TAGS = ("mlflow.parentRunId", "mlflow.rootRunId")
HISTORY_TAG = "mlflow.log-model.history"


def compare_experiment(reading: Reading, record: ExperimentRecord) -> Iterator[Difference]:
    where = f"experiment {record.name}"
    row = reading.row("experiments", original_id=record.experiment_id, original_name=record.name)
    got = there(reading.client.get_experiment, row["id"]) if row else None
    if row is None or got is None:
        yield Difference(where, "there", "absent")
        return
    yield from differences(
        where,
        {
            "name": (row["name"], got.name),
            "lifecycle_stage": (record.lifecycle_stage, got.lifecycle_stage),
            "creation_time": said(record.creation_time, got.creation_time),
            "last_update_time": said(record.last_update_time, got.last_update_time),
            "tags": (dict(record.tags), dict(got.tags)),
        },
    )


def compare_run(reading: Reading, record: RunRecord) -> Iterator[Difference]:
    where = f"run {record.run_id}"
    run_id = reading.ids.run(record.run_id)
    got = there(reading.client.get_run, run_id) if run_id else None
    if run_id is None or got is None:
        yield Difference(where, "there", "absent")
        return
    row = reading.row("experiments", original_id=record.experiment_id)
    yield from differences(
        where,
        {
            "run_id": (record.run_id, run_id),
            "experiment_id": (row["id"] if row else "none", got.info.experiment_id),
            "name": (record.name, got.info.run_name or ""),
            "user": (record.user, got.info.user_id or ""),
            "status": (record.status, got.info.status),
            "start_time": (record.start_time, got.info.start_time),
            "end_time": (record.end_time, got.info.end_time),
            "lifecycle_stage": (record.lifecycle_stage, got.info.lifecycle_stage),
            "params": (dict(record.params), dict(got.data.params)),
            "tags": (_tags(reading, record), dict(got.data.tags)),
            "datasets": shared(expected_datasets(record), found_datasets(got)),
            "model_inputs": shared(
                [_model_id(reading, model) for model in record.model_inputs], model_ids(got.inputs, "model_inputs")
            ),
            "model_outputs": shared(
                [(_model_id(reading, model), step) for model, step in record.model_outputs], model_outputs(got)
            ),
        },
    )
    yield from _metrics(reading, record, run_id, got)
    files = reading.found.artifacts.get(record.folder, [])
    yield from reading.compare_files(where, files, got.info.artifact_uri)


def _tags(reading: Reading, record: RunRecord) -> dict[str, str]:
    """With the ids here of the runs that tags name."""
    named = {tag: reading.ids.run(record.tags[tag]) for tag in RUN_TAGS if tag in record.tags}
    tags = {**record.tags, **{tag: run_id for tag, run_id in named.items() if run_id}}
    own = reading.ids.run(record.run_id)
    if HISTORY_TAG in tags and own and own != record.run_id:
        tags[HISTORY_TAG] = tags[HISTORY_TAG].replace(record.run_id, own)
    return tags


def _model_id(reading: Reading, original: str) -> str:
    return reading.ids.logged_model(original) or original


def _metrics(reading: Reading, record: RunRecord, run_id: str, got: Any) -> Iterator[Difference]:
    where = f"run {record.run_id}: metrics"
    histories = [history for history in record.metrics if history.values]
    keys = sorted(history.key for history in histories)
    yield from differences(where, {"keys": (keys, sorted(got.data.metrics))})
    latest = {history.key: comparable(max(history.points(), key=rank))[1] for history in histories}
    read_latest = {key: comparable(MetricPoint(key, value, 0, 0))[1] for key, value in got.data.metrics.items()}
    yield from differences(where, {"latest": (latest, read_latest)})
    for history in histories:
        key = history.key
        expected = set(map(comparable, history.points()))
        found = reading.client.get_metric_history(run_id, key)
        read = {comparable(MetricPoint(key, p.value, p.timestamp, p.step)) for p in found}
        if expected != read:
            yield Difference(f"{where}.{key}", sorted(map(str, expected - read)), sorted(map(str, read - expected)))


def compare_logged_model(reading: Reading, record: LoggedModelRecord) -> Iterator[Difference]:
    where = f"logged model {record.model_id}"
    model_id = reading.ids.logged_model(record.model_id)
    got = there(reading.client.get_logged_model, model_id) if model_id else None
    if got is None:
        yield Difference(where, "there", "absent")
        return
    run_id = reading.ids.run(record.source_run_id) if record.source_run_id else None
    yield from differences(
        where,
        {
            "model_id": (record.model_id, model_id),
            "name": (record.name, got.name),
            "source_run_id": (run_id or record.source_run_id, got.source_run_id or ""),
            "status": (record.status, str(got.status.value)),
            "status_message": (record.status_message, got.status_message or ""),
            "model_type": (record.model_type, got.model_type or ""),
            "creation_time": said(record.creation_time, got.creation_timestamp),
            "last_updated_time": said(record.last_updated_time, got.last_updated_timestamp),
            "tags": (dict(record.tags), dict(got.tags)),
            "params": (dict(record.params), dict(got.params)),
            "metrics": (
                sorted(model_metric(m, reading.ids.run(m.run_id)) for m in record.metrics if reading.ids.run(m.run_id)),
                sorted(model_metric(m, m.run_id) for m in got.metrics or ()),
            ),
        },
    )
    yield from reading.compare_files(where, reading.found.artifacts.get(record.folder, []), got.artifact_location)
