"""Promotions and approvals; why a stage changed; freezes, withdrawals, and answers that are given twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "registry"
TIME = sa.DateTime(timezone=True)
PLACE = ["environment", "model", "stage", "revision"]
FREEZE = {"freeze_reason": sa.Text(), "freeze_by": sa.Text(), "freeze_at": TIME, "freeze_until": TIME}
WITHDRAWAL = {"withdrawn_reason": sa.Text(), "withdrawn_by": sa.Text(), "withdrawn_at": TIME}


def upgrade() -> None:
    for table, columns in (("environments", FREEZE), ("versions", WITHDRAWAL)):
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind), schema=SCHEMA)
    _upgrade_transitions()
    op.create_foreign_key(
        "assignments_transition_fkey",
        "assignments",
        "transitions",
        PLACE,
        PLACE,
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    _create_promotions()
    op.create_table(
        "answers",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("body", postgresql.BYTEA()),
        sa.Column("headers", postgresql.JSONB()),
        sa.PrimaryKeyConstraint("token_id", "key", name="answers_pkey"),
        schema=SCHEMA,
    )
    op.create_index("answers_at_idx", "answers", ["at"], schema=SCHEMA)


def _upgrade_transitions() -> None:
    """Changes so far were all made by promoting, by people of whom only the name was kept."""
    added = [
        sa.Column("previous_digest", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False, server_default="promotion"),
        sa.Column("promotion_id", sa.UUID(as_uuid=False)),
        sa.Column("restores", sa.BigInteger()),
        sa.Column("over_freeze", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("actor_id", sa.Text(), nullable=False, server_default=""),
    ]
    for column in added:
        op.add_column("transitions", column, schema=SCHEMA)
        if column.server_default is not None:
            op.alter_column("transitions", column.name, server_default=None, schema=SCHEMA)
    op.execute(
        "UPDATE registry.transitions later SET previous_digest = earlier.digest FROM registry.transitions earlier "
        "WHERE (earlier.environment, earlier.model, earlier.stage) = (later.environment, later.model, later.stage) "
        "AND earlier.revision = later.revision - 1"
    )
    op.create_check_constraint(
        op.f("transitions_kind_check"),
        "transitions",
        "kind IN ('promotion', 'rollback', 'withdrawal', 'import', 'emptied')",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("transitions_digest_check"), "transitions", "(version IS NULL) = (digest IS NULL)", schema=SCHEMA
    )
    op.create_index("transitions_model_version_idx", "transitions", ["model", "version"], schema=SCHEMA)


def _create_promotions() -> None:
    op.create_table(
        "promotions",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_by_id", sa.Text(), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("stands_on", sa.BigInteger(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("restores", sa.BigInteger()),
        sa.Column("over_freeze", sa.Boolean(), nullable=False),
        sa.Column("decided_at", TIME),
        sa.Column("revision", sa.BigInteger()),
        sa.Column("problem", postgresql.JSONB()),
        sa.CheckConstraint(
            "state IN ('pending', 'applied', 'rejected', 'refused', 'cancelled', 'expired', 'superseded')",
            name=op.f("promotions_state_check"),
        ),
        sa.CheckConstraint("(state = 'applied') = (revision IS NOT NULL)", name=op.f("promotions_revision_check")),
        sa.PrimaryKeyConstraint("id", name="promotions_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "promotions_place_pending_key",
        "promotions",
        ["environment", "model", "stage"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "promotions_environment_requested_at_idx", "promotions", ["environment", "requested_at", "id"], schema=SCHEMA
    )
    op.create_table(
        "approvals",
        sa.Column("promotion_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("approver_id", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("approvals_decision_check")),
        sa.ForeignKeyConstraint(["promotion_id"], ["registry.promotions.id"], name="approvals_promotion_id_fkey"),
        sa.PrimaryKeyConstraint("promotion_id", "approver_id", "at", name="approvals_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("answers", "approvals", "promotions"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_constraint("assignments_transition_fkey", "assignments", schema=SCHEMA)
    op.drop_index("transitions_model_version_idx", "transitions", schema=SCHEMA)
    for constraint in ("transitions_kind_check", "transitions_digest_check"):
        op.drop_constraint(op.f(constraint), "transitions", schema=SCHEMA)
    for name in ("previous_digest", "kind", "promotion_id", "restores", "over_freeze", "actor_id"):
        op.drop_column("transitions", name, schema=SCHEMA)
    for table, columns in (("environments", FREEZE), ("versions", WITHDRAWAL)):
        for name in columns:
            op.drop_column(table, name, schema=SCHEMA)
