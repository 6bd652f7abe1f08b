"""Bring both schemas to head: MLflow's in `public`, ours in `registry`, the job queue's in `jobs`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from service.stores import mlflow_tables

LOCK = 7_281_034_405_119_201
"""The advisory lock of the one migration that may run at a time."""


def migrations_config() -> Config:
    """alembic's configuration, for a checkout (`migrations/`) and for an installed wheel alike."""
    here = Path(__file__).resolve().parent.parent
    packed = here / "_migrations"
    config = Config()
    config.set_main_option("script_location", str(packed if packed.is_dir() else here.parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def at_head(engine: sa.Engine) -> bool:
    """Whether both schemas are where the installed code wants them."""
    with engine.connect() as connection:
        ours = _revision(connection, "registry.alembic_version")
        theirs = _revision(connection, "public.alembic_version")
    return (
        ours == ScriptDirectory.from_config(migrations_config()).get_current_head()
        and theirs == mlflow_tables.head_revision()
    )


def migrate(engine: sa.Engine, say: Callable[[str], None]) -> None:
    """Migrate; a second caller waits for the first and then finds nothing to do.

    Raises:
        RuntimeError: when the installed MLflow is not supported or its tables are not as expected.
    """
    unsupported = mlflow_tables.unsupported_version()
    if unsupported:
        first, second = mlflow_tables.SUPPORTED
        raise RuntimeError(f"MLflow {unsupported} is not supported; install >={first[0]}.{first[1]},<{second[0]}.{second[1]}")
    with engine.connect() as lock:
        lock.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            started = time.monotonic()
            _migrate_mlflow(engine)
            say(f"MLflow's schema is at {mlflow_tables.head_revision()} ({time.monotonic() - started:.1f} s)")
            _migrate_ours(engine)
            with engine.connect() as connection:
                say(f"The registry's schema is at {_revision(connection, 'registry.alembic_version')}")
                missing = mlflow_tables.missing_columns(connection)
            if missing:
                raise RuntimeError("MLflow's tables lack columns this service writes: " + ", ".join(missing))
        finally:
            lock.execute(sa.text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
            lock.rollback()


def _migrate_mlflow(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if _revision(connection, "public.alembic_version") == mlflow_tables.head_revision():
            return
    from mlflow.store.db import utils  # takes seconds; only needed when there is something to do

    if utils._is_empty_database(engine):
        utils._initialize_tables(engine)
    else:
        utils._upgrade_db(engine)


def _migrate_ours(engine: sa.Engine) -> None:
    config = migrations_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection, table: str) -> str | None:
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is None:
        return None
    revision: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {table}"))
    return revision
