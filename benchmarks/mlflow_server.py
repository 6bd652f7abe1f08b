"""The peer: `mlflow server` with two workers, on the same Postgres and S3, with a database and a prefix of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import sqlalchemy as sa

from benchmarks.running import Registry

PORT = 5397
URL = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class MlflowServer:
    """`environ` reaches it; `pid` is that of its first process."""

    environ: dict[str, str]
    pid: int


@contextmanager
def mlflow_server(registry: Registry) -> Iterator[MlflowServer]:
    settings = registry.settings
    ours = sa.make_url(settings.database_url)
    admin = sa.create_engine(ours.set(username="registry"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE peer"))
    admin.dispose()
    environ = registry.environ | {
        "MLFLOW_S3_ENDPOINT_URL": settings.s3.endpoint,
        "AWS_ACCESS_KEY_ID": settings.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3.secret_key,
        "AWS_DEFAULT_REGION": settings.s3.region,
        "MLFLOW_TRACKING_URI": URL,
        "GIT_PYTHON_REFRESH": "quiet",
    }
    store = ours.set(username="registry", database="peer").render_as_string(hide_password=False)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(PORT), "--workers", "2"]
    command += ["--backend-store-uri", store, "--artifacts-destination", f"s3://{settings.s3.bucket}/peer"]
    log = registry.data / "peer.log"
    with log.open("w") as output, subprocess.Popen(command, env=environ, stdout=output, stderr=output) as server:
        try:
            _await_ready(server, log)
            yield MlflowServer(environ, server.pid)
        finally:
            server.terminate()


def _await_ready(server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"{URL}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)  # the server is not listening yet
    sys.exit(log.read_text())
