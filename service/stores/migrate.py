"""Bring both schemas to head: MLflow's in `public`, ours in `registry`, the job queue's in `jobs`."""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from service.stores import mlflow_tables
from service.stores.grants import GrantError, grant
from service.stores.heads import OURS, THEIRS, current_revision
from service.stores.revisions import head_revision, mlflow_migrations, our_migrations

LOCK = 7_281_034_405_119_201
"""The advisory lock of the one migration that may run at a time."""


class MigrationError(Exception):
    """The database cannot be brought to what the installed code wants."""


def migrations_config() -> Config:
    """alembic's configuration, for a checkout and for an installed wheel alike."""
    config = Config()
    config.set_main_option("script_location", str(our_migrations()))
    config.set_main_option("path_separator", "os")
    return config


def migrate(engine: sa.Engine, say: Callable[[str], None], service_role: str = "") -> None:
    """Migrate; a second caller waits for the first and then finds nothing to do.

    Args:
        engine: of the role that owns the tables.
        service_role: the role of the service, which is given what it needs; '' when it is the same one.

    Raises:
        MigrationError: when the installed MLflow is not supported, its tables are not as expected, or the
            service's role is not as it must be.
    """
    unsupported = mlflow_tables.unsupported_version()
    if unsupported:
        first, second = mlflow_tables.SUPPORTED
        raise MigrationError(
            f"MLflow {unsupported} is not supported; install >={first[0]}.{first[1]},<{second[0]}.{second[1]}"
        )
    # Outside a transaction: Postgres ends sessions that idle in one, and an upgrade may take minutes.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        lock.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            started = time.monotonic()
            _migrate_mlflow(engine)
            theirs = head_revision(mlflow_migrations())
            say(f"MLflow's schema is at {theirs} ({time.monotonic() - started:.1f} s)")
            _migrate_ours(engine)
            with engine.connect() as connection:
                say(f"The registry's schema is at {current_revision(connection, OURS)}")
                missing = mlflow_tables.missing_columns(connection)
            if missing:
                raise MigrationError("MLflow's tables lack columns this service writes: " + ", ".join(missing))
            grant_to(engine, say, service_role)
        finally:
            lock.execute(sa.text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})


def grant_to(engine: sa.Engine, say: Callable[[str], None], service_role: str) -> None:
    """Give the service's role what it needs. Raises MigrationError when it is not as it must be."""
    if not service_role:
        say("One role owns the tables and serves: only triggers keep it from changing the audit trail")
        return
    with engine.begin() as connection:
        try:
            grant(connection, service_role)
        except GrantError as error:
            raise MigrationError(str(error)) from error
    say(f"The role {service_role} may use the tables, and only add to the audit trail")


def _migrate_mlflow(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if current_revision(connection, THEIRS) == head_revision(mlflow_migrations()):
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
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise MigrationError(
                f"The database is of another release: {error}. Run the release it was made by."
            ) from error
