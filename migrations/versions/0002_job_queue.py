"""The job queue's tables, as procrastinate 3 ships them, in the schema `jobs`."""

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A later procrastinate that changes its schema needs a migration of its own that applies its SQL file;
# the upper bound in pyproject.toml keeps it away until then, and a test compares the two.


def upgrade() -> None:
    # The driver's own cursor: the SQL holds per cent signs, which are not parameters.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA jobs")
        cursor.execute("SET LOCAL search_path TO jobs")
        cursor.execute(SchemaManager.get_schema())
        cursor.execute("SET LOCAL search_path TO DEFAULT")


def downgrade() -> None:
    op.execute("DROP SCHEMA jobs CASCADE")
