"""Ending processes, and waiting for what happens soon, in tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from service.embedded.leftovers import marked


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # some end because of the others
            os.kill(pid, signal.SIGKILL)


def gone(mark: str, seconds: float = 20.0) -> bool:
    """Whether all processes with `mark` ended in time."""
    return eventually(lambda: not marked(mark), seconds)
