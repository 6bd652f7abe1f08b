"""Read traces, prompts and evaluation datasets of an imported export back through MLflow's own client.

A trace or dataset whose id could not be kept is a difference; what is inside it and names it, or has an id derived
from it, is then compared without that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.compare_fields import Difference, differences
from service.compare_reading import Reading, there
from service.compare_values import said
from service.exports.evaluation import DatasetRow, EvaluationDatasetRecord
from service.exports.prompts import PromptRecord
from service.exports.traces import ARTIFACTS_TAG, ASSESSED_RUN_KEY, MODEL_KEY, RUN_KEY, AssessmentRecord, TraceRecord

_REQUEST_ID = "mlflow.traceRequestId"


def compare_trace(reading: Reading, record: TraceRecord) -> Iterator[Difference]:
    """A trace that lacks its spans is passed over: MLflow's client does not read it, and the report says so."""
    where = f"trace {record.trace_id}"
    spans = reading.spans.get(record.trace_id, ())
    if {span.span_id for span in spans} < set(record.span_ids):
        return
    trace_id = reading.here("trace", record.trace_id)
    got = there(lambda of: reading.client.get_trace(of, display=False), trace_id)
    if got is None:
        yield Difference(where, "there", "absent")
        return
    kept = trace_id == record.trace_id
    info = got.info
    follow = {RUN_KEY: reading.ids.run, MODEL_KEY: reading.ids.logged_model}
    row = reading.row("experiments", original_id=record.experiment_id) if record.experiment_id else None
    yield from differences(
        where,
        {
            "trace_id": (record.trace_id, info.trace_id),
            "experiment_id": (row["id"] if row else info.experiment_id, info.experiment_id),
            "request_time": (record.request_time, info.request_time),
            "execution_duration": (record.duration, info.execution_duration),
            "state": (record.state, info.state.value),
            "client_request_id": (record.client_request_id, info.client_request_id),
            "request_preview": (record.request_preview, info.request_preview),
            "response_preview": (record.response_preview, info.response_preview),
            "trace_metadata": (_followed(record.metadata, follow), dict(info.trace_metadata)),
            "tags": (_tags(record.tags), _tags(info.tags)),
            "assessments": (
                sorted(_expected(reading, row, kept=kept) for row in record.assessments),
                sorted(_found(row, kept=kept) for row in info.assessments),
            ),
            "spans": (
                sorted(_span(span.document, kept=kept) for span in spans),
                sorted(_span(span.to_dict(), kept=kept) for span in got.data.spans),
            ),
        },
    )
    files = reading.found.artifacts.get(record.folder, [])
    yield from reading.compare_files(where, files, info.tags[ARTIFACTS_TAG])


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != ARTIFACTS_TAG}


def _followed(metadata: Mapping[str, str], here: Mapping[str, Callable[[str], str | None]]) -> dict[str, str]:
    """With the ids here of the runs and the logged model that they name, by key."""
    return {key: (here[key](value) if key in here and value else None) or value for key, value in metadata.items()}


def _span(document: Mapping[str, Any], *, kept: bool) -> str:
    told = dict(document)
    if not kept:
        del told["trace_id"]
        told["attributes"] = {key: value for key, value in told["attributes"].items() if key != _REQUEST_ID}
    return json.dumps(told, sort_keys=True)


def _expected(reading: Reading, row: AssessmentRecord, *, kept: bool) -> tuple[str, ...]:
    """MLflow's protocol carries no run of an assessment, and only a feedback's `overrides`."""
    source = (row.source_type, row.source_id)
    times = (row.creation_time, row.last_update_time)
    told = (
        row.rationale,
        row.span_id,
        row.overrides if kept and row.kind == "feedback" else None,
        row.valid,
        _followed(row.metadata, {ASSESSED_RUN_KEY: reading.ids.run}),
    )
    return row.assessment_id if kept else "", row.name, row.kind, _text(row.value, row.error, source, times, told)


