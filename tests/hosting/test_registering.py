"""Registering over MLflow's API: bytes are frozen, from this registry's own space only."""

from __future__ import annotations

import io
from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from service.domain.layout import PENDING, VERSIONS, version_prefix
from service.usecases import request_version
from service.usecases.request_version import freeze_version
from service.wiring import Parts
from tests.conftest import export
from tests.hosting.registering import FILES, MLMODEL, Hosted, digest_of


@pytest.fixture
def registry(hosted: Callable[..., Client]) -> Hosted:
    return Hosted(hosted("track"))


def keys(parts: Parts, prefix: str) -> set[str]:
    return {info.key for info in parts.objects.list(prefix)}


def test_the_bytes_are_frozen_and_stored_once(registry: Hosted, parts: Parts, client: FlaskClient) -> None:
    run = registry.run("one", MLmodel=MLMODEL, weights=b"\0\1\2" * 1000)
    version = registry.register("orders", run, description="text", tags=[{"key": "a", "value": "b"}])
    assert (version["version"], version["status"], version["current_stage"]) == ("1", "READY", "None")
    assert (version["source"], version["run_id"], version["description"]) == (f"runs:/{run}/model", run, "text")
    digest = digest_of(version)
    uri = registry.get("model-versions/get-download-uri", name="orders", version="1").json["artifact_uri"]
    assert uri == f"mlflow-artifacts:/registered/{digest[7:]}"
    told = client.get("/v1/models/orders/versions/1").json
    assert (told["digest"], told["run_id"]) == (digest, run)
    assert told["flavors"] == {"python_function": {"loader_module": "none"}}
    folder = registry.root(run)
    for again in (f"mlflow-artifacts:/{folder}/model", f"runs:/{run}/model", "models:/orders/1"):
        same = registry.register("orders", run, again, tags=[{"key": "model_registry.digest", "value": digest}])
        assert (same["status"], digest_of(same)) == ("READY", digest), again
    other = registry.register("copies", run, "models:/orders/1")
    assert (other["version"], digest_of(other)) == ("1", digest)
    assert keys(parts, VERSIONS) == {version_prefix(digest) + name for name in ("MLmodel", "weights")}
    assert keys(parts, PENDING) == set()
    registry.put(f"{folder}/model/weights", b"tampered")
    assert registry.read(f"registered/{digest[7:]}/weights").data == b"\0\1\2" * 1000
    changed = registry.register("orders", run)
    assert changed["version"] == "5"
    assert digest_of(changed) != digest
    found = registry.get("model-versions/search", filter=f"tags.`model_registry.digest` = '{digest}'").json
    assert {(row["name"], row["version"]) for row in found["model_versions"]} == {
        ("copies", "1"),
        *(("orders", str(number)) for number in range(1, 5)),
    }
    rows = client.get("/v1/audit?action=version.registered").json["rows"]
    assert [(row["model"], row["subject"]) for row in rows][-1] == ("orders", "1")
    assert len(rows) == 6


