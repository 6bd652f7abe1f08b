"""Puts the hosted MLflow registry beside our API, behind our identity: at the root, and as each environment sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from flask import Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from service.api import request_ids
from service.api.auth import secret_of
from service.domain.audit import Change
from service.domain.identity import Principal, secret_hash
from service.domain.names import check_slug
from service.hosting import mlflow_errors, page_headers
from service.hosting.artifact_store import SCHEME, ArtifactPath
from service.hosting.artifacts import artifact_routes
from service.hosting.browsers import identify_browser_or_token
from service.hosting.caller import Caller, caller
from service.hosting.calls import called, stored
from service.hosting.decisions import admit, decide_artifact
from service.hosting.forwarding import Wsgi, ask, remember_raised
from service.hosting.hosts import only_for
from service.hosting.intake import check_address, taken
from service.hosting.lean_import import without_unused_libraries
from service.hosting.lookups import lookup_routes
from service.hosting.preview import without_preview
from service.hosting.previews import preview_routes
from service.hosting.sessions import Sessions
from service.hosting.sign_in_pages import is_page, make_sign_in_pages
from service.hosting.store_builders import STORE_URI
from service.hosting.ui_page import UiPage
from service.settings import Settings
from service.usecases.record_change import record
from service.wiring import Parts

OURS = ("/v1/", "/docs/", "/healthz", "/readyz", "/version", "/docs", "/openapi.json", "/pull.pyz")
ENVIRONMENTS = "/environments/"
ENVIRONMENT = "model_registry.environment"
"""The name in an address below ENVIRONMENTS, as it goes with the request."""
LOOKUPS = "lookups_"
METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
RECORDED = (
    *(f"/mlflow/model-versions/{verb}" for verb in ("create", "delete", "transition-stage")),
    *(f"/mlflow/registered-models/{verb}" for verb in ("create", "delete", "rename")),
)
"""Routes whose use case records what they change."""
ASKED = ("name", "version", "alias", "path")
"""Parameters that a record of a read tells."""


def with_hosted_registry(app: Flask, settings: Settings, parts: Parts) -> Wsgi:
    """Our API, our pages, and MLflow's own application for the rest of the paths."""
    ours = cast(Wsgi, app.wsgi_app)
    pages = only_for(settings.allowed_hosts, make_sign_in_pages(parts, Sessions.of(settings)).wsgi_app)
    theirs = only_for(settings.allowed_hosts, make_hosted(settings, parts, load_mlflow(settings)))

    def dispatch(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(OURS):
            return ours(environ, start_response)
        return (pages if is_page(path) else theirs)(environ, start_response)

    return dispatch


def make_hosted(settings: Settings, parts: Parts, mlflow: Wsgi) -> Wsgi:
    """`mlflow` behind the guard, at the root and below each environment's address."""
    guard = cast(Wsgi, _make_guard(settings, parts, mlflow).wsgi_app)

    def enter(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(ENVIRONMENTS):
            name, slash, rest = path.removeprefix(ENVIRONMENTS).partition("/")
            script = f"{environ.get('SCRIPT_NAME', '')}{ENVIRONMENTS}{name}"
            path = slash + rest
            environ = {**environ, "SCRIPT_NAME": script, ENVIRONMENT: name}
        return guard({**environ, "PATH_INFO": without_preview(path)}, start_response)

    return enter


def load_mlflow(settings: Settings) -> Wsgi:
    """MLflow's Flask application over our stores. It reads its settings from the environment."""
    os.environ.update(
        {
            "_MLFLOW_SERVER_FILE_STORE": STORE_URI,
            "_MLFLOW_SERVER_REGISTRY_STORE": STORE_URI,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"{SCHEME}:/",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            # Every request here carries a token, which is what that middleware stands in for.
            "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_ENABLE_AI_GATEWAY": "false",
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(settings.database_pool),
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(settings.database_pool),
        }
    )
    with without_unused_libraries():
        from mlflow.server import app  # only now: it reads its environment while it is imported

        from service.hosting import model_history

    model_history.install(app)
    remember_raised(app)
    return cast(Wsgi, app.wsgi_app)


def _make_guard(settings: Settings, parts: Parts, mlflow: Wsgi) -> Flask:
    """Decides about each request before MLflow sees it; answers look-ups and streams artifacts itself."""
    app = Flask("hosted_registry", static_folder=None)
    request_ids.install(app)
    mlflow_errors.install(app)
    sessions = Sessions.of(settings)
    page_headers.install(app, sessions)
    page = UiPage(sessions)

    @app.before_request
    def decide() -> ResponseReturnValue | None:
        check_address(request.environ)
        if ENVIRONMENT in request.environ and not request.environ["PATH_INFO"]:
            return _with_slash(sessions, request.environ[ENVIRONMENT])
        g.principal = _identify_quickly(parts) or identify_browser_or_token(parts, sessions)
        name = request.environ.get(ENVIRONMENT) or settings.default_environment
        g.route = admit(g.principal, request.method, request.path, environment=name)
        g.document = taken(request, g.route)
        Caller(parts, g.principal, name).attach(request.environ)
        if name and parts.reads.share and not g.route.writes:
            _record_read(parts, g.principal, name)
        return None

    def keep(change: Change) -> None:
        with parts.store.transaction() as tx:
            record(tx, change, parts.clock())

    def guard(path: ArtifactPath, write: bool) -> None:
        by = caller()
        decide_artifact(g.principal, path.path, path.digest, write, by.name, _in_stages(by))
        if write:
            path.require_writable()
            keep(stored(g.principal, request.method, path.path))

    app.register_blueprint(preview_routes(parts))
    for twin in ("api", "ajax-api"):
        app.register_blueprint(lookup_routes(f"{LOOKUPS}{twin}"), url_prefix=f"/{twin}/2.0")
        app.register_blueprint(artifact_routes(f"artifacts_{twin}", parts, guard), url_prefix=f"/{twin}/2.0")

    @app.route("/", defaults={"path": ""}, methods=METHODS)
    @app.route("/<path:path>", methods=METHODS)
    def forward(path: str) -> Response:
        _ = caller().environment  # an address of no environment is refused before anything is answered there
        own = page.answer(g.route.path)
        if own is not None:
            return own
        if g.route.writes and not g.route.path.endswith(RECORDED):
            keep(called(g.principal, request, g.route, g.document))
        return ask(mlflow, request.environ, g.route)

    return app


def _with_slash(sessions: Sessions, environment: str) -> ResponseReturnValue:
    """The address of the environment as a browser needs it, which resolves what a page names against it."""
    query = request.query_string.decode()
    address = f"{sessions.prefix}{ENVIRONMENTS}{check_slug('environment', environment)}/"
    return redirect(f"{address}?{query}" if query else address, 308)


def _identify_quickly(parts: Parts) -> Principal | None:
    """Who sends a look-up, by a token that is kept as long as it holds; None when it is none or a browser's."""
    browser = any(name in request.headers for name in ("Origin", "Sec-Fetch-Site", "Cookie"))
    if browser or not (request.endpoint or "").startswith(LOOKUPS):
        return None
    secret = secret_of(request.headers.get("Authorization"))
    if not secret:
        return None
    token = parts.resolver.token(secret_hash(secret))
    return replace(token.principal, request_id=request_ids.request_id())


def _in_stages(by: Caller) -> frozenset[str]:
    """Digests of the versions that the environment's stages hold; nobody asks for whom everything is shown."""
    if by.environment is None or by.view.everything:
        return frozenset()
    with by.transaction() as tx:
        return frozenset(item.digest for item in tx.stages.list(by.environment.name))


def _record_read(parts: Parts, by: Principal, environment: str) -> None:
    """A read of an environment, if it is one of the sample."""
    asked = {"address": request.path, **{key: request.args[key] for key in ASKED if key in request.args}}
    read = Change("view.read", by, environment=environment, model=asked.get("name", ""), after=asked)
    with parts.store.transaction() as tx:
        parts.reads.record(tx, parts.clock, read)
