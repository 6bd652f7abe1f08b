"""An environment's view: the same name gives each environment its own version, and a reader sees no other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from service.hosting.environment_view import make_environment_view
from service.wiring import Parts
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
def view(story: FlaskClient, parts: Parts, token: Callable[..., str]) -> Callable[..., Client]:
    def make(*scopes: str) -> Client:
        client = make_environment_view(parts).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token(*scopes)}"
        return client

    return make


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
        assert client.get(place, query_string={"path": path}).status_code in (400, 404)
    assert client.put(f"{place}/registered/{digests[4]}/MLmodel", data=b"x").status_code == 403
    assert client.delete(f"{place}/registered/{digests[4]}/MLmodel").status_code == 403


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("registered-models/get-latest-versions?name=dummy-model&stages=Nowhere", 400, "INVALID_PARAMETER_VALUE"),
        ("registered-models/get-latest-versions?name=other", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("registered-models/get-latest-versions", 400, "INVALID_PARAMETER_VALUE"),
        ("registered-models/alias?name=dummy-model&alias=champion", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("model-versions/get?name=dummy-model&version=3", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("model-versions/get?name=dummy-model&version=x", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("runs/search", 404, "ENDPOINT_NOT_FOUND"),
    ],
)
def test_refusals_are_mlflow_s_form(view: Callable[..., Client], path: str, status: int, code: str) -> None:
    got = view("read:prod").get(f"{API.format('prod')}/{path}")
    assert (got.status_code, got.json["error_code"]) == (status, code)
    assert set(got.json) == {"error_code", "message"}


@pytest.mark.parametrize(
    ("scopes", "status"), [(("read:qa",), 403), (("import:dev",), 403), (("admin",), 200), (("promote:prod",), 200)]
)
def test_who_may_read(view: Callable[..., Client], scopes: tuple[str, ...], status: int) -> None:
    got = view(*scopes).get(f"{API.format('prod')}/registered-models/search")
    assert got.status_code == status


def test_no_token(story: FlaskClient, parts: Parts) -> None:
    got = make_environment_view(parts).test_client().get(f"{API.format('prod')}/registered-models/search")
    assert got.status_code == 401
    assert json.loads(got.data)["error_code"] == "UNAUTHENTICATED"
    assert "Basic" in got.headers["WWW-Authenticate"]
