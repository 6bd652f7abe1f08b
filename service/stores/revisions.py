"""Where the installed code wants the schemas to be, read from the text of the migrations: nothing is imported."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def our_migrations() -> Path:
    """In a checkout `migrations/`, in an installed wheel inside the package."""
    here = Path(__file__).resolve().parent.parent
    packed = here / "_migrations"
    return packed if packed.is_dir() else here.parent / "migrations"


def mlflow_migrations() -> Path:
    """Of the installed MLflow, found without importing it, which takes seconds."""
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("mlflow is not installed")
    return Path(spec.submodule_search_locations[0], "store", "db_migrations")


@cache
def head_revision(folder: Path) -> str:
    """The head of the alembic migrations in `folder`.

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


def wanted_revisions() -> str:
    """Both heads in one word: equal as long as no migration is needed."""
    return f"{head_revision(our_migrations())}-{head_revision(mlflow_migrations())}"
