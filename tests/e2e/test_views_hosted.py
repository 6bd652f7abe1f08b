"""The hosted registry as MLflow's clients and a browser meet it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.conftest import EXPORTS
from tests.e2e.conftest import Service, cli


@pytest.fixture(scope="module")
def story(service: Service) -> Service:
    """The 42 model as `hosted-answer`: v4 in blue/Production, v3 in green/Production."""
    assert service.put("/v1/workspaces/hosted", {"kind": "mlflow"}).status_code == 201
    sent = service.send("hosted", EXPORTS / "mlflow317-master-model-dummy.tar.gz", model_name="hosted-answer")
    assert sent.status_code == 201, sent.text
    for environment, version in (("blue", 4), ("green", 3)):
        assert service.put(f"/v1/environments/{environment}", {}).status_code == 201
        stage = f"/v1/environments/{environment}/models/hosted-answer/stages/Production"
        assert service.put(stage, {"version": version}).status_code == 200
    return service


def _use(monkeypatch: pytest.MonkeyPatch, uri: str, token: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)


def _predicted(tracking_uri: str, token: str, model_uri: str) -> str:
    """What a serving process of its own answers."""
    code = f"import mlflow; print(mlflow.pyfunc.load_model({model_uri!r}).predict([[1.0]])[0])"
    environ = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_TRACKING_TOKEN": token}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_same_line_loads_each_environment_s_version(story: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for environment, version in (("blue", 4), ("green", 3)):
        scope = f"read:{environment}"
        token = cli(story.environ, "token", "create", "--name", environment, "--scope", scope, "--plain")
        _use(monkeypatch, f"{story.url}/environments/{environment}", token)
        for uri in ("models:/hosted-answer/Production", "models:/hosted-answer@production"):
            folder = Path(mlflow.artifacts.download_artifacts(uri))
            expected = story.get(f"/v1/environments/{environment}/models/hosted-answer/stages/Production/files").json()
            assert expected["version"] == version
            for file in expected["files"]:
                assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
            assert _predicted(f"{story.url}/environments/{environment}", token, uri) == "42"
        with pytest.raises(MlflowException, match="has no version"):
            mlflow.artifacts.download_artifacts(f"models:/hosted-answer/{7 - version}")


def test_tracking_at_the_root(story: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _use(monkeypatch, story.url, story.token)
    client = MlflowClient()
    experiment = client.create_experiment("logged-here")
    run = client.create_run(experiment)
    client.log_param(run.info.run_id, "p", "1")
    client.log_metric(run.info.run_id, "m", 0.5, timestamp=1, step=2)
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: none\n")
    (model / "weights.bin").write_bytes(b"\0\1\2" * 100_000)
    client.log_artifacts(run.info.run_id, str(model), "model")
    client.set_terminated(run.info.run_id)
    read = client.get_run(run.info.run_id)
    assert (read.data.params, read.data.metrics, read.info.status) == ({"p": "1"}, {"m": 0.5}, "FINISHED")
    assert sorted(item.path for item in client.list_artifacts(run.info.run_id, "model")) == [
        "model/MLmodel",
        "model/weights.bin",
    ]
    body = {"run_id": run.info.run_id, "artifact_path": "model"}
    made = requests.post(f"{story.url}/v1/models/logged/versions", json=body, headers=story.headers, timeout=30)
    assert made.status_code == 201, made.text
    assert made.json()["flavors"] == {"python_function": {"loader_module": "none"}}
    (model / "weights.bin").write_bytes(b"tampered")
    client.log_artifacts(run.info.run_id, str(model), "model")
    client.delete_run(run.info.run_id)
    _check_recorded(story, experiment, run.info.run_id)
    assert story.put("/v1/environments/blue/models/logged/stages/Production", {"version": 1}).status_code == 200
    files = story.get("/v1/environments/blue/models/logged/stages/Production/files").json()["files"]
    weights = next(file for file in files if file["path"] == "weights.bin")
    assert requests.get(weights["url"], timeout=30).content == b"\0\1\2" * 100_000


def _check_recorded(story: Service, experiment: str, run_id: str) -> None:
    """Each call that changed something, once, and in order."""
    rows = story.get("/v1/audit?action=mlflow.&limit=1000").json()["rows"][::-1]
    assert {row["actor"] for row in rows} == {"e2e"}
    told = [(row["after"]["route"].removeprefix("/api/2.0/"), row["subject"]) for row in rows]
    artifact = ("mlflow-artifacts/artifacts/<path>", f"{experiment}/{run_id}/artifacts/model/")
    uploads = [(artifact[0], artifact[1] + name) for name in ("MLmodel", "weights.bin")]
    assert [item for item in told if item not in uploads] == [
        ("mlflow/experiments/create", "logged-here"),
        ("mlflow/runs/create", experiment),
        ("mlflow/runs/log-parameter", run_id),
        ("mlflow/runs/log-metric", run_id),
        ("mlflow/runs/update", run_id),
        ("mlflow/runs/delete", run_id),
    ]
    assert sorted(item for item in told if item in uploads) == sorted(2 * uploads)


def test_registered_bytes_cannot_be_written(story: Service) -> None:
    digest = story.get("/v1/models/hosted-answer/versions/4").json()["digest"].removeprefix("sha256:")
    place = f"{story.url}/api/2.0/mlflow-artifacts/artifacts/registered/{digest}/MLmodel"
    before = requests.get(place, headers=story.headers, timeout=30).content
    for method in ("PUT", "DELETE"):
        refused = requests.request(method, place, data=b"x", headers=story.headers, timeout=30)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert refused.headers["X-Request-Id"]
    assert requests.get(place, headers=story.headers, timeout=30).content == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("GET", "/graphql"),
        ("POST", "/signup"),
        ("GET", "/ajax-api/2.0/mlflow/users/current"),
        ("POST", "/ajax-api/3.0/mlflow/assistant"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/list"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
        ("GET", "/api/3.0/mlflow/workspaces"),
    ],
)
def test_parts_of_mlflow_that_are_not_hosted(story: Service, method: str, path: str) -> None:
    got = requests.request(method, story.url + path, json={}, headers=story.headers, timeout=30)
    assert (got.status_code, got.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_root_needs_a_scope_of_the_registry(story: Service) -> None:
    path = f"{story.url}/api/2.0/mlflow/experiments/search?max_results=5"
    assert requests.get(path, timeout=30).status_code == 401
    token = cli(story.environ, "token", "create", "--name", "reader", "--scope", "read:blue", "--plain")
    assert requests.get(path, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 403
    created = f"{story.url}/api/2.0/mlflow/experiments/create"
    for scope, statuses in (("browse", (200, 403)), ("track", (200, 200))):
        token = cli(story.environ, "token", "create", "--name", scope, "--scope", scope, "--plain")
        headers = {"Authorization": f"Bearer {token}"}
        written = requests.post(created, json={"name": f"of {scope}"}, headers=headers, timeout=30)
        assert (requests.get(path, headers=headers, timeout=30).status_code, written.status_code) == statuses
        if written.status_code == 403:
            assert written.json()["message"] == "The token 'browse' does not hold the scope track."
    assert requests.get(path, auth=("anyone", story.token), timeout=30).status_code == 200


def test_user_interface(story: Service) -> None:
    page = requests.get(f"{story.url}/", auth=("anyone", story.token), timeout=30)
    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text
    script = page.text.partition('src="')[2].partition('"')[0].lstrip("./")
    assert requests.get(f"{story.url}/{script}", auth=("anyone", story.token), timeout=30).status_code == 200
