"""Rows of stages: what each holds, and every change of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.history import ChangeKind, Stay, Transition
from service.domain.model import ModelVersion
from service.domain.refusals import no_revision, no_stage, nothing_in
from service.stores import tables as t
from service.stores.place_rows import PostgresEnvironments
from service.stores.version_rows import version_of

_VERSION = (t.versions.c.model == t.assignments.c.model) & (t.versions.c.version == t.assignments.c.version)
_ASSIGNED = sa.select(t.assignments, t.versions.c.digest).join_from(t.assignments, t.versions, _VERSION)
_CURRENT = (
    sa.select(
        t.versions,
        t.assignments.c.revision,
        t.assignments.c.assigned_by,
        t.assignments.c.assigned_at,
        t.assignments.c.comment,
    )
    .join_from(t.assignments, t.versions, _VERSION)
    .where(
        t.assignments.c.environment == sa.bindparam("environment"),
        t.assignments.c.model == sa.bindparam("model"),
        t.assignments.c.stage == sa.bindparam("stage"),
    )
)
_CHANGES = sa.select(t.transitions).where(
    t.transitions.c.environment == sa.bindparam("environment"),
    t.transitions.c.model == sa.bindparam("model"),
    t.transitions.c.stage == sa.bindparam("stage"),
)
_NEWEST = _CHANGES.order_by(t.transitions.c.revision.desc())


class PostgresStages:
    """Implements `service.usecases.stage_ports.Stages`.

    Locks are taken in one order, so that they never wait in a circle: rows of environments, then models (shared,
    or one model alone), then places, each sorted.
    """

    def __init__(self, connection: sa.Connection, environments: PostgresEnvironments) -> None:
        self._connection = connection
        self._environments = environments

    def lock(self, places: Collection[Place]) -> None:
        for name in sorted({place.environment for place in places}):
            # The environment's row serialises changes of its stages against a change of the environment.
            stages = self._environments.stages_for_share(name)
            for place in sorted(places):
                if place.environment == name and place.stage not in stages:
                    raise no_stage(place.environment, place.stage)
        models = [f"model\n{name}" for name in sorted({place.model for place in places})]
        keys = ["stage\n" + "\n".join(place) for place in sorted(places)]
        # Also before a place's first row exists. One after the other: a single query may evaluate in any order.
        self._advise("pg_advisory_xact_lock_shared", models)
        self._advise("pg_advisory_xact_lock", keys)

    def lock_model(self, model: str, environments: Collection[str] = ()) -> None:
        for name in sorted(environments):
            self._environments.stages_for_share(name)
        self._advise("pg_advisory_xact_lock", [f"model\n{model}"])

    def _advise(self, function: str, keys: list[str]) -> None:
        for key in keys:
            self._connection.execute(sa.text(f"SELECT {function}(hashtextextended(:key, 0))"), {"key": key})

    def last(self, place: Place) -> Transition | None:
        return self._first(_NEWEST.limit(1), place)

    def change(self, transition: Transition) -> None:
        self._connection.execute(sa.insert(t.transitions).values(**vars(transition)))
        place = {"environment": transition.environment, "model": transition.model, "stage": transition.stage}
        if transition.version is None:
            here = [t.assignments.c[name] == value for name, value in place.items()]
            self._connection.execute(sa.delete(t.assignments).where(*here))
            return
        values = {
            "version": transition.version,
            "revision": transition.revision,
            "assigned_by": transition.actor,
            "assigned_at": transition.at,
            "comment": transition.comment,
        }
        self._connection.execute(
            insert(t.assignments)
            .values(**place, **values)
            .on_conflict_do_update(index_elements=list(place), set_=values)
        )

    def change_at(self, place: Place, revision: int) -> Transition:
        found = self._first(_CHANGES.where(t.transitions.c.revision == revision), place)
        if found is None:
            raise no_revision(place.stage, revision)
        return found

    def restorable(self, place: Place, below: int, other_than: int | None) -> Transition | None:
        withdrawn = sa.select(t.versions.c.version).where(
            t.versions.c.model == place.model,
            t.versions.c.withdrawn_at.is_not(None) | t.versions.c.deleted_at.is_not(None),
        )
        query = _NEWEST.where(
            t.transitions.c.revision < below,
            t.transitions.c.version.is_not(None),
            t.transitions.c.version.is_distinct_from(other_than),
            t.transitions.c.version.not_in(withdrawn),
        )
        return self._first(query.limit(1), place)

    def current(self, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
        place = Place(environment, model, stage)
        row = self._connection.execute(_CURRENT, place._asdict()).one_or_none()
        if row is None:
            raise self._absence(place)
        return assignment_of(place, row), version_of(row)

    def _absence(self, place: Place) -> NotFound:
        """Which part of the address leads nowhere."""
        if place.stage not in self._environments.get(place.environment).stages:
            return no_stage(place.environment, place.stage)
        there = sa.select(t.models.c.name).where(t.models.c.name == place.model, t.models.c.deleted_at.is_(None))
        if self._connection.scalar(there) is None:
            return NotFound("model", place.model)
        return nothing_in(place)

    def list(self, environment: str) -> Sequence[Assignment]:
        query = _ASSIGNED.where(t.assignments.c.environment == environment)
        order = (t.assignments.c.model, t.assignments.c.stage)
        return [Assignment(**row._mapping) for row in self._connection.execute(query.order_by(*order))]

    def holding(self, model: str, version: int) -> Sequence[Place]:
        a = t.assignments.c
        query = sa.select(a.environment, a.model, a.stage).where(a.model == model, a.version == version)
        return sorted(Place(*row) for row in self._connection.execute(query))

    def history(self, place: Place, limit: int, before: int | None) -> Sequence[Transition]:
        query = _NEWEST.limit(limit)
        if before is not None:
            query = query.where(t.transitions.c.revision < before)
        return [_transition(row) for row in self._connection.execute(query, place._asdict())]

    def change_by(self, place: Place, at: datetime) -> Transition | None:
        return self._first(_NEWEST.where(t.transitions.c.at <= at).limit(1), place)

    def stays(self, model: str, version: int) -> Sequence[Stay]:
        c = t.transitions.c
        place = (c.environment, c.stage)
        ends = sa.select(
            c.environment,
            c.stage,
            c.revision,
            c.version,
            c.at.label("since"),
            c.actor.label("by"),
            c.kind,
            sa.func.lead(c.at).over(partition_by=place, order_by=c.revision).label("until"),
            sa.func.lead(c.kind).over(partition_by=place, order_by=c.revision).label("ended_by"),
        ).where(c.model == model)
        all_stays = ends.subquery()
        s = all_stays.c
        columns = [s[name] for name in Stay.__dataclass_fields__]
        query = sa.select(*columns).where(s.version == version).order_by(s.environment, s.stage, s.revision)
        return [_stay(row) for row in self._connection.execute(query)]

    def _first(self, query: sa.Select[Any], place: Place) -> Transition | None:
        row = self._connection.execute(query, place._asdict()).one_or_none()
        return None if row is None else _transition(row)


def assignment_of(place: Place, row: Any) -> Assignment:
    return Assignment(
        *place,
        version=row.version,
        digest=row.digest,
        revision=row.revision,
        assigned_by=row.assigned_by,
        assigned_at=row.assigned_at,
        comment=row.comment,
    )


def _transition(row: sa.Row[Any]) -> Transition:
    return Transition(**{**row._mapping, "kind": ChangeKind(row.kind)})


def _stay(row: sa.Row[Any]) -> Stay:
    ended_by = None if row.ended_by is None else ChangeKind(row.ended_by)
    return Stay(**{**row._mapping, "kind": ChangeKind(row.kind), "ended_by": ended_by})
