"""What is recorded of a call that changes something in the hosted MLflow registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, request

from service.domain.errors import InvalidInput
from service.domain.identity import OPERATOR
from service.hosting.calls import called
from service.hosting.intake import taken
from service.hosting.table import hosted

TAG = "/api/2.0/mlflow/registered-models/set-tag"


def recorded(method: str, path: str, **sent: Any) -> tuple[dict[str, Any], str, str, bytes]:
    """What is told, the model, the subject, and the body as MLflow then reads it."""
    with Flask("test").test_request_context(path, method=method, **sent):
        route = hosted(request.method, request.path)
        assert route is not None
        assert route.writes
        change = called(OPERATOR, request, route, taken(request, route))
        body = request.environ["wsgi.input"].read()
    assert change.action == "mlflow.called"
    assert change.after is not None
    return dict(change.after), change.model, change.subject, body


def test_a_registered_model() -> None:
    body = {"name": "orders", "key": "owner", "value": "a secret"}
    told, model, subject, read = recorded("POST", TAG, json=body)
    assert told == {"method": "POST", "route": TAG, "name": "orders", "key": "owner"}
    assert (model, subject) == ("orders", "orders")
    assert json.loads(read) == body


def test_a_run() -> None:
    body = {"run_id": "r1", "metrics": [{"key": "m", "value": 1}]}
    told, model, subject, read = recorded("POST", "/ajax-api/2.0/mlflow/runs/log-batch", json=body)
    assert told == {"method": "POST", "route": "/ajax-api/2.0/mlflow/runs/log-batch", "run_id": "r1"}
    assert (model, subject, json.loads(read)) == ("", "r1", body)


def test_names_in_the_path() -> None:
    told, _, subject, _ = recorded("DELETE", "/api/2.0/mlflow/logged-models/m-1/tags/x")
    assert told["route"] == "/api/2.0/mlflow/logged-models/<model_id>/tags/<tag_key>"
    assert subject == "m-1"
    told, _, subject, _ = recorded("DELETE", "/api/3.0/mlflow/datasets/d-1/tags/owner")
    assert (told["dataset_id"], told["key"], subject) == ("d-1", "owner", "d-1")
    told, _, subject, _ = recorded("DELETE", "/api/3.0/mlflow/traces/tr-1/assessments/a-1")
    assert (told["trace_id"], told["assessment_id"], subject) == ("tr-1", "a-1", "tr-1")


def test_the_query_which_mlflow_does_not_read_tells_nothing() -> None:
    delete = "/api/2.0/mlflow/runs/delete"
    told, _, subject, _ = recorded("POST", f"{delete}?run_id=harmless", json={"run_id": "victim"})
    assert (told, subject) == ({"method": "POST", "route": delete, "run_id": "victim"}, "victim")
    told, _, subject, _ = recorded("POST", f"{delete}?run_id=harmless")
    assert (told, subject) == ({"method": "POST", "route": delete}, "")


def test_names_in_camel_case_which_mlflow_reads() -> None:
    _, _, subject, read = recorded("POST", "/api/2.0/mlflow/runs/delete", json={"runId": "victim"})
    assert (subject, json.loads(read)) == ("victim", {"runId": "victim"})
    for both in ({"run_id": "harmless", "runId": "victim"}, {"runId": "victim", "run_id": "victim"}):
        with pytest.raises(InvalidInput, match="twice"):
            recorded("POST", "/api/2.0/mlflow/runs/delete", json=both)


def test_an_experiment_is_no_model() -> None:
    _, model, subject, _ = recorded("POST", "/api/2.0/mlflow/experiments/create", json={"name": "trials"})
    assert (model, subject) == ("", "trials")


def test_long_names_are_cut() -> None:
    told, model, _, _ = recorded("POST", TAG, json={"name": "x" * 1000, "key": 7})
    assert (told["name"], told["key"], model) == ("x" * 500, "7", "x" * 500)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/2.0/mlflow/runs/get"), ("POST", "/api/2.0/mlflow/runs/search"), ("POST", "/graphql"), ("GET", "/")],
)
def test_reads(method: str, path: str) -> None:
    route = hosted(method, path)
    assert route is not None
    assert not route.writes
