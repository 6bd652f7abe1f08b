"""The commands of `mlflow`, called as its program calls them: a process for each would take minutes in all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import mlflow
from click.testing import CliRunner
from mlflow.cli import cli
from mlflow.tracking import MlflowClient
from proof import PREFIX, proven

NAME = f"{PREFIX}/cli"
client = MlflowClient()


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def experiments() -> str:
    with proven("mlflow experiments create, search"):
        run("experiments", "create", "-n", NAME)
        assert NAME in run("experiments", "search" if "search" in cli.commands["experiments"].commands else "list")
    experiment = client.get_experiment_by_name(NAME).experiment_id
    with proven("mlflow experiments rename, delete, restore"):
        run("experiments", "rename", "-x", experiment, "--new-name", f"{NAME} renamed")
        run("experiments", "delete", "-x", experiment)
        assert client.get_experiment(experiment).lifecycle_stage == "deleted"
        run("experiments", "restore", "-x", experiment)
        read = client.get_experiment(experiment)
        assert (read.name, read.lifecycle_stage) == (f"{NAME} renamed", "active")
    return experiment


def runs(experiment: str, run_id: str, folder: Path) -> None:
    with proven("mlflow runs list, describe"):
        assert run_id in run("runs", "list", "--experiment-id", experiment)
        assert json.loads(run("runs", "describe", "--run-id", run_id))["data"]["params"]["p"] == "1"
    with proven("mlflow runs delete, restore"):
        run("runs", "delete", "--run-id", run_id)
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"
        run("runs", "restore", "--run-id", run_id)
        assert client.get_run(run_id).info.lifecycle_stage == "active"
    with proven("mlflow experiments csv"):
        run("experiments", "csv", "-x", experiment, "-o", str(folder / "runs.csv"))
        assert run_id in (folder / "runs.csv").read_text()


def artifacts(run_id: str, folder: Path) -> None:
    (folder / "up").mkdir()
    (folder / "up" / "one.txt").write_text("one")
    with proven("mlflow artifacts log-artifact, log-artifacts"):
        run("artifacts", "log-artifact", "-l", str(folder / "up" / "one.txt"), "-r", run_id, "-a", "single")
        run("artifacts", "log-artifacts", "-l", str(folder / "up"), "-r", run_id, "-a", "many")
    with proven("mlflow artifacts list"):
        listed = json.loads(run("artifacts", "list", "-r", run_id, "-a", "many"))
        assert [(item["path"], item["is_dir"], int(item["file_size"])) for item in listed] == [
            ("many/one.txt", False, 3)
        ]
    with proven("mlflow artifacts download"):
        run("artifacts", "download", "-r", run_id, "-a", "single/one.txt", "-d", str(folder / "down"))
        assert [path.read_text() for path in (folder / "down").rglob("one.txt")] == ["one"]


def main() -> None:
    experiment = experiments()
    with tempfile.TemporaryDirectory() as folder:
        with mlflow.start_run(experiment_id=experiment) as run_:
            mlflow.log_param("p", 1)
        runs(experiment, run_.info.run_id, Path(folder))
        artifacts(run_.info.run_id, Path(folder))


if __name__ == "__main__":
    main()
