"""Signing in and out, and what a session is good for: only pages of ours may use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, g
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from service.domain.audit import AuditQuery
from service.domain.identity import OPERATOR
from service.hosting import mlflow_errors, page_headers
from service.hosting.browsers import identify_browser_or_token
from service.hosting.sessions import Sessions
from service.hosting.sign_in_pages import is_page, make_sign_in_pages
from service.settings import S3Settings, Settings
from service.stores.memory import MemoryRegistry
from service.usecases.manage_places import put_environment
from service.usecases.manage_tokens import create_token, revoke_token
from service.wiring import Parts, make_parts
from tests.conftest import KEY

ORIGIN = "https://registry.example"
OURS = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
FORM = {"Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LINK = {**HTML, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
NAME = "__Host-model-registry-session"


def hosted(parts: Parts, sessions: Sessions) -> Any:
    """Our pages, beside an application that tells who asks for what, at the root and at an environment's address."""
    app = Flask("hosted", static_folder=None)
    mlflow_errors.install(app)
    page_headers.install(app, sessions)

    @app.before_request
    def decide() -> None:
        g.principal = identify_browser_or_token(parts, sessions)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "DELETE"])
    def tell(path: str) -> Response:
        return Response(f"{g.principal.name}:{','.join(map(str, g.principal.scopes))}:/{path}", mimetype="text/html")

    pages = make_sign_in_pages(parts, sessions)
    mounted = DispatcherMiddleware(app, {"/environments/prod": app})

    def dispatch(environ: dict[str, Any], start_response: Any) -> Any:
        return (pages if is_page(environ["PATH_INFO"]) else mounted)(environ, start_response)

    return dispatch


@pytest.fixture
def parts() -> Parts:
    """In memory: only tokens, environments and the audit trail are asked for."""
    nowhere = Settings(
        database_url="postgresql+psycopg2://nobody@127.0.0.1:1/none",
        s3=S3Settings(endpoint="http://127.0.0.1:1", access_key="none", secret_key="none", bucket="none"),
        public_url=ORIGIN,
    )
    return replace(make_parts(nowhere), store=MemoryRegistry())


@pytest.fixture
def sessions() -> Sessions:
    return Sessions((KEY,), 3600, ORIGIN)


@pytest.fixture
def browser(parts: Parts, sessions: Sessions) -> Client:
    return Client(hosted(parts, sessions))


def sign_in(browser: Client, secret: str, query: str = "", **headers: str) -> TestResponse:
    return browser.post(f"/login{query}", data={"token": secret}, headers={**FORM, **headers}, base_url=ORIGIN)


def get(browser: Client, path: str, **headers: str) -> TestResponse:
    return browser.get(path, headers=headers or OURS, base_url=ORIGIN, buffered=True)


def test_a_token_begins_a_session(browser: Client, token: Callable[..., str], parts: Parts) -> None:
    page = get(browser, "/login", **HTML)
    assert page.status_code == 200
    assert '<label for="token">' in page.text
    secret = token("read:prod", "promote:prod")
    answer = sign_in(browser, f" {secret}\n")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/environments/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{NAME}=")
    assert secret not in cookie
    assert get(browser, "/ajax-api/2.0/x").text == "test:read:prod,promote:prod:/ajax-api/2.0/x"
    assert get(browser, "/environments/prod/graphql").text.endswith(":/graphql")
    with parts.store.transaction() as tx:
        rows = tx.audit.latest(AuditQuery(action="session."), 10)
    assert [(row.action, row.actor) for row in rows] == [("session.begun", "test")]
    assert rows[0].subject == rows[0].actor_id
    assert rows[0].request_id == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("kind", ["unknown", "revoked", "expired", "empty", "huge"])
def test_what_is_no_good_token_is_refused_in_the_same_words(
    browser: Client, parts: Parts, token: Callable[..., str], kind: str
) -> None:
    secret = {"unknown": "mreg_unknown", "empty": "", "huge": "x" * 10_000}.get(kind) or token("admin")
    with parts.store.transaction() as tx:
        ids = [item.id for item in tx.tokens.list()]
    if kind == "revoked":
        revoke_token(parts.store, parts.clock, OPERATOR, ids[0])
    if kind == "expired":
        late = replace(parts, clock=lambda: parts.clock() + timedelta(days=9))
        secret = create(parts, days=1)
        browser = Client(hosted(late, Sessions((KEY,), 3600, ORIGIN)))
    refused = sign_in(browser, secret if kind != "empty" else "")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert "The token is unknown, expired or revoked." in refused.text
    assert "Set-Cookie" not in refused.headers
    assert not secret or secret not in refused.text


def create(parts: Parts, days: int) -> str:
    return create_token(parts.store, parts.clock, OPERATOR, "brief", ["admin"], days)[1]


def test_a_form_that_is_too_large_is_not_read(browser: Client) -> None:
    assert sign_in(browser, "x" * 100_000).status_code == 413


