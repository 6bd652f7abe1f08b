"""Finds and ends processes that an earlier, killed supervisor left behind in the same data directory.

Every child carries a mark of its data directory in its environment (PostgreSQL, which overwrites its
environment with process titles, in its cluster name). Unlike a file with a process id, the mark also
finds grandchildren, and never names a stranger that was given the same number later.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from service.embedded.parts import PartError

MARK_VARIABLE = "MODEL_REGISTRY_PART"
ORPHAN_SECONDS = 3.0  # for those who end on their own once their leader is gone


def mark_of(directory: Path, name: str) -> str:
    """Identify the part `name` of an existing directory; a copy of the directory has another mark."""
    where = directory.resolve()
    status = where.stat()
    identity = f"{where}\0{status.st_dev}\0{status.st_ino}\0{name}"
    return "model-registry-" + hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]


def marked(mark: str) -> list[int]:
    """Process ids of the living processes that carry `mark`."""
    found = _marked_in_proc(mark) if sys.platform == "linux" else _marked_by_ps(mark)
    return [pid for pid in found if pid != os.getpid()]


def _signs(mark: str) -> tuple[str, ...]:
    """How the mark shows: in the environment, on PostgreSQL's command line, in its process titles."""
    return (f"{MARK_VARIABLE}={mark}", f"cluster_name={mark}", f"postgres: {mark}:")


def _marked_in_proc(mark: str) -> list[int]:
    signs = [sign.encode() for sign in _signs(mark)]
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            shown = _read(entry.path, "environ") + b"\0" + _read(entry.path, "cmdline")
            if any(sign in shown for sign in signs):
                found.append(int(entry.name))
    return found


def _read(folder: str, name: str) -> bytes:
    """Empty for a process that has ended or belongs to somebody else."""
    try:
        return Path(folder, name).read_bytes()
    except OSError:
        return b""


def _marked_by_ps(mark: str) -> list[int]:
    listing = subprocess.run(
        ["ps", "-axwwE", "-o", "pid=,command="], capture_output=True, text=True, errors="replace", check=True
    )
    lines = listing.stdout.splitlines()
    return [int(line.split()[0]) for line in lines if any(sign in line for sign in _signs(mark))]


def end_leftovers(
    mark: str, stop_signal: signal.Signals = signal.SIGTERM, seconds: float = 5.0, leader: int | None = None
) -> bool:
    """Ask the marked processes to end (only `leader`, if given), then kill those that stay.

    Returns whether there were any.
    """
    pids = marked(mark)
    if not pids:
        return False
    if leader is None or leader in pids:
        _send(pids if leader is None else [leader], stop_signal)
    else:
        seconds = ORPHAN_SECONDS
    if not _gone(mark, seconds):
        _send(marked(mark), signal.SIGKILL)
        _gone(mark, 5.0)
    return True


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended meanwhile, which is what was wanted
        except PermissionError as error:
            raise PartError(f"Process {pid} of another user still uses this data directory.") from error


def _gone(mark: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while marked(mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # they are nobody's children here, so that their end can only be looked for
    return True
