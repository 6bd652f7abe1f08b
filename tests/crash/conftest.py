"""Places to crash in: each a fresh database and bucket, with the processes that work on them."""

from __future__ import annotations

import io
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.domain.importing import Import, ImportOptions, ImportState
from service.embedded.objects import EmbeddedObjects
from service.embedded.postgres import EmbeddedPostgres
from service.settings import S3Settings, Settings
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine
from service.usecases.collect_leftovers import Collector
from service.usecases.manage_places import put_workspace
from service.usecases.receive_import import receive_import
from service.wiring import Parts, make_parts
from tests.conftest import database_url, export
from tests.crash.faults import Point
from tests.crash.invariants import contents, unsettled, violations
from tests.crash.processes import Processes

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    settings: Settings
    engine: sa.Engine
    parts: Parts
    objects: S3Objects
    processes: Processes

    def receive(self, archive: bytes, workspace: str = "dev", key: str | None = None) -> str:
        received = receive_import(
            self.parts.store,
            self.parts.objects,
            self.parts.clock,
            OPERATOR,
            workspace,
            io.BytesIO(archive),
            len(archive),
            10**9,
            ImportOptions(),
            key,
        )
        return received.import_.id

    def get(self, import_id: str) -> Import:
        with self.parts.store.transaction() as tx:
            return tx.imports.get(import_id)

    def state(self, import_id: str) -> ImportState:
        return self.get(import_id).state

    def kill(self, at: Point) -> bool:
        """Run a worker that dies at the point; whether it came there."""
        killed = self.processes.worker(at).end()
        assert unsettled(self.engine) == []
        return killed

    def finish(self, count: int = 1) -> None:
        """Let one worker after another run to its end."""
        for _ in range(count):
            assert not self.processes.worker().end()

    def check(self) -> dict[str, Counter[str]]:
        """Everything holds, once leftovers are collected; answers with what is there."""
        later = datetime.now(UTC) + timedelta(days=2)  # what killed requests have claimed is given up by then
        list(Collector(self.parts.store, self.parts.objects, lambda: later, timedelta(), timedelta()).run())
        assert violations(self.engine, self.objects) == []
        return contents(self.engine, self.objects)


MakePlace = Callable[[], Place]


@pytest.fixture
def make_place(
    postgres: EmbeddedPostgres,
    object_server: EmbeddedObjects,
    admin_engine: sa.Engine,
    template: str,
    tmp_path: Path,
) -> Iterator[MakePlace]:
    made: list[Place] = []

    def make() -> Place:
        number = next(_numbers)
        name = f"crash_{number}"
        with admin_engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        s3 = S3Settings(object_server.endpoint, object_server.access_key, object_server.secret_key, f"crash-{number}")
        logs = tmp_path / name
        logs.mkdir()
        place = open_place(Settings(database_url(postgres, name), s3, "http://127.0.0.1:5080"), logs)
        made.append(place)
        return place

    yield make
    for place in made:
        close_place(place)  # the database goes with its server: dropping each one costs a checkpoint


def open_place(settings: Settings, logs: Path) -> Place:
    objects = S3Objects(settings.s3)
    objects.make_bucket()
    engine = make_engine(settings.database_url)
    parts = make_parts(settings, engine)
    for workspace in ("dev", "other"):
        put_workspace(parts.store, parts.clock, OPERATOR, workspace, "mlflow", "", "")
    return Place(settings, engine, parts, objects, Processes(settings, engine, logs))


def close_place(place: Place) -> None:
    place.processes.close()
    place.engine.dispose()


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    return make_place()


@dataclass(frozen=True)
class Undisturbed:
    """What an import makes when nobody is killed: every row and object, the worker's steps, its seconds."""

    contents: dict[str, Counter[str]]
    steps: list[str]
    seconds: float


_undisturbed: dict[str, Undisturbed] = {}


@pytest.fixture
def undisturbed(make_place: MakePlace) -> Callable[[str], Undisturbed]:
    def of(name: str) -> Undisturbed:
        if name not in _undisturbed:
            place = make_place()
            place.receive(export(name))
            began = time.monotonic()
            worker = place.processes.worker()
            assert not worker.end()
            _undisturbed[name] = Undisturbed(place.check(), worker.steps(), time.monotonic() - began)
        return _undisturbed[name]

    return of
