"""kill -9 of Postgres and of the object store while an import runs."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.domain.importing import ImportState
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.embedded.postgres import NAME, EmbeddedPostgres
from service.settings import S3Settings, Settings
from service.stores.migrate import migrate
from service.stores.postgres import make_engine
from service.stores.queue import session_name
from tests.conftest import database_url, export
from tests.crash.conftest import Place, Undisturbed, close_place, open_place
from tests.crash.faults import Point, points
from tests.crash.invariants import unsettled
from tests.crash.kills import KILLS
from tests.crash.processes import until

EXPORT = "mlflow222-tool120-model-orders"
OF_OBJECTS = ("put ", "open", "copy object", "delete")
EACH = 6
"""Kills of each server."""


class Servers:
    """A Postgres and an object store of one test alone: nobody else's connections may break."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.objects = EmbeddedObjects(folder / "objects", free_port())
        self._logs = logs
        self._places: list[Place] = []

    def start(self) -> None:
        self.postgres.start()
        self.objects.start()
        engine = make_engine(database_url(self.postgres, NAME))
        migrate(engine, lambda _: None)
        engine.dispose()

    def place(self) -> Place:
        name = f"servers-{len(self._places)}"
        admin = sa.create_engine(database_url(self.postgres, "postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE {NAME}'))
        admin.dispose()
        s3 = S3Settings(self.objects.endpoint, self.objects.access_key, self.objects.secret_key, name)
        logs = self._logs / name
        logs.mkdir()
        place = open_place(Settings(database_url(self.postgres, name), s3, "http://127.0.0.1:5080"), logs)
        self._places.append(place)
        return place

    def stop(self) -> None:
        for place in self._places:
            close_place(place)
        self.objects.stop()
        self.postgres.stop()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        servers = Servers(Path(folder), tmp_path)
        try:
            servers.start()
            yield servers
        finally:
            servers.stop()


def test_servers_killed_during_an_import(servers: Servers, undisturbed: Callable[[str], Undisturbed]) -> None:
    """A worker stands at a step while its server dies; every other time it goes on before the server is back."""
    whole = undisturbed(EXPORT)
    plan = _plan(whole.steps)
    left = list(plan)
    while left:
        place = servers.place()
        import_id = place.receive(export(EXPORT))
        killed = [point for point in left if _killed(servers, place, point, late=bool(plan.index(point) % 2))]
        assert killed, f"none of {left} is ever reached"
        left = [point for point in left if point not in killed]
        place.finish(2)
        assert place.state(import_id) is ImportState.DONE, (killed, place.get(import_id).problem)
        assert place.check() == whole.contents


def _killed(servers: Servers, place: Place, point: Point, *, late: bool) -> bool:
    """Whether a worker came to the point, where its server was killed and started again."""
    worker = place.processes.worker(point, sent=signal.SIGSTOP)
    if not worker.stopped():
        worker.end()
        return False
    server = servers.objects if point[0].startswith(OF_OBJECTS) else servers.postgres
    _kill(server)
    if late:
        os.kill(worker.pid, signal.SIGCONT)
        server.start()
    else:
        server.start()
        os.kill(worker.pid, signal.SIGCONT)
    worker.ended()  # perhaps with the connection that it lost: whatever runs it starts the next one
    assert unsettled(place.engine) == []
    return True


def _plan(steps: list[str]) -> list[Point]:
    """Some steps of each server, in the order in which they come, so that one import sees several of them."""
    every = points(steps)
    ours = [point for point in every if point[0].startswith(OF_OBJECTS)]
    theirs = [point for point in every if point not in ours]
    wanted = {some[len(some) * n // EACH] for some in (ours, theirs) for n in range(EACH)}
    return [point for point in every if point in wanted]


def _kill(server: EmbeddedPostgres | EmbeddedObjects) -> None:
    assert server._child is not None
    assert server._child.pid is not None
    os.kill(server._child.pid, signal.SIGKILL)
    until(lambda: server.exit_code() is not None)
    KILLS[server.name] += 1


def test_a_session_is_ended_in_the_middle_of_a_copy(place: Place, undisturbed: Callable[[str], Undisturbed]) -> None:
    """The database answers all the time; the import is not to be blamed for the connection."""
    whole = undisturbed(EXPORT)
    import_id = place.receive(export(EXPORT))
    worker = place.processes.worker(("copy half way", 0), sent=signal.SIGSTOP)
    assert worker.stopped()
    ended = sa.text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name")
    with place.engine.connect() as connection:
        assert connection.scalar(ended, {"name": session_name(import_id)}) == 1
    os.kill(worker.pid, signal.SIGCONT)
    assert not worker.end()
    assert place.state(import_id) is ImportState.RUNNING, place.get(import_id).problem
    place.finish()
    assert place.state(import_id) is ImportState.DONE
    assert place.check() == whole.contents
