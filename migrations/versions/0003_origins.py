"""What exports say of experiments, logged models and registered models is kept; an experiment may have two places."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = ["workspace", "original_id", "original_name"]


def upgrade() -> None:
    for table in ("experiments", "logged_models", "models"):
        op.add_column(
            table,
            sa.Column("lineage", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
            schema="registry",
        )
    op.drop_constraint("experiments_pkey", "experiments", schema="registry", type_="primary")
    op.create_primary_key("experiments_pkey", "experiments", [*_KEY, "experiment_id"], schema="registry")
    op.create_index("versions_original_idx", "versions", ["workspace", "original_model"], schema="registry")


def downgrade() -> None:
    op.drop_index("versions_original_idx", "versions", schema="registry")
    op.execute(
        "DELETE FROM registry.experiments AS later USING registry.experiments AS first "
        "WHERE (later.workspace, later.original_id, later.original_name) "
        "= (first.workspace, first.original_id, first.original_name) AND later.experiment_id > first.experiment_id"
    )
    op.drop_constraint("experiments_pkey", "experiments", schema="registry", type_="primary")
    op.create_primary_key("experiments_pkey", "experiments", _KEY, schema="registry")
    for table in ("experiments", "logged_models", "models"):
        op.drop_column(table, "lineage", schema="registry")
