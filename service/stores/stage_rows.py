"""Rows of stage assignments and their transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.domain.environment import Assignment
from service.domain.errors import NotFound
from service.domain.model import ModelVersion
from service.stores import tables as t
from service.stores.place_rows import PostgresEnvironments
from service.stores.version_rows import version_of

_ASSIGNED = sa.select(t.assignments, t.versions.c.digest).join_from(
    t.assignments,
    t.versions,
    (t.versions.c.model == t.assignments.c.model) & (t.versions.c.version == t.assignments.c.version),
)
_CURRENT = (
    sa.select(
        t.versions,
        t.assignments.c.revision,
        t.assignments.c.assigned_by,
        t.assignments.c.assigned_at,
        t.assignments.c.comment,
    )
    .join_from(
        t.assignments,
        t.versions,
        (t.versions.c.model == t.assignments.c.model) & (t.versions.c.version == t.assignments.c.version),
    )
    .where(
        t.assignments.c.environment == sa.bindparam("environment"),
        t.assignments.c.model == sa.bindparam("model"),
        t.assignments.c.stage == sa.bindparam("stage"),
    )
)


class PostgresStages:
    def __init__(self, connection: sa.Connection, environments: PostgresEnvironments) -> None:
        self._connection = connection
        self._environments = environments

    def assign(self, wanted: Assignment) -> Assignment:
        # The environment's row serialises assignments against a change of its stages.
        self._connection.execute(
            sa.select(t.environments.c.name)
            .where(t.environments.c.name == wanted.environment)
            .with_for_update(read=True)
        )
        if wanted.stage not in self._environments.get(wanted.environment).stages:
            raise NotFound("stage", wanted.stage, f"Environment {wanted.environment!r} has no stage {wanted.stage!r}.")
        # One lock for each (environment, model, stage), also before its first row exists.
        self._connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"stage\n{wanted.environment}\n{wanted.model}\n{wanted.stage}"},
        )
        digest = self._digest(wanted.model, wanted.version)
        current = self._connection.execute(_ASSIGNED.where(self._place(wanted))).one_or_none()
        if current is not None and current.version == wanted.version:
            return _assignment(current)
        revision = self._next_revision(wanted)
        written = replace(wanted, digest=digest, revision=revision)
        self._write(written, None if current is None else current.version)
        return written

    def _digest(self, model: str, version: int) -> str:
        digest: str | None = self._connection.scalar(
            sa.select(t.versions.c.digest).where(t.versions.c.model == model, t.versions.c.version == version)
        )
        if digest is None:
            known = self._connection.scalar(sa.select(t.models.c.name).where(t.models.c.name == model))
            if known is None:
                raise NotFound("model", model)
            raise NotFound("version", str(version), f"Model {model!r} has no version {version}.")
        return digest

    def _next_revision(self, wanted: Assignment) -> int:
        last: int | None = self._connection.scalar(
            sa.select(sa.func.max(t.transitions.c.revision)).where(
                t.transitions.c.environment == wanted.environment,
                t.transitions.c.model == wanted.model,
                t.transitions.c.stage == wanted.stage,
            )
        )
        return (last or 0) + 1

    def _place(self, wanted: Assignment) -> sa.ColumnElement[bool]:
        return sa.and_(
            t.assignments.c.environment == wanted.environment,
            t.assignments.c.model == wanted.model,
            t.assignments.c.stage == wanted.stage,
        )

    def _write(self, written: Assignment, previous: int | None) -> None:
        place = {"environment": written.environment, "model": written.model, "stage": written.stage}
        values = {
            "version": written.version,
            "revision": written.revision,
            "assigned_by": written.assigned_by,
            "assigned_at": written.assigned_at,
            "comment": written.comment,
        }
        if previous is None:
            self._connection.execute(sa.insert(t.assignments).values(**place, **values))
        else:
            self._connection.execute(sa.update(t.assignments).where(self._place(written)).values(**values))
        self._connection.execute(
            sa.insert(t.transitions).values(
                **place,
                revision=written.revision,
                version=written.version,
                digest=written.digest,
                previous_version=previous,
                actor=written.assigned_by,
                comment=written.comment,
                at=written.assigned_at,
            )
        )

    def current(self, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
        row = self._connection.execute(
            _CURRENT, {"environment": environment, "model": model, "stage": stage}
        ).one_or_none()
        if row is None:
            raise self._absence(environment, model, stage)
        assignment = Assignment(
            environment=environment,
            model=model,
            stage=stage,
            version=row.version,
            digest=row.digest,
            revision=row.revision,
            assigned_by=row.assigned_by,
            assigned_at=row.assigned_at,
            comment=row.comment,
        )
        return assignment, version_of(row)

    def _absence(self, environment: str, model: str, stage: str) -> NotFound:
        """Which part of the address leads nowhere."""
        if stage not in self._environments.get(environment).stages:
            return NotFound("stage", stage, f"Environment {environment!r} has no stage {stage!r}.")
        if self._connection.scalar(sa.select(t.models.c.name).where(t.models.c.name == model)) is None:
            return NotFound("model", model)
        return NotFound("assignment", stage, f"No version of {model!r} is in {environment}/{stage}.")

    def list(self, environment: str) -> Sequence[Assignment]:
        query = _ASSIGNED.where(t.assignments.c.environment == environment)
        order = (t.assignments.c.model, t.assignments.c.stage)
        return [_assignment(row) for row in self._connection.execute(query.order_by(*order))]


def _assignment(row: sa.Row[Any]) -> Assignment:
    return Assignment(**row._mapping)
