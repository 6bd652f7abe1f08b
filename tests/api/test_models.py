"""Registered models, their versions, and how a version is made of a run's artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.errors import InvalidInput
from service.domain.layout import run_path, version_prefix
from service.domain.model import Manifest, ManifestFile
from service.usecases.register_version import frozen
from service.wiring import Parts
from tests.api.conftest import ORDERS, OTHER_RUN, bearer
from tests.api.matching import ID, NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN, Document, changed, packed, registered_model, run, version

MLMODEL = b"flavors: {python_function: {loader_module: mlflow.sklearn}}\n"
VERSIONS = "/v1/models/orders/versions"


def manifest(**files: bytes) -> Manifest:
    return Manifest.of(ManifestFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items())


FIRST = manifest(**{"MLmodel": MLMODEL, "model.pkl": b"42"})
SECOND = manifest(**{"model.pkl": b"43"})


def lineage(run_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "workspace": "dev",
        "original_run_id": run_id,
        "run_id": run_id,
        "artifact_path": "model",
        "experiment": "experiment 7",
        "experiment_id": "7",
        "user": "jane",
        "run_start_time": 1700000000000,
        "run_end_time": 1700000001000,
        "original_model": "",
        "original_version": "",
        "original_stage": "",
        "original_source": "",
        "notebook": "",
        "git_commit": "",
        "git_url": "",
        "tool_version": "1.2.0",
        "mlflow_version": "2.22.5",
        "tracking_uri": "http://tracking.example",
        "exported_at": 1700000000000,
        "import_id": ID,
        "archive_digest": "sha256:" + hashlib.sha256(ORDERS).hexdigest(),
        "source": {"artifact_uri": f"mlflow-artifacts:/7/{run_id}/artifacts", "tags": {}},
        **fields,
    }


def shown(number: int, run_id: str, files: Manifest, **fields: Any) -> dict[str, Any]:
    return {
        "model": "orders",
        "version": number,
        "digest": files.digest,
        "size": files.size,
        "run_id": run_id,
        "description": "",
        "created_by": "test",
        "created_at": NOW,
        "flavors": {},
        "signature": None,
        "withdrawn": None,
        **fields,
    }


def test_a_model_and_its_versions(filled: FlaskClient) -> None:
    model = {
        "name": "orders",
        "workspace": "dev",
        "description": "",
        "tags": {},
        "aliases": {},
        "created_at": NOW,
        "versions": [1, 2],
    }
    assert filled.get("/v1/models/orders").get_json() == model
    assert filled.get("/v1/models").get_json() == {"models": [model]}
    exported = {"original_model": "orders", "original_source": f"mlflow-artifacts:/7/{RUN}/artifacts/model"}
    first = lineage(RUN, original_version="1", original_stage="Production", **exported)
    flavors = {"python_function": {"loader_module": "mlflow.sklearn"}}
    assert filled.get(f"{VERSIONS}/1").get_json() == shown(1, RUN, FIRST, flavors=flavors, lineage=first)
    second = filled.get(f"{VERSIONS}/2")
    assert second.status_code == 200
    assert second.get_json()["digest"] == SECOND.digest
    assert second.get_json()["lineage"]["original_run_id"] == OTHER_RUN


def test_all_that_an_export_says_of_a_model(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    row = version("10", description="good", tags={"a": "b"})
    document = registered_model(
        version("2", OTHER_RUN),
        row,
        version("3", "0" * 32),
        description="Ünïcode",
        tags=[{"key": "team", "value": "a"}],
        aliases=[{"alias": "champion", "version": "10"}, {"alias": "lost", "version": "3"}],
    )
    tags = {
        "mlflow.databricks.notebookPath": "/Shared/train",
        "mlflow.source.git.commit": "abc123",
        "mlflow.source.git.repoURL": "https://git.example/repo",
        "other": "not lineage",
    }
    files: dict[str, bytes | Document] = {
        "model.json": document,
        f"{RUN}/run.json": changed(run(tags=tags), "mlflow.newer", {"a": [1]}),
        f"{RUN}/artifacts/model/MLmodel": MLMODEL + b'signature: {inputs: \'[{"type": "long"}]\'}\n',
        f"{OTHER_RUN}/run.json": run(OTHER_RUN),
        f"{OTHER_RUN}/artifacts/model/MLmodel": b"no YAML: {",
    }
    sent = places.post("/v1/workspaces/dev/imports", data=packed(files))
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert report["failed"] == [
        {"kind": "version", "name": "orders/3", "reason": "the export does not hold the model's files"}
    ]
    assert report["incomplete"] == [
        {"kind": "alias", "name": "orders@lost", "reason": "its version 3 was not taken in"}
    ]
    model = places.get("/v1/models/orders").get_json()
    assert (model["description"], model["tags"]) == ("Ünïcode", {"team": "a"})
    assert (model["aliases"], model["versions"]) == ({"champion": 10}, [2, 10])
    tenth = places.get(f"{VERSIONS}/10").get_json()
    assert tenth["description"] == "good"
    assert tenth["signature"] == {"inputs": [{"type": "long"}], "outputs": None, "params": None}
    kept = {key: value for key, value in tags.items() if key != "other"}
    assert tenth["lineage"]["source"] == {
        "artifact_uri": f"mlflow-artifacts:/7/{RUN}/artifacts",
        "tags": kept,
        "unknown": {"newer": {"a": [1]}},
    }
    assert [tenth["lineage"][name] for name in ("notebook", "git_commit", "git_url")] == list(kept.values())
    second = places.get(f"{VERSIONS}/2").get_json()
    assert (second["flavors"], second["signature"]) == ({}, None)


def test_a_version_is_registered(filled: FlaskClient, parts: Parts) -> None:
    body = {"run_id": RUN, "artifact_path": "model"}
    made = filled.post(VERSIONS, json=body)
    assert made.status_code == 201
    assert made.headers["Location"] == f"{VERSIONS}/3"
    flavors = {"python_function": {"loader_module": "mlflow.sklearn"}}
    assert made.get_json() == shown(3, RUN, FIRST, flavors=flavors, lineage=lineage(RUN))
    assert filled.get(made.headers["Location"]).get_json() == made.get_json()
    stored = {info.key for info in parts.objects.list("models/")}
    assert stored == {version_prefix(files.digest) + file.path for files in (FIRST, SECOND) for file in files.files}, (
        "equal bytes are stored once, and nothing is pending"
    )
    assert filled.post(VERSIONS, json=body).get_json()["version"] == 4, "each request makes a version"


def test_a_version_of_all_artifacts_and_of_new_bytes(filled: FlaskClient, parts: Parts) -> None:
    """What is registered is what the run holds now, copied: later writes to the run change nothing."""
    key = f"mlflow/{run_path('dev', RUN)}/notes/ünï #%.txt"
    parts.objects.put(key, BytesIO(b"first"), 5)
    made = filled.post("/v1/models/whole run/versions", json={"run_id": RUN})
    expected = manifest(**{"model/MLmodel": MLMODEL, "model/model.pkl": b"42", "notes/ünï #%.txt": b"first"})
    assert made.headers["Location"] == "/v1/models/whole%20run/versions/1"
    assert (made.get_json()["digest"], made.get_json()["size"]) == (expected.digest, expected.size)
    assert made.get_json()["flavors"] == {}, "the MLmodel file is not at the root"
    parts.objects.put(key, BytesIO(b"other"), 5)
    with parts.objects.open(version_prefix(expected.digest) + "notes/ünï #%.txt") as stored:
        assert stored.read() == b"first"
    assert filled.get(made.headers["Location"]).get_json() == made.get_json()


def test_paths_of_artifacts(filled: FlaskClient, nothing_left: Unchanged) -> None:
    for path in ("/model/", "model/"):
        made = filled.post(VERSIONS, json={"run_id": RUN, "artifact_path": path}).get_json()
        assert made["lineage"]["artifact_path"] == "model"
    with nothing_left():
        for path in (".", "..", "../model", "model/../model", "model//x", "model/."):
            response = filled.post(VERSIONS, json={"run_id": RUN, "artifact_path": path})
            problem(response, 422, "invalid-input", field="artifact_path")
        for path in ("absent", "mod", "model/MLmodel", "model/absent", "Model"):
            response = filled.post(VERSIONS, json={"run_id": RUN, "artifact_path": path})
            problem(response, 404, "artifact-not-found", kind="artifact", name=path)


def test_files_that_no_puller_would_place(filled: FlaskClient, parts: Parts, nothing_left: Unchanged) -> None:
    """They may have been logged before such names were refused, or by S3 itself."""
    refused = {"\x85": "a control character", "line\u2028": "a control character", "x" * 256: "more than 255 bytes"}
    for name, told in refused.items():
        named = name.encode("unicode_escape").decode()
        key = f"mlflow/{run_path('dev', RUN)}/model/{name}"
        parts.objects.put(key, BytesIO(b"1"), 1)
        with nothing_left():
            response = filled.post(VERSIONS, json={"run_id": RUN, "artifact_path": "model"})
            document = problem(response, 422, "invalid-input", file=named[:200] + "…" * (len(named) > 200))
        assert f"has {told}" in document["detail"], document
        parts.objects.delete([key])
    both = frozen(
        parts.store, parts.objects, parts.clock, "run/", ["run/a/b", "run/a"]
    )  # S3 takes them, not this store
    with nothing_left(), pytest.raises(InvalidInput, match="'a' is a file and a folder at once"), both:
        pass
    assert filled.post(VERSIONS, json={"run_id": RUN, "artifact_path": "model"}).status_code == 201


def test_what_is_not_there(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        problem(filled.get("/v1/models/absent"), 404, "model-not-found", kind="model", name="absent")
        problem(filled.get("/v1/models/absent/versions/1"), 404, "model-not-found", kind="model", name="absent")
        problem(filled.get(f"{VERSIONS}/3"), 404, "version-not-found", kind="version", name="3")
        problem(filled.post(VERSIONS, json={"run_id": "absent"}), 404, "run-not-found", kind="run", name="absent")
        problem(filled.get("/v1/runs/absent"), 404, "run-not-found", kind="run", name="absent")
        problem(filled.get("/v1/workspaces/dev/runs/absent"), 404, "run-not-found", name="absent")
        problem(filled.get(f"/v1/workspaces/other/runs/{RUN}"), 404, "run-not-found", name=RUN)
        problem(filled.get(f"/v1/workspaces/absent/runs/{RUN}"), 404, "workspace-not-found", name="absent")
        for number in ("0", "-1", "x", "1.5", str(2**31), "9" * 5000, "latest"):
            document = problem(filled.get(f"{VERSIONS}/{number}"), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == ["version"]


def test_what_may_not_be_seen_is_told_like_what_is_not_there(
    filled: FlaskClient, token: Callable[..., str], nothing_left: Unchanged
) -> None:
    reader = dict(bearer(token("read:prod")))
    stranger = dict(bearer(token("read:qa", "import:other")))
    with nothing_left():
        hidden = filled.get(f"{VERSIONS}/2", headers=reader).get_json()
        absent = filled.get(f"{VERSIONS}/9", headers=reader).get_json()
        assert {**hidden, "name": "9", "detail": hidden["detail"].replace("2", "9")} == absent
        for path in ("", "/versions/1", "/versions/9"):
            hidden = filled.get(f"/v1/models/orders{path}", headers=stranger).get_json()
            absent = filled.get(f"/v1/models/absent{path}", headers=stranger).get_json()
            assert {**hidden, "name": "absent", "detail": hidden["detail"].replace("orders", "absent")} == absent
        assert filled.get("/v1/models", headers=stranger).get_json() == {"models": []}


def test_the_name_of_another_workspace_s_model(
    filled: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged
) -> None:
    theirs = packed({f"{'c' * 32}/run.json": run("c" * 32), f"{'c' * 32}/artifacts/model/model.pkl": b"theirs"})
    filled.post("/v1/workspaces/other/imports", data=theirs)
    run_imports()
    with nothing_left():
        response = filled.post(VERSIONS, json={"run_id": "c" * 32, "artifact_path": "model"})
        problem(response, 409, "conflict", field="model")
    assert filled.post("/v1/models/theirs/versions", json={"run_id": "c" * 32}).get_json()["version"] == 1


def test_names_of_models(filled: FlaskClient, nothing_left: Unchanged) -> None:
    body = {"run_id": RUN, "artifact_path": "model"}
    with nothing_left():
        for name in ("a:b", " ", "%0a", "a%1fb", "%7f", "x" * 257):
            document = problem(filled.post(f"/v1/models/{name}/versions", json=body), 422, "invalid-input")
            named = document.get("field") or [row["field"] for row in document["fields"]]
            assert named in ("model", ["model"])
    for name in ("ünï 😀", "a.b-c_d", "schema.catalog.model", "x" * 256, "#?%"):
        made = filled.post(f"/v1/models/{quoted(name)}/versions", json=body)
        assert made.status_code == 201, made.text
        assert made.get_json()["model"] == name
        assert filled.get(made.headers["Location"]).get_json() == made.get_json()


def quoted(name: str) -> str:
    return "".join(f"%{byte:02x}" for byte in name.encode())


def test_a_run_here_and_there(filled: FlaskClient, engine: sa.Engine) -> None:
    found = filled.get(f"/v1/runs/{RUN}")
    with engine.connect() as connection:
        experiment_id = connection.scalar(
            sa.text("SELECT experiment_id FROM public.experiments WHERE name = 'dev/experiment 7'")
        )
    assert found.get_json() == {
        "run_id": RUN,
        "experiment_id": str(experiment_id),
        "workspace": "dev",
        "artifact_uri": f"mlflow-artifacts:/workspaces/dev/{RUN}/artifacts",
        "lineage": {**lineage(RUN), "run_id": "", "artifact_path": ""},
    }
    assert filled.get(f"/v1/workspaces/dev/runs/{RUN}").get_json() == found.get_json()


def test_a_run_that_was_logged_here(filled: FlaskClient, engine: sa.Engine, token: Callable[..., str]) -> None:
    """It is nobody's but the admin's: no workspace's token may read or register it."""
    own = "d" * 32
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO public.runs (run_uuid, name, user_id, status, start_time, lifecycle_stage, artifact_uri, "
                "experiment_id) SELECT :id, 'own', 'joe', 'FINISHED', 5, 'active', :uri, max(experiment_id) "
                "FROM public.experiments"
            ),
            {"id": own, "uri": f"mlflow-artifacts:/0/{own}/artifacts"},
        )
    found = filled.get(f"/v1/runs/{own}").get_json()
    assert (found["workspace"], found["lineage"]) == ("", {"user": "joe", "run_start_time": 5, "run_end_time": None})
    response = filled.post("/v1/models/own/versions", json={"run_id": own})
    problem(response, 404, "artifact-not-found", kind="artifact")
    importer = dict(bearer(token("import:dev")))
    problem(filled.get(f"/v1/runs/{own}", headers=importer), 403, "not-allowed")
    problem(filled.post("/v1/models/own/versions", json={"run_id": own}, headers=importer), 403, "not-allowed")
