"""What a pull tells of itself while it goes on: a bar on a terminal, plain lines elsewhere, on stderr."""

from __future__ import annotations

import sys
import threading
import time

STEP = 10
"""Per cent between two plain lines."""
REDRAW = 0.1
"""Seconds between two looks of the bar."""
WIDTH = 24


class Progress:
    """Hears how a pull goes; this one tells nobody."""

    def start(self, label: str, total: int) -> None:
        """`total` bytes are to come."""

    def advance(self, count: int) -> None:
        """As many are there more, or, below 0, less. Called by several threads."""

    def end(self) -> None:
        """No more is to come, or not in this way."""

    def warn(self, message: str) -> None:
        """Something that the user should know, and that does not end the pull."""


class Console(Progress):
    """`quiet` tells only what went wrong."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = not quiet and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._label, self._total, self._done, self._told = "", 0, 0, 0
        self._began = self._drawn = 0.0

    def start(self, label: str, total: int) -> None:
        self._label, self._total, self._done, self._told = label, total, 0, 0
        self._began = time.monotonic()
        if not self._quiet and not self._bar:
            _tell(f"{label}: {sized(total)}")

    def advance(self, count: int) -> None:
        if self._quiet:
            return
        with self._lock:
            self._done += count
            percent = self._done * 100 // max(self._total, 1)
            if self._bar:
                if time.monotonic() - self._drawn >= REDRAW:
                    self._draw(percent)
            elif percent >= self._told + STEP:
                self._told = percent - percent % STEP
                _tell(f"{self._label}: {self._told} %")

    def end(self) -> None:
        if self._bar:
            self._draw(self._done * 100 // max(self._total, 1))
            _tell("")

    def warn(self, message: str) -> None:
        _tell(f"model-registry pull: {message}")

    def _draw(self, percent: int) -> None:
        self._drawn = time.monotonic()
        full = min(percent, 100) * WIDTH // 100
        pace = self._done / max(self._drawn - self._began, 0.001)
        bar = "#" * full + "-" * (WIDTH - full)
        told = f"{self._label}  [{bar}]  {percent} %  {sized(self._done)} of {sized(self._total)}  {sized(pace)}/s"
        sys.stderr.write(f"\r\x1b[K{told}")
        sys.stderr.flush()


def sized(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
