"""A client that holds every answer against the OpenAPI document: a status or a body that is not in it is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

Document = Mapping[str, Any]
_documents: dict[str, Document] = {}


class DocumentedClient(FlaskClient):
    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        _check(self.application, response)
        return response


def _check(app: Flask, response: TestResponse) -> None:
    operation = _operation(app, response.request.path, response.request.method)
    if operation is None or response.status_code == 500:  # which no document can promise
        return
    path, method = operation
    known = _document(app)["paths"][path][method.lower()]["responses"]
    asked = f"{method} {path}"
    assert str(response.status_code) in known, f"{asked}: {response.status_code} is not documented: {response.text}"
    if response.is_json and response.request.method != "HEAD" and response.status_code != 304:
        errors = _errors(asked, response.status_code, response.mimetype, response.get_json())
        assert not errors, f"{asked}: {response.status_code} is not as documented: {errors}"


def _operation(app: Flask, path: str, method: str) -> tuple[str, str] | None:
    """Path and method as the document has them; None for what it does not tell of."""
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method, return_rule=True)
    except (HTTPException, RequestRedirect):
        return None
    named = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
    method = "GET" if method == "HEAD" else method
    return (named, method) if method.lower() in _document(app)["paths"].get(named, {}) else None


def _document(app: Flask) -> Document:
    """The same for every app, so that it is made once."""
    if not _documents:
        _documents["openapi"] = app.test_client().get("/docs/openapi.json").get_json()
    return _documents["openapi"]


@cache
def _validator(asked: str, status: int, mimetype: str) -> Draft202012Validator:
    document = _documents["openapi"]
    method, path = asked.split(" ")
    content = document["paths"][path][method.lower()]["responses"][str(status)].get("content", {})
    assert mimetype in content, f"{asked}: {status} is {mimetype}, which is not documented"
    return Draft202012Validator({**content[mimetype]["schema"], "components": document["components"]})


def _errors(asked: str, status: int, mimetype: str, body: object) -> list[str]:
    errors = _validator(asked, status, mimetype).iter_errors(body)
    return [f"{error.instance_path}: {error.message}" for error in errors]
