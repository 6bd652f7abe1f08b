"""One model as one environment shows it, read in one prepared SELECT, on a connection of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.environment import Assignment, Environment
from service.stores.mlflow_tables import WORKSPACE
from service.stores.reading_connection import ReadingConnection
from service.stores.view_rows import DELETED
from service.usecases.look_up import Look
from service.usecases.view_ports import KnownVersion

LIMIT = 1.5
"""Seconds for a look-up."""
_HERE = f"workspace = '{WORKSPACE}' AND name = $2"
_LOOK = f"""
WITH held AS (
    SELECT a.stage, a.version, v.digest, a.revision, a.assigned_by, a.assigned_at, a.comment
    FROM registry.assignments a JOIN registry.versions v ON v.model = a.model AND v.version = a.version
    WHERE a.environment = $1 AND a.model = $2
), names AS (
    SELECT alias, version FROM public.registered_model_aliases WHERE {_HERE}
), highest AS (
    SELECT max(version) AS version FROM public.model_versions
    WHERE {_HERE} AND current_stage <> '{DELETED}' AND version NOT IN (SELECT version FROM held)
), wanted AS (
    SELECT version FROM held UNION SELECT $3 UNION SELECT version FROM names WHERE alias = $4
    UNION SELECT version FROM highest
)
SELECT e.name, e.stages, e.description, e.created_at,
    EXISTS (SELECT FROM public.registered_models WHERE {_HERE}) AS has_model,
    (SELECT json_agg(held) FROM held) AS held,
    (SELECT json_object_agg(alias, version ORDER BY alias) FROM names) AS aliases,
    (SELECT version FROM highest) AS highest,
    (SELECT json_agg(json_build_object(
        'version', g.version, 'created', g.creation_time, 'updated', g.last_updated_time,
        'description', g.description, 'user', g.user_id, 'source', g.source, 'run_id', g.run_id,
        'run_link', g.run_link, 'status', g.status, 'status_message', g.status_message,
        'digest', coalesce(v.digest, ''),
        'tags', (SELECT coalesce(json_object_agg(t.key, t.value), '{{}}') FROM public.model_version_tags t
                 WHERE t.workspace = g.workspace AND t.name = g.name AND t.version = g.version)
    )) FROM public.model_versions g LEFT JOIN registry.versions v ON v.model = g.name AND v.version = g.version
    WHERE g.workspace = '{WORKSPACE}' AND g.name = $2 AND g.current_stage <> '{DELETED}'
        AND g.version IN (SELECT version FROM wanted)) AS versions
FROM (SELECT 1) AS one LEFT JOIN registry.environments e ON e.name = $1
"""


class PostgresLooks:
    """Implements `service.usecases.look_up.Looks`."""

    def __init__(self, engine: sa.Engine) -> None:
        _, given = engine.dialect.create_connect_args(engine.url)
        given = {**given, "application_name": "model-registry look-ups", "connect_timeout": 2}
        self._reading = ReadingConnection(given, f"PREPARE look (text, text, int, text) AS {_LOOK}", LIMIT)

    def look(self, environment: str, model: str, number: int = 0, alias: str = "") -> Look:
        values = (environment, model, number, alias)
        row = self._reading.rows("EXECUTE look (%s, %s, %s, %s)", values)[1][0]
        return Look(
            environment=None if row.name is None else _environment(row),
            held_=tuple(_assignment(environment, model, item) for item in row.held or ()),
            aliases_={model: row.aliases or {}} if row.has_model else {},
            known={(model, item["version"]): KnownVersion(model=model, **item) for item in row.versions or ()},
            top={} if row.highest is None else {model: row.highest},
        )

    def close(self) -> None:
        self._reading.close()


def _environment(row: Any) -> Environment:
    return Environment(row.name, tuple(row.stages), row.description, row.created_at)


def _assignment(environment: str, model: str, item: dict[str, Any]) -> Assignment:
    at = datetime.fromisoformat(item.pop("assigned_at"))
    return Assignment(environment=environment, model=model, assigned_at=at, **item)
