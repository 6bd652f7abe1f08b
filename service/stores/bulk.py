"""COPY, straight or by way of a temporary table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.stores.run_spool import TableSpool

T = TypeVar("T")
BUFFER = 1024 * 1024

_KEYS = {
    "params": ("key", "run_uuid"),
    "tags": ("key", "run_uuid"),
    "metrics": ("key", "timestamp", "step", "run_uuid", "value", "is_nan"),
    "latest_metrics": ("key", "run_uuid"),
}
_CONFLICT = {
    # A param never changes once logged, and a metric's key is the whole point.
    "params": "DO NOTHING",
    "metrics": "DO NOTHING",
    "tags": "DO UPDATE SET value = excluded.value WHERE target.value IS DISTINCT FROM excluded.value "
    "AND target.run_uuid NOT IN (SELECT run_uuid FROM older)",
    "latest_metrics": "DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, "
    "is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) "
    "> (target.step, target.timestamp, target.value)",
}


@dataclass(frozen=True)
class Copied:
    """`runs` are the ids of runs that got or changed a row."""

    created: int
    updated: int
    runs: frozenset[str]


def chunked(items: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def add_missing(connection: sa.Connection, table: sa.TableClause, rows: Sequence[dict[str, Any]]) -> int:
    """The number of rows that were not there yet."""
    statement = insert(cast(sa.Table, table)).on_conflict_do_nothing()
    return sum(connection.execute(statement.values(chunk)).rowcount for chunk in chunked(rows, 500))


def copy_table(connection: sa.Connection, spool: TableSpool, *, merge: bool) -> Copied:
    """COPY the spool into MLflow's table; with `merge`, rows that are there already are left or changed.

    A first import needs no merging and takes the fast way, unless the export itself repeats a row.
    """
    if not spool.rows:
        return Copied(0, 0, frozenset())
    if not merge:
        point = connection.begin_nested()
        try:
            copy_into(connection, spool, f"public.{spool.table}")
        except psycopg2.errors.UniqueViolation:
            point.rollback()
        else:
            point.commit()
            return Copied(spool.rows, 0, frozenset())
    return _merge(connection, spool)


def _merge(connection: sa.Connection, spool: TableSpool) -> Copied:
    columns = ", ".join(spool.columns)
    connection.execute(
        sa.text(f"CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM public.{spool.table} LIMIT 0")
    )
    copy_into(connection, spool, "incoming")
    keys = ", ".join(_KEYS[spool.table])
    rows = connection.execute(
        sa.text(
            f"WITH done AS (INSERT INTO public.{spool.table} AS target ({columns}) "
            f"SELECT DISTINCT ON ({keys}) {columns} FROM incoming ORDER BY {keys} "
            f"ON CONFLICT ({keys}) {_CONFLICT[spool.table]} RETURNING run_uuid, xmax = 0 AS created) "
            + counted("run_uuid")
        )
    ).all()
    connection.execute(sa.text("DROP TABLE incoming"))
    return Copied(sum(row.created for row in rows), sum(row.updated for row in rows), frozenset(row[0] for row in rows))


def counted(owner: str) -> str:
    """SQL that counts by their owner what a statement `done` created and updated: there may be millions of rows."""
    return (
        f"SELECT {owner}, count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE NOT created) AS updated "
        f"FROM done GROUP BY {owner}"
    )


def copy_into(connection: sa.Connection, spool: TableSpool, target: str) -> None:
    spool.file.seek(0)
    driver = cast(psycopg2.extensions.connection, connection.connection)
    with driver.cursor() as cursor:
        cursor.copy_expert(f"COPY {target} ({', '.join(spool.columns)}) FROM STDIN", spool.file, BUFFER)
