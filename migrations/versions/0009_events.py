"""Events, webhooks, and what became of each delivery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("handed_on", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        schema="registry",
    )
    op.create_index("events_at_idx", "events", ["at"], unique=False, schema="registry")
    op.create_index(
        "events_waiting_idx",
        "events",
        ["seq"],
        unique=False,
        schema="registry",
        postgresql_where=sa.text("NOT handed_on"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("secret", postgresql.BYTEA(), nullable=False),
        sa.Column("previous", postgresql.BYTEA(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["registry.environments.name"], name=op.f("webhooks_environment_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
        schema="registry",
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("webhook_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("event_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name=op.f("deliveries_next_at_check")),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name=op.f("deliveries_state_check")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["registry.events.id"], name=op.f("deliveries_event_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["registry.webhooks.id"], name=op.f("deliveries_webhook_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("deliveries_webhook_id_event_id_key")),
        schema="registry",
    )
    op.create_index(
        "deliveries_due_idx",
        "deliveries",
        ["webhook_id", "next_at"],
        unique=False,
        schema="registry",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("deliveries_event_id_idx", "deliveries", ["event_id"], unique=False, schema="registry")
    op.create_index(
        "deliveries_webhook_id_created_at_idx",
        "deliveries",
        ["webhook_id", "created_at"],
        unique=False,
        schema="registry",
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["registry.deliveries.id"],
            name=op.f("delivery_attempts_delivery_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("delivery_attempts_pkey")),
        schema="registry",
    )


def downgrade() -> None:
    op.drop_table("delivery_attempts", schema="registry")
    op.drop_index("deliveries_webhook_id_created_at_idx", table_name="deliveries", schema="registry")
    op.drop_index("deliveries_event_id_idx", table_name="deliveries", schema="registry")
    op.drop_index(
        "deliveries_due_idx", table_name="deliveries", schema="registry", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_table("deliveries", schema="registry")
    op.drop_table("webhooks", schema="registry")
    op.drop_index(
        "events_waiting_idx", table_name="events", schema="registry", postgresql_where=sa.text("NOT handed_on")
    )
    op.drop_index("events_at_idx", table_name="events", schema="registry")
    op.drop_table("events", schema="registry")
