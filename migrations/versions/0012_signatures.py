"""Signatures of versions' bytes, and the keys that verify them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("signing_keys_pkey")),
        schema="registry",
    )
    op.create_table(
        "signatures",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("bundle", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["registry.manifests.digest"], name=op.f("signatures_digest_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["key_id"], ["registry.signing_keys.id"], name=op.f("signatures_key_id_fkey")),
        sa.PrimaryKeyConstraint("digest", "key_id", name=op.f("signatures_pkey")),
        schema="registry",
    )


def downgrade() -> None:
    op.drop_table("signatures", schema="registry")
    op.drop_table("signing_keys", schema="registry")
