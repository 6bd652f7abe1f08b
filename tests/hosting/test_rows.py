"""Each row of the table reaches MLflow's own handler, but for what the registry's own code answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Flask, request, request_started
from flask.testing import FlaskClient
from mlflow.server import app
from werkzeug.test import Client

from service.hosting.table import OUTLIVED, rows, twins

OWN = re.compile(
    r"/|/(ajax-)?api/2\.0/(mlflow-artifacts/.*|mlflow/(gateway-proxy|registered-models/(alias|get-latest-versions)"
    r"|model-versions/get(-download-uri)?))|(/model-versions)?/get-artifact|/ajax-api/.*/logged-models/.*/artifacts/files"
)
"""What the registry answers itself; aliases are set and deleted by MLflow."""
PARAMETER = re.compile(r"<(?:path:)?\w+>")
QUERY = {"query": 'query Q { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'}


def test_each_row_reaches_mlflow(client: FlaskClient, hosted: Callable[..., Client]) -> None:
    reached: list[str] = []

    def note(sender: Flask, **_: object) -> None:
        reached.append(str(request.url_rule))

    assert client.put("/v1/environments/prod", json={}).status_code == 201
    admin = hosted("admin")
    with request_started.connected_to(note, app):
        for _, method, path in rows():
            own = OWN.fullmatch(path) and not (path.endswith("/alias") and method != "GET")
            for twin, served_as in zip(twins(path), twins(OUTLIVED.get(path, path)), strict=True):
                reached.clear()
                address = f"/environments/prod{PARAMETER.sub('1', twin)}"
                got = admin.open(address, method=method, json=QUERY if path == "/graphql" else {}, buffered=True)
                assert [shape(rule) for rule in reached] == ([] if own else [shape(served_as)]), (twin, got.text)
                assert got.status_code < 500, (method, twin, got.text)
                assert own is None or "ENDPOINT_NOT_FOUND" not in got.text, (method, twin)


def shape(path: str) -> str:
    """A path whatever its parameters are called."""
    return PARAMETER.sub("<>", path)
