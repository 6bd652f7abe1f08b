"""The job queue: procrastinate on the same Postgres, in its own schema.

A job is added in the caller's transaction, so an import row never exists without its job.
"""

from __future__ import annotations

import procrastinate
import sqlalchemy as sa
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

SCHEMA = "jobs"
IMPORT_TASK = "import"
QUEUE = "imports"


class JobQueue:
    """Adds jobs; the worker (service.worker) runs them."""

    def __init__(self) -> None:
        # Jobs go through the caller's connection; the connector itself is never opened.
        self._app = procrastinate.App(connector=SQLAlchemyPsycopg2Connector())

    def put(self, connection: sa.Connection, import_id: str) -> None:
        """Queue the import, once however often it is put while it waits."""
        connection.execute(sa.text(f"SET LOCAL search_path TO {SCHEMA}, public"))
        self._app.configure_task(
            IMPORT_TASK, queue=QUEUE, lock=f"import:{import_id}", connection=connection
        ).defer(import_id=import_id)
        connection.execute(sa.text("SET LOCAL search_path TO DEFAULT"))
