"""Workspaces and environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from tests.api.conftest import bearer
from tests.api.matching import NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged

DEFAULT_STAGES = ["Staging", "Production", "Archived"]


def workspace(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "mlflow", "url": "", "description": "", "created_at": NOW, **fields}


def environment(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "stages": DEFAULT_STAGES, "description": "", "created_at": NOW, "freeze": None, **fields}


def test_a_workspace_is_created_changed_and_removed(client: FlaskClient) -> None:
    path = "/v1/workspaces/dev"
    given = {"kind": "databricks", "url": "https://adb.example/", "description": "Ünïcode\n😀"}
    created = client.put(path, json=given)
    assert created.status_code == 201
    assert created.content_type == "application/json"
    assert created.get_json() == workspace("dev", **given)
    assert client.get(path).get_json() == created.get_json()
    changed = client.put(path, json={"kind": "mlflow"})
    assert changed.status_code == 200
    assert changed.get_json() == workspace("dev", created_at=created.get_json()["created_at"])
    assert client.get("/v1/workspaces").get_json() == {"workspaces": [changed.get_json()]}
    gone = client.delete(path)
    assert (gone.status_code, gone.data, "Content-Type" in gone.headers) == (204, b"", False)
    problem(client.get(path), 404, "workspace-not-found", kind="workspace", name="dev")
    problem(client.delete(path), 404, "workspace-not-found", kind="workspace", name="dev")
    assert client.get("/v1/workspaces").get_json() == {"workspaces": []}


def test_kinds_of_workspaces(client: FlaskClient) -> None:
    for kind in ("databricks", "azureml", "fabric", "mlflow"):
        assert client.put("/v1/workspaces/dev", json={"kind": kind}).get_json()["kind"] == kind
    problem(client.put("/v1/workspaces/dev", json={"kind": "sagemaker"}), 422, "invalid-input")


def test_workspaces_by_name_and_only_the_caller_s(places: FlaskClient, token: Callable[..., str]) -> None:
    def names(*scopes: str) -> list[str]:
        answer = places.get("/v1/workspaces", headers=dict(bearer(token(*scopes))))
        return [item["name"] for item in answer.get_json()["workspaces"]]

    assert names("admin") == names("import:*") == ["dev", "other"]
    assert names("import:dev") == ["dev"]
    assert names("import:dev", "import:other") == ["dev", "other"]
    assert names("read:prod") == names("read:*") == []


def test_a_workspace_that_is_used_stays(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        problem(filled.delete("/v1/workspaces/dev"), 409, "in-use", workspace="dev")


def test_an_environment_is_created_changed_and_removed(client: FlaskClient) -> None:
    path = "/v1/environments/prod"
    created = client.put(path, json={})
    assert created.status_code == 201
    assert created.get_json() == environment("prod")
    assert client.get(path).get_json() == created.get_json()
    stages = ["Test", "pre prod.1", "Live"]
    changed = client.put(path, json={"stages": stages, "description": "served"})
    assert changed.status_code == 200
    expected = environment("prod", stages=stages, description="served", created_at=created.get_json()["created_at"])
    assert changed.get_json() == expected
    kept = client.put(path, json={})
    assert kept.get_json() == {**expected, "description": ""}, "stages that are not given stay"
    assert client.get("/v1/environments").get_json() == {"environments": [kept.get_json()]}
    gone = client.delete(path)
    assert (gone.status_code, gone.data) == (204, b"")
    problem(client.get(path), 404, "environment-not-found", kind="environment", name="prod")
    problem(client.delete(path), 404, "environment-not-found", kind="environment", name="prod")


def test_environments_by_name_and_only_the_caller_s(places: FlaskClient, token: Callable[..., str]) -> None:
    def names(*scopes: str) -> list[str]:
        answer = places.get("/v1/environments", headers=dict(bearer(token(*scopes))))
        return [item["name"] for item in answer.get_json()["environments"]]

    assert names("admin") == names("read:*") == names("promote:*") == ["prod", "qa"]
    assert names("read:qa", "promote:prod") == ["prod", "qa"]
    assert names("promote:prod") == ["prod"]
    assert names("import:*") == []


def test_a_stage_that_holds_a_version_stays(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        problem(filled.put("/v1/environments/prod", json={"stages": ["Staging"]}), 409, "in-use", field="stages")
        problem(filled.delete("/v1/environments/prod"), 409, "in-use", environment="prod")
    assert filled.get("/v1/environments/prod").get_json()["stages"] == DEFAULT_STAGES
    others = ["Live", "Production"]
    assert filled.put("/v1/environments/prod", json={"stages": others}).get_json()["stages"] == others


BAD_SLUGS = ["UPPER", "ünï", "-a", "a-", "a..b", ".a", "a b", "a_", "%25", "*"]
GOOD_SLUGS = ["a", "0", "a-b_c.d", "x" * 63]


def test_names(client: FlaskClient, nothing_left: Unchanged) -> None:
    bodies: dict[str, dict[str, str]] = {"workspace": {"kind": "mlflow"}, "environment": {}}
    for kind, body in bodies.items():
        with nothing_left():
            for name in BAD_SLUGS:
                problem(client.put(f"/v1/{kind}s/{name}", json=body), 422, "invalid-input", field=kind)
            document = problem(client.put(f"/v1/{kind}s/{'x' * 64}", json=body), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [kind]
        for name in GOOD_SLUGS:
            assert client.put(f"/v1/{kind}s/{name}", json=body).status_code == 201
            assert client.get(f"/v1/{kind}s/{name}").get_json()["name"] == name


def test_stages_of_the_wrong_shape(client: FlaskClient, nothing_left: Unchanged) -> None:
    wrong: dict[str, list[object]] = {"stages": [[], "Production", ["x"] * 51], "stages.1": [["Production", 1]]}
    with nothing_left():
        for field, values in wrong.items():
            for stages in values:
                document = problem(client.put("/v1/environments/prod", json={"stages": stages}), 422, "invalid-input")
                assert [row["field"] for row in document["fields"]] == [field]


def test_names_of_stages(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for name in ("", " ", "None", "none", "a/b", "ünï", "-a", "a ", "x" * 64, "a\nb"):
            response = client.put("/v1/environments/prod", json={"stages": ["Production", name]})
            problem(response, 422, "invalid-input", field="stages.1")
        for twice in (["Live", "Live"], ["Live", "LIVE"]):
            response = client.put("/v1/environments/prod", json={"stages": twice})
            problem(response, 422, "invalid-input", field="stages")


def test_the_url_of_a_workspace(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for url in ("javascript:alert(1)", "adb.example", "ftp://x", "//x"):
            response = client.put("/v1/workspaces/dev", json={"kind": "mlflow", "url": url})
            problem(response, 422, "invalid-input", field="url")
