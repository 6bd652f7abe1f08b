"""Versions that are asked for over MLflow's API, and versions and models that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

FOREIGN_KEY = "versions_model_fkey"


def upgrade() -> None:
    op.create_table(
        "registrations",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'ready', 'failed', 'deleted')", name=op.f("registrations_state_check")
        ),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name=op.f("registrations_ended_check")),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("registrations_pkey")),
        schema="registry",
    )
    op.create_index(
        "registrations_pending_idx",
        "registrations",
        ["created_at"],
        unique=False,
        schema="registry",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.add_column("models", sa.Column("deleted_by", sa.Text(), nullable=True), schema="registry")
    op.add_column("models", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True), schema="registry")
    op.add_column("versions", sa.Column("deleted_by", sa.Text(), nullable=True), schema="registry")
    op.add_column("versions", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True), schema="registry")
    op.drop_constraint(FOREIGN_KEY, "versions", schema="registry", type_="foreignkey")
    op.create_foreign_key(
        op.f(FOREIGN_KEY),
        "versions",
        "models",
        ["model"],
        ["name"],
        source_schema="registry",
        referent_schema="registry",
        onupdate="CASCADE",
    )


def downgrade() -> None:
    op.drop_constraint(FOREIGN_KEY, "versions", schema="registry", type_="foreignkey")
    op.create_foreign_key(
        op.f(FOREIGN_KEY),
        "versions",
        "models",
        ["model"],
        ["name"],
        source_schema="registry",
        referent_schema="registry",
    )
    for table in ("versions", "models"):
        op.drop_column(table, "deleted_at", schema="registry")
        op.drop_column(table, "deleted_by", schema="registry")
    op.drop_table("registrations", schema="registry")
