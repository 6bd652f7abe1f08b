"""The composition root: settings in, a WSGI application out."""

from __future__ import annotations

from importlib.metadata import version

from flask_openapi3 import APIBlueprint, Info, OpenAPI

from service.api import auth, document, problems, request_ids
from service.api.audit import add_audit
from service.api.bodies import ApiRequest
from service.api.comparisons import add_comparisons
from service.api.events import add_events
from service.api.front import Front
from service.api.history import add_freezes, add_history, add_withdrawals
from service.api.import_payloads import DroppedIn
from service.api.imports import add_imports
from service.api.instances import add_instances
from service.api.models import add_models
from service.api.origins import add_origins
from service.api.own_pages import origin_of
from service.api.payloads import Problem
from service.api.places import add_environments, add_workspaces
from service.api.policies import add_model_policies, add_policies
from service.api.promotions import add_decisions, add_promotions
from service.api.puller import add_puller
from service.api.resolve import add_resolve
from service.api.runs import add_runs
from service.api.signatures import add_signatures
from service.api.snippets import add_snippets
from service.api.stages import add_stages
from service.api.status import add_status
from service.api.tokens import add_tokens
from service.api.uploads import add_uploads
from service.api.version_bytes import add_version_bytes
from service.api.webhooks import add_deliveries, add_webhooks
from service.settings import Settings
from service.wiring import HURRIED, Parts, make_parts

SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}}
PROBLEMS = document.problems(400, 401, 403, 404, 422, 503)


def create_app(settings: Settings, parts: Parts | None = None) -> OpenAPI:
    """The API. Connects to nothing before the first request.

    Args:
        parts: stores to use instead of those the settings name.
    """
    parts = parts or make_parts(settings, patience=HURRIED)
    app = OpenAPI(
        "service",
        info=Info(title="Model registry", version=version("model-registry")),
        security_schemes=SECURITY,
        servers=None,
        doc_prefix="/docs",
        doc_url="/openapi.json",
        validation_error_callback=problems.from_validation,
        validation_error_model=Problem,
        static_folder=None,
    )
    app.request_class = ApiRequest
    request_ids.install(app)
    problems.install(app)
    auth.install(app, parts, origin_of(settings.public_url))
    v1 = APIBlueprint(
        "v1", __name__, url_prefix="/v1", abp_security=[{"bearer": []}, {"basic": []}], abp_responses=PROBLEMS
    )
    _add_routes(v1, settings, parts)
    app.register_api(v1)
    status = APIBlueprint("status", __name__)
    add_status(status, parts)
    add_puller(status)
    app.register_api(status)
    document.describe_json(app, "/v1/workspaces/{workspace}/imports", DroppedIn)
    document.finish(app)
    for endpoint, view in list(app.view_functions.items()):
        if endpoint.startswith(("openapi", "swagger")):
            app.view_functions[endpoint] = auth.opened(view)
    app.wsgi_app = Front(app.wsgi_app, parts)
    return app


def _add_routes(v1: APIBlueprint, settings: Settings, parts: Parts) -> None:
    """In the order of the API's reference."""
    add_workspaces(v1, parts)
    add_environments(v1, parts)
    add_tokens(v1, parts)
    add_imports(v1, parts, settings.import_max_bytes)
    add_uploads(v1, parts, settings.import_max_bytes, settings.presign_seconds)
    add_runs(v1, parts)
    add_origins(v1, parts)
    add_models(v1, parts)
    add_comparisons(v1, parts)
    add_policies(v1, parts)
    add_model_policies(v1, parts)
    add_resolve(v1, parts)
    add_events(v1, parts)
    add_stages(v1, parts)
    add_version_bytes(v1, parts, settings.presign_seconds)
    add_instances(v1, parts)
    add_signatures(v1, parts)
    add_snippets(v1, parts, settings.public_url)
    add_audit(v1, parts)
    add_webhooks(v1, parts)
    add_deliveries(v1, parts)
    add_promotions(v1, parts)
    add_decisions(v1, parts)
    add_history(v1, parts)
    add_withdrawals(v1, parts)
    add_freezes(v1, parts)
