"""Which stored files were seen to be damaged, and the SHA-256 of the tars of digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "damages",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["registry.manifests.digest"], name=op.f("damages_digest_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "path", name=op.f("damages_pkey")),
        schema="registry",
    )
    op.create_table(
        "tars",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["registry.manifests.digest"], name=op.f("tars_digest_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("tars_pkey")),
        schema="registry",
    )


def downgrade() -> None:
    op.drop_table("tars", schema="registry")
    op.drop_table("damages", schema="registry")
