"""One supervisor per data directory. The kernel drops the lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another supervisor holds the data directory; the message says which and where."""


@contextmanager
def exclusive(path: Path, url: str) -> Iterator[None]:
    """Hold `path` locked for the length of the block, naming us and `url` to whoever asks.

    Raises:
        AlreadyRunningError: somebody else holds it.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as handle:
        if not _locked(handle.fileno(), fcntl.LOCK_EX, attempts=10):
            raise AlreadyRunningError(_holder(path))
        handle.truncate(0)
        handle.write(json.dumps({"pid": os.getpid(), "url": url}))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(handle, fcntl.LOCK_SH, attempts=1)
    finally:
        os.close(handle)


def _locked(handle: int, kind: int, attempts: int) -> bool:
    """More than one attempt, because `is_held` takes the lock for a moment, and a killed holder is slow to let go."""
    for left in reversed(range(attempts)):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05 if left else 0)  # flock waits for ever or not at all
        else:
            return True
    return False


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
    except ValueError:  # it has the lock, but has not written yet
        return "already running"
    return f"already running (pid {holder['pid']}) on {holder['url']}"
