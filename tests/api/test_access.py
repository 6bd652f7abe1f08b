"""Who may do what: every route, every kind of caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.identity import OPERATOR
from service.usecases.manage_tokens import create_token
from service.wiring import Parts
from tests.api.conftest import ORDERS, Headers, basic, bearer
from tests.api.problems import problem
from tests.small_exports import RUN

SCOPES = ("admin", "import:dev", "import:other", "read:prod", "promote:prod", "read:qa")
UNKNOWN = ("none", "wrong", "expired", "revoked")

MODEL = "/v1/environments/prod/models/orders"
STAGE = f"{MODEL}/stages/Production"
ALL = "200 200 200 200 200 200"
MANAGE = "403 403 403 403 403"
UNSEEN = "404 404 404 404 404"
URL = "https://127.0.0.1/hook"
# method, path, body: the statuses for each of SCOPES; names in braces stand for ids that are there
TABLE: dict[tuple[str, str], tuple[Any, str]] = {
    ("PUT", "/v1/workspaces/dev"): ({"kind": "mlflow"}, f"200 {MANAGE}"),
    ("PUT", "/v1/workspaces/new"): ({"kind": "mlflow"}, f"201 {MANAGE}"),
    ("GET", "/v1/workspaces/dev"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/workspaces/absent"): (None, f"404 {MANAGE}"),
    ("GET", "/v1/workspaces"): (None, ALL),
    ("DELETE", "/v1/workspaces/other"): (None, f"204 {MANAGE}"),
    ("PUT", "/v1/environments/prod"): ({}, f"200 {MANAGE}"),
    ("GET", "/v1/environments/prod"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/environments/absent"): (None, f"404 {MANAGE}"),
    ("GET", "/v1/environments"): (None, ALL),
    ("DELETE", "/v1/environments/qa"): (None, f"204 {MANAGE}"),
    ("POST", "/v1/tokens"): ({"name": "a", "scopes": ["admin"]}, f"201 {MANAGE}"),
    ("GET", "/v1/audit"): (None, f"200 {MANAGE}"),
    ("GET", "/v1/tokens"): (None, f"200 {MANAGE}"),
    ("DELETE", "/v1/tokens/{token}"): (None, f"200 {MANAGE}"),
    ("POST", "/v1/workspaces/dev/imports"): (ORDERS, "200 200 403 403 403 403"),
    # Who may import may not thereby promote.
    ("POST", "/v1/workspaces/dev/imports?environment=prod"): (ORDERS, f"202 {MANAGE}"),
    ("GET", "/v1/workspaces/dev/imports"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/imports/{import}"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/imports/absent"): (None, "404 404 404 404 404 404"),
    ("POST", "/v1/imports/{import}/retry"): (None, "409 409 403 403 403 403"),
    ("DELETE", "/v1/imports/{import}"): (None, "200 200 403 403 403 403"),
    ("POST", "/v1/workspaces/dev/uploads"): ({"size": 5}, "201 201 403 403 403 403"),
    ("GET", "/v1/workspaces/dev/uploads/absent"): (None, "404 404 403 403 403 403"),
    ("GET", "/v1/workspaces/dev/uploads/absent/urls"): (None, "404 404 403 403 403 403"),
    ("POST", "/v1/workspaces/dev/uploads/absent/complete"): (None, "404 404 403 403 403 403"),
    ("DELETE", "/v1/workspaces/dev/uploads/absent"): (None, "404 404 403 403 403 403"),
    ("GET", f"/v1/workspaces/dev/runs/{RUN}"): (None, "200 200 403 403 403 403"),
    ("GET", f"/v1/runs/{RUN}"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/workspaces/dev/experiments/7"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/experiments/1"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/workspaces/dev/logged-models/absent"): (None, "404 404 403 403 403 403"),
    ("GET", "/v1/logged-models/absent"): (None, "404 404 404 404 404 404"),
    ("GET", "/v1/workspaces/dev/models/orders"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/workspaces/dev/models/orders/versions/1"): (None, "200 200 403 403 403 403"),
    ("GET", "/v1/models"): (None, ALL),
    # A model that a caller may not see is not there for it.
    ("GET", "/v1/models/orders"): (None, "200 200 404 200 200 404"),
    ("GET", "/v1/models/orders/versions/1"): (None, "200 200 404 200 200 404"),
    ("GET", "/v1/models/orders/versions/2"): (None, "200 200 404 404 200 404"),
    ("POST", "/v1/models/orders/versions"): (
        {"run_id": RUN, "artifact_path": "model"},
        "201 201 403 403 403 403",
    ),
    ("PUT", STAGE): ({"version": 1}, "200 403 403 403 200 403"),
    ("GET", STAGE): (None, "200 403 403 200 200 403"),
    ("PUT", f"{STAGE}/instances/pod-1"): ({"digest": "sha256:" + "0" * 64}, "200 403 403 200 200 403"),
    # Nobody has signed anything: 404 for whoever may ask.
    ("GET", f"{STAGE}/signature"): (None, "404 403 403 404 404 403"),
    ("GET", "/v1/models/orders/versions/1/signature"): (None, "404 404 404 404 404 404"),
    ("GET", "/v1/signing-keys"): (None, ALL),
    ("GET", f"{STAGE}/snippet?for=curl"): (None, "200 403 403 200 200 403"),
    ("GET", f"{STAGE}/instances"): (None, "200 403 403 200 200 403"),
    ("DELETE", f"{STAGE}/instances/pod-1"): (None, "204 403 403 204 204 403"),
    ("GET", f"{STAGE}/files"): (None, "200 403 403 200 200 403"),
    ("GET", f"{STAGE}/archive"): (None, "200 403 403 200 200 403"),
    ("GET", f"{STAGE}/files/model.pkl?stream=true"): (None, "200 403 403 200 200 403"),
    ("GET", f"{STAGE}/files/model.pkl"): (None, "307 403 403 307 307 403"),
    # Bytes are for whoever may read a stage that holds them.
    ("GET", "/v1/models/orders/versions/1/files"): (None, "200 404 404 200 200 404"),
    ("GET", "/v1/models/orders/versions/1/files/model.pkl"): (None, "307 404 404 307 307 404"),
    ("GET", "/v1/models/orders/versions/1/archive"): (None, "200 404 404 200 200 404"),
    ("GET", "/v1/models/orders/versions/2/archive"): (None, "200 404 404 404 404 404"),
    ("GET", "/v1/digests/{digest}/manifest"): (None, "200 404 404 200 200 404"),
    ("GET", "/v1/digests/{digest}/files"): (None, "200 404 404 200 200 404"),
    ("GET", "/v1/digests/{digest}/files/model.pkl"): (None, "307 404 404 307 307 404"),
    ("GET", "/v1/digests/{digest}/archive"): (None, "200 404 404 200 200 404"),
    ("GET", "/v1/environments/prod/stages"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/environments/prod/stages/Production?model=orders"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/environments/prod/events?seconds=1"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/models/orders/diff?from=1&to=2"): (None, "200 200 404 404 200 404"),
    ("GET", "/v1/models/orders/diff?from=prod:Production&to=1"): (None, "200 403 403 200 200 403"),
    ("PUT", "/v1/environments/prod/policy"): ({}, f"200 {MANAGE}"),
    ("GET", "/v1/environments/prod/policy"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/environments/prod/policy/history"): (None, "200 403 403 200 200 403"),
    ("PUT", f"{MODEL}/policy"): ({}, f"200 {MANAGE}"),
    ("GET", f"{MODEL}/policy"): (None, "200 403 403 404 404 403"),
    ("GET", f"{MODEL}/policy/history"): (None, "200 403 403 200 200 403"),
    ("DELETE", f"{MODEL}/policy"): (None, f"204 {MANAGE}"),
    ("POST", "/v1/webhooks"): ({"url": URL, "environment": "prod"}, f"201 {MANAGE}"),
    ("GET", "/v1/webhooks"): (None, ALL),
    # What a caller may not manage is not there for it.
    ("GET", "/v1/webhooks/{webhook}"): (None, f"200 {UNSEEN}"),
    ("PUT", "/v1/webhooks/{webhook}"): ({"url": URL}, f"200 {UNSEEN}"),
    ("POST", "/v1/webhooks/{webhook}/secret"): ({}, f"200 {UNSEEN}"),
    ("POST", "/v1/webhooks/{webhook}/test"): (None, f"202 {UNSEEN}"),
    ("GET", "/v1/webhooks/{webhook}/deliveries"): (None, f"200 {UNSEEN}"),
    ("GET", "/v1/webhooks/{webhook}/deliveries/{delivery}"): (None, f"200 {UNSEEN}"),
    ("POST", "/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver"): (None, f"202 {UNSEEN}"),
    ("DELETE", "/v1/webhooks/{webhook}"): (None, f"204 {UNSEEN}"),
    ("POST", f"{MODEL}/promotions"): ({"stage": "Production", "version": 1}, "200 403 403 403 200 403"),
    ("POST", f"{STAGE}/rollback"): ({"to_revision": 1}, "200 403 403 403 200 403"),
    ("DELETE", f"{MODEL}/stages/Staging"): (None, "404 403 403 403 404 403"),
    ("GET", f"{STAGE}/history"): (None, "200 403 403 200 200 403"),
    ("GET", "/v1/environments/prod/promotions"): (None, "200 403 403 200 200 403"),
    # Whose promotion it is decides who may see it and decide on it: tests/api/test_approvals.py.
    ("GET", "/v1/promotions/absent"): (None, "404 404 404 404 404 404"),
    ("POST", "/v1/promotions/absent/approve"): ({}, "404 404 404 404 404 404"),
    ("POST", "/v1/promotions/absent/reject"): ({}, "404 404 404 404 404 404"),
    ("POST", "/v1/promotions/absent/cancel"): ({}, "404 404 404 404 404 404"),
    ("GET", "/v1/models/orders/versions/1/where"): (None, "200 200 404 200 200 404"),
    ("POST", "/v1/models/orders/versions/2/withdraw"): ({"reason": "bad", "then": "empty"}, f"200 {MANAGE}"),
    ("POST", "/v1/models/orders/versions/2/reinstate"): ({"reason": "good"}, f"200 {MANAGE}"),
    ("PUT", "/v1/environments/prod/freeze"): ({"reason": "sale"}, f"200 {MANAGE}"),
    ("DELETE", "/v1/environments/prod/freeze"): (None, f"204 {MANAGE}"),
}
OPEN = ("/healthz", "/readyz", "/version", "/pull.pyz", "/docs/", "/docs/swagger", "/docs/openapi.json")


def ask(client: FlaskClient, method: str, path: str, body: Any, headers: Headers) -> int:
    given = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    response = client.open(path, method=method, headers=dict(headers), **given)
    if response.status_code >= 400:
        slugs = {401: "not-authenticated", 403: "not-allowed", 409: "conflict"}
        problem(response, response.status_code, slugs.get(response.status_code) or slug_of(response.get_json()))
    return response.status_code


def slug_of(document: dict[str, Any]) -> str:
    assert document["status"] == 404
    return f"{document['kind'].replace(' ', '-')}-not-found"


def filled_in(client: FlaskClient, parts: Parts, path: str) -> str:
    target = create_token(parts.store, parts.clock, OPERATOR, "target", ["read:qa"], None)[0]
    import_id = client.get("/v1/workspaces/dev/imports").get_json()["imports"][0]["id"]
    path = path.replace("{digest}", client.get("/v1/models/orders/versions/1").get_json()["digest"])
    path = path.replace("{import}", import_id).replace("{token}", target.id)
    return path if "{webhook}" not in path else with_webhook(client, path)


def with_webhook(client: FlaskClient, path: str) -> str:
    """A new one of the environment prod, with a delivery."""
    made = client.post("/v1/webhooks", json={"url": URL, "environment": "prod"}).get_json()["id"]
    sent = client.post(f"/v1/webhooks/{made}/test").get_json()["id"]
    return path.replace("{webhook}", made).replace("{delivery}", sent)


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope(scope: str, filled: FlaskClient, parts: Parts, caller: Callable[[str], Headers]) -> None:
    headers = caller(scope)
    column = SCOPES.index(scope)
    expected = {route: int(statuses.split()[column]) for route, (_, statuses) in TABLE.items()}
    paths = {route: filled_in(filled, parts, route[1]) for route in TABLE}
    found = {route: ask(filled, route[0], paths[route], body, headers) for route, (body, _) in TABLE.items()}
    assert found == expected


@pytest.mark.parametrize("name", UNKNOWN)
def test_nobody_without_a_usable_token(
    name: str, filled: FlaskClient, parts: Parts, caller: Callable[[str], Headers]
) -> None:
    headers = caller(name)
    found = {
        route: ask(filled, route[0], filled_in(filled, parts, route[1]), body, headers)
        for route, (body, _) in TABLE.items()
    }
    assert found == dict.fromkeys(TABLE, 401)


@pytest.mark.parametrize("name", ["none", "wrong", "read:qa"])
def test_open_to_everyone(name: str, client: FlaskClient, caller: Callable[[str], Headers]) -> None:
    assert {path: client.get(path, headers=caller(name)).status_code for path in OPEN} == dict.fromkeys(OPEN, 200)


def test_the_table_holds_every_route(client: FlaskClient) -> None:
    adapter = client.application.url_map.bind("test")
    tabled = {(adapter.match(path.partition("?")[0], method=method)[0], method) for method, path in TABLE}
    routes = {
        (rule.endpoint, method)
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/")
    }
    assert tabled == routes


def test_basic_with_the_token_as_password(filled: FlaskClient, token: Callable[..., str]) -> None:
    for user in ("", "token", "ü"):
        headers = basic(user, token("read:prod"))
        assert ask(filled, "GET", STAGE, None, headers) == 200
        assert ask(filled, "PUT", STAGE, {"version": 1}, headers) == 403


@pytest.mark.parametrize(
    "told", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://other.example"}]
)
def test_pages_of_other_sites_change_nothing(
    told: Headers, filled: FlaskClient, caller: Callable[[str], Headers]
) -> None:
    """A browser adds credentials that it was given once to whatever page asks."""
    admin = caller("admin")
    assert ask(filled, "PUT", STAGE, {"version": 2}, {**admin, **told}) == 403
    held = filled.get(STAGE, headers={**admin, **told})
    assert (held.status_code, held.get_json()["version"]) == (200, 1), "it is read, and still what it was"
    for ours in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1:5080"}):
        assert ask(filled, "PUT", STAGE, {"version": 2}, {**admin, **ours}) == 200


def test_credentials_that_are_none(client: FlaskClient) -> None:
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !",
        "Basic Og==",
        "Basic /w==",
        "Basic bm8gY29sb24=",
        "Digest x",
        "mreg_alone",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 10_000,
    ):
        response = client.get("/v1/models", headers={"Authorization": value})
        problem(response, 401, "not-authenticated", header="Authorization")


def test_the_kind_of_credentials_has_no_case(client: FlaskClient, token: Callable[..., str]) -> None:
    for kind in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{kind}  {token('admin')} "}
        assert client.get("/v1/models", headers=headers).status_code == 200


def test_what_is_missing_is_named(filled: FlaskClient, caller: Callable[[str], Headers]) -> None:
    response = filled.get(STAGE, headers=dict(caller("read:qa")))
    problem(response, 403, "not-allowed", needed="read:prod or promote:prod")


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("import:*", {"/v1/workspaces/dev": 200, "/v1/models/orders": 200, STAGE: 403}),
        ("read:*", {"/v1/workspaces/dev": 403, "/v1/models/orders": 200, STAGE: 200}),
        ("promote:*", {"/v1/workspaces/dev": 403, "/v1/models/orders": 200, STAGE: 200}),
    ],
)
def test_a_star_stands_for_each(
    scope: str, statuses: dict[str, int], filled: FlaskClient, caller: Callable[[str], Headers]
) -> None:
    headers = caller(scope)
    assert {path: ask(filled, "GET", path, None, headers) for path in statuses} == statuses


def test_several_scopes_add_up(filled: FlaskClient, token: Callable[..., str]) -> None:
    headers = bearer(token("import:dev", "promote:prod"))
    assert ask(filled, "POST", "/v1/workspaces/dev/imports?environment=prod", ORDERS, headers) == 202
    assert ask(filled, "POST", "/v1/workspaces/dev/imports?environment=qa", ORDERS, headers) == 403


def test_a_revoked_token_ends_at_once(client: FlaskClient) -> None:
    made = client.post("/v1/tokens", json={"name": "a", "scopes": ["admin"]}).get_json()
    assert ask(client, "GET", "/v1/tokens", None, bearer(made["token"])) == 200
    assert client.delete(f"/v1/tokens/{made['id']}").status_code == 200
    assert ask(client, "GET", "/v1/tokens", None, bearer(made["token"])) == 401


def test_unknown_addresses_and_methods(client: FlaskClient) -> None:
    problem(client.get("/v1/absent"), 404, "not-found")
    problem(client.get("/"), 404, "not-found")
    response = client.patch("/v1/workspaces/dev", json={})
    problem(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
