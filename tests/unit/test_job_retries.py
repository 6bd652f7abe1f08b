"""Jobs wait for parts that do not answer, not too long, and are given up when they end one worker after another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from procrastinate.jobs import Job

from service.domain.errors import Unavailable
from service.job_retries import UntilPartsAnswer, after_its_worker_ended, is_last, wait, why_given_up

AWAY = Unavailable("The database does not answer.", part="postgres")


def job(attempts: int = 0, priority: int = 0) -> Job:
    return Job(
        id=1, queue="imports", lock=None, queueing_lock=None, task_name="x", attempts=attempts, priority=priority
    )


def test_waits_are_short_and_last_for_hours() -> None:
    waits = [wait(attempts) for attempts in range(next(n for n in count() if is_last(job(n))))]
    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert max(waits) == 300
    assert timedelta(hours=4) < timedelta(seconds=sum(waits)) < timedelta(hours=6)


def test_only_parts_that_do_not_answer_are_waited_for() -> None:
    decision = UntilPartsAnswer().get_retry_decision(exception=AWAY, job=job(30))
    assert decision is not None
    assert decision.retry_at is not None
    assert abs(decision.retry_at - datetime.now(UTC) - timedelta(seconds=300)) < timedelta(seconds=30)
    assert UntilPartsAnswer().get_retry_decision(exception=AWAY, job=job(60)) is None
    assert UntilPartsAnswer().get_retry_decision(exception=ValueError(), job=job()) is None


@pytest.mark.parametrize(("attempts", "why"), [(59, ""), (60, "was begun 60 times")])
def test_attempts_are_counted(attempts: int, why: str) -> None:
    assert why_given_up(job(attempts)).startswith(why)
    assert bool(why_given_up(job(attempts))) is bool(why)


def test_workers_that_it_ended_are_counted() -> None:
    ending = job()
    for attempts in range(1, 21):
        assert why_given_up(ending) == ""
        ending = job(attempts, after_its_worker_ended(ending))
    assert why_given_up(ending).startswith("ended 20 workers")
