"""A deleted version outlives its bytes: only one that is not deleted needs its manifest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("versions_digest_fkey", "versions", schema="registry", type_="foreignkey")
    op.add_column(
        "versions",
        sa.Column(
            "live_digest",
            sa.Text(),
            sa.Computed("CASE WHEN deleted_at IS NULL THEN digest END", persisted=True),
            nullable=True,
        ),
        schema="registry",
    )
    op.create_foreign_key(
        "versions_live_digest_fkey",
        "versions",
        "manifests",
        ["live_digest"],
        ["digest"],
        source_schema="registry",
        referent_schema="registry",
    )
    op.create_index("versions_live_digest_idx", "versions", ["live_digest"], schema="registry")


def downgrade() -> None:
    op.drop_index("versions_live_digest_idx", table_name="versions", schema="registry")
    op.drop_constraint("versions_live_digest_fkey", "versions", schema="registry", type_="foreignkey")
    op.drop_column("versions", "live_digest", schema="registry")
    # Whatever was collected has no way back.
    op.execute(
        "DELETE FROM registry.versions AS v WHERE v.deleted_at IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM registry.manifests AS m WHERE m.digest = v.digest)"
    )
    op.create_foreign_key(
        "versions_digest_fkey",
        "versions",
        "manifests",
        ["digest"],
        ["digest"],
        source_schema="registry",
        referent_schema="registry",
    )
