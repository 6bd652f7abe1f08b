"""Rows of runs as COPY text in temporary files: whatever the archive's size, memory holds one run."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from service.exports.records import MetricPoint, RunRecord
from service.usecases.ports import CentralIds

LARGEST = 1.7976931348623157e308
"""What MLflow stores for an infinity."""

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
    """Implements `service.usecases.ports.RunSpool`."""

    def __init__(self, ids: CentralIds, files: ExitStack) -> None:
        def spool(table: str, *columns: str) -> TableSpool:
            return TableSpool(table, columns, files.enter_context(tempfile.TemporaryFile()))

        point = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
        self._ids = ids
        self.params = spool("params", "key", "value", "run_uuid")
        self.tags = spool("tags", "key", "value", "run_uuid")
        self.metrics = spool("metrics", *point)
        self.latest_metrics = spool("latest_metrics", *point)

    @property
    def tables(self) -> tuple[TableSpool, ...]:
        return (self.params, self.tags, self.metrics, self.latest_metrics)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def add(self, run: RunRecord) -> None:
        run_id = self._ids.run(run.run_id)
        self.params.write([_pair(key, value, run_id) for key, value in run.params.items()])
        self.tags.write([_pair(key, self._tag(key, value), run_id) for key, value in run.tags.items()])
        self._add_metrics(run, run_id)

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
        keys: dict[str, str] = {}
        latest: dict[str, tuple[tuple[int, int, float], MetricPoint]] = {}
        lines: dict[str, None] = {}  # a set that keeps order: MLflow's key is the whole point
        for point in run.metrics:
            key = keys.get(point.key)
            if key is None:
                key = keys[point.key] = point.key.translate(_ESCAPES)
            lines[_point(key, point, run_id)] = None
            rank = (point.step, point.timestamp, stored(point.value))
            best = latest.get(point.key)
            if best is None or rank > best[0]:
                latest[point.key] = (rank, point)
        self.metrics.write(list(lines))
        self.latest_metrics.write([_point(keys[key], point, run_id) for key, (_, point) in latest.items()])


@contextmanager
def file_run_spool(ids: CentralIds) -> Iterator[FileRunSpool]:
    with ExitStack() as files:
        yield FileRunSpool(ids, files)


def stored(value: float) -> float:
    """The value as MLflow's tables hold it: 0 beside is_nan, infinities as the largest float."""
    if math.isnan(value):
        return 0.0
    return value if math.isfinite(value) else math.copysign(LARGEST, value)


def _point(key: str, point: MetricPoint, run_id: str) -> str:
    value = point.value
    if value - value == 0:  # finite: the usual case, without a call
        return f"{key}\t{value!r}\t{point.timestamp}\t{point.step}\tf\t{run_id}\n"
    return f"{key}\t{stored(value)!r}\t{point.timestamp}\t{point.step}\t{'t' if math.isnan(value) else 'f'}\t{run_id}\n"


def _pair(key: str, value: str, run_id: str) -> str:
    return f"{key.translate(_ESCAPES)}\t{value.translate(_ESCAPES)}\t{run_id}\n"
