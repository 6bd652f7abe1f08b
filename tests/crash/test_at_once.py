"""Imports that meet: overlapping ones, equal ones, and attempts of the same one at the same time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa

from service.domain.errors import Conflict
from service.domain.importing import ImportState
from service.stores import tables as t
from tests.conftest import export
from tests.crash.conftest import MakePlace, Place, Undisturbed
from tests.crash.faults import Point, points
from tests.crash.invariants import unsettled
from tests.crash.processes import Running, until
from tests.small_exports import RUN, packed, run

T = TypeVar("T")
RUNS = [RUN[:-1] + digit for digit in "0123456789"]
ONE = "mlflow222-tool120-models"
OTHER = "mlflow222-tool120-model-orders"
"""Its model, versions and runs are also in ONE."""


ROUNDS = 10
"""Of kills of one import; twenty are taken for a fault of the import itself."""


def overlapping(runs: list[str]) -> bytes:
    """An export-run folder for each of the runs, in this order."""
    files = {f"{run_id}/run.json": run(run_id=run_id) for run_id in runs}
    files |= {f"{run_id}/artifacts/a.txt": run_id.encode() for run_id in runs}
    return packed(files)


def at_once(*works: Callable[[], T]) -> list[T | Exception]:
    gate = threading.Barrier(len(works))

    def start(work: Callable[[], T]) -> T | Exception:
        gate.wait(30)
        try:
            return work()
        except Conflict as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(start, works))


@pytest.mark.parametrize("workspaces", [("dev", "dev"), ("dev", "other")])
def test_two_imports_of_the_same_runs(make_place: MakePlace, workspaces: tuple[str, str]) -> None:
    """In one workspace the second finds them there; in two, one of them gets other ids. Neither waits for ever."""
    archives = [overlapping(RUNS[:7]), overlapping(RUNS[:2:-1])]
    for _ in range(3):
        place = make_place()
        ids = [place.receive(archive, workspace) for archive, workspace in zip(archives, workspaces, strict=True)]
        workers = [place.processes.worker() for _ in ids]
        assert not any(worker.end() for worker in workers)
        place.finish()
        assert [place.state(import_id) for import_id in ids] == ["done", "done"]
        found = place.check()
        assert len(found["runs"]) == sum(found["runs"].values()) == (10 if workspaces[0] == workspaces[1] else 14)


def test_two_workers_killed_with_overlapping_exports(make_place: MakePlace) -> None:
    """Both hold an import of the same model and runs when they die, again and again, each time a step later."""
    whole = make_place()
    for name in (ONE, OTHER):
        whole.receive(export(name))
        whole.finish()
    expected = whole.check()
    steps = points(whole.processes.steps(1))  # ONE's are these and more, whichever of the two a worker gets
    place = make_place()
    ids = [place.receive(export(name)) for name in (ONE, OTHER)]
    kills = 0
    for number in range(ROUNDS):
        plan = [steps[len(steps) * twice // (2 * ROUNDS)] for twice in (2 * number, 2 * number + 1)]
        place.processes.look_after()
        workers = [place.processes.worker(point, look=False) for point in plan]
        kills += sum([worker.end() for worker in workers])
        assert unsettled(place.engine) == []
    place.finish(2)
    assert [place.state(import_id) for import_id in ids] == ["done", "done"]
    found = place.check()
    for kind in ("runs", "metrics", "model_versions", "objects"):
        assert found[kind] == expected[kind]
    assert kills >= ROUNDS


def test_killed_from_outside(make_place: MakePlace, undisturbed: Callable[[str], Undisturbed]) -> None:
    """At any moment, not only at those that have a name."""
    whole = undisturbed(OTHER)
    kills = 0
    for _ in range(2):
        place = make_place()
        import_id = place.receive(export(OTHER))
        for number in range(ROUNDS):
            worker = place.processes.worker()
            _come_to(worker, len(whole.steps) * number // (ROUNDS + 1))
            worker.process.kill()
            kills += worker.end()
        place.finish(2)
        assert place.state(import_id) is ImportState.DONE
        assert place.check() == whole.contents
    assert kills >= 2 * ROUNDS - 4


def _come_to(worker: Running, count: int) -> None:
    """Wait until it has taken so many steps, or has ended."""
    until(lambda: len(worker.steps()) >= count or not worker.process.is_alive())


STOPS: list[Point] = [("open", 0), ("put mlflow", 20), ("copy half way", 0), ("commit", 3), ("delete", 0)]


@pytest.mark.parametrize("point", STOPS)
@pytest.mark.parametrize("rival", ["done", "killed"])
def test_a_slow_worker_is_taken_for_dead(
    place: Place, point: Point, rival: str, undisturbed: Callable[[str], Undisturbed]
) -> None:
    """It stands still, another one takes its import up, and then it goes on: one of them counts, whole."""
    expected = undisturbed(OTHER).contents
    import_id = place.receive(export(OTHER))
    slow = place.processes.worker(point, sent=signal.SIGSTOP)
    assert slow.stopped()
    with place.engine.begin() as connection:
        place.processes.age_heartbeats(connection)
    other = place.processes.worker(None if rival == "done" else ("put mlflow", 10))
    # Once its rows are committed there is nothing left to be killed in.
    assert other.end() == (rival == "killed" and point[0] != "delete")
    os.kill(slow.pid, signal.SIGCONT)
    slow.ended()  # with an error, if it asks for a job: it has been struck off the list of workers
    place.finish(2)
    assert place.state(import_id) is ImportState.DONE
    assert place.check() == expected


def test_the_same_archive_eight_times_at_once(place: Place) -> None:
    archive = export(OTHER)
    ids = at_once(*[lambda: place.receive(archive)] * 8)
    assert len(set(ids)) == 1
    place.finish()
    assert place.state(str(ids[0])) is ImportState.DONE
    place.check()


def test_an_idempotency_key_raced(place: Place) -> None:
    """One of two archives takes the key; the other one is told so."""
    archives = [overlapping(RUNS[:2]), overlapping(RUNS[2:4])]
    for number in range(5):
        found = at_once(*[lambda a=archive, k=str(number): place.receive(a, key=k) for archive in archives * 3])  # type: ignore[misc]
        taken = {import_id for import_id in found if isinstance(import_id, str)}
        told = [error.where for error in found if isinstance(error, Conflict)]
        assert (len(taken), told) == (1, [{"header": "Idempotency-Key", "key": str(number)}] * 3)
        with place.engine.begin() as connection:
            connection.execute(sa.update(t.imports).values(state="cancelled"))
    place.finish()
    place.check()


CANCELS: list[Point] = [
    ("open", 0),
    ("put models", 5),
    ("put mlflow", 20),
    ("copy COPY public.metrics", 0),
    ("commit", 3),
]


@pytest.mark.parametrize("point", CANCELS)
def test_cancelled_while_it_runs(place: Place, point: Point) -> None:
    """Nothing of it is seen, and nothing stays in the bucket."""
    import_id = place.receive(export(OTHER))
    slow = place.processes.worker(point, sent=signal.SIGSTOP)
    assert slow.stopped()
    canceller = threading.Thread(target=_cancel, args=(place, import_id))
    canceller.start()
    time.sleep(0.2)
    os.kill(slow.pid, signal.SIGCONT)
    canceller.join()
    slow.end()
    place.finish()
    if place.state(import_id) is ImportState.DONE:
        assert point[0] == "commit", "it was past its last statement"
        return
    assert place.state(import_id) is ImportState.CANCELLED
    found = place.check()
    assert (found["objects"], found["runs"], found["model_versions"], found["our models"]) == ({}, {}, {}, {})


def _cancel(place: Place, import_id: str) -> None:
    with place.parts.store.transaction() as tx:
        tx.imports.finish(import_id, ImportState.CANCELLED, place.parts.clock())
