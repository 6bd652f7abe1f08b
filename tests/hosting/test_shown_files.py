"""Single files as MLflow's pages ask for them: streamed, held against the manifest, never a folder."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from werkzeug.test import Client, TestResponse

from service.domain.layout import version_prefix
from service.hosting import artifact_repository
from service.wiring import Parts
from tests.hosting.registering import MLMODEL, Hosted, digest_of

LOGGED = "/ajax-api/2.0/mlflow/logged-models/{}/artifacts/files"
SCRIPT = b"<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _nothing_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("MLflow copied the artifact to this machine")

    monkeypatch.setattr(ArtifactRepository, "download_artifacts", refuse)


@pytest.fixture
def registry(hosted: Callable[..., Client]) -> Hosted:
    return Hosted(hosted("track"))


@pytest.fixture
def run(registry: Hosted) -> str:
    run = registry.run("one", MLmodel=MLMODEL, weights=bytes(3 * 1024 * 1024))
    registry.put(f"{registry.root(run)}/seen/Größe 1.html", SCRIPT)
    return run


@pytest.fixture
def ask(registry: Hosted, run: str) -> Callable[..., TestResponse]:
    """A file of the run, of version 1 of `orders`, or of a logged model, by the path inside of it."""
    version = registry.register("orders", run)
    info = registry.get("runs/get", run_id=run).json["run"]["info"]
    made = registry.post("logged-models", experiment_id=info["experiment_id"], name="logged", source_run_id=run).json
    logged = made["model"]["info"]
    registry.put(f"{logged['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model/MLmodel", MLMODEL)
    assert version["version"] == "1"

    def ask(kind: str, path: str, client: Client | None = None, **more: Any) -> TestResponse:
        address, query = {
            "run": ("/get-artifact", {"run_uuid": run, "path": f"model/{path}"}),
            "version": ("/model-versions/get-artifact", {"name": "orders", "version": "1", "path": path}),
            "logged": (LOGGED.format(logged["model_id"]), {"artifact_file_path": f"model/{path}"}),
        }[kind]
        address = more.pop("place", "") + address
        return (client or registry.client).get(address, query_string=query | more.pop("query", {}), **more)

    return ask


KINDS = ("run", "version", "logged")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file(ask: Callable[..., TestResponse], client: FlaskClient, kind: str) -> None:
    client.put("/v1/environments/prod", json={})
    for place in ("", "/environments/prod"):
        shown = ask(kind, "MLmodel", place=place)
        assert (shown.status_code, shown.data) == (200, MLMODEL), shown.text
        assert shown.headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert shown.headers["Cache-Control"] == "no-store"
        assert shown.headers["Content-Disposition"] == "attachment; filename*=UTF-8''MLmodel"
    part = ask(kind, "MLmodel", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.data) == (206, MLMODEL[2:6])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file(ask: Callable[..., TestResponse], kind: str) -> None:
    for path in ("", ".", "absent", "../model/MLmodel", "%2e%2e/model/MLmodel", "a//b", "MLmodel/"):
        refused = ask(kind, path)
        assert refused.status_code in (400, 404), path
        assert refused.json["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"), path


def test_a_folder_is_refused(registry: Hosted, ask: Callable[..., TestResponse], run: str) -> None:
    assert ask("run", "", query={"path": "model"}).status_code == 404
    assert ask("logged", "", query={"artifact_file_path": "model"}).status_code == 404


def test_nothing_of_what_is_not_there(ask: Callable[..., TestResponse], hosted: Callable[..., Client]) -> None:
    for kind, query in (
        ("run", {"run_uuid": "absent"}),
        ("run", {"run_uuid": ""}),
        ("version", {"version": "2"}),
        ("version", {"version": "x"}),
        ("version", {"name": "absent"}),
    ):
        assert ask(kind, "MLmodel", query=query).status_code in (400, 404), query
    for kind in KINDS:
        assert ask(kind, "MLmodel", place="/environments/absent").status_code == 404
        assert ask(kind, "MLmodel", hosted("read:*"), place="/environments/prod").status_code == 403
        assert ask(kind, "MLmodel", hosted()).status_code == 401


def test_a_page_is_told_to_be_text(ask: Callable[..., TestResponse]) -> None:
    page = ask("run", "", query={"path": "seen/Größe 1.html"})
    assert (page.data, page.mimetype) == (SCRIPT, "text/plain")
    assert page.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.html"


def test_damage_is_told(ask: Callable[..., TestResponse], registry: Hosted, parts: Parts) -> None:
    version = registry.get("model-versions/get", name="orders", version="1").json["model_version"]
    key = f"{version_prefix(digest_of(version))}MLmodel"
    evil = MLMODEL.replace(b"none", b"evil")
    parts.objects.put(key, io.BytesIO(evil), len(evil))
    for _ in range(2):
        refused = ask("version", "MLmodel")
        assert (refused.status_code, refused.json["error_code"]) == (409, "IO_ERROR")
        assert b"evil" not in refused.data


def test_a_file_of_a_trace_is_bounded(registry: Hosted, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's handler copies it."""
    experiment = registry.get("runs/get", run_id=run).json["run"]["info"]["experiment_id"]
    info = {
        "trace_id": "tr-1",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2024-05-01T12:00:00Z",
        "state": "OK",
    }
    made = registry.client.post("/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}})
    assert made.status_code == 200, made.text
    place = made.json["trace"]["trace_info"]["tags"]["mlflow.artifactLocation"].removeprefix("mlflow-artifacts:/")

    def shown(name: str) -> TestResponse:
        query = {"request_id": "tr-1", "path": name}
        address = "/ajax-api/2.0/mlflow/get-trace-artifact"
        return registry.client.get(address, query_string=query, buffered=True)

    name, absent = str(uuid.uuid4()), str(uuid.uuid4())
    registry.put(f"{place}/attachments/{name}", b"12345")
    assert (shown(name).status_code, shown(name).data) == (200, b"12345"), shown(name).text
    assert (shown(absent).status_code, shown(absent).json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    monkeypatch.setattr(artifact_repository, "MOST", 4)
    refused = shown(name)
    assert (refused.status_code, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "more than 4 bytes" in refused.json["message"]
