"""A short, private directory for a Unix socket.

Not inside the data directory: its path may be longer than a socket's path can be, or it may lie on a
volume that holds no sockets.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from service.embedded.accounts import Account, allow_search, give
from service.embedded.files import read_lines

PREFIX = "model-registry-"
LONGEST_BASE = 60  # a socket's whole path may have 103 bytes on macOS, 107 on Linux


def reserve_directory(record: Path, account: Account | None) -> Path:
    """A directory that only `account` (None: we) may enter; `record` remembers it after a crash."""
    earlier = _earlier(record, account.uid if account else os.geteuid())
    if earlier:
        return earlier
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_BASE:
        base = "/tmp"  # noqa: S108 - what is made in it below is private
    created = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    if account:
        give(created, account)
        allow_search(created.parent, account)
    record.write_text(f"{created}\n")
    return created


def release_directory(record: Path, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    record.unlink(missing_ok=True)


def _earlier(record: Path, owner: int) -> Path | None:
    """The directory of a run that was killed, if still as we made it: used again, so that none pile up."""
    lines = read_lines(record)
    if not lines:
        return None
    earlier = Path(lines[0])
    try:
        status = earlier.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == owner and not status.st_mode & 0o077
    return earlier if private and earlier.name.startswith(PREFIX) else None
