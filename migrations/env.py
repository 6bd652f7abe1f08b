"""alembic's entry: our schema only, on the connection that `service.stores.migrate` hands over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from service.stores import (  # noqa: F401 - their tables are ours, too
    bytes_tables,
    event_tables,
    garbage_tables,
    instance_tables,
    promotion_tables,
    registration_tables,
    signature_tables,
)
from service.stores.tables import SCHEMA, metadata

connection: sa.Connection = context.config.attributes["connection"]
connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    # Without this filter alembic would propose to drop MLflow's tables and the job queue's.
    include_name=lambda name, kind, _: name == SCHEMA if kind == "schema" else True,
)
with context.begin_transaction():
    context.run_migrations()
