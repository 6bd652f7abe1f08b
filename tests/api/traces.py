"""What a request leaves behind: rows of every table, keys of the bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from service.usecases.object_ports import ObjectStore

SCHEMAS = ("registry", "public", "jobs")
Unchanged = Callable[..., AbstractContextManager[None]]


@dataclass(frozen=True)
class Traces:
    rows: dict[str, int]
    keys: frozenset[str]


def traces(engine: sa.Engine, objects: ObjectStore) -> Traces:
    with engine.connect() as connection:
        tables = connection.execute(
            sa.text(
                "SELECT table_schema AS schema, table_name AS name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' AND table_schema = ANY(:schemas)"
            ),
            {"schemas": list(SCHEMAS)},
        ).all()
        counts = " UNION ALL ".join(
            f"SELECT '{table.schema}.{table.name}', count(*) FROM {table.schema}.{table.name}" for table in tables
        )
        rows = {row[0]: row[1] for row in connection.execute(sa.text(counts))}
    return Traces(rows, frozenset(info.key for info in objects.list("")))


def unchanged(engine: sa.Engine, objects: ObjectStore) -> Unchanged:
    """Make a context that asserts that nothing is left behind but `refused` imports, and `recorded` rows of audit."""

    @contextmanager
    def check(refused: int = 0, recorded: int = 0) -> Iterator[None]:
        before = traces(engine, objects)
        yield
        after = traces(engine, objects)
        ignored = ("jobs.",) if refused else ()  # the rows of the jobs that were refused
        expected = {
            **before.rows,
            "registry.imports": before.rows["registry.imports"] + refused,
            "registry.audit": before.rows["registry.audit"] + 2 * refused + recorded,  # received, refused
            "registry.events": before.rows["registry.events"] + refused,
        }
        changed = {
            name: (count, after.rows[name])
            for name, count in expected.items()
            if after.rows[name] != count and not name.startswith(ignored)
        }
        assert not changed, changed
        assert after.keys == before.keys, after.keys ^ before.keys

    return check
