"""A span as a line of COPY text for MLflow's table."""

from __future__ import annotations

import base64
import json
from typing import Any

from service.exports.plain import UNSTORABLE
from service.exports.spans import COSTS, SpanRecord

COLUMNS = (
    *("trace_id", "span_id", "parent_span_id", "name", "type", "status", "start_time_unix_nano", "end_time_unix_nano"),
    *("content", *COSTS, "model_name", "model_provider"),
)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_REQUEST_ID = "mlflow.traceRequestId"


def span_line(span: SpanRecord, trace_id: str) -> str:
    """The values of COLUMNS, with the id that the trace has here."""
    values = (
        *(trace_id, span.span_id, span.parent_id, span.name, span.kind, span.status, span.start_time, span.end_time),
        *(_content(span, trace_id), *(span.costs.get(name) for name in COSTS), span.model, span.provider),
    )
    return "\t".join("\\N" if value is None else str(value).translate(_ESCAPES) for value in values) + "\n"


def _content(span: SpanRecord, trace_id: str) -> str:
    """As MLflow stores it, for its searches: letters, not escapes, but where Postgres cannot hold them."""
    document: dict[str, Any] = dict(span.document)
    if trace_id != span.trace_id:
        document["trace_id"] = base64.b64encode(bytes.fromhex(trace_id.removeprefix("tr-"))).decode()
        document["attributes"] = {**document["attributes"], _REQUEST_ID: json.dumps(trace_id)}
    text = json.dumps(document, ensure_ascii=False)
    return json.dumps(document) if UNSTORABLE.search(text) else text
