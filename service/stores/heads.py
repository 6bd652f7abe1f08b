"""Where the schemas should be, and where they are: cheap enough to ask at every readiness probe."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from service.stores import mlflow_tables


def our_migrations() -> Path:
    """In a checkout `migrations/`, in an installed wheel beside this package."""
    here = Path(__file__).resolve().parent.parent
    packed = here / "_migrations"
    return packed if packed.is_dir() else here.parent / "migrations"


@cache
def head_revision(folder: Path) -> str:
    """The head of the alembic migrations in `folder`, read from their text: nothing of them is imported.

    Raises:
        RuntimeError: when there is not exactly one head.
    """
    revisions: set[str] = set()
    parents: set[str] = set()
    for file in (folder / "versions").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        revisions.update(re.findall(r"^revision\s*=\s*[\"'](\w+)[\"']", text, re.MULTILINE))
        parents.update(re.findall(r"^down_revision\s*=\s*[\"'](\w+)[\"']", text, re.MULTILINE))
    heads = revisions - parents
    if len(heads) != 1:
        raise RuntimeError(f"{folder.name} has {len(heads)} heads, expected one")
    return heads.pop()


def current_revision(connection: sa.Connection, table: str) -> str | None:
    """The revision in an alembic version table, None when it is not there."""
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is None:
        return None
    revision: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {table}"))
    return revision


OURS = "registry.alembic_version"
THEIRS = "public.alembic_version"


def at_head(engine: sa.Engine) -> bool:
    """Whether both schemas are where the installed code wants them."""
    with engine.connect() as connection:
        return current_revision(connection, OURS) == head_revision(our_migrations()) and current_revision(
            connection, THEIRS
        ) == head_revision(mlflow_tables.migrations_folder())
