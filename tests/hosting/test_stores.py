"""MLflow's handlers over our stores tell the same as the quick answers, and each environment's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from service.domain.identity import OPERATOR, Principal, Scope
from service.hosting.caller import Caller
from service.hosting.forwarding import Wsgi
from service.wiring import Parts
from tests.conftest import export

API = "/api/2.0/mlflow"
READER = Principal("", "reader", (Scope("read", "prod"),))


@pytest.fixture
def story(client: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """dummy-model: v4 in prod/Production and prod/Staging, v3 in qa/Live; `other` has versions in no stage."""
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})
    client.put("/v1/environments/prod", json={})
    client.put("/v1/environments/qa", json={"stages": ["Live"]})
    for name in ("dummy-model", "other"):
        sent = client.post(f"/v1/workspaces/dev/imports?model_name={name}", data=export("mlflow317-master-model-dummy"))
        assert sent.status_code == 202, sent.text
    assert run_imports() == 2
    for environment, stage, version in (("prod", "Staging", 4), ("prod", "Production", 4), ("qa", "Live", 3)):
        put = client.put(f"/v1/environments/{environment}/models/dummy-model/stages/{stage}", json={"version": version})
        assert put.status_code == 200, put.text
    return client


@pytest.fixture
def handlers(story: FlaskClient, parts: Parts, mlflow_app: Wsgi) -> Callable[..., Client]:
    """MLflow's handlers alone, without what stands before them."""

    def make(by: Principal, environment: str) -> Client:
        def app(environ: dict[str, Any], start_response: Any) -> Any:
            Caller(parts, by, environment).attach(environ)
            return mlflow_app(environ, start_response)

        return Client(app)

    return make


LOOKUPS = [
    *(
        f"{path}&{stages}".rstrip("&")
        for path in (
            "registered-models/get-latest-versions?name=dummy-model",
            "registered-models/get-latest-versions?name=other",
        )
        for stages in ("", "stages=Production", "stages=production&stages=None", "stages=None", "stages=Nowhere")
    ),
    "registered-models/get-latest-versions?name=absent",
    "registered-models/get-latest-versions",
    *(
        f"registered-models/alias?name=dummy-model&alias={alias}"
        for alias in ("production", "Production", "staging", "live", "champion", "latest", "absent")
    ),
    "registered-models/alias?name=dummy-model",
    *(
        f"model-versions/{verb}?name={name}&version={version}"
        for verb in ("get", "get-download-uri")
        for name in ("dummy-model", "other")
        for version in ("1", "3", "4", "99", "x")
    ),
    "model-versions/get?version=1",
]


def test_quick_answers_are_those_of_mlflow_s_handlers(
    handlers: Callable[..., Client], hosted: Callable[..., Client]
) -> None:
    """Every field of every answer; of errors the status and the code."""
    admin, reader = hosted("admin"), hosted("read:prod")
    compared = 0
    for by, quick, environment in (
        (OPERATOR, admin, "prod"),
        (OPERATOR, admin, "qa"),
        (OPERATOR, admin, ""),
        (READER, reader, "prod"),
    ):
        slow = handlers(by, environment)
        place = f"/environments/{environment}" if environment else ""
        for path in LOOKUPS:
            one, other = quick.get(f"{place}{API}/{path}"), slow.get(f"{API}/{path}")
            assert one.status_code == other.status_code, (path, one.text, other.text)
            if one.status_code == 200:
                assert one.json == other.json, path
                compared += 1
            else:
                assert one.json["error_code"] == other.json["error_code"], path
    assert compared > 60
    body = {"name": "dummy-model", "stages": ["Production"]}
    latest = f"{API}/registered-models/get-latest-versions"
    one = admin.post(f"/environments/prod{latest}", json=body)
    assert one.json == handlers(OPERATOR, "prod").post(latest, json=body).json
    assert [row["version"] for row in one.json["model_versions"]] == ["4"]


