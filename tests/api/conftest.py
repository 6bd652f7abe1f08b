"""A registry with something in it, and everyone who may ask it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.identity import OPERATOR
from service.usecases.manage_tokens import create_token
from service.wiring import Parts
from tests.api.problems import PRIVATE
from tests.api.traces import Unchanged, unchanged
from tests.small_exports import MLMODEL, RUN, Document, Files, packed, registered_model, run, version

OTHER_RUN = "f" * 32
ORDERS = packed(
    {
        "model.json": registered_model(version("1", current_stage="Production"), version("2", OTHER_RUN)),
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/MLmodel": b"flavors: {python_function: {loader_module: mlflow.sklearn}}\n",
        f"{RUN}/artifacts/model/model.pkl": b"42",
        f"{OTHER_RUN}/run.json": run(OTHER_RUN),
        f"{OTHER_RUN}/artifacts/model/model.pkl": b"43",
    }
)
Headers = Mapping[str, str]
Send = Callable[..., dict[str, Any]]
Refuse = Callable[..., dict[str, Any]]
Rows = Callable[..., list[Any]]


@pytest.fixture
def places(client: FlaskClient) -> FlaskClient:
    """The workspaces dev and other, the environments prod and qa."""
    for workspace in ("dev", "other"):
        assert client.put(f"/v1/workspaces/{workspace}", json={"kind": "databricks"}).status_code == 201
    for environment in ("prod", "qa"):
        assert client.put(f"/v1/environments/{environment}", json={}).status_code == 201
    return client


@pytest.fixture
def filled(places: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """The places, and two versions of the model orders from dev, the first in Production of prod."""
    assert places.post("/v1/workspaces/dev/imports", data=ORDERS).status_code == 202
    assert run_imports() == 1
    assert places.put("/v1/environments/prod/models/orders/stages/Production", json={"version": 1}).status_code == 200
    return places


def model_of(run_id: str, data: bytes = b"42") -> dict[str, bytes | Document]:
    """A run with a model."""
    return {
        f"{run_id}/run.json": run(run_id),
        f"{run_id}/artifacts/model/MLmodel": MLMODEL,
        f"{run_id}/artifacts/model/model.pkl": data,
    }


@pytest.fixture
def send(places: FlaskClient, run_imports: Callable[[], int]) -> Send:
    """Import files for a workspace; answers with the report, or with the problem that refused them."""

    def send(files: Files, workspace: str = "dev", **query: str) -> dict[str, Any]:
        sent = places.post(f"/v1/workspaces/{workspace}/imports", data=packed(files), query_string=query)
        assert sent.status_code == 202, sent.text
        run_imports()
        done = places.get(sent.headers["Location"]).get_json()
        assert done["state"] in ("done", "refused")
        if done["state"] == "refused":
            return dict(done["problem"])
        for kind, counts in done["report"]["counts"].items():
            assert counts["found"] == sum(counts[what] for what in ("created", "updated", "skipped", "failed")), kind
        return dict(done["report"])

    return send


@pytest.fixture
def refused(places: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged) -> Refuse:
    """Send an archive that the worker has to refuse, and answer with the problem."""

    def refuse(archive: bytes, status: int, slug: str, query: dict[str, str] | None = None, **where: object) -> Any:
        with nothing_left(refused=1):
            sent = places.post("/v1/workspaces/dev/imports", data=archive, query_string=query)
            assert sent.status_code == 202, sent.text
            assert run_imports() == 1
        shown = places.get(sent.headers["Location"])
        assert not PRIVATE.search(shown.text), shown.text
        body = shown.get_json()
        assert (body["state"], body["report"]) == ("refused", None)
        document = body["problem"]
        assert document["type"] == f"urn:model-registry:problem:{slug}"
        assert document["status"] == status
        assert document["title"]
        assert document["detail"]
        assert {name: document.get(name) for name in where} == where, document
        return document

    return refuse


@pytest.fixture
def rows(engine: sa.Engine) -> Rows:
    """Rows of a table in which each named column has the value."""

    def ask(table: sa.TableClause, **wanted: object) -> list[Any]:
        with engine.connect() as connection:
            condition = [table.c[name] == value for name, value in wanted.items()]
            return list(connection.execute(sa.select(table).where(*condition)))

    return ask


@pytest.fixture
def nothing_left(engine: sa.Engine, parts: Parts) -> Unchanged:
    return unchanged(engine, parts.objects)


@pytest.fixture
def caller(parts: Parts, token: Callable[..., str]) -> Callable[[str], Headers]:
    """Headers of a caller: of one with the scope, or without a usable token: none, wrong, expired, revoked."""

    def headers(name: str) -> Headers:
        match name:
            case "none":
                return {"Authorization": ""}
            case "wrong":
                return bearer("mreg_" + "x" * 43)
            case "expired":
                then = parts.clock() - timedelta(days=2)
                return bearer(create_token(parts.store, lambda: then, OPERATOR, "expired", ["admin"], 1)[1])
            case "revoked":
                revoked, secret = create_token(parts.store, parts.clock, OPERATOR, "revoked", ["admin"], None)
                with parts.store.transaction() as tx:
                    tx.tokens.revoke(revoked.id, parts.clock())
                return bearer(secret)
            case scope:
                return bearer(token(scope))

    return headers


def bearer(secret: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}


def basic(user: str, secret: str) -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}
