"""The tables of events and webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

from service.stores.tables import environments, metadata


def _time(name: str, *, optional: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=optional)


events = sa.Table(
    "events",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    _time("at"),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("workspace", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("data", JSONB, nullable=False),
    sa.Column("handed_on", sa.Boolean, nullable=False),
    sa.Index("events_waiting_idx", "seq", postgresql_where=sa.text("NOT handed_on")),
    sa.Index("events_at_idx", "at"),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("environment", sa.ForeignKey(environments.c.name, ondelete="CASCADE")),  # null: of all
    sa.Column("events", ARRAY(sa.Text), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at"),
    sa.Column("secret", BYTEA, nullable=False),
    sa.Column("previous", BYTEA),
    _time("previous_until", optional=True),
    _time("failing_since", optional=True),
    sa.Column("disabled_reason", sa.Text, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("webhook_id", sa.ForeignKey(webhooks.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    _time("created_at"),
    _time("since"),
    _time("next_at", optional=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    _time("finished_at", optional=True),
    sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    sa.CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="next_at"),
    # Handing an event on twice makes one delivery.
    sa.UniqueConstraint("webhook_id", "event_id"),
    sa.Index("deliveries_event_id_idx", "event_id"),
    sa.Index("deliveries_webhook_id_created_at_idx", "webhook_id", "created_at"),
    sa.Index("deliveries_due_idx", "webhook_id", "next_at", postgresql_where=sa.text("state = 'pending'")),
)

attempts = sa.Table(
    "delivery_attempts",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _time("at"),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
)
