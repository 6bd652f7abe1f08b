"""Whatever is wrong with a request is named in a problem, and leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api.bodies import MAX_JSON
from service.wiring import Parts
from tests.api.bodies import MIB, Body, raw
from tests.api.conftest import ORDERS, bearer
from tests.api.importing import IMPORTS
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN

STAGE = "/v1/environments/prod/models/orders/stages/Production"


def test_options_of_the_wrong_shape(places: FlaskClient, nothing_left: Unchanged) -> None:
    cases: list[tuple[dict[str, str], str, str]] = [
        # the query, the member of the problem that names the parameter, the parameter
        ({"register": "model"}, "field", "model_name"),
        ({"model_name": "a/b"}, "field", "model_name"),
        ({"model_name": " "}, "field", "model_name"),
        ({"model_name": "x" * 257}, "fields", "model_name"),
        ({"model_name": "a\0"}, "fields", "model_name"),
        ({"experiment_name": "x" * 257}, "fields", "experiment_name"),
        ({"experiment_name": "a\0"}, "fields", "experiment_name"),
        ({"register": "a\0", "model_name": "m"}, "fields", "register"),
        ({"register": "x" * 901, "model_name": "m"}, "fields", "register"),
        ({"environment": "a\0"}, "fields", "environment"),
        ({"environment": "x" * 64}, "fields", "environment"),
        ({"modelname": "m"}, "fields", "modelname"),
    ]
    with nothing_left():
        for query, member, named in cases:
            document = problem(places.post(IMPORTS, data=ORDERS, query_string=query), 422, "invalid-input")
            found = document[member] if member == "field" else [row["field"] for row in document["fields"]]
            assert found in (named, [named]), query


JSON_ROUTES: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    # route: a sound body, and a field of it that is text
    ("PUT", "/v1/workspaces/dev"): ({"kind": "mlflow"}, "description"),
    ("PUT", "/v1/environments/prod"): ({}, "description"),
    ("POST", "/v1/tokens"): ({"name": "a", "scopes": ["admin"]}, "name"),
    ("POST", "/v1/models/orders/versions"): ({"run_id": RUN}, "artifact_path"),
    ("PUT", STAGE): ({"version": 2}, "comment"),
}
NO_JSON = {
    "empty": b"",
    "cut": b'{"a": ',
    "not JSON": b"hello",
    "not UTF-8": b'{"a": "\xff"}',
    "NUL": b"\0",
    "two": b"{} {}",
    "a huge number": b'{"version": ' + b"9" * 5000 + b"}",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep field": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "NaN": b"NaN",
    "a text": b'"text"',
    "a text of JSON": b'"{\\"version\\": 2}"',
    "a text of half a pair": b'"\\ud800"',
}


@pytest.mark.parametrize("route", JSON_ROUTES, ids=" ".join)
def test_json_bodies(route: tuple[str, str], filled: FlaskClient, nothing_left: Unchanged) -> None:
    method, path = route
    sound, text = JSON_ROUTES[route]

    def send(data: bytes | str, content_type: str = "application/json") -> Any:
        return filled.open(path, method=method, data=data, content_type=content_type)

    with nothing_left():
        for body in NO_JSON.values():
            problem(send(body), 422, "invalid-input", field="body")
        for content_type in ("text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"):
            document = problem(send(json.dumps(sound), content_type), 415, "unsupported-media-type")
            assert "application/json" in document["detail"]
        for value in ("a\0b", "\ud800", 1, ["a"], {"a": "b"}, 10**400, "x" * 6000):
            document = problem(send(json.dumps({**sound, text: value})), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [text]
        for name in ("unknown", "a\0", "\ud800", "x" * 1000, "__proto__", ""):
            document = problem(send(json.dumps({**sound, name: 1})), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == ["" if name == "\ud800" else name[:100]]
        many = send(json.dumps({**sound, **{f"f{number}": 1 for number in range(10_000)}}))
        assert len(problem(many, 422, "invalid-input")["fields"]) == 20
        problem(send(b'{"a": "' + b"x" * MAX_JSON + b'"}'), 413, "too-large", limit=MAX_JSON)


def test_an_endless_json_body_is_not_read(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for length in (None, 2**40):
            body = Body()
            response = client.post("/v1/tokens", content_type="application/json", environ_overrides=raw(body, length))
            problem(response, 413, "too-large", limit=MAX_JSON)
            assert body.count < 4 * MAX_JSON


def test_addresses_that_no_database_holds(filled: FlaskClient, nothing_left: Unchanged) -> None:
    nul, half = "a%00b", "a%ED%A0%80b"
    paths = {
        "workspace": "/v1/workspaces/{}",
        "environment": "/v1/environments/{}",
        "import_id": "/v1/imports/{}",
        "model": "/v1/models/{}",
        "stage": "/v1/environments/prod/models/orders/stages/{}",
        "run_id": "/v1/runs/{}",
        "original_run_id": "/v1/workspaces/dev/runs/{}",
    }
    with nothing_left():
        for field, path in paths.items():
            document = problem(filled.get(path.format(nul)), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [field]
            response = filled.get(path.format(half))
            problem(response, 404, f"{response.get_json()['kind']}-not-found")
        for path in ("/v1/workspaces/{}", "/v1/environments/{}", "/v1/tokens/{}", "/v1/imports/{}"):
            problem(filled.delete(path.format(nul)), 422, "invalid-input")
        for path in (IMPORTS, "/v1/workspaces/{}/imports"):
            problem(filled.post(path.format(nul), data=ORDERS, query_string={"model_name": "\0"}), 422, "invalid-input")
        problem(filled.get(IMPORTS, query_string={"before": "\0"}), 422, "invalid-input")
        problem(
            filled.put("/v1/environments/a%00b/models/orders/stages/Production", json={"version": 1}),
            422,
            "invalid-input",
        )
        problem(filled.post("/v1/models/a%00b/versions", json={"run_id": RUN}), 422, "invalid-input")
        problem(filled.get("/v1/workspaces/a%2Fb"), 404, "not-found")


def test_nothing_is_taken_in_without_a_token(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for headers in ({"Authorization": ""}, bearer("wrong"), bearer("mreg_" + "x" * 43)):
            body = Body()
            response = places.post(IMPORTS, environ_overrides=raw(body, MIB), headers=dict(headers))
            problem(response, 401, "not-authenticated")
            assert body.count == 0
            for (method, path), (sound, _) in JSON_ROUTES.items():
                problem(places.open(path, method=method, json=sound, headers=dict(headers)), 401, "not-authenticated")


def test_an_unexpected_error_tells_nothing(
    places: FlaskClient, parts: Parts, monkeypatch: pytest.MonkeyPatch, nothing_left: Unchanged
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM registry.tokens at /home/jane on 127.0.0.1")

    with nothing_left(), monkeypatch.context() as patch:
        patch.setattr("service.api.models.list_models", fail)
        problem(places.get("/v1/models"), 500, "error")
        patch.setattr(type(parts.objects), "put", fail)
        problem(places.post(IMPORTS, data=ORDERS), 500, "error")


def test_an_import_that_cannot_be_queued_leaves_no_archive(
    places: FlaskClient, monkeypatch: pytest.MonkeyPatch, nothing_left: Unchanged
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    with nothing_left(), monkeypatch.context() as patch:
        patch.setattr("service.stores.queue.JobQueue.put", fail)
        problem(places.post(IMPORTS, data=ORDERS), 500, "error")
    assert places.post(IMPORTS, data=ORDERS).status_code == 202
