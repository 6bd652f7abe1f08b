"""Values of an export and of MLflow's client as they can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from service.exports.records import MetricPoint, RunRecord

LARGEST = 1.7976931348623157e308
"""As which MLflow's database stores hold infinities."""


def said(expected: int | None, found: object) -> tuple[object, object]:
    """No difference where the export says nothing; the registry then has a time of its own."""
    return (found if expected is None else expected), found


def rank(point: MetricPoint) -> tuple[int, int, float]:
    """As MLflow tells which of a metric's points is the last; NaN is stored as 0."""
    value = 0.0 if math.isnan(point.value) else point.value
    return point.step, point.timestamp, value


def model_metric(metric: Any, run_id: str | None) -> tuple[object, ...]:
    value = 0.0 if math.isnan(metric.value) else max(-LARGEST, min(LARGEST, metric.value))
    dataset = (metric.dataset_name or "", metric.dataset_digest or "")
    return metric.key, value, metric.timestamp, metric.step, run_id, *dataset


def shared(expected: Sequence[Any], found: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Dialects differ in what of a run's inputs they hold: another export of the same run may have brought more."""
    return sorted(expected), sorted(row for row in found if row in expected)


def comparable(point: MetricPoint) -> tuple[object, ...]:
    value: object = point.value
    if math.isnan(point.value):
        value = "NaN"
    elif math.isinf(point.value):
        value = math.copysign(LARGEST, point.value)
    return point.key, value, point.timestamp, point.step


def expected_datasets(record: RunRecord) -> list[tuple[object, ...]]:
    return sorted(
        (d.name, d.digest, d.source_type, d.source, d.schema, d.profile, tuple(sorted(d.tags.items())))
        for d in record.datasets
    )


def found_datasets(got: Any) -> list[tuple[object, ...]]:
    return sorted(
        (
            d.dataset.name,
            d.dataset.digest,
            d.dataset.source_type,
            d.dataset.source,
            d.dataset.schema,
            d.dataset.profile,
            tuple(sorted((tag.key, tag.value) for tag in d.tags)),
        )
        for d in (got.inputs.dataset_inputs if got.inputs else ())
    )


def model_ids(holder: Any, name: str) -> list[str]:
    return [item.model_id for item in getattr(holder, name, None) or ()]


def model_outputs(got: Any) -> list[tuple[str, int]]:
    return [(item.model_id, item.step) for item in (got.outputs.model_outputs if got.outputs else ())]
