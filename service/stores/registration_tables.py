"""The table of versions that were asked for over MLflow's API."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service.stores.tables import metadata

TIME = sa.DateTime(timezone=True)

registrations = sa.Table(
    "registrations",
    metadata,
    # No foreign key: a number stays taken when its model is deleted.
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("asked", JSONB, nullable=False),
    sa.Column("created_at", TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("ended_at", TIME),
    sa.CheckConstraint("state IN ('pending', 'ready', 'failed', 'deleted')", name="state"),
    sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
    sa.Index("registrations_pending_idx", "created_at", postgresql_where=sa.text("state = 'pending'")),
)
