"""A worker that is told to stop does, at whatever moment."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress

import pytest
from procrastinate.manager import JobManager

from service.settings import Settings
from service.wiring import Parts
from service.worker import make_worker_app, run_worker

PRUNE = JobManager.prune_stalled_workers


class StopOnceStarted(logging.Handler):
    def emit(self, entry: logging.LogRecord) -> None:
        if entry.getMessage() == "worker started":
            os.kill(os.getpid(), signal.SIGTERM)


async def deaf(jobs: JobManager, seconds: float) -> list[int]:
    """As what waits for a connection: a cancellation that comes together with it is lost."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0.5)
    return list(await PRUNE(jobs, seconds))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("prune", [PRUNE, deaf])
def test_as_soon_as_it_has_started(
    settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, prune: object
) -> None:
    monkeypatch.setattr(JobManager, "prune_stalled_workers", prune)
    log = logging.getLogger("service.worker")
    handler = StopOnceStarted()
    with caplog.at_level(logging.INFO, "service.worker"):
        log.addHandler(handler)
        try:
            run_worker(make_worker_app(settings, parts), concurrency=1)
        finally:
            log.removeHandler(handler)
    assert [entry.levelname for entry in caplog.records if entry.levelno >= logging.WARNING] == []
