from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not below pytest's folder, as elsewhere: each run of pytest closes that folder to other users again,
    and PostgreSQL, started by root, runs as another user."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as folder:
        yield Path(folder)
