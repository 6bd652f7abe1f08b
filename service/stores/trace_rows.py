"""Traces of an import in MLflow's tables, and their links to runs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.layout import artifact_uri, trace_path
from service.exports.traces import ARTIFACTS_TAG, MODEL_KEY, NAME_TAG, RUN_KEY, TraceRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.assessment_rows import write_assessments
from service.stores.bulk import chunked
from service.stores.run_spool import FileRunSpool
from service.stores.span_rows import write_spans
from service.stores.tally import Tally
from service.stores.trace_columns import PROMOTED, promoted_columns
from service.usecases.tracking_ports import CentralIds, IdsChanged, TrackingBatch

ASSOCIATED_ID = 36


def write_traces(
    connection: sa.Connection,
    batch: TrackingBatch,
    ids: CentralIds,
    experiment_ids: Mapping[str, int],
    tally: Tally,
    spool: FileRunSpool,
) -> None:
    """Traces this workspace brought before get what is new or changed: state, tags, metadata, assessments, spans."""
    if not batch.traces:
        return
    known = _known(connection, batch)
    # In the order of their ids, so that two imports that meet the same ids wait, and never deadlock.
    traces = sorted(batch.traces, key=lambda trace: ids.trace(trace.trace_id))
    rows = {ids.trace(trace.trace_id): _trace(trace, ids, experiment_ids) for trace in traces}
    new = [trace for trace in traces if ids.trace(trace.trace_id) not in known]
    for chunk in chunked(new):
        try:
            connection.execute(sa.insert(m.trace_info), [rows[ids.trace(trace.trace_id)] for trace in chunk])
            connection.execute(sa.insert(t.traces), [_mapping(batch, trace, ids) for trace in chunk])
        except sa.exc.IntegrityError as error:
            raise IdsChanged from error
    changed = {trace_id for trace_id in sorted(known) if _update(connection, rows[trace_id])}
    changed |= _upsert(connection, m.trace_tags, _tags(batch, traces, ids))
    changed |= _upsert(connection, m.trace_request_metadata, _metadata(traces, ids))
    changed |= write_assessments(connection, batch, ids, experiment_ids, tally)
    changed |= write_spans(connection, rows.keys(), spool, tally)
    _link(connection, batch, ids)
    tally.created("traces", len(new))
    tally.updated("traces", len(changed & known))
    tally.skipped("traces", len(known - changed))


def _known(connection: sa.Connection, batch: TrackingBatch) -> frozenset[str]:
    """Central ids of the batch's traces that this workspace brought before."""
    known: set[str] = set()
    for chunk in chunked([trace.trace_id for trace in batch.traces]):
        known.update(
            connection.scalars(
                sa.select(t.traces.c.trace_id).where(
                    t.traces.c.workspace == batch.workspace, t.traces.c.original_trace_id.in_(chunk)
                )
            )
        )
    return frozenset(known)


def _trace(trace: TraceRecord, ids: CentralIds, experiment_ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "request_id": ids.trace(trace.trace_id),
        "experiment_id": experiment_ids[trace.experiment_id],
        "timestamp_ms": trace.request_time,
        "execution_time_ms": trace.duration,
        "status": trace.state,
        "client_request_id": trace.client_request_id,
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "trace_name": trace.tags.get(NAME_TAG),
        **promoted_columns(trace.metadata),
    }


def _mapping(batch: TrackingBatch, trace: TraceRecord, ids: CentralIds) -> dict[str, Any]:
    """The lineage keeps what MLflow's columns hold in another form, and newer fields as they came."""
    lineage = {
        "artifact_uri": trace.tags.get(ARTIFACTS_TAG, ""),
        "experiment_id": trace.experiment_id,
        "metadata": {key: value for key, value in trace.metadata.items() if key in PROMOTED},
        "tool_version": trace.tool.package_version,
        "mlflow_version": trace.tool.mlflow_version,
        "tracking_uri": trace.tool.tracking_uri,
        **({"unknown": trace.unknown} if trace.unknown else {}),
    }
    return {
        "workspace": batch.workspace,
        "original_trace_id": trace.trace_id,
        "trace_id": ids.trace(trace.trace_id),
        "lineage": lineage,
        "import_id": batch.import_id,
    }


def _update(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    """A trace stays in the experiment it came with."""
    values = {column: value for column, value in row.items() if column not in ("request_id", "experiment_id")}
    differs = sa.or_(*(m.trace_info.c[column].is_distinct_from(value) for column, value in values.items()))
    done = connection.execute(
        sa.update(m.trace_info).where(m.trace_info.c.request_id == row["request_id"], differs).values(**values)
    )
    return bool(done.rowcount)


def _tags(batch: TrackingBatch, traces: Sequence[TraceRecord], ids: CentralIds) -> list[dict[str, Any]]:
    rows = []
    for trace in traces:
        trace_id = ids.trace(trace.trace_id)
        tags = {**trace.tags, ARTIFACTS_TAG: artifact_uri(trace_path(batch.workspace, trace_id))}
        rows += [
            {"key": key, "value": value, "request_id": trace_id}
            for key, value in sorted(tags.items())
            if key != NAME_TAG  # a column, to MLflow
        ]
    return rows


def _metadata(traces: Sequence[TraceRecord], ids: CentralIds) -> list[dict[str, Any]]:
    """What names a run or a logged model follows it to its id here."""
    follow = {RUN_KEY: ids.run, MODEL_KEY: ids.logged_model}
    return [
        {
            "key": key,
            "value": follow[key](value) if key in follow and value else value,
            "request_id": ids.trace(trace.trace_id),
        }
        for trace in traces
        for key, value in sorted(trace.metadata.items())
        if key not in PROMOTED
    ]


def _upsert(connection: sa.Connection, table: sa.TableClause, rows: Sequence[dict[str, Any]]) -> set[str]:
    """The ids of traces that got or changed a row."""
    changed: set[str] = set()
    for chunk in chunked(rows):
        statement = insert(cast(sa.Table, table)).values(chunk)
        changed.update(
            connection.scalars(
                statement.on_conflict_do_update(
                    index_elements=["request_id", "key"],
                    set_={"value": statement.excluded["value"]},
                    where=table.c.value.is_distinct_from(statement.excluded["value"]),
                ).returning(table.c.request_id)
            )
        )
    return changed


def _link(connection: sa.Connection, batch: TrackingBatch, ids: CentralIds) -> None:
    """Traces that a run names and whose own metadata do not name the run."""
    traces = {trace.trace_id: trace for trace in batch.traces}
    rows = [
        {
            "association_id": uuid.uuid4().hex,
            "source_type": "trace",
            "source_id": ids.trace(trace_id),
            "destination_type": "run",
            "destination_id": ids.run(run.run_id),
            "created_time": traces[trace_id].request_time,
        }
        for run in batch.runs
        for trace_id in run.traces
        # A row holds 36 characters, as do the ids that MLflow makes.
        if trace_id in traces
        and traces[trace_id].metadata.get(RUN_KEY) != run.run_id
        and len(ids.trace(trace_id)) <= ASSOCIATED_ID
    ]
    for chunk in chunked(rows):
        connection.execute(insert(cast(sa.Table, m.entity_associations)).values(chunk).on_conflict_do_nothing())
