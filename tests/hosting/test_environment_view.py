"""An environment's view: the same name gives each environment its own version, and a reader sees no other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from tests.conftest import export

API = "/environments/{}/api/2.0/mlflow"


@pytest.fixture
def story(client: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """dummy-model: v4 in prod/Production, v3 in qa/Production and qa/Staging."""
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})
    for environment in ("prod", "qa"):
        client.put(f"/v1/environments/{environment}", json={})
    client.post("/v1/workspaces/dev/imports", data=export("mlflow317-master-model-dummy"))
    assert run_imports() == 1
    for environment, stage, version in (("prod", "Production", 4), ("qa", "Production", 3), ("qa", "Staging", 3)):
        put = client.put(f"/v1/environments/{environment}/models/dummy-model/stages/{stage}", json={"version": version})
        assert put.status_code == 200
    return client


@pytest.fixture
def view(story: FlaskClient, hosted: Callable[..., Client]) -> Callable[..., Client]:
    return hosted


def test_each_environment_its_own(view: Callable[..., Client]) -> None:
    for environment, version in (("prod", "4"), ("qa", "3")):
        client = view(f"read:{environment}")
        body = {"name": "dummy-model", "stages": ["Production"]}
        got = client.post(f"{API.format(environment)}/registered-models/get-latest-versions", json=body).json
        assert [(row["version"], row["current_stage"]) for row in got["model_versions"]] == [(version, "Production")]
        alias = client.get(f"{API.format(environment)}/registered-models/alias?name=dummy-model&alias=production").json
        assert alias["model_version"]["version"] == version
        assert alias["model_version"]["source"] == got["model_versions"][0]["source"]


def test_bytes_only_of_the_environment_s_versions(view: Callable[..., Client], story: FlaskClient) -> None:
    digests = {
        version: story.get(f"/v1/models/dummy-model/versions/{version}").json["digest"].removeprefix("sha256:")
        for version in (1, 3, 4)
    }
    client = view("read:prod")
    place = "/environments/prod/api/2.0/mlflow-artifacts/artifacts"
    listed = client.get(f"{place}?path=registered/{digests[4]}").json["files"]
    assert {"path": "MLmodel", "is_dir": False, "file_size": "591"} in listed
    got = client.get(f"{place}/registered/{digests[4]}/MLmodel")
    assert (got.status_code, len(got.data)) == (200, 591)
    for version in (1, 3):
        refused = client.get(f"{place}/registered/{digests[version]}/MLmodel")
        assert refused.status_code == 404
        assert refused.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    for path in ("workspaces/dev", "", f"registered/{digests[4]}/../{digests[1]}/MLmodel", "registered"):
        assert client.get(place, query_string={"path": path}).status_code in (400, 403, 404)
    assert client.put(f"{place}/registered/{digests[4]}/MLmodel", data=b"x").status_code == 403
    assert client.delete(f"{place}/registered/{digests[4]}/MLmodel").status_code == 403


REFUSED = (
    ("registered-models/get-latest-versions?name=dummy-model&stages=Nowhere", 400, "INVALID_PARAMETER_VALUE"),
    ("registered-models/get-latest-versions?name=other", 404, "RESOURCE_DOES_NOT_EXIST"),
    ("registered-models/get-latest-versions", 400, "INVALID_PARAMETER_VALUE"),
    ("registered-models/alias?name=dummy-model&alias=nobody", 404, "RESOURCE_DOES_NOT_EXIST"),
    ("model-versions/get?name=dummy-model&version=3", 404, "RESOURCE_DOES_NOT_EXIST"),
    ("model-versions/get?name=dummy-model&version=x", 400, "INVALID_PARAMETER_VALUE"),
    ("runs/search", 404, "ENDPOINT_NOT_FOUND"),
)


def test_refusals_are_mlflow_s_form(view: Callable[..., Client]) -> None:
    client = view("read:prod")
    for path, status, code in REFUSED:
        got = client.get(f"{API.format('prod')}/{path}")
        assert (got.status_code, got.json["error_code"]) == (status, code), path
        assert set(got.json) == {"error_code", "message"}
    nowhere = view("admin").get(f"{API.format('nowhere')}/registered-models/search")
    assert (nowhere.status_code, nowhere.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_who_may_read(view: Callable[..., Client]) -> None:
    for scopes, status in (
        (("read:qa",), 403),
        (("import:dev",), 403),
        (("admin",), 200),
        (("promote:prod",), 200),
        (("browse",), 200),
    ):
        got = view(*scopes).get(f"{API.format('prod')}/registered-models/search")
        assert got.status_code == status, scopes


def test_no_token(story: FlaskClient, hosted: Callable[..., Client]) -> None:
    got = hosted().get(f"{API.format('prod')}/registered-models/search")
    assert got.status_code == 401
    assert json.loads(got.data)["error_code"] == "CUSTOMER_UNAUTHORIZED"
    assert "Basic" in got.headers["WWW-Authenticate"]


def _transition(client: Client, environment: str, version: object, stage: str, **more: object) -> tuple[int, dict]:
    body = {"name": "dummy-model", "version": version, "stage": stage, **more}
    got = client.post(f"{API.format(environment)}/model-versions/transition-stage", json=body)
    return got.status_code, got.json


def _held(story: FlaskClient, environment: str) -> dict[str, int]:
    rows = story.get(f"/v1/environments/{environment}/stages").json["assignments"]
    return {row["stage"]: row["version"] for row in rows}


def test_a_transition_is_a_promotion_of_that_environment(view: Callable[..., Client], story: FlaskClient) -> None:
    status, moved = _transition(view("promote:prod"), "prod", "3", "production", archive_existing_versions=True)
    assert (status, moved["model_version"]["version"], moved["model_version"]["current_stage"]) == (
        200,
        "3",
        "Production",
    )
    assert _held(story, "prod") == {"Production": 3}
    assert _held(story, "qa") == {"Production": 3, "Staging": 3}
    history = story.get("/v1/environments/prod/models/dummy-model/stages/Production/history").json
    newest = history["changes"][0]
    assert (newest["version"], newest["previous_version"], newest["kind"]) == (3, 4, "promotion")
    assert newest["comment"] == "by MLflow's transition-stage"


def test_none_takes_a_version_out_and_archived_out_of_all_others(
    view: Callable[..., Client], story: FlaskClient
) -> None:
    client = view("promote:qa", "promote:prod")
    assert _transition(client, "qa", "3", "Archived")[1]["model_version"]["current_stage"] == "Archived"
    assert _held(story, "qa") == {"Archived": 3}
    assert _transition(client, "prod", "4", "None")[1]["model_version"]["current_stage"] == "None"
    assert _held(story, "prod") == {}
    assert _held(story, "qa") == {"Archived": 3}


def test_transitions_that_are_refused_change_nothing(view: Callable[..., Client], story: FlaskClient) -> None:
    for scopes in (("read:prod",), ("promote:qa",), ("read:prod", "promote:qa")):
        assert _transition(view(*scopes), "prod", "3", "Production")[1]["error_code"] == "PERMISSION_DENIED"
    client = view("promote:prod")
    for version, stage, code in (
        ("3", "Nowhere", "INVALID_PARAMETER_VALUE"),
        ("99", "Production", "RESOURCE_DOES_NOT_EXIST"),
        ("x", "Production", "INVALID_PARAMETER_VALUE"),
        ("", "Production", "INVALID_PARAMETER_VALUE"),
    ):
        assert _transition(client, "prod", version, stage)[1]["error_code"] == code
    assert (
        story.put("/v1/environments/prod/policy", json={"default": {"tags": [{"key": "approved"}]}}).status_code == 200
    )
    status, refused = _transition(client, "prod", "3", "Production")
    assert (status, refused["error_code"]) == (409, "INVALID_STATE")
    assert _held(story, "prod") == {"Production": 4}


def test_a_transition_that_needs_approval_waits_for_it(view: Callable[..., Client], story: FlaskClient) -> None:
    rule = {"default": {"approvals": {"count": 1}}}
    put = story.put("/v1/environments/prod/policy", json=rule)
    assert put.status_code == 200, put.text
    status, waiting = _transition(view("promote:prod"), "prod", "3", "Production")
    assert (status, waiting["error_code"]) == (409, "INVALID_STATE")
    assert _held(story, "prod") == {"Production": 4}
    place = waiting["message"].partition("see ")[2].rstrip(".")
    secret = story.post("/v1/tokens", json={"name": "approver", "scopes": ["approve:prod"]}).json["token"]
    headers = {"Authorization": f"Bearer {secret}"}
    approved = story.post(f"{place}/approve", json={"comment": "ok"}, headers=headers)
    assert (approved.status_code, approved.json["state"]) == (200, "applied"), approved.text
    assert _held(story, "prod") == {"Production": 3}
