"""What serves each stage, as pullers say; what is claimed, what is not needed, and when bytes were verified."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "instances",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["registry.environments.name"], name=op.f("instances_environment_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("environment", "model", "stage", "id", name=op.f("instances_pkey")),
        schema="registry",
    )
    op.create_index("instances_digest_lease_end_idx", "instances", ["digest", "lease_end"], schema="registry")
    op.create_index("instances_lease_end_idx", "instances", ["lease_end"], schema="registry")
    op.create_table(
        "claims",
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("folder", "holder", name=op.f("claims_pkey")),
        schema="registry",
    )
    op.create_index("claims_holder_idx", "claims", ["holder"], schema="registry")
    op.create_table(
        "marks",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["registry.manifests.digest"], name=op.f("marks_digest_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("marks_pkey")),
        schema="registry",
    )
    op.add_column("manifests", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True), schema="registry")
    op.create_index("transitions_at_idx", "transitions", ["at"], schema="registry")


def downgrade() -> None:
    op.drop_index("transitions_at_idx", table_name="transitions", schema="registry")
    op.drop_column("manifests", "verified_at", schema="registry")
    op.drop_table("marks", schema="registry")
    op.drop_table("claims", schema="registry")
    op.drop_table("instances", schema="registry")
