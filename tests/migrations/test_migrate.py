"""Both schemas reach head, twice, at once, and say when they are not what the code expects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from procrastinate.schema import SchemaManager

from service.embedded.postgres import EmbeddedPostgres
from service.settings import Settings
from service.stores import migrate as migration
from service.stores import mlflow_tables
from service.stores import postgres as postgres_store
from service.stores.heads import OURS, THEIRS, at_head, current_revision
from service.stores.migrate import MigrationError, migrate, migrations_config
from service.stores.postgres import make_engine
from service.stores.revisions import head_revision, mlflow_migrations, our_migrations
from tests.conftest import database_url


@pytest.fixture
def empty(postgres: EmbeddedPostgres, admin_engine: sa.Engine) -> Iterator[sa.Engine]:
    """An empty database whose role is named like our schema: Postgres would look there first."""
    with admin_engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE empty"))
        role = connection.scalar(sa.text("SELECT current_user"))
    assert role == "registry"
    settings_url = database_url(postgres, "empty").replace("options=-csearch_path%3Dpublic", "")
    url = Settings.from_env(
        {
            "MODEL_REGISTRY_DATABASE_URL": settings_url,
            "MODEL_REGISTRY_S3_ENDPOINT": "http://s3",
            "MODEL_REGISTRY_S3_ACCESS_KEY": "a",
            "MODEL_REGISTRY_S3_SECRET_KEY": "s",
            "MODEL_REGISTRY_S3_BUCKET": "bucket",
            "MODEL_REGISTRY_PUBLIC_URL": "http://here",
        }
    ).database_url
    engine = make_engine(url)
    yield engine
    engine.dispose()
    with admin_engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE empty WITH (FORCE)"))


def _ignore(_: str) -> None:
    """Nobody listens to the progress."""


def test_two_at_once_and_once_more(empty: sa.Engine) -> None:
    assert not at_head(empty)
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(migrate, empty, _ignore) for _ in range(2)]:
            done.result()
    assert at_head(empty)
    migrate(empty, _ignore)
    with empty.connect() as connection:
        assert current_revision(connection, OURS) == head_revision(our_migrations())
        assert current_revision(connection, THEIRS) == head_revision(mlflow_migrations())
        assert mlflow_tables.missing_columns(connection) == []
        connection.execute(sa.text("ALTER TABLE public.runs DROP COLUMN source_version"))
        assert mlflow_tables.missing_columns(connection) == ["runs.source_version"]


def test_a_migration_of_minutes_keeps_its_lock(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the database lets a session idle within a transaction."""

    def slow(other: sa.Engine) -> None:
        time.sleep(1)
        with other.connect() as connection:
            taken.append(connection.scalar(sa.text("SELECT pg_try_advisory_lock(:lock)"), {"lock": migration.LOCK}))

    taken: list[bool] = []
    monkeypatch.setattr(postgres_store, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(migration, "_migrate_mlflow", slow)
    migrate(engine, _ignore)
    assert taken == [False], "the next one still waits"
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0


def test_tables_and_migrations_agree(engine: sa.Engine) -> None:
    config = migrations_config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises when a migration is missing


def test_downgrade_and_up_again(engine: sa.Engine) -> None:
    config = migrations_config()
    for step in ("base", "head"):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if step == "base" else command.upgrade)(config, step)
            tables = sa.inspect(connection).get_table_names(schema="registry")
            assert ("imports" in tables) is (step == "head")
    assert at_head(engine)


def test_job_queue_is_the_installed_library_s(engine: sa.Engine) -> None:
    """A procrastinate with another schema needs a migration of its own."""
    expected = set(_created(SchemaManager.get_schema(), "TABLE")) | set(
        _created(SchemaManager.get_schema(), "FUNCTION")
    )
    with engine.connect() as connection:
        tables = set(sa.inspect(connection).get_table_names(schema="jobs"))
        functions = set(
            connection.scalars(
                sa.text(
                    "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'jobs'"
                )
            )
        )
    assert expected <= tables | functions
    assert {"procrastinate_jobs", "procrastinate_workers"} <= tables


def _created(schema: str, kind: str) -> list[str]:
    words = schema.replace("(", " ").split()
    return [words[i + 2] for i in range(len(words) - 2) if words[i] == "CREATE" and words[i + 1] == kind]


def test_unsupported_mlflow_is_refused(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tables, "SUPPORTED", ((1, 0), (1, 1)))
    with pytest.raises(MigrationError, match="is not supported"):
        migrate(engine, _ignore)


def test_columns_named_here_are_mlflow_s() -> None:
    """Against MLflow's own metadata, so that a renamed column fails here before it fails in a database."""
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.model_registry.dbmodels import models as registry_models
    from mlflow.store.tracking.dbmodels import models as tracking_models

    assert registry_models.Base is tracking_models.Base is Base
    known = {(table.name, column.name) for table in Base.metadata.tables.values() for column in table.columns}
    ours = {(table.name, column.name) for table in mlflow_tables.ALL for column in table.columns}
    assert ours <= known
