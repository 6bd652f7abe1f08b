"""Rows of what is known of stored bytes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.stores import tables as t
from service.stores.bytes_tables import damages, tars
from service.usecases.bytes_ports import Damage


class PostgresDamages:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def mark(self, digest: str, path: str, reason: str, at: datetime) -> bool:
        told = (sa.literal(path), sa.literal(reason), sa.literal(at))
        return _add(self._connection, damages, digest, *told)

    def of(self, digest: str) -> Sequence[Damage]:
        found = sa.select(damages).where(damages.c.digest == digest).order_by(sa.collate(damages.c.path, "C"))
        return [Damage(**row._mapping) for row in self._connection.execute(found)]

    def clear(self, digest: str, before: datetime, but: Collection[str] = ()) -> bool:
        d = damages.c
        cleared = sa.delete(damages).where(d.digest == digest, d.at < before, d.path.not_in(list(but)))
        return self._connection.execute(cleared).rowcount > 0


class PostgresTars:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def sha256(self, digest: str) -> str:
        return self._connection.scalar(sa.select(tars.c.sha256).where(tars.c.digest == digest)) or ""

    def keep(self, digest: str, sha256: str) -> None:
        _add(self._connection, tars, digest, sa.literal(sha256))


def _add(connection: sa.Connection, table: sa.Table, digest: str, *values: sa.ColumnElement[Any]) -> bool:
    """A row for a digest that is there, unless one is in its way."""
    # The manifest stays until the transaction ends, or is gone already: a foreign key would have it an error.
    row = sa.select(t.manifests.c.digest, *values).where(t.manifests.c.digest == digest).with_for_update(key_share=True)
    added = insert(table).from_select([column.name for column in table.c], row).on_conflict_do_nothing()
    return connection.execute(added).rowcount > 0
