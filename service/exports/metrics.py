"""The points of a run's metrics, as columns."""

from __future__ import annotations

from array import array
from typing import Any

from service.exports.fields import Fields
from service.exports.records import MetricHistory

KEY = 250
"""Characters of a metric's key that MLflow's tables hold."""
MAX_METRICS = 100_000
"""Of one run: half a KiB of memory each, without its points."""


def read_history(metrics: Fields, key: str, points: Any) -> MetricHistory:
    """The list `points` of `{value, timestamp, step}`. Raises ExportRefused naming the field."""
    if not isinstance(points, list):
        raise metrics.refuse(key, "a list of points")
    columns = Columns(metrics, key)
    columns.extend(points)
    return columns.history()


class Columns:
    """The history of one metric while it is read. Raises ExportRefused naming the field."""

    def __init__(self, metrics: Fields, key: str) -> None:
        metrics.storable(key, key[:80], KEY)
        self._metrics = metrics
        self._key = key
        self._values = array("d")
        self._timestamps = array("q")
        self._steps = array("q")

    def extend(self, points: list[Any]) -> None:
        try:
            values = [point["value"] for point in points]
            timestamps = [point["timestamp"] for point in points]
            steps = [point["step"] for point in points]
            # The usual points need no checks one by one: among them nothing has another type.
            usual = {*map(type, values)} <= {float} and {*map(type, timestamps), *map(type, steps)} <= {int}
            columns = (array("d", values), array("q", timestamps), array("q", steps)) if usual else None
        except (KeyError, TypeError, OverflowError):
            columns = None
        if columns is None:
            for point in points:
                self._odd(point)
            return
        self._values += columns[0]
        self._timestamps += columns[1]
        self._steps += columns[2]

    def _odd(self, point: Any) -> None:
        if not isinstance(point, dict):
            raise self._metrics.refuse(self._key, "a list of points")
        fields = Fields(point, self._metrics.file, f"{self._metrics.path}.{self._key}")
        self._values.append(fields.number("value"))
        self._timestamps.append(fields.integer("timestamp") or 0)
        self._steps.append(fields.integer("step") or 0)

    def history(self) -> MetricHistory:
        return MetricHistory(self._key, self._values, self._timestamps, self._steps)
