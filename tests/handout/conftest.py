"""Two services as an operator starts them, over one Postgres of their own, which tests stop and let go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from service.domain.environment import Environment, Place
from service.domain.identity import OPERATOR
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.embedded.postgres import EmbeddedPostgres
from service.stores.migrate import migrate
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.manage_tokens import create_token
from service.usecases.model_ports import NewVersion
from service.usecases.promote import Request, promote

STAGE = "/v1/environments/prod/models/m/stages/live"
WATCHERS = 120


@dataclass(frozen=True)
class Database:
    """`pids` are those of all its processes."""

    server: EmbeddedPostgres
    folder: Path
    engine: sa.Engine
    store: PostgresRegistry

    def pids(self) -> list[int]:
        first = int((self.folder / "cluster" / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            os.kill(pid, number)

    def connections(self, of: str = "model-registry hand-out") -> list[int]:
        with self.engine.connect() as connection:
            query = sa.text("SELECT pid FROM pg_stat_activity WHERE application_name = :of")
            return list(connection.scalars(query, {"of": of}))

    def cut(self) -> int:
        """Terminate what resolves and what listens; how many connections that were."""
        pids = self.connections()
        with self.engine.connect() as connection:
            for pid in pids:
                connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        return len(pids)

    def promote(self, version: int, model: str = "m") -> None:
        """As another process does."""
        with self.store.transaction() as tx:
            promote(tx, utc_now, OPERATOR, Request(Place("prod", model, "live"), version=version))

    def token(self, *scopes: str) -> tuple[str, dict[str, str]]:
        """Its id, and what to send with it."""
        token, secret = create_token(self.store, utc_now, OPERATOR, "test", scopes, None)
        return token.id, {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        engine = make_engine(server.url)
        migrate(engine, lambda _: None)
        store = PostgresRegistry(engine, JobQueue())
        with store.transaction() as tx:
            tx.workspaces.put(Workspace("dev", "mlflow", "", "", utc_now()))
            tx.environments.put(Environment("prod", ("live",), "", utc_now()))
            for model in ("m", "n"):
                for number in (1, 2):
                    manifest = Manifest.of([ManifestFile("MLmodel", number, f"{number:064}")])
                    tx.models.add_version(NewVersion(model, "dev", manifest, "", "", {}, None, {}, number))
        database = Database(server, folder / "postgres", engine, store)
        for model in ("m", "n"):
            database.promote(1, model)
        yield database
        engine.dispose()
        server.stop()


@dataclass(frozen=True)
class Service:
    url: str
    process: subprocess.Popen[bytes]
    headers: dict[str, str]

    def get(self, path: str = STAGE, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers={**self.headers, **headers}, timeout=90)

    def promote(self, version: int, model: str = "m") -> requests.Response:
        path = f"/v1/environments/prod/models/{model}/stages/live"
        return requests.put(self.url + path, json={"version": version}, headers=self.headers, timeout=30)

    def revoke(self, token_id: str) -> None:
        assert requests.delete(f"{self.url}/v1/tokens/{token_id}", headers=self.headers, timeout=30).ok


def start(database: Database, objects: EmbeddedObjects, headers: dict[str, str], log: Path) -> Service:
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "MODEL_REGISTRY_DATABASE_URL": database.server.url,
        "MODEL_REGISTRY_S3_ENDPOINT": objects.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": objects.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": objects.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": "handout",
        "MODEL_REGISTRY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MODEL_REGISTRY_WATCHERS": str(WATCHERS),
    }
    command = [sys.executable, "-m", "service.cli", "serve", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    return Service(f"http://127.0.0.1:{port}", process, headers)


@pytest.fixture(scope="session")
def services(
    database: Database, object_server: EmbeddedObjects, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Service]]:
    logs = tmp_path_factory.mktemp("logs")
    _, headers = database.token("admin")
    first, second = (start(database, object_server, headers, logs / name) for name in ("first", "second"))
    try:
        for service in (first, second):
            until(lambda service=service: answers(service), 60)  # type: ignore[misc]
        yield first, second
    finally:
        for service in (first, second):
            service.process.terminate()
        for service in (first, second):
            service.process.wait(40)


def answers(service: Service) -> bool:
    try:
        return service.get().ok
    except requests.ConnectionError:
        return False


def until(done: Callable[[], bool], seconds: float = 10) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() < began + seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began
