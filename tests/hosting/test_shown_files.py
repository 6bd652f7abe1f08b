"""Single files as MLflow's pages ask for them: streamed, held against the manifest, never a folder."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from werkzeug.test import Client, TestResponse

from service.domain.layout import version_prefix
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
