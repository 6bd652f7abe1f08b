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
def tool(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Runs a command of the tool against the environment `target`, and answers with what it printed.

    Some of the tool's calls go without MLflow's token; `requests` takes it from a .netrc for all of them.
    """
    if reason := lacking(EXPORT_IMPORT):
        pytest.skip(reason)
    assert service.put("/v1/environments/target", {}).status_code == 201
    netrc = tmp_path_factory.mktemp("tool") / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login token password {service.token}\n")
    netrc.chmod(0o600)
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTHON"))},
        "MLFLOW_TRACKING_URI": f"{service.url}/environments/target",
        "NETRC": str(netrc),
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
    """But for the run's id, which the tool writes into a model's MLmodel anew."""
    root, run_id = run.parent / "artifacts", run.parent.name.encode()
    return {
        str(path.relative_to(root)): path.read_bytes().replace(run_id, b"<run>")
        for path in root.rglob("*")
        if path.is_file()
    }


def test_an_experiment_goes_in_and_comes_out(
    service: Service, tool: Tool, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    source = unpacked("mlflow222-tool120-experiment-iris")
    tool("import-experiment", "--input-dir", str(source), "--experiment-name", "iris")
    tool("export-experiment", "--experiment", "iris", "--output-dir", str(tmp_path / "out"))
    assert runs_of(source)
    assert runs_of(tmp_path / "out") == runs_of(source)


def test_this_tool_registers_only_where_it_sees_the_files(
    service: Service, tool: Tool, unpacked: Callable[[str], Path]
) -> None:
    """It brings the runs, and then looks for the files of a version on its own disk, whatever the server."""
    source = unpacked("mlflow222-tool120-model-orders")
    with pytest.raises(AssertionError, match="does not exist: mlflow-artifacts:"):
        tool("import-model", "--input-dir", str(source), "--model", "orders-tool", "--experiment-name", "orders tool")
    experiment = ask(service, "experiments/get-by-name", experiment_name="orders tool")["experiment"]["experiment_id"]
    found = requests.post(
        f"{service.url}/environments/target/api/2.0/mlflow/runs/search",
        json={"experiment_ids": [experiment]},
        headers=service.headers,
        timeout=30,
    )
    assert [run["info"]["status"] for run in found.json()["runs"]] == ["FINISHED"]


def test_what_it_brings_is_registered_and_goes_out_again(
    service: Service, tool: Tool, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    """The way for a model: its run by the tool, the version by the registry; and back as an export of the model."""
    source = unpacked("mlflow222-tool120-run-iris")
    tool("import-run", "--input-dir", str(source), "--experiment-name", "iris run")
    experiment = ask(service, "experiments/get-by-name", experiment_name="iris run")["experiment"]["experiment_id"]
    (run,) = send(service, "runs/search", experiment_ids=[experiment])["runs"]
    send(service, "registered-models/create", name="iris-out")
    place = f"{run['info']['artifact_uri']}/model"
    made = send(service, "model-versions/create", name="iris-out", source=place, run_id=run["info"]["run_id"])
    assert made["model_version"]["status"] == "READY"
    tool("export-model", "--model", "iris-out", "--output-dir", str(tmp_path / "out"))
    with tarfile.open(tmp_path / "out.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "out", "out")
    assert service.put("/v1/workspaces/next", {"kind": "mlflow"}).status_code == 201
    done = service.send("next", tmp_path / "out.tar.gz", model_name="iris-in").json()
    assert (done["state"], [row["model"] for row in done["report"]["versions"]]) == ("done", ["iris-in"])
    digests = [service.get(f"/v1/models/{name}/versions/1").json()["digest"] for name in ("iris-out", "iris-in")]
    stored = [service.get(f"/v1/digests/{digest}/files/model.pkl?stream=true").content for digest in digests]
    assert stored == [(source / "artifacts/model/model.pkl").read_bytes()] * 2


def send(service: Service, path: str, **body: Any) -> Any:
    answer = requests.post(
        f"{service.url}/environments/target/api/2.0/mlflow/{path}", json=body, headers=service.headers, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer.json()
