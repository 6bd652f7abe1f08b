"""Files in the data directory: private ones, and logs of bounded size."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import IO

LOG_MAX_BYTES = 10 * 1024 * 1024


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step; only the owner can read it."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def kept_key(path: Path) -> str:
    """The 32 random bytes in `path` as URL-safe Base64, made when there are none yet."""
    if not path.exists():
        write_private(path, base64.urlsafe_b64encode(os.urandom(32)).decode("ascii"))
    return path.read_text(encoding="ascii")


def open_log(path: Path) -> IO[bytes]:
    """Open for appending; a log that has grown large is first moved to `NAME.1`, replacing the older one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def tail(path: Path, start: int = 0, lines: int = 15) -> str:
    """The last lines of `path`, none from before byte `start`."""
    try:
        with path.open("rb") as handle:
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(start if start <= end else 0, end - 16 * 1024))
            text = handle.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def read_lines(path: Path) -> list[str]:
    """No lines when there is no such file."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
