"""Nothing that a client can do changes the bytes of a registered version, and no race leaves a stage in doubt."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.conftest import EXPORTS
from tests.e2e.conftest import Service, cli

MODEL = "tampered"
API = "/environments/prod/api/2.0/mlflow"


@dataclass(frozen=True)
class Story:
    """Version 1 is of a run and in Production, version 2 of a logged model and in Staging."""

    service: Service
    client: MlflowClient
    experiment: str
    run: str
    logged_model: str
    files: dict[str, str]

    @property
    def digests(self) -> dict[str, str]:
        return {
            number: self.service.get(f"/v1/models/{MODEL}/versions/{number}").json()["digest"] for number in ("1", "2")
        }


@pytest.fixture(scope="module")
def story(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Story:
    os.environ.update(MLFLOW_TRACKING_TOKEN=service.token, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false")
    mlflow.set_tracking_uri(f"{service.url}/environments/prod")
    mlflow.set_registry_uri(f"{service.url}/environments/prod")
    assert service.put("/v1/workspaces/dev", {"kind": "mlflow"}).status_code == 201
    assert service.put("/v1/environments/prod", {}).status_code == 201
    assert service.send("dev", EXPORTS / "mlflow317-master-model-dummy.tar.gz", model_name="answer").status_code == 201
    folder = Path(mlflow.artifacts.download_artifacts("models:/answer/4", dst_path=str(tmp_path_factory.mktemp("42"))))
    (folder / "registered_model_meta").unlink(missing_ok=True)
    client = MlflowClient()
    experiment = client.create_experiment("tampering")
    run = client.create_run(experiment).info.run_id
    client.log_artifacts(run, str(folder), "model")
    logged = client.create_logged_model(experiment, name="logged", source_run_id=run)
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model(MODEL)
    for source in (f"runs:/{run}/model", f"models:/{logged.model_id}"):
        made = client.create_model_version(MODEL, source, run, model_id=logged.model_id if "m-" in source else None)
        assert made.status == "READY"
    for number, stage in (("1", "Production"), ("2", "Staging")):
        body = {"name": MODEL, "version": number, "stage": stage}
        place = f"{service.url}{API}/model-versions/transition-stage"
        assert requests.post(place, json=body, headers=service.headers, timeout=30).status_code == 200
    return Story(service, client, experiment, run, logged.model_id, _hashes(folder))


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "registered_model_meta"
    }


def _try(story: Story, method: str, path: str, **sent: object) -> requests.Response:
    return requests.request(method, story.service.url + path, headers=story.service.headers, timeout=60, **sent)  # type: ignore[arg-type]


def _roots(story: Story) -> list[str]:
    run = story.client.get_run(story.run).info.artifact_uri
    model = story.client.get_logged_model(story.logged_model).artifact_location
    return [f"{uri.removeprefix('mlflow-artifacts:/')}" for uri in (f"{run}/model", model)]


@pytest.mark.slow
def test_no_write_reaches_registered_bytes(story: Story, tmp_path: Path) -> None:
    assert len(set(story.digests.values())) == 1  # equal bytes are one
    (digest,) = {value.removeprefix("sha256:") for value in story.digests.values()}
    for prefix in ("", "/environments/prod"):
        for twin in ("api", "ajax-api"):
            for path in (f"registered/{digest}/MLmodel", f"registered/{digest}", f"registered/{digest}/new"):
                place = f"{prefix}/{twin}/2.0/mlflow-artifacts/artifacts/{path}"
                for method in ("PUT", "DELETE"):
                    refused = _try(story, method, place, data=b"tampered")
                    told = (refused.status_code, refused.json()["error_code"])
                    assert told in ((403, "PERMISSION_DENIED"), (400, "INVALID_PARAMETER_VALUE")), place
    for root in _roots(story):
        assert _try(story, "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{root}/MLmodel", data=b"tampered").ok
    for call in (
        lambda: story.client.delete_model_version(MODEL, "1"),
        lambda: story.client.delete_model_version(MODEL, "2"),
        lambda: story.client.delete_registered_model(MODEL),
        lambda: story.client.rename_registered_model(MODEL, "other"),
    ):
        with pytest.raises(MlflowException, match=r" in prod/(Production|Staging)| in a stage"):
            call()
    story.client.delete_logged_model(story.logged_model)
    story.client.delete_run(story.run)
    story.client.delete_experiment(story.experiment)
    for root in _roots_after(story):
        assert _try(story, "DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{root}").status_code in (200, 404)
    _collect(story)
    for uri in (f"models:/{MODEL}/Production", f"models:/{MODEL}@staging", f"models:/{MODEL}/1", f"models:/{MODEL}/2"):
        target = tmp_path / uri.translate(str.maketrans("/:@", "___"))
        folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(target)))
        assert _hashes(folder) == story.files, uri
    assert _predicted(story, f"models:/{MODEL}/Production") == "42"


def _roots_after(story: Story) -> list[str]:
    """As `_roots`, of what was deleted."""
    run = story.client.get_run(story.run).info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return [f"{run}/model", run, run.removesuffix("/artifacts"), f"{story.experiment}/models/{story.logged_model}"]


def _collect(story: Story) -> None:
    """`mlflow gc`, as an operator with the database's credentials runs it."""
    database = story.service.environ["MODEL_REGISTRY_DATABASE_URL"]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "gc",
        "--backend-store-uri",
        database,
        "--tracking-uri",
        story.service.url,
    ]
    done = subprocess.run(command, env=_environ(story), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with pytest.raises(MlflowException):
        story.client.get_run(story.run)


def _environ(story: Story) -> dict[str, str]:
    return {**os.environ, "MLFLOW_TRACKING_TOKEN": story.service.token}


def _predicted(story: Story, uri: str) -> str:
    code = f"import mlflow; print(mlflow.pyfunc.load_model({uri!r}).predict([[1.0]])[0])"
    environ = {**_environ(story), "MLFLOW_TRACKING_URI": f"{story.service.url}/environments/prod"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True)
    return done.stdout.strip()


TRANSITIONS = 200


@pytest.mark.slow
def test_concurrent_transitions_leave_one_version_in_a_stage(service: Service, story: Story) -> None:
    """Through gunicorn's processes, from many threads; the history has every change once, without a gap."""
    token = cli(service.environ, "token", "create", "--name", "mover", "--scope", "promote:prod", "--plain")
    headers = {"Authorization": f"Bearer {token}"}

    def move(step: int) -> int:
        body = {"name": "answer", "version": str(step % 4 + 1), "stage": ("Production", "Staging")[step // 2 % 2]}
        place = f"{service.url}{API}/model-versions/transition-stage"
        return requests.post(
            place, json={**body, "archive_existing_versions": True}, headers=headers, timeout=120
        ).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(move, range(TRANSITIONS))) == {200}
    held = [
        row for row in service.get("/v1/environments/prod/stages").json()["assignments"] if row["model"] == "answer"
    ]
    assert sorted(row["stage"] for row in held) == ["Production", "Staging"]
    for row in held:
        place = f"/v1/environments/prod/models/answer/stages/{row['stage']}/history"
        changes = service.get(f"{place}?limit=500").json()["changes"]
        assert [change["revision"] for change in changes] == list(range(len(changes), 0, -1))
        assert changes[0]["version"] == row["version"]
        assert all(
            newer["previous_version"] == older["version"] != newer["version"]
            for newer, older in itertools.pairwise(changes)
        )
        latest = requests.get(
            f"{service.url}{API}/registered-models/get-latest-versions",
            params={"name": "answer", "stages": row["stage"]},
            headers=headers,
            timeout=30,
        ).json()["model_versions"]
        assert [found["version"] for found in latest] == [str(row["version"])]