def test_a_reader_sees_the_versions_in_stages_and_no_other(hosted: Callable[..., Client], story: FlaskClient) -> None:
    reader, admin = hosted("read:prod"), hosted("admin")
    place = f"/environments/prod{API}"
    for client, models, versions in ((reader, {"dummy-model"}, 1), (admin, {"dummy-model", "other"}, 8)):
        found = client.get(f"{place}/registered-models/search").json["registered_models"]
        assert {model["name"] for model in found} == models
        assert len(client.get(f"{place}/model-versions/search").json["model_versions"]) == versions
    (model,) = reader.get(f"{place}/registered-models/search").json["registered_models"]
    assert [(row["version"], row["current_stage"]) for row in model["latest_versions"]] == [
        ("4", "Staging"),
        ("4", "Production"),
    ]
    assert [(row["alias"], row["version"]) for row in model["aliases"]] == [("champion", "4")]
    assert reader.get(f"{place}/registered-models/get?name=dummy-model").json["registered_model"] == model
    assert reader.get(f"{place}/registered-models/get?name=other").status_code == 404
    for method, path in (
        ("POST", f"{place}/experiments/create"),
        ("GET", f"{place}/experiments/search?max_results=5"),
        ("POST", f"{place}/runs/search"),
        ("POST", f"{place}/registered-models/set-tag"),
        ("PATCH", f"{place}/model-versions/update"),
        ("GET", "/environments/prod/"),
    ):
        refused = reader.open(path, method=method, json={} if method != "GET" else None)
        assert (refused.status_code, refused.json["error_code"]) == (403, "PERMISSION_DENIED"), path


def test_the_root_is_the_default_environment_s(hosted: Callable[..., Client], story: FlaskClient) -> None:
    latest = f"{API}/registered-models/get-latest-versions?name=dummy-model&stages=Production"
    moved = {"name": "dummy-model", "version": "4", "stage": "Production"}
    admin = hosted("admin")
    assert admin.get(f"{API}/model-versions/get?name=dummy-model&version=4").json["model_version"]["current_stage"] == (
        "None"
    )
    for refused in (admin.get(latest), admin.post(f"{API}/model-versions/transition-stage", json=moved)):
        assert (refused.status_code, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert "MODEL_REGISTRY_DEFAULT_ENVIRONMENT" in refused.json["message"]
        assert "/environments/<environment>" in refused.json["message"]
    rooted = hosted("read:prod", default_environment="prod")
    assert [row["version"] for row in rooted.get(latest).json["model_versions"]] == ["4"]
    assert hosted("read:qa", default_environment="prod").get(latest).status_code == 403
    assert hosted("read:prod").get(latest).status_code == 403


def test_metadata_goes_on_as_mlflow_s(hosted: Callable[..., Client], story: FlaskClient) -> None:
    admin = hosted("admin")
    place = f"/environments/prod{API}"
    version = {"name": "dummy-model", "version": "4"}
    assert admin.post(f"{place}/model-versions/set-tag", json={**version, "key": "a", "value": "b"}).status_code == 200
    changed = admin.patch(f"{place}/model-versions/update", json={**version, "description": "text"})
    assert changed.json["model_version"]["current_stage"] == "Production"
    got = admin.get(f"{place}/model-versions/get?name=dummy-model&version=4").json["model_version"]
    assert (got["description"], {"key": "a", "value": "b"} in got["tags"]) == ("text", True)
    for refused in (
        admin.post(f"{place}/model-versions/set-tag", json={**version, "key": "model_registry.digest", "value": "x"}),
        admin.delete(f"{place}/model-versions/delete-tag", json={**version, "key": "model_registry.digest"}),
        admin.post(f"{place}/registered-models/alias", json={**version, "alias": "production"}),
        admin.post(f"{API}/experiments/create", json={"name": "x", "artifact_location": "s3://elsewhere/x"}),
    ):
        assert (refused.status_code, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), refused.text
    alias = {"name": "dummy-model", "version": "3", "alias": "production"}
    assert admin.post(f"/environments/qa{API}/registered-models/alias", json=alias).status_code == 200
    for environment, number in (("prod", "4"), ("qa", "3")):
        found = admin.get(f"/environments/{environment}{API}/registered-models/alias?name=dummy-model&alias=production")
        assert found.json["model_version"]["version"] == number


def test_an_address_without_its_last_slash(hosted: Callable[..., Client], story: FlaskClient) -> None:
    moved = hosted("admin").get("/environments/prod")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/environments/prod/")
    with hosted("admin").get("/environments/prod/") as page:
        assert (page.status_code, "<title>MLflow</title>" in page.text) == (200, True)
    # A proxy in front takes the path away, and sends what is below it.
    below = hosted("admin", public_url="https://models.example/registry")
    for query in ("?a=%C3%A9&b=1", ""):
        location = below.get(f"/environments/prod{query}").headers["Location"]
        assert location == f"/registry/environments/prod/{query}"


@pytest.mark.parametrize("name", ["a%0Ab", "a%0D%0AX-Y: z", "%C3%A9", "%ff", "a%00", "a%20b", "%2e%2e"])
def test_no_address_of_an_environment(hosted: Callable[..., Client], name: str) -> None:
    refused = hosted().get(f"/environments/{name}")
    assert (refused.status_code, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "Location" not in refused.headers
