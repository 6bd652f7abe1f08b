"""Rows of events: the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.errors import NotFound
from service.domain.event import Event
from service.stores.event_tables import events
from service.stores.plain import plain
from service.stores.queue import JobQueue
from service.stores.same_id import same_id


class PostgresEvents:
    """Published events wait in memory until the end of the transaction: one statement writes all, one job follows."""

    def __init__(self, connection: sa.Connection, queue: JobQueue) -> None:
        self._connection = connection
        self._queue = queue
        self._published: list[dict[str, Any]] = []

    def publish(self, event: Event, *, handed_on: bool = False) -> None:
        row = {**vars(event), "data": plain(event.data), "handed_on": handed_on}
        if handed_on:
            self._connection.execute(sa.insert(events), [row])
        else:
            self._published.append(row)

    def flush(self) -> None:
        """To be called just before the commit."""
        if self._published:
            self._connection.execute(sa.insert(events), self._published)
            self._queue.hand_on(self._connection)
            self._published = []

    def get(self, event_id: str) -> Event:
        row = self._connection.execute(sa.select(events).where(same_id(events.c.id, event_id))).one_or_none()
        if row is None:
            raise NotFound("event", event_id)
        return _event(row)

    def waiting(self, limit: int) -> Sequence[Event]:
        query = sa.select(events).where(~events.c.handed_on).order_by(events.c.seq).limit(limit)
        return [_event(row) for row in self._connection.execute(query.with_for_update(skip_locked=True))]

    def handed_on(self, event_ids: Sequence[str]) -> None:
        if event_ids:
            self._connection.execute(sa.update(events).where(events.c.id.in_(event_ids)).values(handed_on=True))

    def purge(self, before: datetime) -> int:
        return self._connection.execute(sa.delete(events).where(events.c.handed_on, events.c.at < before)).rowcount


def _event(row: sa.Row[Any]) -> Event:
    return Event(
        id=row.id,
        type=row.type,
        at=row.at,
        environment=row.environment,
        workspace=row.workspace,
        model=row.model,
        data=row.data,
    )
