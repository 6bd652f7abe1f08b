"""The audit trail, to which rows can only be added, and who asked for an import."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REFUSE = """
CREATE FUNCTION registry.refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of the audit trail are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
TRIGGER = """
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registry.audit
FOR EACH STATEMENT EXECUTE FUNCTION registry.refuse_change_of_audit()
"""
# Also in a session that plays the part of a replica, in which other triggers sleep.
ALWAYS = "ALTER TABLE registry.audit ENABLE ALWAYS TRIGGER audit_append_only"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("action", "actor_id", "actor", "workspace", "environment", "model", "subject")
        ),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_pkey")),
        schema="registry",
    )
    op.create_index("audit_at_idx", "audit", ["at"], schema="registry")
    op.create_index("audit_environment_seq_idx", "audit", ["environment", "seq"], schema="registry")
    op.create_index("audit_model_seq_idx", "audit", ["model", "seq"], schema="registry")
    for statement in (REFUSE, TRIGGER, ALWAYS):
        op.execute(statement)
    for name in ("created_by_id", "request_id"):
        op.add_column("imports", sa.Column(name, sa.Text(), server_default="", nullable=False), schema="registry")


def downgrade() -> None:
    for name in ("request_id", "created_by_id"):
        op.drop_column("imports", name, schema="registry")
    op.drop_table("audit", schema="registry")
    op.execute("DROP FUNCTION registry.refuse_change_of_audit()")
