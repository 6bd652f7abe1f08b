"""Policies of environments, and of models in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["registry.environments.name"],
            name=op.f("policies_environment_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment", "model", "number", name=op.f("policies_pkey")),
        schema="registry",
    )


def downgrade() -> None:
    op.drop_table("policies", schema="registry")
