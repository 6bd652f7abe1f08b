"""Uploads by parts, and imports whose archive's digest is known only after they were received."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FINAL = "'done', 'failed', 'refused', 'cancelled'"


def upgrade() -> None:
    op.add_column("imports", sa.Column("received_key", sa.Text(), nullable=True), schema="registry")
    op.execute("UPDATE registry.imports SET received_key = key")
    op.alter_column("imports", "received_key", nullable=False, schema="registry")
    op.create_index(
        "imports_received_key_idx",
        "imports",
        ["received_key"],
        schema="registry",
        postgresql_where=sa.text("state IN ('received','running','done')"),
    )
    op.add_column(
        "imports",
        sa.Column("source", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        schema="registry",
    )
    op.add_column("imports", sa.Column("same_as", sa.UUID(as_uuid=False), nullable=True), schema="registry")
    op.create_foreign_key(
        op.f("imports_same_as_fkey"),
        "imports",
        "imports",
        ["same_as"],
        ["id"],
        source_schema="registry",
        referent_schema="registry",
    )
    _allow_states(f"'received', 'running', {FINAL}, 'same'")
    op.create_check_constraint(
        op.f("imports_same_as_check"), "imports", "(state = 'same') = (same_as IS NOT NULL)", schema="registry"
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("part_size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("multipart", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('open', 'completed', 'ending')", name=op.f("uploads_state_check")),
        sa.ForeignKeyConstraint(["workspace"], ["registry.workspaces.name"], name=op.f("uploads_workspace_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("uploads_pkey")),
        schema="registry",
    )
    op.create_index(
        "uploads_open_key",
        "uploads",
        ["workspace", "sha256", "size"],
        unique=True,
        schema="registry",
        postgresql_where=sa.text("state = 'open' AND sha256 <> ''"),
    )
    op.create_index(
        "uploads_unfinished_idx",
        "uploads",
        ["expires_at"],
        schema="registry",
        postgresql_where=sa.text("state <> 'completed'"),
    )


def downgrade() -> None:
    op.drop_table("uploads", schema="registry")
    op.drop_constraint("imports_same_as_check", "imports", schema="registry")
    op.execute("DELETE FROM registry.imports WHERE state = 'same'")
    _allow_states(f"'received', 'running', {FINAL}")
    op.drop_column("imports", "same_as", schema="registry")
    op.drop_column("imports", "source", schema="registry")
    op.drop_column("imports", "received_key", schema="registry")


def _allow_states(states: str) -> None:
    op.drop_constraint("imports_state_check", "imports", schema="registry")
    op.create_check_constraint(op.f("imports_state_check"), "imports", f"state IN ({states})", schema="registry")
