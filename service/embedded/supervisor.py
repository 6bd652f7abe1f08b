"""`model-registry up`: the whole service on one machine, as children of one small process.

Only the standard library is loaded here: this process stays for as long as the service runs.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from service.embedded.applications import Application, Commands, Place
from service.embedded.children import run_once
from service.embedded.connection import FILE, LOCK, save_environ
from service.embedded.keeper import Keeper
from service.embedded.lock import AlreadyRunning, exclusive
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import LOOPBACK, READY_SECONDS, Part, PartFailed, free_port, port_is_free
from service.embedded.postgres import EmbeddedPostgres

Console = Callable[[str], None]
STARTED_ONCE = "started-once"


def up(
    data: Path, port: int, *, workers: int = 2, console: Console, commands: Commands | None = None
) -> int:
    """Run the service in `data` on the loopback interface until SIGINT or SIGTERM; call in the main thread.

    Port 0 stands for any free port. Returns the exit code: 0 when asked to stop, 1 when it could not run.
    """
    data = data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or free_port()
    try:
        with exclusive(data / LOCK, f"http://{LOOPBACK}:{port}"), _stop_requests() as stop:
            chosen = commands or Commands.of_this_interpreter(port, workers)
            return Supervisor(data, port, chosen, console, stop).run()
    except AlreadyRunning as error:
        console(str(error))
        return 1


class StopRequested(Exception):
    """Somebody asked the supervisor to stop while it was still starting."""


class StopFlag:
    """Set by a signal, looked at between steps: nothing is ever interrupted halfway."""

    requested = False

    def check(self) -> None:
        if self.requested:
            raise StopRequested


@contextmanager
def _stop_requests() -> Iterator[StopFlag]:
    flag = StopFlag()

    def on_signal(_number: int, _frame: object) -> None:
        flag.requested = True

    # Ignored beforehand means: started with nohup, to outlive its terminal.
    hang_up = [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM, *hang_up)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervisor:
    """Starts the parts in order, watches them, stops them in the opposite order."""

    def __init__(self, data: Path, port: int, commands: Commands, console: Console, stop: StopFlag) -> None:
        self._data = data
        self._port = port
        self._console = console
        self._stop = stop
        self._began = time.monotonic()
        logs = data / "logs"
        self._postgres = EmbeddedPostgres(data / "postgres", logs / "postgres.log")
        self._objects = EmbeddedObjects(data / "objects", log=logs / "objects.log")
        self._commands = commands
        self._running: list[Part] = []  # in the order of stopping
""" """
