"""A registry with very many models, versions and places, written past the service."""

from __future__ import annotations

import sqlalchemy as sa

from benchmarks.running import Registry

MODELS, VERSIONS, ENVIRONMENTS = 10_000, 100, 5
PATH = "/v1/environments/e{environment}/models/model-{model}/stages/live"
_ROWS = f"""
SET LOCAL session_replication_role = replica;
INSERT INTO registry.environments (name, stages, description)
SELECT 'e' || e, '{{live}}', '' FROM generate_series(1, {ENVIRONMENTS}) e;
INSERT INTO registry.models (name, workspace) SELECT 'model-' || m, 'dev' FROM generate_series(1, {MODELS}) m;
INSERT INTO registry.manifests (digest, size, files)
SELECT 'sha256:' || lpad(m::text, 64, '0'), 1, '[]' FROM generate_series(1, {MODELS}) m;
INSERT INTO registry.versions (model, version, digest, size, run_id, description, flavors, lineage, workspace,
    original_model, original_version, created_by)
SELECT 'model-' || m, v, 'sha256:' || lpad(m::text, 64, '0'), 1, '', '', '{{}}', '{{}}', 'dev', '', '', 'bench'
FROM generate_series(1, {MODELS}) m, generate_series(1, {VERSIONS}) v;
INSERT INTO registry.transitions (environment, model, stage, revision, version, digest, kind, over_freeze, actor,
    actor_id, comment, at)
SELECT 'e' || e, 'model-' || m, 'live', 1, 1 + mod(m, {VERSIONS}), 'sha256:' || lpad(m::text, 64, '0'), 'promotion',
    false, 'bench', '', '', now()
FROM generate_series(1, {ENVIRONMENTS}) e, generate_series(1, {MODELS}) m;
INSERT INTO registry.assignments (environment, model, stage, version, revision, assigned_by, assigned_at, comment)
SELECT environment, model, stage, version, revision, actor, at, ''
FROM registry.transitions WHERE environment ~ '^e[0-9]';
"""


def write_many(registry: Registry) -> None:
    owner = sa.create_engine(sa.make_url(registry.settings.database_url).set(username="registry"))
    with owner.begin() as connection:
        connection.exec_driver_sql(_ROWS)
    with owner.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    owner.dispose()


def places(models: int) -> list[str]:
    """Of so many models, in each of the environments."""
    return [
        PATH.format(environment=environment, model=model)
        for model in range(1, models + 1)
        for environment in range(1, ENVIRONMENTS + 1)
    ]
