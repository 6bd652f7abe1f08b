"""Resolving and watching against peers on the same machine, in the same run.

`python -m benchmarks.handout_resolve` needs `wrk`. The peers: `mlflow server` with two workers, on a database with the
same model, asked for its alias; and a bare Flask route under the same gunicorn that answers with the same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from benchmarks.load import Load, load
from benchmarks.running import Registry, running_registry
from service.domain.environment import Environment, Place
from service.domain.identity import OPERATOR
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.model_ports import NewVersion
from service.usecases.promote import Request, promote

PORT, BARE, MLFLOW = 5394, 5395, 5396
SECONDS = int(os.environ.get("SECONDS_EACH", "8"))
PLACE = "/v1/environments/prod/models/m/stages/live"
ALIAS = "/api/2.0/mlflow/registered-models/alias?name=m&alias=live"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with running_registry(Path(folder) / "data", PORT) as registry:
            fill(registry)
            compare(registry, Path(folder))


def fill(registry: Registry) -> None:
    engine = make_engine(registry.settings.database_url)
    store = PostgresRegistry(engine, JobQueue())
    with store.transaction() as tx:
        tx.workspaces.put(Workspace("dev", "mlflow", "", "", utc_now()))
        tx.environments.put(Environment("prod", ("live",), "", utc_now()))
        for number in (1, 2):
            manifest = Manifest.of([ManifestFile("MLmodel", number, f"{number:064}")])
            tx.models.add_version(NewVersion("m", "dev", manifest, "", "", {}, None, {}, number))
        promote(tx, utc_now, OPERATOR, Request(Place("prod", "m", "live"), version=1))
    engine.dispose()


def compare(registry: Registry, folder: Path) -> None:
    answer = requests.get(registry.url + PLACE, headers=registry.headers, timeout=10)
    body = folder / "body"
    body.write_bytes(answer.content)
    known = {**registry.headers, "If-None-Match": answer.headers["ETag"]}
    with bare(registry, body) as peer:
        for connections in (8, 64):
            for name, url, headers in (
                ("bare Flask", peer + PLACE, registry.headers),
                ("resolve", registry.url + PLACE, registry.headers),
                ("304", registry.url + PLACE, known),
            ):
                show(f"{name} at {connections}", load(url, headers, connections, SECONDS))


def show(name: str, found: Load) -> None:
    print(f"{name:<28} {found.rate:8.0f} requests/s, p99 {found.p99:7.1f} ms", flush=True)


@contextmanager
def bare(registry: Registry, body: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:service.gunicorn_config", "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{BARE}", "benchmarks.bare:app"]
    with serving(command, {**registry.environ, "BENCH_BODY": str(body)}, f"http://127.0.0.1:{BARE}", PLACE) as url:
        yield url


@contextmanager
def serving(command: list[str], environ: dict[str, str], url: str, path: str) -> Iterator[str]:
    """A server, once it answers."""
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    if requests.get(url + path, timeout=5).ok:
                        break
                except requests.ConnectionError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
