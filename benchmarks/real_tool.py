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

from benchmarks.mlflow_server import URL, mlflow_server
from benchmarks.running import Registry
from tests.clients.environments import EXPORT_IMPORT, prepare


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
    prepare(EXPORT_IMPORT)
    with mlflow_server(registry) as server:
        yield RealTool(server.environ)
