"""The table of the hosted surface: complete, true to MLflow, and what the docs say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from service.hosting.lean_import import without_unused_libraries
from service.hosting.table import OUTLIVED, REFUSED, Permission, hosted, refused, rows, twins

DOC = (Path(__file__).parents[2] / "docs" / "mlflow-permissions.md").read_text()


@pytest.fixture(scope="module")
def mlflow_routes() -> set[tuple[str, str]]:
    """Every (method, path) that MLflow's application answers."""
    with without_unused_libraries():
        from mlflow.server import app

    found = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len(found) > 250
    return found


def shape(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"<(path:)?\w+>", lambda match: f"<{match[1] or ''}>", path)


HOSTED = {(method, shape(twin)) for _, method, path in rows() for twin in twins(path)}


def test_every_route_of_mlflow_is_hosted_or_refused(mlflow_routes: set[tuple[str, str]]) -> None:
    """A version of MLflow that brings a route fails here, until somebody decides about it."""
    not_hosted = [row for row in sorted(mlflow_routes) if (row[0], shape(row[1])) not in HOSTED]
    assert [row for row in not_hosted if not refused(*row)] == []


def test_nothing_hosted_is_refused_as_well(mlflow_routes: set[tuple[str, str]]) -> None:
    assert [(method, path) for _, method, path in rows() if refused(method, path)] == []
    for entry in REFUSED:
        method, _, beginning = entry.rpartition(" ")
        assert any(path.startswith(twins(beginning)) and method in ("", verb) for verb, path in mlflow_routes), entry


def test_every_row_is_a_route_of_mlflow(mlflow_routes: set[tuple[str, str]]) -> None:
    known = {(method, shape(path)) for method, path in mlflow_routes}
    for _, method, path in rows():
        assert (method, shape(OUTLIVED.get(path, path))) in known, (method, path)


def test_no_row_twice() -> None:
    assert Counter((method, path) for _, method, path in rows()).most_common(1)[0][1] == 1


def test_the_docs_have_the_table() -> None:
    for permission in Permission:
        section = DOC.partition(f"\n## `{permission.value}`")[2].partition("\n## ")[0]
        told = re.findall(r"^(GET|POST|PUT|PATCH|DELETE) (/\S*)$", section, re.M)
        assert told == [(method, path) for kind, method, path in rows() if kind is permission]
    told = re.findall(r"^\| `(\S.*?)` \| (.+?) \|$", DOC, re.M)
    assert told == list(REFUSED.items())


def test_a_route_is_found_with_its_permission() -> None:
    for permission, method, path in rows():
        for twin in twins(path):
            concrete = re.sub(r"<(?:path:)?\w+>", "some-id", twin)
            route = hosted(method, concrete)
            assert route is not None, (method, concrete)
            assert (route.path, route.permission) == (twin, permission)
            assert set(route.arguments) == set(re.findall(r"<(?:path:)?(\w+)>", twin))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "//api/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/runs/get/"),
        ("GET", "/api/2.0/mlflow//runs/get"),
        ("GET", "/API/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/runs/../runs/get"),
        ("GET", "/api/2.0/preview/mlflow/runs/get"),
        ("POST", "/api/2.0/mlflow/runs/get"),
        ("OPTIONS", "/api/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/logged-models/a/b"),
        ("GET", "/graphql"),
        ("GET", "/signup"),
        ("GET", "/ajax-api/2.0/mlflow/users/current"),
        ("POST", "/v1/traces"),
        ("GET", "/ajax-api/4.0/mlflow/traces/search"),
    ],
)
def test_what_is_not_hosted(method: str, path: str) -> None:
    assert hosted(method, path) is None


def test_routes_that_mlflow_dropped_are_answered_by_their_successors() -> None:
    for twin in ("api", "ajax-api"):
        route = hosted("GET", f"/{twin}/2.0/mlflow/experiments/list")
        assert route is not None
        assert route.successor == f"/{twin}/2.0/mlflow/experiments/search"
        route = hosted("GET", f"/{twin}/2.0/mlflow/runs/get")
        assert route is not None
        assert route.successor == ""
