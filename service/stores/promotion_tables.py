"""Tables of promotions, their approvals, and the answers to requests that may be sent twice."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, UUID

from service.stores.tables import metadata

TIME = sa.DateTime(timezone=True)

promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_by_id", sa.Text, nullable=False),
    sa.Column("requested_at", TIME, nullable=False),
    sa.Column("stands_on", sa.BigInteger, nullable=False),
    sa.Column("needed", sa.Integer, nullable=False),
    sa.Column("expires_at", TIME),
    sa.Column("restores", sa.BigInteger),
    sa.Column("over_freeze", sa.Boolean, nullable=False),
    sa.Column("decided_at", TIME),
    sa.Column("revision", sa.BigInteger),
    sa.Column("problem", JSONB),
    sa.CheckConstraint(
        "state IN ('pending', 'applied', 'rejected', 'refused', 'cancelled', 'expired', 'superseded')", name="state"
    ),
    sa.CheckConstraint("(state = 'applied') = (revision IS NOT NULL)", name="revision"),
    # One question at a time for each place.
    sa.Index(
        "promotions_place_pending_key",
        "environment",
        "model",
        "stage",
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    ),
    sa.Index("promotions_environment_requested_at_idx", "environment", "requested_at", "id"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("promotion_id", sa.ForeignKey(promotions.c.id), primary_key=True),
    sa.Column("approver_id", sa.Text, primary_key=True),
    sa.Column("at", TIME, primary_key=True),
    sa.Column("approver", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("expires_at", TIME, nullable=False),
    sa.CheckConstraint("decision IN ('approved', 'rejected')", name="decision"),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("at", TIME, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", BYTEA),
    sa.Column("headers", JSONB),
    sa.Index("answers_at_idx", "at"),
)
