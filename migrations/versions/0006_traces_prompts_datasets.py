"""Traces, evaluation datasets and prompts of imports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, original, here in (
        ("traces", "original_trace_id", "trace_id"),
        ("evaluation_datasets", "original_dataset_id", "dataset_id"),
    ):
        op.create_table(
            name,
            sa.Column("workspace", sa.Text(), nullable=False),
            sa.Column(original, sa.Text(), nullable=False),
            sa.Column(here, sa.Text(), nullable=False),
            sa.Column("lineage", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
            sa.Column("import_id", sa.UUID(as_uuid=False), nullable=False),
            sa.ForeignKeyConstraint(["import_id"], ["registry.imports.id"], name=op.f(f"{name}_import_id_fkey")),
            sa.ForeignKeyConstraint(["workspace"], ["registry.workspaces.name"], name=op.f(f"{name}_workspace_fkey")),
            sa.PrimaryKeyConstraint("workspace", original, name=op.f(f"{name}_pkey")),
            sa.UniqueConstraint(here, name=op.f(f"{name}_{here}_key")),
            schema="registry",
        )
    op.create_table(
        "prompts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["registry.workspaces.name"], name=op.f("prompts_workspace_fkey")),
        sa.PrimaryKeyConstraint("name", name=op.f("prompts_pkey")),
        schema="registry",
    )
    op.create_table(
        "prompt_versions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("original_name", sa.Text(), nullable=False),
        sa.Column("original_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("lineage", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("import_id", sa.UUID(as_uuid=False), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["registry.imports.id"], name=op.f("prompt_versions_import_id_fkey")),
        sa.ForeignKeyConstraint(["name"], ["registry.prompts.name"], name=op.f("prompt_versions_name_fkey")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("prompt_versions_pkey")),
        schema="registry",
    )


def downgrade() -> None:
    for name in ("prompt_versions", "prompts", "evaluation_datasets", "traces"):
        op.drop_table(name, schema="registry")
