"""Real worker and web processes, forked from one that has imported everything, so that each starts in milliseconds."""

from __future__ import annotations

import asyncio
import io
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import procrastinate
import sqlalchemy as sa
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

from service.app import create_app
from service.settings import Settings
from service.stores.queue import QUEUE
from service.worker import MAINTENANCE, make_worker, make_worker_app
from tests.crash.faults import Fuse, Point, faulty_parts, watch_jobs
from tests.crash.kills import KILLS

PATIENCE = 120.0
"""Seconds; the machine may be busy with other things."""

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.crash.processes", "pytest"])


def run(settings: Settings, log: Path, at: Point | None, sent: signal.Signals) -> None:
    """The worker of `model-registry worker`, until no import is left."""
    os.dup2(os.open(log.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    fuse = Fuse(log, at, sent)
    app = make_worker_app(settings, faulty_parts(settings, fuse))
    app.periodic_registry.periodic_tasks.clear()  # what time brings comes when the test says so
    watch_jobs(app, fuse)
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    asyncio.run(_until_none_is_left(app))


async def _until_none_is_left(app: procrastinate.App) -> None:
    async with app.open_async():
        await make_worker(app, [QUEUE, MAINTENANCE], 1, wait=False).run()


def receive(settings: Settings, log: Path, at: Point | None, path: str, body: bytes, token: str) -> None:
    """One request to the API, in a process of its own."""
    app = create_app(settings, faulty_parts(settings, Fuse(log, at)))
    response = app.test_client().post(path, input_stream=io.BytesIO(body), headers={"Authorization": f"Bearer {token}"})
    os._exit(0 if response.status_code == 202 else 1)


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True)
class Running:
    """A process that was started as a worker or for a request, as `kind` says."""

    kind: str
    process: ForkServerProcess
    log: Path

    def end(self) -> bool:
        """Wait for the end; whether it was killed."""
        self.ended()
        assert self.process.exitcode in (0, -signal.SIGKILL), (self.process.exitcode, self.steps()[-1:], self.errors())
        return self.process.exitcode == -signal.SIGKILL

    def ended(self) -> None:
        """Wait for the end, whatever it is."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, ("it goes on", self.steps()[-1:], self.errors())

    def stopped(self) -> bool:
        """Wait until it stands still; whether it does, and has not ended."""
        until(lambda: not self.process.is_alive() or self._status() == "T")
        return self.process.is_alive()

    def _status(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            return ""

    def steps(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def errors(self) -> str:
        file = self.log.with_suffix(".err")
        return file.read_text()[-3000:] if file.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


class Processes:
    """Starts processes over one database and bucket."""

    def __init__(self, settings: Settings, engine: sa.Engine, logs: Path) -> None:
        self._settings = settings
        self._engine = engine
        self._logs = logs
        self._started: list[Running] = []

    def worker(self, at: Point | None = None, *, sent: signal.Signals = signal.SIGKILL, look: bool = True) -> Running:
        """A worker that sends itself `sent` at a step; `look` after it first, as time would."""
        if look:
            self.look_after()
        return self._start("worker", run, at, sent)

    def steps(self, number: int) -> list[str]:
        """Of the process that was started as the `number`th."""
        return self._started[number].steps()

    def request(self, at: Point | None, path: str, body: bytes, token: str) -> Running:
        return self._start("request", receive, at, path, body, token)

    def _start(self, kind: str, target: object, *arguments: object) -> Running:
        log = self._logs / f"{len(self._started)}.log"
        process = _server.Process(target=target, args=(self._settings, log, *arguments))  # type: ignore[arg-type]
        process.start()
        running = Running(kind, process, log)
        self._started.append(running)
        return running

    def look_after(self) -> None:
        """What time brings: the heartbeats of the dead grow old, waits pass, and the maintenance task comes."""
        dead = not any(running.process.is_alive() for running in self._started)
        with self._engine.begin() as connection:
            if dead:
                self.age_heartbeats(connection)
            connection.execute(sa.text("SET LOCAL search_path TO jobs, public"))
            connection.execute(sa.text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'"))
            procrastinate.App(connector=SQLAlchemyPsycopg2Connector()).configure_task(
                "retry-stalled", queue=MAINTENANCE, connection=connection
            ).defer(timestamp=0)

    def age_heartbeats(self, connection: sa.Connection) -> None:
        connection.execute(
            sa.text("UPDATE jobs.procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
        )

    def close(self) -> None:
        for running in self._started:
            KILLS[running.kind] += running.process.exitcode == -signal.SIGKILL
            if running.process.is_alive():
                running.process.kill()
            running.process.join()
