"""Waiting for what happens soon, in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.embedded.leftovers import marked


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(mark: str, seconds: float = 20.0) -> bool:
    """Whether all processes with `mark` ended in time."""
    return eventually(lambda: not marked(mark), seconds)
