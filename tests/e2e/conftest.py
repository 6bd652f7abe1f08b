"""A running service: gunicorn and the worker as an operator starts them, on real parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.embedded.postgres import EmbeddedPostgres
from tests.conftest import KEY, database_url


@dataclass(frozen=True)
class Service:
    url: str
    token: str
    environ: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def put(self, path: str, json: dict[str, object]) -> requests.Response:
        return requests.put(f"{self.url}{path}", json=json, headers=self.headers, timeout=30)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=self.headers, timeout=30)

    def send(self, workspace: str, archive: Path, wait: int = 60, **query: str) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/workspaces/{workspace}/imports",
            data=archive.read_bytes(),
            params=query,
            headers={**self.headers, "Prefer": f"wait={wait}"},
            timeout=wait + 30,
        )


def cli(environ: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "service.cli", *arguments]
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.fixture(scope="module")
def service(
    postgres: EmbeddedPostgres,
    object_server: EmbeddedObjects,
    admin_engine: sa.Engine,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """One for each module: what another one imported must not take its ids and names."""
    port = free_port()
    database = f"e2e_{port}"
    with admin_engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {database} TEMPLATE {template}"))
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
        "MODEL_REGISTRY_DATABASE_URL": database_url(postgres, database),
        "MODEL_REGISTRY_S3_ENDPOINT": object_server.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": object_server.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": object_server.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": f"e2e-{port}",
        "MODEL_REGISTRY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MODEL_REGISTRY_SECRET_KEY": KEY,
    }
    cli(environ, "migrate", "--if-needed")
    token = cli(environ, "token", "create", "--name", "e2e", "--scope", "admin", "--plain")
    logs = tmp_path_factory.mktemp("logs")
    commands = {"serve": ["serve", "--bind", f"127.0.0.1:{port}"], "worker": ["worker"]}
    processes = []
    for name, arguments in commands.items():
        with (logs / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "service.cli", *arguments]
            processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
    service = Service(f"http://127.0.0.1:{port}", token, environ)
    try:
        _wait_ready(service, logs)
        yield service
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def _wait_ready(service: Service, logs: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if requests.get(f"{service.url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)  # it is still importing
    raise AssertionError("\n".join(log.read_text()[-3000:] for log in logs.iterdir()))
