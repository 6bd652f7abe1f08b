"""Rows of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.audit import GENESIS, AuditQuery, AuditRow, Change
from service.stores import tables as t
from service.stores.audit_chain import chained

LOCK = 7_281_034_405_119_202
"""The advisory lock of the one transaction that may extend the chain at a time."""
CHANNEL = "registry_changes"
"""Whoever listens hears of every commit that extends the chain."""


class PostgresAudit:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._changes: list[tuple[Change, datetime]] = []

    def append(self, change: Change, at: datetime) -> None:
        self._changes.append((change, at))

    def flush(self) -> None:
        """Write what was appended; the commit must follow.

        Whoever holds the lock commits next: the order of the rows is the order of the commits. As it is the last
        lock that a transaction takes, no circle of waiting can come of it.
        """
        if not self._changes:
            return
        self._connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        rows = chained(self._changes, *self.head())
        self._connection.execute(sa.insert(t.audit), [vars(row) for row in rows])
        self._connection.execute(sa.text(f"NOTIFY {CHANNEL}"))
        self._changes.clear()

    def head(self) -> tuple[int, str]:
        last = self._connection.execute(
            sa.select(t.audit.c.seq, t.audit.c.hash).order_by(t.audit.c.seq.desc()).limit(1)
        ).one_or_none()
        return (0, GENESIS) if last is None else (last.seq, last.hash)

    def latest(self, wanted: AuditQuery, limit: int, before: int | None = None) -> Sequence[AuditRow]:
        query = _matching(wanted).order_by(t.audit.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(t.audit.c.seq < before)
        return [_row(row) for row in self._connection.execute(query)]

    def chain(self, wanted: AuditQuery, limit: int, after: int = 0) -> Sequence[AuditRow]:
        query = _matching(wanted).where(t.audit.c.seq > after).order_by(t.audit.c.seq).limit(limit)
        return [_row(row) for row in self._connection.execute(query)]


def _matching(wanted: AuditQuery) -> sa.Select[Any]:
    a = t.audit.c
    query = sa.select(t.audit)
    if wanted.actor:
        query = query.where((a.actor_id == wanted.actor) | (a.actor == wanted.actor))
    if wanted.action:
        query = query.where(a.action.startswith(wanted.action, autoescape=True))
    for column in (a.workspace, a.environment, a.model):
        value = getattr(wanted, column.name)
        if value:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(a.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(a.at < wanted.until)
    return query


def _row(row: sa.Row[Any]) -> AuditRow:
    return AuditRow(**row._mapping)
