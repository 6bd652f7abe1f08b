"""Starts a part again when it ends on its own, later each time it ends soon."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.embedded.children import describe_exit
from service.embedded.parts import Part, PartError

Say = Callable[[str], None]
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STABLE_SECONDS = 60.0


class Keeper:
    """Watches one launched part; `tick` is called again and again and hardly ever waits."""

    def __init__(self, part: Part, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._part = part
        self._say = say
        self._clock = clock
        self._launched = clock()
        self._delay = FIRST_DELAY
        self._restart_at: float | None = None
        self._is_ready = True

    def tick(self) -> None:
        if self._restart_at is not None:
            if self._clock() >= self._restart_at:
                self._restart()
        elif (code := self._part.exit_code()) is not None:
            self._plan(f"{self._part.name} ended with {describe_exit(code)}")
        elif not self._is_ready:
            self._look()

    def _look(self) -> None:
        try:
            self._is_ready = self._part.ready()
        except PartError as failure:
            self._plan(str(failure))
            return
        if self._is_ready:
            self._say(f"{self._part.name} runs again")

    def _restart(self) -> None:
        self._restart_at = None
        self._is_ready = False
        self._launched = self._clock()
        try:
            self._part.prepare()
            self._part.launch()
        except PartError as failure:
            self._plan(str(failure))

    def _plan(self, why: str) -> None:
        now = self._clock()
        if now - self._launched > STABLE_SECONDS:
            self._delay = FIRST_DELAY
        self._say(f"{why}; starting it again in {self._delay:g} s")
        self._restart_at = now + self._delay
        self._delay = min(self._delay * 2, LONGEST_DELAY)
