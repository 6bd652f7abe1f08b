"""When a job is run again, and when it is not given to another worker."""

from __future__ import annotations

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from service.domain.errors import Unavailable

MAX_ATTEMPTS = 60
"""With the waits in between, four hours of an outage."""
LONGEST_WAIT = 300
"""Seconds: so long after an outage everything is taken up again."""
MAX_ENDED = 20


class UntilPartsAnswer(BaseRetryStrategy):
    """Of a job that ends with Unavailable: a part that it needs does not answer."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, Unavailable) or job.attempts >= MAX_ATTEMPTS:
            return None
        return RetryDecision(retry_in={"seconds": wait(job.attempts)})


def wait(attempts: int) -> int:
    """Seconds after so many attempts before the one that has just ended."""
    return int(min(2 ** (attempts + 1), LONGEST_WAIT))


def is_last(job: Job) -> bool:
    return job.attempts + 1 >= MAX_ATTEMPTS


def after_its_worker_ended(job: Job) -> int:
    """The job's next priority, which counts the workers that it has ended: behind the jobs that ended fewer."""
    return job.priority - 1


def why_given_up(job: Job) -> str:
    """What the job did so often that it would do it again; '' as long as it did not."""
    if -job.priority >= MAX_ENDED:
        return f"ended {MAX_ENDED} workers; their logs say why"
    if job.attempts >= MAX_ATTEMPTS:
        return f"was begun {MAX_ATTEMPTS} times; the workers' logs say why it did not end"
    return ""
