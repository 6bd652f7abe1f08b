"""Turns the signals that ask a program to stop into a flag."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequested(Exception):
    """Somebody asked the supervisor to stop while it was still starting."""


class StopFlag:
    """Set by a signal, looked at between steps: no step is ever left halfway."""

    requested = False

    def check(self) -> None:
        if self.requested:
            raise StopRequested


@contextmanager
def stop_requests() -> Iterator[StopFlag]:
    """Catch SIGINT, SIGTERM and the loss of the terminal for the length of the block; main thread only."""
    flag = StopFlag()

    def on_signal(_number: int, _frame: object) -> None:
        flag.requested = True

    # Ignored beforehand means: started with nohup, to outlive its terminal.
    hang_up = [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]
    caught = (signal.SIGINT, signal.SIGTERM, *hang_up)
    before = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