def test_a_session_ends_with_its_token(browser: Client, parts: Parts, token: Callable[..., str]) -> None:
    sign_in(browser, token("admin"))
    assert get(browser, "/ajax-api/x").status_code == 200
    with parts.store.transaction() as tx:
        (only,) = tx.tokens.list()
    revoke_token(parts.store, parts.clock, OPERATOR, only.id)
    assert get(browser, "/ajax-api/x").status_code == 401
    page = get(browser, "/", **HTML)
    assert (page.status_code, page.headers["Location"]) == (303, "/login?next=/")


def test_a_session_ends_by_itself(browser: Client, parts: Parts, token: Callable[..., str]) -> None:
    sign_in(browser, token("admin"))
    value = browser.get_cookie(NAME, "registry.example")
    assert value is not None
    for seconds, status in ((3598, 200), (3602, 401)):
        later = replace(parts, clock=lambda seconds=seconds: parts.clock() + timedelta(seconds=seconds))
        there = Client(hosted(later, Sessions((KEY,), 3600, ORIGIN)))
        there.set_cookie(NAME, value.value, domain="registry.example", secure=True)
        assert get(there, "/ajax-api/x").status_code == status


def test_signing_out(browser: Client, parts: Parts, token: Callable[..., str]) -> None:
    secret = token("admin")
    sign_in(browser, secret)
    copied = browser.get_cookie(NAME, "registry.example")
    answer = browser.post("/logout", headers=FORM, base_url=ORIGIN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert browser.get_cookie(NAME, "registry.example") is None
    assert get(browser, "/ajax-api/x").status_code == 401
    with parts.store.transaction() as tx:
        rows = tx.audit.latest(AuditQuery(action="session."), 10)
    assert [row.action for row in rows] == ["session.ended", "session.begun"]
    assert browser.post("/logout", headers=FORM, base_url=ORIGIN).status_code == 303, "without a session, too"
    assert copied is not None
    browser.set_cookie(NAME, copied.value, domain="registry.example", secure=True)
    assert get(browser, "/ajax-api/x").status_code == 401, "a copy of the cookie is of no use"
    assert get(browser, "/environments/").status_code == 303
    sign_in(browser, secret)
    assert get(browser, "/ajax-api/x").status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/2.0/mlflow/experiments/search", "/v1/x", "/metrics", "/ajax-apix", "/graphql/", "/get-artifact/x"]
)
def test_a_session_is_for_the_pages_alone(browser: Client, token: Callable[..., str], path: str) -> None:
    secret = token("admin")
    sign_in(browser, secret)
    refused = get(browser, path)
    assert refused.status_code == 401
    assert "Basic" in refused.headers["WWW-Authenticate"]
    assert browser.get(path, headers={"Authorization": f"Bearer {secret}"}, base_url=ORIGIN).status_code == 200


@pytest.mark.parametrize("path", ["/ajax-api/x", "/graphql", "/environments/prod/ajax-api/x", "/login", "/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Sec-Fetch-Site": ""},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://registry.example.evil.example"},
        {"Origin": "http://registry.example"},
        {"Origin": f"{ORIGIN}:8443"},
        {"Referer": f"{ORIGIN}/"},
    ],
)
def test_other_sites_change_nothing(
    browser: Client, token: Callable[..., str], path: str, headers: dict[str, str]
) -> None:
    secret = token("admin")
    sign_in(browser, secret)
    before = browser.get_cookie(NAME, "registry.example")
    refused = browser.post(path, data={"token": secret}, headers=headers, base_url=ORIGIN)
    assert refused.status_code == 403
    assert browser.get_cookie(NAME, "registry.example") == before


def test_our_own_pages_do(browser: Client, token: Callable[..., str]) -> None:
    sign_in(browser, token("admin"))
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": ORIGIN}):
        for method in ("post", "delete"):
            assert getattr(browser, method)("/ajax-api/x", headers=headers, base_url=ORIGIN).status_code == 200


def test_a_browser_s_stored_password_is_of_no_use_to_other_sites(browser: Client, token: Callable[..., str]) -> None:
    headers = {"Authorization": f"Bearer {token('admin')}"}
    for path in ("/api/2.0/mlflow/runs/delete", "/ajax-api/x"):
        assert browser.post(path, headers=headers, base_url=ORIGIN).status_code == 200
        for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            assert browser.post(path, headers={**headers, **foreign}, base_url=ORIGIN).status_code == 403


