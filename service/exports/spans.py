"""Spans of a trace: the artifact `traces.json`, where MLflow's clients of 3.x wrote it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.exports.fields import Fields
from service.exports.plain import MAX_DEPTH, shallow

COSTS = ("input_cost", "output_cost", "total_cost")
MODEL_LENGTH = 500
_HEX = re.compile("(0x)?[0-9a-f]{1,16}")
_BASE64_LENGTH = 12
_STATUSES = ("UNSET", "OK", "ERROR")


@dataclass(frozen=True)
class SpanRecord:
    """Times in nanoseconds; ids as 16 hexadecimal digits; `document` is all of the span, as it came."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    status: str
    start_time: int
    end_time: int | None
    document: Mapping[str, Any]
    costs: Mapping[str, float]
    model: str | None
    provider: str | None


def told_trace(document: dict[str, Any], file: str) -> str:
    """The trace that the first span names as its own; empty without one."""
    rows = Fields(document, file).objects("spans")
    told = _told(rows[0].optional("attributes"), "mlflow.traceRequestId") if rows else ""
    return told if isinstance(told, str) else ""


def read_spans(document: dict[str, Any], file: str, trace_id: str) -> list[SpanRecord]:
    """The spans of the trace. Raises ExportRefused naming the field."""
    return [_span(row, trace_id) for row in Fields(document, file).objects("spans")]


def _span(row: Fields, trace_id: str) -> SpanRecord:
    if not shallow(row.data):
        raise row.refuse("attributes", f"nested at most {MAX_DEPTH} levels deep")
    attributes = row.object("attributes")
    costs = _told(attributes, "mlflow.llm.cost")
    kind = _told(attributes, "mlflow.spanType")
    return SpanRecord(
        trace_id=trace_id,
        span_id=_identifier(row, "span_id"),
        parent_id=_identifier(row, "parent_span_id") if row.data.get("parent_span_id") else None,
        name=row.text("name"),
        kind=attributes.storable(kind if isinstance(kind, str) else "UNKNOWN", "mlflow.spanType", 500),
        status=_status(row.object("status")),
        start_time=_time(row, "start_time_unix_nano"),
        end_time=_time(row, "end_time_unix_nano") if row.data.get("end_time_unix_nano") else None,
        document=row.data,
        costs=_costs(costs) if isinstance(costs, dict) else {},
        model=_dimension(attributes, "mlflow.llm.model"),
        provider=_dimension(attributes, "mlflow.llm.provider"),
    )


def _identifier(row: Fields, name: str) -> str:
    """MLflow 3 writes base64 of the eight bytes, 3.5.0 hexadecimal digits."""
    text = row.required(name, 50)
    if _HEX.fullmatch(text):
        return f"{int(text, 16):016x}"
    try:
        data = base64.b64decode(text, validate=True) if len(text) == _BASE64_LENGTH else b""
    except binascii.Error:
        data = b""
    if len(data) != 8:
        raise row.refuse(name, "the id of a span")
    return data.hex()


def _status(status: Fields) -> str:
    code = status.text("code").removeprefix("STATUS_CODE_")
    if code not in _STATUSES:
        raise status.refuse("code", "one of " + ", ".join(_STATUSES))
    return code


def _time(row: Fields, name: str) -> int:
    value = row.integer(name)
    if value is None or value < 0:
        raise row.refuse(name, "a time in nanoseconds")
    return value


def _told(attributes: Fields, name: str) -> Any:
    """An attribute's value, which MLflow writes as JSON inside the JSON; the text itself when it is none."""
    value = attributes.data.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _dimension(attributes: Fields, name: str) -> str | None:
    """MLflow cuts these two for its statistics; the whole text stays in the document."""
    value = _told(attributes, name)
    return attributes.storable(value[:MODEL_LENGTH], name, MODEL_LENGTH) if isinstance(value, str) else None


def _costs(told: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name in COSTS:
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            found[name] = float(value)
    return found
