"""Each row of the table reaches MLflow's own handler, or the registry's own code for artifacts and environments."""

from __future__ import annotations

import re

from flask import Flask, request, request_started

from service.hosting.table import OUTLIVED, Permission, rows, twins
from tests.hosting.conftest import Caller

OURS = re.compile(r"/(ajax-)?api/2\.0/mlflow-artifacts/")
"""Answered by the registry's own code, as is `/version` at the root."""
PARAMETER = re.compile(r"<(?:path:)?\w+>")
QUERY = {"query": 'query Q { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'}


def test_each_row_reaches_mlflow(hosted_as: Caller) -> None:
    from mlflow.server import app

    reached: list[str] = []

    def note(sender: Flask, **_: object) -> None:
        reached.append(str(request.url_rule))

    client = hosted_as("admin")
    with request_started.connected_to(note, app):
        for permission, method, path in rows():
            if permission is Permission.PROMOTE or OURS.match(path) or path == "/version":
                continue
            for twin, served_as in zip(twins(path), twins(OUTLIVED.get(path, path)), strict=True):
                reached.clear()
                body = QUERY if path == "/graphql" else {}
                got = client.open(PARAMETER.sub("1", twin), method=method, json=body)
                assert [shape(rule) for rule in reached] == [shape(served_as)], got.text
                assert got.status_code < 500, (method, twin, got.text)


def shape(path: str) -> str:
    """A path whatever its parameters are called."""
    return PARAMETER.sub("<>", path)
