"""A registry of its own to pull from: each part of it can be killed, slowed down or shut off from pullers."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from service.api.problem_documents import problem_document
from service.domain.identity import OPERATOR
from service.domain.importing import ImportOptions
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.settings import S3Settings, Settings
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine
from service.usecases.manage_places import put_environment, put_workspace
from service.usecases.manage_tokens import create_token
from service.usecases.receive_import import receive_import
from service.usecases.run_import import Importer
from service.wiring import Parts, make_parts
from tests.pulling.relay import Relay
from tests.small_exports import MLMODEL, packed, registered_model, run, version

Files = Mapping[str, bytes]
REF = "prod/orders/Production"
STAGE = "/v1/environments/prod/models/orders/stages/Production"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Done:
    """How a puller ended."""

    code: int
    out: str
    err: str


class Site:
    """gunicorn over a database and an object store; pullers reach the store by `relay` alone."""

    def __init__(self, database_url: str, objects: EmbeddedObjects, folder: Path) -> None:
        self.objects = objects
        self.relay = Relay(int(objects.endpoint.rpartition(":")[2]))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        s3 = S3Settings(objects.endpoint, objects.access_key, objects.secret_key, "pulled")
        self._settings = Settings(database_url, s3, self.url)
        S3Objects(s3).make_bucket()
        self._engine = make_engine(database_url)
        self.parts: Parts = make_parts(self._settings, self._engine)
        put_workspace(self.parts.store, self.parts.clock, OPERATOR, "dev", "mlflow", "", "")
        put_environment(self.parts.store, self.parts.clock, OPERATOR, "prod", None, "")
        self.token = self.new_token("admin")
        self._master = self._start()

    def new_token(self, scope: str) -> str:
        return create_token(self.parts.store, self.parts.clock, OPERATOR, "test", [scope], None)[1]

    def register(self, files: Files) -> int:
        """The number of a new version with these files, and an MLmodel beside them."""
        run_id = sha256(f"{next(_numbers)}".encode()).hexdigest()[:32]
        base = f"{run_id}/artifacts/model"
        data = packed(
            {
                "model.json": registered_model(version("1", run_id)),
                f"{run_id}/run.json": run(run_id),
                f"{base}/MLmodel": MLMODEL,
                **{f"{base}/{path}": data for path, data in files.items()},
            }
        )
        parts = self.parts
        received = receive_import(
            parts.store,
            parts.objects,
            parts.clock,
            OPERATOR,
            "dev",
            io.BytesIO(data),
            len(data),
            10**9,
            ImportOptions(),
        )
        Importer(parts.store, parts.objects, parts.tracking, parts.clock, problem_document).run(received.import_.id)
        return max(self.get("/v1/models/orders")["versions"])

    def hold(self, number: int) -> str:
        """Promote; the digest that the stage holds now."""
        put = requests.put(self.url + STAGE, json={"version": number}, headers=self._headers, timeout=30)
        assert put.status_code == 200, put.text
        return str(put.json()["digest"])

    def get(self, path: str) -> Any:
        got = requests.get(self.url + path, headers=self._headers, timeout=30)
        assert got.ok, got.text
        return got.json()

    def command(self, to: Path, *more: str) -> list[str]:
        return [sys.executable, "-m", "service.pulling", REF, "--to", str(to), "--url", self.url, *more]

    def environ(self, **variables: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MODEL_REGISTRY_")}
        return {**kept, "MODEL_REGISTRY_TOKEN": self.token, **variables}

    def pull(self, to: Path, *more: str, **variables: str) -> Done:
        """As a serving cluster does it."""
        return ended(self.command(to, *more), self.environ(**variables))

    def kill_service(self) -> None:
        """The process that answers; gunicorn starts another one."""
        children = Path(f"/proc/{self._master.pid}/task/{self._master.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)

    def kill_objects(self) -> None:
        child = self.objects._child
        assert child is not None
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        until(lambda: self.objects.exit_code() is not None)

    def stop(self) -> None:
        self._master.terminate()
        self._master.wait(60)
        self._engine.dispose()
        self.relay.stop()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _start(self) -> subprocess.Popen[bytes]:
        s3 = self._settings.s3
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MODEL_REGISTRY_DATABASE_URL": self._settings.database_url,
            "MODEL_REGISTRY_S3_ENDPOINT": s3.endpoint,
            "MODEL_REGISTRY_S3_PUBLIC_ENDPOINT": f"http://127.0.0.1:{self.relay.port}",
            "MODEL_REGISTRY_S3_ACCESS_KEY": s3.access_key,
            "MODEL_REGISTRY_S3_SECRET_KEY": s3.secret_key,
            "MODEL_REGISTRY_S3_BUCKET": s3.bucket,
            "MODEL_REGISTRY_PUBLIC_URL": self.url,
            "MODEL_REGISTRY_PRESIGN_SECONDS": "60",
        }
        command = [
            sys.executable,
            "-m",
            "service.cli",
            "serve",
            "--bind",
            self.url.partition("//")[2],
            "--workers",
            "1",
        ]
        with (self._folder / "gunicorn.log").open("w") as log:
            master = subprocess.Popen(command, env=environ, stderr=log)
        until(self.answers)
        return master

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=30).status_code == 200
        except requests.ConnectionError:
            return False


def ended(command: list[str], environ: dict[str, str]) -> Done:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def whole(files: Files) -> dict[str, bytes]:
    """What a pulled folder of such a version holds."""
    return {**files, "MLmodel": MLMODEL}
