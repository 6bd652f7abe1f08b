"""Puts the hosted MLflow registry beside our API, behind our identity."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Flask, g, request

from service.api import request_ids
from service.domain.audit import Change
from service.domain.errors import NotFound
from service.domain.identity import ADMIN
from service.hosting import mlflow_errors, page_headers
from service.hosting.artifact_store import SCHEME, ArtifactPath
from service.hosting.artifacts import artifact_routes
from service.hosting.browsers import identify_browser_or_token
from service.hosting.calls import called, stored
from service.hosting.environment_view import make_environment_view
from service.hosting.lean_import import without_unused_libraries
from service.hosting.sessions import Sessions
from service.hosting.sign_in_pages import is_page, make_sign_in_pages
from service.hosting.table import hosted
from service.hosting.ui_page import UiPage
from service.settings import Settings
from service.usecases.record_change import record
from service.wiring import Parts

OURS = ("/v1/", "/docs/", "/healthz", "/readyz", "/version", "/docs", "/openapi.json")
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_hosted_registry(app: Flask, settings: Settings, parts: Parts) -> Wsgi:
    """Our API, the environments' views, and MLflow's own application for the rest of the paths."""
    ours = cast(Wsgi, app.wsgi_app)
    environments = cast(Wsgi, make_environment_view(parts).wsgi_app)
    sessions = Sessions.of(settings)
    guard = cast(Wsgi, _make_guard(parts, load_mlflow(settings), sessions).wsgi_app)
    pages = cast(Wsgi, make_sign_in_pages(parts, sessions).wsgi_app)

    def dispatch(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(OURS):
            return ours(environ, start_response)
        if is_page(path):
            return pages(environ, start_response)
        if path.startswith("/environments/"):
            return environments(environ, start_response)
        return guard(environ, start_response)

    return dispatch


def load_mlflow(settings: Settings) -> Wsgi:
    """MLflow's Flask application on the same Postgres and S3. It reads its settings from the environment."""
    os.environ.update(
        {
            "_MLFLOW_SERVER_FILE_STORE": settings.database_url,
            "_MLFLOW_SERVER_REGISTRY_STORE": settings.database_url,
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

    return cast(Wsgi, app.wsgi_app)


def _make_guard(parts: Parts, mlflow: Wsgi, sessions: Sessions) -> Flask:
    """Decides about each request before MLflow sees it; streams artifacts itself."""
    app = Flask("hosted_registry", static_folder=None)
    request_ids.install(app)
    mlflow_errors.install(app)
    page_headers.install(app, sessions)
    page = UiPage(sessions)

    @app.before_request
    def decide() -> None:
        g.principal = identify_browser_or_token(parts, sessions)
        g.principal.require(ADMIN)

    def keep(change: Change) -> None:
        with parts.store.transaction() as tx:
            record(tx, change, parts.clock())

    def guard(path: ArtifactPath, write: bool) -> None:
        """Whoever came this far may read and write, but not write to registered versions."""
        if write:
            path.require_writable()
            keep(stored(g.principal, request.method, path.path))

    for twin in ("api", "ajax-api"):
        app.register_blueprint(artifact_routes(f"artifacts_{twin}", parts.objects, guard), url_prefix=f"/{twin}/2.0")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    def forward(path: str) -> Any:
        route = hosted(request.method, request.path)
        if route is None:
            raise NotFound("endpoint", request.path, "This registry does not host that part of MLflow.")
        own = page.answer(route.path)
        if own is not None:
            return own
        if route.writes:
            keep(called(g.principal, request, route))
        return mlflow

    return app
