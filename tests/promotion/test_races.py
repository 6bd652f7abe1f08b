"""Many clients and one stage: one winner each time, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.embedded.leftovers import mark_of, marked
from service.embedded.postgres import EmbeddedPostgres
from service.stores.migrate import migrate
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.ports import RegistryStore
from tests.conftest import database_url
from tests.contract.samples import environment, fill
from tests.embedded.waiting import eventually, gone, kill_all
from tests.promotion.checker import Won, check
from tests.promotion.racer import PLACE, VERSIONS, race

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(fresh_url: str) -> Iterator[RegistryStore]:
    engine = make_engine(fresh_url, pool=20)
    yield filled(engine)
    engine.dispose()


def filled(engine: sa.Engine) -> RegistryStore:
    store = PostgresRegistry(engine, JobQueue())
    fill(store, *(f"content {number}" for number in range(VERSIONS)))
    with store.transaction() as tx:
        tx.environments.put(environment("prod"))
    return store


@pytest.mark.slow
@pytest.mark.parametrize(("rounds", "ways"), [(5000, 2), (500, 16)])
def test_one_winner_each_time(store: RegistryStore, rounds: int, ways: int) -> None:
    gate = threading.Barrier(ways)
    told: list[list[Won | None]] = [[] for _ in range(ways)]

    def run(lane: int) -> None:
        for revision in range(rounds):
            gate.wait(60)
            # Of VERSIONS, each asks for another one, and none for the one that the round before has put in.
            others = [number for number in range(1, VERSIONS + 1) if number != held[revision]]
            won = race(store, f"client {lane}", revision, others[lane])
            told[lane].append(won)
            if won:
                held.append(won.version)
            gate.wait(60)

    held = [0]
    lanes = [threading.Thread(target=run, args=(lane,)) for lane in range(ways)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    winners = [[won for won in answers if won] for answers in zip(*told, strict=True)]
    assert len(winners) == rounds
    assert {len(each) for each in winners} == {1}
    assert len(check(store, PLACE, (each[0] for each in winners))) == rounds


class Racers:
    """Processes that are killed and replaced; what they said stays."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._files: list[Path] = []
        self._folder = tempfile.TemporaryDirectory()
        self.running = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        file = Path(self._folder.name, f"{len(self._files)}.jsonl")
        self._files.append(file)
        with file.open("wb") as out:
            command = [sys.executable, "-m", "tests.promotion.racer", self._url, file.stem]
            return subprocess.Popen(command, stdout=out, cwd=ROOT)

    def replace(self, index: int) -> None:
        self.kill(index)
        self.running[index] = self._start()

    def kill(self, index: int) -> None:
        self.running[index].kill()
        self.running[index].wait()

    def end(self) -> list[Won]:
        """What all of them said; a line that the kill has cut is none."""
        for index in range(len(self.running)):
            self.kill(index)
        lines = [line for file in self._files for line in file.read_text().split("\n")[:-1]]
        self._folder.cleanup()
        return [Won(*json.loads(line)) for line in lines]


class Restarts:
    """A Postgres of its own, at one address however often it ends."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgres"
        self._servers: list[EmbeddedPostgres] = []
        self.url = self._start()

    def _start(self) -> str:
        self._servers.append(EmbeddedPostgres(self._data))
        self._servers[-1].start()
        return database_url(self._servers[-1], "registry")

    def again(self, *, kill: bool) -> None:
        """After kill -9 of all its processes, or after an order to shut down that waits for no client."""
        mark = mark_of(self._data, "postgres")
        if kill:
            kill_all(marked(mark))
        else:
            os.kill(int((self._data / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
        assert gone(mark)
        assert self._start() == self.url

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()


@pytest.mark.slow
def test_nothing_is_lost_when_clients_and_postgres_are_killed() -> None:
    chosen = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # run as root, Postgres gets a user of its own, who has to come by here
        postgres = Restarts(Path(folder))
        try:
            engine = make_engine(postgres.url)
            migrate(engine, lambda _: None)
            store = filled(engine)
            racers = Racers(postgres.url, 3)
            try:
                for step in range(9):
                    reached = revision(store)
                    assert eventually(lambda: revision(store) > reached + 20), "they went on"  # noqa: B023
                    if step in (2, 5, 7):
                        postgres.again(kill=step != 5)
                    else:
                        racers.replace(chosen.randrange(3))
            finally:
                won = racers.end()
            changes = check(store, PLACE, won)
            engine.dispose()
            assert len({change.actor for change in changes}) > 3, "clients that took over have won, too"
        finally:
            postgres.stop()


def revision(store: RegistryStore) -> int:
    with store.transaction() as tx:
        last = tx.stages.last(PLACE)
    return last.revision if last else 0
