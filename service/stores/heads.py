"""Where the schemas are: cheap enough to ask at every readiness probe."""

from __future__ import annotations

import sqlalchemy as sa

from service.stores.revisions import head_revision, mlflow_migrations, our_migrations

OURS = "registry.alembic_version"
THEIRS = "public.alembic_version"


def current_revision(connection: sa.Connection, table: str) -> str | None:
    """The revision in an alembic version table, None when it is not there."""
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is None:
        return None
    revision: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {table}"))
    return revision


def at_head(engine: sa.Engine) -> bool:
    """Whether both schemas are where the installed code wants them."""
    with engine.connect() as connection:
        ours = current_revision(connection, OURS) == head_revision(our_migrations())
        return ours and current_revision(connection, THEIRS) == head_revision(mlflow_migrations())