def test_a_logged_model_stands_in_for_the_folder_of_its_run(registry: Hosted) -> None:
    """MLflow 3 keeps a run's models beside the run; tools name them by where the run's files would be."""
    run = registry.run("one")
    experiment = registry.get("runs/get", run_id=run).json["run"]["info"]["experiment_id"]
    made = registry.post("logged-models", experiment_id=experiment, name="model", source_run_id=run).json["model"]
    output = {"model_id": made["info"]["model_id"], "step": 0}
    assert registry.post("runs/outputs", run_id=run, models=[output]).status_code == 200
    registry.put(f"{made['info']['artifact_uri'].removeprefix('mlflow-artifacts:/')}/MLmodel", MLMODEL)
    version = registry.register("orders", run, f"mlflow-artifacts:/{registry.root(run)}/model")
    assert (version["status"], version["run_id"]) == ("READY", run)
    assert registry.read(f"registered/{digest_of(version)[7:]}/MLmodel").data == MLMODEL
    by_id = {"source": f"models:/{output['model_id']}", "model_id": output["model_id"]}
    assert registry.register("orders", run, **by_id)["run_id"] == run
    borrowed = registry.post("model-versions/create", name="orders", run_id=registry.run("two"), **by_id)
    assert (borrowed.status_code, borrowed.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    absent = registry.post(
        "model-versions/create", name="orders", source=f"mlflow-artifacts:/{registry.root(run)}/other", run_id=run
    )
    assert (absent.status_code, absent.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


SOURCES = [
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "/etc",
    "model",
    "s3://bucket/model",
    "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/{root}/model",
    "https://elsewhere.example/x",
    "dbfs:/models",
    "MLFLOW-ARTIFACTS:/{root}/model",
    "Mlflow-artifacts:/{root}/model",
    "Runs:/{run}/model",
    "mlflow-artifacts://host/{root}/model",
    "mlflow-artifacts:///{root}/model",
    "mlflow-artifacts://host:80/{root}/model",
    "mlflow-artifacts:/{root}/../model",
    "mlflow-artifacts:/{root}/%2e%2e/model",
    "mlflow-artifacts:/{root}/%252e%252e/model",
    "mlflow-artifacts:/{root}/model/..%2fmodel",
    "mlflow-artifacts:/{root}/model%5c..%5cx",
    "mlflow-artifacts:/{root}/model\\x",
    "mlflow-artifacts:/{root}/./model",
    "mlflow-artifacts:/{root}//model",
    "mlflow-artifacts:/{root}/model?x=1",
    "mlflow-artifacts:/{root}/model#x",
    "mlflow-artifacts:/{root}/mod\x01el",
    "mlflow-artifacts:/{root}/model%00",
    "mlflow-artifacts:/{other}/model",
    "mlflow-artifacts:/",
    "mlflow-artifacts:/registered",
    "mlflow-artifacts:/registered/" + "0" * 64,
    "runs:/{run}/../{run}/model",
    "runs:/{run}/absent",
    "runs:/{run}",
    "models:/m-absent",
    "models:/absent/1",
    "models:/orders/9",
    "models:/orders/Production",
    "models://host/orders/1",
    "mlflow-artifacts:/{root}/" + "x" * 600,
]


def test_sources_that_are_not_ours_are_refused(registry: Hosted, parts: Parts) -> None:
    run, other = registry.run("one", MLmodel=MLMODEL), registry.run("two", MLmodel=MLMODEL)
    registry.register("orders", run)
    names = {"root": registry.root(run), "other": registry.root(other), "run": run}
    before = keys(parts, "models/")
    for pattern in SOURCES:
        source = pattern.format(**names)
        for more in ({"run_id": run}, {}):
            refused = registry.post("model-versions/create", name="orders", source=source, **more)
            assert refused.status_code in (400, 404), (source, refused.text)
            assert refused.json["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"), source
    assert (
        registry.post("model-versions/create", name="absent", source=f"runs:/{run}/model", run_id=run).status_code
        == 404
    )
    assert keys(parts, "models/") == before
    assert registry.register("orders", run)["version"] == "2"


def test_a_version_on_its_way(
    registry: Hosted, parts: Parts, client: FlaskClient, hosted: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_version, "SMALL_FILES", 0)
    client.put("/v1/environments/prod", json={})
    promoter = Hosted(hosted("promote:prod"), "/environments/prod")
    run = registry.run("one", MLmodel=MLMODEL)
    version = registry.register("orders", run)
    assert (version["status"], "tags" in version) == ("PENDING_REGISTRATION", False)
    for refused, code in (
        (registry.get("model-versions/get-download-uri", name="orders", version="1"), "INVALID_STATE"),
        (
            promoter.post("model-versions/transition-stage", name="orders", version="1", stage="Production"),
            "RESOURCE_DOES_NOT_EXIST",
        ),
    ):
        assert refused.json["error_code"] == code
        assert "still being registered" in refused.json["message"]
    place = "/v1/environments/prod/models/orders/stages/Production"
    put = client.put(place, json={"version": 1})
    assert (put.status_code, "still being registered" in put.json["detail"]) == (404, True)
    freeze_version(parts.store, parts.objects, parts.clock, "orders", 1)
    assert registry.get("model-versions/get", name="orders", version="1").json["model_version"]["status"] == "READY"
    assert client.put(place, json={"version": 1}).status_code == 200
    gone = registry.run("two", MLmodel=MLMODEL)
    registry.register("orders", gone)
    registry.client.delete(f"{FILES}/{registry.root(gone)}/model/MLmodel")
    freeze_version(parts.store, parts.objects, parts.clock, "orders", 2)
    failed = registry.get("model-versions/get", name="orders", version="2").json["model_version"]
    assert (failed["status"], failed["status_message"]) == ("FAILED_REGISTRATION", "The source has no files any more.")
    refused = registry.get("model-versions/get-download-uri", name="orders", version="2")
    assert (refused.status_code, "no files any more" in refused.json["message"]) == (409, True)


def test_files_that_no_puller_would_place(registry: Hosted, parts: Parts) -> None:
    run = registry.run("one", MLmodel=MLMODEL)
    key = f"mlflow/{registry.root(run)}/model/we\x85ights"
    parts.objects.put(key, io.BytesIO(b"1"), 1)
    failed = registry.register("orders", run)
    assert failed["status"] == "FAILED_REGISTRATION"
    assert r"The file 'we\x85ights' has a control character in its name" in failed["status_message"]
    assert keys(parts, "models/") == set()
    assert registry.client.delete(f"{FILES}/{quote(key.removeprefix('mlflow/'))}").status_code == 200
    assert registry.register("orders", run)["status"] == "READY"


def test_names_of_workspaces(
    hosted: Callable[..., Client], registry: Hosted, client: FlaskClient, run_imports: Callable[[], int]
) -> None:
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})
    client.post("/v1/workspaces/dev/imports", data=export("mlflow317-master-model-dummy"))
    run_imports()
    run = registry.run("one", MLmodel=MLMODEL)
    taken = registry.post("registered-models/create", name="dummy-model")
    assert (taken.status_code, taken.json["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    wanted = {"name": "dummy-model", "source": f"runs:/{run}/model", "run_id": run}
    refused = registry.post("model-versions/create", **wanted)
    assert (refused.status_code, refused.json["error_code"]) == (403, "PERMISSION_DENIED")
    for scopes in (("track", "import:dev"), ("admin",)):
        made = Hosted(hosted(*scopes)).post("model-versions/create", **wanted)
        assert made.status_code == 200, made.text


def test_what_stages_need_is_not_deleted(
    hosted: Callable[..., Client], registry: Hosted, parts: Parts, client: FlaskClient
) -> None:
    client.put("/v1/environments/prod", json={})
    place = "/v1/environments/prod/models/orders/stages/Production"
    run = registry.run("one", MLmodel=MLMODEL)
    digest = digest_of(registry.register("orders", run))
    registry.register("orders", run)
    assert client.put(place, json={"version": 1}).status_code == 200
    root = Hosted(hosted("admin"))
    for refused in (
        root.delete("model-versions/delete", name="orders", version="1"),
        root.delete("registered-models/delete", name="orders"),
        root.post("registered-models/rename", name="orders", new_name="renamed"),
    ):
        assert (refused.status_code, refused.json["error_code"]) == (409, "INVALID_STATE")
    assert "prod/Production" in root.delete("model-versions/delete", name="orders", version="1").json["message"]
    assert registry.delete("model-versions/delete", name="orders", version="2").status_code == 403
    assert client.put(place, json={"version": 2}).status_code == 200
    assert root.delete("model-versions/delete", name="orders", version="1").status_code == 200
    for gone in (
        root.get("model-versions/get", name="orders", version="1"),
        client.get("/v1/models/orders/versions/1"),
        client.post(f"{place}/rollback", json={}),
        client.post(f"{place}/rollback", json={"to_revision": 1}),
    ):
        assert gone.status_code in (404, 409), gone.text
    history = client.get(f"{place}/history").json["changes"]
    assert [(change["version"], change["digest"]) for change in history] == [(2, digest), (1, digest)]
    assert client.delete(place).status_code in (200, 204)
    assert root.delete("registered-models/delete", name="orders").status_code == 200
    assert client.get("/v1/models/orders").status_code == 404
    assert registry.register("orders", run)["version"] == "3"
    assert registry.read(f"registered/{digest[7:]}/MLmodel").data == MLMODEL
    actions = [row["action"] for row in client.get("/v1/audit?model=orders").json["rows"]]
    assert {"version.deleted", "model.deleted", "model.created"} <= set(actions)
    other = registry.register("names", run)
    assert other["version"] == "1"
    renamed = root.post("registered-models/rename", name="names", new_name="renamed")
    assert renamed.json["registered_model"]["latest_versions"][0]["version"] == "1"
    assert root.get("registered-models/get", name="names").status_code == 404


def test_what_archived_holds_can_be_deleted(
    hosted: Callable[..., Client], registry: Hosted, client: FlaskClient
) -> None:
    """Clients archive what they delete; mlflow-export-import does, one version after the other."""
    prod, test = (f"/v1/environments/{name}" for name in ("prod", "test"))
    archives = [f"{environment}/models/orders/stages/Archived" for environment in (prod, test)]
    production = f"{prod}/models/orders/stages/Production"
    root = Hosted(hosted("admin"))
    run = registry.run("one", MLmodel=MLMODEL)
    for version in ("1", "2"):
        assert registry.register("orders", run)["version"] == version
    assert [client.put(environment, json={}).status_code for environment in (prod, test)] == [201, 201]
    for place, number in ((archives[0], 1), (archives[1], 1), (production, 2)):
        assert client.put(place, json={"version": number}).status_code == 200
    client.put(f"{test}/freeze", json={"reason": "Christmas"})
    frozen = root.delete("model-versions/delete", name="orders", version="1")
    assert (frozen.status_code, "Christmas" in frozen.json["message"]) == (409, True)
    assert [client.get(place).json["version"] for place in archives] == [1, 1]
    client.delete(f"{test}/freeze")
    assert root.delete("model-versions/delete", name="orders", version="1").status_code == 200
    assert [client.get(place).status_code for place in archives] == [404, 404]
    for place in archives:
        changes = client.get(f"{place}/history").json["changes"]
        assert [(change["version"], change["kind"]) for change in changes] == [(None, "emptied"), (1, "promotion")]
    assert client.put(archives[1], json={"version": 2}).status_code == 200
    for refused in (
        root.delete("model-versions/delete", name="orders", version="2"),
        root.delete("registered-models/delete", name="orders"),
    ):
        assert (refused.status_code, "prod/Production" in refused.json["message"]) == (409, True)
    assert client.get(archives[1]).json["version"] == 2
    assert client.delete(production).status_code in (200, 204)
    assert root.delete("registered-models/delete", name="orders").status_code == 200
    assert client.get(archives[1]).status_code == 404
