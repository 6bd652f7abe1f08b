"""Rows of runs and spans as COPY text in files: whatever the archive's size, memory holds one run or trace."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from service.exports.records import MetricHistory, RunRecord
from service.exports.spans import SpanRecord
from service.stores.span_lines import COLUMNS, span_line
from service.usecases.tracking_ports import CentralIds

LARGEST = 1.7976931348623157e308
"""What MLflow stores for an infinity."""

BLOCK = 50_000
"""Points that are lines in memory at once: some MiB."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_RUN_TAGS = ("mlflow.parentRunId", "mlflow.rootRunId")
_HISTORY_TAG = "mlflow.log-model.history"


@dataclass
class TableSpool:
    """`columns` in the order of the file; `rows` counts lines."""

    table: str
    columns: tuple[str, ...]
    file: BinaryIO
    rows: int = 0

    def write(self, lines: list[str]) -> None:
        self.file.write("".join(lines).encode())
        self.rows += len(lines)


class FileRunSpool:
    """Implements `service.usecases.tracking_ports.RunSpool`."""

    def __init__(self, ids: CentralIds, files: ExitStack) -> None:
        def spool(table: str, *columns: str) -> TableSpool:
            return TableSpool(table, columns, files.enter_context(tempfile.TemporaryFile()))

        point = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
        self._ids = ids
        self.params = spool("params", "key", "value", "run_uuid")
        self.tags = spool("tags", "key", "value", "run_uuid")
        self.metrics = spool("metrics", *point)
        self.latest_metrics = spool("latest_metrics", *point)
        self.spans = spool("spans", *COLUMNS)

    @property
    def tables(self) -> tuple[TableSpool, ...]:
        """Those of runs."""
        return (self.params, self.tags, self.metrics, self.latest_metrics)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in (*self.tables, self.spans))

    def add(self, run: RunRecord) -> None:
        run_id = self._ids.run(run.run_id)
        self.params.write([_pair(key, value, run_id) for key, value in run.params.items()])
        self.tags.write([_pair(key, self._tag(key, value), run_id) for key, value in run.tags.items()])
        self._add_metrics(run, run_id)

    def add_spans(self, spans: Sequence[SpanRecord]) -> None:
        self.spans.write([span_line(span, self._ids.trace(span.trace_id)) for span in spans])

    def _tag(self, key: str, value: str) -> str:
        """Tags that name runs follow them to their ids here."""
        if key in _RUN_TAGS:
            return self._ids.run(value)
        if key == _HISTORY_TAG:
            return self._history(value)
        return value

    def _history(self, value: str) -> str:
        try:
            history = json.loads(value)
        except (ValueError, RecursionError):
            return value
        entries = history if isinstance(history, list) else []
        changed = False
        for entry in entries:
            original = entry.get("run_id") if isinstance(entry, dict) else None
            if isinstance(original, str) and self._ids.run(original) != original:
                entry["run_id"] = self._ids.run(original)
                changed = True
        return json.dumps(history) if changed else value

    def _add_metrics(self, run: RunRecord, run_id: str) -> None:
        for history in run.metrics:
            key = history.key.translate(_ESCAPES)
            for start in range(0, len(history.values), BLOCK):
                block = slice(start, start + BLOCK)
                self.metrics.write(_points(key, history, block, run_id))
            if history.values:
                self.latest_metrics.write(_points(key, history, _latest(history), run_id))


@contextmanager
def file_run_spool(ids: CentralIds) -> Iterator[FileRunSpool]:
    with ExitStack() as files:
        yield FileRunSpool(ids, files)


def stored(value: float) -> float:
    """The value as MLflow's tables hold it: 0 beside is_nan, infinities as the largest float."""
    if math.isnan(value):
        return 0.0
    return value if math.isfinite(value) else math.copysign(LARGEST, value)


def _points(key: str, history: MetricHistory, block: slice, run_id: str) -> list[str]:
    """A line a point, each once: MLflow's key is the whole point."""
    values, timestamps, steps = history.values[block], history.timestamps[block], history.steps[block]
    if all(map(math.isfinite, values)):
        lines = [
            f"{key}\t{value!r}\t{timestamp}\t{step}\tf\t{run_id}\n"
            for value, timestamp, step in zip(values, timestamps, steps, strict=True)
        ]
    else:
        lines = [
            f"{key}\t{stored(value)!r}\t{timestamp}\t{step}\t{'t' if math.isnan(value) else 'f'}\t{run_id}\n"
            for value, timestamp, step in zip(values, timestamps, steps, strict=True)
        ]
    return list(dict.fromkeys(lines))


def _latest(history: MetricHistory) -> slice:
    """Where the point is that MLflow takes for the latest: by step, then time, then value."""
    ranks = zip(history.steps, history.timestamps, map(stored, history.values), range(len(history.steps)), strict=True)
    at = max(ranks)[-1]
    return slice(at, at + 1)


def _pair(key: str, value: str, run_id: str) -> str:
    return f"{key.translate(_ESCAPES)}\t{value.translate(_ESCAPES)}\t{run_id}\n"
