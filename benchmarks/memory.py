"""The memory of a process and its descendants, looked at while something goes on."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import TracebackType

EVERY = 0.2
"""Seconds."""


def family_pss(pid: int) -> float:
    """Megabytes; memory that processes share counts in parts."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            found = re.search(r"PPid:\s+(\d+)", status.read_text())
        except OSError:
            continue  # it ended meanwhile
        parents[int(status.parent.name)] = int(found[1]) if found else 0
    family, size = {pid}, 0
    while len(family) != size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(map(_pss, family)) / 1024


def _pss(process: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


class Watched:
    """`grown` is by how many megabytes the family of `pid` was larger than at the beginning, at the most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watched:
        self._before = self._most = family_pss(self._pid)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            self._most = max(self._most, family_pss(self._pid))

    @property
    def grown(self) -> float:
        return self._most - self._before
