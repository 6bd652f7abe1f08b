"""Rows of versions that were asked for over MLflow's API, from the question to the frozen bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from service.domain.errors import ConcurrentChange
from service.domain.layout import version_uri
from service.domain.model import Manifest, ModelVersion
from service.domain.refusals import is_a_prompt
from service.stores import mlflow_tables as m
from service.stores.milliseconds import now_ms
from service.stores.model_rows import PostgresModels
from service.stores.plain import plain
from service.stores.queue import JobQueue
from service.stores.registration_tables import registrations as r
from service.stores.version_rows import VersionWriter
from service.usecases.registration_ports import MAX_MESSAGE, NewRegistration, Registration
from service.usecases.view_ports import Key
from service.usecases.view_versions import FAILED, PENDING, READY

_PENDING = r.c.state == "pending"


class PostgresRegistrations:
    """Implements `service.usecases.registration_ports.Registrations`."""

    def __init__(self, connection: sa.Connection, queue: JobQueue, models: PostgresModels) -> None:
        self._connection = connection
        self._queue = queue
        self._models = models

    def begin(self, asked: NewRegistration, wait: int = 0) -> Registration:
        if self._models.is_prompt(asked.model):
            raise is_a_prompt(asked.model, "name")
        writer = VersionWriter(self._connection)
        writer.own(asked.model, asked.workspace, None)
        number = writer.free_number(asked.model)
        self._connection.execute(
            sa.insert(r).values(
                model=asked.model, version=number, state="pending", attempt=0, asked=plain(asdict(asked))
            )
        )
        now = now_ms()
        writer.write_mlflow(asked.as_version(Manifest(()), {}, None, PENDING), number, asked.source, None, now)
        self._touch(asked.model, now)
        self._queue.register(self._connection, asked.model, number, wait)
        return Registration(number, 0, asked)

    def start(self, model: str, version: int) -> Registration | None:
        row = self._connection.execute(
            sa.update(r)
            .where(r.c.model == model, r.c.version == version, _PENDING)
            .values(attempt=r.c.attempt + 1)
            .returning(r)
        ).one_or_none()
        # The name that was asked for may be another one by now.
        return (
            None
            if row is None
            else Registration(version, row.attempt, NewRegistration(**{**row.asked, "model": model}))
        )

    def finish(
        self,
        registration: Registration,
        manifest: Manifest,
        flavors: Mapping[str, Any],
        signature: Mapping[str, Any] | None,
    ) -> ModelVersion:
        if not self._end(registration, "ready"):
            raise ConcurrentChange("Another attempt registers the version, or it was deleted.")
        new = registration.asked.as_version(manifest, flavors, signature, READY)
        version = VersionWriter(self._connection).write(new, registration.version)
        self._change(registration, status=READY, storage_location=version_uri(version.digest))
        return version

    def fail(self, registration: Registration, message: str) -> bool:
        if not self._end(registration, "failed"):
            return False
        self._change(registration, status=FAILED, status_message=message[:MAX_MESSAGE])
        return True

    def requeue(self) -> Sequence[Key]:
        lost = self._connection.execute(
            sa.select(r.c.model, r.c.version).where(_PENDING, ~self._queue.registers(r.c.model, r.c.version))
        ).all()
        for model, version in lost:
            self._queue.register(self._connection, model, version)
        return [(model, version) for model, version in lost]

    def _end(self, registration: Registration, state: str) -> bool:
        here = (r.c.model == registration.asked.model) & (r.c.version == registration.version)
        done = self._connection.execute(
            sa.update(r)
            .where(here, _PENDING, r.c.attempt == registration.attempt)
            .values(state=state, ended_at=sa.func.now())
        )
        return done.rowcount == 1

    def _change(self, registration: Registration, **values: Any) -> None:
        g = m.model_versions
        now = now_ms()
        self._connection.execute(
            sa.update(g)
            .where(
                g.c.workspace == m.WORKSPACE,
                g.c.name == registration.asked.model,
                g.c.version == registration.version,
            )
            .values(**values, last_updated_time=now)
        )

    def _touch(self, model: str, now: int) -> None:
        g = m.registered_models
        self._connection.execute(
            sa.update(g).where(g.c.workspace == m.WORKSPACE, g.c.name == model).values(last_updated_time=now)
        )
