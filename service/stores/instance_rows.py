"""Rows of instances: what each says it runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.instance import Instance
from service.domain.refusals import too_many_instances
from service.stores import tables as t
from service.stores.instance_tables import instances
from service.usecases.instance_ports import InstanceCount

_i = instances.c
_VERSION = (
    sa.select(sa.func.max(t.versions.c.version))
    .where(t.versions.c.model == _i.model, t.versions.c.live_digest == _i.digest)
    .scalar_subquery()
    .label("version")
)


class PostgresInstances:
    """Implements `service.usecases.instance_ports.Instances`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def report(self, instance: Instance, most: int) -> Instance:
        # Whoever collects these bytes at this moment has them, or sees the lease.
        manifest = sa.select(t.manifests.c.digest).where(t.manifests.c.digest == instance.digest)
        self._connection.execute(manifest.with_for_update(key_share=True, read=True))
        here = self._at(instance.place) & (_i.id == instance.id)
        if not self._update(here, instance):
            self._one_by_one(instance.place)
            if not self._update(here, instance):
                self._insert(instance, most)
        return _instance(self._connection.execute(sa.select(instances, _VERSION).where(here)).one())

    def _update(self, here: sa.ColumnElement[bool], instance: Instance) -> bool:
        since = sa.case((_i.digest == instance.digest, _i.since), else_=instance.since)
        said = {**_said(instance), "since": since}
        return bool(self._connection.execute(sa.update(instances).where(here).values(said)).rowcount)

    def _one_by_one(self, place: Place) -> None:
        """So that no two new ones are the last of a place, or are the same."""
        lock = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
        self._connection.execute(lock, {"key": "instances\n" + "\n".join(place)})

    def _insert(self, instance: Instance, most: int) -> None:
        here = self._at(instance.place)
        count = self._connection.scalar(sa.select(sa.func.count()).select_from(instances).where(here))
        if (count or 0) >= most:
            raise too_many_instances(most)
        named = {**instance.place._asdict(), "id": instance.id, **_said(instance)}
        self._connection.execute(sa.insert(instances).values(named))

    def list(self, place: Place, limit: int, after: str) -> Sequence[Instance]:
        # By bytes, as everywhere else, whatever the database's collation.
        by_id = _i.id.collate("C")
        query = sa.select(instances, _VERSION).where(self._at(place), by_id > after).order_by(by_id).limit(limit)
        return [_instance(row) for row in self._connection.execute(query)]

    def counts(self, place: Place, now: datetime) -> Sequence[InstanceCount]:
        expired = (_i.lease_end <= now).label("expired")
        tally = (
            sa.select(_i.model, _i.digest, expired, sa.func.count().label("count"))
            .where(self._at(place))
            .group_by(_i.model, _i.digest, expired)
            .subquery()
        )
        version = (
            sa.select(sa.func.max(t.versions.c.version))
            .where(t.versions.c.model == tally.c.model, t.versions.c.live_digest == tally.c.digest)
            .scalar_subquery()
        )
        query = sa.select(tally.c.digest, version, tally.c.expired, tally.c.count)
        return [InstanceCount(*row) for row in self._connection.execute(query)]

    def delete(self, place: Place, instance_id: str) -> None:
        here = self._at(place) & (_i.id == instance_id)
        if not self._connection.execute(sa.delete(instances).where(here)).rowcount:
            raise NotFound("instance", instance_id)

    def forget(self, before: datetime) -> int:
        return self._connection.execute(sa.delete(instances).where(_i.lease_end < before)).rowcount

    def _at(self, place: Place) -> sa.ColumnElement[bool]:
        return sa.and_(*(_i[name] == value for name, value in place._asdict().items()))


def _said(instance: Instance) -> dict[str, object]:
    return {name: getattr(instance, name) for name in ("digest", "since", "reported_at", "lease_end", "reported_by")}


def _instance(row: sa.Row[Any]) -> Instance:
    return Instance(
        place=Place(row.environment, row.model, row.stage),
        id=row.id,
        digest=row.digest,
        since=row.since,
        reported_at=row.reported_at,
        lease_end=row.lease_end,
        reported_by=row.reported_by,
        version=row.version,
    )
