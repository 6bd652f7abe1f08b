"""Postgres is stopped, or stands still: who asks is told within a second, and is answered again soon after."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import await_ready
from tests.handout.conftest import Database, Service, answers, until

LIMIT = 1.0
BACK = 2.0


@contextmanager
def stopped(database: Database) -> Iterator[None]:
    """At the same address afterwards, which `stop` would give up."""
    os.kill(database.pids()[0], signal.SIGINT)
    until(lambda: database.server.exit_code() is not None)
    yield
    database.server.launch()
    await_ready(database.server)


@contextmanager
def standing_still(database: Database) -> Iterator[None]:
    database.signal(signal.SIGSTOP)
    yield
    database.signal(signal.SIGCONT)


@pytest.mark.parametrize("outage", [stopped, standing_still])
def test_an_outage_of_postgres(
    outage: Callable[[Database], AbstractContextManager[None]], services: tuple[Service, Service], database: Database
) -> None:
    service = services[0]
    until(lambda: answers(service))
    etag = service.get().headers["ETag"]
    waiting = Waiting(service, etag)
    with outage(database):
        for path in ("/v1/environments/prod/models/m/stages/live", "/v1/environments/prod/stages") * 2:
            began = time.monotonic()
            answer = service.get(path)
            assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json"), (
                answer.text
            )
            assert answer.json()["type"] == "urn:model-registry:problem:unavailable"
            assert "Retry-After" in answer.headers
            assert time.monotonic() - began < LIMIT
        with ThreadPoolExecutor(16) as threads:
            began = time.monotonic()
            assert {found.status_code for found in threads.map(lambda _: service.get(), range(16))} == {503}
            assert time.monotonic() - began < 2 * LIMIT  # as many threads as requests, on two busy cores
        waiting.ends_with(503)
    assert until(lambda: answers(service)) < BACK
    assert service.get(**{"If-None-Match": etag}).status_code == 304


class Waiting:
    """A request that waits for a change, in a thread."""

    def __init__(self, service: Service, etag: str) -> None:
        self._status = 0
        self._thread = threading.Thread(target=self._wait, args=(service, etag))
        self._thread.start()
        time.sleep(0.3)  # it is there before what comes next

    def _wait(self, service: Service, etag: str) -> None:
        path = "/v1/environments/prod/models/m/stages/live?wait=60"
        self._status = service.get(path, **{"If-None-Match": etag}).status_code

    def ends_with(self, status: int) -> None:
        self._thread.join(10)
        assert self._status == status


def test_an_outage_of_s3(services: tuple[Service, Service], object_server: EmbeddedObjects) -> None:
    ours = f"PPid:\t{os.getpid()}\n"
    pids = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/status")
        if (text := status(path)).startswith("Name:\tjuicefs\n") and ours in text
    ]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(20):
            began = time.monotonic()
            assert services[0].get().status_code == 200
            assert time.monotonic() - began < LIMIT
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def status(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended meanwhile
        return ""
