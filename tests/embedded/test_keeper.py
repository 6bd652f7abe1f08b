"""A part that keeps ending is started again, but ever more slowly."""

from __future__ import annotations

import pytest

from service.embedded.keeper import Keeper
from service.embedded.parts import PartError


class Part:
    name = "The part"

    def __init__(self) -> None:
        self.code: int | None = None
        self.launches = 0
        self.unpreparable = False

    def prepare(self) -> None:
        if self.unpreparable:
            raise PartError("The part cannot be prepared")

    def launch(self) -> None:
        self.launches += 1
        self.code = None

    def ready(self) -> bool:
        self.check()
        return True

    def exit_code(self) -> int | None:
        return self.code

    def check(self) -> None:
        if self.code is not None:
            raise PartError(f"The part ended with exit code {self.code}")

    def stop(self) -> bool:
        return self.code is None


class Bench:
    """A keeper with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.part = Part()
        self.keeper = Keeper(self.part, self.said.append, clock=lambda: self.now)

    def die_and_wait(self) -> float:
        """Seconds from the part's end to its next launch."""
        self.part.code, began, launches = 1, self.now, self.part.launches
        while self.part.launches == launches:
            self.keeper.tick()
            self.now += 0.25
        return self.now - 0.25 - began


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_happens_while_the_part_runs(bench: Bench) -> None:
    bench.keeper.tick()
    assert bench.said == []
    assert bench.part.launches == 0


def test_says_what_happened_and_when_it_runs_again(bench: Bench) -> None:
    bench.die_and_wait()
    bench.keeper.tick()
    bench.keeper.tick()
    assert bench.said == [
        "The part ended with exit code 1; starting it again in 0.5 s",
        "The part runs again",
    ]


def test_delays_double_up_to_half_a_minute(bench: Bench) -> None:
    assert [bench.die_and_wait() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_part_that_ran_for_a_minute_is_started_again_at_once(bench: Bench) -> None:
    delays = [bench.die_and_wait() for _ in range(5)]
    bench.now += 61
    assert bench.die_and_wait() == delays[0]


def test_a_failed_preparation_counts_as_an_end(bench: Bench) -> None:
    bench.part.unpreparable = True
    bench.part.code = 1
    for _ in range(10):
        bench.keeper.tick()
        bench.now += 0.25
    assert bench.part.launches == 0
    assert bench.said[1] == "The part cannot be prepared; starting it again in 1 s"
    bench.part.unpreparable = False
    bench.now += 30
    bench.keeper.tick()
    assert bench.part.launches == 1
