"""What MLflow's clients see of models and versions, read from MLflow's rows and ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.environment import Assignment
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.usecases.view_ports import Key, KnownVersion

DELETED = "Deleted_Internal"
"""What MLflow writes as the stage of a version that was deleted."""

_g = m.model_versions.c
_HERE = (_g.workspace == m.WORKSPACE) & (_g.current_stage != DELETED)
_HELD = (
    sa.select(t.assignments, t.versions.c.digest)
    .join_from(
        t.assignments,
        t.versions,
        (t.versions.c.model == t.assignments.c.model) & (t.versions.c.version == t.assignments.c.version),
    )
    .where(
        t.assignments.c.environment == sa.bindparam("environment"),
        t.assignments.c.model.in_(sa.bindparam("models", expanding=True)),
    )
)
_ALIASES = (
    sa.select(m.registered_models.c.name, m.registered_model_aliases.c.alias, m.registered_model_aliases.c.version)
    .outerjoin_from(
        m.registered_models,
        m.registered_model_aliases,
        (m.registered_model_aliases.c.name == m.registered_models.c.name)
        & (m.registered_model_aliases.c.workspace == m.registered_models.c.workspace),
    )
    .where(
        m.registered_models.c.workspace == m.WORKSPACE,
        m.registered_models.c.name.in_(sa.bindparam("models", expanding=True)),
    )
    .order_by(m.registered_model_aliases.c.alias)
)
_TAGS = (
    sa.select(sa.func.json_object_agg(m.model_version_tags.c.key, m.model_version_tags.c.value))
    .where(
        m.model_version_tags.c.workspace == _g.workspace,
        m.model_version_tags.c.name == _g.name,
        m.model_version_tags.c.version == _g.version,
    )
    .scalar_subquery()
)
_VERSIONS = (
    sa.select(
        _g.name,
        _g.version,
        _g.creation_time,
        _g.last_updated_time,
        _g.description,
        _g.user_id,
        _g.source,
        _g.run_id,
        _g.run_link,
        _g.status,
        _g.status_message,
        t.versions.c.digest,
        _TAGS.label("tags"),
    )
    .outerjoin_from(
        m.model_versions, t.versions, (t.versions.c.model == _g.name) & (t.versions.c.version == _g.version)
    )
    .where(_HERE, sa.tuple_(_g.name, _g.version).in_(sa.bindparam("keys", expanding=True)))
)


class PostgresViews:
    """Implements `service.usecases.view_ports.Views`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def held(self, environment: str, models: Collection[str]) -> Sequence[Assignment]:
        rows = self._connection.execute(_HELD, {"environment": environment, "models": list(models)})
        return [Assignment(**row._mapping) for row in rows]

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for name, alias, version in self._connection.execute(_ALIASES, {"models": list(models)}):
            of_model = found.setdefault(name, {})
            if alias is not None:
                of_model[alias] = version
        return found

    def versions(self, keys: Collection[Key]) -> Mapping[Key, KnownVersion]:
        rows = self._connection.execute(_VERSIONS, {"keys": list(keys)}) if keys else ()
        return {(row.name, row.version): _known(row) for row in rows}

    def highest(self, models: Collection[str], beside: Collection[Key]) -> Mapping[str, int]:
        query = sa.select(_g.name, sa.func.max(_g.version)).where(_HERE, _g.name.in_(models)).group_by(_g.name)
        if beside:
            query = query.where(sa.tuple_(_g.name, _g.version).not_in(beside))
        return {row[0]: row[1] for row in self._connection.execute(query)}


def _known(row: Any) -> KnownVersion:
    return KnownVersion(
        model=row.name,
        version=row.version,
        created=row.creation_time,
        updated=row.last_updated_time,
        description=row.description,
        user=row.user_id,
        source=row.source,
        run_id=row.run_id,
        run_link=row.run_link,
        status=row.status,
        status_message=row.status_message,
        digest=row.digest or "",
        tags=row.tags or {},
    )
