"""Puts the hosted MLflow registry beside our API, behind our identity."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

from flask import Flask, Response, g, request

from service.api import request_ids
from service.api.auth import identify
from service.domain.audit import Change
from service.hosting import mlflow_errors
from service.hosting.artifact_store import SCHEME, ArtifactPath
from service.hosting.artifacts import artifact_routes
from service.hosting.calls import called, stored
from service.hosting.decisions import admit, decide_artifact
from service.hosting.environment_view import make_environment_view
from service.hosting.forwarding import Wsgi, ask, remember_raised
from service.hosting.hosts import only_for
from service.hosting.intake import check_address, taken
from service.hosting.lean_import import without_unused_libraries
from service.settings import Settings
from service.usecases.record_change import record
from service.wiring import Parts

OURS = ("/v1/", "/docs/", "/healthz", "/readyz", "/version", "/docs", "/openapi.json")


def with_hosted_registry(app: Flask, settings: Settings, parts: Parts) -> Wsgi:
    """Our API, the environments' views, and MLflow's own application for the rest of the paths."""
    ours = cast(Wsgi, app.wsgi_app)
    environments = only_for(settings.allowed_hosts, make_environment_view(parts).wsgi_app)
    guard = only_for(settings.allowed_hosts, _make_guard(parts, load_mlflow(settings)).wsgi_app)

    def dispatch(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(OURS):
            return ours(environ, start_response)
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
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(settings.database_pool),
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(settings.database_pool),
        }
    )
    with without_unused_libraries():
        from mlflow.server import app  # only now: it reads its environment while it is imported

    remember_raised(app)
    return cast(Wsgi, app.wsgi_app)


def _make_guard(parts: Parts, mlflow: Wsgi) -> Flask:
    """Decides about each request before MLflow sees it; streams artifacts itself."""
    app = Flask("hosted_registry", static_folder=None)
    request_ids.install(app)
    mlflow_errors.install(app)

    @app.before_request
    def decide() -> None:
        check_address(request.environ)
        g.principal = identify(parts)
        g.route = admit(g.principal, request.method, request.path, environment="")

    def keep(change: Change) -> None:
        with parts.store.transaction() as tx:
            record(tx, change, parts.clock())

    def guard(path: ArtifactPath, write: bool) -> None:
        decide_artifact(g.principal, path.path, path.digest, write, environment="", in_stages=())
        if write:
            path.require_writable()
            keep(stored(g.principal, request.method, path.path))

    for twin in ("api", "ajax-api"):
        app.register_blueprint(artifact_routes(f"artifacts_{twin}", parts.objects, guard), url_prefix=f"/{twin}/2.0")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    def forward(path: str) -> Response:
        document = taken(request, g.route)
        if g.route.writes:
            keep(called(g.principal, request, g.route, document))
        return ask(mlflow, request.environ, g.route)

    return app
