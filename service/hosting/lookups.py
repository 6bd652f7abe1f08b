"""The look-ups that every load of a model makes, answered without MLflow's handlers, which take ten times as long.

What is told comes from `service.usecases.view_versions`, as in MLflow's store (`service.hosting.registry_store`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from service.domain.errors import InvalidInput
from service.hosting.caller import caller
from service.hosting.decisions import sees_everything
from service.usecases.look_up import look_up
from service.usecases.view_versions import Seen, Sight, download_uri

_NUMBER = re.compile("[0-9]{1,9}")


def lookup_routes(name: str) -> Blueprint:
    routes = Blueprint(name, __name__)

    @routes.route("/mlflow/registered-models/get-latest-versions", methods=["GET", "POST"])
    def get_latest_versions() -> Response:
        model, stages = parameter("name"), _stages()
        sight = _sight(model)
        sight.require(model)
        found = sight.latest([model], stages)[model]
        return jsonify({"model_versions": [shown(seen) for seen in found]} if found else {})

    @routes.get("/mlflow/registered-models/alias")
    def get_by_alias() -> Response:
        model, alias = parameter("name"), parameter("alias")
        return jsonify({"model_version": shown(_sight(model, alias=alias).by_alias(model, alias))})

    @routes.get("/mlflow/model-versions/get")
    def get_model_version() -> Response:
        return jsonify({"model_version": shown(asked_version())})

    @routes.get("/mlflow/model-versions/get-download-uri")
    def get_download_uri() -> Response:
        return jsonify({"artifact_uri": download_uri(asked_version())})

    return routes


def shown(seen: Seen) -> Mapping[str, Any]:
    """The JSON that MLflow makes of a version: what is not said is left out."""
    known = seen.known
    told = {
        "name": known.model,
        "version": str(known.version),
        "creation_timestamp": known.created,
        "last_updated_timestamp": known.updated,
        "user_id": known.user,
        "current_stage": seen.stage,
        "description": known.description,
        "source": known.source,
        "run_id": known.run_id,
        "status": known.status,
        "status_message": known.status_message or None,
        "tags": [{"key": key, "value": value} for key, value in seen.tags.items()] or None,
        "run_link": known.run_link,
        "aliases": list(seen.aliases) or None,
    }
    return {key: value for key, value in told.items() if value is not None}


def asked_version() -> Seen:
    """The version that the request names, as the caller sees it. Raises InvalidInput, NotFound."""
    model, version = parameter("name"), parameter("version")
    if not _NUMBER.fullmatch(version):
        raise InvalidInput(f"A version is a number, not {version[:80]!r}.", field="version")
    return _sight(model, int(version)).one(model, int(version))


def _sight(model: str, number: int = 0, alias: str = "") -> Sight:
    by = caller()
    everything = sees_everything(by.principal)
    return look_up(by.parts.looks, by.name, model, number, alias, everything=everything)


def parameter(name: str) -> str:
    """Raises InvalidInput when the request does not have it."""
    value = g.document.get(name) if request.method == "POST" else request.args.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # by hand a version is a number; MLflow's clients send a text
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"The parameter {name!r} is needed.", field=name)
    return value


def _stages() -> Iterable[str]:
    found = g.document.get("stages", []) if request.method == "POST" else request.args.getlist("stages")
    if not isinstance(found, list) or not all(isinstance(stage, str) for stage in found):
        raise InvalidInput("stages must be a list of names.", field="stages")
    return found
