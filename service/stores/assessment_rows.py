"""Assessments of an import's traces in MLflow's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.exports.traces import ASSESSED_RUN_KEY, AssessmentRecord, TraceRecord
from service.stores import mlflow_tables as m
from service.stores.bulk import chunked
from service.stores.central_ids import derived
from service.stores.tally import Tally
from service.stores.trace_columns import assessed
from service.usecases.tracking_ports import CentralIds, TrackingBatch

_KEPT = ("assessment_id", "trace_id", "experiment_id", "trace_timestamp_ms")


def write_assessments(
    connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, experiment_ids: Mapping[str, int], tally: Tally
) -> set[str]:
    """The central ids of traces that got or changed one."""
    here = _Here(connection, batch, ids)
    rows = {}
    for trace in batch.traces:
        for record in trace.assessments:
            row = _row(record, trace, ids, experiment_ids, here)
            rows[row["assessment_id"]] = row
    if not rows:
        return set()
    changed: set[str] = set()
    created = 0
    total = 0
    for chunk in chunked([rows[assessment_id] for assessment_id in sorted(rows)], 500):
        done = connection.execute(_statement(chunk)).all()
        created += sum(row.created for row in done)
        total += len(done)
        changed.update(row.trace_id for row in done)
    tally.created("assessments", created)
    tally.updated("assessments", total - created)
    tally.skipped("assessments", len(rows) - total)
    return changed


class _Here:
    """Ids of assessments here: the same, unless another trace has it."""

    def __init__(self, connection: sa.Connection, batch: TrackingBatch, ids: CentralIds) -> None:
        self._batch = batch
        self._ids = ids
        self._owners: dict[str, str] = {}
        asked = [record.assessment_id for trace in batch.traces for record in trace.assessments]
        a = m.assessments
        for chunk in chunked(asked):
            found = connection.execute(sa.select(a.c.assessment_id, a.c.trace_id).where(a.c.assessment_id.in_(chunk)))
            self._owners.update((row.assessment_id, row.trace_id) for row in found)

    def id(self, original: str, trace: TraceRecord) -> str:
        trace_id = self._ids.trace(trace.trace_id)
        if trace_id == trace.trace_id and self._owners.setdefault(original, trace_id) == trace_id:
            return original
        return "a-" + derived(self._batch.workspace, f"{trace.trace_id}\n{original}")


def _row(
    record: AssessmentRecord, trace: TraceRecord, ids: CentralIds, experiment_ids: Mapping[str, int], here: _Here
) -> dict[str, Any]:
    amount, is_number = assessed(record.value)
    metadata = dict(record.metadata)
    if metadata.get(ASSESSED_RUN_KEY):
        metadata[ASSESSED_RUN_KEY] = ids.run(metadata[ASSESSED_RUN_KEY])
    return {
        "assessment_id": here.id(record.assessment_id, trace),
        "trace_id": ids.trace(trace.trace_id),
        "name": record.name,
        "assessment_type": record.kind,
        "value": json.dumps(record.value),
        "error": json.dumps(record.error) if record.error else None,
        "created_timestamp": record.creation_time,
        "last_updated_timestamp": record.last_update_time,
        "experiment_id": experiment_ids[trace.experiment_id],
        "trace_timestamp_ms": trace.request_time,
        "aggregate_value": amount,
        "is_numeric_value": is_number,
        "source_type": record.source_type,
        "source_id": record.source_id,
        "run_id": ids.run(record.run_id) if record.run_id else None,
        "span_id": record.span_id,
        "rationale": record.rationale,
        "overrides": here.id(record.overrides, trace) if record.overrides else None,
        "valid": record.valid,
        "assessment_metadata": json.dumps(metadata) if metadata else None,
    }


def _statement(rows: Sequence[dict[str, Any]]) -> Any:
    a = m.assessments
    statement = insert(cast(sa.Table, a)).values(rows)
    new = {name: statement.excluded[name] for name in rows[0] if name not in _KEPT}
    return statement.on_conflict_do_update(
        index_elements=["assessment_id"],
        set_=new,
        where=(a.c.trace_id == statement.excluded["trace_id"])
        & sa.or_(*(a.c[name].is_distinct_from(value) for name, value in new.items())),
    ).returning(a.c.trace_id, sa.literal_column("xmax = 0").label("created"))
