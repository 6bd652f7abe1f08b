"""Spans of an import from their spool into MLflow's table."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from service.exports.traces import IN_DATABASE, LOCATION_TAG
from service.stores.bulk import copy_into, counted
from service.stores.run_spool import FileRunSpool
from service.stores.span_lines import COLUMNS
from service.stores.tally import Tally

_INCOMING = "incoming_spans"


def write_spans(
    connection: sa.Connection, trace_ids: Collection[str], spool: FileRunSpool, tally: Tally
) -> frozenset[str]:
    """Spans of the import's traces that MLflow keeps in the database; the central ids of traces that changed.

    Those of other traces stay what they are: a file beside the trace.
    """
    if not spool.spans.rows:
        return frozenset()
    columns = ", ".join(COLUMNS)
    connection.execute(
        sa.text(f"CREATE TEMP TABLE {_INCOMING} ON COMMIT DROP AS SELECT {columns} FROM public.spans LIMIT 0")
    )
    copy_into(connection, spool.spans, _INCOMING)
    chosen = (
        f"SELECT DISTINCT ON (i.trace_id, i.span_id) {', '.join(f'i.{column}' for column in COLUMNS)}, t.experiment_id "
        f"FROM {_INCOMING} i JOIN public.trace_info t ON t.request_id = i.trace_id "
        "JOIN public.trace_tags g ON g.request_id = i.trace_id AND g.key = :tag AND g.value = :place "
        "WHERE i.trace_id = ANY(:traces) ORDER BY i.trace_id, i.span_id"
    )
    asked = {"tag": LOCATION_TAG, "place": IN_DATABASE, "traces": list(trace_ids)}
    found = connection.scalar(sa.text(f"SELECT count(*) FROM ({chosen}) AS chosen"), asked) or 0
    kept = ("trace_id", "span_id")
    changes = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS if column not in kept)
    rows = connection.execute(
        sa.text(
            f"WITH done AS (INSERT INTO public.spans AS target ({columns}, experiment_id) {chosen} "
            f"ON CONFLICT (trace_id, span_id) DO UPDATE SET {changes} "
            "WHERE target.content IS DISTINCT FROM excluded.content RETURNING trace_id, xmax = 0 AS created) "
            + counted("trace_id")
        ),
        asked,
    ).all()
    connection.execute(sa.text(f"DROP TABLE {_INCOMING}"))
    created, updated = sum(row.created for row in rows), sum(row.updated for row in rows)
    tally.created("spans", created)
    tally.updated("spans", updated)
    tally.skipped("spans", found - created - updated)
    return frozenset(row.trace_id for row in rows)
