"""The commands of mlflow-export-import 1.2.0, to and from the address of an environment."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.conftest import lacking
from tests.clients.environments import EXPORT_IMPORT
from tests.conftest import EXPORTS
from tests.e2e.conftest import Service

Tool = Callable[..., str]


@pytest.fixture(scope="module")
def tool(service: Service) -> Tool:
    """Runs a command of the tool against the environment `target`, and answers with what it printed."""
    if reason := lacking(EXPORT_IMPORT):
        pytest.skip(reason)
    assert service.put("/v1/environments/target", {}).status_code == 201
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTHON"))},
        "MLFLOW_TRACKING_URI": f"{service.url}/environments/target",
        "MLFLOW_TRACKING_TOKEN": service.token,
        "GIT_PYTHON_REFRESH": "quiet",
    }

    def run(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [EXPORT_IMPORT.command(command), *arguments], env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str], Path]:
    def unpack(name: str) -> Path:
        with tarfile.open(EXPORTS / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path / name

    return unpack


def ask(service: Service, path: str, **query: str) -> Any:
    answer = requests.get(
        f"{service.url}/environments/target/api/2.0/mlflow/{path}", query, headers=service.headers, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def read(folder: Path, path: str) -> Any:
    return json.loads((folder / path).read_text())["mlflow"]


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """What identifies the runs in an export: their ids are new in every registry."""
    runs = [json.loads(path.read_text())["mlflow"] for path in folder.rglob("run.json")]
    return sorted(
        (
            {"name": run["info"]["run_name"], "params": run["params"], "metrics": run["metrics"], "files": files(path)}
            for run, path in zip(runs, folder.rglob("run.json"), strict=True)
        ),
        key=lambda row: json.dumps(row, sort_keys=True, default=str),
    )


def files(run: Path) -> dict[str, bytes]:
    root = run.parent / "artifacts"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_experiment_goes_in_and_comes_out(
    service: Service, tool: Tool, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    source = unpacked("mlflow222-tool120-experiment-iris")
    tool("import-experiment", "--input-dir", str(source), "--experiment-name", "iris")
    tool("export-experiment", "--experiment", "iris", "--output-dir", str(tmp_path / "out"))
    assert runs_of(source)
    assert runs_of(tmp_path / "out") == runs_of(source)


def test_a_model_goes_in_and_comes_out(
    service: Service, tool: Tool, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    source = unpacked("mlflow222-tool120-model-orders")
    for _ in range(2):  # the second time the model is there already, which the tool tells by the words of the error
        arguments = ["--input-dir", str(source), "--model", "orders-tool", "--experiment-name", "orders of the tool"]
        tool("import-model", *arguments)
    told = read(source, "model.json")["registered_model"]
    numbers = [int(version["version"]) for version in told["versions"]]
    stages = {version["current_stage"]: int(version["version"]) for version in told["versions"]}
    latest = ask(service, "registered-models/get-latest-versions", name="orders-tool")["model_versions"]
    held = {version["current_stage"]: int(version["version"]) for version in latest}
    assert held.items() >= {stage: len(numbers) + number for stage, number in stages.items()}.items()
    tool("export-model", "--model", "orders-tool", "--output-dir", str(tmp_path / "out"))
    exported = read(tmp_path / "out", "model.json")["registered_model"]
    assert [int(version["version"]) for version in exported["versions"]] == list(range(1, 2 * len(numbers) + 1))
    # What the tool took out of this registry is what this registry takes in.
    assert service.put("/v1/workspaces/again", {"kind": "mlflow"}).status_code == 201
    archive = tmp_path / "again.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "out", "again")
    sent = service.send("again", archive, model_name="orders-again")
    assert sent.status_code == 201, sent.text
    for number in numbers:
        digests = {
            service.get(f"/v1/models/{model}/versions/{number}").json()["digest"]
            for model in ("orders-tool", "orders-again")
        }
        assert len(digests) == 1
