"""What a worker is made of; nothing connects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service import worker
from service.job_retries import UntilPartsAnswer
from service.settings import S3Settings, Settings
from service.stores.queue import IMPORT_TASK, REGISTER_TASK
from service.wiring import Parts, make_parts
from service.worker import make_worker_app

SETTINGS = Settings(
    database_url="postgresql+psycopg2://user:secret@127.0.0.1:9/registry",
    s3=S3Settings("http://127.0.0.1:9", "key", "secret", "bucket"),
    public_url="http://127.0.0.1:5080",
)


@pytest.mark.parametrize(("concurrency", "setting", "pool"), [(1, 5, 12), (16, 5, 42), (16, 50, 50)])
def test_the_pool_follows_the_concurrency(
    monkeypatch: pytest.MonkeyPatch, concurrency: int, setting: int, pool: int
) -> None:
    pools = []

    def made(settings: Settings) -> Parts:
        pools.append(settings.database_pool)
        return make_parts(settings)

    monkeypatch.setattr(worker, "make_parts", made)
    make_worker_app(replace(SETTINGS, database_pool=setting), concurrency=concurrency)
    assert pools == [pool]


def test_every_queue_has_a_worker_of_its_own() -> None:
    """Slow receivers of webhooks do not keep dead workers' jobs, or garbage, waiting."""
    app = make_worker_app(SETTINGS)
    at_once = worker.jobs_at_once(3)
    assert {task.queue for task in app.tasks.values()} - {"builtin"} == set(at_once)
    assert at_once["imports"] == 3
    assert at_once["maintenance"] == sum(task.queue == "maintenance" for task in app.tasks.values())


@pytest.mark.parametrize("task", [IMPORT_TASK, REGISTER_TASK])
def test_what_waits_for_parts_that_do_not_answer(task: str) -> None:
    assert isinstance(make_worker_app(SETTINGS).tasks[task].retry_strategy, UntilPartsAnswer)
