"""Rows of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.errors import NotFound
from service.domain.webhook import Webhook
from service.stores.event_tables import webhooks
from service.stores.place_rows import PostgresEnvironments
from service.stores.same_id import same_id

_FIXED = ("id", "environment", "created_by", "created_at")


class PostgresWebhooks:
    def __init__(self, connection: sa.Connection, environments: PostgresEnvironments) -> None:
        self._connection = connection
        self._environments = environments

    def add(self, webhook: Webhook) -> None:
        if webhook.environment:
            self._environments.get(webhook.environment)
        self._connection.execute(
            sa.insert(webhooks).values(**{**_values(webhook), "environment": webhook.environment or None})
        )

    def get(self, webhook_id: str, *, for_change: bool = False) -> Webhook:
        query = sa.select(webhooks).where(same_id(webhooks.c.id, webhook_id))
        row = self._connection.execute(query.with_for_update(key_share=True) if for_change else query).one_or_none()
        if row is None:
            raise NotFound("webhook", webhook_id)
        return _webhook(row)

    def list(self) -> Sequence[Webhook]:
        order = (webhooks.c.created_at, webhooks.c.id)
        return [_webhook(row) for row in self._connection.execute(sa.select(webhooks).order_by(*order))]

    def replace(self, webhook: Webhook) -> None:
        values = {name: value for name, value in _values(webhook).items() if name not in _FIXED}
        self._connection.execute(sa.update(webhooks).where(webhooks.c.id == webhook.id).values(**values))

    def delete(self, webhook_id: str) -> None:
        gone = self._connection.execute(sa.delete(webhooks).where(same_id(webhooks.c.id, webhook_id)))
        if not gone.rowcount:
            raise NotFound("webhook", webhook_id)


def _values(webhook: Webhook) -> dict[str, Any]:
    return {**vars(webhook), "events": list(webhook.events)}


def _webhook(row: sa.Row[Any]) -> Webhook:
    values = {
        **row._mapping,
        "events": tuple(row.events),
        "environment": row.environment or "",
        "secret": bytes(row.secret),
        "previous": None if row.previous is None else bytes(row.previous),
    }
    return Webhook(**values)
