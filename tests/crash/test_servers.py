"""kill -9 of Postgres and of the object store while an import runs."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.domain.importing import ImportState
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.embedded.postgres import EmbeddedPostgres
from service.settings import S3Settings, Settings
from service.stores.migrate import migrate
from service.stores.postgres import make_engine
from tests.conftest import export
from tests.crash.conftest import Place, Undisturbed, close_place, open_place

EXPORT = "mlflow222-tool120-models"
Servers = tuple[EmbeddedPostgres, EmbeddedObjects, Place]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Of these tests alone: nobody else's connections may break."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        objects = EmbeddedObjects(tmp_path_factory.mktemp("objects"), free_port())
        postgres.start()
        objects.start()
        url = sa.make_url(postgres.url).update_query_dict({"options": "-csearch_path=public"})
        s3 = S3Settings(objects.endpoint, objects.access_key, objects.secret_key, "crash-servers")
        settings = Settings(url.render_as_string(hide_password=False), s3, "http://127.0.0.1:5080")
        engine = make_engine(settings.database_url)
        migrate(engine, lambda _: None)
        engine.dispose()
        place = open_place(settings, tmp_path_factory.mktemp("logs"))
        yield postgres, objects, place
        close_place(place)
        objects.stop()
        postgres.stop()


def _killed(server: EmbeddedPostgres | EmbeddedObjects) -> None:
    assert server._child is not None
    assert server._child.pid is not None
    os.kill(server._child.pid, signal.SIGKILL)
    while server.exit_code() is None:
        time.sleep(0.01)
    server.start()


@pytest.mark.slow
def test_servers_killed_during_an_import(servers: Servers, undisturbed: Callable[[str], Undisturbed]) -> None:
    whole = undisturbed(EXPORT)
    postgres, objects, place = servers
    import_id = place.receive(export(EXPORT))
    for number in range(8):
        worker = place.processes.worker()
        time.sleep(whole.seconds * (1 + number) / 10)
        _killed(objects if number % 2 else postgres)
        # It may end with the connection that it lost: whatever runs it starts the next one.
        worker.process.join(90)
        place.engine.dispose()
    _until_final(place, import_id)
    assert place.state(import_id) is ImportState.DONE
    assert place.check() == whole.contents


def _until_final(place: Place, import_id: str) -> None:
    for _ in range(10):
        place.processes.worker().process.join(90)
        if place.state(import_id).final:
            place.processes.worker().process.join(90)
            return
