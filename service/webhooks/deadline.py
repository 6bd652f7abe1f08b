"""An end to a whole exchange: a socket's own timeout begins anew with every byte."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import TypeVar

S = TypeVar("S", bound=socket.socket)


class Deadline:
    """Shuts the watched socket down once `seconds` have passed, which ends whatever waits for it."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.over = False

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def left(self) -> float:
        """Seconds, never 0, which would mean not to wait at all."""
        return max(self._ends - time.monotonic(), 0.001)

    def watch(self, watched: S) -> S:
        """The same socket, from now on the one to shut down."""
        with self._lock:
            self._socket = watched
            if self.over:
                _shut(watched)
        return watched

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(watched: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        socket.socket.shutdown(watched, socket.SHUT_RDWR)
