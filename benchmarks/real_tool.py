"""The peer: the real `import-experiment`, version 1.2.0, into `mlflow server` on the same Postgres and S3."""

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
from tests.clients.environments import EXPORT_IMPORT, prepare

PORT = 5397
URL = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class RealTool:
    """`environ` reaches the server."""

    environ: dict[str, str]

    def bring(self, folder: Path) -> float:
        """Seconds of the command that imports `folder`."""
        command = [EXPORT_IMPORT.command("import-experiment"), "--input-dir", str(folder)]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--experiment-name", folder.name], env=self.environ, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return time.monotonic() - began

    def metrics(self, name: str) -> int:
        """How many metrics the imported experiment has: a command that imported nothing is not a fast one."""
        found = requests.get(f"{URL}/api/2.0/mlflow/experiments/get-by-name", {"experiment_name": name}, timeout=60)
        ids = [found.json()["experiment"]["experiment_id"]]
        body = {"experiment_ids": ids, "max_results": 50000}
        runs = requests.post(f"{URL}/api/2.0/mlflow/runs/search", json=body, timeout=600).json().get("runs", [])
        return sum(len(run["data"].get("metrics", [])) for run in runs)


@contextmanager
def real_tool(registry: Registry) -> Iterator[RealTool]:
    """`mlflow server` with two workers on a database and a prefix of its own."""
    prepare(EXPORT_IMPORT)
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
            yield RealTool(environ)
        finally:
            server.terminate()


def _await_ready(server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"{URL}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    sys.exit(log.read_text())