def test_other_sites_may_link_and_no_more(browser: Client, token: Callable[..., str]) -> None:
    sign_in(browser, token("admin"))
    assert get(browser, "/", **LINK).status_code == 200
    for mode, dest in (("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        assert get(browser, "/get-artifact", **embedded).status_code == 403


def test_who_is_sent_to_sign_in(browser: Client) -> None:
    for path, asked in (("/", "/"), ("/environments/prod/?a=1&b=%2F", "/environments/prod/%3Fa%3D1%26b%3D%252F")):
        page = get(browser, path, **HTML)
        assert (page.status_code, page.headers["Location"]) == (303, f"/login?next={asked}")
    for headers in ({"Accept": "*/*"}, {"Accept": "application/json"}):
        script = get(browser, "/ajax-api/x", **headers)
        assert (script.status_code, script.headers["WWW-Authenticate"]) == (401, 'Bearer realm="model-registry"')
    assert get(browser, "/api/2.0/mlflow/x", **HTML).status_code == 401
    assert browser.post("/ajax-api/x", headers={**HTML, **OURS}, base_url=ORIGIN).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/environments/prod/?a=1", "/environments/prod/?a=1"),
        ("/", "/"),
        ("", "/environments/"),
        ("//evil.example/", "/environments/"),
        ("/\\evil.example", "/environments/"),
        ("/a\\..\\\\evil.example", "/environments/"),
        ("https://evil.example/", "/environments/"),
        ("javascript:alert(1)", "/environments/"),
        ("\t//evil.example", "/environments/"),
        ("/\t/evil.example", "/environments/"),
        ("/a\r\nSet-Cookie: a=b", "/environments/"),
        ("/ä", "/environments/"),
        ("evil", "/environments/"),
        ("/" + "a" * 3000, "/environments/"),
    ],
)
def test_signing_in_leads_to_addresses_of_ours(
    browser: Client, token: Callable[..., str], wanted: str, location: str
) -> None:
    answer = browser.post(
        "/login", query_string={"next": wanted}, data={"token": token("admin")}, headers=FORM, base_url=ORIGIN
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, location)


def test_the_choice_of_an_environment(browser: Client, parts: Parts, token: Callable[..., str]) -> None:
    for name in ("prod", "qa", "secret"):
        put_environment(parts.store, parts.clock, OPERATOR, name, ("Production",), f"<b>{name}</b>")
    assert get(browser, "/environments/").headers["Location"] == "/login?next=/environments/"
    sign_in(browser, token("read:prod", "promote:qa"))
    page = get(browser, "/environments").text
    assert "&lt;b&gt;prod&lt;/b&gt;" in page
    assert "&lt;b&gt;qa&lt;/b&gt;" in page
    assert "secret" not in page
    assert 'href="/environments/' not in page, "MLflow's pages show everything"
    assert "need the scope browse" in page
    for scope in ("browse", "admin"):
        sign_in(browser, token(scope))
        page = get(browser, "/environments/").text
        for name in ("prod", "qa", "secret"):
            assert f'href="/environments/{name}/"' in page
        assert 'href="/"' in page


def test_without_a_key_nobody_signs_in_and_tokens_work(parts: Parts, token: Callable[..., str]) -> None:
    browser = Client(hosted(parts, Sessions((), 3600, ORIGIN)))
    secret = token("admin")
    for answer in (get(browser, "/login", **HTML), sign_in(browser, secret)):
        assert answer.status_code == 409
        assert "MODEL_REGISTRY_SECRET_KEY" in answer.text
        assert "Set-Cookie" not in answer.headers
    assert get(browser, "/", **HTML).headers["Location"] == "/login?next=/"
    assert browser.get("/ajax-api/x", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_below_a_path_every_address_has_it(parts: Parts, token: Callable[..., str]) -> None:
    """A proxy in front takes the path away, and sends what is below it."""
    browser = Client(hosted(parts, Sessions((KEY,), 3600, f"{ORIGIN}/models")))
    assert get(browser, "/", **HTML).headers["Location"] == "/models/login?next=/"
    assert '"/models/web/pages.css"' in get(browser, "/login", **HTML).text
    answer = sign_in(browser, token("admin"), "?next=/environments/prod/")
    assert answer.headers["Location"] == "/models/environments/prod/"
    assert "Path=/models/" in answer.headers["Set-Cookie"]


def test_headers_of_our_pages(browser: Client, token: Callable[..., str]) -> None:
    pages = [get(browser, "/login", **HTML), sign_in(browser, "wrong"), get(browser, "/web/nothing")]
    sign_in(browser, token("admin"))
    pages.append(get(browser, "/environments/"))
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
    assert [page.headers["Cache-Control"] for page in pages if page.status_code != 404] == ["no-store"] * 3
    css = get(browser, "/web/pages.css")
    assert (css.status_code, css.mimetype) == (200, "text/css")
    for path in ("/web/../templates/login.html", "/web/%2e%2e/templates/login.html", "/web//etc/passwd"):
        assert get(browser, path).status_code == 404


def test_headers_of_what_mlflow_answers(browser: Client, token: Callable[..., str]) -> None:
    sign_in(browser, token("admin"))
    for path in (
        "/get-artifact",
        "/ajax-api/2.0/x",
        "/graphql",
        "/model-versions/get-artifact",
        "/environments/prod/graphql",
    ):
        answer = get(browser, path)
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    hashed = get(browser, "/static-files/static/js/main.c2f5f8d4.js").headers
    assert hashed["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "script-src 'self'" in hashed["Content-Security-Policy"]
    assert get(browser, "/static-files/favicon.ico").headers["Cache-Control"] == "private, no-cache"
