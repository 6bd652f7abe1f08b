"""The job queue: procrastinate on the same Postgres, in its own schema.

A job is added in the caller's transaction, so a row that waits for one never exists without it.
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
REGISTER_TASK = "register-version"
REGISTER_QUEUE = "registrations"
HAND_ON_TASK = "hand-on-events"
DELIVER_TASK = "deliver-webhook"
WEBHOOK_QUEUE = "webhooks"
_WEBHOOK_LOCK = "webhook:"
_REGISTER_LOCK = "register:"

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
        self._defer(connection, IMPORT_TASK, QUEUE, lock=LOCK + import_id, import_id=import_id)

    def hand_on(self, connection: sa.Connection) -> None:
        """Queue the handing on of events; one at a time, so that they stay in order."""
        self._defer(connection, HAND_ON_TASK, WEBHOOK_QUEUE, lock="events")

    def deliver(self, connection: sa.Connection, webhook_id: str) -> None:
        """Queue the sending of what is due for a webhook; one at a time for each."""
        self._defer(connection, DELIVER_TASK, WEBHOOK_QUEUE, lock=_WEBHOOK_LOCK + webhook_id, webhook_id=webhook_id)

    def delivering(self, connection: sa.Connection) -> frozenset[str]:
        """Ids of the webhooks whose job is queued or at work."""
        locks = connection.scalars(
            sa.text(
                f"SELECT lock FROM {SCHEMA}.procrastinate_jobs WHERE status IN ('todo', 'doing') AND task_name = :task"
            ),
            {"task": DELIVER_TASK},
        )
        return frozenset(lock.removeprefix(_WEBHOOK_LOCK) for lock in locks)

    def register(self, connection: sa.Connection, model: str, version: int, wait: int = 0) -> None:
        """Queue the freezing of a version's bytes for `wait` seconds from now."""
        lock = f"{_REGISTER_LOCK}{version}:{model}"
        self._defer(connection, REGISTER_TASK, REGISTER_QUEUE, lock=lock, wait=wait, model=model, version=str(version))

    def registers(self, model: sa.ColumnElement[str], version: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Whether a job of the version's registration waits or runs."""
        return self._busy(_REGISTER_LOCK + sa.cast(version, sa.Text) + ":" + model)

    def _defer(
        self, connection: sa.Connection, task: str, queue: str, lock: str, wait: int = 0, **arguments: str
    ) -> None:
        connection.execute(sa.text(f"SET LOCAL search_path TO {SCHEMA}, public"))
        when = {"seconds": wait} if wait else None
        job = self._app.configure_task(task, queue=queue, lock=lock, connection=connection, schedule_in=when)
        job.defer(**arguments)
        connection.execute(sa.text("SET LOCAL search_path TO DEFAULT"))

    def holds(self, import_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Whether a job of the import waits or runs."""
        return self._busy(LOCK + sa.cast(import_id, sa.Text))

    def _busy(self, lock: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        return sa.exists().where(_jobs.c.lock == lock, sa.cast(_jobs.c.status, sa.Text).in_(("todo", "doing")))
