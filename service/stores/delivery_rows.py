"""Rows of deliveries and their attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import NotFound
from service.domain.webhook import Attempt, Delivery, DeliveryState
from service.stores.event_tables import attempts, deliveries, events, webhooks
from service.stores.queue import JobQueue
from service.stores.same_id import same_id

_FIXED = ("id", "webhook_id", "event_id", "event_type", "created_at")
_COLUMNS = tuple(column.name for column in deliveries.c)


class PostgresDeliveries:
    def __init__(self, connection: sa.Connection, queue: JobQueue) -> None:
        self._connection = connection
        self._queue = queue

    def add(self, added: Sequence[Delivery]) -> None:
        if added:
            statement = insert(deliveries).on_conflict_do_nothing(index_elements=["webhook_id", "event_id"])
            self._connection.execute(statement, [_values(delivery) for delivery in added])

    def wake(self, webhook_id: str) -> None:
        self._queue.deliver(self._connection, webhook_id)

    def due(self, webhook_id: str, now: datetime) -> Delivery | None:
        query = (
            sa.select(deliveries)
            .where(same_id(deliveries.c.webhook_id, webhook_id), *_due(now))
            .join(events, events.c.id == deliveries.c.event_id)
            .order_by(deliveries.c.next_at, events.c.seq)
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _delivery(row)

    def overdue(self, now: datetime) -> Sequence[str]:
        found = self._connection.scalars(sa.select(deliveries.c.webhook_id).where(*_due(now)).distinct())
        busy = self._queue.delivering(self._connection)
        return [webhook_id for webhook_id in found if webhook_id not in busy]

    def get(self, delivery_id: str, *, for_change: bool = False) -> Delivery:
        query = sa.select(deliveries).where(same_id(deliveries.c.id, delivery_id))
        row = self._connection.execute(query.with_for_update(key_share=True) if for_change else query).one_or_none()
        if row is None:
            raise NotFound("delivery", delivery_id)
        return self._whole([_delivery(row)])[0]

    def list(self, webhook_id: str, limit: int, before: str | None) -> Sequence[Delivery]:
        place = (deliveries.c.created_at, deliveries.c.id)
        query = sa.select(deliveries).where(same_id(deliveries.c.webhook_id, webhook_id))
        if before is not None:
            last = self.get(before)
            query = query.where(sa.tuple_(*place) < sa.tuple_(last.created_at, sa.cast(last.id, deliveries.c.id.type)))
        rows = self._connection.execute(query.order_by(*(column.desc() for column in place)).limit(limit))
        return self._whole([_delivery(row) for row in rows])

    def _whole(self, found: Sequence[Delivery]) -> Sequence[Delivery]:
        """With their attempts."""
        known: dict[str, list[Attempt]] = defaultdict(list)
        query = sa.select(attempts).where(attempts.c.delivery_id.in_([delivery.id for delivery in found]))
        for row in self._connection.execute(query.order_by(attempts.c.number)):
            values = dict(row._mapping)
            known[values.pop("delivery_id")].append(Attempt(**values))
        return [replace(delivery, attempts=tuple(known[delivery.id])) for delivery in found]

    def replace(self, delivery: Delivery) -> None:
        values = {name: value for name, value in _values(delivery).items() if name not in _FIXED}
        self._connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery.id).values(**values))

    def log(self, delivery_id: str, attempt: Attempt) -> None:
        last = sa.select(sa.func.coalesce(sa.func.max(attempts.c.number), 0) + 1).where(
            attempts.c.delivery_id == delivery_id
        )
        values = {**vars(attempt), "number": last.scalar_subquery()}
        self._connection.execute(sa.insert(attempts).values(delivery_id=delivery_id, **values))


def _due(now: datetime) -> Iterable[sa.ColumnElement[bool]]:
    enabled = sa.select(webhooks.c.id).where(webhooks.c.id == deliveries.c.webhook_id, webhooks.c.enabled)
    return deliveries.c.state == DeliveryState.PENDING, deliveries.c.next_at <= now, enabled.exists()


def _values(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in _COLUMNS}


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "state": DeliveryState(row.state)})
