"""The job queue: procrastinate on the same Postgres, in its own schema.

A job is added in the caller's transaction, so an import row never exists without its job.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    import procrastinate

SCHEMA = "jobs"
IMPORT_TASK = "import"
QUEUE = "imports"
LOCK = "import:"

_jobs = sa.table("procrastinate_jobs", sa.column("lock", sa.Text), sa.column("status"), schema=SCHEMA)


def session_name(import_id: str) -> str:
    """By which the session that writes an import's rows is known while it does."""
    return f"import {import_id}"


class JobQueue:
    """Adds jobs; the worker (service.worker) runs them."""

    @cached_property
    def _app(self) -> procrastinate.App:
        # Imported with the first job: the library takes a third of a second, and most processes queue nothing.
        import procrastinate
        from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

        # Jobs go through the caller's connection; the connector itself is never opened.
        return procrastinate.App(connector=SQLAlchemyPsycopg2Connector())

    def put(self, connection: sa.Connection, import_id: str) -> None:
        """Queue the import, once however often it is put while it waits."""
        connection.execute(sa.text(f"SET LOCAL search_path TO {SCHEMA}, public"))
        self._app.configure_task(IMPORT_TASK, queue=QUEUE, lock=LOCK + import_id, connection=connection).defer(
            import_id=import_id
        )
        connection.execute(sa.text("SET LOCAL search_path TO DEFAULT"))

    def holds(self, import_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Whether a job of the import waits or runs."""
        return sa.exists().where(
            _jobs.c.lock == LOCK + sa.cast(import_id, sa.Text), sa.cast(_jobs.c.status, sa.Text).in_(("todo", "doing"))
        )
