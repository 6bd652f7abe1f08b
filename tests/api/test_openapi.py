"""The OpenAPI document, its page, and the decision of who may use each route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel

from service.api.auth import ATTRIBUTE
from service.app import create_app
from service.settings import S3Settings, Settings

OPEN = {"/healthz", "/readyz", "/version", "/pull.pyz"}
PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


@pytest.fixture(scope="module")
def app() -> Flask:
    """Nothing here asks a store: the document and its page are there without any."""
    s3 = S3Settings(endpoint="http://127.0.0.1:1", access_key="a", secret_key="s", bucket="bucket")
    app: Flask = create_app(
        Settings(database_url="postgresql+psycopg2://nowhere/x", s3=s3, public_url="http://registry")
    )
    return app


@pytest.fixture(scope="module")
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def document(http: FlaskClient) -> dict[str, Any]:
    response = http.get("/docs/openapi.json")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    loaded: dict[str, Any] = response.get_json()
    return loaded


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"]
    assert document["info"]["version"]


def test_every_route_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (method, re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/docs/")
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(tags.values())
    for method, path, operation in operations(document):
        assert operation["summary"].endswith("."), (method, path)
        assert set(operation["tags"]) <= set(tags), (method, path)
        given = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path)), (method, path)
        for item in operation.get("parameters", ()):
            assert item.get("description") or item["name"] == "limit", (method, path, item)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                yield from references(item)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_schema_has_a_name_of_its_own(app: Flask) -> None:
    """The document knows them by their names: of two with the same one, one would be shown in the other's place."""
    named: dict[str, set[str]] = {}
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for schema in waiting.pop().__subclasses__():
            waiting.append(schema)
            if schema.__module__.startswith("service.api."):
                named.setdefault(schema.__name__, set()).add(schema.__module__)
    assert "VersionOut" in named
    assert [name for name, modules in named.items() if len(modules) > 1] == []


def test_every_operation_documents_its_problems(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        answers = {int(status): answer for status, answer in operation["responses"].items()}
        where = (method, path)
        assert any(200 <= status < 300 for status in answers), where
        for status, answer in answers.items():
            assert answer["description"], where
            if status >= 400:
                assert answer["content"] == {"application/problem+json": PROBLEM}, (where, status)
        expected = set()
        if path.startswith("/v1/"):
            expected |= {400, 401, 403, 404, 503}
        if operation.get("parameters") or "requestBody" in operation:
            expected |= {422}
        if "requestBody" in operation:
            expected |= {413, 409}
            assert operation["requestBody"]["required"], where
            if "application/json" in operation["requestBody"]["content"]:
                expected |= {415}
        if path == "/readyz":
            expected |= {503}
        assert expected <= set(answers), where
        assert (422 in answers) == (422 in expected), where


def test_what_conditional_requests_answer_is_documented(document: dict[str, Any]) -> None:
    told = {path for _, path, operation in operations(document) if "304" in operation["responses"]}
    stage = "/v1/environments/{environment}/models/{model}/stages/{stage}"
    environment = "/v1/environments/{environment}/stages"
    version, digest = "/v1/models/{model}/versions/{version}", "/v1/digests/{digest}"
    of_bytes = {f"{base}/{what}" for base in (stage, version, digest) for what in ("archive", "files/{file}")}
    resolved = {stage, environment, f"{environment}/{{stage}}"}
    assert told == {"/pull.pyz", f"{digest}/manifest"} | resolved | of_bytes


def test_problems_have_the_members_of_rfc_9457(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Problem"]
    assert set(schema["required"]) == {"type", "title", "status", "detail"}
    assert schema["additionalProperties"] is True


def test_who_may_use_it_is_documented(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    for _, path, operation in operations(document):
        assert operation.get("security", []) == ([] if path in OPEN else [{"bearer": []}, {"basic": []}]), path


# Who may use each route


def test_every_view_has_a_decision(app: Flask) -> None:
    rules = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
    assert set(rules) == set(app.view_functions)
    undecided = [rules[endpoint] for endpoint, view in app.view_functions.items() if not hasattr(view, ATTRIBUTE)]
    assert undecided == []
    opened = {rules[endpoint] for endpoint, view in app.view_functions.items() if getattr(view, ATTRIBUTE) is None}
    assert {rule for rule in opened if not rule.startswith("/docs/")} == OPEN
    assert {rule for rule in rules.values() if rule.startswith("/docs/")} <= opened


def test_a_view_without_a_decision_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    s3 = S3Settings(endpoint="http://127.0.0.1:1", access_key="a", secret_key="s", bucket="bucket")
    app = create_app(Settings(database_url="postgresql+psycopg2://nowhere/x", s3=s3, public_url="http://registry"))
    app.add_url_rule("/v1/forgotten", view_func=lambda: "secret", endpoint="forgotten")
    response = app.test_client().get("/v1/forgotten")
    assert (response.status_code, "secret" in response.text) == (500, False)


# The page


class Sources(HTMLParser):
    """Everything a page makes a browser fetch or lets it go to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name == "src" or (name == "href" and tag == "link")):
                self.found.add(value.strip())
            if value and name == "onclick":
                self.found.update(re.findall(r"href='([^']+)'", value))


def test_the_page_is_served_with_all_it_needs(http: FlaskClient) -> None:
    waiting, seen = ["/docs/"], set()
    kinds = set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        with http.get(path) as response:  # files stay open until their answer is closed
            assert response.status_code == 200, path
            kinds.add(response.mimetype)
            text = response.get_data(as_text=True)
        found = set()
        if response.mimetype == "text/html":
            found = Sources(text).found
        if response.mimetype == "text/css":
            found = set(re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", text))
        for source in found:
            target = urljoin(f"http://registry{path}", source)
            if target.startswith("data:"):
                continue
            assert urlsplit(target).netloc == "registry", f"{path} fetches {source}"
            if urlsplit(target).path not in seen:
                waiting.append(urlsplit(target).path)
    assert "/docs/swagger" in seen
    assert kinds >= {"text/html", "text/css", "text/javascript"}
    assert "openapi.json" in http.get("/docs/swagger").text


def test_the_page_loads_nothing_by_script(http: FlaskClient) -> None:
    for path in ("/docs/", "/docs/swagger"):
        scripts = "".join(re.findall(r"<script>(.*?)</script>", http.get(path).text, re.DOTALL))
        assert not re.search(r"https?://|import\(|fetch\(", scripts)


def test_the_short_address_leads_to_the_page(http: FlaskClient) -> None:
    response = http.get("/docs", follow_redirects=True)
    assert (response.status_code, response.request.path) == (200, "/docs/")
