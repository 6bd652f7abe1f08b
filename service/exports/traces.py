"""Traces of an export: `traces/<id>/trace.json` of the tool of 2026-01, written by MLflow's clients of 2.x or 3.x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.exports.documents import EXPERIMENT_ID, read_tool
from service.exports.fields import Fields
from service.exports.plain import MAX_DEPTH, shallow
from service.exports.records import ToolRecord

TRACE_ID = 250
STATES = ("STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")
IN_DATABASE = "TRACKING_STORE"
LOCATION_TAG = "mlflow.trace.spansLocation"
NAME_TAG = "mlflow.traceName"
ARTIFACTS_TAG = "mlflow.artifactLocation"
RUN_KEY = "mlflow.sourceRun"
MODEL_KEY = "mlflow.modelId"
ASSESSED_RUN_KEY = "mlflow.assessment.sourceRunId"
SESSION_KEY = "mlflow.trace.session"
_ASSESSMENTS = ("feedback", "expectation", "issue")
_SOURCES = ("SOURCE_TYPE_UNSPECIFIED", "LLM_JUDGE", "AI_JUDGE", "HUMAN", "CODE")
_KNOWN = {
    *("trace_id", "request_id", "trace_location", "experiment_id", "request_time", "timestamp_ms"),
    *("execution_duration", "execution_time_ms", "state", "status", "client_request_id", "request_preview"),
    *("response_preview", "trace_metadata", "request_metadata", "tags", "assessments"),
}


@dataclass(frozen=True)
class AssessmentRecord:
    """`kind` is feedback, expectation or issue; `value` and `error` are JSON of any shape."""

    assessment_id: str
    name: str
    kind: str
    value: Any
    error: Mapping[str, str | None] | None
    source_type: str
    source_id: str | None
    run_id: str
    span_id: str | None
    rationale: str | None
    overrides: str | None
    valid: bool
    metadata: Mapping[str, str]
    creation_time: int
    last_update_time: int


@dataclass(frozen=True)
class TraceRecord:
    """`span_ids` are those that the export says it has; the spans themselves are in an artifact.

    `duration` in milliseconds; `experiment_id` is empty for a trace that lives outside of an experiment.
    """

    trace_id: str
    experiment_id: str
    request_time: int
    duration: int | None
    state: str
    client_request_id: str | None
    request_preview: str | None
    response_preview: str | None
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    assessments: Sequence[AssessmentRecord]
    span_ids: Sequence[str]
    unknown: Mapping[str, Any]
    folder: str
    tool: ToolRecord

    @property
    def spans_in_database(self) -> bool:
        """Where MLflow's clients look for the spans; otherwise in the artifact `traces.json`."""
        return self.tags.get(LOCATION_TAG) == IN_DATABASE


def read_trace(document: dict[str, Any], file: str, folder: str) -> TraceRecord:
    """Raises ExportRefused naming the field."""
    trace = Fields(document, file).object("mlflow")
    info = trace.object("info")
    trace_id = info.text("trace_id", limit=TRACE_ID) or info.required("request_id", TRACE_ID)
    state = info.text("state") or info.text("status") or STATES[0]
    state = STATES[0] if state == "TRACE_STATUS_UNSPECIFIED" else state
    if state not in STATES:
        raise info.refuse("state", "one of " + ", ".join(STATES))
    newer = "request_time" in info.data
    metadata = info.optional("trace_metadata" if newer else "request_metadata")
    metadata.text(SESSION_KEY, limit=250)
    info.optional("tags").text(NAME_TAG, limit=4096)
    place = info.optional("trace_location").optional("mlflow_experiment")
    return TraceRecord(
        trace_id=trace_id,
        experiment_id=place.text("experiment_id", limit=EXPERIMENT_ID) or info.text("experiment_id", limit=64),
        request_time=_time(info, "request_time" if newer else "timestamp_ms"),
        duration=info.integer("execution_duration" if newer else "execution_time_ms"),
        state=state,
        client_request_id=info.maybe("client_request_id", 50),
        request_preview=info.maybe("request_preview", 1000),
        response_preview=info.maybe("response_preview", 1000),
        metadata=info.mapping("trace_metadata" if newer else "request_metadata", 250, 8000),
        tags=info.mapping("tags", 250, 8000),
        assessments=tuple(_assessment(row) for row in info.objects("assessments")),
        span_ids=tuple(row.required("span_id", 50) for row in trace.objects("data")),
        unknown=info.rest(_KNOWN),
        folder=folder,
        tool=read_tool(document, file),
    )


def _time(fields: Fields, name: str) -> int:
    value = fields.integer(name)
    if value is None:
        raise fields.refuse(name, "a time in milliseconds")
    return value


def _assessment(row: Fields) -> AssessmentRecord:
    kinds = [kind for kind in _ASSESSMENTS if row.data.get(kind) is not None]
    told = row.text("assessment_type") or (kinds[0] if len(kinds) == 1 else "")
    if told not in _ASSESSMENTS:
        raise row.refuse("assessment_type", "one of " + ", ".join(_ASSESSMENTS))
    feedback = row.optional("feedback")
    error = _error(feedback.optional("error")) or _error(row.optional("error"))
    value = feedback.data.get("value") if told == "feedback" else row.data.get(told)
    if told == "issue":
        value = {"issue_name": row.object(told).text("issue_name")}
    if not shallow(value):
        raise row.refuse(told, f"nested at most {MAX_DEPTH} levels deep")
    source = row.object("source")
    if source.text("source_type").upper() not in _SOURCES:
        raise source.refuse("source_type", "one of " + ", ".join(_SOURCES))
    return AssessmentRecord(
        assessment_id=row.required("assessment_id", 50),
        name=row.required("name", 250),
        kind=told,
        value=value,
        error=error,
        source_type=source.text("source_type").upper(),
        source_id=source.maybe("source_id", 250),
        run_id=row.text("run_id", limit=32),
        span_id=row.maybe("span_id", 50),
        rationale=row.maybe("rationale"),
        overrides=row.maybe("overrides", 50),
        valid=row.data.get("valid") is not False,
        metadata=row.mapping("metadata"),
        creation_time=_time(row, "create_time_ms"),
        last_update_time=_time(row, "last_update_time_ms"),
    )


def _error(error: Fields) -> dict[str, str | None] | None:
    if not error.data:
        return None
    code = error.required("error_code")
    return {
        "error_code": code,
        "error_message": error.maybe("error_message"),
        "stack_trace": error.maybe("stack_trace"),
    }


def read_failed_traces(document: dict[str, Any], file: str) -> list[str]:
    """The ids in a `traces.json` beside the traces, which the tool could not export."""
    return Fields(document, file).optional("info").names("failed_traces")
