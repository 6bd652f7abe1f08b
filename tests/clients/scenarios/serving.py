"""`mlflow models`: what a serving process does with an address of the registry, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import answering
import mlflow
import requests
from mlflow.tracking import MlflowClient
from proof import PREFIX, proven

PROGRAM = str(Path(sys.executable).with_name("mlflow"))
INPUT = {"instances": [[1.0], [2.0]]}
TABLE = {"columns": ["x"], "data": [[1.0], [2.0]]}
OLD = mlflow.__version__.startswith("1.")
"""Its command reads no other form than a bare table."""
client = MlflowClient()


def registered(number: float) -> str:
    """The URI of a model that answers with `number`, in Production."""
    name = f"{PREFIX}-served"
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        answering.write(Path(folder), number)
        mlflow.log_artifacts(folder, "model")
    client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id).version
    client.transition_model_version_stage(name, version, "Production")
    return f"models:/{name}/Production"


@contextmanager
def served(uri: str, log: Path) -> Iterator[str]:
    """The URL of a server that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PROGRAM, "models", "serve", "-m", uri, "-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while time.monotonic() < until and server.poll() is None:
            try:
                if requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):  # it ended by itself: its log says why
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        sys.stderr.write(log.read_text())


def main() -> None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    mlflow.set_experiment(f"{PREFIX}/serving")
    uri = registered(42)
    with tempfile.TemporaryDirectory() as folder:
        with proven("mlflow models serve -m models:/<name>/<Stage>"), served(uri, Path(folder) / "log") as url:
            answer = requests.post(f"{url}/invocations", json=INPUT, timeout=30).json()
            assert (answer if isinstance(answer, list) else answer["predictions"]) == [42, 42]
        with proven("mlflow models predict -m models:/<name>/<Stage>"):
            (Path(folder) / "in.json").write_text(json.dumps(TABLE if OLD else {"dataframe_split": TABLE}))
            command = [PROGRAM, "models", "predict", "-m", uri, "-t", "json", "--env-manager", "local"]
            subprocess.run([*command, "-i", f"{folder}/in.json", "-o", f"{folder}/out.json"], check=True)
            assert "42" in (Path(folder) / "out.json").read_text()


if __name__ == "__main__":
    main()