def _found(row: Any, *, kept: bool) -> tuple[str, ...]:
    kind = "feedback" if row.feedback else "expectation" if row.expectation else "issue"
    value = row.issue.to_dictionary() if kind == "issue" else getattr(row, kind).value
    error = row.feedback.error.to_dictionary() if kind == "feedback" and row.feedback.error else None
    source = (row.source.source_type, row.source.source_id or None)
    times = (row.create_time_ms, row.last_update_time_ms)
    valid = row.valid is not False
    told = (row.rationale, row.span_id, row.overrides if kept else None, valid, dict(row.metadata or {}))
    return row.assessment_id if kept else "", row.name, kind, _text(value, error, source, times, told)


def _text(*values: object) -> str:
    return json.dumps(values, sort_keys=True)


def compare_prompt(reading: Reading, record: PromptRecord) -> Iterator[Difference]:
    where = f"prompt {record.name}, version {record.version}"
    row = reading.row("prompts", original_name=record.name, original_version=record.version)
    got = there(reading.client.get_prompt_version, row["prompt"], str(row["version"])) if row else None
    if row is None or got is None:
        yield Difference(where, "there", "absent")
        return
    yield from differences(
        where,
        {
            "number": (record.version, int(got.version)),
            "template": (json.loads(record.text) if record.chat else record.text, got.template),
            "description": (record.description, got.commit_message or ""),
            "tags": (dict(record.tags), dict(got.tags)),
            "user": (record.user, got.user_id or ""),
            "creation_time": said(record.creation_time, got.creation_timestamp),
            "last_updated_time": said(record.last_updated_time, got.last_updated_timestamp),
        },
    )


def compare_dataset(reading: Reading, record: EvaluationDatasetRecord) -> Iterator[Difference]:
    where = f"evaluation dataset {record.dataset_id}"
    dataset_id = reading.here("evaluation_dataset", record.dataset_id)
    got = there(reading.client.get_dataset, dataset_id)
    if got is None:
        yield Difference(where, "there", "absent")
        return
    kept = dataset_id == record.dataset_id
    rows = [reading.row("experiments", original_id=key) for key in record.experiment_ids]
    yield from differences(
        where,
        {
            "dataset_id": (record.dataset_id, got.dataset_id),
            "name": (record.name, got.name),
            "digest": (record.digest, got.digest),
            "schema": (record.schema, got.schema),
            "profile": (record.profile, got.profile),
            "tags": (dict(record.tags), dict(got.tags or {})),
            "created_time": (record.creation_time, got.created_time),
            "last_update_time": (record.last_update_time, got.last_update_time),
            "created_by": (record.created_by, got.created_by),
            "last_updated_by": (record.last_updated_by, got.last_updated_by),
            "experiments": (sorted(row["id"] if row else "none" for row in rows), sorted(got.experiment_ids)),
            "records": (
                sorted(_expected_row(row, kept=kept) for row in record.rows),
                sorted(_found_row(row.to_dict(), kept=kept) for row in got.records),
            ),
        },
    )


_PARTS = ("inputs", "outputs", "expectations", "tags", "source")
_FIELDS = ("source_id", "source_type", "created_time", "last_update_time", "created_by", "last_updated_by")


def _expected_row(row: DatasetRow, *, kept: bool) -> tuple[str, str]:
    return (
        row.record_id if kept else "",
        _text(
            [json.loads(text) if text else None for text in (getattr(row, part) for part in _PARTS)],
            [row.source_id, row.source_type, row.creation_time, row.last_update_time],
            [row.created_by, row.last_updated_by],
        ),
    )


def _found_row(row: Mapping[str, Any], *, kept: bool) -> tuple[str, str]:
    fields = [row.get(name) for name in _FIELDS]
    record_id = str(row["dataset_record_id"]) if kept else ""
    return record_id, _text([row.get(part) for part in _PARTS], fields[:4], fields[4:])
