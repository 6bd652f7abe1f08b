"""An environment as an MLflow registry: `MLFLOW_TRACKING_URI=https://…/environments/<environment>`.

What MLflow's clients ask for when they load `models:/<name>/<Stage>`, `models:/<name>@<stage in lower case>` or
`models:/<name>/<version>`, answered from the environment's own stages. A reader sees exactly the versions that
are in them. Whoever may promote may use MLflow's `transition-stage` too, which is a promotion. No MLflow code runs
here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request

from service.api import request_ids
from service.api.auth import identify
from service.domain.audit import Change
from service.domain.environment import Assignment
from service.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from service.domain.identity import Scope
from service.domain.layout import version_uri
from service.domain.model import ModelVersion
from service.domain.promotion import Promotion, PromotionState
from service.hosting import mlflow_errors
from service.hosting.artifact_store import ArtifactPath
from service.hosting.artifacts import artifact_routes
from service.usecases.transition_version import transition_version
from service.wiring import Parts

PREFIX = "/environments/<environment>"
_NUMBER = re.compile("[1-9][0-9]{0,8}")
ASKED = ("name", "version", "alias", "path")
"""Parameters that a record of a read tells."""


def make_environment_view(parts: Parts) -> Flask:
    """A Flask application for the paths under `/environments/`."""
    app = Flask("environment_view", static_folder=None)
    request_ids.install(app)
    mlflow_errors.install(app)

    @app.before_request
    def decide() -> None:
        if request.routing_exception is not None:
            return  # nothing is there: the error handlers answer
        environment = (request.view_args or {}).get("environment", "")
        principal = g.principal = identify(parts)
        principal.require(Scope("read", environment), Scope("promote", environment))
        with parts.store.transaction() as tx:
            g.environment = tx.environments.get(environment)
            g.held = tx.stages.list(environment)
            asked = {"address": request.path, **{key: request.args[key] for key in ASKED if key in request.args}}
            read = Change("view.read", principal, environment=environment, model=asked.get("name", ""), after=asked)
            parts.reads.record(tx, parts.clock, read)
        (request.view_args or {}).pop("environment", None)

    def guard(path: ArtifactPath, write: bool) -> None:
        if write:
            raise NotAllowed("An environment's view is read-only; log to the registry's own address.")
        if path.digest not in {held.digest for held in g.held}:
            raise NotFound("artifact", path.path)

    for twin in ("api", "ajax-api"):
        app.register_blueprint(_registry_routes(f"registry_{twin}", parts), url_prefix=f"{PREFIX}/{twin}/2.0/mlflow")
        app.register_blueprint(artifact_routes(f"artifacts_{twin}", parts, guard), url_prefix=f"{PREFIX}/{twin}/2.0")
    return app


def _registry_routes(name: str, parts: Parts) -> Blueprint:
    routes = Blueprint(name, __name__)

    @routes.route("/registered-models/get-latest-versions", methods=["GET", "POST"])
    def get_latest_versions() -> Response:
        wanted = _stages()
        held = [item for item in _of(_parameter("name")) if not wanted or item.stage.casefold() in wanted]
        return jsonify({"model_versions": [_shown(parts, item) for item in held]})

    @routes.get("/registered-models/alias")
    def get_by_alias() -> Response:
        alias = _parameter("alias")
        for item in _of(_parameter("name")):
            if item.stage.lower() == alias:
                return jsonify({"model_version": _shown(parts, item)})
        raise NotFound("alias", alias, f"No stage of environment {g.environment.name!r} is {alias!r} in lower case.")

    @routes.get("/registered-models/get")
    def get_registered_model() -> Response:
        name = _parameter("name")
        return jsonify({"registered_model": _model(parts, name, _of(name))})

    @routes.get("/registered-models/search")
    def search_registered_models() -> Response:
        names = sorted({item.model for item in g.held})
        return jsonify({"registered_models": [_model(parts, name, _of(name)) for name in names]})

    @routes.get("/model-versions/get")
    def get_model_version() -> Response:
        return jsonify({"model_version": _shown(parts, _one())})

    @routes.post("/model-versions/transition-stage")
    def transition_stage() -> Response:
        name, version, stage = _parameter("name"), _parameter("version"), _parameter("stage")
        if not _NUMBER.fullmatch(version):
            raise NotFound("version", version[:80])
        g.principal.require(Scope("promote", g.environment.name))
        with parts.store.transaction() as tx:
            promotion = transition_version(tx, parts.clock, g.principal, g.environment, name, int(version), stage)
            moved = tx.models.version(name, int(version))
            g.held = tx.stages.list(g.environment.name)
        if promotion is not None and promotion.state is PromotionState.PENDING:
            raise Conflict(f"It waits for approvals, see /v1/promotions/{promotion.id}.", promotion=promotion.id)
        return jsonify({"model_version": _version(moved, _in_stage(moved, promotion))})

    @routes.get("/model-versions/get-download-uri")
    def get_download_uri() -> Response:
        return jsonify({"artifact_uri": version_uri(_one().digest)})

    return routes


def _parameter(name: str) -> str:
    body = request.get_json(silent=True) if request.method == "POST" else None
    value = body.get(name) if isinstance(body, dict) else request.args.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # by hand a version is a number; MLflow's clients send a text
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"The parameter {name!r} is needed.", field=name)
    return value


def _stages() -> set[str]:
    body = request.get_json(silent=True) if request.method == "POST" else None
    found = body.get("stages", []) if isinstance(body, dict) else request.args.getlist("stages")
    if not isinstance(found, list) or not all(isinstance(stage, str) for stage in found):
        raise InvalidInput("stages must be a list of names.", field="stages")
    known = {stage.casefold() for stage in g.environment.stages}
    for stage in found:
        if stage.casefold() not in known:
            raise InvalidInput(
                f"Environment {g.environment.name!r} has no stage {stage!r}; it has {', '.join(g.environment.stages)}.",
                field="stages",
            )
    return {stage.casefold() for stage in found}


def _of(model: str) -> Sequence[Assignment]:
    """The model's assignments in the order of the environment's stages."""
    held = [item for item in g.held if item.model == model]
    if not held:
        raise NotFound("model", model, f"No version of {model!r} is in a stage of environment {g.environment.name!r}.")
    return sorted(held, key=lambda item: g.environment.stages.index(item.stage))


def _one() -> Assignment:
    """The version asked for; when it is in several stages, as the one it was put into last."""
    name, version = _parameter("name"), _parameter("version")
    held = [item for item in _of(name) if str(item.version) == version]
    if not held:
        raise NotFound("version", version, f"Version {version} of {name!r} is in no stage of this environment.")
    return max(held, key=lambda item: item.assigned_at)


def _shown(parts: Parts, item: Assignment) -> dict[str, Any]:
    with parts.store.transaction() as tx:
        version = tx.models.version(item.model, item.version)
    return _version(version, item)


def _in_stage(version: ModelVersion, promotion: Promotion | None) -> Assignment | None:
    """Where the promotion brought the version; None when it was taken out."""
    held = (item for item in g.held if (item.model, item.version) == (version.model, version.version))
    return next((item for item in held if promotion is not None and item.stage == promotion.stage), None)


def _version(version: ModelVersion, item: Assignment | None) -> dict[str, Any]:
    """As the stage's; `item` None: as one that is in no stage."""
    created = round(version.created_at.timestamp() * 1000)
    return {
        "name": version.model,
        "version": str(version.version),
        "creation_timestamp": created,
        "last_updated_timestamp": round(item.assigned_at.timestamp() * 1000) if item else created,
        "current_stage": item.stage if item else "None",
        "description": version.description,
        "source": version_uri(version.digest),
        "run_id": version.run_id,
        "status": "READY",
        "tags": [{"key": "model_registry.digest", "value": version.digest}],
        "aliases": [
            held.stage.lower() for held in g.held if (held.model, held.version) == (version.model, version.version)
        ],
    }


def _model(parts: Parts, name: str, held: Sequence[Assignment]) -> dict[str, Any]:
    with parts.store.transaction() as tx:
        model = tx.models.get(name)
    return {
        "name": name,
        "description": model.description,
        "creation_timestamp": round(model.created_at.timestamp() * 1000),
        "last_updated_timestamp": max(round(item.assigned_at.timestamp() * 1000) for item in held),
        "latest_versions": [_shown(parts, item) for item in held],
        "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
        "aliases": [{"alias": item.stage.lower(), "version": str(item.version)} for item in held],
    }
