"""How long to go on after failures that may pass."""

from __future__ import annotations

import random
import time
from typing import Callable

from service.pulling.errors import Unavailable

FIRST = 0.25
LONGEST = 15.0
Sleep = Callable[[float], object]


class Patience:
    """Waits longer after each failure, and gives up `seconds` after the last time that anything went well."""

    def __init__(self, seconds: float, sleep: Sleep = time.sleep) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self.renew()

    def renew(self) -> None:
        """Something went well."""
        self._failures = 0
        self._until = time.monotonic() + self._seconds

    def wait(self, error: Unavailable) -> None:
        """Return when it is time to try again; raise the error when it is not worth it any more."""
        delay = max(backoff(self._failures), error.retry_after)
        self._failures += 1
        if time.monotonic() + delay > self._until:
            raise error
        self._sleep(delay)


def backoff(failures: int, longest: float = LONGEST) -> float:
    """Seconds, a random part of them, so that a thousand pods do not come back at once."""
    share = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return share * min(longest, FIRST * 2.0 ** min(failures, 16))
