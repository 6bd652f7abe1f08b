"""What a worker is made of; nothing connects."""

from __future__ import annotations

import pytest

from service.job_retries import UntilPartsAnswer
from service.settings import S3Settings, Settings
from service.stores.queue import IMPORT_TASK, REGISTER_TASK
from service.worker import make_worker_app

SETTINGS = Settings(
    database_url="postgresql+psycopg2://user:secret@127.0.0.1:9/registry",
    s3=S3Settings("http://127.0.0.1:9", "key", "secret", "bucket"),
    public_url="http://127.0.0.1:5080",
)


@pytest.mark.parametrize("task", [IMPORT_TASK, REGISTER_TASK])
def test_what_waits_for_parts_that_do_not_answer(task: str) -> None:
    assert isinstance(make_worker_app(SETTINGS).tasks[task].retry_strategy, UntilPartsAnswer)
